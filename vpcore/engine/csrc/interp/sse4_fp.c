/* sse4_fp.c: floating-point instructions of SSE3 and SSE4.1 (SDM 1, 12.3 and 12.10). */
#include "simd.h"

/* -- Sums of neighbours, alternating signs ------------------------------------------------------------------------- */

/* The operation's two operands, element by element, as sse_check() wants them. */
static inline vec evens_ps(vec a, vec b) { return (vec)_mm_shuffle_ps((__m128)a, (__m128)b, 0x88); }
static inline vec odds_ps(vec a, vec b) { return (vec)_mm_shuffle_ps((__m128)a, (__m128)b, 0xdd); }
static inline vec evens_pd(vec a, vec b) { return _mm_unpacklo_epi64(a, b); }
static inline vec odds_pd(vec a, vec b) { return _mm_unpackhi_epi64(a, b); }

#define RUN_NEIGHBOURS(text, type, kind)                                                                               \
    do {                                                                                                               \
        vec evens = evens_##type(a, b), odds = odds_##type(a, b);                                                      \
        sse_begin(m);                                                                                                  \
        __asm__ volatile(text " %1, %0" : "+x"(a) : "x"(b));                                                           \
        sse_check(m, kind, evens, odds);                                                                               \
    } while (0)
XMM_ROW(HADDPS_Vps_Wps, LD128, RUN_NEIGHBOURS("haddps", ps, SSE_KIND(SSE_ADD, SSE_PS)))
XMM_ROW(HADDPD_Vpd_Wpd, LD128, RUN_NEIGHBOURS("haddpd", pd, SSE_KIND(SSE_ADD, SSE_PD)))
XMM_ROW(HSUBPS_Vps_Wps, LD128, RUN_NEIGHBOURS("hsubps", ps, SSE_KIND(SSE_SUB, SSE_PS)))
XMM_ROW(HSUBPD_Vpd_Wpd, LD128, RUN_NEIGHBOURS("hsubpd", pd, SSE_KIND(SSE_SUB, SSE_PD)))

/* Even elements are subtracted: what is added to them is -b. */
#define RUN_ALTERNATING(text, kind, even_signs)                                                                        \
    do {                                                                                                               \
        vec before = a;                                                                                                \
        sse_begin(m);                                                                                                  \
        __asm__ volatile(text " %1, %0" : "+x"(a) : "x"(b));                                                           \
        sse_check(m, kind, before, _mm_xor_si128(b, even_signs));                                                      \
    } while (0)
#define EVEN_SIGNS_PS _mm_set1_epi64x(0x80000000)
#define EVEN_SIGNS_PD _mm_set_epi64x(0, INT64_MIN)
XMM_ROW(ADDSUBPS_Vps_Wps, LD128, RUN_ALTERNATING("addsubps", SSE_KIND(SSE_ADD, SSE_PS), EVEN_SIGNS_PS))
XMM_ROW(ADDSUBPD_Vpd_Wpd, LD128, RUN_ALTERNATING("addsubpd", SSE_KIND(SSE_ADD, SSE_PD), EVEN_SIGNS_PD))

/* -- Rounding ------------------------------------------------------------------------------------------------------ */

