/* window.c: see window.h. */
#define _GNU_SOURCE
#include "window.h"
#include "../mem.h"
#include "../mmu.h"
#include "../seg.h"
#include "../space.h"
#include "fail.h"
#include "lazy.h"
#include "mapped.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SPACES = 16, /* address spaces kept */
    LEFT = 32,   /* windows that nobody uses any more, and that are to be unmapped */
    WINDOWS = 2 * SPACES + 1 + LEFT,
    MAPPINGS_DEFAULT = 48 * 1024, /* of all windows; vm.max_map_count is 65530 by default */
    MAPPINGS_PER_CALL = 2,        /* at worst: what was one is three */
    MAPPINGS_OTHERS = 8192,       /* of vm.max_map_count, left to the rest of the process */
    MAPPINGS_LEAST = 32,          /* with fewer there are no windows */
    RUN = 64,                     /* pages that one fault may map */
    SYSTEM_RUN = 16,              /* a power of 2: of the system's, which may not have used most of them */
    AROUND = 64,                  /* a power of 2 of pages, where those are filled that are like the one that faulted */
    CODE_AROUND = 64,             /* a power of 2 of pages, dropped with one that has code now */
    PER_CALL = MAPPED_AHEAD + 1 > RUN ? MAPPED_AHEAD + 1 : RUN, /* pages */
    GONE = 64,                                                  /* pages */
    GAP = 16, /* pages with nothing mapped that do not end a run of those to drop */
};
#define WINDOW_SIZE (UINT64_C(1) << 32)
#define NO_HOLES "the host gives no addresses that it is asked for"
#define GIVEN_UP "engine bt: windows are given up, for somebody else in this process has mapped memory there"
#define MAX_MAP_COUNT "/proc/sys/vm/max_map_count"
/* Set, it is used in place of what the system says; for tests. */
#define MAX_MAP_COUNT_ENV "VPCORE_MAX_MAP_COUNT"

/* The windows of an address space. */
struct pair {
    uint32_t cr3;
    uint64_t used;           /* when it was the present one */
    struct window window[2]; /* [user] */
};

struct windows {
    struct mappings all;
    struct window system; /* of global pages, for the supervisor in all address spaces; see common() */
    struct pair space[SPACES];
    struct pair *now; /* NULL before the first one, and after a flush until it is known again */
    struct window left[LEFT];
    bool leaves; /* some of these may have something mapped */
    uint64_t clock;
    unsigned most;       /* mappings */
    unsigned counted;    /* mappings, */
    uint64_t counted_at; /* when there had been so many calls */
    uint8_t *entered;    /* base that window_enter() gave last */
    bool stale;          /* since then */
    /* pages of the present space's user, who is not under way, whose translation has gone */
    uint32_t gone[GONE];
    unsigned gone_count;
    bool expects; /* the last of them: likely it has another one and is accessed again */
};

uint32_t window_space(const struct vp_vm *m) { return !m->user && space_has_globals(m) ? WINDOW_COMMON : m->cpu.cr3; }

/* -- Mappings ----------------------------------------------------------------------------------------------------- */

/* A window of the address spaces, the system's, or one that is left. */
static struct window *nth(struct windows *w, unsigned k)
{
    if (k < 2 * SPACES) return &w->space[k / 2].window[k & 1];
    return k < 2 * SPACES + LEFT ? &w->left[k - 2 * SPACES] : &w->system;
}

/* Mappings there are at most: each page, and each call, has made no more.  They are counted anew only where those made
 * since the last time might be too many. */
static unsigned host_mappings(struct windows *w)
{
    const uint64_t made = (w->all.calls - w->counted_at) * MAPPINGS_PER_CALL;
    unsigned count = 0;

    if (w->counted + made + MAPPINGS_PER_CALL <= w->most) return w->counted + (unsigned)made;
    for (unsigned k = 0; k < WINDOWS; k++) {
        const struct window *v = nth(w, k);
        count += v->calls < v->count ? v->calls : v->count;
    }
    w->counted = count * MAPPINGS_PER_CALL;
    w->counted_at = w->all.calls;
    return w->counted;
}

