/* mmu.c: paging and the TLB, see mmu.h.
 *
 * Two tables of the same shape.  `slow` says what the page tables allow: it holds every translation, MMIO too, and is
 * what a processor's TLB is.  vp_vm.tlb is its part that loads and stores may use without a call: host memory, no
 * breakpoint on the page, no alignment check, and for writes no code and the dirty flag set.  An access that misses
 * there comes here, is answered from `slow` or by a walk, and enters the fast table where that is allowed.
 *
 * Accessed and dirty bits are set when an access is allowed, in all levels at once (SDM 3A 4.8).  A stale entry lives
 * until it is flushed, as on a real processor; a fault is always decided by a fresh walk.
 */
#include "mmu.h"
#include "cpuid.h"
#include "debug.h"
#include "engine.h"
#include "event.h"
#include "flags.h"
#include "mem.h"
#include "seg.h"
#include <stdlib.h>

/* Page-table entries, SDM 3A tables 4-5, 4-6, 4-10, 4-11. */
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100 };
enum { ERR_P = 1, ERR_W = 2, ERR_U = 4, ERR_RSVD = 8 }; /* figure 4-12 */
#define PHYS_BITS 36
#define PAE_ADDR 0xffffff000ull
#define PAE_RESERVED (~0ull << PHYS_BITS)
#define PAE_LARGE_RESERVED 0x1fe000ull
/* bits 20:13 of a 4 MB page's entry: PSE-36 takes 16:13 as address bits 35:32 (table 4-4) */
#define PSE_RESERVED 0x3fe000u
#define PSE36_RESERVED 0x3e0000u

enum { SLOW_GLOBAL = 1 };

struct slow_entry {
    uint32_t rd_tag, wr_tag; /* as in struct tlb_entry; wr_tag: may be written and D is set */
    uint32_t page;           /* physical page number, may lie above 4 GB */
    uint32_t flags;
};

enum { LOG_SIZE = 256, REGION_SHIFT = 22, REGIONS = 1 << (32 - REGION_SHIFT) };

struct mmu {
    struct slow_entry slow[2][TLB_SIZE];
    uint64_t mode;              /* control bits that the entries were made under */
    bool align[2];              /* [user]: alignment checks are on */
    bool watch;                 /* data breakpoints are set */
    uint8_t large[REGIONS / 8]; /* a bit for each 4 MB that had an entry from a large page since the last full flush */
    unsigned filled;            /* slots in `log`, or more than LOG_SIZE where not all are known */
    uint16_t log[LOG_SIZE];     /* slots filled since the last flush: a flush costs what was used */
};

bool mmu_create(struct vp_vm *m)
{
    m->mmu = calloc(1, sizeof *m->mmu);
    if (!m->mmu) return false;
    m->mmu->filled = LOG_SIZE + 1;
    mmu_flush(m, true);
    return true;
}

void mmu_destroy(struct vp_vm *m) { free(m->mmu); }

/* -- Page walk ---------------------------------------------------------------------------------------------------- */

struct walk {
    uint64_t phys; /* of the 4 KB page */
    uint32_t error;
    bool ok, writable, dirty, global, large;
    bool quiet; /* entries outside of memory are not read: a device may take notice */
    /* where to set A and D */
    uint64_t at[2], entry[2];
    unsigned levels, width;
};

static uint64_t read_entry(struct vp_vm *m, struct walk *w, uint64_t at)
{
    at = mem_a20(m, at);
    uint64_t entry = w->quiet && !mem_read_ptr(m, at) ? 0 : mem_read(m, at, w->width);
    w->at[w->levels] = at;
    w->entry[w->levels++] = entry;
    return entry;
}

/* False where the entry ends the walk by a fault. */
static bool entry_ok(struct walk *w, uint64_t entry, uint64_t reserved)
{
    if (!(entry & PTE_P)) return false;
    if (entry & reserved) {
        w->error = ERR_P | ERR_RSVD;
        return false;
    }
    return true;
}

