/* cr.c: control registers, see cr.h. */
#include "cr.h"
#include "cpuid.h"
#include "event.h"
#include "mmu.h"
#include "seg.h"
#include <string.h>

enum { PDPTES = 4, PDPTE_SIZE = 8 };

/* The four entries that CR3 points to under PAE; #GP(0) where a present one has reserved bits set (SDM 3A 4.4.1). */
static void load_pdptes(struct vp_vm *m, uint32_t cr3)
{
    const uint64_t reserved = 0xfffffff0000001e6u; /* bits 1, 2, 5-8 and all above 36 address bits */
    uint32_t at = cr3 & ~0x1fu & m->a20_mask;
    const uint8_t *page = m->phys[at >> PAGE_SHIFT].read;
    uint64_t entry[PDPTES];

    if (page)
        memcpy(entry, page + (at & ~PAGE_MASK), sizeof entry);
    else
        memset(entry, 0, sizeof entry);
    for (unsigned k = 0; k < PDPTES; k++)
        if ((entry[k] & 1) && (entry[k] & reserved)) raise_gp0(m);
    memcpy(m->cpu.pdpte, entry, sizeof entry);
}

void cr0_write(struct vp_vm *m, uint32_t value)
{
    const uint32_t known =
        CR0_PG | CR0_CD | CR0_NW | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_TS | CR0_EM | CR0_MP | CR0_PE;

    value = (value & known) | CR0_ET;
    if ((value & CR0_PG) && !(value & CR0_PE)) raise_gp0(m);
    if ((value & CR0_NW) && !(value & CR0_CD)) raise_gp0(m);
    uint32_t changed = value ^ m->cpu.cr0;
    if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && (value & CR0_PG) && (m->cpu.cr4 & CR4_PAE))
        load_pdptes(m, m->cpu.cr3);
    m->cpu.cr0 = value;
    if (changed & CR0_PE) {
        m->cpu.seg[VP_SS].attr &= ~VP_SEG_DPL; /* CPL is 0 on either side of the switch */
        seg_derive_all(m);
    }
    if (changed & (CR0_PG | CR0_PE | CR0_WP)) mmu_flush(m, true);
    if (changed & (CR0_PG | CR0_PE | CR0_WP | CR0_AM)) mmu_mode_changed(m);
}

void cr3_write(struct vp_vm *m, uint32_t value)
{
    if ((m->cpu.cr0 & CR0_PG) && (m->cpu.cr4 & CR4_PAE)) load_pdptes(m, value);
    m->cpu.cr3 = value;
    mmu_flush(m, false);
}

void cr4_write(struct vp_vm *m, uint32_t value)
{
    const uint32_t paging = CR4_PAE | CR4_PSE | CR4_PGE;

    if (value & ~cpuid_cr4_mask(m)) raise_gp0(m);
    uint32_t changed = value ^ m->cpu.cr4;
    if ((changed & paging) && (m->cpu.cr0 & CR0_PG) && (value & CR4_PAE)) load_pdptes(m, m->cpu.cr3);
    m->cpu.cr4 = value;
    if (changed & paging) mmu_flush(m, true);
    mmu_mode_changed(m);
    event_sync(m);
}
