/* front_int.c: integer instructions that do not touch EIP or the stack, each as the same one of the host.
 *
 * An emitter first makes the memory operand (f_operand), then sees to the flags, then to byte registers: the order in
 * which they need RAX, RCX and the host's flags.
 */
#include "../silicon.h"
#include "front.h"

/* -- Byte registers ----------------------------------------------------------------------------------------------- */

/* AH, CH, DH and BH of the guest have no name beside R8-R15: they are worked on in RCX. */

static int begin_dst(struct front *f, unsigned bits, unsigned n)
{
    if (!is_high(bits, n)) return guest(n);
    x_mov(f->e, RCX, guest(n & 3));
    return X_CH;
}
static void end_dst(struct front *f, unsigned bits, unsigned n)
{
    if (is_high(bits, n)) x_mov(f->e, guest(n & 3), RCX);
}

/* A source beside which `dst` may stand. */
static int source(struct front *f, unsigned bits, unsigned n, bool beside_high)
{
    if (bits != 8 || (n < 4 && !beside_high)) return guest(n);
    x_mov(f->e, RAX, guest(n & 3));
    if (n > 3) x_rr(f->e, 32, X_MOVZX_B, RAX, X_AH);
    return RAX;
}

/* -- Operand forms ------------------------------------------------------------------------------------------------ */

enum need { NO_FLAGS, CARRY, ALL_FLAGS };
static void need_flags(struct front *f, enum need need)
{
    if (need == CARRY) f_carry(f);
    if (need == ALL_FLAGS) f_load(f);
}

/* op r/m, r */
static void rm_reg(struct front *f, unsigned bits, unsigned opcode, bool write, enum need need)
{
    const struct insn *i = f->i;

    if (is_mem(f)) {
        struct x_mem at = f_operand(f, bits, write);
        need_flags(f, need);
        x_rm(f->e, bits, sized(opcode, bits), source(f, bits, i->reg, false), at);
        return;
    }
    need_flags(f, need);
    int src = source(f, bits, i->reg, is_high(bits, i->rm)), dst = begin_dst(f, bits, i->rm);
    x_rr(f->e, bits, sized(opcode, bits), src, dst);
    end_dst(f, bits, i->rm);
}

/* op r, r/m; the opcode is that of the form above */
static void reg_rm(struct front *f, unsigned bits, unsigned opcode, enum need need)
{
    const struct insn *i = f->i;
    enum { DIRECTION = 2 };

    if (is_mem(f)) {
        struct x_mem at = is_high(bits, i->reg) ? f_operand_low(f, bits, false) : f_operand(f, bits, false);
        need_flags(f, need);
        if (is_high(bits, i->reg)) at = f_spare_rcx(f, at);
        int dst = begin_dst(f, bits, i->reg);
        x_rm(f->e, bits, sized(opcode, bits) | DIRECTION, dst, at);
    } else {
        need_flags(f, need);
        int src = source(f, bits, i->rm, is_high(bits, i->reg)), dst = begin_dst(f, bits, i->reg);
        x_rr(f->e, bits, sized(opcode, bits), src, dst);
    }
    end_dst(f, bits, i->reg);
}

/* op r/m with an opcode extension, and an immediate of imm_bits (0: none) */
static void rm_ext(struct front *f, unsigned bits, unsigned opcode, unsigned ext, unsigned imm_bits, enum need need)
{
    const struct insn *i = f->i;
    bool tests = opcode == X_GROUP3 && ext == 0;

    if (is_mem(f)) {
        struct x_mem at = f_operand(f, bits, !tests);
        need_flags(f, need);
        x_rm(f->e, bits, sized(opcode, bits), (int)ext, at);
        if (imm_bits) x_imm(f->e, imm_bits, i->imm);
        return;
    }
    need_flags(f, need);
    int dst = begin_dst(f, bits, i->rm);
    x_rr(f->e, bits, sized(opcode, bits), (int)ext, dst);
    if (imm_bits) x_imm(f->e, imm_bits, i->imm);
    end_dst(f, bits, i->rm);
}

/* -- Arithmetic --------------------------------------------------------------------------------------------------- */

enum { ALU_ADC = 2, ALU_SBB = 3, ALU_CMP = 7 };

static void alu_imm(struct front *f, unsigned bits, unsigned alu, unsigned n)
{
    int dst = begin_dst(f, bits, n);

    x_alu_imm(f->e, bits, alu, dst, f->i->imm);
    end_dst(f, bits, n);
}

