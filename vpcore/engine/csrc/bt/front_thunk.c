/* front_thunk.c: callees that stand in place of the calls of them.
 *
 * Position-independent 32-bit code finds out where it is by calls of `mov reg, [esp]; ret` (GCC's
 * __x86.get_pc_thunk.reg), nearly one a function.  Here such a call stores its return address, for the guest may look,
 * and loads it to the register.  Linux goes to what a register says by calls of `mov [esp], reg; ret` (a retpoline,
 * arch/x86/lib/retpoline.S), so that the processor does not guess where: such a call stores the register, and is an
 * indirect jump.  The callee's block has to live, and where it lies on another page the key has to be the one that it
 * was found under; else host code leaves, with the call done, and chain_go_on() sees to it.
 */
#include "chain.h"
#include "front.h"

static bool is_thunk(const struct block *b)
{
    enum { FORM = FORM_MEM | FORM_OS32 | FORM_AS32 };
    const struct insn *move = &b->insns[0], *ret = &b->insns[1];

    if (b->count != THUNK || b->other || !move->len || !ret->len) return false;
    if (move->op != OP_MOV_Gv_Ev && move->op != OP_MOV_Ev_Gv) return false;
    if (move->form != FORM || move->seg != VP_SS || move->reg == ESP) return false;
    if (move->base != ESP || move->index != REG_NONE || move->disp) return false;
    return ret->op == OP_RET && (ret->form & FORM_OS32);
}

static uint32_t target(const struct front *f)
{
    const struct insn *call = &f->b->insns[f->count - 1];

    return f_behind(f, call) + call->imm;
}

struct block *f_callee(struct front *f)
{
    const struct insn *call = &f->b->insns[f->count - 1];
    const bool odd = f->m->view & (VIEW_SEGMENTED | VIEW_SP16 | VIEW_16);

    if (odd || f->b->other || f->b->varies || !call->len || call->op != OP_CALL_Jz || !(call->form & FORM_OS32))
        return NULL;
    if (front_only_pushes(call)) return NULL;
    if (f->slides && !f_is_near(f, target(f))) return NULL;
    const uint64_t key = jump_key(f->m, f_whole_eip(f, target(f)));
    struct block *callee = f->b->next[1];
    if (!callee || callee->key != key) callee = block_known(f->m->interp, key);
    return callee && !block_is_dead(callee) && is_thunk(callee) ? callee : NULL;
}

bool f_callee_jumps(const struct front *f) { return f->callee->insns[0].op == OP_MOV_Ev_Gv; }

void f_call_inline(struct front *f)
{
    struct link *link = f_link(f, target(f));
    struct inlined *in = bt_allocate(f->bt, sizeof *in);
    uint8_t *other = NULL;

    f_exact_esp(f);
    f_load(f);
    if (!link || !in) {
        f->full = f->closed = true;
        return;
    }
    *in = (struct inlined){.link = link, .caller = f->b, .callee = f->callee, .again = x_runs_at(f->e)};
    link->inlined = in;
    if (!f_is_near(f, link->eip)) {
        other = f_check_key(f, link);
        if (!f->e->full) chain_set_check(f->m, link);
    }
    link->field = f->e->at + 1; /* of the jump that may come to be here */
    const int reg = guest(f->callee->insns[0].reg);
    const bool jumps = f_callee_jumps(f);
    if (jumps)
        f_replace_return(f, reg);
    else
        f_eip(f, reg, f_next_eip(f));
    f_pay_more(f, THUNK);
    f_add_cold(f, (struct cold){.from = other, .link = link});
    f->inlined = in;
    if (jumps) {
        x_mov(f->e, RAX, reg);
        f_goto_eax(f);
    } else {
        f_goto(f, f_next_eip(f));
    }
}

void f_emit_call_after_all(struct front *f, const struct cold *c)
{
    struct link *link = c->link;

    if (c->from) x_land(f->e, c->from);
    link->cold = x_runs_at(f->e);
    f_move_esp(f, guest(ESP), -(int32_t)sizeof(uint32_t));
    f_eip(f, RAX, link->eip);
    f_exit_by(f, link);
}
