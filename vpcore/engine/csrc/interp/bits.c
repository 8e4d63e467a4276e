/* bits.c: bit tests and scans, SETcc and CMOVcc.  SDM 2, "BT", "BSF", "SETcc", "CMOVcc". */
#include "cc.h"
#include "interp.h"

/* BT and its kin change CF only.  With a bit offset in a register the memory operand is a bit string around the
 * address, accessed in units of the operand size. */
static inline uint32_t bit_string(uint32_t at, int32_t offset, unsigned bits)
{
    return at + (uint32_t)((bits == 32 ? offset >> 5 : offset >> 4) * (int32_t)(bits / 8));
}
static inline uint32_t masked_ea(const struct insn *i, uint32_t at) { return i->form & FORM_AS32 ? at : at & 0xffff; }

#define BIT_TEST(row, bits, number, at)                                                                                \
    HANDLER(row##_##bits##r)                                                                                           \
    {                                                                                                                  \
        uint32_t bit = (number) & (bits - 1);                                                                          \
        fl_set_cf(m, reg##bits(m, i->rm) >> bit & 1);                                                                  \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_##bits##m)                                                                                           \
    {                                                                                                                  \
        uint32_t bit = (number) & (bits - 1);                                                                          \
        fl_set_cf(m, ld##bits(m, i->seg, at) >> bit & 1);                                                              \
        NEXT;                                                                                                          \
    }
#define BIT_CHANGE(row, bits, number, at, change)                                                                      \
    HANDLER(row##_##bits##r)                                                                                           \
    {                                                                                                                  \
        uint##bits##_t mask = (uint##bits##_t)(1u << ((number) & (bits - 1))), v = reg##bits(m, i->rm);                \
        fl_set_cf(m, v &mask);                                                                                         \
        set_reg##bits(m, i->rm, (uint##bits##_t)(change));                                                             \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_##bits##m)                                                                                           \
    {                                                                                                                  \
        uint##bits##_t mask = (uint##bits##_t)(1u << ((number) & (bits - 1)));                                         \
        uint32_t where = at;                                                                                           \
        uint##bits##_t v = ldw##bits(m, i->seg, where);                                                                \
        st##bits(m, i->seg, where, (uint##bits##_t)(change));                                                          \
        fl_set_cf(m, v &mask);                                                                                         \
        NEXT;                                                                                                          \
    }
#define STRING_EA(bits) masked_ea(i, bit_string(ea32(m, i), (int##bits##_t)reg##bits(m, i->reg), bits))
#define BIT_ROWS(bits)                                                                                                 \
    BIT_TEST(BT_Ev_Gv, bits, reg##bits(m, i->reg), STRING_EA(bits))                                                    \
    BIT_CHANGE(BTS_Ev_Gv, bits, reg##bits(m, i->reg), STRING_EA(bits), v | mask)                                       \
    BIT_CHANGE(BTR_Ev_Gv, bits, reg##bits(m, i->reg), STRING_EA(bits), v & ~mask)                                      \
    BIT_CHANGE(BTC_Ev_Gv, bits, reg##bits(m, i->reg), STRING_EA(bits), v ^ mask)                                       \
    BIT_TEST(BT_Ev_Ib, bits, i->imm, ea(m, i))                                                                         \
    BIT_CHANGE(BTS_Ev_Ib, bits, i->imm, ea(m, i), v | mask)                                                            \
    BIT_CHANGE(BTR_Ev_Ib, bits, i->imm, ea(m, i), v & ~mask)                                                           \
    BIT_CHANGE(BTC_Ev_Ib, bits, i->imm, ea(m, i), v ^ mask)
BIT_ROWS(16)
BIT_ROWS(32)

/* Scans: a zero source sets ZF and leaves the destination (what every processor does, and the SDM now says). */
static inline uint32_t scan_forward(uint32_t v) { return (uint32_t)__builtin_ctz(v); }
static inline uint32_t scan_reverse(uint32_t v) { return 31u - (uint32_t)__builtin_clz(v); }

#define SCAN(NAME, bits, scan)                                                                                         \
    static inline void NAME##bits(struct vp_vm *m, const struct insn *i, uint##bits##_t v)                             \
    {                                                                                                                  \
        fl_set(m, bits, v, 0);                                                                                         \
        if (v) set_reg##bits(m, i->reg, (uint##bits##_t)scan(v));                                                      \
    }                                                                                                                  \
    GV_EV_ROWS(NAME, bits)
SCAN(BSF, 16, scan_forward)
SCAN(BSF, 32, scan_forward)
SCAN(BSR, 16, scan_reverse)
SCAN(BSR, 32, scan_reverse)

/* CMOVcc reads its memory operand whatever the condition. */
#define CONDITIONAL(cc, test)                                                                                          \
    HANDLER(SET##cc##_Eb_r)                                                                                            \
    {                                                                                                                  \
        set_reg8(m, i->rm, cc_##cc(m));                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(SET##cc##_Eb_m)                                                                                            \
    {                                                                                                                  \
        st8(m, i->seg, ea(m, i), cc_##cc(m));                                                                          \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(CMOV##cc##_Gv_Ev_16r)                                                                                      \
    {                                                                                                                  \
        if (cc_##cc(m)) set_reg16(m, i->reg, reg16(m, i->rm));                                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(CMOV##cc##_Gv_Ev_16m)                                                                                      \
    {                                                                                                                  \
        uint16_t v = ld16(m, i->seg, ea(m, i));                                                                        \
        if (cc_##cc(m)) set_reg16(m, i->reg, v);                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(CMOV##cc##_Gv_Ev_32r)                                                                                      \
    {                                                                                                                  \
        if (cc_##cc(m)) set_reg32(m, i->reg, reg32(m, i->rm));                                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(CMOV##cc##_Gv_Ev_32m)                                                                                      \
    {                                                                                                                  \
        uint32_t v = ld32(m, i->seg, ea(m, i));                                                                        \
        if (cc_##cc(m)) set_reg32(m, i->reg, v);                                                                       \
        NEXT;                                                                                                          \
    }
CC_LIST(CONDITIONAL)
