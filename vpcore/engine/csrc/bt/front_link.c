/* front_link.c: how a block ends: jumps to the next one. */
#include "front.h"
#include <assert.h>
#include <string.h>

void bt_emit_eip(struct emit *e, int to, uint32_t eip, bool slides)
{
    if (!slides) {
        x_mov_imm32(e, to, eip);
        return;
    }
    x_rm(e, 32, X_MOV_R_RM, to, vm_at(offsetof(struct vp_vm, bt_slide)));
    x_rm(e, 32, X_LEA, to, (struct x_mem){to, X_NONE, 0, (int32_t)eip});
}

void f_eip(struct front *f, int to, uint32_t eip) { bt_emit_eip(f->e, to, eip, f->slides); }

/* -- Direct ------------------------------------------------------------------------------------------------------- */

/* What lies on another page, wholly or with its end, is the page tables' business each time. */
bool f_is_near(const struct front *f, uint32_t eip)
{
    enum { LONGEST = 15 };
    uint32_t from = f->cs.base + f->eip, to = f->cs.base + eip;

    return !((to ^ from) & PAGE_MASK) && (to & ~PAGE_MASK) <= PAGE_SIZE - LONGEST;
}

/* Code that counts is to look once a page; of a page that slides, others may lie anywhere. */
static bool is_ahead(const struct front *f, uint32_t eip)
{
    return eip > f->eip && ((f->touches && !f->slides) || f_is_near(f, eip));
}

bool f_leads_on(const struct front *f)
{
    const struct insn *last = &f->b->insns[f->count - 1];
    const uint32_t next = f_behind(f, last), target = next + last->imm;

    if (f->segmented || (f->m->view & VIEW_16) || f->b->other || !last->len || !is_ahead(f, next)) return false;
    if (f->callee) return !f_callee_jumps(f);
    if (!(op_info[last->op].traits & TRAIT_END)) return true;
    bool jumps = last->op == OP_JMP_Jb || last->op == OP_JMP_Jz || front_condition(last) >= 0;
    return (jumps || front_only_pushes(last)) && (last->form & FORM_OS32) && target >= next && is_ahead(f, target);
}

uint32_t f_whole_eip(const struct front *f, uint32_t eip)
{
    return f->slides ? (f->m->block_eip & PAGE_MASK) | eip : eip;
}

struct block *f_follower(struct front *f, uint32_t eip)
{
    enum { FOLLOWS = 10 }; /* a block that is this fraction of warm is worth translating behind one that leads to it */
    const uint32_t at = f_whole_eip(f, eip);
    const uint64_t key = jump_key(f->m, at);
    struct block *b = f->b->next[(uint32_t)f->b->key + f->b->bytes != at];
    unsigned places;

    if (f->segmented || !f_is_near(f, eip) || eip == f->eip) return NULL;
    if (!b || b->key != key) b = block_known(f->m->interp, key); /* behind a call it comes after the callee */
    if (!b || block_is_dead(b) || b->key != key || b->other) return NULL;
    if (b->heat_eip != at || b->heat < f->bt->warm / FOLLOWS || bt_slides(f->m, b) != f->slides) return NULL;
    return !bt_find(f->m, b, at, f->slides, &places) && places < PLACES ? b : NULL;
}

struct link *f_link(struct front *f, uint32_t eip)
{
    struct link *link = bt_allocate(f->bt, sizeof *link);

    f_leave_room(f);
    if (!link)
        f->full = true;
    else
        *link = (struct link){.eip = eip, .slides = f->slides};
    return link;
}

uint8_t *f_check_key(struct front *f, struct link *link)
{
    struct emit *e = f->e;

    link->compares = e->at;
    x_rm(e, 32, X_MOV_R_RM, RCX, vm_at(offsetof(struct vp_vm, bt_key) + 4));
    link->check = x_lea_disp32(e, RCX, RCX);
    x_jrcxz(e, X_JMP_SIZE);
    uint8_t *other = x_jmp(e);
    assert(e->full || e->at == link->compares + KEY_CHECK_SIZE);
    return other;
}

/* A jump under the key that is to be patched in; the jump for any other one comes back. */
static uint8_t *far_jump(struct front *f, struct link *link)
{
    uint8_t *other = f_check_key(f, link);

    link->field = link->calls ? x_call(f->e) : x_jmp(f->e);
    return other;
}

