/* debug.c: debug registers, see debug.h. */
#include "debug.h"
#include "engine.h"
#include "event.h"
#include "mmu.h"
#include "seg.h"
#include <stdatomic.h>

enum { BREAKPOINTS = 4 };

/* Fields of DR7 for breakpoint n, SDM 3B figure 17-1. */
static bool enabled(uint32_t dr7, unsigned n) { return dr7 >> (2 * n) & 3; }
static unsigned kind_of(uint32_t dr7, unsigned n) { return dr7 >> (16 + 4 * n) & 3; }
/* LEN: 1, 2, (8: none in IA-32, taken as 4) and 4 bytes */
static uint32_t length_of(uint32_t dr7, unsigned n)
{
    static const uint8_t length[4] = {1, 2, 4, 4};

    return length[dr7 >> (18 + 4 * n) & 3];
}

uint32_t debug_match(const struct vp_vm *m, uint32_t addr, unsigned size, unsigned kinds)
{
    uint32_t dr7 = m->cpu.dr[7], hits = 0;

    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        if (!enabled(dr7, n) || !(kinds >> kind_of(dr7, n) & 1)) continue;
        uint32_t length = length_of(dr7, n), start = m->cpu.dr[n] & ~(length - 1);
        if (addr - start < length || start - addr < size) hits |= DR6_B0 << n;
    }
    return hits;
}

bool debug_wants(const struct vp_vm *m, unsigned kinds)
{
    uint32_t dr7 = m->cpu.dr[7];

    if (likely(!(dr7 & DR7_ENABLE))) return false;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        unsigned kind = kind_of(dr7, n);
        if (kind == DEBUG_IO && !(m->cpu.cr4 & CR4_DE)) continue; /* reserved without CR4.DE */
        if (enabled(dr7, n) && (kinds >> kind & 1)) return true;
    }
    return false;
}

void debug_data(struct vp_vm *m, uint32_t lin, unsigned size, bool write)
{
    uint32_t hits = debug_match(m, lin, size, 1 << DEBUG_READ_WRITE | (write ? 1 << DEBUG_WRITE : 0));

    if (!hits) return;
    m->cpu.pending_db |= hits;
    atomic_fetch_or(&m->attn, ATTN_TRAP);
    m->engine->cut(m);
}

void debug_io(struct vp_vm *m, uint32_t port, unsigned size)
{
    if (!debug_wants(m, 1 << DEBUG_IO)) return;
    m->cpu.pending_db |= debug_match(m, port, size, 1 << DEBUG_IO);
    event_sync(m);
}

/* Checks that reading and writing share; the register that `n` means. */
static unsigned debug_access(struct vp_vm *m, unsigned n)
{
    enum { DR4 = 4, ALIAS = 2 };

    if (n == DR4 || n == DR4 + 1) {
        if (m->cpu.cr4 & CR4_DE) raise_ud(m);
        n += ALIAS; /* SDM 3B 17.2.2 */
    }
    if (m->cpl) raise_gp0(m);
    if (m->cpu.dr[7] & DR7_GD) raise_db(m, DR6_BD);
    return n;
}

uint32_t debug_read(struct vp_vm *m, unsigned n) { return m->cpu.dr[debug_access(m, n)]; }

void debug_write(struct vp_vm *m, unsigned n, uint32_t value)
{
    enum { DR6 = 6, DR6_BITS = 0xe00f, DR7 = 7, DR7_BITS = 0xffff2bff };

    n = debug_access(m, n);
    if (n == DR6) value = (value & DR6_BITS) | DR6_ONES;
    if (n == DR7) value = (value & DR7_BITS) | DR7_ONES;
    m->cpu.dr[n] = value;
    mmu_mode_changed(m); /* data breakpoints change which pages go the fast way */
    event_sync(m);
}
