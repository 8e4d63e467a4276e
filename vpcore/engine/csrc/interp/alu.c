/* alu.c: two-operand arithmetic and logic, increments, exchanges-and-compares.  SDM 2, each instruction's own page.
 *
 * Read-modify-write handlers load with ldwN, which faults as the write would; the store after it cannot fault, so flags
 * may be set in between.
 */
#include "interp.h"

/* -- Operations: result and flags ---------------------------------------------------------------------------------- */

/* INC and DEC: all but CF.  The top bit of `overflow` is OF; a carry out of bit 3 changes bit 4. */
static inline void set_but_cf(struct vp_vm *m, unsigned bits, uint32_t result, uint32_t overflow, uint32_t changed)
{
    unsigned up = 32 - bits;
    uint32_t cf = m->fl_aux & UINT32_C(1) << 31;
    m->fl_res = (uint32_t)((int32_t)(result << up) >> up);
    m->fl_aux = cf | (cf ^ (overflow << up & UINT32_C(1) << 31)) >> 1 | (changed >> 1 & FL_AF);
}

#define ALU_OPERATIONS(bits, type)                                                                                     \
    static inline type add##bits(struct vp_vm *m, type a, type b)                                                      \
    {                                                                                                                  \
        uint32_t r = (uint32_t)a + b;                                                                                  \
        fl_set(m, bits, r, carries_add(a, b, r));                                                                      \
        return (type)r;                                                                                                \
    }                                                                                                                  \
    static inline type adc##bits(struct vp_vm *m, type a, type b)                                                      \
    {                                                                                                                  \
        uint32_t r = (uint32_t)a + b + fl_cf(m);                                                                       \
        fl_set(m, bits, r, carries_add(a, b, r));                                                                      \
        return (type)r;                                                                                                \
    }                                                                                                                  \
    static inline type sub##bits(struct vp_vm *m, type a, type b)                                                      \
    {                                                                                                                  \
        uint32_t r = (uint32_t)a - b;                                                                                  \
        fl_set(m, bits, r, carries_sub(a, b, r));                                                                      \
        return (type)r;                                                                                                \
    }                                                                                                                  \
    static inline type sbb##bits(struct vp_vm *m, type a, type b)                                                      \
    {                                                                                                                  \
        uint32_t r = (uint32_t)a - b - fl_cf(m);                                                                       \
        fl_set(m, bits, r, carries_sub(a, b, r));                                                                      \
        return (type)r;                                                                                                \
    }                                                                                                                  \
    static inline type and##bits(struct vp_vm *m, type a, type b)                                                      \
    {                                                                                                                  \
        fl_set(m, bits, a &b, 0);                                                                                      \
        return a & b;                                                                                                  \
    }                                                                                                                  \
    static inline type or ##bits(struct vp_vm *m, type a, type b)                                                      \
    {                                                                                                                  \
        fl_set(m, bits, a | b, 0);                                                                                     \
        return a | b;                                                                                                  \
    }                                                                                                                  \
    static inline type xor ##bits(struct vp_vm *m, type a, type b)                                                     \
    {                                                                                                                  \
        fl_set(m, bits, a ^ b, 0);                                                                                     \
        return a ^ b;                                                                                                  \
    }                                                                                                                  \
    static inline type inc##bits(struct vp_vm *m, type a)                                                              \
    {                                                                                                                  \
        type r = (type)(a + 1);                                                                                        \
        set_but_cf(m, bits, r, ~a &r, a ^ r);                                                                          \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type dec##bits(struct vp_vm *m, type a)                                                              \
    {                                                                                                                  \
        type r = (type)(a - 1);                                                                                        \
        set_but_cf(m, bits, r, a & ~r, a ^ r);                                                                         \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type neg##bits(struct vp_vm *m, type a) { return sub##bits(m, 0, a); }                               \
    static inline type not ##bits(struct vp_vm * m, type a)                                                            \
    {                                                                                                                  \
        (void)m;                                                                                                       \
        return (type)~a;                                                                                               \
    }
ALU_OPERATIONS(8, uint8_t)
ALU_OPERATIONS(16, uint16_t)
ALU_OPERATIONS(32, uint32_t)

/* -- Operand forms ------------------------------------------------------------------------------------------------- */

/* NAME_<row>_<size><r|m> for one destination/source pair; `src` is an expression. */
#define RM_WRITE(row, bits, suffix, op, src)                                                                           \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        set_reg##bits(m, i->rm, op##bits(m, reg##bits(m, i->rm), (src)));                                              \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        uint32_t at = ea(m, i);                                                                                        \
        st##bits(m, i->seg, at, op##bits(m, ldw##bits(m, i->seg, at), (src)));                                         \
        NEXT;                                                                                                          \
    }
#define RM_TEST(row, bits, suffix, op, src)                                                                            \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        op##bits(m, reg##bits(m, i->rm), (src));                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        op##bits(m, ld##bits(m, i->seg, ea(m, i)), (src));                                                             \
        NEXT;                                                                                                          \
    }
