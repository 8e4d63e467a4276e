/* stack.c: PUSH, POP, PUSHA, PUSHF, ENTER, LEAVE.
 *
 * ESP changes last: every handler first reads and writes memory, which may fault.
 */
#include "../seg.h"
#include "interp.h"

/* -- Registers and immediates ------------------------------------------------------------------------------------- */

HANDLER(PUSH_Zv_16)
{
    push16(m, reg16(m, i->reg));
    NEXT;
}
HANDLER(PUSH_Zv_32)
{
    push32(m, reg32(m, i->reg));
    NEXT;
}
HANDLER(POP_Zv_16)
{
    set_reg16(m, i->reg, pop16(m));
    NEXT;
}
HANDLER(POP_Zv_32)
{
    set_reg32(m, i->reg, pop32(m));
    NEXT;
}

#define PUSH_IMM(row)                                                                                                  \
    HANDLER(row##_16)                                                                                                  \
    {                                                                                                                  \
        push16(m, (uint16_t)i->imm);                                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_32)                                                                                                  \
    {                                                                                                                  \
        push32(m, i->imm);                                                                                             \
        NEXT;                                                                                                          \
    }
PUSH_IMM(PUSH_Iz)
PUSH_IMM(PUSH_Ibs)

/* -- ModRM operands ----------------------------------------------------------------------------------------------- */

HANDLER(PUSH_Ev_16r)
{
    push16(m, reg16(m, i->rm));
    NEXT;
}
HANDLER(PUSH_Ev_32r)
{
    push32(m, reg32(m, i->rm));
    NEXT;
}
HANDLER(PUSH_Ev_16m)
{
    push16(m, ld16(m, i->seg, ea(m, i)));
    NEXT;
}
HANDLER(PUSH_Ev_32m)
{
    push32(m, ld32(m, i->seg, ea(m, i)));
    NEXT;
}
HANDLER(POP_Ev_16r)
{
    set_reg16(m, i->rm, pop16(m));
    NEXT;
}
HANDLER(POP_Ev_32r)
{
    set_reg32(m, i->rm, pop32(m));
    NEXT;
}

/* ESP after a pop of `size` bytes. */
static inline uint32_t popped_esp(const struct vp_vm *m, unsigned size)
{
    uint32_t esp = m->cpu.gpr[ESP];

    return (esp & ~m->sp_mask) | ((esp + size) & m->sp_mask);
}
/* An address based on ESP uses its value after the pop (SDM 2, POP). */
static inline uint32_t pop_ea(const struct vp_vm *m, const struct insn *i, unsigned size)
{
    uint32_t a = ea(m, i);

    return i->base == ESP ? a + (popped_esp(m, size) - m->cpu.gpr[ESP]) : a;
}
HANDLER(POP_Ev_16m)
{
    st16(m, i->seg, pop_ea(m, i, 2), ld16(m, VP_SS, m->cpu.gpr[ESP] & m->sp_mask));
    m->cpu.gpr[ESP] = popped_esp(m, 2);
    NEXT;
}
HANDLER(POP_Ev_32m)
{
    st32(m, i->seg, pop_ea(m, i, 4), ld32(m, VP_SS, m->cpu.gpr[ESP] & m->sp_mask));
    m->cpu.gpr[ESP] = popped_esp(m, 4);
    NEXT;
}

/* -- Segment registers -------------------------------------------------------------------------------------------- */

HANDLER(PUSH_Zs_16)
{
    push16(m, m->cpu.seg[i->reg].sel);
    NEXT;
}
HANDLER(PUSH_Zs_32)
{
    push32(m, m->cpu.seg[i->reg].sel);
    NEXT;
}

static void pop_seg(struct vp_vm *m, unsigned seg, bool wide)
{
    unsigned size = wide ? 4 : 2;
    uint32_t sp = m->cpu.gpr[ESP] & m->sp_mask, esp = popped_esp(m, size);

    seg_load(m, seg, (uint16_t)(wide ? ld32(m, VP_SS, sp) : ld16(m, VP_SS, sp)));
    m->cpu.gpr[ESP] = esp; /* by the old SS.B */
}
#define POP_SEG(bits)                                                                                                  \
    HANDLER(POP_Zs_##bits)                                                                                             \
    {                                                                                                                  \
        pop_seg(m, i->reg, bits == 32);                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(POP_SS_##bits)                                                                                             \
    {                                                                                                                  \
        pop_seg(m, VP_SS, bits == 32);                                                                                 \
        m->cpu.shadow = SHADOW_SS;                                                                                     \
        event_sync(m);                                                                                                 \
        END_AT(next_eip(m, i));                                                                                        \
    }
POP_SEG(16)
POP_SEG(32)

/* -- All registers ------------------------------------------------------------------------------------------------ */

#define ALL_REGISTERS(bits)                                                                                            \
    HANDLER(PUSHA_##bits)                                                                                              \
    {                                                                                                                  \
        uint32_t sp = m->cpu.gpr[ESP];                                                                                 \
        for (unsigned n = EAX; n <= EDI; n++) {                                                                        \
            sp -= bits / 8;                                                                                            \
            st##bits(m, VP_SS, sp & m->sp_mask, (uint##bits##_t)m->cpu.gpr[n]);                                        \
        }                                                                                                              \
        set_sp(m, sp);                                                                                                 \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(POPA_##bits)                                                                                               \
    {                                                                                                                  \
        uint##bits##_t v[8];                                                                                           \
        uint32_t sp = m->cpu.gpr[ESP];                                                                                 \
        for (int n = EDI; n >= EAX; n--, sp += bits / 8) v[n] = ld##bits(m, VP_SS, sp & m->sp_mask);                   \
        for (unsigned n = EAX; n <= EDI; n++)                                                                          \
            if (n != ESP) set_reg##bits(m, n, v[n]);                                                                   \
        set_sp(m, sp);                                                                                                 \
        NEXT;                                                                                                          \
    }
ALL_REGISTERS(16)
ALL_REGISTERS(32)

/* -- Flags -------------------------------------------------------------------------------------------------------- */

/* Virtual-8086 mode below IOPL 3 may not, or (16-bit only, CR4.VME) sees VIF in place of IF (SDM 3B 20.3.3.4). */
static bool flags_virtual(struct vp_vm *m, bool wide)
{
    if (!(m->cpu.eflags & EF_VM) || iopl(m) == 3) return false;
    if (wide || !(m->cpu.cr4 & CR4_VME)) raise_gp0(m);
    return true;
}

HANDLER(PUSHF_16)
{
    uint32_t flags = eflags_get(m);

    if (flags_virtual(m, false)) flags = (flags & ~(uint32_t)EF_IF) | EF_IOPL | (flags & EF_VIF ? EF_IF : 0);
    push16(m, (uint16_t)flags);
    NEXT;
}
HANDLER(PUSHF_32)
{
    flags_virtual(m, true);
    push32(m, eflags_get(m) & ~(uint32_t)(EF_VM | EF_RF));
    NEXT;
}

enum { POPF_ALWAYS = EF_STATUS | EF_TF | EF_DF | EF_NT };

/* What POPF may change (SDM 2, POPF). */
static uint32_t popf_mask(const struct vp_vm *m)
{
    if (m->cpl == 0) return POPF_ALWAYS | EF_IF | EF_IOPL;
    return POPF_ALWAYS | (m->cpl <= iopl(m) ? EF_IF : 0);
}

HANDLER(POPF_16)
{
    uint32_t flags = ld16(m, VP_SS, m->cpu.gpr[ESP] & m->sp_mask), mask = popf_mask(m);

    if (flags_virtual(m, false)) {
        if ((flags & EF_TF) || ((flags & EF_IF) && (m->cpu.eflags & EF_VIP))) raise_gp0(m);
        flags |= flags & EF_IF ? EF_VIF : 0;
        mask = POPF_ALWAYS | EF_VIF;
    }
    set_sp(m, m->cpu.gpr[ESP] + 2);
    event_set_eflags(m, flags, mask);
    END_AT(next_eip(m, i));
}
HANDLER(POPF_32)
{
    flags_virtual(m, true);
    uint32_t flags = pop32(m), mask = popf_mask(m) | EF_AC | EF_ID;

    if (m->cpl == 0) { /* VIF and VIP are cleared outside V86 mode, not taken */
        mask |= EF_VIF | EF_VIP;
        flags &= ~(uint32_t)(EF_VIF | EF_VIP);
    }
    event_set_eflags(m, flags, mask);
    END_AT(next_eip(m, i));
}

/* -- Frames ------------------------------------------------------------------------------------------------------- */

enum { MAX_LEVEL = 31 };

/* The last word of the new frame must be writable (SDM 2, ENTER), which the read for writing finds out. */
#define FRAMES(bits)                                                                                                   \
    HANDLER(ENTER_Iw_Ib_##bits)                                                                                        \
    {                                                                                                                  \
        const uint32_t mask = m->sp_mask;                                                                              \
        uint32_t sp = m->cpu.gpr[ESP] - bits / 8, bp = m->cpu.gpr[EBP];                                                \
        unsigned level = i->imm2 & MAX_LEVEL;                                                                          \
        st##bits(m, VP_SS, sp &mask, (uint##bits##_t)bp);                                                              \
        const uint32_t frame = sp;                                                                                     \
        for (unsigned k = 1; k < level; k++) {                                                                         \
            bp -= bits / 8;                                                                                            \
            sp -= bits / 8;                                                                                            \
            st##bits(m, VP_SS, sp &mask, ld##bits(m, VP_SS, bp &mask));                                                \
        }                                                                                                              \
        if (level) {                                                                                                   \
            sp -= bits / 8;                                                                                            \
            st##bits(m, VP_SS, sp &mask, (uint##bits##_t)frame);                                                       \
        }                                                                                                              \
        sp -= i->imm & 0xffff;                                                                                         \
        (void)ldw##bits(m, VP_SS, sp &mask);                                                                           \
        set_reg##bits(m, EBP, (uint##bits##_t)frame);                                                                  \
        set_sp(m, sp);                                                                                                 \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(LEAVE_##bits)                                                                                              \
    {                                                                                                                  \
        uint32_t bp = m->cpu.gpr[EBP];                                                                                 \
        uint##bits##_t v = ld##bits(m, VP_SS, bp & m->sp_mask);                                                        \
        set_sp(m, bp + bits / 8);                                                                                      \
        set_reg##bits(m, EBP, v);                                                                                      \
        NEXT;                                                                                                          \
    }
FRAMES(16)
FRAMES(32)
