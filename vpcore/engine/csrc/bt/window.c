/* window.c: see window.h. */
#define _GNU_SOURCE
#include "window.h"
#include "../mem.h"
#include "../mmu.h"
#include "../seg.h"
#include "../space.h"
#include "fail.h"
#include "lazy.h"
#include "place.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SPACES = 8, /* address spaces kept */
    WINDOWS = 2 * SPACES + 1,
    MAPPINGS_DEFAULT = 48 * 1024, /* of all windows; vm.max_map_count is 65530 by default */
    MAPPINGS_PER_CALL = 2,        /* at worst: what was one is three */
    MAPPINGS_OTHERS = 8192,       /* of vm.max_map_count, left to the rest of the process */
    MAPPINGS_LEAST = 32,          /* with fewer there are no windows */
    PAGES = 1 << 18,              /* of all windows, for the host has tables for them */
    RUN = 64,                     /* pages that one fault may map */
    SYSTEM_RUN = 16,              /* a power of 2: of the system's, which may not have used most of them */
    AROUND = 64,                  /* a power of 2 of pages, where those are filled that are like the one that faulted */
    CODE_AROUND = 8,              /* a power of 2 of pages, dropped with one that has code now */
    AHEAD_LEAST = 2,              /* pages that came one after the other let more be expected */
    AHEAD_MOST = 64,
    PER_CALL = AHEAD_MOST + 1 > RUN ? AHEAD_MOST + 1 : RUN, /* pages */
    GAP = 16, /* pages with nothing mapped that do not end a run of those to drop */
};
#define WINDOW_SIZE (UINT64_C(1) << 32)
#define LINEAR_PAGES (1u << 20)
#define NO_HOLES "the host gives no addresses that it is asked for"
#define GIVEN_UP "engine bt: windows are given up, for somebody else in this process has mapped memory there"
#define MAX_MAP_COUNT "/proc/sys/vm/max_map_count"
/* Set, it is used in place of what the system says; for tests. */
#define MAX_MAP_COUNT_ENV "VPCORE_MAX_MAP_COUNT"

struct mapped {
    uint32_t lin, phys; /* page numbers */
    bool write;
    bool ahead; /* it may come next: it is mapped, and allows nothing yet */
    bool lazy;  /* mapped so (place.h) */
    bool wrong; /* look_through() says */
};

struct window {
    struct place place;
    uint32_t *slot; /* by linear page: its place in `pages` plus 1, or 0 */
    struct mapped *pages;
    unsigned count;
    unsigned calls; /* that changed mappings, since there were none */
    bool stale;     /* page tables have been loaded, or may have changed, since it was looked through */
};

/* The windows of an address space. */
struct pair {
    uint32_t cr3;
    uint64_t used;           /* when it was the present one */
    struct window window[2]; /* [user] */
};

/* Of a physical page: how many pages of windows map it for writing, and where one of them is. */
struct written {
    uint32_t count, lin;
};

struct windows {
    struct window system; /* of global pages, for the supervisor in all address spaces; see common() */
    struct pair space[SPACES];
    struct pair *now; /* NULL before the first one, and after a flush until it is known again */
    uint64_t clock;
    uint64_t *total;  /* pages */
    unsigned most;    /* mappings */
    uint8_t *entered; /* base that window_enter() gave last */
    bool stale;       /* since then */
    /* a page whose translation has just gone: likely it gets another one and is accessed again */
    const struct window *expects;
    uint32_t expected;
    uint32_t granted;        /* the page of RAM, last */
    struct written *written; /* of each page of guest RAM */
    uint32_t ram_pages;
    int ram_fd;
    int lazy;       /* lazy.h */
    bool maps_fail; /* a test wants it so */
    bool given_up;  /* somebody else is in one of them */
};

uint32_t window_space(const struct vp_vm *m) { return !m->user && space_has_globals(m) ? WINDOW_COMMON : m->cpu.cr3; }

/* -- Mappings ----------------------------------------------------------------------------------------------------- */

