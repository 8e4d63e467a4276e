/* space.c: flat tables, generations and address spaces, see space.h. */
#include "space.h"
#include "engine.h"
#include "mem.h"
#include "mmu.h"
#include "walk.h"
#include <string.h>
#include <sys/mman.h>

enum {
    CODE_PAGES = 1024,    /* of a space */
    SYSTEM_PAGES = 4096,  /* of code that the supervisor executes */
    DATA_PAGES = 1 << 15, /* of a space while it is loaded: with fewer, large programs are walked for again and again */
    DATA_KEPT = 256,      /* of these, over to its next load */
    GLOBAL_PAGES = 1 << 15,
    REGION_SHIFT = 22, /* of the pages that one entry of a page directory has */
    REGION_PAGES = 1 << (REGION_SHIFT - PAGE_SHIFT),
    REGIONS = 1 << (32 - REGION_SHIFT),
    SEEN_BITS = 15,
    SEEN = 1 << SEEN_BITS, /* uses of pages: 32 MB, read and written, are half of them */
};
#define GENERATION_STEP (UINT64_C(1) << GENERATION_SHIFT)

struct page {
    uint32_t lin; /* address, and USE_ bits */
    uint32_t page;
};

struct list {
    unsigned count;
    struct page at[];
};
#define LIST(room)                                                                                                     \
    struct {                                                                                                           \
        unsigned count;                                                                                                \
        struct page at[room];                                                                                          \
    }

/* Which pages a footprint has: their numbers, hashed.  When half of the bits are set, they all are forgotten. */
struct seen {
    struct footprint footprint;
    uint64_t bits[SEEN / 64];
};

struct space {
    bool known;
    uint32_t cr3;
    uint64_t generation; /* of the user's code */
    uint64_t loaded;     /* the how-manieth load of CR3 */
    struct seen seen[2]; /* [user]; the supervisor's only without global pages */
    LIST(CODE_PAGES) code;
    LIST(DATA_PAGES) data;
};

/* Linear pages by which a physical one may be written directly, plus 1, or 0; at most these two, or MANY. */
struct writers {
    uint32_t lin[2];
};
#define MANY UINT32_MAX

struct spaces {
    struct space *current;
    uint64_t newest; /* generation */
    uint64_t loads;
    unsigned locals;               /* pages of `system` that are not global */
    uint32_t missed;               /* page of the last access that was not allowed, plus 1; or 0 */
    struct seen seen;              /* by the supervisor in all spaces: global pages */
    uint8_t large[REGIONS / 8];    /* regions that had an entry from a large page since the last full flush */
    uint16_t listed[2][LIN_PAGES]; /* [user]: where the page stands in the list of code pages, plus 1 */
    struct writers writers[PHYS_PAGES];
    LIST(SYSTEM_PAGES) system; /* code that the supervisor executes, in all spaces */
    LIST(GLOBAL_PAGES) global; /* data */
    struct space space[ADDRESS_SPACES];
};

/* -- Generations -------------------------------------------------------------------------------------------------- */

static uint64_t new_generation(struct vp_vm *m)
{
    struct spaces *s = m->spaces;

    s->newest += GENERATION_STEP;
    if (s->newest) return s->newest;
    /* they start over: nothing may remember the old ones */
    for (unsigned k = 0; k < ADDRESS_SPACES; k++) s->space[k].known = false;
    if (m->engine) m->engine->invalidate(m, 0, UINT64_MAX);
    return s->newest += GENERATION_STEP;
}

static void unlist(uint16_t *listed, const struct page *at, unsigned count)
{
    for (unsigned k = 0; k < count; k++) listed[at[k].lin >> PAGE_SHIFT] = 0;
}

static void drop_user_code(struct vp_vm *m)
{
    struct space *a = m->spaces->current;

    unlist(m->spaces->listed[1], a->code.at, a->code.count);
    a->code.count = 0;
    m->generation[1] = a->generation = new_generation(m);
}