/* -- Life --------------------------------------------------------------------------------------------------------- */

static unsigned mappings_most(void)
{
    const char *set = getenv(MAX_MAP_COUNT_ENV);
    long mappings = set ? strtol(set, NULL, 10) : 0;
    FILE *f = set ? NULL : fopen(MAX_MAP_COUNT, "re");

    if (f) {
        if (fscanf(f, "%ld", &mappings) != 1) mappings = 0;
        fclose(f);
    }
    long most = mappings ? mappings - MAPPINGS_OTHERS : MAPPINGS_DEFAULT;
    return most < 0 ? 0 : most > MAPPINGS_DEFAULT ? MAPPINGS_DEFAULT : (unsigned)most;
}

static struct windows *refuse(char *why, size_t room, const char *reason)
{
    snprintf(why, room, "no windows: %s", reason);
    return NULL;
}

struct windows *windows_create(struct vp_vm *m, char *why, size_t room)
{
    unsigned most = mappings_most();

    if (most < MAPPINGS_LEAST) return refuse(why, room, MAX_MAP_COUNT " is too small");
    if (m->ram_fd < 0 || window_told_to_fail("memfd")) return refuse(why, room, "guest memory is no file");
    struct windows *w = calloc(1, sizeof *w);
    if (!w) return refuse(why, room, "no memory");
    w->all.ram_fd = m->ram_fd;
    w->all.lazy = lazy_open();
    w->all.maps_fail = window_told_to_fail("map");
    w->most = most;
    w->all.total = &m->stats.window_pages;
    w->all.ram_pages = (uint32_t)(m->ram_size >> PAGE_SHIFT);
    w->all.written = mem_reserve(w->all.ram_pages * sizeof *w->all.written);
    struct window *first = &w->space[0].window[0];
    if (w->all.written && mapped_prepare(&w->all, first)) {
        if (!first->place.hole && !*why) snprintf(why, room, "windows cost more: " NO_HOLES);
        return w;
    }
    windows_destroy(w);
    return refuse(why, room, "the host gives no 4 GB of addresses");
}

void windows_destroy(struct windows *w)
{
    if (!w) return;
    for (unsigned k = 0; k < WINDOWS; k++) mapped_release(&w->all, nth(w, k));
    *w->all.total = 0;
    if (w->all.lazy >= 0) close(w->all.lazy);
    mem_release(w->all.written, w->all.ram_pages * sizeof *w->all.written);
    free(w);
}

/* -- Address spaces ----------------------------------------------------------------------------------------------- */

/* Of those that are left, the one with the fewest pages. */
static struct window *emptiest(struct windows *w)
{
    struct window *v = w->left;

    for (struct window *other = v; other < w->left + LEFT; other++)
        if (other->count < v->count) v = other;
    return v;
}

/* Nothing of it is of use any more: another one takes its place. */
static void leave(struct windows *w, struct window *v)
{
    struct window *other = emptiest(w);

    if (v->place.shared || other->count >= v->count) {
        mapped_drop_all(&w->all, v);
        return;
    }
    mapped_drop_all(&w->all, other);
    const struct window left = *v;
    *v = *other;
    *other = left;
    mapped_leave(&w->all, other);
    w->leaves = true;
}

/* One that is still to be unmapped, or NULL. */
static struct window *left_over(struct windows *w)
{
    for (struct window *v = w->left; v < w->left + LEFT; v++)
        if (v->calls) return v;
    return NULL;
}

void windows_idle(struct windows *w)
{
    struct window *v = w->leaves ? left_over(w) : NULL;

    w->leaves = v;
    if (v) mapped_tidy(&w->all, v);
}

/* The least recently used one for `cr3`, unless there is one for it. */
static struct pair *space_for(struct windows *w, uint32_t cr3)
{
    struct pair *oldest = &w->space[0];

    for (unsigned k = 0; k < SPACES; k++) {
        struct pair *s = &w->space[k];
        if (s->used && s->cr3 == cr3) return s;
        if (s->used < oldest->used) oldest = s;
    }
    for (unsigned user = 0; user < 2; user++) leave(w, &oldest->window[user]);
    oldest->cr3 = cr3;
    return oldest;
}

