/* chain.c: see chain.h. */
#include "chain.h"
#include "../isa.h"
#include "../mmu.h"
#include "../space.h"
#include "cases.h"
#include "trust.h"
#include "view.h"
#include <string.h>

/* -- Jumps --------------------------------------------------------------------------------------------------------- */

/* A jump between code that slides and code that does not goes by a piece of code that says where. */
static const uint8_t *emit_between(struct bt *bt, const struct link *link, const struct translation *t)
{
    struct emit *e = &bt->cold;
    const uint8_t *at = x_runs_at(e);

    bt_emit_eip(e, RAX, link->eip, link->slides);
    uint8_t *jump = x_jmp(e);
    if (e->full) return NULL;
    x_aim(jump, e->run, link->slides ? bt->go : t->entry);
    return at;
}

static bool aim(struct bt *bt, struct link *link, const struct translation *t)
{
    const uint8_t *to = link->slides == t->slides ? t->body : emit_between(bt, link, t);

    if (to) x_aim(link->field, bt->e.run, to);
    return to;
}

void chain_lead(struct link *link, struct translation *t)
{
    link->to = t;
    link->next = t->links;
    t->links = link;
}

void chain_unaim(struct vp_vm *m, struct bt *bt, struct link *link)
{
    trust_end(m, bt, link);
    if (link->elided) x_put_jmp(link->field);
    link->elided = false;
    link->to = NULL;
    if (link->guess) memset(link->check, 0, sizeof(uint32_t)); /* no key is 0 */
    x_aim(link->field, bt->e.run, link->cold);
}

void chain_set_check(const struct vp_vm *m, struct link *link)
{
    const uint32_t check = chain_check(m), negated = -link->eip;

    if (link->guess) memcpy(link->guess->negated, &negated, sizeof negated);
    memcpy(link->check, &check, sizeof check);
}

static void lead_to(struct link *link, struct translation *t)
{
    for (struct link **at = link->to ? &link->to->links : NULL; at && *at; at = &(*at)->next)
        if (*at == link) {
            *at = link->next;
            break;
        }
    chain_lead(link, t);
}

bool chain_may_miss(struct vp_vm *m, struct bt *bt, struct block *b, struct misses *misses)
{
    enum { MISSES = 16, APART = 1 << 14 };

    if (++misses->count < MISSES) return true;
    if (m->insns - misses->since < (uint64_t)MISSES * APART) {
        b->varies = true;
        chain_renew(m, bt, b);
        return false;
    }
    *misses = (struct misses){.since = m->insns};
    return true;
}

/* Where the indirect jump has led is where it will lead. */
static void guess(struct vp_vm *m, struct bt *bt, struct link *link, struct translation *t)
{
    struct guess *g = link->guess;

    if (link->to && link->eip != m->block_eip && !chain_may_miss(m, bt, g->block, &g->misses)) return;
    if (link->to != t) trust_end(m, bt, link);
    link->eip = m->block_eip;
    chain_set_check(m, link);
    if (link->to != t) {
        x_aim(link->field, bt->e.run, t->entry);
        lead_to(link, t);
    }
    trust_note(m, bt, link);
}

/* -- Callees that stand in place of their calls -------------------------------------------------------------------- */

bool chain_take_in(struct vp_vm *m, struct bt *bt, struct inlined *in)
{
    struct learned *callee = bt_learn(bt, in->callee);

    if (!callee) return false;
    if (in->link->check) trust_note(m, bt, in->link);
    in->next = callee->inlined;
    callee->inlined = in;
    return true;
}

void chain_leave_out(struct vp_vm *m, struct bt *bt, struct block *b)
{
    for (struct inlined *in = b->learned ? b->learned->inlined : NULL; in; in = in->next) {
        struct link *link = in->link;
        in->callee = NULL;
        trust_end(m, bt, link);
        if (link->check) {
            memset(link->check, 0, sizeof(uint32_t)); /* no key is 0 */
        } else {
            x_put_jmp(link->field);
            x_aim(link->field, bt->e.run, link->cold);
        }
    }
    if (b->learned) b->learned->inlined = NULL;
}

/* The callee was called after all, and this is what was there.  Another one is to be called from now on. */
static bool is_callee(struct vp_vm *m, struct bt *bt, const struct inlined *in, uint64_t phys)
{
    if (in->callee && phys == in->callee->phys) return true;
    in->caller->varies = true;
    chain_renew(m, bt, in->caller);
    return false;
}

/* If the page tables are known to have the callee where it was, the call is undone, and its instructions are executed
 * where they stand. */
