/* run.c: which blocks are translated, entering host code, and what it leaves to the interpreter.  See bt.h. */
#include "../interp/interp.h"
#include "../mem.h"
#include "../profile.h"
#include "../space.h"
#include "cases.h"
#include "chain.h"
#include "trust.h"
#include "view.h"
#include <stdatomic.h>
#include <string.h>

/* -- Which code ---------------------------------------------------------------------------------------------------- */

/* Host code may be entered or made: nothing wants to look between instructions. */
static bool may_run(const struct vp_vm *m)
{
    return (m->cpl == 0 || m->user) && !atomic_load_explicit(&((struct vp_vm *)m)->attn, memory_order_relaxed);
}

struct translation *bt_find(const struct vp_vm *m, const struct block *b, uint32_t eip, bool slides, unsigned *places)
{
    const unsigned view = m->view & ~VIEW_SETTLED;

    if (!slides && chain_has_none_at(b, eip, places)) return NULL;
    *places = 0;
    for (struct translation *t = b->translation; t && !t->is_copy; t = t->next) {
        ++*places;
        if (t->view != view || t->slides != slides) continue;
        if (slides || (t->eip == eip && same_segment(t->cs, view_cs(m)))) return t;
    }
    return NULL;
}

/* The block is entered, and has been at another address before, or comes from code that slides. */
static void consider_sliding(const struct vp_vm *m, const struct bt *bt, struct block *b)
{
    const bool moved = b->heat_eip != m->block_eip && (b->heat || b->translation);

    if (!b->slides && (moved || bt->slides || (bt->link && bt->link->slides))) b->slides = bt_may_slide(b);
    if (moved && !b->slides) b->heat = 0;
    b->heat_eip = m->block_eip;
}

/* What the block's heat becomes when it is entered now.  Systems' code that comes again for another process will come
 * for each. */
static unsigned hotter(const struct vp_vm *m, const struct bt *bt, const struct block *b)
{
    const bool again = !m->user && b->heat && b->births != m->births;

    return b->heat + (again ? bt->warm : 1);
}

/* Whether it is warm then. */
static bool heat(const struct vp_vm *m, const struct bt *bt, struct block *b)
{
    b->heat = (uint8_t)hotter(m, bt, b);
    b->births = m->births;
    return b->heat >= bt->warm;
}

/* The translation for here, made if the block is warm; NULL where it is to be interpreted. */
static struct translation *translation_for(struct vp_vm *m, struct block *b)
{
    struct bt *bt = bt_of(m);
    unsigned places;

    consider_sliding(m, bt, b);
    bool slides = bt_slides(m, b);
    struct translation *t = bt_find(m, b, m->block_eip, slides, &places);
    if (t) return t;
    const bool old = places >= PLACES && chain_has_old(m, bt, b), full = places >= PLACES && !old;
    if (full && b->slides && (m->view & VIEW_SETTLED)) { /* what slides serves here too */
        slides = true;
        t = bt_find(m, b, m->block_eip, slides, &places);
        if (t) return t;
    }
    if (!heat(m, bt, b) && !(b->translation && slides)) return NULL;
    b->heat = 0;
    if (old) chain_drop_oldest(m, bt, b);
    if (full && !slides) chain_drop(m, bt, b);
    give(m->giver, &bt->code_given, bt->e.at);
    give(m->giver, &bt->cold_given, bt->cold.at);
    give(m->giver, &bt->arena_given, bt->arena + bt->arena_used);
    t = bt_translate(m, b, slides);
    if (!t) bt_drop_all(m); /* full: everything goes at the next look at the clock */
    return t;
}

/* -- Entering it --------------------------------------------------------------------------------------------------- */

/* Where host code that has left, and that not by a touch, goes on without the run loop, or NULL. */
static const uint8_t *go_on(struct vp_vm *m, struct bt *bt)
{
    if (unlikely(bt->faults.faulted) && bt_doubt_return(m, bt)) return may_run(m) && !kicked(m) ? bt->look_up : NULL;
    return may_run(m) && !kicked(m) && !bt->faults.faulted ? chain_go_on(m, bt) : NULL;
}

/* Host code is about to run: what it wants in RDI. */
static int64_t begin(struct vp_vm *m, struct bt *bt)
{
    trust_key(m, bt);
    bt->base = m->insns + (uint64_t)m->budget;
    m->bt_esp_base = bt_points(m->view) ? (uintptr_t)bt->gs : 0;
    if (bt_counts(m)) return m->budget - bt->reserve;
    bt->since = __builtin_ia32_rdtsc();
    return (int64_t)(uintptr_t)bt->gs;
}

/* It has run, and left that in RDI. */
static void account(struct vp_vm *m, const struct bt *bt, int64_t rdi, int owed)
{
    if (!bt_counts(m)) {
        m->insns += __builtin_ia32_rdtsc() - bt->since;
        return;
    }
    m->budget = rdi + owed + bt->reserve;
    m->insns = bt->base - (uint64_t)m->budget;
}

