/* mmu.c: accesses to guest memory that the flat tables do not answer, see mmu.h.
 *
 * The flat tables (space.c) hold what loads and stores may use without a call: host memory, no breakpoint on the page,
 * no alignment check, and for writes no code and the dirty flag set.  An access that misses there comes here, walks the
 * page tables, and is entered where that is allowed.
 *
 * Accessed and dirty bits are set when an access is allowed.  A stale entry lives until it is flushed, as on a real
 * processor; a fault is always decided by a fresh walk.
 */
#include "mmu.h"
#include "cpuid.h"
#include "debug.h"
#include "event.h"
#include "flags.h"
#include "mem.h"
#include "seg.h"
#include "space.h"
#include "walk.h"

/* -- Flat tables -------------------------------------------------------------------------------------------------- */

void mmu_flush(struct vp_vm *m, bool global_too)
{
    m->stats.tlb_flushes++;
    if (global_too)
        space_flush(m);
    else
        space_load(m);
}

void mmu_flush_page(struct vp_vm *m, uint32_t lin) { space_flush_page(m, lin); }

void mmu_mode_changed(struct vp_vm *m)
{
    const uint32_t cr0_bits = CR0_PG | CR0_PE | CR0_WP, cr4_bits = CR4_PSE | CR4_PAE | CR4_PGE;

    m->align = (m->cpu.cr0 & CR0_AM) && (m->cpu.eflags & EF_AC) && m->user;
    m->watch = debug_wants(m, 1 << DEBUG_WRITE | 1 << DEBUG_READ_WRITE);
    uint64_t mode = (uint64_t)(m->cpu.cr4 & cr4_bits) << 32 | (m->cpu.cr0 & cr0_bits) | m->align << 1;
    if (mode == m->paging_mode && !m->watch) return;
    m->paging_mode = mode;
    mmu_flush(m, true);
}

unsigned mmu_plain(struct vp_vm *m, uint32_t lin)
{
    const unsigned data = 1 << DEBUG_WRITE | 1 << DEBUG_READ_WRITE;

    if (m->watch && debug_match(m, lin & PAGE_MASK, PAGE_SIZE, data)) return 0;
    return m->align ? USE_ALL & ~(USE_UR | USE_UW) : USE_ALL;
}

bool mmu_is_plain(const struct vp_vm *m) { return !m->watch && !(m->align && m->user); }

unsigned mmu_peek(struct vp_vm *m, uint32_t lin, bool user, uint32_t *page)
{
    unsigned allowed = walk_uses(m, lin, page);
    unsigned uses = space_plain(m, allowed, *page) >> (user ? FLAT_UR : FLAT_SR);
    unsigned rights = (uses & USE_SR ? PLAIN_READ : 0) | (uses & USE_SW ? PLAIN_WRITE : 0);

    return rights && (allowed & USE_GLOBAL) ? rights | PLAIN_GLOBAL : rights;
}

/* A page as an access found it. */
struct found {
    uint64_t phys; /* of the page, after the A20 gate; may lie above 4 GB */
    unsigned uses; /* for space_fill() */
};

/* The page that allows the access, or #PF. */
static struct found translate(struct vp_vm *m, uint32_t lin, bool write, bool user)
{
    struct walk w;

    walk_tables(m, lin, write, user, &w);
    if (!w.ok) {
        space_forget_data(m, lin); /* SDM 3A 4.10.4.1: a fault drops the entry */
        raise_pf(m, lin, w.error);
    }
    walk_mark(m, &w, write);
    if (w.large) space_large(m, lin);
    unsigned reads = user ? USE_UR : USE_SR, writes = user ? USE_UW : USE_SW;
    return (struct found){mem_a20(m, w.phys),
                          reads | (w.writable && w.dirty ? writes : 0) | (w.global ? USE_GLOBAL : 0)};
}

static uint64_t phys_of(const struct found *f, uint32_t lin) { return f->phys | (lin & ~PAGE_MASK); }

/* Not what an access across a page's end found: it asks each time, and of windows (bt/mode.c) that tells nothing. */
static void enter(struct vp_vm *m, uint32_t lin, const struct found *f)
{
    m->stats.tlb_fills++;
    if (!(f->phys >> 32)) space_fill(m, lin, f->uses, (uint32_t)(f->phys >> PAGE_SHIFT));
}

/* -- Accesses ----------------------------------------------------------------------------------------------------- */

static bool crosses(uint32_t lin, unsigned size) { return (lin & ~PAGE_MASK) + size > PAGE_SIZE; }

