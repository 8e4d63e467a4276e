/* mmu.h: guest memory as instructions see it: segmentation checks, paging, flat tables, and the slow paths behind them.
 *
 * ld/st take a segment register and an offset, use the flat tables (vp_vm.flat) inline and leave everything else (page
 * walk, A/D bits, page crossing, MMIO, code pages, breakpoints, #PF, #GP, #SS, #AC) to mmu.c and seg.c.  They either
 * succeed or do not return.
 */
#ifndef VP_MMU_H
#define VP_MMU_H
#include "vm.h"
#include <string.h>

enum access { ACC_READ, ACC_WRITE, ACC_EXEC };

/* Linear address of an access that the plain limit test did not allow, or #GP/#SS.  seg.c */
uint32_t seg_check(struct vp_vm *m, unsigned seg, uint32_t ea, unsigned size, enum access acc);

/* Slow paths by linear address, privilege from m->user.  mmu.c */
uint64_t mmu_ld_slow(struct vp_vm *m, uint32_t lin, unsigned size);
uint64_t mmu_ld_rmw_slow(struct vp_vm *m, uint32_t lin, unsigned size);
void mmu_st_slow(struct vp_vm *m, uint32_t lin, unsigned size, uint64_t value);

/* The faults of an access, and nothing else. */
void mmu_check(struct vp_vm *m, uint32_t lin, unsigned size, enum access acc);

/* Host pointer for an access to [lin, lin + n), n > 0: *n is cut to what lies contiguous on the page, NULL where that
 * is MMIO, a code page (for writes) or otherwise needs the slow path; faults are raised.  For bulk string operations.
 */
uint8_t *mmu_span(struct vp_vm *m, uint32_t lin, uint32_t *n, enum access acc);

uint32_t mmu_sys_ld_slow(struct vp_vm *m, uint32_t lin, unsigned size);
void mmu_sys_st_slow(struct vp_vm *m, uint32_t lin, unsigned size, uint32_t value);

/* Code fetch: physical address of linear `lin` for execution at the present privilege, #PF raised.  */
uint64_t mmu_fetch_phys(struct vp_vm *m, uint32_t lin);
/* The same where the flat tables know it and it is RAM at its own place, else -1. */
int64_t mmu_fetch_flat(struct vp_vm *m, uint32_t lin);
/* For debuggers: the same for any access at supervisor privilege without side effects; -1 where there is none. */
int64_t mmu_probe(struct vp_vm *m, uint32_t lin);

/* What loads and stores of a page may do without a call, by the page tables as they are and without touching them:
 * PLAIN_ bits, and the number of the physical page. */
enum { PLAIN_READ = 1, PLAIN_WRITE = 2, PLAIN_GLOBAL = 4 /* and the page is the same in all address spaces */ };
unsigned mmu_peek(struct vp_vm *m, uint32_t lin, bool user, uint32_t *page);
/* No access at the present privilege has more to it than that (breakpoints, alignment checks). */
bool mmu_is_plain(const struct vp_vm *m);

void mmu_flush(struct vp_vm *m, bool global_too); /* CR3 load, CR0/CR4 paging bits */
void mmu_flush_page(struct vp_vm *m, uint32_t lin);
void mmu_mode_changed(struct vp_vm *m); /* CR0, CR4, EFLAGS.AC, DR7 or, with alignment checks, CPL changed */
/* USE_ bits (space.h) of the page that no breakpoint or alignment check needs to see. */
unsigned mmu_plain(struct vp_vm *m, uint32_t lin);

static inline uint32_t seg_lin(struct vp_vm *m, unsigned seg, uint32_t ea, unsigned size, enum access acc)
{
    int64_t last = acc == ACC_WRITE ? m->sacc[seg].wr_last : m->sacc[seg].rd_last;
    if (likely((int64_t)((uint64_t)ea + size - 1) <= last)) return m->sacc[seg].base + ea;
    return seg_check(m, seg, ea, size, acc);
}

/* Host memory of an access, or NULL where it has to take the slow path. */
static inline void *mmu_in(struct vp_vm *m, enum flat table, uint32_t lin, unsigned size)
{
    uintptr_t delta = m->flat[table][lin >> PAGE_SHIFT];
    bool crosses = size > 1 && (lin & ~PAGE_MASK) > PAGE_SIZE - size;

    return likely(delta && !crosses) ? (void *)(delta + lin) : NULL;
}
static inline void *mmu_at(struct vp_vm *m, uint32_t lin, unsigned size, bool write)
{
    return mmu_in(m, m->user * 2 + write, lin, size);
}

/* Implicit supervisor accesses (descriptor tables, TSS, stacks of gates) by linear address. */
static inline uint32_t mmu_sys_ld(struct vp_vm *m, uint32_t lin, unsigned size)
{
    const void *at = mmu_in(m, FLAT_SR, lin, size);
    uint32_t value = 0;

    if (unlikely(!at)) return mmu_sys_ld_slow(m, lin, size);
    memcpy(&value, at, size);
    return value;
}
static inline void mmu_sys_st(struct vp_vm *m, uint32_t lin, unsigned size, uint32_t value)
{
    void *at = mmu_in(m, FLAT_SW, lin, size);

    if (unlikely(!at))
        mmu_sys_st_slow(m, lin, size, value);
    else
        memcpy(at, &value, size);
}

#define MMU_ACCESSORS(bits, type)                                                                                      \
    static inline type ld##bits(struct vp_vm *m, unsigned seg, uint32_t ea)                                            \
    {                                                                                                                  \
        uint32_t lin = seg_lin(m, seg, ea, bits / 8, ACC_READ);                                                        \
        const void *at = mmu_at(m, lin, bits / 8, false);                                                              \
        if (unlikely(!at)) return (type)mmu_ld_slow(m, lin, bits / 8);                                                 \
        type v;                                                                                                        \
        memcpy(&v, at, sizeof v);                                                                                      \
        return v;                                                                                                      \
    }                                                                                                                  \
    /* load for read-modify-write: faults as a write does */                                                           \
    static inline type ldw##bits(struct vp_vm *m, unsigned seg, uint32_t ea)                                           \
    {                                                                                                                  \
        uint32_t lin = seg_lin(m, seg, ea, bits / 8, ACC_WRITE);                                                       \
        const void *at = mmu_at(m, lin, bits / 8, true);                                                               \
        if (unlikely(!at)) return (type)mmu_ld_rmw_slow(m, lin, bits / 8);                                             \
        type v;                                                                                                        \
        memcpy(&v, at, sizeof v);                                                                                      \
        return v;                                                                                                      \
    }                                                                                                                  \
    static inline void st##bits(struct vp_vm *m, unsigned seg, uint32_t ea, type v)                                    \
    {                                                                                                                  \
        uint32_t lin = seg_lin(m, seg, ea, bits / 8, ACC_WRITE);                                                       \
        void *at = mmu_at(m, lin, bits / 8, true);                                                                     \
        if (unlikely(!at))                                                                                             \
            mmu_st_slow(m, lin, bits / 8, v);                                                                          \
        else                                                                                                           \
            memcpy(at, &v, sizeof v);                                                                                  \
    }
MMU_ACCESSORS(8, uint8_t)
MMU_ACCESSORS(16, uint16_t)
MMU_ACCESSORS(32, uint32_t)
MMU_ACCESSORS(64, uint64_t)

#endif