#define ROUND(row, load, name)                                                                                         \
    BY_IMMEDIATE(name, #name)                                                                                          \
    XMM_ROW(row, load, {                                                                                               \
        sse_begin(m);                                                                                                  \
        a = name(a, b, i->imm);                                                                                        \
        sse_check(m, SSE_SAFE, b, b);                                                                                  \
    })
ROUND(ROUNDPS_Vps_Wps_Ib, LD128, roundps)
ROUND(ROUNDPD_Vpd_Wpd_Ib, LD128, roundpd)
ROUND(ROUNDSS_Vss_Wss_Ib, LD32, roundss)
ROUND(ROUNDSD_Vsd_Wsd_Ib, LD64, roundsd)

/* -- Dot products -------------------------------------------------------------------------------------------------- */

BY_IMMEDIATE(dpps, "dpps")
BY_IMMEDIATE(dppd, "dppd")

/* Where an exception is unmasked, step by step: it is that of the first step that has one, and those behind it raise
 * none (SDM 2, DPPS).  Elements that the immediate leaves out are zeros. */
#define STEP(text, kind, x, y)                                                                                         \
    do {                                                                                                               \
        vec result = (x), other = (y);                                                                                 \
        sse_begin(m);                                                                                                  \
        __asm__ volatile(text " %1, %0" : "+x"(result) : "x"(other));                                                  \
        sse_check(m, kind, x, y);                                                                                      \
        x = result;                                                                                                    \
    } while (0)
static vec chosen_ps(vec v, unsigned imm)
{
    return _mm_and_si128(
        v, _mm_set_epi32(-(int)(imm >> 7 & 1), -(int)(imm >> 6 & 1), -(int)(imm >> 5 & 1), -(int)(imm >> 4 & 1)));
}
static vec chosen_pd(vec v, unsigned imm)
{
    return _mm_and_si128(v, _mm_set_epi64x(-(int64_t)(imm >> 5 & 1), -(int64_t)(imm >> 4 & 1)));
}
static void check_dpps(struct vp_vm *m, vec a, vec b, unsigned imm)
{
    vec x = chosen_ps(a, imm), y = chosen_ps(b, imm);

    STEP("mulps", SSE_KIND(SSE_MUL, SSE_PS), x, y);
    y = odds_ps(x, x), x = evens_ps(x, x);
    STEP("addps", SSE_KIND(SSE_ADD, SSE_PS), x, y);
    y = odds_ps(x, x), x = evens_ps(x, x);
    STEP("addps", SSE_KIND(SSE_ADD, SSE_PS), x, y);
}
static void check_dppd(struct vp_vm *m, vec a, vec b, unsigned imm)
{
    vec x = chosen_pd(a, imm), y = chosen_pd(b, imm);

    STEP("mulpd", SSE_KIND(SSE_MUL, SSE_PD), x, y);
    y = odds_pd(x, x), x = evens_pd(x, x);
    STEP("addpd", SSE_KIND(SSE_ADD, SSE_PD), x, y);
}
#define DOT(row, name)                                                                                                 \
    XMM_ROW(row, LD128, {                                                                                              \
        sse_begin(m);                                                                                                  \
        if (unlikely(m->sse_state == SSE_UNMASKED)) check_##name(m, a, b, i->imm);                                     \
        a = name(a, b, i->imm);                                                                                        \
        sse_check(m, SSE_SAFE, b, b);                                                                                  \
    })
DOT(DPPS_Vps_Wps_Ib, dpps)
DOT(DPPD_Vpd_Wpd_Ib, dppd)

/* -- Moves, blends: no arithmetic ---------------------------------------------------------------------------------- */

XMM_ROW(MOVDDUP_Vpd_Wq, LD64, a = _mm_unpacklo_epi64(b, b))
XMM_ROW(MOVSLDUP_Vps_Wps, LD128, a = _mm_shuffle_epi32(b, 0xa0))
XMM_ROW(MOVSHDUP_Vps_Wps, LD128, a = _mm_shuffle_epi32(b, 0xf5))

BY_IMMEDIATE(blendps, "blendps")
BY_IMMEDIATE(blendpd, "blendpd")
BY_IMMEDIATE(insertps, "insertps")
XMM_ROW(BLENDPS_Vps_Wps_Ib, LD128, a = blendps(a, b, i->imm))
XMM_ROW(BLENDPD_Vpd_Wpd_Ib, LD128, a = blendpd(a, b, i->imm))
/* Which element of the source counts for a register only (SDM 2, INSERTPS). */
enum { INSERTPS_ANYWHERE = 0x3f };
XMM_ROW(INSERTPS_Vps_Wss_Ib, LD32, a = insertps(a, b, i->form &FORM_MEM ? i->imm &INSERTPS_ANYWHERE : i->imm))
