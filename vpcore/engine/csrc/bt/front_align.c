/* front_align.c: of which stack registers host code knows that they are multiples of 4, so that 4 bytes at such an
 * address need not be looked at for the end of a page.
 *
 * An access in flat mode finds it out, and leaves host code where it is not so; from then on it is followed from
 * instruction to instruction of the block.  It is said of guest registers as the instruction begins, and the
 * interpreter's turn at a site changes nothing about that.
 */
#include "front.h"

enum { WORD = 4, STACK = 1 << ESP | 1 << EBP };

/* A general register of 16 or 32 bits; those of 8 bits lie in others. */
static bool names(const struct insn *i, unsigned operand, unsigned n)
{
    switch (operand) {
    case OPD_Gd:
    case OPD_Gv:
    case OPD_Gw:
    case OPD_Zv: return i->reg == n;
    case OPD_Ed:
    case OPD_Ev:
    case OPD_Ew:
    case OPD_Rd:
    case OPD_Rv: return !(i->form & FORM_MEM) && i->rm == n;
    default: return false;
    }
}

bool f_may_write(const struct insn *i, unsigned n)
{
    const struct op_info *info = &op_info[i->op];
    const bool both = i->op == OP_XCHG_Ev_Gv || i->op == OP_XCHG_Zv_rAX || i->op == OP_XADD_Ev_Gv;

    if (i->op == OP_PUSH_Zv || i->op == OP_PUSH_Ev || i->op == OP_CALL_Ev || i->op == OP_JMP_Ev) return false;
    return names(i, info->operand[0], n) || (both && names(i, info->operand[1], n));
}

/* What is known once the instruction has moved ESP. */
static unsigned moved_stack(const struct insn *i, unsigned known)
{
    switch (i->op) {
    case OP_PUSH_Zv:
    case OP_PUSH_Iz:
    case OP_PUSH_Ibs:
    case OP_PUSH_Ev:
    case OP_PUSH_Zs:
    case OP_PUSHF:
    case OP_PUSHA:
    case OP_POP_Zv:
    case OP_POP_Ev:
    case OP_POP_Zs:
    case OP_POPF:
    case OP_POPA: return i->form & FORM_OS32 ? known : known & ~(1u << ESP);
    case OP_LEAVE: return (known >> EBP & 1) && (i->form & FORM_OS32) ? known | 1u << ESP : known & ~(1u << ESP);
    default: return known & ~(1u << ESP);
    }
}

bool f_adds_constant(const struct insn *i)
{
    switch (i->op) {
    case OP_ADD_Ev_Iz:
    case OP_ADD_Ev_Ibs:
    case OP_SUB_Ev_Iz:
    case OP_SUB_Ev_Ibs: return true;
    default: return false;
    }
}

/* It makes a multiple of 4 of anything. */
static bool aligns(const struct insn *i)
{
    return (i->op == OP_AND_Ev_Iz || i->op == OP_AND_Ev_Ibs) && i->imm % WORD == 0;
}

/* Is what the instruction makes of the register a multiple of 4 again? */
static bool makes_multiple(const struct insn *i, unsigned n, unsigned known)
{
    const bool same = known >> n & 1;

    if (!(i->form & FORM_OS32)) return false;
    if (f_adds_constant(i)) return same && i->imm % WORD == 0;
    if (aligns(i)) return true;
    switch (i->op) {
    case OP_MOV_Ev_Gv: return known >> i->reg & 1;
    case OP_MOV_Gv_Ev: return !(i->form & FORM_MEM) && (known >> i->rm & 1);
    case OP_LEA_Gv_M:
        return (i->form & FORM_AS32) && i->base != REG_NONE && i->index == REG_NONE && (known >> i->base & 1) &&
               i->disp % WORD == 0;
    default: return false;
    }
}

void f_follow_alignment(struct front *f)
{
    const struct insn *i = f->i;
    const unsigned written = op_info[i->op].regs_written;
    unsigned known = f->aligned;

    if (!known && !aligns(i)) return;
    if (written & 1u << ESP) known = moved_stack(i, known);
    if (written & 1u << EBP) known &= ~(1u << EBP);
    for (unsigned n = ESP; n <= EBP; n++)
        if (f_may_write(i, n)) {
            const bool is = makes_multiple(i, n, f->aligned);
            known = is ? known | 1u << n : known & ~(1u << n);
        }
    f->aligned = (uint8_t)(known & STACK);
}

bool f_may_be_aligned(unsigned reg, unsigned bits, uint32_t disp)
{
    return (STACK >> reg & 1) && bits == 8 * WORD && disp % WORD == 0;
}
