/* walk.c: page tables, see walk.h. */
#include "walk.h"
#include "cpuid.h"
#include "mem.h"
#include "seg.h"
#include "space.h"
#include <string.h>

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

static uint64_t read_entry(struct vp_vm *m, struct walk *w, uint64_t at)
{
    at = mem_a20(m, at);
    const uint8_t *host = at >> 32 ? NULL : m->phys[at >> PAGE_SHIFT].read;
    uint64_t entry = 0;

    if (unlikely(!host))
        entry = w->quiet ? 0 : mem_read(m, at, w->width);
    else if (w->width == 4)
        memcpy(&entry, host + (at & ~PAGE_MASK), 4);
    else
        memcpy(&entry, host + (at & ~PAGE_MASK), 8);
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

static bool large_32(struct vp_vm *m, uint32_t lin, uint64_t pde, struct walk *w)
{
    bool pse36 = cpuid_bits(m) & CPUID_PSE36;

    w->large = true;
    if (!entry_ok(w, pde, pse36 ? PSE36_RESERVED : PSE_RESERVED)) return false;
    uint64_t high = pse36 ? (pde & (PSE_RESERVED & ~PSE36_RESERVED)) << 19 : 0;
    w->phys = high | (pde & 0xffc00000u) | (lin & 0x3ff000);
    return true;
}

/* 32-bit paging, SDM 3A 4.3. */
static bool walk_32(struct vp_vm *m, uint32_t lin, struct walk *w)
{
    w->width = 4;
    uint64_t pde = read_entry(m, w, (m->cpu.cr3 & PAGE_MASK) + (lin >> 22) * 4);
    if ((pde & PTE_PS) && (m->cpu.cr4 & CR4_PSE)) return large_32(m, lin, pde, w);
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

static bool walk(struct vp_vm *m, uint32_t lin, struct walk *w)
{
    w->error = 0;
    w->large = false;
    w->levels = 0;
    return m->cpu.cr4 & CR4_PAE ? walk_pae(m, lin, w) : walk_32(m, lin, w);
}

/* Access rights, SDM 3A 4.6: the entries of all levels together. */
void walk_tables(struct vp_vm *m, uint32_t lin, bool write, bool user, struct walk *w)
{
    if (!(m->cpu.cr0 & CR0_PG)) {
        /* as if global: there are no tables that CR3 would change */
        *w = (struct walk){.phys = lin & PAGE_MASK, .ok = true, .writable = true, .dirty = true, .global = true};
        return;
    }
    w->quiet = false;
    w->ok = walk(m, lin, w);
    if (w->ok) {
        uint64_t last = w->entry[w->levels - 1], all = w->entry[0] & last;
        w->writable = (all & PTE_W) || (!user && !(m->cpu.cr0 & CR0_WP));
        w->global = (last & PTE_G) && (m->cpu.cr4 & CR4_PGE);
        w->dirty = last & PTE_D;
        if ((!user || (all & PTE_U)) && (!write || w->writable)) return;
        w->ok = false;
        w->error = ERR_P;
    }
    w->error |= (write ? ERR_W : 0) | (user ? ERR_U : 0);
}

void walk_mark(struct vp_vm *m, struct walk *w, bool write)
{
    if (!(m->cpu.cr0 & CR0_PG)) return;
    for (unsigned level = 0; level < w->levels; level++) {
        bool last = level == w->levels - 1;
        uint64_t entry = w->entry[level] | PTE_A | (write && last ? PTE_D : 0);
        if (entry != w->entry[level]) mem_write(m, w->at[level], w->width, entry);
    }
    w->dirty |= write;
}

/* Host memory of the table that an entry, or CR3, leads to in 32-bit paging, or NULL. */
static const uint8_t *table_of(const struct vp_vm *m, uint32_t entry)
{
    return m->phys[mem_a20(m, entry & PAGE_MASK) >> PAGE_SHIFT].read;
}

/* What walk() does, for present pages of 4 KB in 32-bit paging, and in half the time: a load of CR3 asks about all that
 * has been used.  False for others. */
static bool walk_briefly(const struct vp_vm *m, uint32_t lin, uint32_t *pde, uint32_t *pte)
{
    const uint8_t *directory = table_of(m, m->cpu.cr3), *table;

    if (!directory || (m->cpu.cr4 & CR4_PAE)) return false;
    memcpy(pde, directory + (lin >> 22) * sizeof *pde, sizeof *pde);
    if (!(*pde & PTE_P) || (*pde & PTE_PS) || !(table = table_of(m, *pde))) return false;
    memcpy(pte, table + (lin >> PAGE_SHIFT & 0x3ff) * sizeof *pte, sizeof *pte);
    return *pte & PTE_P;
}

/* By the entries of all levels together, and by the last one. */
static unsigned uses_of(const struct vp_vm *m, uint64_t all, uint64_t last)
{
    bool writable = (all & PTE_W) && (last & PTE_D), freely = (last & PTE_D) && !(m->cpu.cr0 & CR0_WP);
    unsigned uses = USE_SR | USE_SX | (writable || freely ? USE_SW : 0);

    if (all & PTE_U) uses |= USE_UR | USE_UX | (writable ? USE_UW : 0);
    if ((last & PTE_G) && (m->cpu.cr4 & CR4_PGE)) uses |= USE_GLOBAL;
    return uses;
}

unsigned walk_uses(struct vp_vm *m, uint32_t lin, uint32_t *page)
{
    uint32_t pde, pte;

    *page = (uint32_t)(mem_a20(m, lin) >> PAGE_SHIFT);
    if (!(m->cpu.cr0 & CR0_PG)) return USE_ALL | USE_GLOBAL;
    if (likely(walk_briefly(m, lin, &pde, &pte))) {
        if (!(pde & pte & PTE_A)) return 0;
        *page = (uint32_t)(mem_a20(m, pte) >> PAGE_SHIFT);
        return uses_of(m, pde & pte, pte);
    }
    struct walk w = {.quiet = true};
    if (!walk(m, lin, &w)) return 0;
    uint64_t last = w.entry[w.levels - 1], all = w.entry[0] & last;
    uint64_t phys = mem_a20(m, w.phys);
    if (!(all & PTE_A) || phys >> 32) return 0;
    *page = (uint32_t)(phys >> PAGE_SHIFT);
    return uses_of(m, all, last) | (w.large ? USE_LARGE : 0);
}