/* Whether the supervisor has one window for all address spaces, because systems that have global pages have all of
 * theirs global.  It survives loads of CR3 as it is; the rest, which is memory of the user, is not mapped there. */
static bool common(const struct vp_vm *m) { return window_space(m) == WINDOW_COMMON; }

/* mmu_peek() of what can be mapped: guest RAM as it lies in its file. */
static unsigned peek(struct vp_vm *m, uint32_t lin, bool user, uint32_t *phys)
{
    unsigned rights = mmu_peek(m, lin << PAGE_SHIFT, user, phys);
    uint64_t at = (uint64_t)*phys << PAGE_SHIFT;

    if (common(m) && !(rights & PLAIN_GLOBAL)) return 0;
    return rights && at < m->ram_size && m->phys[*phys].read == m->ram + at ? rights : 0;
}

/* Whether a page may stay as it is mapped. */
static bool still_right(struct vp_vm *m, const struct mapped *p, bool user)
{
    uint32_t phys;
    unsigned rights = peek(m, p->lin, user, &phys);

    return (rights & PLAIN_READ) && phys == p->phys && (!p->write || (rights & PLAIN_WRITE));
}

static bool is_wrong(struct vp_vm *m, const struct window *v, uint32_t lin)
{
    return mapped_is_open(v, lin) && !still_right(m, &v->pages[v->slot[lin] - 1], true);
}

/* The farthest page to drop in that direction, with none on the way that is to stay. */
static uint32_t last_wrong(const struct window *v, uint32_t lin, uint32_t step)
{
    uint32_t last = lin;

    while (lin += step, lin < LINEAR_PAGES && lin - last + GAP <= 2 * GAP) {
        const struct mapped *p = v->slot[lin] ? &v->pages[v->slot[lin] - 1] : NULL;
        if (p && !p->wrong && !p->ahead) break;
        if (p && p->wrong) last = lin;
    }
    return last;
}

/* What is wrong goes, many pages by one call; another process's window as a whole. */
static void look_through(struct vp_vm *m, struct windows *w, struct window *v, bool user)
{
    enum { DEAR = 2 /* to map a page anew takes so many times what unmapping one does */ };
    unsigned wrong = 0, right = 0;

    for (unsigned k = 0; k < v->count; k++) {
        if (v->pages[k].ahead) continue;
        v->pages[k].wrong = !still_right(m, &v->pages[k], user);
        *(v->pages[k].wrong ? &wrong : &right) += 1;
    }
    if (right * DEAR < wrong) {
        leave(w, v);
        wrong = 0;
    }
    for (unsigned k = 0; wrong && k < v->count;) {
        if (!v->pages[k].wrong) {
            k++;
            continue;
        }
        const uint32_t first = last_wrong(v, v->pages[k].lin, -1u), last = last_wrong(v, v->pages[k].lin, 1);
        mapped_drop_run(&w->all, v, first, last - first + 1); /* another page has this place now */
    }
    v->stale = false;
}

bool window_is_stale(const struct windows *w) { return w->stale; }

/* -- Filling ------------------------------------------------------------------------------------------------------ */

static void drop_all(struct windows *w)
{
    for (unsigned k = 0; k < WINDOWS; k++) mapped_drop_all(&w->all, nth(w, k));
}

/* What may go without harm to the present one: what nobody uses, else the space that was used the longest ago; or NULL.
 */
static struct window *spare(struct windows *w)
{
    struct window *found = left_over(w);
    uint64_t used = UINT64_MAX;

    if (found) return found;
    for (struct pair *s = w->space; s < w->space + SPACES; s++)
        for (unsigned user = 0; user < 2 && s != w->now && s->used < used; user++)
            if (s->window[user].calls) used = s->used, found = &s->window[user];
    return found;
}

static bool is_full(struct windows *w)
{
    return host_mappings(w) + MAPPINGS_PER_CALL > w->most || *w->all.total + PER_CALL > MAPPED_MOST;
}