static void drop_system_code(struct vp_vm *m)
{
    struct spaces *s = m->spaces;

    unlist(s->listed[0], s->system.at, s->system.count);
    s->system.count = s->locals = 0;
    m->generation[0] = new_generation(m);
}

static void list_user_code(struct vp_vm *m, uint32_t lin, uint32_t page)
{
    struct space *a = m->spaces->current;
    uint16_t *place = &m->spaces->listed[1][lin >> PAGE_SHIFT];

    if (*place && a->code.at[*place - 1].page == page) return;
    if (*place || a->code.count == CODE_PAGES) drop_user_code(m);
    a->code.at[a->code.count] = (struct page){(lin & PAGE_MASK) | USE_UX, page};
    *place = (uint16_t)++a->code.count;
}

static void list_system_code(struct vp_vm *m, uint32_t lin, uint32_t page)
{
    struct spaces *s = m->spaces;
    uint16_t *place = &s->listed[0][lin >> PAGE_SHIFT];
    uint32_t now;

    if (*place && s->system.at[*place - 1].page == page) return;
    if (*place || s->system.count == SYSTEM_PAGES) drop_system_code(m);
    unsigned global = walk_uses(m, lin, &now) & USE_GLOBAL;
    s->locals += !global;
    s->system.at[s->system.count] = (struct page){(lin & PAGE_MASK) | USE_SX | global, page};
    *place = (uint16_t)++s->system.count;
}

void space_code(struct vp_vm *m, uint32_t lin, uint32_t page)
{
    if (m->user)
        list_user_code(m, lin, page);
    else
        list_system_code(m, lin, page);
}

/* What of a listed page's uses the page tables allow still. */
static unsigned still(struct vp_vm *m, const struct page *p)
{
    uint32_t page;
    unsigned uses = walk_uses(m, p->lin & PAGE_MASK, &page);

    return page == p->page ? uses & p->lin : 0;
}

static bool code_stays(struct vp_vm *m, const struct page *at, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        if (!(at[k].lin & USE_GLOBAL) && !(still(m, &at[k]) & (USE_SX | USE_UX))) return false;
    return true;
}

/* -- Footprints --------------------------------------------------------------------------------------------------- */

/* Where uses of that privilege are noted; NULL: nowhere, it is a page of the user that the supervisor has reached for.
 */
static struct seen *seen_by(const struct vp_vm *m, bool user, bool global)
{
    struct spaces *s = m->spaces;

    if (user || !space_has_globals(m)) return &s->current->seen[user];
    return global ? &s->seen : NULL;
}

static void forget_seen(struct seen *s)
{
    memset(s->bits, 0, sizeof s->bits);
    s->footprint.different = 0;
}

/* Reading and writing are two: a page that is not known to be dirty is mapped anew to be written. */
static void see(struct seen *s, uint32_t lin, bool write)
{
    const uint32_t GOLDEN = 0x9e3779b1; /* a hash by multiplication: 2^32 over the golden ratio */
    uint32_t bit = ((lin >> PAGE_SHIFT) << 1 | write) * GOLDEN >> (32 - SEEN_BITS);
    uint64_t *word = &s->bits[bit / 64], mask = UINT64_C(1) << bit % 64;

    if (*word & mask) return;
    if (s->footprint.different == SEEN / 2) forget_seen(s);
    *word |= mask;
    s->footprint.different++;
    s->footprint.pages++;
}

static unsigned data_uses(bool user) { return user ? USE_UR | USE_UW : USE_SR | USE_SW; }

static void note_use(struct vp_vm *m, uint32_t lin, unsigned fresh, bool global)
{
    for (unsigned user = 0; user < 2; user++) {
        unsigned uses = fresh & data_uses(user);
        struct seen *s = uses ? seen_by(m, user, global) : NULL;
        if (s) see(s, lin, uses & USE_WRITE);
    }
}

