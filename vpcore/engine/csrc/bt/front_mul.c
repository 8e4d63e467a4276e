/* front_mul.c: division, double shifts, shifts by CL, and the exchanges that compare or add.  AH, CH, DH and BH are
 * left to the interpreter.
 */
#include "front.h"

/* -- Division, with the flags of muldiv.c -------------------------------------------------------------------------- */

/* EDX and EAX of the host from the guest's.  For bytes only EAX, with AX in it. */
static void load_dividend(struct front *f, unsigned bits)
{
    x_mov(f->e, RAX, guest(EAX));
    if (bits != 8) x_mov(f->e, RDX, guest(EDX));
}

static void store_quotient(struct front *f, unsigned bits)
{
    unsigned width = bits == 32 ? 32 : 16; /* of bytes, AX has both */

    x_rr(f->e, width, X_MOV_RM_R, RAX, guest(EAX));
    if (bits != 8) x_rr(f->e, width, X_MOV_RM_R, RDX, guest(EDX));
}

/* The upper half must be less than the divisor, which is not 0 then. */
static void check_unsigned(struct front *f, unsigned bits)
{
    struct emit *e = f->e;

    if (bits == 8)
        x_rr(e, 8, X_CMP << 3, RCX, X_AH);
    else
        x_rr(e, bits, X_CMP << 3 | X_ALU_RM_R, RCX, RDX);
    f_site_if(f, X_CC_AE);
}

/* Plain where the dividend is a sign-extended lower half, and the divisor neither 0 nor -1. */
static void check_signed(struct front *f, unsigned bits)
{
    struct emit *e = f->e;

    if (bits == 8) {
        x_rr(e, 32, X_MOVSX_B, RDX, RAX);
        x_rr(e, 16, X_CMP << 3 | X_ALU_RM_R, RAX, RDX);
    } else {
        if (bits == 16) x_byte(e, 0x66);
        x_byte(e, 0x99); /* cdq */
        x_rr(e, bits, X_CMP << 3 | X_ALU_RM_R, RDX, guest(EDX));
    }
    f_site_if(f, X_CC_NE);
    x_rr(e, 32, bits == 8 ? X_MOVSX_B : X_MOVSX_W, RSI, RCX);
    if (bits == 32) x_mov(e, RSI, RCX);
    x_alu_imm(e, 32, X_ADD, RSI, 1);
    x_alu_imm(e, 32, X_CMP, RSI, 1);
    f_site_if(f, X_CC_BE);
}

static bool divide(struct front *f)
{
    const struct insn *i = f->i;
    struct emit *e = f->e;
    bool is_signed = i->op == OP_IDIV_Eb || i->op == OP_IDIV_Ev;
    unsigned bits = i->op == OP_DIV_Eb || i->op == OP_IDIV_Eb ? 8 : op_bits(i);

    if (!is_signed && i->op != OP_DIV_Eb && i->op != OP_DIV_Ev) return false;
    if (!is_mem(f) && is_high(bits, i->rm)) return false;
    if (is_mem(f))
        x_rm(e, bits, sized(X_MOV_R_RM, bits), RCX, f_operand(f, bits, false));
    else
        x_mov(e, RCX, guest(i->rm));
    f_clobber(f);
    load_dividend(f, bits);
    if (is_signed)
        check_signed(f, bits);
    else
        check_unsigned(f, bits);
    x_rr(e, bits, sized(X_GROUP3, bits), is_signed ? 7 : 6, RCX);
    store_quotient(f, bits);
    x_alu_imm(e, 32, X_AND, FLAGS, EF_CF << RAW_AH_SHIFT | RAW_OF);
    x_alu_imm(e, 32, X_OR, FLAGS, EF_AF << RAW_AH_SHIFT);
    return true;
}

/* -- Double shifts ------------------------------------------------------------------------------------------------ */

/* For shifts of 32 bits and rotates: a count of 0 keeps the flags, and rotates all but CF and OF. */
static void count_in_cl(struct front *f)
{
    f_load(f);
    x_mov(f->e, RCX, guest(ECX));
}

/* By a constant 0, or over 16 of a 16-bit operand, which is undefined, they are the interpreter's. */
static bool double_shift(struct front *f)
{
    const struct insn *i = f->i;
    struct emit *e = f->e;
    bool left = i->op == OP_SHLD_Ev_Gv_Ib || i->op == OP_SHLD_Ev_Gv_CL;
    bool by_cl = i->op == OP_SHLD_Ev_Gv_CL || i->op == OP_SHRD_Ev_Gv_CL;
    unsigned bits = op_bits(i), opcode = (left ? X_SHLD_IMM : X_SHRD_IMM) + by_cl, count = i->imm & 31;

    if (!left && i->op != OP_SHRD_Ev_Gv_Ib && i->op != OP_SHRD_Ev_Gv_CL) return false;
    if (by_cl ? bits == 16 : !count || count >= bits) return false;
    struct x_mem at = {0};
    if (is_mem(f)) at = f_spare_rcx(f, f_operand(f, bits, true));
    if (by_cl) count_in_cl(f);
    if (is_mem(f))
        x_rm(e, bits, opcode, guest(i->reg), at);
    else
        x_rr(e, bits, opcode, guest(i->reg), guest(i->rm));
    if (!by_cl) x_byte(e, count);
    f_made(f);
    return true;
}

