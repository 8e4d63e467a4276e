/* front.c: from a block of decoded instructions to host code: ends, cold code, and the walk. */
#include "front.h"
#include "../interp/interp.h"
#include <string.h>

/* -- The interpreter's part --------------------------------------------------------------------------------------- */

/* Instructions after which segments may no longer be what the host code takes them for. */
static bool loads_segment(unsigned op)
{
    switch (op) {
    case OP_MOV_Sw_Ew:
    case OP_POP_Zs:
    case OP_LES_Gv_Mp:
    case OP_LDS_Gv_Mp:
    case OP_LFS_Gv_Mp:
    case OP_LGS_Gv_Mp:
    case OP_LSS_Gv_Mp: return true;
    default: return false;
    }
}

/* Of `count` instructions from the present one on. */
static struct site *make_site(struct front *f, unsigned count)
{
    const struct insn *last = f->i + count - 1;
    struct site *s = bt_allocate(f->bt, sizeof *s + (count + 1) * sizeof s->insns[0]);

    if (!s) {
        f->full = true;
        return NULL;
    }
    memcpy(s->insns, f->i, count * sizeof s->insns[0]);
    if (f->i == f->b->insns) s->insns[0].fn = f->b->first;
    block_sentinel(&s->insns[count], last->off + last->len);
    s->block = f->b;
    s->block_eip = f->eip;
    s->next_eip = f->eip + last->off + last->len;
    s->rest = (uint16_t)(f->count - f->index);
    s->count = (uint16_t)count;
    s->assumes = (uint8_t)f->assumes;
    for (unsigned k = 0; k < count; k++)
        if (loads_segment(f->i[k].op)) s->assumes |= ASSUMES_FLAT;
    s->index = (uint8_t)f->index;
    s->missed = 0;
    s->note = f->note_before;
    return s;
}

struct site *f_site(struct front *f)
{
    if (!f->site) f->site = make_site(f, 1);
    return f->site;
}

void f_site_if(struct front *f, unsigned cc)
{
    uint8_t *jump = x_jcc(f->e, cc);
    struct site *s = f_site(f);

    if (s) f_cold(f, jump, s, 0);
}

void f_cold(struct front *f, uint8_t *from, struct site *site, uint32_t eip)
{
    if (f->cold_count == COLD_MOST)
        f->full = true;
    else
        f->cold[f->cold_count++] = (struct cold){.from = from, .site = site, .eip = eip, .spill = f->xmm_before};
}

/* Cold code for the present instruction's accesses to the window, each of which may fault. */
static void cold_touches(struct front *f)
{
    struct site *site = f->e->touch_count ? f_site(f) : NULL;

    for (unsigned k = 0; site && k < f->e->touch_count; k++) {
        f_cold(f, NULL, site, 0);
        if (f->full) return;
        f->cold[f->cold_count - 1].touch = f->e->touches[k];
    }
}

static void emit_call_slow(struct front *f, const struct site *s)
{
    x_mov_imm64(f->e, RSI, (uintptr_t)s);
    uint8_t *call = x_call(f->e);
    if (!f->e->full) x_aim(call, f->e->run, f->bt->slow);
}

/* Whole instructions by the interpreter. */
static void leave_to_interp(struct front *f, unsigned count)
{
    f->note_before = f->note;
    const struct site *s = make_site(f, count);

    if (!s) return;
    f_save(f);
    f_xmm_flush(f);
    emit_call_slow(f, s);
    f->xmm_loaded = 0;
    f->note = NULL;
    f->flags = IN_HOST | IN_RBX;
    f->closed = s->rest == s->count;
}

/* -- Ends --------------------------------------------------------------------------------------------------------- */

uint32_t f_next_eip(const struct front *f) { return f->eip + f->i->off + f->i->len; }

/* Jumps are chained within a page only: what lies on another one is the page tables' business each time. */
static bool same_page(const struct front *f, uint32_t eip) { return !((eip ^ f->eip) & PAGE_MASK); }

static void exit_at(struct front *f, uint32_t eip)
{
    x_mov_imm32(f->e, RAX, eip);
    uint8_t *jump = x_jmp(f->e);
    if (!f->e->full) x_aim(jump, f->e->run, f->bt->exit);
}