/* 32-bit paging, SDM 3A 4.3. */
static bool walk_32(struct vp_vm *m, uint32_t lin, struct walk *w)
{
    w->width = 4;
    uint64_t pde = read_entry(m, w, (m->cpu.cr3 & PAGE_MASK) + (lin >> 22) * 4);
    w->large = (pde & PTE_PS) && (m->cpu.cr4 & CR4_PSE);
    if (w->large) {
        bool pse36 = cpuid_bits(m) & CPUID_PSE36;
        if (!entry_ok(w, pde, pse36 ? PSE36_RESERVED : PSE_RESERVED)) return false;
        uint64_t high = pse36 ? (pde & (PSE_RESERVED & ~PSE36_RESERVED)) << 19 : 0;
        w->phys = high | (pde & 0xffc00000u) | (lin & 0x3ff000);
        return true;
    }
    if (!entry_ok(w, pde, 0)) return false;
    uint64_t pte = read_entry(m, w, (pde & PAGE_MASK) + (lin >> 12 & 0x3ff) * 4);
    w->phys = pte & PAGE_MASK;
    return entry_ok(w, pte, 0);
}

/* PAE paging, SDM 3A 4.4. */
static bool walk_pae(struct vp_vm *m, uint32_t lin, struct walk *w)
{
    w->width = 8;
    uint64_t pdpte = m->cpu.pdpte[lin >> 30];
    if (!(pdpte & PTE_P)) return false;
    uint64_t pde = read_entry(m, w, (pdpte & PAE_ADDR) + (lin >> 21 & 0x1ff) * 8);
    w->large = pde & PTE_PS;
    if (!entry_ok(w, pde, PAE_RESERVED | (w->large ? PAE_LARGE_RESERVED : 0))) return false;
    if (w->large) {
        w->phys = (pde & PAE_ADDR & ~0x1fffffull) | (lin & 0x1ff000);
        return true;
    }
    uint64_t pte = read_entry(m, w, (pde & PAE_ADDR) + (lin >> 12 & 0x1ff) * 8);
    w->phys = pte & PAE_ADDR;
    return entry_ok(w, pte, PAE_RESERVED);
}

/* Access rights, SDM 3A 4.6: the entries of all levels together. */
static bool rights_ok(struct vp_vm *m, struct walk *w, bool write, bool user)
{
    uint64_t all = w->entry[0] & w->entry[w->levels - 1];

    w->writable = (all & PTE_W) || (!user && !(m->cpu.cr0 & CR0_WP));
    w->global = (w->entry[w->levels - 1] & PTE_G) && (m->cpu.cr4 & CR4_PGE);
    w->dirty = w->entry[w->levels - 1] & PTE_D;
    if ((!user || (all & PTE_U)) && (!write || w->writable)) return true;
    w->error = ERR_P;
    return false;
}

static void walk_as(struct vp_vm *m, uint32_t lin, bool write, bool user, bool quiet, struct walk *w)
{
    *w = (struct walk){.phys = lin & PAGE_MASK, .ok = true, .writable = true, .dirty = true, .quiet = quiet};
    if (!(m->cpu.cr0 & CR0_PG)) return;
    w->ok = (m->cpu.cr4 & CR4_PAE ? walk_pae(m, lin, w) : walk_32(m, lin, w)) && rights_ok(m, w, write, user);
    w->error |= (write ? ERR_W : 0) | (user ? ERR_U : 0);
}

static void walk(struct vp_vm *m, uint32_t lin, bool write, bool user, struct walk *w)
{
    walk_as(m, lin, write, user, false, w);
}

static void set_accessed_dirty(struct vp_vm *m, struct walk *w, bool write)
{
    for (unsigned level = 0; level < w->levels; level++) {
        bool last = level == w->levels - 1;
        uint64_t entry = w->entry[level] | PTE_A | (write && last ? PTE_D : 0);
        if (entry != w->entry[level]) mem_write(m, w->at[level], w->width, entry);
    }
    w->dirty |= write;
}

/* -- TLB ---------------------------------------------------------------------------------------------------------- */

static unsigned slot_of(uint32_t lin) { return lin >> PAGE_SHIFT & (TLB_SIZE - 1); }

static void forget_fast(struct vp_vm *m, bool user, unsigned slot)
{
    m->tlb[user][slot].rd_tag = m->tlb[user][slot].wr_tag = TLB_NONE;
}

static void forget(struct vp_vm *m, bool user, unsigned slot)
{
    struct slow_entry *s = &m->mmu->slow[user][slot];

    s->rd_tag = s->wr_tag = TLB_NONE;
    s->flags = 0;
    forget_fast(m, user, slot);
}

