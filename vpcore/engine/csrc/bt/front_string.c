/* front_string.c: string instructions; of repeated ones all but LODS.
 *
 * Few elements to move or store go one by one.  More, and what is compared, go by the host's own REP on guest RAM,
 * piece by piece: what lies on one page of each side, as far as the flat tables allow it, so that no piece can fault.
 * All that is counted is counted as in the interpreter (string.c): an instruction retires after each REP_CHUNK
 * elements, and looks at the budget.  Users' code in windows, which does not count, moves and stores by one REP there.
 */
#include "../interp/interp.h"
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
    static const struct x_mem high_flags = {VM, X_NONE, 0, (int32_t)offsetof(struct vp_vm, cpu.eflags) + 1 - VM_BIAS};

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

static unsigned element_bits(const struct insn *i, const struct string_row *row) { return row->byte ? 8 : op_bits(i); }

static void emit_row(struct front *f, const struct string_row *row)
{
    unsigned bits = element_bits(f->i, row), odd = !row->byte;
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
    case OP_STOS_Yv_rAX:
    case OP_CMPS_Xb_Yb:
    case OP_CMPS_Xv_Yv:
    case OP_SCAS_AL_Yb:
    case OP_SCAS_rAX_Yv: return true;
    default: return false;
    }
}

static bool compares(const struct string_row *row) { return row->opcode == (X_CMP << 3 | X_ALU_R_RM); }

/* Element by element, each of which leaves the registers right for the interpreter to go on where one is not reached.
 */
static void emit_elements(struct front *f, const struct string_row *row)
{
    struct emit *e = f->e;
    const uint8_t *again = x_runs_at(e);

    emit_row(f, row);
    x_alu_imm(e, 32, X_SUB, guest(ECX), 1);
    uint8_t *jump = x_jcc(e, X_CC_NE);
    if (!e->full) x_aim(jump, e->run, again);
}

/* To the host address of the element at [reg], if the page is plain memory. */
static void emit_plain(struct front *f, int to, unsigned reg, bool write)
{
    f_ask_flat(f, to, guest(reg), write);
    x_rr(f->e, 64, X_ADD << 3 | X_ALU_R_RM, to, guest(reg));
}

static void emit_least(struct emit *e, int to, int other)
{
    x_rr(e, 32, X_CMP << 3 | X_ALU_R_RM, to, other);
    x_rr(e, 32, X_CMOVCC | X_CC_A, to, other);
}

/* To RCX: how many elements the next piece has, at least 1.  RAX is lost. */
static void emit_count(struct front *f, bool source, unsigned shift)
{
    enum { SHR = 5, NOT = 2 };
    struct emit *e = f->e;

    for (unsigned k = 0; k <= source; k++) { /* bytes behind the address on its page, less 1 */
        int to = k ? RAX : RCX;
        x_mov(e, to, guest(k ? ESI : EDI));
        x_rr(e, 32, X_GROUP3, NOT, to);
        x_alu_imm(e, 32, X_AND, to, PAGE_SIZE - 1);
    }
    if (source) emit_least(e, RCX, RAX);
    x_alu_imm(e, 32, X_ADD, RCX, 1);
    if (shift) {
        x_rr(e, 32, X_SHIFT_IMM, SHR, RCX);
        x_byte(e, shift);
        f_site_if(f, X_CC_E); /* an element on two pages */
    }
    x_rm(e, 32, X_LEA, RAX, (struct x_mem){guest(ECX), X_NONE, 0, -1});
    x_alu_imm(e, 32, X_AND, RAX, REP_CHUNK - 1);
    x_alu_imm(e, 32, X_ADD, RAX, 1);
    emit_least(e, RCX, RAX);
}

/* What the host's instruction wants in RAX and RDI, which is BUDGET or WINDOW and in RDX then. */
static void begin_rep(struct front *f, const struct string_row *row)
{
    if (!row->source) x_mov(f->e, RAX, guest(EAX));
    x_rr(f->e, 64, X_XCHG, RDX, RDI);
}