void f_goto_eax(struct front *f)
{
    _Static_assert(sizeof(struct jump) == 16 && offsetof(struct jump, block) == 8, "the index is scaled by shifts");
    enum { JUMP_SHIFT = 4 };
    struct emit *e = f->e;

    f_clobber(f);
    f->closed = true;
    x_mov(e, RCX, RAX);
    x_rr(e, 32, X_SHIFT_IMM, 5, RCX);
    x_byte(e, JUMP_BITS);
    x_rr(e, 32, X_XOR << 3 | X_ALU_R_RM, RCX, RAX);
    x_alu_imm(e, 32, X_AND, RCX, (1 << JUMP_BITS) - 1);
    x_rr(e, 32, X_SHIFT_IMM, 4, RCX);
    x_byte(e, JUMP_SHIFT);
    x_mov_imm64(e, RDX, (uintptr_t)f->m->interp->jumps);
    x_rm(e, 64, X_MOV_R_RM, RSI, (struct x_mem){RSP, X_NONE, 0, 0});
    x_rr(e, 64, X_OR << 3 | X_ALU_R_RM, RSI, RAX);
    x_rm(e, 64, X_CMP << 3 | X_ALU_R_RM, RSI, (struct x_mem){RDX, RCX, 0, 0});
    uint8_t *miss = x_jcc(e, X_CC_NE);
    if (!e->full) x_aim(miss, e->run, f->bt->exit);
    x_rm(e, 64, X_MOV_R_RM, RDX, (struct x_mem){RDX, RCX, 0, offsetof(struct jump, block)});
    x_rm(e, 32, X_GROUP5, 4, (struct x_mem){RDX, X_NONE, 0, offsetof(struct block, host)});
}

void f_goto(struct front *f, uint32_t eip)
{
    f_clobber(f);
    f->closed = true;
    if (same_page(f, eip)) {
        f_cold(f, x_jmp(f->e), NULL, eip);
    } else {
        x_mov_imm32(f->e, RAX, eip);
        f_goto_eax(f);
    }
}

void f_branch(struct front *f, unsigned cc, uint32_t eip)
{
    f_save(f);
    f_cold(f, x_jcc(f->e, cc), NULL, eip);
    f_goto(f, f_next_eip(f));
}

/* -- The walk ----------------------------------------------------------------------------------------------------- */

/* How many instructions the host code has: up to the first that ends it. */
static unsigned extent(const struct block *b)
{
    unsigned k = 0;

    while (k + 1 < b->count && !(op_info[b->insns[k].op].traits & TRAIT_END)) k++;
    return k + 1;
}

/* Before other instructions the prefix means nothing. */
static bool is_repeated(const struct insn *i)
{
    return (i->prefix & (PFX_REP | PFX_REPNE)) && (op_info[i->op].traits & (TRAIT_REP | TRAIT_REPZ));
}

/* Emit one instruction; false, and nothing emitted, where it is the interpreter's.  What is no instruction has no
 * length. */
static bool emit_insn(struct front *f)
{
    const struct insn *i = f->i = &f->b->insns[f->index];
    bool plain = i->len && (!(i->form & FORM_MEM) || (i->form & FORM_AS32)) && !is_repeated(i);

    f->window = (f->m->view & VIEW_WINDOW) && !(f->b->probed >> f->index & 1);
    f->site = NULL;
    f->cold_mark = f->cold_count;
    f->e->touch_count = 0;
    f->note_before = f->note;
    f->xmm_before = f->xmm_dirty;
    if (!plain || !(front_insn(f) || front_flow(f))) return false;
    cold_touches(f);
    for (unsigned k = f->cold_mark; k < f->cold_count; k++) {
        f->cold[k].back = x_runs_at(f->e);
        f->cold[k].reload = f->xmm_loaded;
    }
    return true;
}

/* How many from here on are the interpreter's, the first one being: the next is emitted for trial. */
static unsigned count_foreign(struct front *f)
{
    const unsigned index = f->index, flags = f->flags, cold_count = f->cold_count;
    const unsigned assumes = f->assumes;
    const uint8_t loaded = f->xmm_loaded, dirty = f->xmm_dirty;
    const struct fp_note *note = f->note;
    const struct emit e = *f->e;
    uint64_t used = f->bt->arena_used;
    bool native = false;

    while (++f->index < f->count && !native) {
        native = emit_insn(f);
        f->flags = flags, f->cold_count = cold_count;
        f->assumes = assumes, f->note = note;
        f->xmm_loaded = loaded, f->xmm_dirty = dirty;
        f->full = f->closed = false;
        *f->e = e;
        f->bt->arena_used = used;
    }
    unsigned count = f->index - index - native;
    f->index = index;
    f->i = &f->b->insns[f->index];
    return count;
}