static void call_eax(struct front *f);
static void push_slide(struct front *f);

static void transfer(struct front *f, uint32_t eip, bool calls)
{
    bool near = f_is_near(f, eip);

    f_exact_esp(f);
    f_load(f);
    f->closed = true;
    if (f->slides && !near) {
        f_eip(f, RAX, eip);
        (calls ? call_eax : f_goto_eax)(f);
        return;
    }
    if (f->slides && calls) push_slide(f);
    struct link *link = f_link(f, eip);
    if (!link) return;
    link->calls = calls;
    uint8_t *from = !near ? far_jump(f, link) : calls ? x_call(f->e) : x_jmp(f->e);
    if (near) link->field = from;
    if (calls) link->behind = x_runs_at(f->e);
    f_add_cold(f, (struct cold){.from = from, .link = link});
    if (near && !calls) f->tail = link;
}

void f_goto(struct front *f, uint32_t eip) { transfer(f, eip, false); }

/* Back to the beginning of this very block, which needs no link: it stays as long as it runs. */
static void branch_back(struct front *f, unsigned cc)
{
    f_exact_esp(f);
    f_load(f);
    f_xmm_again(f);
    uint8_t *from = x_jcc(f->e, cc);
    if (!f->e->full) x_aim(from, f->e->run, f->loop);
    if (f->leaves) x_land(f->e, f->leaves);
    f_xmm_flush(f);
    f_x87_flush(f);
    f_goto(f, f_next_eip(f));
}

/* The conditional jump at `from` takes the link, else on at EIP. */
static void part(struct front *f, uint8_t *from, struct link *link, uint32_t eip)
{
    if (!link) return;
    if (f_is_near(f, link->eip)) link->field = from;
    f_add_cold(f, (struct cold){.from = from, .link = link});
    f_goto(f, eip);
}

void f_branch(struct front *f, unsigned cc, uint32_t eip)
{
    if (f->loop && eip == f->eip) {
        branch_back(f, cc);
        return;
    }
    const struct block *taken = f_follower(f, eip), *other = f_follower(f, f_next_eip(f));
    const bool taken_follows = taken && (!other || taken->heat > other->heat);
    struct link *link = f_link(f, taken_follows ? f_next_eip(f) : eip);

    f_exact_esp(f);
    f_load(f);
    uint8_t *from = x_jcc(f->e, taken_follows ? cc ^ 1 : cc);
    part(f, from, link, taken_follows ? eip : f_next_eip(f));
}

void f_branch_rcx(struct front *f, uint32_t zero, uint32_t other)
{
    struct link *link = f_link(f, other);

    f_exact_esp(f);
    x_jrcxz(f->e, X_JMP_SIZE);
    uint8_t *from = x_jmp(f->e);
    part(f, from, link, zero);
}

/* -- Indirect ----------------------------------------------------------------------------------------------------- */

enum { GROUP5_CALL = 2, GROUP5_JMP = 4, GROUP5_PUSH = 6 };

/* Of a place whose number, doubled, is in RSI, or the next one. */
static struct x_mem target_field(unsigned next, size_t offset)
{
    _Static_assert(sizeof(struct target) == 16 && TARGET_BITS == 16, "the index is the lower half of EIP, scaled");
    enum { TIMES_8 = 3 };
    struct x_mem at = vm_at(offsetof(struct vp_vm, targets) + next * sizeof(struct target) + offset);

    at.index = RSI, at.scale = TIMES_8;
    return at;
}

struct x_mem bt_looked_up(unsigned next) { return target_field(next, offsetof(struct target, entry)); }

/* RCX += the key. */
static void add_key(struct emit *e)
{
    x_rm(e, 64, X_MOV_R_RM, RDX, vm_at(offsetof(struct vp_vm, bt_key)));
    x_rm(e, 64, X_LEA, RCX, (struct x_mem){RCX, RDX, 0, 0});
}

uint8_t *bt_emit_compare(struct emit *e, struct x_mem negated)
{
    x_rm(e, 64, X_MOV_R_RM, RCX, negated);
    x_rm(e, 64, X_LEA, RCX, (struct x_mem){RCX, RAX, 0, 0});
    add_key(e);
    x_jrcxz(e, X_JMP_SIZE);
    return x_jmp(e);
}

