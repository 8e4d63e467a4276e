/* front_flow.c: near control transfers and the stack. */
#include "front.h"

/* -- Stack -------------------------------------------------------------------------------------------------------- */

static int32_t size(const struct front *f) { return (int32_t)op_bits(f->i) / 8; }

static void push_reg(struct front *f, int reg)
{
    const unsigned bits = op_bits(f->i);

    x_rm(f->e, bits, X_MOV_RM_R, reg, f_stack(f, ESP, -size(f), bits, true));
    f_add_esp(f, -size(f));
}

static void push_imm(struct front *f, uint32_t value)
{
    const unsigned bits = op_bits(f->i);

    x_rm(f->e, bits, X_MOV_RM_IMM, 0, f_stack(f, ESP, -size(f), bits, true));
    x_imm(f->e, bits, value);
    f_add_esp(f, -size(f));
}

/* The address behind the instruction; RCX is lost. */
static void push_return(struct front *f)
{
    if (!f->slides) {
        push_imm(f, f_next_eip(f));
        return;
    }
    struct x_mem at = f_spare_rcx(f, f_stack(f, ESP, -4, 32, true));
    f_eip(f, RCX, f_next_eip(f));
    x_rm(f->e, 32, X_MOV_RM_R, RCX, at);
    f_add_esp(f, -4);
}

/* SP alone is the interpreter's. */
static bool pop_reg(struct front *f, unsigned n)
{
    const unsigned bits = op_bits(f->i);

    if (n == ESP && bits == 16) return false;
    x_rm(f->e, bits, X_MOV_R_RM, guest(n), f_stack(f, ESP, 0, bits, false));
    if (n != ESP) f_add_esp(f, size(f));
    return true;
}

static void push_operand(struct front *f)
{
    const unsigned bits = op_bits(f->i);

    if (!is_mem(f)) {
        push_reg(f, guest(f->i->rm));
        return;
    }
    if (f_stack_clobbers(f)) f_clobber(f); /* which would lose RAX */
    x_rm(f->e, bits, X_MOV_R_RM, RAX, f_operand(f, bits, false));
    push_reg(f, RAX);
}

static void leave(struct front *f)
{
    const unsigned bits = op_bits(f->i);

    x_rm(f->e, bits, X_MOV_R_RM, RAX, f_stack(f, EBP, 0, bits, false));
    f_move_esp(f, guest(EBP), size(f));
    f->esp = 0;
    x_rr(f->e, bits, X_MOV_RM_R, RAX, guest(EBP));
}

/* The eight registers as one operand.  That its last slot can be accessed is found out right behind the first. */
enum { SLOTS = 8 };

static struct x_mem slot(const struct front *f, struct x_mem at, unsigned k)
{
    at.disp += (int32_t)k * size(f);
    return at;
}

static void push_all(struct front *f)
{
    const unsigned bits = op_bits(f->i);
    struct x_mem at = f_stack(f, ESP, -SLOTS * size(f), SLOTS * bits, true);

    x_rm(f->e, bits, X_MOV_RM_R, guest(EDI), slot(f, at, 0));
    x_rm(f->e, bits, X_MOV_RM_R, guest(EAX), slot(f, at, SLOTS - 1));
    const unsigned touches = f->e->touch_count;
    for (unsigned k = 1; k < SLOTS - 1; k++) x_rm(f->e, bits, X_MOV_RM_R, guest(EDI - k), slot(f, at, k));
    f->e->touch_count = touches;
    f_add_esp(f, -SLOTS * size(f));
}

static void pop_all(struct front *f)
{
    const unsigned bits = op_bits(f->i);
    struct x_mem at = f_spare_rcx(f, f_stack(f, ESP, 0, SLOTS * bits, false));

    x_rm(f->e, bits, X_MOV_R_RM, RCX, slot(f, at, 0));
    x_rm(f->e, bits, X_MOV_R_RM, guest(EAX), slot(f, at, SLOTS - 1));
    const unsigned touches = f->e->touch_count;
    for (unsigned k = 1; k < SLOTS - 1; k++)
        if (EDI - k != ESP) x_rm(f->e, bits, X_MOV_R_RM, guest(EDI - k), slot(f, at, k));
    f->e->touch_count = touches;
    x_rr(f->e, bits, X_MOV_RM_R, RCX, guest(EDI));
    f_add_esp(f, SLOTS * size(f));
}

static bool stack(struct front *f)
{
    const struct insn *i = f->i;

    switch (i->op) {
    case OP_PUSH_Zv: push_reg(f, guest(i->reg)); return true;
    case OP_POP_Zv: return pop_reg(f, i->reg);
    case OP_PUSH_Iz:
    case OP_PUSH_Ibs: push_imm(f, i->imm); return true;
    case OP_PUSH_Ev: push_operand(f); return true;
    case OP_POP_Ev: return !is_mem(f) && pop_reg(f, i->rm);
    case OP_LEAVE: leave(f); return true;
    case OP_PUSHA: push_all(f); return true;
    case OP_POPA: pop_all(f); return true;
    default: return false;
    }
}

