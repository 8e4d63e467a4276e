/* mmx.c: integer SIMD on MMX registers, and the same operations on XMM registers (SDM 1, 9 and 11.4.2). */
#include "simd.h"

/* -- Entering MMX code --------------------------------------------------------------------------------------------- */

void mmx_need_slow(struct vp_vm *m)
{
    if (m->cpu.cr0 & CR0_EM) raise_ud(m);
    if (m->cpu.cr0 & CR0_TS) raise_exc(m, EXC_NM);
    x87_save(m);
    x87_check_pending_mem(m);
}

void mmx_switch_slow(struct vp_vm *m)
{
    enum { ALL_VALID = 0xff };

    x87_save(m);
    x87_set_top(m, 0);
    m->cpu.fx[FX_FTW] = ALL_VALID;
    m->fp_state = FP_MMX;
}

HANDLER(EMMS)
{
    mmx_need(m);
    mmx_switch(m);
    m->cpu.fx[FX_FTW] = 0;
    m->fp_state = FP_MEM;
    NEXT;
}

/* -- Operations that both files of registers have ------------------------------------------------------------------ */

BOTH(PADDB, "paddb")
BOTH(PADDW, "paddw")
BOTH(PADDD, "paddd")
BOTH(PADDQ, "paddq")
BOTH(PADDSB, "paddsb")
BOTH(PADDSW, "paddsw")
BOTH(PADDUSB, "paddusb")
BOTH(PADDUSW, "paddusw")
BOTH(PSUBB, "psubb")
BOTH(PSUBW, "psubw")
BOTH(PSUBD, "psubd")
BOTH(PSUBQ, "psubq")
BOTH(PSUBSB, "psubsb")
BOTH(PSUBSW, "psubsw")
BOTH(PSUBUSB, "psubusb")
BOTH(PSUBUSW, "psubusw")
BOTH(PMULLW, "pmullw")
BOTH(PMULHW, "pmulhw")
BOTH(PMULHUW, "pmulhuw")
BOTH(PMULUDQ, "pmuludq")
BOTH(PMADDWD, "pmaddwd")
BOTH(PSADBW, "psadbw")
BOTH(PAVGB, "pavgb")
BOTH(PAVGW, "pavgw")
BOTH(PMINUB, "pminub")
BOTH(PMINSW, "pminsw")
BOTH(PMAXUB, "pmaxub")
BOTH(PMAXSW, "pmaxsw")
BOTH(PCMPEQB, "pcmpeqb")
BOTH(PCMPEQW, "pcmpeqw")
BOTH(PCMPEQD, "pcmpeqd")
BOTH(PCMPGTB, "pcmpgtb")
BOTH(PCMPGTW, "pcmpgtw")
BOTH(PCMPGTD, "pcmpgtd")
BOTH(PAND, "pand")
BOTH(PANDN, "pandn")
BOTH(POR, "por")
BOTH(PXOR, "pxor")

/* Shift counts are the whole 64 bits of the operand, in both. */
BOTH(PSRLW, "psrlw")
BOTH(PSRLD, "psrld")
BOTH(PSRLQ, "psrlq")
BOTH(PSRAW, "psraw")
BOTH(PSRAD, "psrad")
BOTH(PSLLW, "psllw")
BOTH(PSLLD, "pslld")
BOTH(PSLLQ, "psllq")

