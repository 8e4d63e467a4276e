/* sse4_int.c: integer instructions of SSSE3, SSE4.1 and SSE4.2 on XMM registers, and of SSSE3 on MMX registers (SDM 1,
 * 12). */
#include "simd.h"

/* -- SSSE3: both files of registers -------------------------------------------------------------------------------- */

BOTH(PMADDUBSW, "pmaddubsw")
BOTH(PMULHRSW, "pmulhrsw")
BOTH(PSIGNB, "psignb")
BOTH(PSIGNW, "psignw")
BOTH(PSIGND, "psignd")
BOTH(PABSB, "pabsb")
BOTH(PABSW, "pabsw")
BOTH(PABSD, "pabsd")

/* Neighbours. */
BOTH_JOINED(PHADDW, "phaddw")
BOTH_JOINED(PHADDD, "phaddd")
BOTH_JOINED(PHADDSW, "phaddsw")
BOTH_JOINED(PHSUBW, "phsubw")
BOTH_JOINED(PHSUBD, "phsubd")
BOTH_JOINED(PHSUBSW, "phsubsw")

/* Of a byte's index an MMX register has three bits. */
static inline vec mmx_order(vec v) { return _mm_and_si128(v, _mm_set1_epi8((char)0x87)); }
MMX_ROW(PSHUFB_Pq_Qq, LD64, b = mmx_order(b); RUN("pshufb"))
XMM_ROW(PSHUFB_Vdq_Wdq, LD128, RUN("pshufb"))

/* `size` bytes from byte `from` on of: b, behind it a, behind it zeros. */
static vec align(vec a, vec b, unsigned size, unsigned from)
{
    uint8_t line[3 * sizeof(vec)] = {0}, out[sizeof(vec)] = {0};

    memcpy(line, &b, size);
    memcpy(line + size, &a, size);
    memcpy(out, line + (from < 2 * size ? from : 2 * size), size);
    return _mm_loadu_si128((const vec *)out);
}
MMX_ROW(PALIGNR_Pq_Qq_Ib, LD64, a = align(a, b, 8, i->imm))
XMM_ROW(PALIGNR_Vdq_Wdq_Ib, LD128, a = align(a, b, 16, i->imm))

/* -- SSE4.1, SSE4.2 ------------------------------------------------------------------------------------------------ */

#define XMM_ONLY(NAME, text) XMM_ROW(NAME##_Vdq_Wdq, LD128, RUN(text))

XMM_ONLY(PMULDQ, "pmuldq")
XMM_ONLY(PMULLD, "pmulld")
XMM_ONLY(PCMPEQQ, "pcmpeqq")
XMM_ONLY(PCMPGTQ, "pcmpgtq")
XMM_ONLY(PACKUSDW, "packusdw")
XMM_ONLY(PMINSB, "pminsb")
XMM_ONLY(PMINSD, "pminsd")
XMM_ONLY(PMINUW, "pminuw")
XMM_ONLY(PMINUD, "pminud")
XMM_ONLY(PMAXSB, "pmaxsb")
XMM_ONLY(PMAXSD, "pmaxsd")
XMM_ONLY(PMAXUW, "pmaxuw")
XMM_ONLY(PMAXUD, "pmaxud")
XMM_ONLY(PHMINPOSUW, "phminposuw")