/* Page tables have changed, or may have, for a page in use: if it is used again it is as one that is new. */
static void note_change(struct vp_vm *m, unsigned uses, bool global)
{
    for (unsigned user = 0; user < 2; user++) {
        struct seen *s = uses & data_uses(user) ? seen_by(m, user, global) : NULL;
        if (s) s->footprint.pages++;
    }
}

static void choose_footprints(struct vp_vm *m)
{
    for (unsigned user = 0; user < 2; user++) m->footprint[user] = &seen_by(m, user, true)->footprint;
}

/* -- Flat tables -------------------------------------------------------------------------------------------------- */

static void clear(struct vp_vm *m, uint32_t lin)
{
    for (unsigned table = 0; table < FLATS; table++) m->flat[table][lin >> PAGE_SHIFT] = 0;
}

static unsigned entered(const struct vp_vm *m, uint32_t lin_page)
{
    unsigned uses = 0;

    for (unsigned table = 0; table < FLATS; table++) uses |= (m->flat[table][lin_page] != 0) << table;
    return uses;
}

static void clear_list(struct vp_vm *m, const struct page *at, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        for (unsigned table = 0; table < FLATS; table++)
            if (at[k].lin >> table & 1) m->flat[table][at[k].lin >> PAGE_SHIFT] = 0;
}

static bool writes_to(const struct vp_vm *m, uint32_t lin, uint32_t page)
{
    uintptr_t there = (uintptr_t)m->phys[page].write - (lin & PAGE_MASK);

    return m->flat[FLAT_SW][lin >> PAGE_SHIFT] == there || m->flat[FLAT_UW][lin >> PAGE_SHIFT] == there;
}

static void note_writer(struct vp_vm *m, uint32_t lin, uint32_t page)
{
    struct writers *w = &m->spaces->writers[page];
    uint32_t me = (lin >> PAGE_SHIFT) + 1;

    for (unsigned k = 0; k < 2; k++)
        if (w->lin[k] == me || w->lin[k] == MANY) return;
    for (unsigned k = 0; k < 2; k++)
        if (!w->lin[k] || !writes_to(m, (w->lin[k] - 1) << PAGE_SHIFT, page)) {
            w->lin[k] = me;
            return;
        }
    w->lin[1] = MANY;
}

unsigned space_plain(const struct vp_vm *m, unsigned uses, uint32_t page)
{
    if (page >= PHYS_PAGES || !m->phys[page].read) return 0;
    const struct phys_page *p = &m->phys[page];
    uint8_t flags = m->page_flags[page];
    bool clean = (flags & PG_DIRTY_TRACKED) && !(flags & PG_DIRTY);
    return p->write != p->read || (flags & PG_CODE) || clean ? uses & ~(unsigned)USE_WRITE : uses;
}

/* What was not entered before. */
static unsigned enter(struct vp_vm *m, uint32_t lin, unsigned uses, uint32_t page)
{
    uses = space_plain(m, uses, page) & mmu_plain(m, lin) & USE_DATA;
    if (!uses) return 0;
    uintptr_t delta = (uintptr_t)m->phys[page].read - (lin & PAGE_MASK);
    unsigned fresh = 0;
    for (unsigned table = 0; table < FLATS; table++) {
        uintptr_t *at = &m->flat[table][lin >> PAGE_SHIFT];
        if (!(uses >> table & 1) || *at == delta) continue;
        *at = delta;
        fresh |= 1u << table;
    }
    if (fresh & USE_WRITE) note_writer(m, lin, page);
    return fresh;
}

static void drop_data(struct vp_vm *m, struct space *a)
{
    clear_list(m, a->data.at, a->data.count);
    a->data.count = 0;
}

static void drop_global(struct vp_vm *m)
{
    clear_list(m, m->spaces->global.at, m->spaces->global.count);
    m->spaces->global.count = 0;
}

