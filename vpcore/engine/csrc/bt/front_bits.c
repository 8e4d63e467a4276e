/* front_bits.c: BT, BTS, BTR, BTC, BSF, BSR, LZCNT, POPCNT, CRC32, MOVBE, ADCX, ADOX. */
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
    struct x_mem at = f_spare_rcx(f, f_linear(f, 32, write));
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

/* -- What came with SSE4 ------------------------------------------------------------------------------------------- */

/* A source that has a name beside R8-R15. */
static int plain_source(struct front *f, unsigned bits)
{
    const unsigned n = f->i->rm;

    if (!is_high(bits, n)) return guest(n);
    x_mov(f->e, RAX, guest(n & 3));
    x_rr(f->e, 32, X_MOVZX_B, RAX, X_AH);
    return RAX;
}

/* As the host does it; `size` is the operation's, `bits` the memory operand's. */
static bool same(struct front *f, unsigned size, unsigned bits, bool keeps_flags)
{
    const struct insn *i = f->i;
    const struct op_info *info = &op_info[i->op];
    struct x_mem at = {0};

    if (is_mem(f)) at = f_operand(f, bits, info->traits & TRAIT_MEM_WRITE);
    if (keeps_flags) f_load(f);
    if (is_mem(f))
        x_rm(f->e, size, info->code, guest(i->reg), at);
    else
        x_rr(f->e, size, info->code, guest(i->reg), plain_source(f, bits));
    if (info->flags_written) f_made(f);
    return true;
}

static bool newer(struct front *f)
{
    const unsigned bits = op_bits(f->i);

    switch (f->i->op) {
    case OP_POPCNT_Gv_Ev: return same(f, bits, bits, false);
    case OP_LZCNT_Gv_Ev: return same(f, bits, bits, true);
    case OP_CRC32_Gd_Eb: return same(f, 32, 8, false);
    case OP_CRC32_Gd_Ev:
    case OP_MOVBE_Gv_Mv:
    case OP_MOVBE_Mv_Gv: return same(f, bits, bits, false);
    case OP_ADCX_Gd_Ed:
    case OP_ADOX_Gd_Ed: return same(f, 32, 32, true);
    default: return false;
    }
}

bool front_bits(struct front *f) { return bit_test(f) || scan(f) || newer(f); }
