/* sse_cvt.c: conversions between integers, single and double precision, in XMM, MMX and general registers (SDM 1,
 * 11.6.13 ff.). */
#include "simd.h"

/* -- Within XMM registers ------------------------------------------------------------------------------------------ */

XMM_ROW(CVTPS2PD_Vpd_Wq, LD64, RUN_FP("cvtps2pd", SSE_SAFE))
XMM_ROW(CVTPD2PS_Vps_Wpd, LD128, RUN_FP("cvtpd2ps", SSE_KIND(SSE_NARROW, SSE_PD)))
XMM_ROW(CVTSS2SD_Vsd_Wss, LD32, RUN_FP("cvtss2sd", SSE_SAFE))
XMM_ROW(CVTSD2SS_Vss_Wsd, LD64, RUN_FP("cvtsd2ss", SSE_KIND(SSE_NARROW, SSE_SD)))
XMM_ROW(CVTDQ2PS_Vps_Wdq, LD128, RUN_FP("cvtdq2ps", SSE_SAFE))
XMM_ROW(CVTPS2DQ_Vdq_Wps, LD128, RUN_FP("cvtps2dq", SSE_SAFE))
XMM_ROW(CVTTPS2DQ_Vdq_Wps, LD128, RUN_FP("cvttps2dq", SSE_SAFE))
XMM_ROW(CVTDQ2PD_Vpd_Wq, LD64, RUN_FP("cvtdq2pd", SSE_SAFE))
XMM_ROW(CVTPD2DQ_Vdq_Wpd, LD128, RUN_FP("cvtpd2dq", SSE_SAFE))
XMM_ROW(CVTTPD2DQ_Vdq_Wpd, LD128, RUN_FP("cvttpd2dq", SSE_SAFE))

/* -- General registers --------------------------------------------------------------------------------------------- */

#define RUN_FROM_INT(text, source)                                                                                     \
    sse_need(m);                                                                                                       \
    uint32_t value = (source);                                                                                         \
    vec a = XMM(m, i->reg);                                                                                            \
    sse_begin(m);                                                                                                      \
    __asm__ volatile(text " %1, %0" : "+x"(a) : "r"(value));                                                           \
    sse_check(m, SSE_SAFE, a, a);                                                                                      \
    XMM(m, i->reg) = a;                                                                                                \
    NEXT
#define FROM_INT(row, text)                                                                                            \
    HANDLER(row##_r) { RUN_FROM_INT(text, reg32(m, i->rm)); }                                                          \
    HANDLER(row##_m) { RUN_FROM_INT(text, ld32(m, i->seg, ea(m, i))); }
FROM_INT(CVTSI2SS_Vss_Ed, "cvtsi2ssl")
FROM_INT(CVTSI2SD_Vsd_Ed, "cvtsi2sdl")

#define RUN_TO_INT(text, source)                                                                                       \
    sse_need(m);                                                                                                       \
    vec b = (source);                                                                                                  \
    uint32_t value;                                                                                                    \
    sse_begin(m);                                                                                                      \
    __asm__ volatile(text " %1, %0" : "=r"(value) : "x"(b));                                                           \
    sse_check(m, SSE_SAFE, b, b);                                                                                      \
    set_reg32(m, i->reg, value);                                                                                       \
    NEXT
#define TO_INT(row, text, load)                                                                                        \
    HANDLER(row##_r) { RUN_TO_INT(text, XMM(m, i->rm)); }                                                              \
    HANDLER(row##_m) { RUN_TO_INT(text, load(m, i)); }
TO_INT(CVTSS2SI_Gd_Wss, "cvtss2si", LD32)
TO_INT(CVTTSS2SI_Gd_Wss, "cvttss2si", LD32)
TO_INT(CVTSD2SI_Gd_Wsd, "cvtsd2si", LD64)
TO_INT(CVTTSD2SI_Gd_Wsd, "cvttsd2si", LD64)

/* -- MMX registers ------------------------------------------------------------------------------------------------- */

/* What CVTPI2PS does to the low half, by CVTDQ2PS on all four: zeros convert exactly. */
#define RUN_PI2PS                                                                                                      \
    sse_begin(m);                                                                                                      \
    __asm__ volatile("cvtdq2ps %0, %0" : "+x"(b));                                                                     \
    sse_check(m, SSE_SAFE, b, b);                                                                                      \
    XMM(m, i->reg) = (vec)_mm_move_sd((__m128d)XMM(m, i->reg), (__m128d)b);                                            \
    NEXT
#define RUN_PI2PD                                                                                                      \
    sse_begin(m);                                                                                                      \
    __asm__ volatile("cvtdq2pd %0, %0" : "+x"(b));                                                                     \
    sse_check(m, SSE_SAFE, b, b);                                                                                      \
    XMM(m, i->reg) = b;                                                                                                \
    NEXT
/* A memory operand leaves the x87 unit alone (SDM 2, CVTPI2PD; silicon does so for CVTPI2PS too). */
#define FROM_MMX(row, run)                                                                                             \
    HANDLER(row##_r)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        mmx_need(m);                                                                                                   \
        mmx_switch(m);                                                                                                 \
        vec b = mmx_get(m, i->rm);                                                                                     \
        run;                                                                                                           \
    }                                                                                                                  \
    HANDLER(row##_m)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        vec b = LD64(m, i);                                                                                            \
        run;                                                                                                           \
    }
FROM_MMX(CVTPI2PS_Vps_Qq, RUN_PI2PS)
FROM_MMX(CVTPI2PD_Vpd_Qq, RUN_PI2PD)

#define RUN_TO_MMX(text)                                                                                               \
    mmx_switch(m);                                                                                                     \
    sse_begin(m);                                                                                                      \
    __asm__ volatile(text " %0, %0" : "+x"(b));                                                                        \
    sse_check(m, SSE_SAFE, b, b);                                                                                      \
    mmx_set64(m, i->reg, low64(b));                                                                                    \
    NEXT
#define TO_MMX(row, text, load, used)                                                                                  \
    HANDLER(row##_r)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        mmx_need(m);                                                                                                   \
        vec b = used(XMM(m, i->rm));                                                                                   \
        RUN_TO_MMX(text);                                                                                              \
    }                                                                                                                  \
    HANDLER(row##_m)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        mmx_need(m);                                                                                                   \
        vec b = load(m, i);                                                                                            \
        RUN_TO_MMX(text);                                                                                              \
    }
/* Only two singles are converted; zeros in place of the others raise nothing. */
#define ALL_OF(v) (v)
TO_MMX(CVTPS2PI_Pq_Wq, "cvtps2dq", LD64, _mm_move_epi64)
TO_MMX(CVTTPS2PI_Pq_Wq, "cvttps2dq", LD64, _mm_move_epi64)
TO_MMX(CVTPD2PI_Pq_Wpd, "cvtpd2dq", LD128, ALL_OF)
TO_MMX(CVTTPD2PI_Pq_Wpd, "cvttpd2dq", LD128, ALL_OF)