static inline vec load16(struct vp_vm *m, const struct insn *i) { return _mm_cvtsi32_si128(ld16(m, i->seg, ea(m, i))); }
#define EXTEND(letters, W, load, text)                                                                                 \
    XMM_ROW(PMOVSX##letters##_Vdq_##W, load, RUN("pmovsx" text))                                                       \
    XMM_ROW(PMOVZX##letters##_Vdq_##W, load, RUN("pmovzx" text))
EXTEND(BW, Wq, LD64, "bw")
EXTEND(BD, Wd, LD32, "bd")
EXTEND(BQ, Ww, load16, "bq")
EXTEND(WD, Wq, LD64, "wd")
EXTEND(WQ, Wd, LD32, "wq")
EXTEND(DQ, Wq, LD64, "dq")

BY_IMMEDIATE(mpsadbw, "mpsadbw")
XMM_ROW(MPSADBW_Vdq_Wdq_Ib, LD128, a = mpsadbw(a, b, i->imm))
BY_IMMEDIATE(pblendw, "pblendw")
XMM_ROW(PBLENDW_Vdq_Wdq_Ib, LD128, a = pblendw(a, b, i->imm))

/* Where the mask's top bits choose. */
#define RUN_CHOSEN(text) __asm__("movdqa %2, %%xmm0\n\t" text " %%xmm0, %1, %0" : "+x"(a) : "x"(b), "x"(mask) : "xmm0")
#define CHOOSE(row, text) XMM_ROW(row, LD128, vec mask = XMM(m, 0); RUN_CHOSEN(text))
CHOOSE(PBLENDVB_Vdq_Wdq_XMM0, "pblendvb")
CHOOSE(BLENDVPS_Vps_Wps_XMM0, "blendvps")
CHOOSE(BLENDVPD_Vpd_Wpd_XMM0, "blendvpd")

#define RUN_TEST(source)                                                                                               \
    bool zero, carry;                                                                                                  \
    sse_need(m);                                                                                                       \
    vec b = (source);                                                                                                  \
    __asm__("ptest %3, %2" : "=@ccz"(zero), "=@ccc"(carry) : "x"(XMM(m, i->reg)), "x"(b));                             \
    fl_put(m, (zero ? EF_ZF : 0) | (carry ? EF_CF : 0));                                                               \
    NEXT
HANDLER(PTEST_Vdq_Wdq_r) { RUN_TEST(XMM(m, i->rm)); }
HANDLER(PTEST_Vdq_Wdq_m) { RUN_TEST(LD128(m, i)); }

/* -- Loads, and elements to and from general registers ------------------------------------------------------------- */

#define XMM_LOAD(row, load)                                                                                            \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        XMM(m, i->reg) = load(m, i);                                                                                   \
        NEXT;                                                                                                          \
    }
XMM_LOAD(LDDQU_Vdq_Mdq, LD128U)
XMM_LOAD(MOVNTDQA_Vdq_Mdq, LD128)

/* Where an immediate's element of `bits` lies in a register. */
#define ELEMENT(n, bits) (FX_XMM + FX_SLOT * (n) + (i->imm & (128 / (bits)-1)) * ((bits) / 8))
static inline uint8_t fx_get8(const struct vp_vm *m, unsigned at) { return m->cpu.fx[at]; }
static inline void fx_put8(struct vp_vm *m, unsigned at, uint8_t v) { m->cpu.fx[at] = v; }

#define EXTRACT(row_reg, row_mem, bits)                                                                                \
    HANDLER(row_reg)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        set_reg32(m, i->rm, fx_get##bits(m, ELEMENT(i->reg, bits)));                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row_mem)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        st##bits(m, i->seg, ea(m, i), fx_get##bits(m, ELEMENT(i->reg, bits)));                                         \
        NEXT;                                                                                                          \
    }
EXTRACT(PEXTRB_Rd_Vdq_Ib, PEXTRB_Mb_Vdq_Ib, 8)
EXTRACT(PEXTRW_Rd_Vdq_Ib, PEXTRW_Mw_Vdq_Ib, 16)
EXTRACT(PEXTRD_Ed_Vdq_Ib_r, PEXTRD_Ed_Vdq_Ib_m, 32)
EXTRACT(EXTRACTPS_Ed_Vps_Ib_r, EXTRACTPS_Ed_Vps_Ib_m, 32)

#define INSERT(row_reg, row_mem, bits)                                                                                 \
    HANDLER(row_reg)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        fx_put##bits(m, ELEMENT(i->reg, bits), (uint##bits##_t)reg32(m, i->rm));                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row_mem)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        uint##bits##_t value = ld##bits(m, i->seg, ea(m, i));                                                          \
        fx_put##bits(m, ELEMENT(i->reg, bits), value);                                                                 \
        NEXT;                                                                                                          \
    }
INSERT(PINSRB_Vdq_Rd_Ib, PINSRB_Vdq_Mb_Ib, 8)
INSERT(PINSRD_Vdq_Ed_Ib_r, PINSRD_Vdq_Ed_Ib_m, 32)