/* -- Shifts and rotates by CL ------------------------------------------------------------------------------------- */

enum { THROUGH_CARRY = 2, SHIFTS = 4, KINDS = 7 /* ROL ROR RCL RCR SHL SHR SAR */ };

/* A count over the width is the interpreter's, as one of 0 is. */
static void narrow_count(struct front *f, unsigned bits)
{
    struct emit *e = f->e;

    f_clobber(f);
    x_mov(e, RCX, guest(ECX));
    x_alu_imm(e, 32, X_AND, RCX, 31);
    x_rm(e, 32, X_LEA, RAX, (struct x_mem){RCX, X_NONE, 0, -1});
    x_alu_imm(e, 32, X_CMP, RAX, bits - 2);
    f_site_if(f, X_CC_A);
}

static bool shift_by_cl(struct front *f)
{
    static const uint8_t extension[KINDS] = {0, 1, 2, 3, 4, 5, 7};
    const struct insn *i = f->i;
    struct emit *e = f->e;

    if (i->op < OP_ROL_Eb_CL || i->op > OP_SAR_Ev_CL) return false;
    unsigned at = i->op - OP_ROL_Eb_CL, kind = at % KINDS, bits = at < KINDS ? 8 : op_bits(i);
    bool rotates = kind < SHIFTS;
    if (!is_mem(f) && is_high(bits, i->rm)) return false;
    if (rotates && kind >= THROUGH_CARRY && bits != 32) return false;
    struct x_mem mem = {0};
    if (is_mem(f)) mem = f_spare_rcx(f, f_operand(f, bits, true));
    if (rotates || bits == 32)
        count_in_cl(f);
    else
        narrow_count(f, bits);
    if (is_mem(f))
        x_rm(e, bits, sized(X_SHIFT_CL, bits), extension[kind], mem);
    else
        x_rr(e, bits, sized(X_SHIFT_CL, bits), extension[kind], guest(i->rm));
    f_made(f);
    return true;
}

/* -- Exchanges ---------------------------------------------------------------------------------------------------- */

static bool exchange(struct front *f)
{
    const struct insn *i = f->i;
    struct emit *e = f->e;
    bool adds = i->op == OP_XADD_Eb_Gb || i->op == OP_XADD_Ev_Gv, byte = i->op == OP_XADD_Eb_Gb;

    if (i->op == OP_CMPXCHG_Eb_Gb)
        byte = true;
    else if (!adds && i->op != OP_CMPXCHG_Ev_Gv)
        return false;
    unsigned bits = byte ? 8 : op_bits(i), opcode = sized(adds ? X_XADD : X_CMPXCHG, bits);
    if (is_high(bits, i->reg) || (!is_mem(f) && is_high(bits, i->rm))) return false;
    struct x_mem at = {0};
    if (is_mem(f)) {
        at = f_operand(f, bits, true);
        f_clobber(f); /* which may use RAX */
    }
    if (!adds) x_mov(e, RAX, guest(EAX));
    if (is_mem(f))
        x_rm(e, bits, opcode, guest(i->reg), at);
    else
        x_rr(e, bits, opcode, guest(i->reg), guest(i->rm));
    /* where EAX is itself the destination, it has got the source */
    if (!adds && (is_mem(f) || i->rm != EAX)) x_rr(e, bits, sized(X_MOV_RM_R, bits), RAX, guest(EAX));
    f_made(f);
    return true;
}

/* Two guest registers as one of the host. */
static void join(struct emit *e, int to, unsigned high, unsigned low)
{
    enum { HALF = 32 };

    x_mov(e, to, guest(high));
    x_rr(e, 64, X_SHIFT_IMM, 4, to);
    x_byte(e, HALF);
    x_rr(e, 64, X_OR << 3 | X_ALU_RM_R, guest(low), to);
}

/* By the host's 64-bit form, of whose flags only ZF is wanted. */
static bool exchange_8(struct front *f)
{
    enum { RAW_ZF_SHIFT = 8 + 6, HALF = 32 };
    struct emit *e = f->e;

    if (f->i->op != OP_CMPXCHG8B_Mq) return false;
    struct x_mem at = f_spare_rcx(f, f_operand(f, 64, true));
    f_clobber(f);
    join(e, RAX, EDX, EAX);
    join(e, RCX, ECX, EBX);
    x_rm(e, 64, X_CMPXCHG, RCX, at);
    x_rr(e, 8, X_SETCC | X_CC_E, 0, RCX);
    x_rr(e, 32, X_MOVZX_B, RCX, RCX);
    x_rr(e, 32, X_SHIFT_IMM, 4, RCX);
    x_byte(e, RAW_ZF_SHIFT);
    x_alu_imm(e, 32, X_AND, FLAGS, ~(1u << RAW_ZF_SHIFT));
    x_rr(e, 32, X_OR << 3 | X_ALU_RM_R, RCX, FLAGS);
    x_mov(e, guest(EAX), RAX);
    x_rr(e, 64, X_SHIFT_IMM, 5, RAX);
    x_byte(e, HALF);
    x_mov(e, guest(EDX), RAX);
    return true;
}

bool front_mul(struct front *f)
{
    return divide(f) || double_shift(f) || shift_by_cl(f) || exchange(f) || exchange_8(f);
}
