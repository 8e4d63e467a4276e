/* front_flow.c: near control transfers and the stack, with 32-bit operands. */
#include "front.h"

static uint32_t target(const struct front *f) { return f_next_eip(f) + f->i->imm; }

/* -- Stack -------------------------------------------------------------------------------------------------------- */

static void push_reg(struct front *f, int reg)
{
    x_rm(f->e, 32, X_MOV_RM_R, reg, f_stack(f, ESP, -4, true));
    f_add_esp(f, -4);
}

static void push_imm(struct front *f, uint32_t value)
{
    x_rm(f->e, 32, X_MOV_RM_IMM, 0, f_stack(f, ESP, -4, true));
    x_imm(f->e, 32, value);
    f_add_esp(f, -4);
}

static void pop_reg(struct front *f, unsigned n)
{
    x_rm(f->e, 32, X_MOV_R_RM, guest(n), f_stack(f, ESP, 0, false));
    if (n != ESP) f_add_esp(f, 4);
}

static bool stack(struct front *f)
{
    const struct insn *i = f->i;

    switch (i->op) {
    case OP_PUSH_Zv: push_reg(f, guest(i->reg)); return true;
    case OP_POP_Zv: pop_reg(f, i->reg); return true;
    case OP_PUSH_Iz:
    case OP_PUSH_Ibs: push_imm(f, i->imm); return true;
    case OP_PUSH_Ev:
        if (is_mem(f)) x_rm(f->e, 32, X_MOV_R_RM, RAX, f_operand(f, 32, false));
        push_reg(f, is_mem(f) ? RAX : guest(i->rm));
        return true;
    case OP_POP_Ev:
        if (is_mem(f)) return false;
        pop_reg(f, i->rm);
        return true;
    case OP_LEAVE:
        x_rm(f->e, 32, X_MOV_R_RM, RAX, f_stack(f, EBP, 0, false));
        x_rm(f->e, 32, X_LEA, guest(ESP), (struct x_mem){guest(EBP), X_NONE, 0, 4});
        f->esp = 0;
        x_mov(f->e, guest(EBP), RAX);
        return true;
    default: return false;
    }
}

/* -- Control transfers -------------------------------------------------------------------------------------------- */

/* Flags where accesses leave them, with RAX free from then on. */
static void put_flags_aside(struct front *f)
{
    if (f->window)
        f_end_flags(f);
    else
        f_clobber(f);
}

static void ret(struct front *f, uint32_t drop)
{
    put_flags_aside(f);
    x_rm(f->e, 32, X_MOV_R_RM, RAX, f_stack(f, ESP, 0, false));
    f_add_esp(f, (int32_t)(4 + drop));
    f_return_eax(f);
}

/* JMP and CALL to what a register or memory says. */
static void indirect(struct front *f, bool call)
{
    put_flags_aside(f);
    if (is_mem(f))
        x_rm(f->e, 32, X_MOV_R_RM, RAX, f_operand(f, 32, false));
    else
        x_mov(f->e, RAX, guest(f->i->rm));
    if (call) {
        push_imm(f, f_next_eip(f));
        f_call_eax(f);
    } else {
        f_goto_eax(f);
    }
}

/* LOOP and JCXZ leave the guest's flags alone. */
static void count(struct front *f, bool down)
{
    f_end_flags(f);
    if (down) x_rm(f->e, 32, X_LEA, guest(ECX), (struct x_mem){guest(ECX), X_NONE, 0, -1});
    x_mov(f->e, RCX, guest(ECX));
    f_branch_rcx(f, down ? f_next_eip(f) : target(f), down ? target(f) : f_next_eip(f));
}

static bool jump_if(struct front *f)
{
    unsigned op = f->i->op, cc;

    if (op >= OP_JO_Jb && op <= OP_JG_Jb)
        cc = op - OP_JO_Jb;
    else if (op >= OP_JO_Jz && op <= OP_JG_Jz)
        cc = op - OP_JO_Jz;
    else
        return false;
    f_branch(f, cc, target(f));
    return true;
}

bool front_flow(struct front *f)
{
    const struct insn *i = f->i;

    if (!(i->form & FORM_OS32)) return false;
    switch (i->op) {
    case OP_CALL_Jz:
        push_imm(f, f_next_eip(f));
        f_call(f, target(f));
        return true;
    case OP_JMP_Jb:
    case OP_JMP_Jz: f_goto(f, target(f)); return true;
    case OP_RET: ret(f, 0); return true;
    case OP_RET_Iw: ret(f, i->imm & 0xffff); return true;
    case OP_JMP_Ev: indirect(f, false); return true;
    case OP_CALL_Ev: indirect(f, true); return true;
    case OP_LOOP_Jb:
    case OP_JCXZ_Jb:
        if (!(i->form & FORM_AS32)) return false;
        count(f, i->op == OP_LOOP_Jb);
        return true;
    default: return jump_if(f) || stack(f);
    }
}