#define BOTH_SHIFT_IMM(NAME, text)                                                                                     \
    HANDLER(NAME##_Nq_Ib)                                                                                              \
    {                                                                                                                  \
        mmx_need(m);                                                                                                   \
        mmx_switch(m);                                                                                                 \
        vec a = mmx_get(m, i->rm), b = vec64(i->imm);                                                                  \
        RUN(text);                                                                                                     \
        mmx_set64(m, i->rm, low64(a));                                                                                 \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(NAME##_Udq_Ib)                                                                                             \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        vec a = XMM(m, i->rm), b = vec64(i->imm);                                                                      \
        RUN(text);                                                                                                     \
        XMM(m, i->rm) = a;                                                                                             \
        NEXT;                                                                                                          \
    }
BOTH_SHIFT_IMM(PSRLW, "psrlw")
BOTH_SHIFT_IMM(PSRLD, "psrld")
BOTH_SHIFT_IMM(PSRLQ, "psrlq")
BOTH_SHIFT_IMM(PSRAW, "psraw")
BOTH_SHIFT_IMM(PSRAD, "psrad")
BOTH_SHIFT_IMM(PSLLW, "psllw")
BOTH_SHIFT_IMM(PSLLD, "pslld")
BOTH_SHIFT_IMM(PSLLQ, "psllq")

/* -- Packing ------------------------------------------------------------------------------------------------------- */

BOTH_JOINED(PACKSSWB, "packsswb")
BOTH_JOINED(PACKSSDW, "packssdw")
BOTH_JOINED(PACKUSWB, "packuswb")

#define BOTH_UNPACK_LOW(NAME, text)                                                                                    \
    MMX_ROW(NAME##_Pq_Qd, LD32, RUN(text))                                                                             \
    XMM_ROW(NAME##_Vdq_Wdq, LD128, RUN(text))
BOTH_UNPACK_LOW(PUNPCKLBW, "punpcklbw")
BOTH_UNPACK_LOW(PUNPCKLWD, "punpcklwd")
BOTH_UNPACK_LOW(PUNPCKLDQ, "punpckldq")

/* The high half of an MMX register's unpacking is the high half of the XMM register's *low* unpacking. */
#define HIGH_OF(text)                                                                                                  \
    do {                                                                                                               \
        RUN(text);                                                                                                     \
        a = _mm_unpackhi_epi64(a, a);                                                                                  \
    } while (0)
#define BOTH_UNPACK_HIGH(NAME, low, high)                                                                              \
    MMX_ROW(NAME##_Pq_Qq, LD64, HIGH_OF(low))                                                                          \
    XMM_ROW(NAME##_Vdq_Wdq, LD128, RUN(high))
BOTH_UNPACK_HIGH(PUNPCKHBW, "punpcklbw", "punpckhbw")
BOTH_UNPACK_HIGH(PUNPCKHWD, "punpcklwd", "punpckhwd")
BOTH_UNPACK_HIGH(PUNPCKHDQ, "punpckldq", "punpckhdq")

/* -- Words by an immediate index ----------------------------------------------------------------------------------- */

static uint64_t shuffle_words(uint64_t v, unsigned order)
{
    uint64_t out = 0;

    for (unsigned k = 0; k < 4; k++) out |= (v >> 16 * (order >> 2 * k & 3) & 0xffff) << 16 * k;
    return out;
}

MMX_ROW(PSHUFW_Pq_Qq_Ib, LD64, a = vec64(shuffle_words(low64(b), i->imm)))

static void pinsrw_mmx(struct vp_vm *m, const struct insn *i, uint16_t v)
{
    mmx_switch(m);
    unsigned at = 16 * (i->imm & 3);
    mmx_set64(m, i->reg, (mmx_get64(m, i->reg) & ~(0xffffull << at)) | (uint64_t)v << at);
}
HANDLER(PINSRW_Pq_Ew_Ib_r)
{
    mmx_need(m);
    pinsrw_mmx(m, i, reg16(m, i->rm));
    NEXT;
}
HANDLER(PINSRW_Pq_Ew_Ib_m)
{
    mmx_need(m);
    pinsrw_mmx(m, i, ld16(m, i->seg, ea(m, i)));
    NEXT;
}
HANDLER(PEXTRW_Gd_Nq_Ib)
{
    mmx_need(m);
    mmx_switch(m);
    set_reg32(m, i->reg, mmx_get64(m, i->rm) >> 16 * (i->imm & 3) & 0xffff);
    NEXT;
}
HANDLER(PMOVMSKB_Gd_Nq)
{
    mmx_need(m);
    mmx_switch(m);
    set_reg32(m, i->reg, (uint32_t)_mm_movemask_epi8(mmx_get(m, i->rm)));
    NEXT;
}

/* -- Moves --------------------------------------------------------------------------------------------------------- */

MMX_ROW(MOVQ_Pq_Qq, LD64, a = b)

HANDLER(MOVD_Pd_Ed_r)
{
    mmx_need(m);
    mmx_switch(m);
    mmx_set64(m, i->reg, reg32(m, i->rm));
    NEXT;
}
HANDLER(MOVD_Pd_Ed_m)
{
    mmx_need(m);
    uint32_t v = ld32(m, i->seg, ea(m, i));
    mmx_switch(m);
    mmx_set64(m, i->reg, v);
    NEXT;
}
HANDLER(MOVD_Ed_Pd_r)
{
    mmx_need(m);
    mmx_switch(m);
    set_reg32(m, i->rm, (uint32_t)mmx_get64(m, i->reg));
    NEXT;
}
HANDLER(MOVQ_Qq_Pq_r)
{
    mmx_need(m);
    mmx_switch(m);
    mmx_set64(m, i->rm, mmx_get64(m, i->reg));
    NEXT;
}

/* Stores: all faults come before the switch. */
static void store_mmx(struct vp_vm *m, const struct insn *i, unsigned size)
{
    mmx_need(m);
    uint32_t at = ea(m, i);
    void *to = x87_wr(m, i->seg, at, size);
    mmx_switch(m);
    memcpy(to, mmx_at(m, i->reg), size);
    x87_wr_end(m, to, i->seg, at, size);
}
HANDLER(MOVD_Ed_Pd_m)
{
    store_mmx(m, i, 4);
    NEXT;
}
HANDLER(MOVQ_Qq_Pq_m)
{
    store_mmx(m, i, 8);
    NEXT;
}
HANDLER(MOVNTQ_Mq_Pq)
{
    store_mmx(m, i, 8);
    NEXT;
}

void simd_masked_store(struct vp_vm *m, const struct insn *i, const uint8_t *bytes, const uint8_t *mask, unsigned size)
{
    uint32_t at = i->form & FORM_AS32 ? reg32(m, EDI) : reg16(m, EDI);
    uint32_t lin = seg_lin(m, i->seg, at, size, ACC_WRITE), last_page = (lin + size - 1) & PAGE_MASK;

    /* the whole operand must be writable, whatever the mask (SDM 2 leaves it open; silicon does so) */
    mmu_check(m, lin, 1, ACC_WRITE);
    if (last_page != (lin & PAGE_MASK)) mmu_check(m, last_page, 1, ACC_WRITE);
    for (unsigned k = 0; k < size; k++)
        if (mask[k] >> 7) st8(m, i->seg, at + k, bytes[k]);
}

HANDLER(MASKMOVQ_Pq_Nq)
{
    mmx_need(m);
    mmx_switch(m); /* before a fault of the store, as silicon does */
    simd_masked_store(m, i, mmx_at(m, i->reg), mmx_at(m, i->rm), sizeof(uint64_t));
    NEXT;
}
