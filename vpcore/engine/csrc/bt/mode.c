/* mode.c: see mode.h.
 *
 * Measured on the machine of docs/engines.md: a page of a window costs 4.5 us to fill, 7 with the fault; an instruction
 * is about 0.2 ns faster with one than without.  One pays for the other where a page is filled per 20 to 40 thousand
 * instructions; in between, what is stays.  How long a space will live is not known: it is taken to live once more as
 * long as it has.
 */
#include "mode.h"
#include "../space.h"
#include "window.h"
#include <stdlib.h>

enum {
    SPACES = 64, /* remembered, at one privilege each */
    TRACE = VP_MODE_CHANGES,
    GLANCE = 1 << 14,  /* instructions between two reckonings */
    PERIOD = 1 << 20,  /* instructions that weigh half as much as the ones of the next period */
    ENTER = 1 << 16,   /* instructions for each page, at least, to get a window */
    STAY = 16 << 10,   /* and to keep it */
    PATIENCE_MOST = 6, /* doublings of the time to the next attempt, one for each that failed */
};

/* What an address space has done at one privilege. */
struct history {
    bool known, user, window;
    uint8_t patience;
    uint32_t cr3;
    uint64_t born;         /* space_born() */
    uint64_t lived;        /* instructions, all */
    uint64_t insns, pages; /* of late */
};

struct modes {
    struct history space[SPACES], *now;
    uint64_t insns, pages; /* of the vm, at the last reckoning */
    uint64_t changes;
    vp_mode_change trace[TRACE]; /* a ring */
};

struct modes *modes_create(void)
{
    struct modes *c = calloc(1, sizeof *c);

    if (c) c->now = c->space;
    return c;
}

void modes_destroy(struct modes *c) { free(c); }

static struct history *space_for(struct modes *c, const struct vp_vm *m)
{
    const uint32_t cr3 = window_space(m), page = cr3 >> PAGE_SHIFT;
    struct history *s = &c->space[((page ^ page >> 5) << 1 | m->user) % SPACES];

    const uint64_t born = m->user ? space_born(m) : 0;

    if (!s->known || s->cr3 != cr3 || s->born != born)
        *s = (struct history){.known = true, .user = m->user, .cr3 = cr3, .born = born};
    return s;
}

/* Pages filled, of either mode; a fault costs half as much as filling a page does. */
static uint64_t pages(const struct history *s, const struct vp_vm *m)
{
    return s->window ? m->stats.window_fills + m->stats.window_faults / 2 : m->stats.tlb_fills;
}

static void change(struct modes *c, struct history *s, const struct vp_vm *m)
{
    c->trace[c->changes++ % TRACE] = (vp_mode_change){
        .insns = m->insns, .ran = s->insns, .pages = s->pages, .cr3 = s->cr3, .user = s->user, .window = !s->window};
    if (s->window && s->patience < PATIENCE_MOST) s->patience++;
    s->window = !s->window;
    s->insns = s->window ? s->lived / 2 : 0; /* what may be spent on filling it */
    s->pages = 0;
}

static void consider(struct modes *c, struct history *s, const struct vp_vm *m)
{
    if (s->window) {
        if (s->insns < s->pages * STAY) change(c, s, m);
    } else if (s->insns >= (uint64_t)PERIOD << s->patience && s->insns >= s->pages * ENTER) {
        change(c, s, m);
    }
    while (s->insns >= (uint64_t)2 * PERIOD << s->patience) {
        s->insns /= 2;
        s->pages /= 2;
    }
}

bool modes_want_window(struct modes *c, const struct vp_vm *m)
{
    struct history *s = c->now;
    bool same = s->known && s->cr3 == window_space(m) && s->user == m->user;
    uint64_t ran = m->insns - c->insns;

    if (same && ran < GLANCE) return s->window;
    s->insns += ran;
    s->lived += ran;
    s->pages += pages(s, m) - c->pages;
    if (s->known) consider(c, s, m);
    c->now = space_for(c, m);
    c->insns = m->insns;
    c->pages = pages(c->now, m);
    return c->now->window;
}

uint64_t modes_lived(const struct modes *c) { return c->now->lived; }

uint32_t modes_trace(const struct modes *c, vp_mode_change *out, uint32_t most)
{
    uint32_t count = c->changes < TRACE ? (uint32_t)c->changes : TRACE;

    if (count > most) count = most;
    for (uint32_t k = 0; k < count; k++) out[k] = c->trace[(c->changes - count + k) % TRACE];
    return count;
}