/* Host code has left, and not because it was to. */
static void count_exit(struct vp_vm *m, const struct bt *bt, bool accounted)
{
    if (bt->faults.faulted) return; /* a kick */
    const bool direct = bt->link && !bt->link->guess;
    ++*(accounted ? &m->stats.exits_interp : direct ? &m->stats.exits_direct : &m->stats.exits_indirect);
}

static struct leave enter(struct vp_vm *m, struct bt *bt, const uint8_t *entry, uint64_t flags)
{
    chain_choose_calls(m, bt);
    bt->key = jump_key(m, 0);
    bt_x87_live(m, false);
    bt_sse_live(m, false);
    const int64_t rdi = begin(m, bt);
    const uint64_t since = bt->since;
    const uint32_t eip = m->cpu.eip;
    struct leave out = bt->enter(m, entry, rdi, flags);
    __builtin_prefetch(jumps_near(m->interp, m->cpu.seg[VP_CS].base + m->cpu.eip));
    bt_x87_notes(m, NULL);
    count_exit(m, bt, out.rdi == ACCOUNTED);
    if (out.rdi == ACCOUNTED) return out;
    const bool stays = !bt_counts(m) && bt->since == since && m->cpu.eip == eip; /* has done nothing, or goes round */
    if (!stays) account(m, bt, out.rdi, 0);
    bt->link_key = m->bt_key; /* of the block that left, which need not be that of t */
    return out;
}

/* It was found to have code, but none for here. */
static bool is_none_here(const struct vp_vm *m, const struct block *b)
{
    return !b->entry && b->entry_key == (m->bt_key | m->block_eip);
}

/* Whether the block has no code, and is to have none yet: most that come by here are seldom executed. */
static bool is_cold(const struct vp_vm *m, const struct bt *bt, struct block *b)
{
    const bool moved = b->heat && b->heat_eip != m->block_eip;

    if (b->translation && !is_none_here(m, b)) return false;
    if (moved || (bt->link && bt->link->slides) || hotter(m, bt, b) >= bt->warm) return false;
    b->heat_eip = m->block_eip;
    heat(m, bt, b);
    return true;
}

static bool is_interpreted(struct vp_vm *m, struct bt *bt, struct block *b)
{
    if (unlikely(bt->wake.state) && wake_block(m, bt, b)) return true;
    return is_cold(m, bt, b) || !may_run(m);
}

/* Where the block's host code is entered, which is made if it is warm; NULL where it is to be interpreted.  What has
 * led here will find it the next time. */
static const uint8_t *entry_of(struct vp_vm *m, struct bt *bt, struct block *b)
{
    view_choose(m, bt);
    m->bt_key = view_key(m, bt);
    const uint64_t key = m->bt_key | m->block_eip;
    if (b->entry_key == key && b->entry && !bt->left && !bt->link) return b->entry;
    struct translation *t = translation_for(m, b);
    b->entry_key = key;
    b->entry = t ? t->entry : NULL;
    if (!t) return NULL;
    const bool direct = bt->link && !bt->link->guess && !bt->link->to;
    chain_arrive(m, bt, b, t);
    if (bt->left && !direct) chain_note(m, bt, b, t);
    if (m->bt_case) cases_note(m, bt, t);
    return t->entry;
}

/* Back in the run loop attn and the clock are looked at; but no kick may keep the guest from going on. */
static void take_kick(struct vp_vm *m, struct bt *bt)
{
    bt->faults.faulted = false;
    bt->link = NULL;
    kick_over(m);
    m->budget = 0;
}

void bt_run_block(struct vp_vm *m, const struct insn *i)
{
    struct block *b = (struct block *)((uint8_t *)i - offsetof(struct block, insns));
    struct bt *bt = bt_of(m);
    __builtin_prefetch(b->translation);
    const uint8_t *entry = is_interpreted(m, bt, b) ? NULL : entry_of(m, bt, b);
    const uint64_t insns = m->insns;

    bt->left = false;
    bt->link = NULL;
    m->bt_case = 0;
    if (unlikely(kicked(m))) {
        take_kick(m, bt);
        entry = NULL;
    }
    if (entry && bt_is_poor(m) && m->interp->loose) { /* the clock may as well be looked at now */
        m->budget = 0;
        m->cur = i - 1;
        return;
    }
    if (!entry || bt_is_poor(m) || m->interp->drop) {
        b->first(m, i);
        chain_follow(m, bt, m->cur);
        return;
    }
    bt->left = true;
    struct leave out = {.flags = flags_raw(fl_get(m))};
    for (; entry; entry = out.rdi == ACCOUNTED ? NULL : go_on(m, bt)) out = enter(m, bt, entry, out.flags);
    if (out.rdi != ACCOUNTED) fl_put(m, flags_eflags(out.flags));
    m->cur = i - 1; /* all is accounted for */
    if (likely(!bt->faults.faulted && !kicked(m))) return;
    if (!bt_counts(m)) trust_consider(m, bt);
    growth_look(m, bt);
    take_kick(m, bt);
    if (m->insns != insns) return;
    if (!bt_counts(m)) account(m, bt, 0, 0); /* it stayed where it was, which took time all the same */
    m->cur = i;
    b->first(m, i);
}