#define REG_WRITE(row, bits, suffix, op)                                                                               \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        set_reg##bits(m, i->reg, op##bits(m, reg##bits(m, i->reg), reg##bits(m, i->rm)));                              \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        set_reg##bits(m, i->reg, op##bits(m, reg##bits(m, i->reg), ld##bits(m, i->seg, ea(m, i))));                    \
        NEXT;                                                                                                          \
    }
#define REG_TEST(row, bits, suffix, op)                                                                                \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        op##bits(m, reg##bits(m, i->reg), reg##bits(m, i->rm));                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        op##bits(m, reg##bits(m, i->reg), ld##bits(m, i->seg, ea(m, i)));                                              \
        NEXT;                                                                                                          \
    }
#define ACC_WRITE_IMM(row, bits, suffix, op)                                                                           \
    HANDLER(row##suffix)                                                                                               \
    {                                                                                                                  \
        set_reg##bits(m, EAX, op##bits(m, reg##bits(m, EAX), (uint##bits##_t)i->imm));                                 \
        NEXT;                                                                                                          \
    }
#define ACC_TEST_IMM(row, bits, suffix, op)                                                                            \
    HANDLER(row##suffix)                                                                                               \
    {                                                                                                                  \
        op##bits(m, reg##bits(m, EAX), (uint##bits##_t)i->imm);                                                        \
        NEXT;                                                                                                          \
    }

/* The nine encodings of ADD, OR, ADC, SBB, AND, SUB, XOR and CMP (opcodes 00-3D and 80-83). */
#define ALU_ROWS(NAME, op, RM, REG, ACC)                                                                               \
    RM(NAME##_Eb_Gb, 8, _, op, reg8(m, i->reg))                                                                        \
    RM(NAME##_Ev_Gv, 16, _16, op, reg16(m, i->reg))                                                                    \
    RM(NAME##_Ev_Gv, 32, _32, op, reg32(m, i->reg))                                                                    \
    REG(NAME##_Gb_Eb, 8, _, op)                                                                                        \
    REG(NAME##_Gv_Ev, 16, _16, op)                                                                                     \
    REG(NAME##_Gv_Ev, 32, _32, op)                                                                                     \
    ACC(NAME##_AL_Ib, 8, , op)                                                                                         \
    ACC(NAME##_rAX_Iz, 16, _16, op)                                                                                    \
    ACC(NAME##_rAX_Iz, 32, _32, op)                                                                                    \
    RM(NAME##_Eb_Ib, 8, _, op, (uint8_t)i->imm)                                                                        \
    RM(NAME##_Ev_Iz, 16, _16, op, (uint16_t)i->imm)                                                                    \
    RM(NAME##_Ev_Iz, 32, _32, op, i->imm)                                                                              \
    RM(NAME##_Ev_Ibs, 16, _16, op, (uint16_t)i->imm)                                                                   \
    RM(NAME##_Ev_Ibs, 32, _32, op, i->imm)

ALU_ROWS(ADD, add, RM_WRITE, REG_WRITE, ACC_WRITE_IMM)
ALU_ROWS(OR, or, RM_WRITE, REG_WRITE, ACC_WRITE_IMM)
ALU_ROWS(ADC, adc, RM_WRITE, REG_WRITE, ACC_WRITE_IMM)
ALU_ROWS(SBB, sbb, RM_WRITE, REG_WRITE, ACC_WRITE_IMM)
ALU_ROWS(AND, and, RM_WRITE, REG_WRITE, ACC_WRITE_IMM)
ALU_ROWS(SUB, sub, RM_WRITE, REG_WRITE, ACC_WRITE_IMM)
ALU_ROWS(XOR, xor, RM_WRITE, REG_WRITE, ACC_WRITE_IMM)
ALU_ROWS(CMP, sub, RM_TEST, REG_TEST, ACC_TEST_IMM)

RM_TEST(TEST_Eb_Gb, 8, _, and, reg8(m, i->reg))
RM_TEST(TEST_Ev_Gv, 16, _16, and, reg16(m, i->reg))
RM_TEST(TEST_Ev_Gv, 32, _32, and, reg32(m, i->reg))
RM_TEST(TEST_Eb_Ib, 8, _, and, (uint8_t)i->imm)
RM_TEST(TEST_Ev_Iz, 16, _16, and, (uint16_t)i->imm)
RM_TEST(TEST_Ev_Iz, 32, _32, and, i->imm)
ACC_TEST_IMM(TEST_AL_Ib, 8, , and)
ACC_TEST_IMM(TEST_rAX_Iz, 16, _16, and)
ACC_TEST_IMM(TEST_rAX_Iz, 32, _32, and)

/* -- One operand --------------------------------------------------------------------------------------------------- */

#define UNARY(row, bits, suffix, op)                                                                                   \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        set_reg##bits(m, i->rm, op##bits(m, reg##bits(m, i->rm)));                                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        uint32_t at = ea(m, i);                                                                                        \
        st##bits(m, i->seg, at, op##bits(m, ldw##bits(m, i->seg, at)));                                                \
        NEXT;                                                                                                          \
    }
#define UNARY_ROWS(NAME, op)                                                                                           \
    UNARY(NAME##_Eb, 8, _, op)                                                                                         \
    UNARY(NAME##_Ev, 16, _16, op)                                                                                      \
    UNARY(NAME##_Ev, 32, _32, op)
UNARY_ROWS(INC, inc)
UNARY_ROWS(DEC, dec)
UNARY_ROWS(NEG, neg)
UNARY_ROWS(NOT, not )

#define SHORT_UNARY(NAME, bits, op)                                                                                    \
    HANDLER(NAME##_Zv_##bits)                                                                                          \
    {                                                                                                                  \
        set_reg##bits(m, i->reg, op##bits(m, reg##bits(m, i->reg)));                                                   \
        NEXT;                                                                                                          \
    }
SHORT_UNARY(INC, 16, inc)
SHORT_UNARY(INC, 32, inc)
SHORT_UNARY(DEC, 16, dec)
SHORT_UNARY(DEC, 32, dec)

/* -- Exchange and add, compare and exchange ------------------------------------------------------------------------ */

#define EXCHANGING(row_type, bits, suffix)                                                                             \
    HANDLER(XADD_##row_type##suffix##r)                                                                                \
    {                                                                                                                  \
        uint##bits##_t old = reg##bits(m, i->rm), sum = add##bits(m, old, reg##bits(m, i->reg));                       \
        set_reg##bits(m, i->reg, old);                                                                                 \
        set_reg##bits(m, i->rm, sum);                                                                                  \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(XADD_##row_type##suffix##m)                                                                                \
    {                                                                                                                  \
        uint32_t at = ea(m, i);                                                                                        \
        uint##bits##_t old = ldw##bits(m, i->seg, at);                                                                 \
        st##bits(m, i->seg, at, add##bits(m, old, reg##bits(m, i->reg)));                                              \
        set_reg##bits(m, i->reg, old);                                                                                 \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(CMPXCHG_##row_type##suffix##r)                                                                             \
    {                                                                                                                  \
        uint##bits##_t old = reg##bits(m, i->rm);                                                                      \
        sub##bits(m, reg##bits(m, EAX), old);                                                                          \
        if (fl_zf(m))                                                                                                  \
            set_reg##bits(m, i->rm, reg##bits(m, i->reg));                                                             \
        else                                                                                                           \
            set_reg##bits(m, EAX, old);                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(CMPXCHG_##row_type##suffix##m)                                                                             \
    {                                                                                                                  \
        uint32_t at = ea(m, i);                                                                                        \
        uint##bits##_t old = ldw##bits(m, i->seg, at);                                                                 \
        sub##bits(m, reg##bits(m, EAX), old);                                                                          \
        bool equal = fl_zf(m);                                                                                         \
        st##bits(m, i->seg, at, equal ? reg##bits(m, i->reg) : old);                                                   \
        if (!equal) set_reg##bits(m, EAX, old);                                                                        \
        NEXT;                                                                                                          \
    }
EXCHANGING(Eb_Gb, 8, _)
EXCHANGING(Ev_Gv, 16, _16)
EXCHANGING(Ev_Gv, 32, _32)

HANDLER(CMPXCHG8B_Mq)
{
    uint32_t at = ea(m, i);
    uint64_t old = ldw64(m, i->seg, at);
    uint64_t expected = (uint64_t)m->cpu.gpr[EDX] << 32 | m->cpu.gpr[EAX];
    bool equal = old == expected;
    st64(m, i->seg, at, equal ? (uint64_t)m->cpu.gpr[ECX] << 32 | m->cpu.gpr[EBX] : old);
    if (!equal) {
        m->cpu.gpr[EAX] = (uint32_t)old;
        m->cpu.gpr[EDX] = (uint32_t)(old >> 32);
    }
    fl_put(m, (fl_get(m) & ~(uint32_t)EF_ZF) | (equal ? EF_ZF : 0));
    NEXT;
}