/* -- Control transfers -------------------------------------------------------------------------------------------- */

/* Of a branch with 16-bit operands, IP is the target's lower half. */
static uint32_t target(const struct front *f)
{
    uint32_t eip = f_next_eip(f) + f->i->imm;

    return f->i->form & FORM_OS32 ? eip : eip & 0xffff;
}

/* Flags where accesses leave them, with RAX free from then on. */
static void put_flags_aside(struct front *f)
{
    if (f_stack_clobbers(f))
        f_clobber(f);
    else
        f_load(f);
}

/* EAX from there, to be EIP; what CS does not reach is the interpreter's. */
static void load_target(struct front *f, struct x_mem at)
{
    x_rm(f->e, 32, op_bits(f->i) == 32 ? X_MOV_R_RM : X_MOVZX_W, RAX, at);
}
static void check_target(struct front *f)
{
    if (f->cs.limit >= (op_bits(f->i) == 32 ? UINT32_MAX : 0xffff)) return;
    f_clobber(f);
    x_alu_imm(f->e, 32, X_CMP, RAX, f->cs.limit);
    f_site_if(f, X_CC_A);
}

static void ret(struct front *f, uint32_t drop)
{
    put_flags_aside(f);
    load_target(f, f_stack(f, ESP, 0, op_bits(f->i), false));
    check_target(f);
    f_add_esp(f, size(f) + (int32_t)drop);
    f_return_eax(f);
}

/* JMP and CALL to what a register or memory says. */
static void indirect(struct front *f, bool call)
{
    put_flags_aside(f);
    if (is_mem(f))
        load_target(f, f_operand(f, op_bits(f->i), false));
    else
        x_rr(f->e, 32, op_bits(f->i) == 32 ? X_MOV_R_RM : X_MOVZX_W, RAX, guest(f->i->rm));
    check_target(f);
    if (call) {
        push_return(f);
        f_call_eax(f);
    } else {
        f_goto_eax(f);
    }
}

/* LOOP and JCXZ leave the guest's flags alone. */
static void count(struct front *f, bool down)
{
    const bool wide = f->i->form & FORM_AS32;

    f_load(f);
    if (down) x_rm(f->e, wide ? 32 : 16, X_LEA, guest(ECX), (struct x_mem){guest(ECX), X_NONE, 0, -1});
    x_rr(f->e, 32, wide ? X_MOV_R_RM : X_MOVZX_W, RCX, guest(ECX));
    f_branch_rcx(f, down ? f_next_eip(f) : target(f), down ? target(f) : f_next_eip(f));
}

bool front_only_pushes(const struct insn *i) { return i->op == OP_CALL_Jz && (i->form & FORM_OS32) && !i->imm; }

int front_condition(const struct insn *i)
{
    if (i->op >= OP_JO_Jb && i->op <= OP_JG_Jb) return i->op - OP_JO_Jb;
    return i->op >= OP_JO_Jz && i->op <= OP_JG_Jz ? i->op - OP_JO_Jz : -1;
}

bool front_jumps_back(const struct front *f)
{
    const struct insn *last = &f->b->insns[f->count - 1];

    return front_condition(last) >= 0 && (last->form & FORM_OS32) && last->off + last->len + last->imm == 0;
}

static bool jump_if(struct front *f)
{
    const int cc = front_condition(f->i);

    if (cc < 0) return false;
    f_branch(f, (unsigned)cc, target(f));
    return true;
}

void f_replace_return(struct front *f, int reg)
{
    put_flags_aside(f);
    x_rm(f->e, 32, X_MOV_RM_R, reg, f_stack(f, ESP, -(int32_t)sizeof(uint32_t), 32, true));
}

/* With a target, but for one in memory or a register. */
static bool direct(struct front *f)
{
    switch (f->i->op) {
    case OP_CALL_Jz:
        push_return(f);
        if (front_only_pushes(f->i)) {
            f_goto(f, f_next_eip(f));
        } else if (f->callee) {
            f_add_esp(f, size(f));
            f_call_inline(f);
        } else {
            f_call(f, target(f));
        }
        return true;
    case OP_JMP_Jb:
    case OP_JMP_Jz: f_goto(f, target(f)); return true;
    case OP_LOOP_Jb: count(f, true); return true;
    case OP_JCXZ_Jb: count(f, false); return true;
    default: return jump_if(f);
    }
}

bool front_flow(struct front *f)
{
    const struct insn *i = f->i;

    switch (i->op) {
    case OP_RET: ret(f, 0); return true;
    case OP_RET_Iw: ret(f, i->imm & 0xffff); return true;
    case OP_JMP_Ev: indirect(f, false); return true;
    case OP_CALL_Ev: indirect(f, true); return true;
    default: return stack(f) || (target(f) <= f->cs.limit && direct(f));
    }
}