static const uint8_t *call_again(struct vp_vm *m, struct bt *bt, const struct inlined *in)
{
    const int64_t at = mmu_fetch_flat(m, m->cpu.eip);

    if (at < 0 || !is_callee(m, bt, in, (uint64_t)at) || bt_is_poor(m) || m->interp->drop) return NULL;
    space_code(m, m->cpu.eip, (uint32_t)(at >> PAGE_SHIFT));
    m->bt_key = view_key(m, bt);
    chain_set_check(m, in->link);
    trust_note(m, bt, in->link);
    bt->link = NULL;
    m->cpu.gpr[ESP] += sizeof(uint32_t);
    return in->again;
}

/* -- Arriving ------------------------------------------------------------------------------------------------------ */

void chain_arrive(struct vp_vm *m, struct bt *bt, const struct block *b, struct translation *t)
{
    struct link *link = bt->link;

    if (b->other && link && !link->check) return; /* that the page is the right one says nothing of the next one */
    if (!link || bt->link_key != m->bt_key) return;
    if (link->guess) {
        guess(m, bt, link, t);
        return;
    }
    if (link->eip != (link->slides ? m->block_eip & ~PAGE_MASK : m->block_eip)) return;
    if (link->inlined && !is_callee(m, bt, link->inlined, b->phys)) return;
    if (link->check) chain_set_check(m, link);
    if (!link->inlined && link->to != t) {
        if (!aim(bt, link, t)) return;
        lead_to(link, t);
    }
    if (link->check) trust_note(m, bt, link);
}

const uint8_t *chain_go_on(struct vp_vm *m, struct bt *bt)
{
    struct link *link = bt->link;

    if (link && link->inlined) return call_again(m, bt, link->inlined);
    if (m->bt_case) return NULL; /* the run loop knows whose entry that is */
    if (link && !(link->check && link->to)) return NULL;
    const uint8_t *entry = chain_target(m, bt);
    if (!entry || !link) return entry;
    if (link->to->entry != entry || (link->guess && link->eip != m->cpu.eip)) return NULL;
    chain_set_check(m, link);
    trust_note(m, bt, link);
    bt->link = NULL;
    return entry;
}

/* -- Targets of indirect jumps ------------------------------------------------------------------------------------- */

static struct target *target_at(struct vp_vm *m, uint32_t eip) { return &m->targets[eip & ((1u << TARGET_BITS) - 1)]; }

static void forget_targets(struct vp_vm *m, const struct translation *t)
{
    const uint32_t step = t->slides ? PAGE_SIZE : 1u << TARGET_BITS;

    for (uint32_t eip = t->eip, k = 0; k < 1u << TARGET_BITS; k += step) {
        struct target *target = target_at(m, eip + k);
        for (unsigned second = 0; second < 2; second++)
            if (target[second].entry == t->entry) target[second].negated = 0;
    }
}

/* Nothing leads to it any more, but what executes it may go on. */
static void retire(struct vp_vm *m, struct bt *bt, struct translation *t)
{
    for (struct link *link = t->links; link; link = link->next) chain_unaim(m, bt, link);
    t->links = NULL;
    forget_targets(m, t);
    cases_forget(m, bt, t);
}

void chain_drop(struct vp_vm *m, struct bt *bt, struct block *b)
{
    for (struct translation *t = b->translation; t; t = t->next) retire(m, bt, t);
    b->translation = NULL;
    b->entry_key = 0;
    if (b->learned) b->learned->many.places = 0;
}

void chain_renew(struct vp_vm *m, struct bt *bt, struct block *b)
{
    b->heat = (uint8_t)bt->warm;
    chain_drop(m, bt, b);
}

/* -- Many translations --------------------------------------------------------------------------------------------- */

/* The one of a system's address space or of few processes is found by looking at each. */
enum { MANY = 4 };

/* Which bit of struct summary.pages: 32-bit systems place libraries by 8 bits of chance, the lowest of the page. */
static unsigned page_bit(uint32_t eip) { return (eip >> PAGE_SHIFT) & 0xff; }

/* NULL: there are few. */
static struct summary *summary_of(const struct block *b)
{
    return b->learned && b->learned->many.places ? &b->learned->many : NULL;
}

static void add(struct summary *s, const struct translation *t)
{
    s->places++;
    if (t->slides) return;
    s->pages[page_bit(t->eip) / 64] |= UINT64_C(1) << page_bit(t->eip) % 64;
    if (!s->oldest || t->made < s->oldest) s->oldest = t->made;
}

static void sum_up(struct bt *bt, struct block *b)
{
    struct summary s = {.places = 0};

    for (const struct translation *t = b->translation; t && !t->is_copy; t = t->next) add(&s, t);
    if (s.places >= MANY && bt_learn(bt, b)) b->learned->many = s;
}

void chain_keep(struct bt *bt, struct block *b, struct translation *t, struct translation *of)
{
    struct summary *many = summary_of(b);
    struct translation **at = &b->translation;

    while (!t->slides && *at && (*at)->slides && !(*at)->is_copy) at = &(*at)->next;
    while (of && *at && !(*at)->is_copy) at = &(*at)->next;
    t->next = *at;
    *at = t;
    t->is_copy = of;
    if (of)
        of->copies++;
    else if (many)
        add(many, t);
    else
        sum_up(bt, b);
}