static void log_fill(struct mmu *mmu, bool user, unsigned slot)
{
    if (mmu->filled < LOG_SIZE) mmu->log[mmu->filled] = (uint16_t)(user << TLB_BITS | slot);
    if (mmu->filled <= LOG_SIZE) mmu->filled++;
}

static void fill_slow(struct vp_vm *m, bool user, uint32_t lin, const struct walk *w)
{
    struct slow_entry *s = &m->mmu->slow[user][slot_of(lin)];

    m->stats.tlb_fills++;
    log_fill(m->mmu, user, slot_of(lin));
    forget_fast(m, user, slot_of(lin));
    s->rd_tag = lin & PAGE_MASK;
    s->wr_tag = w->writable && w->dirty ? lin & PAGE_MASK : TLB_NONE;
    s->page = (uint32_t)(mem_a20(m, w->phys) >> PAGE_SHIFT);
    s->flags = w->global ? SLOW_GLOBAL : 0;
    if (w->large) m->mmu->large[lin >> REGION_SHIFT >> 3] |= 1 << (lin >> REGION_SHIFT & 7);
}

/* What a physical page itself allows: PLAIN_ bits. */
static unsigned plain_rights(const struct vp_vm *m, uint32_t page)
{
    const struct phys_page *p = &m->phys[page];
    uint8_t flags = m->page_flags[page];

    if (!p->read) return 0;
    bool write = p->write == p->read && !(flags & PG_CODE) && (!(flags & PG_DIRTY_TRACKED) || (flags & PG_DIRTY));
    return PLAIN_READ | (write ? PLAIN_WRITE : 0);
}

/* Let loads and stores use an entry directly, as far as the page allows it. */
static void fill_fast(struct vp_vm *m, bool user, uint32_t lin, const struct slow_entry *s)
{
    const struct mmu *mmu = m->mmu;
    const unsigned data = 1 << DEBUG_WRITE | 1 << DEBUG_READ_WRITE;
    struct tlb_entry *e = &m->tlb[user][slot_of(lin)];

    /* a device that the access reached may have flushed the entry */
    if (s->rd_tag != (lin & PAGE_MASK)) return;
    if (s->page >= PHYS_PAGES || mmu->align[user]) return;
    if (mmu->watch && debug_match(m, lin & PAGE_MASK, PAGE_SIZE, data)) return;
    unsigned rights = plain_rights(m, s->page);
    if (!rights) return;
    e->addend = (uintptr_t)m->phys[s->page].read - (lin & PAGE_MASK);
    e->rd_tag = lin & PAGE_MASK;
    e->wr_tag = rights & PLAIN_WRITE ? s->wr_tag : TLB_NONE;
}

/* The entry that allows the access, or #PF. */
static const struct slow_entry *translate(struct vp_vm *m, uint32_t lin, bool write, bool user)
{
    struct slow_entry *s = &m->mmu->slow[user][slot_of(lin)];
    struct walk w;

    if (likely((write ? s->wr_tag : s->rd_tag) == (lin & PAGE_MASK))) return s;
    walk(m, lin, write, user, &w);
    if (!w.ok) {
        forget(m, user, slot_of(lin)); /* SDM 3A 4.10.4.1: a fault drops the entry */
        if (m->engine->forget_page) m->engine->forget_page(m, lin);
        raise_pf(m, lin, w.error);
    }
    set_accessed_dirty(m, &w, write);
    fill_slow(m, user, lin, &w);
    return s;
}

static uint64_t phys_of(const struct slow_entry *s, uint32_t lin)
{
    return (uint64_t)s->page << PAGE_SHIFT | (lin & ~PAGE_MASK);
}

/* Clear all entries, or all but the global ones, which make a new log. */
static void flush_all(struct vp_vm *m, bool global_too)
{
    m->mmu->filled = 0;
    for (unsigned k = 0; k < 2 * TLB_SIZE; k++) {
        bool user = k >> TLB_BITS;
        unsigned slot = k & (TLB_SIZE - 1);
        if (!global_too && (m->mmu->slow[user][slot].flags & SLOW_GLOBAL))
            log_fill(m->mmu, user, slot);
        else
            forget(m, user, slot);
    }
}