static uint8_t *look_at(struct emit *e, unsigned next)
{
    return bt_emit_compare(e, target_field(next, offsetof(struct target, negated)));
}

uint8_t *bt_emit_look_next(struct emit *e) { return look_at(e, 1); }

uint8_t *bt_emit_look_up(struct emit *e)
{
    x_rr(e, 32, X_MOVZX_W, RSI, RAX);
    x_rm(e, 32, X_LEA, RSI, (struct x_mem){RSI, RSI, 0, 0});
    return look_at(e, 0);
}

/* All but the jump to what EAX says, which is kept. */
static void end_by_eax(struct front *f)
{
    bool ready = f->flags & IN_HOST;

    f_exact_esp(f);
    if (!ready) x_mov(f->e, RCX, RAX);
    f_load(f);
    if (!ready) x_mov(f->e, RAX, RCX);
    f->closed = true;
}

static void emit_jump_eax(struct front *f)
{
    uint8_t *miss = bt_emit_look_up(f->e);

    if (!f->e->full) x_aim(miss, f->e->run, f->bt->second);
    x_rm(f->e, 32, X_GROUP5, GROUP5_JMP, bt_looked_up(0));
}

/* Whether a jump is taken to lead to the same place as the last time: not one by a table, of which the entry may have
 * been loaded before, nor one that a thunk makes of a call, which would not be one any more if that was wrong. */
static bool guesses(const struct front *f)
{
    const bool by_table = is_mem(f) ? f->i->index != REG_NONE : f->i->op == OP_JMP_Ev;

    return !by_table && !f->callee && !f->slides && !f->b->varies;
}

/* By a guess to what EAX says. */
static void emit_guess(struct front *f, bool calls)
{
    struct emit *e = f->e;
    struct link *link = f_link(f, 0);
    struct guess *g = bt_allocate(f->bt, sizeof *g);

    if (!link || !g) {
        f->full = true;
        return;
    }
    *g = (struct guess){.negated = x_lea_disp32(e, RCX, RAX), .block = f->b, .misses = {.since = f->m->insns}};
    x_jrcxz(e, X_JMP_SIZE);
    const uint8_t *elsewhere = x_runs_at(e);
    uint8_t *other = x_jmp(e);
    link->guess = g;
    link->calls = calls;
    uint8_t *stale = far_jump(f, link);
    if (!e->full) x_aim(stale, e->run, elsewhere);
    link->behind = x_runs_at(e);
    f_add_cold(f, (struct cold){.from = other, .link = link});
}

void f_goto_eax(struct front *f)
{
    end_by_eax(f);
    if (guesses(f))
        emit_guess(f, false);
    else if (!f_jump_by_case(f))
        emit_jump_eax(f);
}

/* -- Calls -------------------------------------------------------------------------------------------------------- */

static void push_slide(struct front *f)
{
    x_rm(f->e, 32, X_GROUP5, GROUP5_PUSH, vm_at(offsetof(struct vp_vm, bt_slide))); /* 64 bits */
}

/* RCX = EAX - EIP, of which the upper half counts for nothing. */
static void compare_eax(struct front *f, uint32_t eip)
{
    struct emit *e = f->e;

    if (f->slides) {
        enum { NOT = 2 };
        x_pop(e, RCX);
        x_rm(e, 32, X_MOV_RM_R, RCX, vm_at(offsetof(struct vp_vm, bt_slide)));
        x_rr(e, 32, X_GROUP3, NOT, RCX);
        x_rm(e, 32, X_LEA, RCX, (struct x_mem){RCX, RAX, 0, (int32_t)(1 - eip)});
        return;
    }
    uint32_t negated = -eip;
    uint8_t *field = x_lea_disp32(e, RCX, RAX);
    if (!e->full) memcpy(field, &negated, sizeof negated);
}

size_t bt_return_size(const uint8_t *behind)
{
    enum { POP_RCX = 0x59 };

    return *behind == POP_RCX ? 2 * sizeof behind : sizeof behind;
}

/* Of the last word before addresses that nobody has, plus RCX. */
static void load_if_0(struct emit *e)
{
    struct x_mem at = vm_at(VM_ROOM - sizeof(uint32_t));

    at.index = RCX;
    x_rm(e, 32, X_MOV_R_RM, RCX, at);
}