void space_fill(struct vp_vm *m, uint32_t lin, unsigned uses, uint32_t page)
{
    struct spaces *s = m->spaces;
    unsigned fresh = enter(m, lin, uses, page);

    if (!fresh) return;
    note_use(m, lin, fresh, uses & USE_GLOBAL);
    struct page p = {(lin & PAGE_MASK) | fresh, page};
    if (uses & USE_GLOBAL) {
        s->global.at[s->global.count++] = p;
        if (s->global.count == GLOBAL_PAGES) drop_global(m);
    } else {
        s->current->data.at[s->current->data.count++] = p;
        if (s->current->data.count == DATA_PAGES) drop_data(m, s->current);
    }
}

void space_forget_data(struct vp_vm *m, uint32_t lin)
{
    clear(m, lin);
    m->spaces->missed = (lin >> PAGE_SHIFT) + 1;
    if (m->engine->forget_page) m->engine->forget_page(m, lin);
}

void space_fill_given(struct vp_vm *m)
{
    const uint32_t missed = m->spaces->missed, lin = (missed - 1) << PAGE_SHIFT;
    uint32_t page;

    if (!missed) return;
    m->spaces->missed = 0;
    const unsigned uses = walk_uses(m, lin, &page);
    if (!(uses & USE_LARGE)) space_fill(m, lin, uses & (USE_UR | USE_UW | USE_GLOBAL), page);
}

void space_large(struct vp_vm *m, uint32_t lin)
{
    m->spaces->large[lin >> REGION_SHIFT >> 3] |= 1 << (lin >> REGION_SHIFT & 7);
}

/* -- Loading CR3 -------------------------------------------------------------------------------------------------- */

static void leave(struct vp_vm *m, struct space *a)
{
    clear_list(m, a->data.at, a->data.count);
    unlist(m->spaces->listed[1], a->code.at, a->code.count);
    if (a->data.count <= DATA_KEPT) return;
    memmove(a->data.at, a->data.at + a->data.count - DATA_KEPT, DATA_KEPT * sizeof *a->data.at);
    a->data.count = DATA_KEPT;
}

/* It is another one's from now on. */
static void be_born(struct vp_vm *m, struct seen *seen, uint64_t when)
{
    forget_seen(seen);
    seen->footprint.born = when;
    m->births++;
}

/* The space of the present CR3, or one that is free for it. */
static struct space *find(struct vp_vm *m)
{
    struct spaces *s = m->spaces;
    struct space *oldest = s->space;

    for (struct space *a = s->space; a < s->space + ADDRESS_SPACES; a++) {
        if (a->known && a->cr3 == m->cpu.cr3) return a;
        if (!a->known || (oldest->known && a->loaded < oldest->loaded)) oldest = a;
    }
    oldest->known = true;
    oldest->cr3 = m->cpu.cr3;
    for (unsigned user = 0; user < 2; user++) be_born(m, &oldest->seen[user], s->loads + 1);
    oldest->code.count = oldest->data.count = 0;
    oldest->generation = new_generation(m);
    return oldest;
}

static void take_up(struct vp_vm *m, struct space *a)
{
    unsigned kept = 0;

    if (!code_stays(m, a->code.at, a->code.count)) {
        be_born(m, &a->seen[1], a->loaded);
        a->code.count = 0;
        a->generation = new_generation(m);
    }
    for (unsigned k = 0; k < a->code.count; k++)
        m->spaces->listed[1][a->code.at[k].lin >> PAGE_SHIFT] = (uint16_t)(k + 1);
    for (unsigned k = 0; k < a->data.count; k++) {
        struct page p = a->data.at[k];
        unsigned allowed = still(m, &p), uses = enter(m, p.lin, allowed, p.page);
        if (p.lin & USE_DATA & ~allowed) note_change(m, p.lin & ~allowed, false);
        if (uses) a->data.at[kept++] = (struct page){(p.lin & PAGE_MASK) | uses, p.page};
    }
    a->data.count = kept;
}

