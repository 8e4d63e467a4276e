/* branch.c: control transfers: Jcc, JMP, CALL, RET, LOOP, far forms, INT, BOUND, IRET, SYSENTER.
 *
 * A near branch is checked against the CS limit before anything changes, so that its #GP has the branch's own EIP.
 */
#include "../far.h"
#include "cc.h"
#include "interp.h"

/* -- Near targets ------------------------------------------------------------------------------------------------- */

/* EIP behind the instruction; a 16-bit branch masks its target anyway. */
static inline uint32_t after(const struct vp_vm *m, const struct insn *i) { return m->block_eip + i->off + i->len; }

static inline uint32_t checked(struct vp_vm *m, uint32_t eip)
{
    if (unlikely(eip > m->cpu.seg[VP_CS].limit)) raise_gp0(m);
    return eip;
}
static inline uint32_t rel16(struct vp_vm *m, const struct insn *i)
{
    return checked(m, (after(m, i) + i->imm) & 0xffff);
}
static inline uint32_t rel32(struct vp_vm *m, const struct insn *i) { return checked(m, after(m, i) + i->imm); }

#define BRANCH(row, condition)                                                                                         \
    HANDLER(row##_16)                                                                                                  \
    {                                                                                                                  \
        if (condition) END_AT(rel16(m, i));                                                                            \
        END_AT(next_eip(m, i));                                                                                        \
    }                                                                                                                  \
    HANDLER(row##_32)                                                                                                  \
    {                                                                                                                  \
        if (condition) END_AT(rel32(m, i));                                                                            \
        END_AT(after(m, i));                                                                                           \
    }
#define JCC(cc, condition) BRANCH(J##cc##_Jb, condition) BRANCH(J##cc##_Jz, condition)
CC_LIST(JCC)
BRANCH(JMP_Jb, true)
BRANCH(JMP_Jz, true)

/* The counter follows the address size. */
static inline uint32_t counter(const struct vp_vm *m, const struct insn *i)
{
    return i->form & FORM_AS32 ? m->cpu.gpr[ECX] : reg16(m, ECX);
}
static inline uint32_t count_down(struct vp_vm *m, const struct insn *i)
{
    if (i->form & FORM_AS32) return --m->cpu.gpr[ECX];
    set_reg16(m, ECX, (uint16_t)(reg16(m, ECX) - 1));
    return reg16(m, ECX);
}
BRANCH(JCXZ_Jb, counter(m, i) == 0)

/* The target is checked before the count changes. */
#define LOOP(row, condition)                                                                                           \
    HANDLER(row##_16)                                                                                                  \
    {                                                                                                                  \
        bool taken = counter(m, i) != 1 && (condition);                                                                \
        uint32_t eip = taken ? rel16(m, i) : next_eip(m, i);                                                           \
        count_down(m, i);                                                                                              \
        END_AT(eip);                                                                                                   \
    }                                                                                                                  \
    HANDLER(row##_32)                                                                                                  \
    {                                                                                                                  \
        bool taken = counter(m, i) != 1 && (condition);                                                                \
        uint32_t eip = taken ? rel32(m, i) : after(m, i);                                                              \
        count_down(m, i);                                                                                              \
        END_AT(eip);                                                                                                   \
    }
LOOP(LOOP_Jb, true)
LOOP(LOOPE_Jb, fl_zf(m))
LOOP(LOOPNE_Jb, !fl_zf(m))

/* -- Near calls, jumps and returns -------------------------------------------------------------------------------- */

HANDLER(CALL_Jz_16)
{
    uint32_t eip = rel16(m, i);
    push16(m, (uint16_t)next_eip(m, i));
    END_AT(eip);
}
HANDLER(CALL_Jz_32)
{
    uint32_t eip = rel32(m, i);
    push32(m, after(m, i));
    END_AT(eip);
}

#define INDIRECT(bits, form, load)                                                                                     \
    HANDLER(JMP_Ev_##bits##form) { END_AT(checked(m, load)); }                                                         \
    HANDLER(CALL_Ev_##bits##form)                                                                                      \
    {                                                                                                                  \
        uint32_t eip = checked(m, load);                                                                               \
        push##bits(m, (uint##bits##_t)next_eip(m, i));                                                                 \
        END_AT(eip);                                                                                                   \
    }
INDIRECT(16, r, reg16(m, i->rm))
INDIRECT(32, r, reg32(m, i->rm))
INDIRECT(16, m, ld16(m, i->seg, ea(m, i)))
INDIRECT(32, m, ld32(m, i->seg, ea(m, i)))

#define RETURN(bits)                                                                                                   \
    HANDLER(RET_##bits)                                                                                                \
    {                                                                                                                  \
        (void)i;                                                                                                       \
        uint32_t eip = checked(m, ld##bits(m, VP_SS, m->cpu.gpr[ESP] & m->sp_mask));                                   \
        set_sp(m, m->cpu.gpr[ESP] + bits / 8);                                                                         \
        END_AT(eip);                                                                                                   \
    }                                                                                                                  \
    HANDLER(RET_Iw_##bits)                                                                                             \
    {                                                                                                                  \
        uint32_t eip = checked(m, ld##bits(m, VP_SS, m->cpu.gpr[ESP] & m->sp_mask));                                   \
        set_sp(m, m->cpu.gpr[ESP] + bits / 8 + (i->imm & 0xffff));                                                     \
        END_AT(eip);                                                                                                   \
    }
RETURN(16)
RETURN(32)

/* -- Far forms ---------------------------------------------------------------------------------------------------- */

HANDLER(JMPF_Ap_16) { far_jmp(m, i->imm2, i->imm & 0xffff, next_eip(m, i)); }
HANDLER(JMPF_Ap_32) { far_jmp(m, i->imm2, i->imm, next_eip(m, i)); }
HANDLER(CALLF_Ap_16) { far_call(m, i->imm2, i->imm & 0xffff, false, next_eip(m, i)); }
HANDLER(CALLF_Ap_32) { far_call(m, i->imm2, i->imm, true, next_eip(m, i)); }

/* A far pointer in memory: offset, then selector. */
static uint16_t pointer_sel(struct vp_vm *m, const struct insn *i, unsigned size)
{
    uint32_t at = ea(m, i) + size;

    return ld16(m, i->seg, i->form & FORM_AS32 ? at : at & 0xffff);
}
HANDLER(JMPF_Mp_16)
{
    uint32_t offset = ld16(m, i->seg, ea(m, i));
    far_jmp(m, pointer_sel(m, i, 2), offset, next_eip(m, i));
}
HANDLER(JMPF_Mp_32)
{
    uint32_t offset = ld32(m, i->seg, ea(m, i));
    far_jmp(m, pointer_sel(m, i, 4), offset, next_eip(m, i));
}
HANDLER(CALLF_Mp_16)
{
    uint32_t offset = ld16(m, i->seg, ea(m, i));
    far_call(m, pointer_sel(m, i, 2), offset, false, next_eip(m, i));
}
HANDLER(CALLF_Mp_32)
{
    uint32_t offset = ld32(m, i->seg, ea(m, i));
    far_call(m, pointer_sel(m, i, 4), offset, true, next_eip(m, i));
}

#define NO_OPERANDS(row, call)                                                                                         \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        (void)i;                                                                                                       \
        call;                                                                                                          \
    }
NO_OPERANDS(RETF_16, far_ret(m, false, 0))
NO_OPERANDS(RETF_32, far_ret(m, true, 0))
HANDLER(RETF_Iw_16) { far_ret(m, false, i->imm & 0xffff); }
HANDLER(RETF_Iw_32) { far_ret(m, true, i->imm & 0xffff); }
NO_OPERANDS(IRET_16, event_iret(m, false))
NO_OPERANDS(IRET_32, event_iret(m, true))
NO_OPERANDS(SYSENTER, far_sysenter(m))
NO_OPERANDS(SYSEXIT, far_sysexit(m))

/* -- Software interrupts ------------------------------------------------------------------------------------------ */

HANDLER(INT_Ib) { event_soft_int(m, i->imm & 0xff, INT_N, next_eip(m, i)); }
HANDLER(INT3) { event_soft_int(m, EXC_BP, INT_3, next_eip(m, i)); }
HANDLER(INT1) { event_soft_int(m, EXC_DB, INT_1, next_eip(m, i)); }
HANDLER(INTO)
{
    if (!fl_of(m)) END_AT(next_eip(m, i));
    event_soft_int(m, EXC_OF, INT_O, next_eip(m, i));
}

#define BOUND(bits, as_signed)                                                                                         \
    HANDLER(BOUND_Gv_Ma_##bits)                                                                                        \
    {                                                                                                                  \
        uint32_t low_at = ea(m, i), high_at = low_at + bits / 8;                                                       \
        if (!(i->form & FORM_AS32)) high_at &= 0xffff;                                                                 \
        as_signed index = (as_signed)reg##bits(m, i->reg);                                                             \
        as_signed low = (as_signed)ld##bits(m, i->seg, low_at), high = (as_signed)ld##bits(m, i->seg, high_at);        \
        if (index < low || index > high) raise_exc(m, EXC_BR);                                                         \
        NEXT;                                                                                                          \
    }
BOUND(16, int16_t)
BOUND(32, int32_t)
