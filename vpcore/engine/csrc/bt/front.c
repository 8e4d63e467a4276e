/* front.c: from a block of decoded instructions to host code: ends, cold code, and the walk. */
#include "front.h"
#include "../interp/interp.h"
#include "chain.h"
#include "view.h"
#include <stdlib.h>
#include <string.h>

enum { RUN = 16 /* blocks translated at once */, COPIES = 2 /* of these, that come one after another */ };

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
    struct site *s = bt_allocate(f->bt, sizeof *s);

    if (!s) {
        f->full = true;
        return NULL;
    }
    s->block = f->b;
    s->block_eip = f->eip;
    s->next_eip = f_behind(f, last);
    s->owed = (int16_t)((f->looked ? (int)f->count : 0) - (int)f->index);
    s->count = (uint8_t)count;
    s->last = f->index + count == f->count;
    s->slides = f->slides;
    s->assumes = (uint8_t)f->assumes;
    for (unsigned k = 0; k < count; k++)
        if (!f->segmented && loads_segment(f->i[k].op)) s->assumes |= ASSUMES_FLAT;
    s->index = (uint8_t)f->index;
    s->missed = 0;
    s->note = f->note_before;
    s->insns = NULL;
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

    if (s) f_cold(f, jump, s);
}

void f_add_cold(struct front *f, struct cold c)
{
    if (f->cold_count == COLD_MOST)
        f->full = true;
    else
        f->cold[f->cold_count++] = c;
}

void f_cold(struct front *f, uint8_t *from, struct site *site)
{
    struct cold c = f_cold_with(f, IN_RBX);

    c.from = from, c.site = site;
    f_add_cold(f, c);
}

void f_guard(struct front *f, unsigned assumption, size_t byte)
{
    struct cold c = f_cold_with(f, f->flags);

    if (f->assumes & assumption) return;
    f->assumes |= assumption; /* behind this site too */
    c.site = f_site(f);
    x_rm(f->e, 32, X_MOVZX_B, RCX, vm_at(byte));
    x_jrcxz(f->e, X_JMP_SIZE);
    c.from = x_jmp(f->e);
    if (c.site) f_add_cold(f, c);
}