/* The nine forms of each of the eight, in the order of the table: groups of eight rows. */
static bool alu(struct front *f)
{
    unsigned op = f->i->op, bits = op_bits(f->i);

    if (op < OP_ADD_Eb_Gb || op > OP_CMP_Ev_Ibs) return false;
    if (f_moves_esp(f)) return true;
    unsigned group = (op - OP_ADD_Eb_Gb) / 8, k = (op - OP_ADD_Eb_Gb) % 8;
    enum need need = k == ALU_ADC || k == ALU_SBB ? CARRY : NO_FLAGS;
    unsigned opcode = k << 3 | X_ALU_RM_R;
    switch (OP_ADD_Eb_Gb + group * 8) {
    case OP_ADD_Eb_Gb: rm_reg(f, 8, opcode, k != ALU_CMP, need); break;
    case OP_ADD_Ev_Gv: rm_reg(f, bits, opcode, k != ALU_CMP, need); break;
    case OP_ADD_Gb_Eb: reg_rm(f, 8, opcode, need); break;
    case OP_ADD_Gv_Ev: reg_rm(f, bits, opcode, need); break;
    case OP_ADD_AL_Ib:
        need_flags(f, need);
        alu_imm(f, 8, k, EAX);
        break;
    case OP_ADD_rAX_Iz:
        need_flags(f, need);
        alu_imm(f, bits, k, EAX);
        break;
    default:
        if (op <= OP_CMP_Eb_Ib) bits = 8;
        if (is_mem(f)) {
            struct x_mem at = f_operand(f, bits, k != ALU_CMP);
            need_flags(f, need);
            x_alu_mem_imm(f->e, bits, k, at, f->i->imm);
        } else {
            need_flags(f, need);
            alu_imm(f, bits, k, f->i->rm);
        }
    }
    f_made(f);
    return true;
}

static bool unary(struct front *f)
{
    unsigned bits = op_bits(f->i);
    struct emit *e = f->e;

    switch (f->i->op) {
    case OP_INC_Zv:
    case OP_DEC_Zv:
        f_carry(f);
        x_rr(e, bits, X_GROUP5, f->i->op == OP_DEC_Zv, guest(f->i->reg));
        break;
    case OP_INC_Eb: rm_ext(f, 8, X_GROUP5, 0, 0, CARRY); break;
    case OP_DEC_Eb: rm_ext(f, 8, X_GROUP5, 1, 0, CARRY); break;
    case OP_INC_Ev: rm_ext(f, bits, X_GROUP5, 0, 0, CARRY); break;
    case OP_DEC_Ev: rm_ext(f, bits, X_GROUP5, 1, 0, CARRY); break;
    case OP_NEG_Eb: rm_ext(f, 8, X_GROUP3, 3, 0, NO_FLAGS); break;
    case OP_NEG_Ev: rm_ext(f, bits, X_GROUP3, 3, 0, NO_FLAGS); break;
    case OP_NOT_Eb: rm_ext(f, 8, X_GROUP3, 2, 0, NO_FLAGS); return true;
    case OP_NOT_Ev: rm_ext(f, bits, X_GROUP3, 2, 0, NO_FLAGS); return true;
    default: return false;
    }
    f_made(f);
    return true;
}

static bool test(struct front *f)
{
    unsigned bits = op_bits(f->i);

    switch (f->i->op) {
    case OP_TEST_Eb_Gb: rm_reg(f, 8, X_TEST_RM_R, false, NO_FLAGS); break;
    case OP_TEST_Ev_Gv: rm_reg(f, bits, X_TEST_RM_R, false, NO_FLAGS); break;
    case OP_TEST_Eb_Ib: rm_ext(f, 8, X_GROUP3, 0, 8, NO_FLAGS); break;
    case OP_TEST_Ev_Iz: rm_ext(f, bits, X_GROUP3, 0, bits, NO_FLAGS); break;
    case OP_TEST_AL_Ib:
        x_rr(f->e, 8, sized(X_GROUP3, 8), 0, guest(EAX));
        x_imm(f->e, 8, f->i->imm);
        break;
    case OP_TEST_rAX_Iz:
        x_rr(f->e, bits, X_GROUP3, 0, guest(EAX));
        x_imm(f->e, bits, f->i->imm);
        break;
    default: return false;
    }
    f_made(f);
    return true;
}

/* AMD's leave flags alone. */
static void begin_multiply(struct front *f)
{
    if (f->m->maker == MAKER_AMD) f_load(f);
}

