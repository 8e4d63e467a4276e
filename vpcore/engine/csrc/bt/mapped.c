/* mapped.c: see mapped.h. */
#include "mapped.h"
#include "../mem.h"
#include <sys/mman.h>

enum { AHEAD_LEAST = 2 /* pages that came one after the other let more be expected */ };

/* -- Life --------------------------------------------------------------------------------------------------------- */

void mapped_release(struct mappings *all, struct window *v)
{
    if (v->place.shared) mapped_drop_all(all, v);
    place_release(&v->place);
    mem_release(v->slot, LINEAR_PAGES * sizeof *v->slot);
    mem_release(v->pages, MAPPED_MOST * sizeof *v->pages);
    *v = (struct window){0};
}

bool mapped_prepare(struct mappings *all, struct window *v)
{
    if (v->place.base) return true;
    v->slot = mem_reserve(LINEAR_PAGES * sizeof *v->slot);
    v->pages = mem_reserve(MAPPED_MOST * sizeof *v->pages);
    if (v->slot && v->pages && place_find(&v->place, all->ram_fd, all->lazy)) return true;
    mapped_release(all, v);
    return false;
}

static void count_call(struct mappings *all, struct window *v)
{
    v->calls++;
    all->calls++;
}

/* -- Dropping ----------------------------------------------------------------------------------------------------- */

static void forget_write(struct mappings *all, const struct window *v, unsigned place)
{
    if (!v->left) all->written[v->pages[place].phys].count -= v->pages[place].write;
}

void mapped_drop_all(struct mappings *all, struct window *v)
{
    if (!v->calls) return;
    if (!v->place.shared) place_unmap_all(&v->place); /* what is removed is what costs */
    for (unsigned k = 0; k < v->count; k++) {
        if (v->place.shared) place_unmap(&v->place, v->pages[k].lin, 1);
        v->slot[v->pages[k].lin] = 0;
        forget_write(all, v, k);
    }
    *all->total -= v->count;
    v->count = v->calls = 0;
    v->left = false;
}

void mapped_leave(struct mappings *all, struct window *v)
{
    for (unsigned k = 0; k < v->count; k++) forget_write(all, v, k);
    v->left = true;
}

void mapped_tidy(struct mappings *all, struct window *v)
{
    enum { PIECE = 64 };
    const uint32_t lin = v->count ? v->pages[v->count - 1].lin & -(uint32_t)PIECE : 0;

    if (v->count > PIECE)
        mapped_drop_run(all, v, lin, PIECE);
    else
        mapped_drop_all(all, v);
}

static void forget(struct mappings *all, struct window *v, unsigned place)
{
    forget_write(all, v, place);
    v->slot[v->pages[place].lin] = 0;
    if (place != --v->count) {
        v->pages[place] = v->pages[v->count];
        v->slot[v->pages[place].lin] = place + 1;
    }
    --*all->total;
}

void mapped_drop_run(struct mappings *all, struct window *v, uint32_t lin, uint32_t count)
{
    count_call(all, v);
    if (!place_unmap(&v->place, lin, count)) {
        mapped_drop_all(all, v);
        return;
    }
    for (uint32_t k = 0; k < count; k++)
        if (v->slot[lin + k]) forget(all, v, v->slot[lin + k] - 1);
}

/* -- Mapping ------------------------------------------------------------------------------------------------------ */

/* Whether none of these pages is mapped, in whatever way. */
static bool is_fresh(const struct window *v, uint32_t lin, unsigned count)
{
    while (count && !v->slot[lin + count - 1]) count--;
    return !count;
}

static bool map(struct mappings *all, struct window *v, const struct mapped *p, unsigned count)
{
    const int prot = PROT_READ | (p->write ? PROT_WRITE : 0);

    count_call(all, v);
    if (all->maps_fail) return false;
    if (place_map(&v->place, p->lin, count, prot, p->phys, is_fresh(v, p->lin, count))) return true;
    all->given_up |= v->place.shared;
    return false;
}

/* How many pages lie behind one another in RAM, for writing, up to that one and with it. */
static unsigned run_to(const struct window *v, uint32_t lin)
{
    unsigned count = 0;

    for (const struct mapped *last = NULL; count <= MAPPED_AHEAD && lin >= count && v->slot[lin - count]; count++) {
        const struct mapped *p = &v->pages[v->slot[lin - count] - 1];
        if (!p->write || (last && last->phys != p->phys + 1)) break;
        last = p;
    }
    return count;
}

