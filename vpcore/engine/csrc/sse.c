/* sse.c: MXCSR on the host and in the guest, SIMD floating-point exceptions, operands off the fast path; see sse.h. */
#include "sse.h"
#include "gen/ops.inc"

uint32_t sse_mxcsr_mask(const struct vp_vm *m)
{
    const uint32_t all = 0xffff;
    return m->features & FEAT_SSE2 ? all : all & ~MXCSR_DAZ; /* SDM 1, 11.6.6 */
}

/* -- Whose MXCSR the host has ------------------------------------------------------------------------------------- */

/* What the host runs under while the guest has an exception unmasked.  Flush-to-zero is for masked underflow only (SDM 1,
 * 10.2.3.3). */
static uint32_t unmasked_modes(uint32_t guest)
{
    uint32_t modes = (guest & ~MXCSR_FLAGS) | MXCSR_MASKS;
    return guest & MXCSR_UM ? modes : modes & ~MXCSR_FTZ;
}

void sse_load(struct vp_vm *m)
{
    uint32_t guest = fx_get32(m, FX_MXCSR);

    m->host_mxcsr = _mm_getcsr();
    if ((guest & MXCSR_MASKS) == MXCSR_MASKS) {
        m->sse_state = SSE_MASKED;
        _mm_setcsr(guest);
    } else {
        m->sse_state = SSE_UNMASKED;
        _mm_setcsr(unmasked_modes(guest));
    }
}

void sse_leave(struct vp_vm *m)
{
    if (m->sse_state == SSE_AWAY) return;
    if (m->sse_state == SSE_MASKED) fx_put32(m, FX_MXCSR, _mm_getcsr());
    _mm_setcsr(m->host_mxcsr);
    m->sse_state = SSE_AWAY;
}

uint32_t sse_mxcsr(struct vp_vm *m)
{
    return m->sse_state == SSE_MASKED ? _mm_getcsr() : fx_get32(m, FX_MXCSR);
}

void sse_set_mxcsr(struct vp_vm *m, uint32_t mxcsr)
{
    sse_leave(m);
    fx_put32(m, FX_MXCSR, mxcsr);
}

/* -- Exceptions --------------------------------------------------------------------------------------------------- */

void sse_refuse(struct vp_vm *m)
{
    if ((m->cpu.cr0 & CR0_EM) || !(m->cpu.cr4 & CR4_OSFXSR)) raise_ud(m);
    raise_exc(m, EXC_NM);
}

static bool tiny32(uint32_t v) { return !(v & 0x7f800000) && (v & 0x7fffff); }
static bool tiny64(uint64_t v) { return !(v << 1 >> 53) && v << 12; }

static bool is_tiny(vec result, enum sse_tiny tiny)
{
    uint32_t s[4];
    uint64_t d[2];

    memcpy(s, &result, sizeof s);
    memcpy(d, &result, sizeof d);
    switch (tiny) {
    case TINY_PS: return tiny32(s[0]) || tiny32(s[1]) || tiny32(s[2]) || tiny32(s[3]);
    case TINY_SS: return tiny32(s[0]);
    case TINY_PD: return tiny64(d[0]) || tiny64(d[1]);
    case TINY_SD: return tiny64(d[0]);
    default: return false;
    }
}

void sse_report(struct vp_vm *m, vec result, enum sse_tiny tiny)
{
    const uint32_t before = FPU_IE | FPU_DE | FPU_ZE;
    uint32_t guest = fx_get32(m, FX_MXCSR), flags = _mm_getcsr() & MXCSR_FLAGS;

    /* an unmasked underflow needs no loss of accuracy (SDM 1, 4.9.1.5) */
    if (!(guest & MXCSR_UM) && is_tiny(result, tiny)) flags |= FPU_UE;
    if (!flags) return;
    _mm_setcsr(unmasked_modes(guest));
    uint32_t raised = flags & ~(guest >> MXCSR_MASK_SHIFT);
    if (raised & before) flags &= before; /* then nothing was computed (SDM 1, 11.5.2.1) */
    fx_put32(m, FX_MXCSR, guest | flags);
    if (raised) raise_exc(m, m->cpu.cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

/* -- Operands ----------------------------------------------------------------------------------------------------- */

vec sse_ld_slow(struct vp_vm *m, uint32_t lin)
{
    uint64_t low = mmu_ld_slow(m, lin, 8);
    return _mm_set_epi64x((long long)mmu_ld_slow(m, lin + 8, 8), (long long)low);
}

void sse_st_slow(struct vp_vm *m, uint32_t lin, vec v)
{
    uint64_t half[2];

    memcpy(half, &v, sizeof half);
    mmu_check(m, lin, 8, ACC_WRITE);
    mmu_check(m, lin + 8, 8, ACC_WRITE);
    mmu_st_slow(m, lin, 8, half[0]);
    mmu_st_slow(m, lin + 8, 8, half[1]);
}