/* MUL and IMUL of the accumulator: by way of the host's. */
static void multiply_accumulator(struct front *f, unsigned bits, bool is_signed)
{
    struct emit *e = f->e;
    unsigned opcode = sized(X_GROUP3, bits), width = bits == 32 ? 32 : 16; /* of bytes, AX is the product */
    int extension = is_signed ? 5 : 4;
    struct x_mem at = {0};

    if (is_mem(f)) at = f_operand(f, bits, false);
    begin_multiply(f);
    x_mov(e, RAX, guest(EAX));
    if (is_mem(f))
        x_rm(e, bits, opcode, extension, at);
    else
        x_rr(e, bits, opcode, extension, begin_dst(f, bits, f->i->rm));
    x_rr(e, width, X_MOV_RM_R, RAX, guest(EAX));
    if (bits != 8) x_rr(e, width, X_MOV_RM_R, RDX, guest(EDX));
    f_made(f);
}

static void multiply_register(struct front *f, unsigned bits, bool imm)
{
    const struct insn *i = f->i;
    unsigned opcode = imm ? X_IMUL_R_RM_IMM : X_IMUL_R_RM;
    struct x_mem at = {0};

    if (is_mem(f)) at = f_operand(f, bits, false);
    begin_multiply(f);
    if (is_mem(f))
        x_rm(f->e, bits, opcode, guest(i->reg), at);
    else
        x_rr(f->e, bits, opcode, guest(i->reg), guest(i->rm));
    if (imm) x_imm(f->e, bits, i->imm);
    f_made(f);
}

static bool multiply(struct front *f)
{
    unsigned bits = op_bits(f->i);

    switch (f->i->op) {
    case OP_MUL_Eb: multiply_accumulator(f, 8, false); return true;
    case OP_IMUL_Eb: multiply_accumulator(f, 8, true); return true;
    case OP_MUL_Ev: multiply_accumulator(f, bits, false); return true;
    case OP_IMUL_Ev: multiply_accumulator(f, bits, true); return true;
    case OP_IMUL_Gv_Ev: multiply_register(f, bits, false); return true;
    case OP_IMUL_Gv_Ev_Iz:
    case OP_IMUL_Gv_Ev_Ibs: multiply_register(f, bits, true); return true;
    default: return false;
    }
}

/* -- Shifts ------------------------------------------------------------------------------------------------------- */

enum { SHIFT_RCL = 2, SHIFT_RCR = 3, SHIFT_SHL = 4, SHIFT_KINDS = 7 };

/* Rows: ROL ROR RCL RCR SHL SHR SAR, each group for Eb and Ev, by Ib and 1; behind them those by CL (front_mul.c). */
static bool shift(struct front *f)
{
    static const uint8_t extension[SHIFT_KINDS] = {0, 1, 2, 3, 4, 5, 7};
    const struct insn *i = f->i;

    if (i->op < OP_ROL_Eb_Ib || i->op >= OP_ROL_Eb_CL) return false;
    unsigned at = i->op - OP_ROL_Eb_Ib, kind = at % SHIFT_KINDS, group = at / SHIFT_KINDS;
    unsigned bits = group & 1 ? op_bits(i) : 8, count = group < 2 ? i->imm & 31 : 1;
    bool rotates = kind < SHIFT_SHL, through = kind == SHIFT_RCL || kind == SHIFT_RCR;
    if (!count || count >= bits || (through && count > 1 && bits != 32)) return false;
    unsigned opcode = count == 1 ? X_SHIFT_1 : X_SHIFT_IMM;
    rm_ext(f, bits, opcode, extension[kind], count == 1 ? 0 : 8, rotates ? ALL_FLAGS : NO_FLAGS);
    f_made(f);
    return true;
}

/* -- Moves -------------------------------------------------------------------------------------------------------- */

static void move_imm(struct front *f, unsigned bits, unsigned n)
{
    int dst = begin_dst(f, bits, n);

    x_rr(f->e, bits, sized(X_MOV_RM_IMM, bits), 0, dst);
    x_imm(f->e, bits, f->i->imm);
    end_dst(f, bits, n);
}

