/* mov.c: moves, exchanges, extensions, flag bits. */
#include "interp.h"

#define STORE(row, bits, suffix, src)                                                                                  \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        set_reg##bits(m, i->rm, (uint##bits##_t)(src));                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        st##bits(m, i->seg, ea(m, i), (uint##bits##_t)(src));                                                          \
        NEXT;                                                                                                          \
    }
#define LOAD(row, bits, suffix)                                                                                        \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        set_reg##bits(m, i->reg, reg##bits(m, i->rm));                                                                 \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        set_reg##bits(m, i->reg, ld##bits(m, i->seg, ea(m, i)));                                                       \
        NEXT;                                                                                                          \
    }
STORE(MOV_Eb_Gb, 8, _, reg8(m, i->reg))
STORE(MOV_Ev_Gv, 16, _16, reg16(m, i->reg))
STORE(MOV_Ev_Gv, 32, _32, reg32(m, i->reg))
STORE(MOV_Eb_Ib, 8, _, i->imm)
STORE(MOV_Ev_Iz, 16, _16, i->imm)
STORE(MOV_Ev_Iz, 32, _32, i->imm)
LOAD(MOV_Gb_Eb, 8, _)
LOAD(MOV_Gv_Ev, 16, _16)
LOAD(MOV_Gv_Ev, 32, _32)

#define SIMPLE(row, action)                                                                                            \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        action;                                                                                                        \
        NEXT;                                                                                                          \
    }
SIMPLE(MOV_AL_Ob, set_reg8(m, EAX, ld8(m, i->seg, i->disp)))
SIMPLE(MOV_rAX_Ov_16, set_reg16(m, EAX, ld16(m, i->seg, i->disp)))
SIMPLE(MOV_rAX_Ov_32, set_reg32(m, EAX, ld32(m, i->seg, i->disp)))
SIMPLE(MOV_Ob_AL, st8(m, i->seg, i->disp, reg8(m, EAX)))
SIMPLE(MOV_Ov_rAX_16, st16(m, i->seg, i->disp, reg16(m, EAX)))
SIMPLE(MOV_Ov_rAX_32, st32(m, i->seg, i->disp, reg32(m, EAX)))
SIMPLE(MOV_Zb_Ib, set_reg8(m, i->reg, (uint8_t)i->imm))
SIMPLE(MOV_Zv_Iz_16, set_reg16(m, i->reg, (uint16_t)i->imm))
SIMPLE(MOV_Zv_Iz_32, set_reg32(m, i->reg, i->imm))

/* Extensions: the source is 8 or 16 bits wide, `kind` gives its signedness. */
#define EXTEND(row, dst, suffix, src, kind)                                                                            \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        set_reg##dst(m, i->reg, (uint##dst##_t)(kind##src##_t)reg##src(m, i->rm));                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        set_reg##dst(m, i->reg, (uint##dst##_t)(kind##src##_t)ld##src(m, i->seg, ea(m, i)));                           \
        NEXT;                                                                                                          \
    }
EXTEND(MOVZX_Gv_Eb, 16, _16, 8, uint)
EXTEND(MOVZX_Gv_Eb, 32, _32, 8, uint)
EXTEND(MOVZX_Gv_Ew, 16, _16, 16, uint)
EXTEND(MOVZX_Gv_Ew, 32, _32, 16, uint)
EXTEND(MOVSX_Gv_Eb, 16, _16, 8, int)
EXTEND(MOVSX_Gv_Eb, 32, _32, 8, int)
EXTEND(MOVSX_Gv_Ew, 16, _16, 16, int)
EXTEND(MOVSX_Gv_Ew, 32, _32, 16, int)

#define EXCHANGE(row, bits, suffix)                                                                                    \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        uint##bits##_t v = reg##bits(m, i->rm);                                                                        \
        set_reg##bits(m, i->rm, reg##bits(m, i->reg));                                                                 \
        set_reg##bits(m, i->reg, v);                                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        uint32_t at = ea(m, i);                                                                                        \
        uint##bits##_t v = ldw##bits(m, i->seg, at);                                                                   \
        st##bits(m, i->seg, at, reg##bits(m, i->reg));                                                                 \
        set_reg##bits(m, i->reg, v);                                                                                   \
        NEXT;                                                                                                          \
    }
EXCHANGE(XCHG_Eb_Gb, 8, _)
EXCHANGE(XCHG_Ev_Gv, 16, _16)
EXCHANGE(XCHG_Ev_Gv, 32, _32)
HANDLER(XCHG_Zv_rAX_16)
{
    uint16_t v = reg16(m, i->reg);
    set_reg16(m, i->reg, reg16(m, EAX));
    set_reg16(m, EAX, v);
    NEXT;
}
HANDLER(XCHG_Zv_rAX_32)
{
    uint32_t v = reg32(m, i->reg);
    set_reg32(m, i->reg, reg32(m, EAX));
    set_reg32(m, EAX, v);
    NEXT;
}

SIMPLE(LEA_Gv_M_16, set_reg16(m, i->reg, (uint16_t)ea(m, i)))
SIMPLE(LEA_Gv_M_32, set_reg32(m, i->reg, ea(m, i)))
HANDLER(XLAT)
{
    uint32_t at = m->cpu.gpr[EBX] + reg8(m, EAX);
    set_reg8(m, EAX, ld8(m, i->seg, i->form & FORM_AS32 ? at : at & 0xffff));
    NEXT;
}
SIMPLE(CBW_16, set_reg16(m, EAX, (uint16_t)(int8_t)reg8(m, EAX)))
SIMPLE(CBW_32, set_reg32(m, EAX, (uint32_t)(int16_t)reg16(m, EAX)))
SIMPLE(CWD_16, set_reg16(m, EDX, reg16(m, EAX) & 0x8000 ? 0xffff : 0))
SIMPLE(CWD_32, set_reg32(m, EDX, reg32(m, EAX) >> 31 ? UINT32_MAX : 0))

/* BSWAP of a 16-bit register is undefined; it clears the register on every known processor. */
SIMPLE(BSWAP_Zv_16, set_reg16(m, i->reg, 0))
SIMPLE(BSWAP_Zv_32, set_reg32(m, i->reg, __builtin_bswap32(reg32(m, i->reg))))

enum { AH = 4 };
SIMPLE(LAHF, set_reg8(m, AH, (uint8_t)(eflags_get(m) & 0xff)))
SIMPLE(SAHF, fl_put(m, (reg8(m, AH) & ~(uint32_t)EF_OF) | (fl_of(m) ? EF_OF : 0)))
SIMPLE(CLC, fl_set_cf(m, false))
SIMPLE(STC, fl_set_cf(m, true))
SIMPLE(CMC, fl_set_cf(m, !fl_cf(m)))
SIMPLE(CLD, m->cpu.eflags &= ~(uint32_t)EF_DF)
SIMPLE(STD, m->cpu.eflags |= EF_DF)
SIMPLE(NOP, (void)0)