static void jump_unless_0(struct bt *bt, struct emit *e)
{
    x_jrcxz(e, X_JMP_SIZE);
    uint8_t *other = x_jmp(e);
    if (!e->full) x_aim(other, e->run, bt->look_up);
}

enum { LOAD_SIZE = 7 };

bool bt_doubt_return(struct vp_vm *m, struct bt *bt)
{
    enum { ROOM = 16 /* instructions are written eight bytes at a time */ };
    uint8_t piece[ROOM], *at = bt->mem.rw + bt->faults.at;
    struct emit e = {.at = piece, .end = piece + ROOM};

    load_if_0(&e);
    if (memcmp(at, piece, LOAD_SIZE) != 0) return false;
    e = (struct emit){.at = piece, .end = piece + ROOM, .run = at + bt->e.run - piece};
    jump_unless_0(bt, &e);
    memcpy(at, piece, LOAD_SIZE);
    bt->faults.faulted = false;
    m->stats.doubted_returns++;
    return true;
}

/* Behind a call: on, if the guest returned here.  That is a load which faults otherwise; where it has, it is a jump: a
 * host may foresee more of the guest's if there is none here. */
static void emit_return_site(struct front *f)
{
    struct emit *e = f->e;
    uint32_t eip = f_next_eip(f);

    compare_eax(f, eip);
    if (f->bt->returns_fault && !f->slides) {
        f->returns_at = x_runs_at(e);
        load_if_0(e);
        assert(e->full || x_runs_at(e) == f->returns_at + LOAD_SIZE);
    } else {
        jump_unless_0(f->bt, e);
    }
    f->flags = IN_HOST;
    f_goto(f, eip);
}

void f_call(struct front *f, uint32_t eip)
{
    transfer(f, eip, true);
    emit_return_site(f);
}

static void call_eax(struct front *f)
{
    end_by_eax(f);
    if (f->slides) push_slide(f);
    if (guesses(f)) {
        emit_guess(f, true);
        return;
    }
    uint8_t *miss = bt_emit_look_up(f->e);
    x_rm(f->e, 32, X_GROUP5, GROUP5_CALL, bt_looked_up(0));
    f_add_cold(f, (struct cold){.from = miss, .behind = x_runs_at(f->e)});
}

void f_call_eax(struct front *f)
{
    call_eax(f);
    emit_return_site(f);
}

void f_return_eax(struct front *f)
{
    end_by_eax(f);
    x_byte(f->e, 0xc3);
}

static void push_behind(struct emit *e, const uint8_t *behind)
{
    x_mov_imm64(e, RDX, (uintptr_t)behind);
    x_push(e, RDX);
}

void f_emit_miss(struct front *f, const struct cold *c)
{
    x_land(f->e, c->from);
    push_behind(f->e, c->behind);
    uint8_t *jump = x_jmp(f->e);
    if (!f->e->full) x_aim(jump, f->e->run, f->bt->second);
}

void f_exit_by(struct front *f, const struct link *link)
{
    x_mov_imm64(f->e, RDX, (uintptr_t)link);
    uint8_t *jump = x_jmp(f->e);
    if (!f->e->full) x_aim(jump, f->e->run, f->bt->exit_link);
}

/* The way of a jump that leads nowhere yet: that of a call has its return address on the stack, but for one that was
 * not made because the key is another one. */
void f_emit_link(struct front *f, const struct cold *c)
{
    struct link *link = c->link;
    struct emit *e = f->e;

    if (link->inlined) {
        f_emit_call_after_all(f, c);
        return;
    }
    if (!link->field && f->slides) {
        x_land(e, c->from);
        f_eip(f, RAX, link->eip);
        emit_jump_eax(f);
        return;
    }
    if (!link->field) {
        x_land(e, c->from);
        link->branch = c->from;
        uint8_t *other = far_jump(f, link);
        x_land(e, other);
        link->cold = x_runs_at(e);
        x_land(e, link->field);
    } else {
        if (c->from != link->field) {
            x_land(e, c->from);
            if (link->calls) push_behind(e, link->behind);
        }
        link->cold = x_runs_at(e);
        x_land(e, link->field);
    }
    if (!link->guess) f_eip(f, RAX, link->eip);
    f_exit_by(f, link);
}
