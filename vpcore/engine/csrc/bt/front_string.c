/* front_string.c: string instructions.  Of repeated ones, short moves and stores: all others are the interpreter's,
 * which moves spans of memory. */
#include "front.h"

/* In two steps, each where it has a memory operand: the source at seg:[ESI], loaded; then the destination at ES:[EDI],
 * with `opcode`.  With both the element passes through RAX, else it is EAX's. */
static const struct string_row {
    uint16_t op;
    bool byte, source;
    uint8_t opcode; /* of the destination, 0 where there is none */
} rows[] = {
    {OP_MOVS_Yb_Xb, true, true, X_MOV_RM_R},
    {OP_MOVS_Yv_Xv, false, true, X_MOV_RM_R},
    {OP_CMPS_Xb_Yb, true, true, X_CMP << 3 | X_ALU_R_RM},
    {OP_CMPS_Xv_Yv, false, true, X_CMP << 3 | X_ALU_R_RM},
    {OP_STOS_Yb_AL, true, false, X_MOV_RM_R},
    {OP_STOS_Yv_rAX, false, false, X_MOV_RM_R},
    {OP_LODS_AL_Xb, true, true, 0},
    {OP_LODS_rAX_Xv, false, true, 0},
    {OP_SCAS_AL_Yb, true, false, X_CMP << 3 | X_ALU_R_RM},
    {OP_SCAS_rAX_Yv, false, false, X_CMP << 3 | X_ALU_R_RM},
};

/* The first of a block asks whether DF is 0; sites see to it that it stays so. */
static void ascending(struct front *f)
{
    static const struct x_mem high_flags = {VM, X_NONE, 0, offsetof(struct vp_vm, cpu.eflags) + 1};

    if (f->assumes & ASSUMES_UP) return;
    f->assumes |= ASSUMES_UP; /* after the site of this one too */
    x_rm(f->e, 8, X_GROUP3 & ~1u, 0, high_flags);
    x_byte(f->e, EF_DF >> 8);
    f_site_if(f, X_CC_NE);
}

/* An operand at seg:[reg]. */
static struct x_mem operand(struct front *f, unsigned seg, unsigned reg, unsigned bits, bool write)
{
    const struct insn *i = f->i;
    struct insn o = *i;

    f_site(f); /* of the real one */
    o.base = (uint8_t)reg, o.index = REG_NONE, o.disp = 0, o.seg = (uint8_t)seg;
    f->i = &o;
    struct x_mem at = f_operand(f, bits, write);
    f->i = i;
    return at;
}

static void advance(struct front *f, unsigned reg, unsigned bits)
{
    x_rm(f->e, f->i->form & FORM_AS32 ? 32 : 16, X_LEA, guest(reg),
         (struct x_mem){guest(reg), X_NONE, 0, (int32_t)bits / 8});
}

static void emit_row(struct front *f, const struct string_row *row)
{
    unsigned bits = row->byte ? 8 : f->i->form & FORM_OS32 ? 32 : 16, odd = !row->byte;
    int element = row->source && row->opcode ? RAX : guest(EAX);
    bool writes = row->opcode == X_MOV_RM_R;

    f_clobber(f); /* which may use RAX */
    ascending(f);
    if (row->source) x_rm(f->e, bits, 0x8a | odd, element, operand(f, f->i->seg, ESI, bits, false));
    if (row->opcode) {
        struct x_mem at = operand(f, VP_ES, EDI, bits, writes);
        x_rm(f->e, bits, (row->opcode & ~1u) | odd, element, at);
        if (!writes) f_made(f);
    }
    if (row->source) advance(f, ESI, bits);
    if (row->opcode) advance(f, EDI, bits);
}

bool front_string_loops(const struct insn *i)
{
    if (!(i->prefix & (PFX_REP | PFX_REPNE)) || !(i->form & FORM_AS32)) return false;
    switch (i->op) {
    case OP_MOVS_Yb_Xb:
    case OP_MOVS_Yv_Xv:
    case OP_STOS_Yb_AL:
    case OP_STOS_Yv_rAX: return true;
    default: return false;
    }
}

/* Element by element, each of which leaves the registers right for the interpreter to go on where one is not reached.
 */
static void emit_loop(struct front *f, const struct string_row *row)
{
    enum { MOST = 64, MOST_FLAT = 16 };
    struct emit *e = f->e;

    f_clobber(f);
    ascending(f);
    x_alu_imm(e, 32, X_CMP, guest(ECX), f->window ? MOST : MOST_FLAT);
    f_site_if(f, X_CC_A);
    x_rr(e, 32, X_TEST_RM_R, guest(ECX), guest(ECX));
    uint8_t *none = x_jcc(e, X_CC_E);
    const uint8_t *again = x_runs_at(e);
    emit_row(f, row);
    x_alu_imm(e, 32, X_SUB, guest(ECX), 1);
    uint8_t *jump = x_jcc(e, X_CC_NE);
    if (!e->full) x_aim(jump, e->run, again);
    x_land(e, none);
}

bool front_string(struct front *f)
{
    for (unsigned k = 0; k < sizeof rows / sizeof *rows; k++)
        if (rows[k].op == f->i->op) {
            (front_string_loops(f->i) ? emit_loop : emit_row)(f, &rows[k]);
            return true;
        }
    return false;
}
