/* front_mmx.c: MMX, each instruction as the same one of the host.
 *
 * The host's MMX registers are its x87 registers, as the guest's are.  So MMX code runs where x87 code does
 * (front_x87.c), on the guest's state in the host's unit, which makes of TOP and tags what the guest's would.  The
 * interpreter's MMX works on vp_cpu.fx; sites bring the state back.
 */
#include "front.h"

static bool is_general(const struct insn *i, unsigned operand, bool *reg)
{
    *reg = operand == OPD_Gd;
    return *reg || (!(i->form & FORM_MEM) && (operand == OPD_Ed || operand == OPD_Ew));
}

/* Register fields that name general registers have those of host code. */
static void choose_registers(const struct insn *i, int *reg, int *rm)
{
    bool in_reg;

    *reg = op_info[i->op].imm == IMM_IB && op_info[i->op].digit ? op_info[i->op].digit : i->reg;
    *rm = i->rm;
    for (unsigned k = 0; k < 2; k++)
        if (is_general(i, op_info[i->op].operand[k], &in_reg)) {
            int *field = in_reg ? reg : rm;
            *field = guest((unsigned)*field);
        }
}

static unsigned memory_bits(const struct insn *i)
{
    for (unsigned k = 0; k < 2; k++) switch (op_info[i->op].operand[k]) {
        case OPD_Ew: return 16;
        case OPD_Ed:
        case OPD_Qd: return 32;
        }
    return 64;
}

static void emit_same(struct front *f)
{
    const struct insn *i = f->i;
    const struct op_info *info = &op_info[i->op];
    int reg, rm;

    choose_registers(i, &reg, &rm);
    if (i->form & FORM_MEM)
        x_rm(f->e, 32, info->code, reg, f_operand(f, memory_bits(i), info->traits & TRAIT_MEM_WRITE));
    else
        x_rr(f->e, 32, info->code, reg, rm);
    if (info->imm == IMM_IB) x_byte(f->e, i->imm);
}

bool front_mmx(struct front *f)
{
    const struct insn *i = f->i;
    const unsigned traits = op_info[i->op].traits;

    if (!(traits & TRAIT_MMX) || (traits & TRAIT_SSE) || i->op == OP_MASKMOVQ_Pq_Nq) return false;
    f_guard(f, ASSUMES_FP, offsetof(struct vp_vm, fp_off));
    if (i->op == OP_EMMS)
        x_byte(f->e, 0x0f), x_byte(f->e, 0x77);
    else
        emit_same(f);
    return true;
}