/* -- The interpreter's turn ---------------------------------------------------------------------------------------- */

/* What host code relies on, after the interpreter had its turn. */
static bool still_holds(struct vp_vm *m, unsigned assumes)
{
    if ((assumes & ASSUMES_UP) && (m->cpu.eflags & EF_DF)) return false;
    if ((assumes & ASSUMES_FLAT) && !view_is_flat(m)) return false;
    return bt_x87_live(m, assumes & ASSUMES_FP) && bt_sse_live(m, assumes & ASSUMES_SSE);
}

/* Where a block has what it is to know of an access that has faulted. */
static uint64_t *lesson(const struct vp_vm *m, const struct bt *bt, const struct site *s, struct learned *learned)
{
    if (!(m->view & VIEW_WINDOW)) return &learned->crosses;
    const bool inside = window_reaches(bt->windows, bt->faults.address);
    return inside || bt_wraps(s->block, s->index) ? &learned->probed : &learned->wraps;
}

/* An access of the site has gone the long way round: the next time it does not have to, or does not by a fault.  Data
 * beside code and devices' memory are such places. */
static void after_fault(struct vp_vm *m, struct bt *bt, struct site *s)
{
    enum { MISSES = 3 };

    if ((m->view & VIEW_WINDOW) && window_fill(m, bt->windows, bt->faults.address)) return;
    if (++s->missed != MISSES) return;
    struct learned *learned = bt_learn(bt, s->block);
    if (!learned) {
        bt_drop_all(m);
        return;
    }
    uint64_t *bits = lesson(m, bt, s, learned);
    m->stats.window_probes += bits == &learned->probed;
    *bits |= UINT64_C(1) << s->index;
    chain_renew(m, bt, s->block);
}

/* The block has ended, and its last instruction may have changed everything: on to the next one's host code, if the way
 * there is known. */
static struct leave next_block(struct vp_vm *m, struct bt *bt)
{
    const struct leave leaves = {.rdi = ACCOUNTED};

    if (!may_run(m) || kicked(m)) return leaves;
    if (m->user) space_fill_given(m);
    view_choose(m, bt);
    m->bt_key = view_key(m, bt);
    m->bt_go_on = chain_target(m, bt);
    if (!m->bt_go_on) return leaves;
    chain_choose_calls(m, bt);
    bt->key = jump_key(m, 0);
    still_holds(m, 0);
    return (struct leave){begin(m, bt), flags_raw(fl_get(m))};
}

void bt_part(struct insn *out, const struct site *s)
{
    const struct insn *from = &s->block->insns[s->index], *last = from + s->count - 1;

    memcpy(out, from, s->count * sizeof *from);
    if (!s->index) out->fn = s->block->first;
    block_sentinel(out + s->count, last->off + last->len);
}

struct leave bt_interpret(struct vp_vm *m, struct site *s, int64_t rdi, uint64_t flags)
{
    const struct leave leaves = {.rdi = ACCOUNTED};
    struct bt *bt = bt_of(m);
    const bool faulted = bt->faults.faulted;
    const uint32_t slide = s->slides ? m->bt_slide : 0;
    const struct insn *first = s->insns;

    if (!first) bt_part(bt->part, s), first = bt->part;
    bt->faults.faulted = false;
    m->stats.window_faults += faulted;
    account(m, bt, rdi, s->owed);
    m->block_eip = s->block_eip + slide;
    m->interp->running = s->block;
    fl_put(m, flags_eflags(flags));
    if (unlikely(m->profile)) profile_exit(m, first, faulted);
    bt_x87_notes(m, s->note);
    m->first = m->cur = first;
    const int64_t before = m->budget;
    growth_begin(m, bt, s, faulted);
    first->fn(m, first);
    growth_end(&bt->growth);
    const bool asked = m->budget != before || !before; /* to look at the clock */
    int64_t retired = m->cur - first + 1;
    chain_follow(m, bt, m->cur);
    m->cur = NULL;
    m->insns += (uint64_t)retired;
    m->budget -= retired;
    if (unlikely(faulted)) after_fault(m, bt, s);
    if (unlikely(bt->wake.state)) wake_site(m, bt, s, first);
    if (asked) return leaves;
    if (s->last && retired == s->count) return next_block(m, bt);
    const int64_t left = m->budget - (s->owed - s->count);
    if (retired != s->count || m->cpu.eip != s->next_eip + slide) return leaves;
    if (bt_counts(m) && left < bt->reserve) return leaves;
    if (atomic_load_explicit(&m->attn, memory_order_relaxed) || jump_key(m, 0) != bt->key) return leaves;
    if (m->view & VIEW_WINDOW ? window_is_stale(bt->windows) : faulted) return leaves; /* front_align.c */
    if (!still_holds(m, s->assumes)) return leaves;
    begin(m, bt);
    return (struct leave){bt_counts(m) ? left - bt->reserve : rdi, flags_raw(fl_get(m))};
}