static void emit_rep(struct front *f, const struct string_row *row)
{
    enum { REP = 0xf3, REPNE = 0xf2, OPERAND_SIZE = 0x66, MOVS = 0xa4, STOS = 0xaa, COMPARES = 2, SCAS = 0xae };
    const bool until_equal = compares(row) && !(f->i->prefix & PFX_REP);
    const unsigned bits = element_bits(f->i, row);
    struct emit *e = f->e;

    if (bits == 16) x_byte(e, OPERAND_SIZE);
    x_byte(e, until_equal ? REPNE : REP);
    x_byte(e, (row->source ? MOVS + COMPARES * compares(row) : compares(row) ? SCAS : STOS) | (bits > 8));
}

/* A piece, and the guest's registers as they are behind it where all has been done; RCX is what has not.  RSI and RDX
 * are the host addresses. */
static void emit_piece(struct front *f, const struct string_row *row, unsigned shift)
{
    struct emit *e = f->e;

    x_rr(e, 32, X_SUB << 3 | X_ALU_R_RM, guest(ECX), RCX);
    if (row->source) x_rm(e, 32, X_LEA, guest(ESI), (struct x_mem){guest(ESI), RCX, shift, 0});
    x_rm(e, 32, X_LEA, guest(EDI), (struct x_mem){guest(EDI), RCX, shift, 0});
    begin_rep(f, row);
    emit_rep(f, row);
    x_rr(e, 64, X_MOV_RM_R, RDX, RDI);
}

/* Behind a comparison: the registers as they are, flags in RBX; the jump where they end the instruction comes back. */
static uint8_t *emit_compared(struct front *f, const struct string_row *row, unsigned shift)
{
    enum { NOT = 2 };
    const int32_t size = 1 << shift; /* as -RCX is NOT RCX plus 1 */
    struct emit *e = f->e;

    x_rm(e, 32, X_LEA, guest(ECX), (struct x_mem){guest(ECX), RCX, 0, 0});
    x_rr(e, 32, X_GROUP3, NOT, RCX);
    if (row->source) x_rm(e, 32, X_LEA, guest(ESI), (struct x_mem){guest(ESI), RCX, shift, size});
    x_rm(e, 32, X_LEA, guest(EDI), (struct x_mem){guest(EDI), RCX, shift, size});
    f->flags = IN_HOST;
    f_save(f);
    f->flags = IN_RBX;
    return x_jcc(e, f->i->prefix & PFX_REP ? X_CC_NE : X_CC_E);
}

/* An instruction more, which takes the time of many: to the site where the clock is to be looked at. */
static void emit_retire(struct front *f)
{
    enum { PRICE = 1024 };
    struct emit *e = f->e;

    if (f->touches) {
        x_alu_mem_imm(e, 8, X_CMP, vm_at(offsetof(struct vp_vm, kicked)), 0);
        f_site_if(f, X_CC_NE);
        return;
    }
    x_mov_imm64(e, RCX, (uintptr_t)&f->bt->base); /* what is given up of the budget is not counted */
    x_alu_mem_imm(e, 64, X_SUB, (struct x_mem){RCX, X_NONE, 0, 0}, PRICE);
    x_alu_mem_imm(e, 64, X_ADD, vm_at(offsetof(struct vp_vm, strings)), PRICE);
    x_alu_imm(e, 64, X_SUB, BUDGET, PRICE + 1);
    f_site_if(f, X_CC_S);
}

static void jump_to(struct emit *e, uint8_t *field, const uint8_t *target)
{
    if (!e->full) x_aim(field, e->run, target);
}

/* Any number of elements but 0, beside the block: from the jump there, and back to `done`. */
static void emit_pieces(struct front *f, const struct string_row *row, uint8_t *from, uint8_t *done[2])
{
    const unsigned shift = element_bits(f->i, row) / 16;
    struct emit *e = f->e = &f->bt->cold;
    const uint8_t *more = x_runs_at(e);

    x_land(e, from);
    if (row->source) emit_plain(f, RSI, ESI, false);
    emit_plain(f, RDX, EDI, !compares(row));
    emit_count(f, row->source, shift);
    emit_piece(f, row, shift);
    done[1] = compares(row) ? emit_compared(f, row, shift) : NULL;
    x_rr(e, 32, X_GROUP3, 0, guest(ECX));
    x_u32(e, REP_CHUNK - 1);
    jump_to(e, x_jcc(e, X_CC_NE), more);
    x_rr(e, 32, X_TEST_RM_R, guest(ECX), guest(ECX));
    done[0] = x_jcc(e, X_CC_E);
    emit_retire(f);
    jump_to(e, x_jmp(e), more);
    f->e = &f->bt->e;
}