static void make_room(struct windows *w)
{
    struct window *v;

    while (is_full(w) && (v = spare(w))) mapped_drop_all(&w->all, v);
    if (is_full(w)) drop_all(w);
}

/* Whether the page so many after this one may be mapped together with it: not yet mapped, as far from it in RAM, and of
 * the same rights. */
static bool is_like(struct vp_vm *m, const struct window *v, const struct mapped *p, uint32_t distance)
{
    const uint32_t lin = p->lin + distance;
    uint32_t phys;

    if (lin >= LINEAR_PAGES || mapped_is_open(v, lin)) return false;
    const unsigned rights = peek(m, lin, m->user, &phys);
    return (rights & PLAIN_READ) && phys == p->phys + distance && !!(rights & PLAIN_WRITE) == p->write;
}

/* A system's memory lies as RAM does, and is used in any order. */
static void go_back(struct vp_vm *m, const struct window *v, struct mapped *p)
{
    while (p->lin % SYSTEM_RUN && is_like(m, v, p, -1u)) p->lin--, p->phys--;
}

static unsigned run_of(struct vp_vm *m, const struct window *v, const struct mapped *p, unsigned most)
{
    unsigned count = 1;

    while (count < most && is_like(m, v, p, count)) count++;
    return count;
}

/* No guest is to reach what has turned up there: host code leaves at its next look, and nothing is mapped again. */
static void give_up(struct vp_vm *m, struct windows *w)
{
    w->stale = true;
    m->config.calls.warn(m->config.host, GIVEN_UP);
}

/* Map a page with its neighbours as far as it may be accessed; false where that changes nothing. */
static bool fill(struct vp_vm *m, struct windows *w, struct window *v, uint32_t lin)
{
    struct mapped p = {.lin = lin};
    unsigned rights = peek(m, p.lin, m->user, &p.phys);

    if (!(rights & PLAIN_READ)) return false;
    p.write = rights & PLAIN_WRITE;
    if (mapped_is_open(v, p.lin)) {
        const struct mapped *had = &v->pages[v->slot[p.lin] - 1];
        const bool same = had->write == p.write && had->phys == p.phys;
        /* it was a write to what stays read-only, or the host has taken the page from the mapping */
        if (same) return had->lazy && place_give(&v->place, p.lin);
    }
    make_room(w);
    const bool system = v == &w->system;
    if (system && !mapped_is_open(v, p.lin)) go_back(m, v, &p);
    const unsigned count = run_of(m, v, &p, system ? SYSTEM_RUN : RUN);
    if (!mapped_grant(&w->all, v, &p, count)) {
        drop_all(w);
        if (w->all.given_up) give_up(m, w);
        return false;
    }
    m->stats.window_fills++;
    return true;
}

/* Where a fault was needed for one page, those around it that a program has used before are likely to need another: it
 * has a new window, as a rule, and uses nearly all that it has. */
static void fill_around(struct vp_vm *m, struct windows *w, struct window *v, uint32_t lin)
{
    const uint32_t first = lin & -(uint32_t)AROUND;

    for (uint32_t page = first; page < first + AROUND && !is_full(w) && !w->all.given_up; page++)
        if (!mapped_is_open(v, page)) fill(m, w, v, page);
}

bool window_reaches(const struct windows *w, uintptr_t address)
{
    return address - (uintptr_t)w->entered < WINDOW_SIZE;
}

bool window_fill(struct vp_vm *m, struct windows *w, uintptr_t address)
{
    if (w->all.given_up || w->stale || !window_reaches(w, address) || (!w->now && !common(m))) return false;
    struct window *v = common(m) ? &w->system : &w->now->window[m->user];
    const uint32_t lin = (uint32_t)((address - (uintptr_t)v->place.base) >> PAGE_SHIFT);
    if (w->entered != v->place.base || !fill(m, w, v, lin)) return false;
    if (m->user) fill_around(m, w, v, lin);
    return true;
}