/* Where a fault leads: the flags as slow code wants them. */
static void begin_fault(struct front *f, const struct cold *c)
{
    if (!fault_map_add(&f->bt->faults, c->touch.at + f->e->run, x_runs_at(f->e))) f->full = true;
    f->flags = c->touch.state;
    f_save(f);
}

static void emit_cold(struct front *f, const struct cold *c)
{
    if (c->from) x_land(f->e, c->from);
    if (c->site) {
        if (!c->from) begin_fault(f, c);
        f_xmm_spill(f, c->spill);
        emit_call_slow(f, c->site);
        f_xmm_load(f, c->reload);
        uint8_t *jump = x_jmp(f->e);
        if (!f->e->full) x_aim(jump, f->e->run, c->back);
    } else if (same_page(f, c->eip)) {
        x_mov_imm32(f->e, RAX, c->eip);
        x_mov_imm64(f->e, RDX, (uintptr_t)(c->from + f->e->run));
        uint8_t *jump = x_jmp(f->e);
        if (!f->e->full) x_aim(jump, f->e->run, f->bt->exit_link);
    } else {
        x_mov_imm32(f->e, RAX, c->eip);
        f->flags = IN_RBX;
        f_goto_eax(f);
    }
}

/* The way in for jumps that found the block by EIP in EAX, or on to its other translations; then the one for those that
 * know it. */
static uint8_t *emit_entries(struct front *f, struct translation *t)
{
    struct emit *e = f->e;
    const uint8_t *others = f->b->host;

    f->b->host = x_runs_at(e);
    x_alu_imm(e, 32, X_CMP, RAX, f->eip);
    uint8_t *other = x_jcc(e, X_CC_NE);
    if (!e->full) x_aim(other, e->run, others);
    x_alu_mem_imm(e, 8, X_CMP, vm_at(offsetof(struct vp_vm, view)), f->m->view);
    other = x_jcc(e, X_CC_NE);
    if (!e->full) x_aim(other, e->run, others);
    t->entry = x_runs_at(e);
    x_alu_imm(e, 32, X_SUB, BUDGET, f->count);
    return x_jcc(e, X_CC_S);
}

static void emit_block(struct front *f, struct translation *t)
{
    uint8_t *poor = emit_entries(f, t);

    f->flags = IN_RBX;
    while (f->index < f->count && !f->full && !f->e->full) {
        unsigned count = 1;
        if (f->index + 1 == f->count) f_xmm_flush(f);
        if (!emit_insn(f)) leave_to_interp(f, count = count_foreign(f));
        f->index += count;
    }
    f->i = &f->b->insns[f->count - 1];
    f_xmm_flush(f);
    if (!f->closed) f_goto(f, f_next_eip(f));
    for (unsigned k = 0; k < f->cold_count && !f->full; k++) emit_cold(f, &f->cold[k]);
    x_land(f->e, poor);
    x_alu_imm(f->e, 32, X_ADD, BUDGET, f->count);
    exit_at(f, f->eip);
}

bool bt_translate(struct vp_vm *m, struct block *b)
{
    static _Thread_local struct front f;
    struct bt *bt = bt_of(m);
    struct translation *t = bt_allocate(bt, sizeof *t);
    const uint8_t *others = b->host;

    if (!t) return false;
    *t = (struct translation){.next = b->translation, .eip = m->block_eip, .view = m->view};
    f.m = m, f.bt = bt, f.e = &bt->e, f.b = b, f.eip = m->block_eip;
    bt->e.state = &f.flags;
    f.index = 0, f.count = extent(b), f.cold_count = 0, f.full = f.closed = false, f.assumes = 0;
    f.note = NULL, f.xmm_loaded = f.xmm_dirty = 0;
    emit_block(&f, t);
    if (f.full || bt->e.full) {
        b->host = others;
        return false;
    }
    b->translation = t;
    return true;
}
