/* sse.c: MXCSR on the host and in the guest, SIMD floating-point exceptions, operands off the fast path; see sse.h. */
#include "sse.h"
#include "gen/ops.inc"

uint32_t sse_mxcsr_mask(const struct vp_vm *m)
{
    const uint32_t all = 0xffff;
    return m->features & FEAT_SSE2 ? all : all & ~MXCSR_DAZ; /* SDM 1, 11.6.6 */
}

/* -- Whose MXCSR the host has -------------------------------------------------------------------------------------- */

/* What the host runs under while the guest has an exception unmasked.  Flush-to-zero is for masked underflow only (SDM
 * 1, 10.2.3.3). */
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

uint32_t sse_mxcsr(struct vp_vm *m) { return m->sse_state == SSE_MASKED ? _mm_getcsr() : fx_get32(m, FX_MXCSR); }

void sse_set_mxcsr(struct vp_vm *m, uint32_t mxcsr)
{
    sse_leave(m);
    fx_put32(m, FX_MXCSR, mxcsr);
}

/* -- Exceptions ---------------------------------------------------------------------------------------------------- */

void sse_refuse(struct vp_vm *m)
{
    if ((m->cpu.cr0 & CR0_EM) || !(m->cpu.cr4 & CR4_OSFXSR)) raise_ud(m);
    raise_exc(m, EXC_NM);
}

static bool is_double(unsigned kind) { return (kind & 3) >= SSE_PD; }
static bool tiny32(uint32_t v) { return !(v & 0x7f800000) && (v & 0x7fffff); }
static bool tiny64(uint64_t v) { return !(v << 1 >> 53) && v << 12; }

/* One element of an operation: its flags with all exceptions masked, and whether its result is denormal. */
#define SCALAR(text)                                                                                                   \
    __asm__ volatile("ldmxcsr %2\n\t" text " %3, %0\n\tstmxcsr %1" : "+x"(a), "=m"(flags) : "m"(modes), "x"(b))
#define SCALARS(operation, text)                                                                                       \
    case SSE_KIND(operation, SSE_PS): SCALAR(text "ss"); break;                                                        \
    case SSE_KIND(operation, SSE_PD): SCALAR(text "sd"); break
static uint32_t masked_flags(unsigned kind, vec a, vec b, uint32_t modes, bool *tiny)
{
    uint32_t flags = 0;

    switch (kind & ~1u) {
        SCALARS(SSE_ADD, "add");
        SCALARS(SSE_SUB, "sub");
        SCALARS(SSE_MUL, "mul");
        SCALARS(SSE_DIV, "div");
    case SSE_KIND(SSE_NARROW, SSE_PD): SCALAR("cvtsd2ss"); break;
    }
    bool wide = is_double(kind) && kind >> 2 != SSE_NARROW;
    *tiny = wide ? tiny64((uint64_t)_mm_cvtsi128_si64(a)) : tiny32((uint32_t)_mm_cvtsi128_si32(a));
    return flags & MXCSR_FLAGS;
}

/* A denormal operand as DAZ has it. */
static uint64_t without_denormal(uint64_t v, bool wide, bool daz)
{
    bool denormal = daz && (wide ? tiny64(v) : tiny32((uint32_t)v));
    return denormal ? 0 : v;
}

/* The same element rounded to its precision but with unbounded exponent, which x87 registers come near enough to: is
 * the result inexact?  Only the sign of a zero is lost by without_denormal(), and no matter. */
static bool unbounded_inexact(unsigned kind, uint64_t a, uint64_t b, uint32_t guest)
{
    enum { PRECISION_SINGLE = 0, PRECISION_DOUBLE = 0x200, RC_SHIFT = 13 - 10, RC = 0xc00 };
    bool wide = is_double(kind);
    uint16_t cw = FPU_ALL | (wide && kind >> 2 != SSE_NARROW ? PRECISION_DOUBLE : PRECISION_SINGLE);
    uint16_t sw, own;
    const uint32_t single[2] = {(uint32_t)a, (uint32_t)b};
    const uint64_t one = 0x3ff0000000000000u;

    cw |= guest >> RC_SHIFT & RC;
    if (kind >> 2 == SSE_NARROW) b = one;
    __asm__ volatile("fnstcw %0\n\tfninit\n\tfldcw %1" : "=m"(own) : "m"(cw));
    if (wide)
        __asm__ volatile("fldl %1\n\tfldl %0" ::"m"(a), "m"(b));
    else
        __asm__ volatile("flds %1\n\tflds %0" ::"m"(single[0]), "m"(single[1]));
    switch (kind >> 2) {
    case SSE_ADD: __asm__ volatile("fadd %st(1), %st"); break;
    case SSE_SUB: __asm__ volatile("fsub %st(1), %st"); break;
    case SSE_DIV: __asm__ volatile("fdiv %st(1), %st"); break;
    default: __asm__ volatile("fmul %st(1), %st"); break;
    }
    __asm__ volatile("fnstsw %0\n\tfninit\n\tfldcw %1" : "=a"(sw) : "m"(own));
    return sw & FPU_PE;
}

/* Flags of an operation while overflow or underflow is unmasked: unmasked underflow needs no loss of accuracy, and the
 * precision exception beside either is that of the result before it is fitted to the format (SDM 1, 4.9.1.4-5). */
static uint32_t exact_flags(unsigned kind, vec a, vec b, uint32_t guest, uint32_t modes)
{
    unsigned count = kind & 1 ? 1 : is_double(kind) ? 2 : 4, size = is_double(kind) ? 8 : 4;
    uint32_t unmasked = ~(guest >> MXCSR_MASK_SHIFT) & (FPU_OE | FPU_UE), all = 0;

    for (unsigned k = 0; k < count; k++) {
        uint64_t one_a = 0, one_b = 0;
        bool tiny;
        memcpy(&one_a, (const uint8_t *)&a + size * k, size);
        memcpy(&one_b, (const uint8_t *)&b + size * k, size);
        if (kind >> 2 == SSE_NARROW) one_a = one_b;
        uint32_t flags =
            masked_flags(kind, _mm_cvtsi64_si128((long long)one_a), _mm_cvtsi64_si128((long long)one_b), modes, &tiny);
        if (tiny) flags |= unmasked & FPU_UE;
        if (flags & unmasked) {
            bool daz = guest & MXCSR_DAZ, wide = is_double(kind);
            bool inexact =
                unbounded_inexact(kind, without_denormal(one_a, wide, daz), without_denormal(one_b, wide, daz), guest);
            flags = (flags & ~FPU_PE) | (inexact ? FPU_PE : 0);
        }
        all |= flags;
    }
    return all;
}

void sse_report(struct vp_vm *m, unsigned kind, vec a, vec b)
{
    const uint32_t before = FPU_IE | FPU_DE | FPU_ZE;
    uint32_t guest = fx_get32(m, FX_MXCSR), flags = _mm_getcsr() & MXCSR_FLAGS, modes = unmasked_modes(guest);
    uint32_t unmasked = ~(guest >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS;

    if (kind >> 2 != SSE_SAFE && (unmasked & (FPU_OE | FPU_UE))) {
        x87_save(m);
        flags = exact_flags(kind, a, b, guest, modes);
    }
    _mm_setcsr(modes);
    if (!flags) return;
    if (flags & unmasked & before) flags &= before; /* then nothing was computed (SDM 1, 11.5.2.1) */
    fx_put32(m, FX_MXCSR, guest | flags);
    if (flags & unmasked) raise_exc(m, m->cpu.cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

/* -- Operands ------------------------------------------------------------------------------------------------------ */

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