static bool move(struct front *f)
{
    const struct insn *i = f->i;
    unsigned bits = op_bits(i);

    switch (i->op) {
    case OP_MOV_Eb_Gb: rm_reg(f, 8, X_MOV_RM_R, true, NO_FLAGS); return true;
    case OP_MOV_Ev_Gv: rm_reg(f, bits, X_MOV_RM_R, true, NO_FLAGS); return true;
    case OP_MOV_Gb_Eb: reg_rm(f, 8, X_MOV_RM_R, NO_FLAGS); return true;
    case OP_MOV_Gv_Ev: reg_rm(f, bits, X_MOV_RM_R, NO_FLAGS); return true;
    case OP_MOV_Eb_Ib: rm_ext(f, 8, X_MOV_RM_IMM, 0, 8, NO_FLAGS); return true;
    case OP_MOV_Ev_Iz: rm_ext(f, bits, X_MOV_RM_IMM, 0, bits, NO_FLAGS); return true;
    case OP_MOV_Zb_Ib: move_imm(f, 8, i->reg); return true;
    case OP_MOV_Zv_Iz:
        if (bits == 32)
            x_mov_imm32(f->e, guest(i->reg), i->imm);
        else
            move_imm(f, bits, i->reg);
        return true;
    case OP_MOV_AL_Ob: x_rm(f->e, 8, 0x8a, guest(EAX), f_operand(f, 8, false)); return true;
    case OP_MOV_rAX_Ov: x_rm(f->e, bits, X_MOV_R_RM, guest(EAX), f_operand(f, bits, false)); return true;
    case OP_MOV_Ob_AL: x_rm(f->e, 8, 0x88, guest(EAX), f_operand(f, 8, true)); return true;
    case OP_MOV_Ov_rAX: x_rm(f->e, bits, X_MOV_RM_R, guest(EAX), f_operand(f, bits, true)); return true;
    default: return false;
    }
}

static bool extend(struct front *f)
{
    const struct insn *i = f->i;
    unsigned opcode, bits;

    switch (i->op) {
    case OP_MOVZX_Gv_Eb: opcode = X_MOVZX_B, bits = 8; break;
    case OP_MOVZX_Gv_Ew: opcode = X_MOVZX_W, bits = 16; break;
    case OP_MOVSX_Gv_Eb: opcode = X_MOVSX_B, bits = 8; break;
    case OP_MOVSX_Gv_Ew: opcode = X_MOVSX_W, bits = 16; break;
    default: return false;
    }
    if (is_mem(f))
        x_rm(f->e, op_bits(i), opcode, guest(i->reg), f_operand(f, bits, false));
    else
        x_rr(f->e, op_bits(i), opcode, guest(i->reg), source(f, bits, i->rm, false));
    return true;
}

static void exchange(struct front *f, unsigned bits, unsigned a, unsigned b)
{
    unsigned opcode = sized(X_MOV_RM_R, bits);

    x_mov(f->e, RAX, guest(a));
    x_rr(f->e, bits, opcode, guest(b), guest(a));
    x_rr(f->e, bits, opcode, RAX, guest(b));
}

/* AH, CH, DH and BH are left to the interpreter. */
static bool exchange_rm(struct front *f, unsigned bits)
{
    const struct insn *i = f->i;

    if (is_high(bits, i->reg) || (!is_mem(f) && is_high(bits, i->rm))) return false;
    if (is_mem(f)) {
        struct x_mem at = f_operand(f, bits, true);
        x_rm(f->e, bits, sized(X_MOV_R_RM, bits), RAX, at);
        x_rm(f->e, bits, sized(X_MOV_RM_R, bits), guest(i->reg), at);
        x_rr(f->e, bits, sized(X_MOV_RM_R, bits), RAX, guest(i->reg));
    } else {
        exchange(f, bits, i->reg, i->rm);
    }
    return true;
}

static void load_address(struct front *f, unsigned bits)
{
    f_lea(f, bits == 32 ? guest(f->i->reg) : RAX);
    if (bits != 32) x_rr(f->e, bits, X_MOV_RM_R, RAX, guest(f->i->reg));
}

/* CBW and CWDE, CWD and CDQ. */
static void sign(struct front *f, unsigned bits, bool to_edx)
{
    struct emit *e = f->e;

    if (!to_edx) {
        x_rr(e, bits, bits == 32 ? X_MOVSX_W : X_MOVSX_B, guest(EAX), guest(EAX));
        return;
    }
    x_mov(e, RAX, guest(EAX));
    if (bits == 16) x_byte(e, 0x66);
    x_byte(e, 0x99);
    x_rr(e, bits, X_MOV_RM_R, RDX, guest(EDX));
}