/* Whether none of these pages is mapped, in whatever way. */
static bool is_fresh(const struct window *v, uint32_t lin, unsigned count)
{
    while (count && !v->slot[lin + count - 1]) count--;
    return !count;
}

static bool map(struct windows *w, struct window *v, const struct mapped *p, unsigned count)
{
    const int prot = PROT_READ | (p->write ? PROT_WRITE : 0);

    v->calls++;
    if (w->maps_fail) return false;
    if (place_map(&v->place, p->lin, count, prot, p->phys, is_fresh(v, p->lin, count))) return true;
    w->given_up |= v->place.shared;
    return false;
}

/* A window of the address spaces, or the system's. */
static struct window *nth(struct windows *w, unsigned k)
{
    return k < 2 * SPACES ? &w->space[k / 2].window[k & 1] : &w->system;
}

/* Whether accesses to the page are allowed. */
static bool is_open(const struct window *v, uint32_t lin) { return v->slot[lin] && !v->pages[v->slot[lin] - 1].ahead; }

/* Mappings there are at most: each page, and each call, has made no more. */
static unsigned mappings(struct windows *w)
{
    unsigned count = 0;

    for (unsigned k = 0; k < WINDOWS; k++) {
        const struct window *v = nth(w, k);
        count += v->calls < v->count ? v->calls : v->count;
    }
    return count * MAPPINGS_PER_CALL;
}

static void drop_all(struct windows *w, struct window *v)
{
    if (!v->calls) return;
    if (!v->place.shared) place_unmap_all(&v->place); /* what is removed is what costs */
    for (unsigned k = 0; k < v->count; k++) {
        if (v->place.shared) place_unmap(&v->place, v->pages[k].lin, 1);
        v->slot[v->pages[k].lin] = 0;
        w->written[v->pages[k].phys].count -= v->pages[k].write;
    }
    *w->total -= v->count;
    v->count = v->calls = 0;
}

static void forget(struct windows *w, struct window *v, unsigned place)
{
    w->written[v->pages[place].phys].count -= v->pages[place].write;
    v->slot[v->pages[place].lin] = 0;
    if (place != --v->count) {
        v->pages[place] = v->pages[v->count];
        v->slot[v->pages[place].lin] = place + 1;
    }
    --*w->total;
}

/* Pages next to each other; where the host has no mapping left for the hole, all of them. */
static void drop_run(struct windows *w, struct window *v, uint32_t lin, uint32_t count)
{
    v->calls++;
    if (!place_unmap(&v->place, lin, count)) {
        drop_all(w, v);
        return;
    }
    for (uint32_t k = 0; k < count; k++)
        if (v->slot[lin + k]) forget(w, v, v->slot[lin + k] - 1);
}

static void drop(struct windows *w, struct window *v, unsigned place) { drop_run(w, v, v->pages[place].lin, 1); }

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

static void window_release(struct windows *w, struct window *v)
{
    if (v->place.shared) drop_all(w, v);
    place_release(&v->place);
    mem_release(v->slot, LINEAR_PAGES * sizeof *v->slot);
    mem_release(v->pages, PAGES * sizeof *v->pages);
    *v = (struct window){0};
}

/* Addresses for a window that has none yet. */
static bool window_prepare(struct windows *w, struct window *v)
{
    if (v->place.base) return true;
    v->slot = mem_reserve(LINEAR_PAGES * sizeof *v->slot);
    v->pages = mem_reserve(PAGES * sizeof *v->pages);
    if (v->slot && v->pages && place_find(&v->place, w->ram_fd, w->lazy)) return true;
    window_release(w, v);
    return false;
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
    w->ram_fd = m->ram_fd;
    w->lazy = lazy_open();
    w->maps_fail = window_told_to_fail("map");
    w->most = most;
    w->total = &m->stats.window_pages;
    w->ram_pages = (uint32_t)(m->ram_size >> PAGE_SHIFT);
    w->written = mem_reserve(w->ram_pages * sizeof *w->written);
    struct window *first = &w->space[0].window[0];
    if (w->written && window_prepare(w, first)) {
        if (!first->place.hole && !*why) snprintf(why, room, "windows cost more: " NO_HOLES);
        return w;
    }
    windows_destroy(w);
    return refuse(why, room, "the host gives no 4 GB of addresses");
}

