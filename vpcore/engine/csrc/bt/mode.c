/* mode.c: see mode.h.
 *
 * Measured on the machine of docs/engines.md: a page of a window cost 6 to 8 us to fill, 2 of them for the fault (since
 * then 4, 1 where it was foreseen, and 2 for a fault; yet with half the PAGE programs take no less); an instruction is
 * 0.15 to 0.3 ns faster with one than without.  So one pays for the other where a page is new per 20 to
 * 50 thousand instructions.  What counts are the pages that a window has to map, which is each once: not how often the
 * flat tables, which forget more, were filled with them (struct footprint).  A space with a window pays for the calls
 * that map pages: a system gets sixteen by one, and those that it clears by repeated stores are not mapped for that.
 *
 * A space's credit is the instructions that it has executed, less a price for each new page.  Without a window it is
 * never less than 0: what a program touches as it begins is not held against it for long.  With the credit that the
 * pages which it has so far would cost, at a reduced price, a window is had: how long a space will live is not known,
 * but most that get there have the most of their time before them.  Users' code that runs but briefly each time, as of
 * processes that talk to each other, gets none: each time costs it credit.  Then the credit has a most, which new pages
 * may use up in a burst; those from before are paid for.  A window that is given up is one that new pages make dear for
 * long: what it has mapped stays.
 */
#include "mode.h"
#include "../space.h"
#include "window.h"
#include <stdlib.h>

enum {
    TRACE = VP_MODE_CHANGES,
    GLANCE = 1 << 14,  /* instructions between two reckonings */
    PAGE = 1 << 14,    /* instructions that pay for a new page */
    KNOWN = 1 << 9,    /* for one from before: many are not used again, or mapped with others */
    BEGIN = 1 << 17,   /* credit, at least, for a window */
    VISIT = 1 << 11,   /* instructions that pay for entering one, and for kicks there */
    STAY = 1 << 13,    /* PAGE, once there is one */
    BURST = 1 << 23,   /* credit at most, then */
    PASSING = 1 << 10, /* instructions in whose time a block passes the run loop */
    PATIENCE_MOST = 6, /* doublings of the time to the next attempt, one for each that failed */
};

/* What an address space has done at one privilege. */
struct history {
    const struct footprint *used; /* NULL: there is none */
    bool user, window;
    uint8_t patience;
    uint32_t cr3;
    uint64_t born;  /* the footprint's */
    uint64_t pages; /* the footprint's, at the last reckoning */
    uint64_t calm;  /* instructions, less those that blocks' passing took the time of */
    int64_t credit;
    uint64_t to_fill;  /* pages from before there was a window, which are not in it yet */
    uint64_t ran, new; /* instructions and pages since the last change */
};

struct modes {
    struct history space[FOOTPRINTS], *now;
    uint64_t worked, fills, blocks; /* of the vm, at the last reckoning */
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

static bool is_of(const struct history *s, const struct footprint *used)
{
    return s->used == used && s->born == used->born;
}

static struct history *history_of(struct modes *c, const struct vp_vm *m)
{
    const struct footprint *used = m->footprint[m->user];
    struct history *s = &c->space[used->place];

    if (!is_of(s, used))
        *s = (struct history){
            .user = m->user, .cr3 = window_space(m), .used = used, .born = used->born, .pages = used->pages};
    return s;
}

/* Instructions, and what repeated ones took the time of. */
static uint64_t worked(const struct vp_vm *m) { return m->insns + m->strings; }

/* Pages that a window would cost because they are new; or, where there is one, calls that map pages which are, or which
 * have to be mapped again. */
static uint64_t new_pages(struct history *s, uint64_t fills)
{
    if (s->used->born != s->born) return 0; /* it is gone */
    uint64_t fresh = s->used->pages - s->pages;
    s->pages = s->used->pages;
    if (!s->window) return fresh;
    uint64_t known = fills > fresh ? (uint64_t)least((int64_t)(fills - fresh), (int64_t)s->to_fill) : 0;
    s->to_fill -= known;
    return fills - known;
}

static void change(struct modes *c, struct history *s, const struct vp_vm *m)
{
    c->trace[c->changes++ % TRACE] = (vp_mode_change){
        .insns = m->insns, .ran = s->ran, .pages = s->new, .cr3 = s->cr3, .user = s->user, .window = !s->window};
    if (s->window && s->patience < PATIENCE_MOST) s->patience++;
    s->window = !s->window;
    s->to_fill = s->used->different;
    s->credit = s->window ? BURST : 0;
    s->ran = s->new = 0;
}

static void consider(struct modes *c, struct history *s, const struct vp_vm *m)
{
    if (s->window) {
        s->credit = least(s->credit, BURST);
        if (s->credit < 0) change(c, s, m);
    } else {
        s->credit = greatest(s->credit, 0);
        if (s->credit >= greatest(BEGIN, (int64_t)s->used->different * KNOWN) << s->patience) change(c, s, m);
    }
}

static void reckon(struct modes *c, struct history *s, const struct vp_vm *m)
{
    uint64_t ran = worked(m) - c->worked, pages = new_pages(s, m->stats.window_fills - c->fills);

    s->calm += (uint64_t)greatest((int64_t)ran - (int64_t)(m->stats.blocks_run - c->blocks) * PASSING, 0);
    s->ran += ran;
    s->new += pages;
    s->credit += (int64_t)ran - (int64_t)pages * (s->window ? STAY : PAGE);
    consider(c, s, m);
}

bool modes_want_window(struct modes *c, const struct vp_vm *m)
{
    struct history *s = c->now;

    if (is_of(s, m->footprint[m->user]) && worked(m) - c->worked < GLANCE) return s->window;
    if (s->used) reckon(c, s, m);
    c->now = history_of(c, m);
    if (m->user && c->now != s && !c->now->window) c->now->credit -= VISIT;
    c->worked = worked(m);
    c->fills = m->stats.window_fills;
    c->blocks = m->stats.blocks_run;
    return c->now->window;
}

uint64_t modes_calm(const struct modes *c) { return c->now->calm; }

uint32_t modes_trace(const struct modes *c, vp_mode_change *out, uint32_t most)
{
    uint32_t count = c->changes < TRACE ? (uint32_t)c->changes : TRACE;

    if (count > most) count = most;
    for (uint32_t k = 0; k < count; k++) out[k] = c->trace[(c->changes - count + k) % TRACE];
    return count;
}