/* Cold code for the present instruction's accesses to the window, each of which may fault. */
static void cold_touches(struct front *f)
{
    struct site *site = f->e->touch_count ? f_site(f) : NULL;

    for (unsigned k = 0; site && k < f->e->touch_count; k++) {
        struct cold c = f_cold_with(f, f->e->touches[k].state);
        c.site = site, c.touch = f->e->touches[k].at + f->e->run;
        f_add_cold(f, c);
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
    f_exact_esp(f);
    f_look(f, true);
    struct site *s = make_site(f, count);
    struct insn *copy = bt_allocate(f->bt, (count + 1) * sizeof *copy);

    if (!s || !copy) {
        f->full = true;
        return;
    }
    bt_part(copy, s);
    s->insns = copy;
    f_save(f);
    f_xmm_flush(f);
    emit_call_slow(f, s);
    f->xmm_loaded = 0;
    f->aligned = 0;
    f->note = NULL;
    f->flags = IN_HOST | IN_RBX;
    f->closed = s->last;
}

/* -- C's part ----------------------------------------------------------------------------------------------------- */

/* XMM registers of the host are C's to use. */
void f_begin_help(struct front *f)
{
    f_clobber(f);
    f_xmm_flush(f);
    f->xmm_loaded = f->xmm_before = 0;
}

void f_help(struct front *f, help_fn fn, uint32_t how)
{
    x_mov_imm32(f->e, RDX, how);
    x_mov_imm64(f->e, RCX, (uintptr_t)fn);
    uint8_t *call = x_call(f->e);
    if (!f->e->full) x_aim(call, f->e->run, f->bt->help);
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
    if (front_string_loops(i)) return false;
    return (i->prefix & (PFX_REP | PFX_REPNE)) && (op_info[i->op].traits & (TRAIT_REP | TRAIT_REPZ));
}

void f_leave_room(struct front *f)
{
    if (f->room && f->room > x_runs_at(f->e)) x_nops(f->e, (unsigned)(f->room - x_runs_at(f->e)));
}

/* It leaves flags undefined, and the host would have them otherwise than the machine: shifts and rotates, and what
 * leaves more than AF undefined, of which all processors think the same. */
static bool is_open(const struct front *f)
{
    const enum op op = f->i->op;
    const bool shifts = (op >= OP_ROL_Eb_Ib && op <= OP_SAR_Ev_CL) || (op_info[op].traits & TRAIT_MAYBE);

    return !f->bt->own_flags && (shifts || (op_info[op].flags_undefined & ~(unsigned)EF_AF));
}

/* Emit one instruction; false, and nothing emitted, where it is the interpreter's.  What is no instruction has no
 * length. */
static bool emit_insn(struct front *f)
{
    const struct insn *i = f->i;
    bool plain = i->len && !is_repeated(i);

    f->window = (f->m->view & VIEW_WINDOW) && !bt_is_probed(f->b, f->index);
    f->quiet = f->window || (f->bt->quiet && !(f->m->view & VIEW_WINDOW) && !bt_crosses(f->b, f->index));
    f->cold_mark = f->cold_count;
    f->e->touch_count = 0;
    f->returns_at = NULL;
    f->moved = false;
    f->note_before = f->note;
    f->xmm_before = f->xmm_dirty;
    f->esp_before = f->esp;
    if (!plain || is_open(f) || !front_insn(f)) return false;
    cold_touches(f);
    if (f->returns_at) f_add_cold(f, (struct cold){.returns = true, .touch = f->returns_at});
    f_point_esp(f);
    f_follow_alignment(f);
    if (f->cold_count != f->cold_mark) f_leave_room(f); /* the interpreter's may be under way when the block dies */
    for (unsigned k = f->cold_mark; k < f->cold_count; k++) {
        f->cold[k].back = x_runs_at(f->e);
        f->cold[k].reload = f->xmm_loaded;
        f->cold[k].esp_back = f->esp;
    }
    return true;
}

/* How many from here on are the interpreter's, the first one being: the next is emitted for trial. */
static unsigned count_foreign(struct front *f)
{
    const unsigned index = f->index, flags = f->flags, cold_count = f->cold_count;
    const unsigned assumes = f->assumes;
    const uint8_t loaded = f->xmm_loaded, dirty = f->xmm_dirty, aligned = f->aligned;
    const struct fp_note *note = f->note;
    const int32_t esp = f->esp;
    const bool adrift = f->adrift;
    const struct emit e = *f->e;
    uint64_t used = f->bt->arena_used;
    bool native = false;

    while (++f->index < f->count && !native) {
        f->i = &f->b->insns[f->index];
        f->site = NULL;
        native = emit_insn(f);
        f->flags = flags, f->cold_count = cold_count;
        f->assumes = assumes, f->note = note, f->esp = esp, f->adrift = adrift, f->aligned = aligned;
        f->xmm_loaded = loaded, f->xmm_dirty = dirty, f->tail = NULL;
        f->full = f->closed = false;
        *f->e = e;
        f->bt->arena_used = used;
    }
    unsigned count = f->index - index - native;
    f->index = index;
    f->i = &f->b->insns[f->index];
    f->site = NULL;
    return count;
}

/* Before the block's first instruction. */
static void emit_exit(struct front *f, const struct cold *c)
{
    f_xmm_spill(f, c->spill);
    f->note = c->note;
    f_x87_flush(f);
    f_eip(f, RAX, f->eip);
    uint8_t *jump = x_jmp(f->e);
    if (!f->e->full) x_aim(jump, f->e->run, f->bt->exit);
}

static void emit_cold(struct front *f, const struct cold *c)
{
    struct emit *e = f->e;

    if (c->returns) {
        if (!fault_map_add(&f->bt->faults, c->touch, f->bt->exit)) f->full = true;
        return;
    }
    if (c->link || c->behind || c->place) {
        (c->link ? f_emit_link : c->behind ? f_emit_miss : f_emit_no_case)(f, c);
        return;
    }
    if (c->from) x_land(e, c->from);
    if (c->touch && !fault_map_add(&f->bt->faults, c->touch, x_runs_at(e))) f->full = true;
    f->flags = c->flags;
    if (c->settles) f_settle(f);
    if (!c->site) {
        emit_exit(f, c);
        return;
    }
    f_save(f);
    f_xmm_spill(f, c->spill);
    f_add_to_esp(f, c->esp);
    emit_call_slow(f, c->site);
    if (!c->back) return;
    f_xmm_load(f, c->reload);
    f_add_to_esp(f, -c->esp_back);
    uint8_t *jump = x_jmp(e);
    if (!e->full) x_aim(jump, e->run, c->back);
}

/* Before the present instruction. */
static void emit_before(struct front *f)
{
    f->i = &f->b->insns[f->index];
    f->site = NULL;
    if (f->index + 1 == f->count && !f->loop) f_xmm_flush(f);
    f->note_before = f->note;
    f->xmm_before = f->xmm_dirty;
    if (f_names_esp(f)) f_exact_esp(f);
    f_look(f, false);
    f_keep_index(f);
}

static void emit_insns(struct front *f, unsigned end)
{
    while (f->index < end && !f->full && !f->e->full) {
        unsigned count = 1;
        emit_before(f);
        if (!emit_insn(f)) leave_to_interp(f, count = count_foreign(f));
        f->index += count;
    }
}

/* A loop around x87 instructions: its first round is code of its own, so that the others need not ask whether the state
 * is there, and know what the round before has left to be noted. */
static void emit_first_round(struct front *f)
{
    enum { LONGEST = 24 };

    f->leaves = NULL;
    if (f->loop || f->segmented || f->count > LONGEST || !front_jumps_back(f) || !front_x87_within(f)) return;
    f->loop = x_runs_at(f->e); /* what comes is not the end */
    emit_insns(f, f->count - 1);
    if (f->index != f->count - 1) return;
    emit_before(f);
    f_exact_esp(f);
    f_load(f);
    f->leaves = x_jcc(f->e, (unsigned)front_condition(f->i) ^ 1);
    f->index = 0, f->looked = false, f->flags = IN_HOST;
    x_align(f->e, LINE);
    f->loop = x_runs_at(f->e);
}

static void emit_block(struct front *f)
{
    emit_first_round(f);
    emit_insns(f, f->count);
    f->i = &f->b->insns[f->count - 1];
    f_xmm_flush(f);
    f_x87_flush(f);
    if (!f->closed) f_goto(f, f_next_eip(f));
    f->e = &f->bt->cold;
    for (unsigned k = 0; k < f->cold_count && !f->full; k++) emit_cold(f, &f->cold[k]);
    f->e = &f->bt->e;
}

/* -- Runs of blocks: each where the jump to it would be ------------------------------------------------------------ */

static bool is_loop(const struct block *b, unsigned count)
{
    const struct insn *last = &b->insns[count - 1];

    return (op_info[last->op].traits & TRAIT_END) && last->off + last->len + last->imm == 0;
}

static void begin(struct front *f, struct block *b, uint32_t eip)
{
    f->b = b, f->eip = eip;
    f->flags = IN_HOST;
    f->index = 0, f->count = extent(b), f->cold_count = 0, f->assumes = 0, f->note = NULL, f->tail = NULL;
    f->inlined = NULL, f->callee = f_callee(f);
    f->closed = f->looked = f->adrift = false, f->xmm_loaded = f->xmm_dirty = f->aligned = 0, f->esp = 0;
}

/* At its entry, with EIP in EAX. */
static void set_slide(struct front *f, struct emit *e)
{
    x_rm(e, 32, X_LEA, RAX, (struct x_mem){RAX, X_NONE, 0, -(int32_t)f->eip});
    x_rm(e, 32, X_MOV_RM_R, RAX, vm_at(offsetof(struct vp_vm, bt_slide)));
}

/* An entry that lies elsewhere. */
static const uint8_t *slide_to(struct front *f, const uint8_t *body)
{
    struct emit *e = &f->bt->cold;
    const uint8_t *entry = x_runs_at(e);

    set_slide(f, e);
    uint8_t *jump = x_jmp(e);
    if (!e->full) x_aim(jump, e->run, body);
    return entry;
}

/* The XMM registers that the block before, which has ended for its length alone, leaves in the host's. */
static uint8_t held(const struct front *f)
{
    const struct insn *last = &f->b->insns[f->count - 1];

    return last->len && !(op_info[last->op].traits & TRAIT_END) ? f->xmm_loaded : 0;
}

/* For those who do not come from there: the block at `body` wants the registers loaded. */
static const uint8_t *load_before(struct front *f, const uint8_t *body)
{
    struct emit *e = f->e = &f->bt->cold;
    const uint8_t *entry = x_runs_at(e);

    f_xmm_load(f, f->xmm_loaded);
    uint8_t *jump = x_jmp(e);
    if (!e->full) x_aim(jump, e->run, body);
    f->e = &f->bt->e;
    return entry;
}

/* The block at EIP, behind the jump to it, if any, perhaps as a copy of the code that it has; NULL
 * where there is no room. */
static struct translation *translate(struct front *f, struct block *b, uint32_t eip, struct link *from,
                                     struct translation *of)
{
    struct bt *bt = f->bt;
    struct translation *t = bt_allocate(bt, sizeof *t);
    const uint8_t *cold = x_runs_at(&bt->cold);

    if (!t) return NULL;
    const unsigned loaded = from && !of ? held(f) : 0;
    begin(f, b, eip);
    f->xmm_loaded = (uint8_t)(loaded ? loaded & f_xmm_named(f) : 0);
    if (from) {
        from->elided = true;
        f->e->at = from->field - 1;
    }
    f->room = from ? x_runs_at(f->e) + X_JMP_SIZE : NULL;
    if (is_loop(b, f->count))
        x_align(f->e, LINE);
    else if (!from)
        x_align(f->e, HALF_LINE);
    *t = (struct translation){.eip = eip,
                              .view = f->m->view & ~VIEW_SETTLED,
                              .slides = f->slides,
                              .cs = f->cs,
                              .entry = x_runs_at(f->e),
                              .made = f->m->insns};
    if (f->slides && !from) set_slide(f, f->e);
    const uint8_t *begins = t->body = x_runs_at(f->e);
    if (f->xmm_loaded) t->entry = t->body = load_before(f, begins);
    if (f->slides && from && !of) t->entry = slide_to(f, t->body);
    f_xmm_begin_loop(f);
    emit_block(f);
    if (f->full || bt->e.full || bt->cold.full) return NULL;
    const size_t size = (size_t)(x_runs_at(f->e) - begins);
    t->size = size < UINT16_MAX ? (uint16_t)size : UINT16_MAX;
    chain_keep(bt, b, t, of);
    b->entry_key = 0;
    b->translated = true;
    if (from) chain_lead(from, t);
    if (f->inlined && !chain_take_in(f->m, bt, f->inlined)) return NULL;
    if (unlikely(bt->map)) {
        map_add(bt->map, f->m, b, eip, f->count, from ? begins : t->entry, x_runs_at(f->e));
        map_add(bt->map, f->m, b, eip, 0, cold, x_runs_at(&bt->cold));
    }
    return t;
}

/* x87 instructions show where they are to whoever asks later; 16-bit jumps depend on where they are. */
bool bt_may_slide(const struct block *b)
{
    for (unsigned k = 0; k < b->count; k++) {
        const struct insn *i = &b->insns[k];
        bool ends = op_info[i->op].traits & TRAIT_END;
        if (front_x87_is(i) || (ends && !(i->form & FORM_OS32))) return false;
    }
    return true;
}

/* What a block goes on with is on the same page and has host code elsewhere, which is short: that, and its block; else
 * NULL.  A jump there would take room where hosts remember which jumps were taken last, by which they foresee the
 * indirect ones. */
static struct translation *worth_a_copy(struct front *f, uint32_t eip, struct block **b)
{
    enum { MOST = 32, SHORT = 64, SHORT_TO_ANYWHERE = 192 /* bytes */ };
    const uint32_t at = f_whole_eip(f, eip);
    unsigned places;

    if (!f->touches || f->segmented || !f_is_near(f, eip) || eip == f->eip) return NULL;
    struct block *next = block_known(f->m->interp, jump_key(f->m, at));
    if (!next || block_is_dead(next) || next->other || is_loop(next, extent(next))) return NULL;
    struct translation *t = bt_find(f->m, next, at, f->slides, &places);
    const unsigned last = next->insns[extent(next) - 1].op;
    const bool anywhere = last == OP_JMP_Ev || last == OP_RET;
    if (!t || t->copies == MOST || t->size > (anywhere ? SHORT_TO_ANYWHERE : SHORT)) return NULL;
    *b = next;
    return t;
}

struct front *front_create(void) { return calloc(1, sizeof(struct front)); }

struct translation *bt_translate(struct vp_vm *m, struct block *b, bool slides)
{
    struct bt *bt = bt_of(m);
    struct front *f = bt->front;
    struct link *from = NULL;

    f->m = m, f->bt = bt, f->e = &bt->e, f->full = false;
    f->slides = slides;
    f->cs = view_cs(m);
    f->segmented = m->view & VIEW_SEGMENTED, f->sp16 = m->view & VIEW_SP16, f->real = m->view & VIEW_REAL;
    f->touches = m->view & VIEW_TOUCHES, f->points = bt_points(m->view);
    bt->e.state = &f->flags;
    uint32_t eip = slides ? m->block_eip & ~PAGE_MASK : m->block_eip;
    struct translation *first = NULL, *of = NULL;
    unsigned copies = 0;
    for (unsigned k = 0; b && k < RUN; k++) {
        struct translation *t = translate(f, b, eip, from, of);
        if (!t) {
            if (from) chain_unaim(m, bt, from);
            return NULL;
        }
        if (!first) first = t;
        if (!of) b->heat = 0;
        from = f->tail;
        b = from ? f_follower(f, eip = from->eip) : NULL;
        of = from && !b && copies < COPIES ? worth_a_copy(f, eip, &b) : NULL;
        copies = of ? copies + 1 : 0;
    }
    return first;
}
