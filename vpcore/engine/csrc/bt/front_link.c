/* front_link.c: how a block ends: jumps to the next one. */
#include "front.h"
#include <string.h>

uint32_t f_next_eip(const struct front *f) { return f->eip + f->i->off + f->i->len; }

void f_end_flags(struct front *f)
{
    if (f->host_flags)
        f_load(f);
    else
        f_clobber(f);
}

/* -- Direct ------------------------------------------------------------------------------------------------------- */

/* What lies on another page, wholly or with its end, is the page tables' business each time. */
static bool same_page(const struct front *f, uint32_t eip)
{
    enum { LONGEST = 15 };
    uint32_t from = f->cs.base + f->eip, to = f->cs.base + eip;

    return !((to ^ from) & PAGE_MASK) && (to & ~PAGE_MASK) <= PAGE_SIZE - LONGEST;
}

static struct link *make_link(struct front *f, uint32_t eip)
{
    struct link *link = bt_allocate(f->bt, sizeof *link);

    if (!link)
        f->full = true;
    else
        *link = (struct link){.eip = eip};
    return link;
}

/* A jump under the key that is to be patched in; the jump for any other one comes back. */
static uint8_t *far_jump(struct front *f, struct link *link)
{
    struct emit *e = f->e;

    x_rm(e, 32, X_MOV_R_RM, RCX, vm_at(offsetof(struct vp_vm, bt_key) + 4));
    link->check = x_lea_disp32(e, RCX, RCX);
    x_jrcxz(e, X_JMP_SIZE);
    uint8_t *other = x_jmp(e);
    link->field = link->calls ? x_call(e) : x_jmp(e);
    return other;
}

static void transfer(struct front *f, uint32_t eip, bool calls)
{
    struct link *link = make_link(f, eip);

    f_exact_esp(f);
    f_end_flags(f);
    f->closed = true;
    if (!link) return;
    link->calls = calls;
    bool near = same_page(f, eip);
    uint8_t *from = !near ? far_jump(f, link) : calls ? x_call(f->e) : x_jmp(f->e);
    if (near) link->field = from;
    if (calls) link->behind = x_runs_at(f->e);
    f_add_cold(f, (struct cold){.from = from, .link = link});
}

void f_goto(struct front *f, uint32_t eip) { transfer(f, eip, false); }

/* Back to the beginning of this very block, which needs no link: it stays as long as it runs. */
static void branch_back(struct front *f, unsigned cc)
{
    f_exact_esp(f);
    f_load(f);
    if (!f->host_flags) f_save(f);
    f_xmm_again(f);
    uint8_t *from = x_jcc(f->e, cc);
    if (!f->e->full) x_aim(from, f->e->run, f->loop);
    f_xmm_flush(f);
    f_goto(f, f_next_eip(f));
}

/* The conditional jump at `from` takes the link, else on at EIP. */
static void part(struct front *f, uint8_t *from, struct link *link, uint32_t eip)
{
    if (!link) return;
    if (same_page(f, link->eip)) link->field = from;
    f_add_cold(f, (struct cold){.from = from, .link = link});
    f_goto(f, eip);
}

void f_branch(struct front *f, unsigned cc, uint32_t eip)
{
    if (f->loop && eip == f->eip) {
        branch_back(f, cc);
        return;
    }
    struct link *link = make_link(f, eip);

    f_exact_esp(f);
    f_load(f);
    if (!f->host_flags) f_save(f);
    uint8_t *from = x_jcc(f->e, cc);
    part(f, from, link, f_next_eip(f));
}

void f_branch_rcx(struct front *f, uint32_t zero, uint32_t other)
{
    struct link *link = make_link(f, other);

    f_exact_esp(f);
    x_jrcxz(f->e, X_JMP_SIZE);
    uint8_t *from = x_jmp(f->e);
    part(f, from, link, zero);
}

/* -- Indirect ----------------------------------------------------------------------------------------------------- */