void windows_destroy(struct windows *w)
{
    if (!w) return;
    for (unsigned k = 0; k < WINDOWS; k++) window_release(w, nth(w, k));
    *w->total = 0;
    if (w->lazy >= 0) close(w->lazy);
    mem_release(w->written, w->ram_pages * sizeof *w->written);
    free(w);
}

/* -- Address spaces ----------------------------------------------------------------------------------------------- */

/* The least recently used one for `cr3`, unless there is one for it. */
static struct pair *space_for(struct windows *w, uint32_t cr3)
{
    struct pair *oldest = &w->space[0];

    for (unsigned k = 0; k < SPACES; k++) {
        struct pair *s = &w->space[k];
        if (s->used && s->cr3 == cr3) return s;
        if (s->used < oldest->used) oldest = s;
    }
    for (unsigned user = 0; user < 2; user++) drop_all(w, &oldest->window[user]);
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
    enum { FEW = 8 /* one of so many need not be kept */ };
    unsigned wrong = 0, right = 0;

    for (unsigned k = 0; k < v->count; k++) {
        if (v->pages[k].ahead) continue;
        v->pages[k].wrong = !still_right(m, &v->pages[k], user);
        *(v->pages[k].wrong ? &wrong : &right) += 1;
    }
    if (right * FEW < right + wrong) drop_all(w, v);
    for (unsigned k = 0; wrong && k < v->count;) {
        if (!v->pages[k].wrong) {
            k++;
            continue;
        }
        const uint32_t first = last_wrong(v, v->pages[k].lin, -1u), last = last_wrong(v, v->pages[k].lin, 1);
        drop_run(w, v, first, last - first + 1); /* another page has this place now */
    }
    v->stale = false;
}

bool window_is_stale(const struct windows *w) { return w->stale; }

/* -- Filling ------------------------------------------------------------------------------------------------------ */

static void make_room(struct windows *w)
{
    for (unsigned k = 0; k < WINDOWS; k++) drop_all(w, nth(w, k));
}

/* Whether the page so many after this one may be mapped together with it: not yet mapped, as far from it in RAM, and of
 * the same rights. */
