/* front_cases.c: jumps by tables, see cases.h. */
#include "cases.h"
#include "front.h"

static bool is_by_index(const struct insn *i)
{
    enum { TIMES_4 = 2 };

    return (i->form & FORM_MEM) && i->index != REG_NONE && i->scale == TIMES_4;
}

/* The instruction that loads what the jump which ends the block leads to, or how far that is from something; or NULL.
 * Others between the two may do as they like: then what is foreseen is wrong, no more. */
static const struct insn *load_of(const struct block *b, const struct insn *jump)
{
    enum { APART = 3 };
    const struct insn *i = jump;

    if (jump->op != OP_JMP_Ev || !(jump->form & FORM_OS32)) return NULL;
    if (jump->form & FORM_MEM) return is_by_index(jump) ? jump : NULL;
    while (i > b->insns && jump - i < APART) {
        i--;
        const bool loads = i->op == OP_MOV_Gv_Ev || i->op == OP_ADD_Gv_Ev;
        if (loads && i->reg == jump->rm && is_by_index(i)) return i;
    }
    return NULL;
}

/* The index is overwritten before the jump. */
static bool is_lost(const struct insn *load, const struct insn *jump)
{
    return !(jump->form & FORM_MEM) && load->index == jump->rm;
}

void f_keep_index(struct front *f)
{
    const struct insn *jump = &f->b->insns[f->count - 1];

    if (jump->op != OP_JMP_Ev || !(f->m->view & VIEW_WINDOW) || load_of(f->b, jump) != f->i) return;
    if (is_lost(f->i, jump)) x_mov(f->e, RDX, guest(f->i->index));
}

/* Of a place of the table whose number is in RSI. */
static struct x_mem field(unsigned table, size_t offset)
{
    enum { TIMES_8 = 3 };
    struct x_mem at = vm_at(offsetof(struct vp_vm, cases) + table * sizeof(struct cases) + offset);

    at.index = RSI, at.scale = TIMES_8;
    return at;
}

bool f_jump_by_case(struct front *f)
{
    enum { GROUP5_JMP = 4 };
    const struct insn *load = load_of(f->b, f->i);
    struct emit *e = f->e;

    if (!load || !(f->m->view & VIEW_WINDOW) || f->b->varies) return false;
    const int table = cases_of(f->bt, f->b);
    if (table < 0) return false;
    /* what is not the index any more, if anything has gone the long way round, is a number of a place still */
    x_rr(e, 32, X_MOVZX_B, RSI, is_lost(load, f->i) ? RDX : guest(load->index));
    uint8_t *miss = bt_emit_compare(e, field((unsigned)table, offsetof(struct cases, negated)));
    f_add_cold(f, (struct cold){.from = miss, .place = (unsigned)table * CASES + 1});
    x_rm(e, 32, X_GROUP5, GROUP5_JMP, field((unsigned)table, offsetof(struct cases, entry)));
    return true;
}

void f_emit_no_case(struct front *f, const struct cold *c)
{
    struct emit *e = f->e;

    x_land(e, c->from);
    x_rm(e, 32, X_LEA, RSI, (struct x_mem){RSI, X_NONE, 0, (int32_t)c->place});
    x_rm(e, 32, X_MOV_RM_R, RSI, vm_at(offsetof(struct vp_vm, bt_case)));
    uint8_t *jump = x_jmp(e);
    if (!e->full) x_aim(jump, e->run, f->bt->exit);
}