/* XLAT */
static void look_up(struct front *f)
{
    struct emit *e = f->e;

    f_clobber(f);
    x_rr(e, 32, X_MOVZX_B, RSI, guest(EAX));
    x_rm(e, 32, X_LEA, RSI, (struct x_mem){RSI, guest(EBX), 0, 0});
    if (!(f->i->form & FORM_AS32)) x_rr(e, 32, X_MOVZX_W, RSI, RSI);
    x_rm(e, 8, sized(X_MOV_R_RM, 8), guest(EAX), f_offset(f, f->i->seg, 8, false));
}

static void swap_bytes(struct front *f) { x_bswap(f->e, 32, guest(f->i->reg)); }

static bool move_more(struct front *f)
{
    const struct insn *i = f->i;
    unsigned bits = op_bits(i);

    switch (i->op) {
    case OP_LEA_Gv_M: load_address(f, bits); return true;
    case OP_XCHG_Zv_rAX: exchange(f, bits, i->reg, EAX); return true;
    case OP_XCHG_Ev_Gv: return exchange_rm(f, bits);
    case OP_XCHG_Eb_Gb: return exchange_rm(f, 8);
    case OP_CBW: sign(f, bits, false); return true;
    case OP_CWD: sign(f, bits, true); return true;
    case OP_XLAT: look_up(f); return true;
    case OP_BSWAP_Zv: return bits == 32 && (swap_bytes(f), true);
    default: return false;
    }
}

/* -- Conditions and flags ------------------------------------------------------------------------------------------ */

static void set_byte(struct front *f, unsigned cc)
{
    const struct insn *i = f->i;

    if (is_mem(f)) {
        struct x_mem at = f_operand(f, 8, true);
        f_load(f);
        x_rm(f->e, 8, X_SETCC | cc, 0, at);
        return;
    }
    f_load(f);
    int dst = begin_dst(f, 8, i->rm);
    x_rr(f->e, 8, X_SETCC | cc, 0, dst);
    end_dst(f, 8, i->rm);
}

static bool conditional(struct front *f)
{
    const struct insn *i = f->i;
    struct emit *e = f->e;

    if (i->op >= OP_SETO_Eb && i->op <= OP_SETG_Eb) {
        set_byte(f, i->op - OP_SETO_Eb);
        return true;
    }
    if (i->op < OP_CMOVO_Gv_Ev || i->op > OP_CMOVG_Gv_Ev) return false;
    unsigned opcode = X_CMOVCC | (i->op - OP_CMOVO_Gv_Ev), bits = op_bits(i);
    struct x_mem at = {0};
    if (is_mem(f)) at = f_operand(f, bits, false);
    f_load(f);
    if (is_mem(f))
        x_rm(e, bits, opcode, guest(i->reg), at);
    else
        x_rr(e, bits, opcode, guest(i->reg), guest(i->rm));
    return true;
}

static bool flag_bits(struct front *f)
{
    static const struct x_mem eflags = {VM, X_NONE, 0, (int32_t)offsetof(struct vp_vm, cpu.eflags) - VM_BIAS};

    switch (f->i->op) {
    case OP_NOP:
    case OP_NOP_Ev:
    case OP_PREFETCHNTA_Mb:
    case OP_PREFETCHT0_Mb:
    case OP_PREFETCHT1_Mb:
    case OP_PREFETCHT2_Mb: return true;
    case OP_CLD:
        f_clobber(f);
        x_alu_mem_imm(f->e, 32, X_AND, eflags, ~(uint32_t)EF_DF);
        f->assumes |= ASSUMES_UP;
        return true;
    case OP_STD:
        f_clobber(f);
        x_alu_mem_imm(f->e, 32, X_OR, eflags, EF_DF);
        f->assumes &= ~(unsigned)ASSUMES_UP;
        return true;
    case OP_CLC:
    case OP_STC:
    case OP_CMC:
        f_load(f);
        x_byte(f->e, f->i->op == OP_CLC ? 0xf8 : f->i->op == OP_STC ? 0xf9 : 0xf5);
        f_made(f);
        return true;
    default: return false;
    }
}

/* Of a row of the opcode table one emits all forms that have a translation. */
static bool (*const emitters[])(struct front *f) = {
    move,         alu,       test,       unary,     extend,     move_more, shift,
    conditional,  multiply,  front_bits, flag_bits, front_x87,  front_mul, front_string,
    front_system, front_sse, front_mmx,  front_seg, front_flow,
};
enum { EMITTERS = sizeof emitters / sizeof *emitters };

bool front_insn(struct front *f)
{
    uint8_t *known = &f->emitter[f->i->op];

    for (uint8_t k = *known; k < EMITTERS; k++)
        if (emitters[k](f)) {
            *known = k;
            return true;
        }
    return false;
}