static bool is_like(struct vp_vm *m, const struct window *v, const struct mapped *p, uint32_t distance)
{
    const uint32_t lin = p->lin + distance;
    uint32_t phys;

    if (lin >= LINEAR_PAGES || is_open(v, lin)) return false;
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

/* How many pages lie behind one another in RAM, for writing, up to that one and with it. */
static unsigned run_to(const struct window *v, uint32_t lin)
{
    unsigned count = 0;

    for (const struct mapped *last = NULL; count <= AHEAD_MOST && lin >= count && v->slot[lin - count]; count++) {
        const struct mapped *p = &v->pages[v->slot[lin - count] - 1];
        if (!p->write || (last && last->phys != p->phys + 1)) break;
        last = p;
    }
    return count;
}

/* How many pages are likely to come behind this one: systems give memory to programs page by page, as these touch it,
 * and mostly what lies together.  Where a run begins, it may be a block as large as the last one, or the last run goes
 * on, of which a page has gone elsewhere. */
static unsigned expected(const struct windows *w, const struct window *v, const struct mapped *p)
{
    const unsigned run = p->lin ? run_to(v, p->lin - 1) : 0;

    if (!run) return 0;
    if (v->pages[v->slot[p->lin - 1] - 1].phys + 1 == p->phys) return run < AHEAD_LEAST ? 0 : 3 * run;
    const bool block = !(run & (run - 1)) && !(p->phys & (run - 1));
    return block || w->granted + 1 == p->phys ? run - 1 : 0;
}

static unsigned pages_ahead(const struct windows *w, const struct window *v, const struct mapped *p)
{
    unsigned ahead = 0, most = p->write ? expected(w, v, p) : 0;

    if (most > AHEAD_MOST) most = AHEAD_MOST;
    while (ahead < most && p->phys + ahead + 1 < w->ram_pages && p->lin + ahead + 1 < LINEAR_PAGES &&
           !is_open(v, p->lin + ahead + 1))
        ahead++;
    return ahead;
}

static void enter_run(struct windows *w, struct window *v, const struct mapped *p, unsigned count)
{
    for (unsigned k = 0; k < count; k++) {
        if (v->slot[p->lin + k]) forget(w, v, v->slot[p->lin + k] - 1);
        struct mapped *page = &v->pages[v->count];
        *page = *p;
        page->lin += k;
        page->phys += k;
        v->slot[page->lin] = ++v->count;
        if (p->write) w->written[page->phys] = (struct written){w->written[page->phys].count + 1, page->lin};
    }
    *w->total += count;
}

/* Map a page, and those ahead of it by the same call, for it costs more than these do. */
static bool map_lazily(struct windows *w, struct window *v, struct mapped *p, unsigned ahead)
{
    if (w->maps_fail) return false;
    v->calls++;
    p->lazy = place_map_lazily(&v->place, p->lin, 1 + ahead, p->phys, is_fresh(v, p->lin, 1 + ahead));
    w->given_up |= v->place.shared;
    return p->lazy;
}

static bool map_and_forbid(struct windows *w, struct window *v, const struct mapped *p, unsigned ahead)
{
    if (!map(w, v, p, 1 + ahead)) return false;
    v->calls++;
    if (place_protect(&v->place, p->lin + 1, ahead, PROT_NONE)) return true;
    drop_all(w, v);
    return false;
}

static bool map_ahead(struct windows *w, struct window *v, struct mapped *p, unsigned ahead)
{
    if (!map_lazily(w, v, p, ahead) && (w->given_up || !map_and_forbid(w, v, p, ahead))) return false;
    enter_run(w, v, &(struct mapped){.lin = p->lin + 1, .phys = p->phys + 1, .ahead = true, .lazy = p->lazy}, ahead);
    if (!p->lazy || place_give(&v->place, p->lin)) return true;
    p->lazy = false; /* the host has not given the guest this page yet */
    v->calls++;
    return place_map(&v->place, p->lin, 1, PROT_READ | PROT_WRITE, p->phys, false);
}

/* Whether it was ahead: half the price, or less. */
static bool allow(struct window *v, struct mapped *p)
{
    const struct mapped *had = v->slot[p->lin] ? &v->pages[v->slot[p->lin] - 1] : NULL;

    if (!had || !had->ahead || had->phys != p->phys || !p->write) return false;
    p->lazy = had->lazy;
    if (p->lazy) return place_give(&v->place, p->lin);
    v->calls++;
    return place_protect(&v->place, p->lin, 1, PROT_READ | PROT_WRITE);
}

static bool grant(struct windows *w, struct window *v, struct mapped *p, unsigned count)
{
    if (count == 1 && allow(v, p)) return true;
    p->lazy = false;
    const unsigned ahead = count == 1 ? pages_ahead(w, v, p) : 0;
    return ahead ? map_ahead(w, v, p, ahead) : map(w, v, p, count);
}

static bool is_full(struct windows *w)
{
    return mappings(w) + MAPPINGS_PER_CALL > w->most || *w->total + PER_CALL > PAGES;
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
    if (is_open(v, p.lin)) {
        const struct mapped *had = &v->pages[v->slot[p.lin] - 1];
        const bool same = had->write == p.write && had->phys == p.phys;
        /* it was a write to what stays read-only, or the host has taken the page from the mapping */
        if (same) return had->lazy && place_give(&v->place, p.lin);
    }
    if (is_full(w)) make_room(w);
    const bool system = v == &w->system;
    if (system && !is_open(v, p.lin)) go_back(m, v, &p);
    const unsigned count = run_of(m, v, &p, system ? SYSTEM_RUN : RUN);
    if (!grant(w, v, &p, count)) {
        make_room(w);
        if (w->given_up) give_up(m, w);
        return false;
    }
    enter_run(w, v, &p, count);
    w->granted = p.phys + count - 1;
    m->stats.window_fills++;
    return true;
}

/* Where a fault was needed for one page, those around it that a program has used before are likely to need another: it
 * has a new window, as a rule, and uses nearly all that it has. */
static void fill_around(struct vp_vm *m, struct windows *w, struct window *v, uint32_t lin)
{
    const uint32_t first = lin & -(uint32_t)AROUND;

    for (uint32_t page = first; page < first + AROUND && !is_full(w) && !w->given_up; page++)
        if (!is_open(v, page)) fill(m, w, v, page);
}

bool window_fill(struct vp_vm *m, struct windows *w, uintptr_t address)
{
    if (w->given_up || w->stale || address - (uintptr_t)w->entered >= WINDOW_SIZE || (!w->now && !common(m)))
        return false;
    struct window *v = common(m) ? &w->system : &w->now->window[m->user];
    const uint32_t lin = (uint32_t)((address - (uintptr_t)v->place.base) >> PAGE_SHIFT);
    if (w->entered != v->place.base || !fill(m, w, v, lin)) return false;
    if (m->user) fill_around(m, w, v, lin);
    return true;
}

uint8_t *window_enter(struct vp_vm *m, struct windows *w)
{
    if (w->given_up || !mmu_is_plain(m)) return NULL;
    if (!w->now && !common(m)) {
        w->now = space_for(w, m->cpu.cr3);
        w->now->used = ++w->clock;
    }
    struct window *v = common(m) ? &w->system : &w->now->window[m->user];
    if (!window_prepare(w, v)) return NULL;
    if (v->stale) look_through(m, w, v, m->user);
    w->stale = false;
    w->entered = v->place.base;
    if (w->expects == v) {
        w->expects = NULL;
        fill(m, w, v, w->expected);
    }
    return w->given_up ? NULL : v->place.base;
}

/* -- Invalidation ------------------------------------------------------------------------------------------------- */

void window_flush(struct windows *w, bool global_too)
{
    if (w->now) w->now->window[0].stale = w->now->window[1].stale = true;
    w->now = NULL;
    if (global_too) w->system.stale = true;
    if (global_too || w->entered != w->system.place.base) w->stale = true;
}

static void flush_page(struct windows *w, struct window *v, uint32_t lin)
{
    if (v->place.base && is_open(v, lin >> PAGE_SHIFT)) drop(w, v, v->slot[lin >> PAGE_SHIFT] - 1);
}

void window_flush_page(struct windows *w, uint32_t lin)
{
    flush_page(w, &w->system, lin);
    for (unsigned user = 0; user < 2 && w->now; user++) flush_page(w, &w->now->window[user], lin);
    if (w->now) {
        w->expects = &w->now->window[1];
        w->expected = lin >> PAGE_SHIFT;
    }
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

    drop_run(w, v, lin & -count, count);
}

/* By the mapping for writing that was made last; whether there are others, of whatever space. */
static bool forget_last_write(struct windows *w, uint32_t page)
{
    for (unsigned k = 0; k < PRESENT && w->written[page].count; k++) {
        struct window *v = present(w, k);
        const uint32_t place = v && v->place.base ? v->slot[w->written[page].lin] : 0;
        if (place && v->pages[place - 1].write && v->pages[place - 1].phys == page)
            drop_code(w, v, w->written[page].lin);
    }
    return w->written[page].count;
}

static void forget_writes(struct windows *w, struct window *v, uint32_t first, uint32_t last)
{
    for (unsigned k = v->count; k-- && k < v->count;)
        if (v->pages[k].write && v->pages[k].phys - first <= last - first) drop(w, v, k);
}

void window_forget_writes(struct windows *w, uint32_t first, uint32_t last)
{
    bool more = false;

    for (uint32_t page = first; page <= last && page < w->ram_pages; page++) more |= forget_last_write(w, page);
    for (unsigned k = 0; more && k < PRESENT; k++)
        if (present(w, k)) forget_writes(w, present(w, k), first, last);
}
