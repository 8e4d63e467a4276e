/* sse_int.c: XMM integer instructions without an MMX twin, and moves between register files (SDM 1, 11.4.2). */
#include "simd.h"

/* -- Unpacking and shuffling --------------------------------------------------------------------------------------- */

XMM_ROW(PUNPCKLQDQ_Vdq_Wdq, LD128, RUN("punpcklqdq"))
XMM_ROW(PUNPCKHQDQ_Vdq_Wdq, LD128, RUN("punpckhqdq"))

static vec shuffle_dwords(vec v, unsigned order)
{
    uint32_t in[4], out[4];

    memcpy(in, &v, sizeof in);
    for (unsigned k = 0; k < 4; k++) out[k] = in[order >> 2 * k & 3];
    memcpy(&v, out, sizeof v);
    return v;
}

/* Four words from `first` on. */
static vec shuffle_words(vec v, unsigned order, unsigned first)
{
    uint16_t in[8], out[8];

    memcpy(in, &v, sizeof in);
    memcpy(out, &v, sizeof out);
    for (unsigned k = 0; k < 4; k++) out[first + k] = in[first + (order >> 2 * k & 3)];
    memcpy(&v, out, sizeof v);
    return v;
}

XMM_ROW(PSHUFD_Vdq_Wdq_Ib, LD128, a = shuffle_dwords(b, i->imm))
XMM_ROW(PSHUFLW_Vdq_Wdq_Ib, LD128, a = shuffle_words(b, i->imm, 0))
XMM_ROW(PSHUFHW_Vdq_Wdq_Ib, LD128, a = shuffle_words(b, i->imm, 4))

static vec with_word(vec v, unsigned index, uint16_t word)
{
    uint16_t words[8];

    memcpy(words, &v, sizeof words);
    words[index & 7] = word;
    memcpy(&v, words, sizeof v);
    return v;
}

HANDLER(PINSRW_Vdq_Ew_Ib_r)
{
    sse_need(m);
    XMM(m, i->reg) = with_word(XMM(m, i->reg), i->imm, reg16(m, i->rm));
    NEXT;
}
HANDLER(PINSRW_Vdq_Ew_Ib_m)
{
    sse_need(m);
    XMM(m, i->reg) = with_word(XMM(m, i->reg), i->imm, ld16(m, i->seg, ea(m, i)));
    NEXT;
}
HANDLER(PEXTRW_Gd_Udq_Ib)
{
    sse_need(m);
    set_reg32(m, i->reg, fx_get16(m, FX_XMM + FX_SLOT * i->rm + 2 * (i->imm & 7)));
    NEXT;
}
HANDLER(PMOVMSKB_Gd_Udq)
{
    sse_need(m);
    set_reg32(m, i->reg, (uint32_t)_mm_movemask_epi8(XMM(m, i->rm)));
    NEXT;
}

/* -- Shifts of the whole register by bytes ------------------------------------------------------------------------- */

enum { VEC_BYTES = sizeof(vec) };

/* The 16 bytes at `from` of 16 zeros, v, 16 zeros. */
static vec window(vec v, unsigned from)
{
    uint8_t line[3 * VEC_BYTES] = {0};

    memcpy(line + VEC_BYTES, &v, sizeof v);
    memcpy(&v, line + from, sizeof v);
    return v;
}
static unsigned byte_count(const struct insn *i) { return i->imm < VEC_BYTES ? i->imm : VEC_BYTES; }

HANDLER(PSRLDQ_Udq_Ib)
{
    sse_need(m);
    XMM(m, i->rm) = window(XMM(m, i->rm), VEC_BYTES + byte_count(i));
    NEXT;
}
HANDLER(PSLLDQ_Udq_Ib)
{
    sse_need(m);
    XMM(m, i->rm) = window(XMM(m, i->rm), VEC_BYTES - byte_count(i));
    NEXT;
}

/* -- Moves --------------------------------------------------------------------------------------------------------- */

HANDLER(MOVD_Vdq_Ed_r)
{
    sse_need(m);
    XMM(m, i->reg) = _mm_cvtsi32_si128((int)reg32(m, i->rm));
    NEXT;
}
HANDLER(MOVD_Vdq_Ed_m)
{
    sse_need(m);
    XMM(m, i->reg) = LD32(m, i);
    NEXT;
}
HANDLER(MOVD_Ed_Vdq_r)
{
    sse_need(m);
    set_reg32(m, i->rm, low32(XMM(m, i->reg)));
    NEXT;
}
HANDLER(MOVD_Ed_Vdq_m)
{
    sse_need(m);
    st32(m, i->seg, ea(m, i), low32(XMM(m, i->reg)));
    NEXT;
}
XMM_ROW(MOVQ_Vdq_Wq, LD64, a = _mm_move_epi64(b))
HANDLER(MOVQ_Wq_Vdq_r)
{
    sse_need(m);
    XMM(m, i->rm) = _mm_move_epi64(XMM(m, i->reg));
    NEXT;
}
HANDLER(MOVQ_Wq_Vdq_m)
{
    sse_need(m);
    st64(m, i->seg, ea(m, i), low64(XMM(m, i->reg)));
    NEXT;
}

HANDLER(MOVQ2DQ_Vdq_Nq)
{
    sse_need(m);
    mmx_need(m);
    mmx_switch(m);
    XMM(m, i->reg) = mmx_get(m, i->rm);
    NEXT;
}
HANDLER(MOVDQ2Q_Pq_Udq)
{
    sse_need(m);
    mmx_need(m);
    mmx_switch(m);
    mmx_set64(m, i->reg, low64(XMM(m, i->rm)));
    NEXT;
}

HANDLER(MASKMOVDQU_Vdq_Udq)
{
    uint8_t bytes[VEC_BYTES], mask[VEC_BYTES];

    sse_need(m);
    memcpy(bytes, &XMM(m, i->reg), sizeof bytes);
    memcpy(mask, &XMM(m, i->rm), sizeof mask);
    simd_masked_store(m, i, bytes, mask, sizeof mask);
    NEXT;
}

/* MOVNTI needs no unit at all. */
HANDLER(MOVNTI_Md_Gd)
{
    st32(m, i->seg, ea(m, i), reg32(m, i->reg));
    NEXT;
}