void space_load(struct vp_vm *m)
{
    struct spaces *s = m->spaces;

    leave(m, s->current);
    struct space *a = s->current = find(m);
    a->loaded = ++s->loads;
    take_up(m, a);
    m->generation[1] = a->generation;
    choose_footprints(m);
    if (s->locals && !code_stays(m, s->system.at, s->system.count)) drop_system_code(m);
    if (m->engine->flush_tlb) m->engine->flush_tlb(m, false);
}

/* -- Forgetting --------------------------------------------------------------------------------------------------- */

void space_flush(struct vp_vm *m)
{
    struct spaces *s = m->spaces;

    drop_global(m);
    leave(m, s->current);
    for (unsigned k = 0; k < ADDRESS_SPACES; k++) s->space[k].known = false;
    memset(s->large, 0, sizeof s->large);
    s->current = find(m);
    m->generation[1] = s->current->generation;
    choose_footprints(m);
    drop_system_code(m);
    if (m->engine && m->engine->flush_tlb) m->engine->flush_tlb(m, true);
}

void space_flush_page(struct vp_vm *m, uint32_t lin)
{
    struct spaces *s = m->spaces;
    uint32_t region = lin >> REGION_SHIFT, first = lin >> PAGE_SHIFT, count = 1;
    bool code[2] = {false, false};

    if (s->large[region >> 3] >> (region & 7) & 1) { /* an entry of a large page goes as a whole */
        first = region << (REGION_SHIFT - PAGE_SHIFT);
        count = REGION_PAGES;
    }
    for (uint32_t k = first; k < first + count; k++) {
        unsigned uses = entered(m, k);
        note_change(m, uses, !(uses & data_uses(true)));
        clear(m, k << PAGE_SHIFT);
        for (unsigned user = 0; user < 2; user++) code[user] |= s->listed[user][k] != 0;
    }
    if (code[0]) drop_system_code(m);
    if (code[1]) drop_user_code(m);
    if (count == 1 && m->engine->forget_page) m->engine->forget_page(m, lin);
    if (count > 1 && m->engine->flush_tlb) m->engine->flush_tlb(m, true);
}

static void forget_writes(struct vp_vm *m, uint32_t lin)
{
    m->flat[FLAT_SW][lin >> PAGE_SHIFT] = m->flat[FLAT_UW][lin >> PAGE_SHIFT] = 0;
}

static void forget_listed(struct vp_vm *m, const struct page *at, unsigned count, uint32_t first, uint32_t last)
{
    for (unsigned k = 0; k < count; k++)
        if ((at[k].lin & USE_WRITE) && at[k].page - first <= last - first) forget_writes(m, at[k].lin);
}

void space_forget_writes(struct vp_vm *m, uint32_t first, uint32_t last)
{
    struct spaces *s = m->spaces;
    bool many = false;

    for (uint32_t page = first; page <= last; page++) {
        struct writers *w = &s->writers[page];
        for (unsigned k = 0; k < 2; k++) {
            if (w->lin[k] == MANY)
                many = true;
            else if (w->lin[k])
                forget_writes(m, (w->lin[k] - 1) << PAGE_SHIFT);
        }
        if (w->lin[0]) *w = (struct writers){{0, 0}};
    }
    if (m->engine && m->engine->forget_writes) m->engine->forget_writes(m, first, last);
    if (!many) return;
    forget_listed(m, s->current->data.at, s->current->data.count, first, last);
    forget_listed(m, s->global.at, s->global.count, first, last);
}

/* -- Life --------------------------------------------------------------------------------------------------------- */

bool space_create(struct vp_vm *m)
{
    struct spaces *s = m->spaces = mem_reserve(sizeof *s);

    if (!s) return false;
    s->current = s->space;
    for (unsigned k = 0; k < FOOTPRINTS - 1; k++) s->space[k / 2].seen[k & 1].footprint.place = k;
    s->seen.footprint.place = FOOTPRINTS - 1;
    space_flush(m);
    return true;
}

void space_destroy(struct vp_vm *m)
{
    mem_release(m->spaces, sizeof *m->spaces);
    m->spaces = NULL;
}
