/* front_budget.c: where a block looks at the budget.
 *
 * It does so once, for all of its instructions, at the first place where that destroys no flags that count: where RBX
 * has them, or an instruction that cannot fault is about to set them.  Where it runs out, the interpreter executes the
 * instruction that was to come, and leaves.
 */
#include "front.h"

/* Sets all flags, reads none, and accesses no memory.  What is no instruction has no length. */
static bool sets_all(const struct insn *i)
{
    enum { ALU_KINDS = 8, ALU_ADC = 2, ALU_SBB = 3 };

    if (!i->len || (i->form & FORM_MEM)) return false;
    if (i->op >= OP_ADD_Eb_Gb && i->op <= OP_CMP_Ev_Ibs) {
        unsigned k = (i->op - OP_ADD_Eb_Gb) % ALU_KINDS;
        return k != ALU_ADC && k != ALU_SBB;
    }
    switch (i->op) {
    case OP_TEST_Eb_Gb:
    case OP_TEST_Ev_Gv:
    case OP_TEST_Eb_Ib:
    case OP_TEST_Ev_Iz:
    case OP_TEST_AL_Ib:
    case OP_TEST_rAX_Iz:
    case OP_NEG_Eb:
    case OP_NEG_Ev: return true;
    default: return false;
    }
}

/* The same but for CF, which it keeps. */
static bool keeps_carry(const struct insn *i)
{
    if (!i->len) return false;
    switch (i->op) {
    case OP_INC_Zv:
    case OP_DEC_Zv:
    case OP_INC_Eb:
    case OP_DEC_Eb:
    case OP_INC_Ev:
    case OP_DEC_Ev: return !(i->form & FORM_MEM);
    default: return false;
    }
}

/* A cheaper place is to come. */
static bool sets_all_later(const struct front *f)
{
    for (unsigned k = f->index + 1; k < f->count && k < AHEAD; k++)
        if (sets_all(&f->b->insns[k])) return true;
    return false;
}

static void pay(struct front *f, int32_t count)
{
    if (count) x_rm(f->e, 64, X_LEA, BUDGET, (struct x_mem){BUDGET, X_NONE, 0, -count});
}

void f_pay_more(struct front *f, unsigned count)
{
    if (!f->touches) pay(f, (int32_t)count);
}

/* Each gives the jump to be taken where the budget is used up. */
static uint8_t *look_plainly(struct front *f)
{
    x_alu_imm(f->e, 64, X_SUB, BUDGET, f->count);
    return x_jcc(f->e, X_CC_S);
}

static uint8_t *look_beside_carry(struct front *f)
{
    enum { DEC = 1 };

    pay(f, (int32_t)f->count - 1);
    x_rr(f->e, 64, X_GROUP5, DEC, BUDGET);
    return x_jcc(f->e, X_CC_S);
}

static uint8_t *look_beside_flags(struct front *f)
{
    struct emit *e = f->e;

    pay(f, (int32_t)f->count);
    x_rr(e, 64, X_MOV_RM_R, BUDGET, RCX);
    x_bswap(e, 64, RCX);
    x_jecxz(e, X_JMP_SIZE);
    return x_jmp(e);
}

/* Before the first instruction; no flags change.  A fault there leaves, with nothing done. */
static void touch(struct front *f, struct x_mem at)
{
    f_add_cold(f, (struct cold){.touch = x_runs_at(f->e), .flags = f->flags, .spill = f->xmm_dirty, .note = f->note});
    x_rm(f->e, 32, X_MOV_R_RM, RCX, at);
}

/* Where the block may be one of those that execution goes round in: what it ends with leads back or anywhere.  A return
 * takes back a call, or goes by bt.look_up, which touches too.  Calls without end use up their stack. */
static void touch_what_is_needed(struct front *f)
{
    const struct insn *last = &f->b->insns[f->count - 1];
    const bool returns = last->op == OP_RET || last->op == OP_RET_Iw,
               calls = (last->op == OP_CALL_Jz || last->op == OP_CALL_Ev) && !f->callee && !front_only_pushes(last);

    if (!returns && !f_leads_on(f)) touch(f, vm_kick());
    if (calls) touch(f, (struct x_mem){RSP, X_NONE, 0, -CALLS_TOUCH});
}

void f_look(struct front *f, bool foreign)
{
    bool last = f->index + 1 == f->count || f->index + 1 == AHEAD;
    unsigned flags = IN_RBX; /* where the slow way finds them, if they count at all */
    uint8_t *poor;

    if (f->looked) return;
    if (f->touches) {
        touch_what_is_needed(f);
        f->looked = true;
        return;
    }
    if (f->bt->sparing && f->index == 0 && f_leads_on(f)) {
        pay(f, (int32_t)f->count);
        f->looked = true;
        return;
    }
    if (foreign) f_clobber(f);
    if ((f->flags & IN_RBX) || sets_all(f->i)) {
        poor = look_plainly(f);
        f->flags = IN_RBX;
    } else if (keeps_carry(f->i) && !sets_all_later(f)) {
        poor = look_beside_carry(f);
        flags = IN_HOST;
    } else if (last) {
        poor = look_beside_flags(f);
        flags = IN_HOST;
    } else {
        return;
    }
    f->looked = true;
    struct site *s = f_site(f);
    if (s) f_add_cold(f, (struct cold){.from = poor, .site = s, .flags = flags, .spill = f->xmm_dirty, .esp = f->esp});
    f->site = NULL; /* that one does not come back, so it is not what others are */
}
