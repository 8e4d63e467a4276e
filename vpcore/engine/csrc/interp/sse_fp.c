/* sse_fp.c: SSE and SSE2 floating-point arithmetic, comparison, logic and shuffles (SDM 1, 10.4.1 and 11.4.1). */
#include "simd.h"

/* -- Arithmetic ---------------------------------------------------------------------------------------------------- */

#define ARITH(NAME, text, operation)                                                                                   \
    XMM_ROW(NAME##PS_Vps_Wps, LD128, RUN_FP(text "ps", SSE_KIND(operation, SSE_PS)))                                   \
    XMM_ROW(NAME##SS_Vss_Wss, LD32, RUN_FP(text "ss", SSE_KIND(operation, SSE_SS)))                                    \
    XMM_ROW(NAME##PD_Vpd_Wpd, LD128, RUN_FP(text "pd", SSE_KIND(operation, SSE_PD)))                                   \
    XMM_ROW(NAME##SD_Vsd_Wsd, LD64, RUN_FP(text "sd", SSE_KIND(operation, SSE_SD)))

ARITH(ADD, "add", SSE_ADD)
ARITH(SUB, "sub", SSE_SUB)
ARITH(MUL, "mul", SSE_MUL)
ARITH(DIV, "div", SSE_DIV)
ARITH(SQRT, "sqrt", SSE_SAFE)
ARITH(MIN, "min", SSE_SAFE)
ARITH(MAX, "max", SSE_SAFE)

/* Approximations raise nothing and know no modes. */
XMM_ROW(RCPPS_Vps_Wps, LD128, RUN("rcpps"))
XMM_ROW(RCPSS_Vss_Wss, LD32, RUN("rcpss"))
XMM_ROW(RSQRTPS_Vps_Wps, LD128, RUN("rsqrtps"))
XMM_ROW(RSQRTSS_Vss_Wss, LD32, RUN("rsqrtss"))

/* -- Comparison ---------------------------------------------------------------------------------------------------- */

#define COMPARE_BY(text, n) __asm__ volatile(text " $" #n ", %1, %0" : "+x"(a) : "x"(b))
#define RUN_COMPARE(text)                                                                                              \
    do {                                                                                                               \
        sse_begin(m);                                                                                                  \
        switch (i->imm & 7) {                                                                                          \
        case 0: COMPARE_BY(text, 0); break;                                                                            \
        case 1: COMPARE_BY(text, 1); break;                                                                            \
        case 2: COMPARE_BY(text, 2); break;                                                                            \
        case 3: COMPARE_BY(text, 3); break;                                                                            \
        case 4: COMPARE_BY(text, 4); break;                                                                            \
        case 5: COMPARE_BY(text, 5); break;                                                                            \
        case 6: COMPARE_BY(text, 6); break;                                                                            \
        case 7: COMPARE_BY(text, 7); break;                                                                            \
        }                                                                                                              \
        sse_check(m, SSE_SAFE, a, b);                                                                                  \
    } while (0)
XMM_ROW(CMPPS_Vps_Wps_Ib, LD128, RUN_COMPARE("cmpps"))
XMM_ROW(CMPSS_Vss_Wss_Ib, LD32, RUN_COMPARE("cmpss"))
XMM_ROW(CMPPD_Vpd_Wpd_Ib, LD128, RUN_COMPARE("cmppd"))
XMM_ROW(CMPSD_Vsd_Wsd_Ib, LD64, RUN_COMPARE("cmpsd"))

/* Into EFLAGS: ZF, PF, CF; the other three become 0. */
static inline void compare_flags(struct vp_vm *m, bool zero, bool parity, bool carry)
{
    fl_put(m, (zero ? EF_ZF : 0) | (parity ? EF_PF : 0) | (carry ? EF_CF : 0));
}
#define RUN_COMI(text, b)                                                                                              \
    bool zero, parity, carry;                                                                                          \
    sse_need(m);                                                                                                       \
    vec from = (b);                                                                                                    \
    sse_begin(m);                                                                                                      \
    __asm__ volatile(text " %4, %3"                                                                                    \
                     : "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry)                                                  \
                     : "x"(XMM(m, i->reg)), "x"(from));                                                                \
    sse_check(m, SSE_SAFE, from, from);                                                                                \
    compare_flags(m, zero, parity, carry);                                                                             \
    NEXT
#define COMI(row, text, load)                                                                                          \
    HANDLER(row##_r) { RUN_COMI(text, XMM(m, i->rm)); }                                                                \
    HANDLER(row##_m) { RUN_COMI(text, load(m, i)); }
COMI(COMISS_Vss_Wss, "comiss", LD32)
COMI(COMISD_Vsd_Wsd, "comisd", LD64)
COMI(UCOMISS_Vss_Wss, "ucomiss", LD32)
COMI(UCOMISD_Vsd_Wsd, "ucomisd", LD64)

/* -- Logic, unpacking, shuffling: no arithmetic -------------------------------------------------------------------- */

#define LOGIC(NAME, text)                                                                                              \
    XMM_ROW(NAME##PS_Vps_Wps, LD128, RUN(text "ps"))                                                                   \
    XMM_ROW(NAME##PD_Vpd_Wpd, LD128, RUN(text "pd"))
LOGIC(AND, "and")
LOGIC(ANDN, "andn")
LOGIC(OR, "or")
LOGIC(XOR, "xor")
LOGIC(UNPCKL, "unpckl")
LOGIC(UNPCKH, "unpckh")

/* Two elements of a, then two of b. */
static vec shuffle_ps(vec a, vec b, unsigned order)
{
    uint32_t in[8], out[4];

    memcpy(in, &a, sizeof a);
    memcpy(in + 4, &b, sizeof b);
    for (unsigned k = 0; k < 4; k++) out[k] = in[(k & 2) * 2 + (order >> 2 * k & 3)];
    memcpy(&a, out, sizeof a);
    return a;
}
static vec shuffle_pd(vec a, vec b, unsigned order)
{
    uint64_t in[4], out[2];

    memcpy(in, &a, sizeof a);
    memcpy(in + 2, &b, sizeof b);
    for (unsigned k = 0; k < 2; k++) out[k] = in[2 * k + (order >> k & 1)];
    memcpy(&a, out, sizeof a);
    return a;
}
XMM_ROW(SHUFPS_Vps_Wps_Ib, LD128, a = shuffle_ps(a, b, i->imm))
XMM_ROW(SHUFPD_Vpd_Wpd_Ib, LD128, a = shuffle_pd(a, b, i->imm))
