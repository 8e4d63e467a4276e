/* front_bits.c: BT, BTS, BTR, BTC, BSF, BSR. */
#include "front.h"

/* -- Tests -------------------------------------------------------------------------------------------------------- */

/* With a register for the bit number, a memory operand is a bit string: the 32 bits where that one lies, and its number
 * there in ECX. */
static struct x_mem bit_string(struct front *f, bool write)
{
    const struct insn *i = f->i;
    struct emit *e = f->e;

    f_clobber(f);
    f_lea(f, RSI);
    x_mov(e, RAX, guest(i->reg));
    x_rr(e, 32, X_SHIFT_IMM, 7, RAX);
    x_byte(e, 5);
    x_rm(e, 32, X_LEA, RSI, (struct x_mem){RSI, RAX, 2, 0});
    struct x_mem at = f_linear(f, 32, write);
    x_mov(e, RCX, guest(i->reg));
    x_alu_imm(e, 32, X_AND, RCX, 31);
    return at;
}

/* BT, BTS, BTR, BTC */
static bool bit_test(struct front *f)
{
    const struct insn *i = f->i;
    struct emit *e = f->e;
    bool imm = i->op >= OP_BT_Ev_Ib && i->op <= OP_BTC_Ev_Ib, reg = i->op >= OP_BT_Ev_Gv && i->op <= OP_BTC_Ev_Gv;

    if (!(i->form & FORM_OS32) || !(imm || reg)) return false;
    if (is_mem(f) && reg && !(f_is_flat(f, i->seg) && (i->form & FORM_AS32))) return false;
    unsigned kind = imm ? i->op - OP_BT_Ev_Ib : i->op - OP_BT_Ev_Gv;
    struct x_mem at = {0};
    if (is_mem(f)) at = reg ? bit_string(f, kind != 0) : f_operand(f, 32, kind != 0);
    f_load(f);
    if (reg && is_mem(f))
        x_rm(e, 32, 0xfa3 + 8 * kind, RCX, at);
    else if (reg)
        x_rr(e, 32, 0xfa3 + 8 * kind, guest(i->reg), guest(i->rm));
    else if (is_mem(f))
        x_rm(e, 32, X_BT_IMM, (int)(4 + kind), at);
    else
        x_rr(e, 32, X_BT_IMM, (int)(4 + kind), guest(i->rm));
    if (imm) x_imm(e, 8, i->imm & 31);
    f_made(f);
    return true;
}

/* -- Bit scans ---------------------------------------------------------------------------------------------------- */

/* Processors differ in the flags but ZF; ours follow the source.  A source of 0 leaves the destination. */
static bool scan(struct front *f)
{
    const struct insn *i = f->i;
    struct emit *e = f->e;
    unsigned bits = op_bits(i);

    if (i->op != OP_BSF_Gv_Ev && i->op != OP_BSR_Gv_Ev) return false;
    if (is_mem(f)) {
        struct x_mem at = f_operand(f, bits, false);
        f_clobber(f);
        x_rm(e, bits, X_MOV_R_RM, RAX, at);
    } else {
        x_mov(e, RAX, guest(i->rm));
    }
    x_rr(e, bits, i->op == OP_BSF_Gv_Ev ? X_BSF : X_BSR, guest(i->reg), RAX);
    x_rr(e, bits, X_TEST_RM_R, RAX, RAX);
    f_made(f);
    return true;
}

bool front_bits(struct front *f) { return bit_test(f) || scan(f); }