/* #AC comes before #PF: it looks at the address alone. */
static void check_align(struct vp_vm *m, uint32_t lin, unsigned size, bool user)
{
    if (unlikely(m->align && user) && (lin & (size - 1))) raise_err(m, EXC_AC, 0);
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
    struct found f = translate(m, lin, write, user);
    uint64_t phys = phys_of(&f, lin), value;
    if (unlikely(crosses(lin, size))) {
        unsigned part = first_part(lin);
        struct found g = translate(m, lin + part, write, user);
        uint64_t next = phys_of(&g, lin + part);
        value = read_bytes(m, phys, part) | read_bytes(m, next, size - part) << 8 * part;
    } else {
        enter(m, lin, &f);
        value = mem_read(m, phys, size);
    }
    if (unlikely(m->watch)) debug_data(m, lin, size, false);
    return value;
}

static void store(struct vp_vm *m, uint32_t lin, unsigned size, uint64_t value, bool user)
{
    check_align(m, lin, size, user);
    struct found f = translate(m, lin, true, user);
    uint64_t phys = phys_of(&f, lin);
    if (unlikely(crosses(lin, size))) {
        unsigned part = first_part(lin);
        struct found g = translate(m, lin + part, true, user);
        uint64_t next = phys_of(&g, lin + part);
        write_bytes(m, phys, part, value);
        write_bytes(m, next, size - part, value >> 8 * part);
    } else {
        uint8_t *at = mem_write_ptr(m, phys, size); /* sets the dirty flag that enter() looks for */
        enter(m, lin, &f);
        if (likely(at))
            memcpy(at, &value, size);
        else
            mem_write(m, phys, size, value);
    }
    if (unlikely(m->watch)) debug_data(m, lin, size, true);
}

uint64_t mmu_ld_slow(struct vp_vm *m, uint32_t lin, unsigned size) { return load(m, lin, size, false, m->user); }
uint64_t mmu_ld_rmw_slow(struct vp_vm *m, uint32_t lin, unsigned size) { return load(m, lin, size, true, m->user); }
void mmu_st_slow(struct vp_vm *m, uint32_t lin, unsigned size, uint64_t value) { store(m, lin, size, value, m->user); }

uint32_t mmu_sys_ld_slow(struct vp_vm *m, uint32_t lin, unsigned size)
{
    return (uint32_t)load(m, lin, size, false, false);
}
void mmu_sys_st_slow(struct vp_vm *m, uint32_t lin, unsigned size, uint32_t value)
{
    store(m, lin, size, value, false);
}

void mmu_check(struct vp_vm *m, uint32_t lin, unsigned size, enum access acc)
{
    check_align(m, lin, size, m->user);
    translate(m, lin, acc == ACC_WRITE, m->user);
    if (crosses(lin, size)) translate(m, lin + first_part(lin), acc == ACC_WRITE, m->user);
}

uint8_t *mmu_span(struct vp_vm *m, uint32_t lin, uint32_t *n, enum access acc)
{
    bool write = acc == ACC_WRITE;
    uint32_t room = first_part(lin);

    if (*n > room) *n = room;
    uint8_t *at = mmu_at(m, lin, 1, write);
    if (likely(at)) return at;
    struct found f = translate(m, lin, write, m->user);
    uint64_t phys = phys_of(&f, lin);
    if (m->watch || (m->align && m->user)) return NULL;
    /* the const is cast away for readers only */
    at = write ? mem_write_span(m, phys, *n) : (uint8_t *)mem_read_ptr(m, phys);
    if (at) enter(m, lin, &f);
    return at;
}

int64_t mmu_fetch_flat(struct vp_vm *m, uint32_t lin)
{
    const uint8_t *at = mmu_at(m, lin, 1, false);

    if (!at || (uint64_t)(at - m->ram) >= m->ram_size) return -1;
    uint64_t phys = (uint64_t)(at - m->ram);
    return m->phys[phys >> PAGE_SHIFT].read == at - (lin & ~PAGE_MASK) ? (int64_t)phys : -1;
}

uint64_t mmu_fetch_phys(struct vp_vm *m, uint32_t lin)
{
    int64_t phys = mmu_fetch_flat(m, lin);

    if (phys >= 0) return (uint64_t)phys;
    struct found f = translate(m, lin, false, m->user);
    enter(m, lin, &f); /* what may be executed may be read */
    return phys_of(&f, lin);
}

int64_t mmu_probe(struct vp_vm *m, uint32_t lin)
{
    struct walk w;

    walk_tables(m, lin, false, false, &w);
    return w.ok ? (int64_t)(mem_a20(m, w.phys) | (lin & ~PAGE_MASK)) : -1;
}