static void flush_logged(struct vp_vm *m, bool global_too)
{
    struct mmu *mmu = m->mmu;
    unsigned kept = 0;

    for (unsigned k = 0; k < mmu->filled; k++) {
        bool user = mmu->log[k] >> TLB_BITS;
        unsigned slot = mmu->log[k] & (TLB_SIZE - 1);
        if (!global_too && (mmu->slow[user][slot].flags & SLOW_GLOBAL))
            mmu->log[kept++] = mmu->log[k];
        else
            forget(m, user, slot);
    }
    mmu->filled = kept;
}

void mmu_flush(struct vp_vm *m, bool global_too)
{
    m->stats.tlb_flushes++;
    if (m->mmu->filled <= LOG_SIZE)
        flush_logged(m, global_too);
    else
        flush_all(m, global_too);
    if (global_too) memset(m->mmu->large, 0, sizeof m->mmu->large);
    if (m->engine) m->engine->flush_tlb(m);
}

void mmu_flush_page(struct vp_vm *m, uint32_t lin)
{
    uint32_t region = lin >> REGION_SHIFT;

    if (m->mmu->large[region >> 3] >> (region & 7) & 1) {
        mmu_flush(m, true); /* an entry of a large page goes as a whole */
        return;
    }
    for (unsigned user = 0; user < 2; user++)
        if (m->mmu->slow[user][slot_of(lin)].rd_tag == (lin & PAGE_MASK)) forget(m, user, slot_of(lin));
    m->engine->flush_page(m, lin);
    if (m->engine->forget_page) m->engine->forget_page(m, lin);
}

void mmu_mode_changed(struct vp_vm *m)
{
    struct mmu *mmu = m->mmu;
    const uint32_t cr0_bits = CR0_PG | CR0_PE | CR0_WP, cr4_bits = CR4_PSE | CR4_PAE | CR4_PGE;

    mmu->align[1] = (m->cpu.cr0 & CR0_AM) && (m->cpu.eflags & EF_AC) && m->user;
    mmu->watch = debug_wants(m, 1 << DEBUG_WRITE | 1 << DEBUG_READ_WRITE);
    uint64_t mode = (uint64_t)(m->cpu.cr4 & cr4_bits) << 32 | (m->cpu.cr0 & cr0_bits) | mmu->align[1] << 1;
    if (mode == mmu->mode && !mmu->watch) return;
    mmu->mode = mode;
    mmu_flush(m, true);
}

void mmu_forget_writes(struct vp_vm *m, uint32_t first, uint32_t last)
{
    for (unsigned k = 0; k < 2 * TLB_SIZE; k++) {
        uint32_t page = m->mmu->slow[k >> TLB_BITS][k & (TLB_SIZE - 1)].page;
        if (page - first <= last - first) m->tlb[k >> TLB_BITS][k & (TLB_SIZE - 1)].wr_tag = TLB_NONE;
    }
    if (m->engine && m->engine->forget_writes) m->engine->forget_writes(m, first, last);
}

unsigned mmu_peek(struct vp_vm *m, uint32_t lin, bool user, uint32_t *page)
{
    struct walk w;

    walk_as(m, lin, false, user, true, &w);
    for (unsigned level = 0; level < w.levels; level++) w.ok = w.ok && (w.entry[level] & PTE_A);
    *page = (uint32_t)(mem_a20(m, w.phys) >> PAGE_SHIFT);
    if (!w.ok || mem_a20(m, w.phys) >> PAGE_SHIFT >= PHYS_PAGES) return 0;
    return plain_rights(m, *page) & (w.writable && w.dirty ? PLAIN_READ | PLAIN_WRITE : PLAIN_READ);
}

bool mmu_is_plain(const struct vp_vm *m) { return !m->mmu->watch && !m->mmu->align[m->user]; }

/* -- Accesses ----------------------------------------------------------------------------------------------------- */

static bool crosses(uint32_t lin, unsigned size) { return (lin & ~PAGE_MASK) + size > PAGE_SIZE; }

/* #AC comes before #PF: it looks at the address alone. */
static void check_align(struct vp_vm *m, uint32_t lin, unsigned size, bool user)
{
    if (unlikely(m->mmu->align[user]) && (lin & (size - 1))) raise_err(m, EXC_AC, 0);
}

/* Bytes of an access that crosses into the next page: the part on the first one. */
static unsigned first_part(uint32_t lin) { return PAGE_SIZE - (lin & ~PAGE_MASK); }

