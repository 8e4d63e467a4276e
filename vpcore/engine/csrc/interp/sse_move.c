/* sse_move.c: moves of XMM registers, MXCSR, caches and fences (SDM 1, 10.4.1, 10.4.6, 11.4.4). */
#include "simd.h"

/* -- Whole registers ----------------------------------------------------------------------------------------------- */

#define XMM_STORE128(row, aligned)                                                                                     \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        sse_st(m, i->seg, ea(m, i), XMM(m, i->reg), aligned);                                                          \
        NEXT;                                                                                                          \
    }
#define XMM_MOVE(NAME, V, W, load, aligned)                                                                            \
    XMM_ROW(NAME##_##V##_##W, load, a = b)                                                                             \
    HANDLER(NAME##_##W##_##V##_r)                                                                                      \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        XMM(m, i->rm) = XMM(m, i->reg);                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    XMM_STORE128(NAME##_##W##_##V##_m, aligned)

XMM_MOVE(MOVAPS, Vps, Wps, LD128, true)
XMM_MOVE(MOVAPD, Vpd, Wpd, LD128, true)
XMM_MOVE(MOVDQA, Vdq, Wdq, LD128, true)
XMM_MOVE(MOVUPS, Vps, Wps, LD128U, false)
XMM_MOVE(MOVUPD, Vpd, Wpd, LD128U, false)
XMM_MOVE(MOVDQU, Vdq, Wdq, LD128U, false)
XMM_STORE128(MOVNTPS_Mps_Vps, true)
XMM_STORE128(MOVNTPD_Mpd_Vpd, true)
XMM_STORE128(MOVNTDQ_Mdq_Vdq, true)

/* -- Scalars: a register source leaves the rest alone, memory clears it -------------------------------------------- */

#define XMM_SCALAR(NAME, V, W, bits, merge)                                                                            \
    HANDLER(NAME##_##V##_##W##_r)                                                                                      \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        XMM(m, i->reg) = merge(XMM(m, i->reg), XMM(m, i->rm));                                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(NAME##_##V##_##W##_m)                                                                                      \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        XMM(m, i->reg) = LD##bits(m, i);                                                                               \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(NAME##_##W##_##V##_r)                                                                                      \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        XMM(m, i->rm) = merge(XMM(m, i->rm), XMM(m, i->reg));                                                          \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(NAME##_##W##_##V##_m)                                                                                      \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        st##bits(m, i->seg, ea(m, i), low##bits(XMM(m, i->reg)));                                                      \
        NEXT;                                                                                                          \
    }
static inline vec merge32(vec a, vec b) { return (vec)_mm_move_ss((__m128)a, (__m128)b); }
static inline vec merge64(vec a, vec b) { return (vec)_mm_move_sd((__m128d)a, (__m128d)b); }
XMM_SCALAR(MOVSS, Vss, Wss, 32, merge32)
XMM_SCALAR(MOVSD, Vsd, Wsd, 64, merge64)

/* -- Halves -------------------------------------------------------------------------------------------------------- */

static inline vec set_low(vec a, vec b) { return merge64(a, b); }
static inline vec set_high(vec a, vec b) { return _mm_unpacklo_epi64(a, b); }
static inline uint64_t high64(vec a) { return low64(_mm_unpackhi_epi64(a, a)); }

#define XMM_HALF(NAME, put, get)                                                                                       \
    HANDLER(NAME##_Vq_Mq)                                                                                              \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        vec b = LD64(m, i);                                                                                            \
        XMM(m, i->reg) = put(XMM(m, i->reg), b);                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(NAME##_Mq_Vq)                                                                                              \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        st64(m, i->seg, ea(m, i), get(XMM(m, i->reg)));                                                                \
        NEXT;                                                                                                          \
    }
XMM_HALF(MOVLPS, set_low, low64)
XMM_HALF(MOVLPD, set_low, low64)
XMM_HALF(MOVHPS, set_high, high64)
XMM_HALF(MOVHPD, set_high, high64)

HANDLER(MOVHLPS_Vq_Uq)
{
    sse_need(m);
    vec b = XMM(m, i->rm);
    XMM(m, i->reg) = set_low(XMM(m, i->reg), _mm_unpackhi_epi64(b, b));
    NEXT;
}
HANDLER(MOVLHPS_Vq_Uq)
{
    sse_need(m);
    XMM(m, i->reg) = set_high(XMM(m, i->reg), XMM(m, i->rm));
    NEXT;
}

HANDLER(MOVMSKPS_Gd_Ups)
{
    sse_need(m);
    set_reg32(m, i->reg, (uint32_t)_mm_movemask_ps((__m128)XMM(m, i->rm)));
    NEXT;
}
HANDLER(MOVMSKPD_Gd_Upd)
{
    sse_need(m);
    set_reg32(m, i->reg, (uint32_t)_mm_movemask_pd((__m128d)XMM(m, i->rm)));
    NEXT;
}

/* -- MXCSR --------------------------------------------------------------------------------------------------------- */

HANDLER(LDMXCSR_Md)
{
    sse_need(m);
    uint32_t mxcsr = ld32(m, i->seg, ea(m, i));
    if (mxcsr & ~sse_mxcsr_mask(m)) raise_gp0(m);
    sse_set_mxcsr(m, mxcsr);
    NEXT;
}
HANDLER(STMXCSR_Md)
{
    sse_need(m);
    st32(m, i->seg, ea(m, i), sse_mxcsr(m));
    NEXT;
}

/* -- Caches and order: one thread, and memory that is always coherent
 * -------------------------------------------------- */

#define NOTHING_TO_DO(row)                                                                                             \
    HANDLER(row) { NEXT; }
NOTHING_TO_DO(SFENCE)
NOTHING_TO_DO(LFENCE)
NOTHING_TO_DO(MFENCE)

HANDLER(CLFLUSH_Mb)
{
    mmu_check(m, seg_lin(m, i->seg, ea(m, i), 1, ACC_READ), 1, ACC_READ);
    NEXT;
}