bool chain_has_none_at(const struct block *b, uint32_t eip, unsigned *places)
{
    const struct summary *s = summary_of(b);

    if (!s) return false;
    *places = s->places;
    return !(s->pages[page_bit(eip) / 64] >> page_bit(eip) % 64 & 1);
}

bool chain_has_old(const struct vp_vm *m, const struct bt *bt, const struct block *b)
{
    enum { OLD = 256 /* times what makes an address space settled */ };
    const struct summary *s = summary_of(b);

    return s && b->slides && m->insns - s->oldest >= OLD * bt->settled;
}

void chain_drop_oldest(struct vp_vm *m, struct bt *bt, struct block *b)
{
    struct translation **oldest = NULL;

    for (struct translation **at = &b->translation; *at && !(*at)->is_copy; at = &(*at)->next)
        if (!(*at)->slides) oldest = at;
    if (!oldest) return;
    retire(m, bt, *oldest);
    *oldest = (*oldest)->next;
    b->entry_key = 0;
    sum_up(bt, b);
}

const uint8_t *chain_target(struct vp_vm *m, struct bt *bt)
{
    const uint32_t eip = m->cpu.eip;
    const uint64_t key = m->bt_key | eip, view = (UINT64_C(1) << (32 + KEY_VIEW_BITS)) - 1;
    struct target *target = target_at(m, eip);

    if ((-target->negated ^ key) & view) target++;
    const uint64_t had = -target->negated;
    if (had != key) {
        if ((m->view & VIEW_SEGMENTED) || ((had ^ key) & view)) return NULL;
        const uint32_t page = bt->target_pages[target - m->targets] - 1;
        if (mmu_fetch_flat(m, eip) >> PAGE_SHIFT != (int64_t)page) return NULL;
        space_code(m, eip, page);
        m->bt_key = view_key(m, bt);
        target->negated = -(m->bt_key | eip);
    }
    return bt_is_poor(m) || m->interp->drop ? NULL : target->entry;
}

void chain_note(struct vp_vm *m, struct bt *bt, const struct block *b, const struct translation *t)
{
    struct target *target = target_at(m, m->block_eip);
    uint32_t *page = &bt->target_pages[target - m->targets];
    const uint64_t had = -target->negated;

    if ((uint32_t)had != m->block_eip && had >> 32 == m->bt_key >> 32) { /* both may be in use */
        target[1] = target[0];
        page[1] = page[0];
    }
    *target = (struct target){-(m->bt_key | m->block_eip), t->entry};
    *page = b->other ? 0 : (b->phys >> PAGE_SHIFT) + 1;
}

/* -- Calls --------------------------------------------------------------------------------------------------------- */

void chain_forget_calls(struct vp_vm *m, struct bt *bt)
{
    for (unsigned user = 0; user < 2; user++) bt->calls[user].now = bt->calls[user].top;
    m->bt_calls = bt->calls[bt->calling].top;
}

/* Where another host call returns to. */
static const uint8_t *return_of(const uint8_t *now)
{
    const uint8_t *at;

    memcpy(&at, now, sizeof at);
    return at;
}

void chain_follow(struct vp_vm *m, struct bt *bt, const struct insn *last)
{
    const struct calls *c = &bt->calls[bt->calling];
    const bool calls = last->op == OP_CALL_Jz || last->op == OP_CALL_Ev;
    const bool returns = last->op == OP_RET || last->op == OP_RET_Iw;

    if (bt->calling != m->user || !(calls || returns)) return;
    if (calls && m->bt_calls - c->base > CALLS_GUARD + CALLS_ROOM + CALLS_EACH) {
        m->bt_calls -= sizeof bt->go;
        memcpy(m->bt_calls, &bt->go, sizeof bt->go);
    } else if (returns && m->bt_calls != c->top) {
        m->bt_calls += return_of(m->bt_calls) == bt->go ? sizeof bt->go : bt_return_size(return_of(m->bt_calls));
    }
}

void chain_choose_calls(struct vp_vm *m, struct bt *bt)
{
    struct calls *c = &bt->calls[m->user];

    bt->calls[bt->calling].now = m->bt_calls;
    bt->calling = m->user;
    /* an instruction makes one call at most */
    const int64_t calls = m->view & VIEW_TOUCHES ? PAGE_SIZE : m->budget;
    if (c->key != m->bt_key || c->now - c->base < CALLS_GUARD + CALLS_ROOM + calls * CALLS_EACH) {
        c->key = m->bt_key;
        c->now = c->top;
        memcpy(c->top, &bt->look_up, sizeof(void *));
    }
    m->bt_calls = c->now;
    m->bt_calls_top = c->top;
}