/* How many pages are likely to come behind this one: systems give memory to programs page by page, as these touch it,
 * and mostly what lies together.  Where a run begins, it may be a block as large as the last one, or the last run goes
 * on, of which a page has gone elsewhere. */
static unsigned expected(const struct mappings *all, const struct window *v, const struct mapped *p)
{
    const unsigned run = p->lin ? run_to(v, p->lin - 1) : 0;

    if (!run) return 0;
    if (v->pages[v->slot[p->lin - 1] - 1].phys + 1 == p->phys) return run < AHEAD_LEAST ? 0 : 3 * run;
    const bool block = !(run & (run - 1)) && !(p->phys & (run - 1));
    return block || all->granted + 1 == p->phys ? run - 1 : 0;
}

static unsigned pages_ahead(const struct mappings *all, const struct window *v, const struct mapped *p)
{
    unsigned ahead = 0, most = p->write ? expected(all, v, p) : 0;

    if (most > MAPPED_AHEAD) most = MAPPED_AHEAD;
    while (ahead < most && p->phys + ahead + 1 < all->ram_pages && p->lin + ahead + 1 < LINEAR_PAGES &&
           !mapped_is_open(v, p->lin + ahead + 1))
        ahead++;
    return ahead;
}

static void enter_run(struct mappings *all, struct window *v, const struct mapped *p, unsigned count)
{
    for (unsigned k = 0; k < count; k++) {
        if (v->slot[p->lin + k]) forget(all, v, v->slot[p->lin + k] - 1);
        struct mapped *page = &v->pages[v->count];
        *page = *p;
        page->lin += k;
        page->phys += k;
        v->slot[page->lin] = ++v->count;
        if (p->write) all->written[page->phys] = (struct written){all->written[page->phys].count + 1, page->lin};
    }
    *all->total += count;
}

static bool map_lazily(struct mappings *all, struct window *v, struct mapped *p, unsigned ahead)
{
    if (all->maps_fail) return false;
    count_call(all, v);
    p->lazy = place_map_lazily(&v->place, p->lin, 1 + ahead, p->phys, is_fresh(v, p->lin, 1 + ahead));
    all->given_up |= v->place.shared;
    return p->lazy;
}

static bool map_and_forbid(struct mappings *all, struct window *v, const struct mapped *p, unsigned ahead)
{
    if (!map(all, v, p, 1 + ahead)) return false;
    count_call(all, v);
    if (place_protect(&v->place, p->lin + 1, ahead, PROT_NONE)) return true;
    mapped_drop_all(all, v);
    return false;
}

/* Map a page, and those ahead of it by the same call, for it costs more than these do. */
static bool map_ahead(struct mappings *all, struct window *v, struct mapped *p, unsigned ahead)
{
    if (!map_lazily(all, v, p, ahead) && (all->given_up || !map_and_forbid(all, v, p, ahead))) return false;
    enter_run(all, v, &(struct mapped){.lin = p->lin + 1, .phys = p->phys + 1, .ahead = true, .lazy = p->lazy}, ahead);
    if (!p->lazy || place_give(&v->place, p->lin)) return true;
    p->lazy = false; /* the host has not given the guest this page yet */
    count_call(all, v);
    return place_map(&v->place, p->lin, 1, PROT_READ | PROT_WRITE, p->phys, false);
}

/* Whether it was ahead: half the price, or less. */
static bool allow(struct mappings *all, struct window *v, struct mapped *p)
{
    const struct mapped *had = v->slot[p->lin] ? &v->pages[v->slot[p->lin] - 1] : NULL;

    if (!had || !had->ahead || had->phys != p->phys || !p->write) return false;
    p->lazy = had->lazy;
    if (p->lazy) return place_give(&v->place, p->lin);
    count_call(all, v);
    return place_protect(&v->place, p->lin, 1, PROT_READ | PROT_WRITE);
}

static bool grant(struct mappings *all, struct window *v, struct mapped *p, unsigned count)
{
    if (count == 1 && allow(all, v, p)) return true;
    p->lazy = false;
    const unsigned ahead = count == 1 && !mapped_is_open(v, p->lin) ? pages_ahead(all, v, p) : 0;
    return ahead ? map_ahead(all, v, p, ahead) : map(all, v, p, count);
}

bool mapped_grant(struct mappings *all, struct window *v, struct mapped *p, unsigned count)
{
    if (!grant(all, v, p, count)) return false;
    enter_run(all, v, p, count);
    all->granted = p->phys + count - 1;
    return true;
}