void f_settle(struct front *f)
{
    struct emit *e = f->e;

    x_mov(e, guest(ESI), RSI);
    x_mov(e, guest(EDI), RDI);
    x_rm(e, 32, X_LEA, guest(ECX), (struct x_mem){guest(ECX), RCX, 0, 0});
    x_rr(e, 64, X_MOV_RM_R, RDX, WINDOW);
}

/* Any number of elements but 0 in the window, of which the lower half of an address is the guest's: the host's REP can
 * go on from page to page as the guest's would.  A fault leaves its registers where it has got to.  The jump at the end
 * comes back. */
static uint8_t *emit_whole(struct front *f, const struct string_row *row)
{
    /* elements until kicks are looked for; what is stored by a longer one Zen 5 leaves to slower caches */
    enum { MOVED = 1 << 16, STORED = 1 << 12 };
    struct emit *e = f->e;
    const uint8_t *more = x_runs_at(e);

    x_mov_imm32(e, RCX, row->source ? MOVED : STORED);
    emit_least(e, RCX, guest(ECX));
    x_rr(e, 32, X_SUB << 3 | X_ALU_R_RM, guest(ECX), RCX);
    x_rm(e, 64, X_LEA, RSI, (struct x_mem){WINDOW, guest(ESI), 0, 0});
    x_rm(e, 64, X_LEA, RDX, (struct x_mem){WINDOW, guest(EDI), 0, 0});
    begin_rep(f, row);
    struct cold c = f_cold_with(f, IN_RBX);
    c.site = f_site(f), c.touch = x_runs_at(e), c.settles = true;
    if (c.site) f_add_cold(f, c);
    emit_rep(f, row);
    f_settle(f);
    x_rr(e, 32, X_TEST_RM_R, guest(ECX), guest(ECX));
    uint8_t *done = x_jcc(e, X_CC_E);
    emit_retire(f);
    jump_to(e, x_jmp(e), more);
    return done;
}

/* False where it is the interpreter's. */
static bool emit_repeated(struct front *f, const struct string_row *row)
{
    enum { FEW = 8, MOST = 64, MOST_FLAT = 16 };
    const bool pieces = f_is_flat(f, VP_ES) && (!row->source || f_is_flat(f, f->i->seg));
    struct emit *e = f->e;
    uint8_t *done[2] = {NULL, NULL};

    if (!pieces && compares(row)) return false;
    f_clobber(f);
    ascending(f);
    x_alu_imm(e, 32, X_CMP, guest(ECX), compares(row) ? 0 : pieces ? FEW : f->window ? MOST : MOST_FLAT);
    if (pieces && f->touches && f->window && !compares(row)) {
        uint8_t *few = x_jcc(e, X_CC_BE);
        done[0] = emit_whole(f, row);
        x_land(e, few);
    } else if (pieces) {
        emit_pieces(f, row, x_jcc(e, X_CC_A), done);
    } else {
        f_site_if(f, X_CC_A);
    }
    if (!compares(row)) {
        x_rr(e, 32, X_TEST_RM_R, guest(ECX), guest(ECX));
        uint8_t *none = x_jcc(e, X_CC_E);
        emit_elements(f, row);
        x_land(e, none);
    }
    for (unsigned k = 0; k < 2; k++)
        if (done[k]) x_land(e, done[k]);
    return true;
}

bool front_string(struct front *f)
{
    for (unsigned k = 0; k < sizeof rows / sizeof *rows; k++)
        if (rows[k].op == f->i->op) {
            if (front_string_loops(f->i)) return emit_repeated(f, &rows[k]);
            emit_row(f, &rows[k]);
            return true;
        }
    return false;
}
