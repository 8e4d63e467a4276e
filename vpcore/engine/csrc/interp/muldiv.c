/* muldiv.c: multiplication and division.  SDM 2, "MUL", "IMUL", "DIV", "IDIV". */
#include "../silicon.h"
#include "interp.h"

/* SDM leaves SF, ZF, AF and PF undefined after a multiplication (silicon.h; AMD's Zen 4 and 5 and Intel's Emerald
 * Rapids were asked), and all six after a division: that keeps CF and OF, clears SF, ZF and PF and sets AF, as on
 * AMD's. */
static inline void flags_after_multiply(struct vp_vm *m, int32_t lower, bool overflow)
{
    enum { NOT_ZERO = 0x100 }; /* nor any of the bits that count for PF */

    if (m->maker == MAKER_INTEL) {
        m->fl_res = lower ? (uint32_t)lower : NOT_ZERO;
        m->fl_aux = 0;
    }
    fl_set_cf_of(m, overflow, overflow);
}
static inline void flags_after_divide(struct vp_vm *m)
{
    m->fl_res = 1;
    m->fl_aux = (m->fl_aux & FL_CARRIES) | FL_AF;
}

static void mul8(struct vp_vm *m, uint8_t v)
{
    uint16_t r = (uint16_t)(reg8(m, EAX) * v);
    set_reg16(m, EAX, r);
    flags_after_multiply(m, (int8_t)r, r >> 8 != 0);
}
static void mul16(struct vp_vm *m, uint16_t v)
{
    uint32_t r = (uint32_t)reg16(m, EAX) * v;
    set_reg16(m, EAX, (uint16_t)r);
    set_reg16(m, EDX, (uint16_t)(r >> 16));
    flags_after_multiply(m, (int16_t)r, r >> 16 != 0);
}
static void mul32(struct vp_vm *m, uint32_t v)
{
    uint64_t r = (uint64_t)m->cpu.gpr[EAX] * v;
    m->cpu.gpr[EAX] = (uint32_t)r;
    m->cpu.gpr[EDX] = (uint32_t)(r >> 32);
    flags_after_multiply(m, (int32_t)r, r >> 32 != 0);
}
static void imul8(struct vp_vm *m, uint8_t v)
{
    int r = (int8_t)reg8(m, EAX) * (int8_t)v;
    set_reg16(m, EAX, (uint16_t)r);
    flags_after_multiply(m, (int8_t)r, r != (int8_t)r);
}
static void imul16(struct vp_vm *m, uint16_t v)
{
    int32_t r = (int32_t)(int16_t)reg16(m, EAX) * (int16_t)v;
    set_reg16(m, EAX, (uint16_t)r);
    set_reg16(m, EDX, (uint16_t)((uint32_t)r >> 16));
    flags_after_multiply(m, (int16_t)r, r != (int16_t)r);
}
static void imul32(struct vp_vm *m, uint32_t v)
{
    int64_t r = (int64_t)(int32_t)m->cpu.gpr[EAX] * (int32_t)v;
    m->cpu.gpr[EAX] = (uint32_t)r;
    m->cpu.gpr[EDX] = (uint32_t)((uint64_t)r >> 32);
    flags_after_multiply(m, (int32_t)r, r != (int32_t)r);
}