uint8_t *bt_emit_look_up(struct bt *bt)
{
    _Static_assert(sizeof(struct target) == 16 && TARGET_BITS == 16, "the index is the lower half of EIP, scaled");
    enum { TIMES_8 = 3 };
    struct emit *e = &bt->e;

    x_rr(e, 32, X_MOVZX_W, RSI, RAX);
    x_rm(e, 32, X_LEA, RSI, (struct x_mem){RSI, RSI, 0, 0});
    x_mov_imm64(e, RDX, (uintptr_t)bt->targets);
    x_rm(e, 64, X_MOV_R_RM, RCX, (struct x_mem){RDX, RSI, TIMES_8, offsetof(struct target, negated)});
    x_rm(e, 64, X_LEA, RDX, (struct x_mem){RDX, RSI, TIMES_8, 0});
    x_rm(e, 64, X_LEA, RCX, (struct x_mem){RCX, RAX, 0, 0});
    x_rm(e, 64, X_MOV_R_RM, RSI, vm_at(offsetof(struct vp_vm, bt_key)));
    x_rm(e, 64, X_LEA, RCX, (struct x_mem){RCX, RSI, 0, 0});
    x_jrcxz(e, X_JMP_SIZE);
    return x_jmp(e);
}

/* All but the jump to what EAX says, which is kept. */
static void end_by_eax(struct front *f)
{
    bool ready = f->flags & (f->host_flags ? IN_HOST : IN_RBX);

    f_exact_esp(f);
    if (!ready) x_mov(f->e, RCX, RAX);
    f_end_flags(f);
    if (!ready) x_mov(f->e, RAX, RCX);
    f->closed = true;
}

static uint8_t *look_up(struct front *f)
{
    end_by_eax(f);
    return bt_emit_look_up(f->bt);
}

enum { GROUP5_CALL = 2, GROUP5_JMP = 4 };
static const struct x_mem found = {RDX, X_NONE, 0, offsetof(struct target, entry)};

void f_goto_eax(struct front *f)
{
    uint8_t *miss = look_up(f);

    if (!f->e->full) x_aim(miss, f->e->run, f->bt->exit[f->host_flags]);
    x_rm(f->e, 32, X_GROUP5, GROUP5_JMP, found);
}

/* -- Calls -------------------------------------------------------------------------------------------------------- */

/* Behind a call: on, if the guest returned here. */
static void emit_return_site(struct front *f)
{
    struct emit *e = f->e;
    uint32_t eip = f_next_eip(f), negated = -eip;

    uint8_t *field = x_lea_disp32(e, RCX, RAX);
    if (!e->full) memcpy(field, &negated, sizeof negated);
    x_jrcxz(e, X_JMP_SIZE);
    uint8_t *other = x_jmp(e);
    if (!e->full) x_aim(other, e->run, f->bt->look_up[f->host_flags]);
    f->flags = f->host_flags ? IN_HOST : IN_RBX;
    f_goto(f, eip);
}

void f_call(struct front *f, uint32_t eip)
{
    transfer(f, eip, true);
    emit_return_site(f);
}

void f_call_eax(struct front *f)
{
    uint8_t *miss = look_up(f);

    x_rm(f->e, 32, X_GROUP5, GROUP5_CALL, found);
    f_add_cold(f, (struct cold){.from = miss, .behind = x_runs_at(f->e)});
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
    if (!f->e->full) x_aim(jump, f->e->run, f->bt->exit[f->host_flags]);
}

/* The way of a jump that leads nowhere yet: that of a call has its return address on the stack, but for one that was
 * not made because the key is another one. */
void f_emit_link(struct front *f, const struct cold *c)
{
    struct link *link = c->link;
    struct emit *e = f->e;

    if (!link->field) {
        x_land(e, c->from);
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
    x_mov_imm32(e, RAX, link->eip);
    x_mov_imm64(e, RDX, (uintptr_t)link);
    uint8_t *jump = x_jmp(e);
    if (!e->full) x_aim(jump, e->run, f->bt->exit_link[f->host_flags]);
}