static uint64_t read_bytes(struct vp_vm *m, uint64_t phys, unsigned count)
{
    uint64_t value = 0;

    for (unsigned k = 0; k < count; k++) value |= mem_read(m, phys + k, 1) << 8 * k;
    return value;
}

static void write_bytes(struct vp_vm *m, uint64_t phys, unsigned count, uint64_t value)
{
    for (unsigned k = 0; k < count; k++) mem_write(m, phys + k, 1, value >> 8 * k & 0xff);
}

static uint64_t load(struct vp_vm *m, uint32_t lin, unsigned size, bool write, bool user)
{
    check_align(m, lin, size, user);
    const struct slow_entry *s = translate(m, lin, write, user);
    uint64_t phys = phys_of(s, lin), value;
    if (unlikely(crosses(lin, size))) {
        unsigned part = first_part(lin);
        uint64_t next = phys_of(translate(m, lin + part, write, user), lin + part);
        value = read_bytes(m, phys, part) | read_bytes(m, next, size - part) << 8 * part;
    } else {
        fill_fast(m, user, lin, s);
        value = mem_read(m, phys, size);
    }
    if (unlikely(m->mmu->watch)) debug_data(m, lin, size, false);
    return value;
}

static void store(struct vp_vm *m, uint32_t lin, unsigned size, uint64_t value, bool user)
{
    check_align(m, lin, size, user);
    const struct slow_entry *s = translate(m, lin, true, user);
    uint64_t phys = phys_of(s, lin);
    if (unlikely(crosses(lin, size))) {
        unsigned part = first_part(lin);
        uint64_t next = phys_of(translate(m, lin + part, true, user), lin + part);
        write_bytes(m, phys, part, value);
        write_bytes(m, next, size - part, value >> 8 * part);
    } else {
        mem_write(m, phys, size, value); /* sets the dirty flag that fill_fast() looks for */
        fill_fast(m, user, lin, s);
    }
    if (unlikely(m->mmu->watch)) debug_data(m, lin, size, true);
}

uint64_t mmu_ld_slow(struct vp_vm *m, uint32_t lin, unsigned size) { return load(m, lin, size, false, m->user); }
uint64_t mmu_ld_rmw_slow(struct vp_vm *m, uint32_t lin, unsigned size) { return load(m, lin, size, true, m->user); }
void mmu_st_slow(struct vp_vm *m, uint32_t lin, unsigned size, uint64_t value) { store(m, lin, size, value, m->user); }
uint32_t mmu_sys_ld(struct vp_vm *m, uint32_t lin, unsigned size) { return (uint32_t)load(m, lin, size, false, false); }
void mmu_sys_st(struct vp_vm *m, uint32_t lin, unsigned size, uint32_t value) { store(m, lin, size, value, false); }

void mmu_check(struct vp_vm *m, uint32_t lin, unsigned size, enum access acc)
{
    check_align(m, lin, size, m->user);
    translate(m, lin, acc == ACC_WRITE, m->user);
    if (crosses(lin, size)) translate(m, lin + first_part(lin), acc == ACC_WRITE, m->user);
}

uint8_t *mmu_span(struct vp_vm *m, uint32_t lin, uint32_t *n, enum access acc)
{
    const struct tlb_entry *e = tlb_at(m, lin);
    bool write = acc == ACC_WRITE;
    uint32_t room = first_part(lin);

    if (*n > room) *n = room;
    if ((write ? e->wr_tag : e->rd_tag) == (lin & PAGE_MASK)) return (uint8_t *)(e->addend + lin);
    const struct slow_entry *s = translate(m, lin, write, m->user);
    uint64_t phys = phys_of(s, lin);
    if (m->mmu->watch || m->mmu->align[m->user]) return NULL;
    /* the const is cast away for readers only */
    uint8_t *at = write ? mem_write_ptr(m, phys, *n) : (uint8_t *)mem_read_ptr(m, phys);
    if (at) fill_fast(m, m->user, lin, s);
    return at;
}

uint64_t mmu_fetch_phys(struct vp_vm *m, uint32_t lin) { return phys_of(translate(m, lin, false, m->user), lin); }

int64_t mmu_probe(struct vp_vm *m, uint32_t lin)
{
    struct walk w;

    walk(m, lin, false, false, &w);
    return w.ok ? (int64_t)(mem_a20(m, w.phys) | (lin & ~PAGE_MASK)) : -1;
}