static void div8(struct vp_vm *m, uint8_t v)
{
    uint16_t a = reg16(m, EAX);
    if (!v || a / v > 0xff) raise_exc(m, EXC_DE);
    set_reg16(m, EAX, (uint16_t)((a % v) << 8 | a / v));
    flags_after_divide(m);
}
static void div16(struct vp_vm *m, uint16_t v)
{
    uint32_t a = (uint32_t)reg16(m, EDX) << 16 | reg16(m, EAX);
    if (!v || a / v > 0xffff) raise_exc(m, EXC_DE);
    set_reg16(m, EAX, (uint16_t)(a / v));
    set_reg16(m, EDX, (uint16_t)(a % v));
    flags_after_divide(m);
}
static void div32(struct vp_vm *m, uint32_t v)
{
    uint64_t a = (uint64_t)m->cpu.gpr[EDX] << 32 | m->cpu.gpr[EAX];
    if (!v || a / v > UINT32_MAX) raise_exc(m, EXC_DE);
    m->cpu.gpr[EAX] = (uint32_t)(a / v);
    m->cpu.gpr[EDX] = (uint32_t)(a % v);
    flags_after_divide(m);
}
static void idiv8(struct vp_vm *m, uint8_t v)
{
    int a = (int16_t)reg16(m, EAX), d = (int8_t)v;
    if (!d || a / d != (int8_t)(a / d)) raise_exc(m, EXC_DE);
    set_reg16(m, EAX, (uint16_t)((a % d & 0xff) << 8 | (a / d & 0xff)));
    flags_after_divide(m);
}
static void idiv16(struct vp_vm *m, uint16_t v)
{
    int64_t a = (int32_t)((uint32_t)reg16(m, EDX) << 16 | reg16(m, EAX)), d = (int16_t)v;
    if (!d || a / d != (int16_t)(a / d)) raise_exc(m, EXC_DE);
    set_reg16(m, EAX, (uint16_t)(a / d));
    set_reg16(m, EDX, (uint16_t)(a % d));
    flags_after_divide(m);
}
static void idiv32(struct vp_vm *m, uint32_t v)
{
    int64_t a = (int64_t)((uint64_t)m->cpu.gpr[EDX] << 32 | m->cpu.gpr[EAX]), d = (int32_t)v;
    if (!d || (d == -1 && a == INT64_MIN) || a / d != (int32_t)(a / d)) raise_exc(m, EXC_DE);
    m->cpu.gpr[EAX] = (uint32_t)(a / d);
    m->cpu.gpr[EDX] = (uint32_t)(a % d);
    flags_after_divide(m);
}

#define ONE_OPERAND(row, bits, suffix, op)                                                                             \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        op##bits(m, reg##bits(m, i->rm));                                                                              \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        op##bits(m, ld##bits(m, i->seg, ea(m, i)));                                                                    \
        NEXT;                                                                                                          \
    }
#define ONE_OPERAND_ROWS(NAME, op)                                                                                     \
    ONE_OPERAND(NAME##_Eb, 8, _, op)                                                                                   \
    ONE_OPERAND(NAME##_Ev, 16, _16, op)                                                                                \
    ONE_OPERAND(NAME##_Ev, 32, _32, op)
ONE_OPERAND_ROWS(MUL, mul)
ONE_OPERAND_ROWS(IMUL, imul)
ONE_OPERAND_ROWS(DIV, div)
ONE_OPERAND_ROWS(IDIV, idiv)

static inline uint16_t product16(struct vp_vm *m, uint16_t a, uint16_t b)
{
    int32_t r = (int32_t)(int16_t)a * (int16_t)b;
    flags_after_multiply(m, (int16_t)r, r != (int16_t)r);
    return (uint16_t)r;
}
static inline uint32_t product32(struct vp_vm *m, uint32_t a, uint32_t b)
{
    int64_t r = (int64_t)(int32_t)a * (int32_t)b;
    flags_after_multiply(m, (int32_t)r, r != (int32_t)r);
    return (uint32_t)r;
}

#define TO_REGISTER(row, bits, other)                                                                                  \
    HANDLER(row##_##bits##r)                                                                                           \
    {                                                                                                                  \
        set_reg##bits(m, i->reg, product##bits(m, reg##bits(m, i->rm), (uint##bits##_t)(other)));                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_##bits##m)                                                                                           \
    {                                                                                                                  \
        set_reg##bits(m, i->reg, product##bits(m, ld##bits(m, i->seg, ea(m, i)), (uint##bits##_t)(other)));            \
        NEXT;                                                                                                          \
    }
TO_REGISTER(IMUL_Gv_Ev, 16, reg16(m, i->reg))
TO_REGISTER(IMUL_Gv_Ev, 32, reg32(m, i->reg))
TO_REGISTER(IMUL_Gv_Ev_Iz, 16, i->imm)
TO_REGISTER(IMUL_Gv_Ev_Iz, 32, i->imm)
TO_REGISTER(IMUL_Gv_Ev_Ibs, 16, i->imm)
TO_REGISTER(IMUL_Gv_Ev_Ibs, 32, i->imm)