/* Those that have another translation by now, or none; the last of them is mapped again at once, in its place. */
static void drop_gone(struct vp_vm *m, struct windows *w, struct window *v)
{
    const unsigned count = w->gone_count;

    w->gone_count = 0;
    if (w->expects) fill(m, w, v, w->gone[count - 1]);
    w->expects = false;
    for (unsigned k = 0; k < count; k++) {
        const uint32_t lin = w->gone[k];
        unsigned pages = 1;
        if (!is_wrong(m, v, lin)) continue;
        while (k + 1 < count && w->gone[k + 1] == lin + pages && is_wrong(m, v, lin + pages)) k++, pages++;
        mapped_drop_run(&w->all, v, lin, pages);
    }
}

uint8_t *window_enter(struct vp_vm *m, struct windows *w)
{
    if (w->all.given_up || !mmu_is_plain(m)) return NULL;
    if (!w->now && !common(m)) {
        w->now = space_for(w, m->cpu.cr3);
        w->now->used = ++w->clock;
    }
    struct window *v = common(m) ? &w->system : &w->now->window[m->user];
    if (v->stale) look_through(m, w, v, m->user);
    if (!mapped_prepare(&w->all, v)) return NULL;
    w->stale = false;
    w->entered = v->place.base;
    if (w->gone_count && v == &w->now->window[1]) drop_gone(m, w, v);
    return w->all.given_up ? NULL : v->place.base;
}

/* -- Invalidation ------------------------------------------------------------------------------------------------- */

void window_flush(struct windows *w, bool global_too)
{
    if (w->now) w->now->window[0].stale = w->now->window[1].stale = true;
    w->now = NULL;
    w->gone_count = 0;
    if (global_too) w->system.stale = true;
    if (global_too || w->entered != w->system.place.base) w->stale = true;
}

static void drop(struct windows *w, struct window *v, unsigned place)
{
    mapped_drop_run(&w->all, v, v->pages[place].lin, 1);
}

static void flush_page(struct windows *w, struct window *v, uint32_t lin)
{
    if (v->place.base && mapped_is_open(v, lin >> PAGE_SHIFT)) drop(w, v, v->slot[lin >> PAGE_SHIFT] - 1);
}

void window_flush_page(struct windows *w, uint32_t lin)
{
    flush_page(w, &w->system, lin);
    if (!w->now) return;
    flush_page(w, &w->now->window[0], lin);
    w->expects = w->gone_count < GONE;
    if (w->expects)
        w->gone[w->gone_count++] = lin >> PAGE_SHIFT;
    else
        w->now->window[1].stale = true;
}

/* The windows of the present space, which may not be known, and the one of all spaces. */
enum { PRESENT = 3 };
static struct window *present(struct windows *w, unsigned k)
{
    if (k == PRESENT - 1) return &w->system;
    return w->now ? &w->now->window[k] : NULL;
}

/* What a system has read from a file lies together, and where code is on a page it soon is on those beside it. */
static void drop_code(struct windows *w, struct window *v, uint32_t lin)
{
    const uint32_t count = v == &w->system ? CODE_AROUND : 1;

    mapped_drop_run(&w->all, v, lin & -count, count);
}

/* By the mapping for writing that was made last; whether there are others, of whatever space. */
static bool forget_last_write(struct windows *w, uint32_t page)
{
    for (unsigned k = 0; k < PRESENT && w->all.written[page].count; k++) {
        struct window *v = present(w, k);
        const uint32_t place = v && v->place.base ? v->slot[w->all.written[page].lin] : 0;
        if (place && v->pages[place - 1].write && v->pages[place - 1].phys == page)
            drop_code(w, v, w->all.written[page].lin);
    }
    return w->all.written[page].count;
}

static void forget_writes(struct windows *w, struct window *v, uint32_t first, uint32_t last)
{
    for (unsigned k = v->count; k-- && k < v->count;)
        if (v->pages[k].write && v->pages[k].phys - first <= last - first) drop(w, v, k);
}

void window_forget_writes(struct windows *w, uint32_t first, uint32_t last)
{
    bool more = false;

    for (uint32_t page = first; page <= last && page < w->all.ram_pages; page++) more |= forget_last_write(w, page);
    for (unsigned k = 0; more && k < PRESENT; k++)
        if (present(w, k)) forget_writes(w, present(w, k), first, last);
}
