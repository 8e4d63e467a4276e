/* bt.c: the engine `bt`: life, which blocks are translated, entering host code, chaining.  See bt.h. */
#define _GNU_SOURCE
#include "bt.h"
#include "../engine.h"
#include "../interp/interp.h"
#include "../mem.h"
#include "../mmu.h"
#include "../profile.h"
#include "../seg.h"
#include "../space.h"
#include <asm/hwcap2.h>
#include <asm/prctl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CODE_LEAST = 1 << 20 };
/* Of code memory, for what is executed often: so much of a Linux's code is. */
enum { HOT_PART = 2, HOT_PARTS = 5 };
/* The memory mode, `flat` or `window`, for all code; for tests and benchmarks.  Unset, the code decides (mode.h). */
#define MODE_ENV "VPCORE_BT_MODE"
/* Jumps reach 2 GB. */
#define CODE_MOST (UINT64_C(1) << 30)

void *bt_allocate(struct bt *bt, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > bt->arena_size - bt->arena_used) return NULL;
    void *at = bt->arena + bt->arena_used;
    bt->arena_used += size;
    return at;
}

/* -- Entering host code ------------------------------------------------------------------------------------------- */

/* But for VIEW_SEGMENTED, host code takes code, stack and data segments of base 0 and 4 GB for granted; FS and GS it
 * looks at. */
static bool is_flat(const struct vp_vm *m)
{
    static const uint8_t segs[] = {VP_ES, VP_SS, VP_DS};

    if (m->cpu.seg[VP_CS].base || m->cpu.seg[VP_CS].limit != UINT32_MAX) return false;
    for (unsigned k = 0; k < sizeof segs; k++) {
        const struct seg_access *s = &m->sacc[segs[k]];
        if (s->base || s->rd_last != UINT32_MAX || s->wr_last != UINT32_MAX) return false;
    }
    return true;
}

static struct code_segment code_segment(const struct vp_vm *m)
{
    return (struct code_segment){m->cpu.seg[VP_CS].base, m->cpu.seg[VP_CS].limit};
}

static bool same_segment(struct code_segment a, struct code_segment b)
{
    return a.base == b.base && a.limit == b.limit;
}

/* -- Memory mode -------------------------------------------------------------------------------------------------- */

/* GS base of this thread. */
static _Thread_local uint8_t *gs_base;

static void set_gs(const struct bt *bt, uint8_t *base)
{
    if (gs_base == base) return;
    gs_base = base;
    if (bt->fsgsbase)
        __asm__ volatile("wrgsbase %0" : : "r"(base));
    else
        syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

static bool is_settled(const struct vp_vm *m, const struct bt *bt)
{
    return m->user && (bt->modes ? modes_lived(bt->modes) : m->insns) >= bt->settled;
}

/* Whether code in a window is to rely on kicks.  A system's own is not: it seldom runs long, and setting the timer would
 * be most of what an interrupt costs. */
static bool wants_touches(struct vp_vm *m, struct bt *bt)
{
    if (!bt->touches || m->interp->stop_at != UINT64_MAX) return false;
    if (!m->user && !bt->all_touch) return false;
    if (!kick_when_due(m)) bt->touches = false;
    return bt->touches;
}

/* Set vp_vm.view for the code that is to run now. */
static void choose_view(struct vp_vm *m, struct bt *bt)
{
    bool wanted = bt->windows && (!bt->modes || modes_want_window(bt->modes, m));
    uint8_t *base = wanted ? window_enter(m, bt->windows) : NULL;

    m->view = m->user | (base ? VIEW_WINDOW : 0) | (is_flat(m) ? 0 : VIEW_SEGMENTED);
    if (m->sp_mask != UINT32_MAX) m->view |= VIEW_SP16;
    if (!m->code32) m->view |= VIEW_16;
    if (!(m->cpu.cr0 & CR0_PE) || (m->cpu.eflags & EF_VM)) m->view |= VIEW_REAL;
    if (is_settled(m, bt)) m->view |= VIEW_SETTLED;
    if (!base) return;
    if (wants_touches(m, bt)) m->view |= VIEW_TOUCHES;
    set_gs(bt, base);
}

/* Host code may be entered or made: nothing wants to look between instructions. */
static bool may_run(const struct vp_vm *m)
{
    return (m->cpl == 0 || m->user) && !atomic_load_explicit(&((struct vp_vm *)m)->attn, memory_order_relaxed);
}

enum { KEY_ROUND_SHIFT = 32 - KEY_VIEW_BITS };

static void drop_all(struct vp_vm *m)
{
    m->interp->drop = true;
    m->budget = 0;
}

/* Of CS at this generation, one that no other pair has. */
static uint32_t number_of(struct vp_vm *m, struct bt *bt, uint64_t generation)
{
    const struct code_segment cs = code_segment(m);
    struct numbered *n = &bt->numbered[(cs.base >> 4 ^ cs.base >> 12 ^ generation) % NUMBERED];

    if (n->number && n->generation == generation && same_segment(n->cs, cs)) return n->number;
    if (bt->numbers + 1 == 1u << KEY_ROUND_SHIFT) {
        memset(bt->numbered, 0, sizeof bt->numbered);
        bt->numbers = 0;
        drop_all(m);
    }
    *n = (struct numbered){generation, cs, ++bt->numbers};
    return n->number;
}

/* vp_vm.bt_key as it is now.  It has room for so many generations: then everything starts anew. */
static uint64_t present_key(struct vp_vm *m, struct bt *bt)
{
    enum { GENERATION_SHIFT = 34 };
    uint64_t generation = jump_key(m, 0) >> GENERATION_SHIFT, round = generation >> KEY_ROUND_SHIFT;

    if (round != bt->key_round) {
        bt->key_round = round;
        drop_all(m);
    }
    if (m->view & VIEW_SEGMENTED) generation = number_of(m, bt, generation);
    return (generation << KEY_VIEW_BITS | KEY_ANY | m->view) << 32;
}

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

void bt_lead(struct link *link, struct translation *t)
{
    link->to = t;
    link->next = t->links;
    t->links = link;
}

void bt_unaim(struct bt *bt, struct link *link)
{
    if (link->elided) x_put_jmp(link->field);
    link->elided = false;
    link->to = NULL;
    if (link->guess)
        memset(link->guess->check, 0, sizeof(uint64_t)); /* no key is 0 */
    else
        x_aim(link->field, bt->e.run, link->cold);
}

static void set_check(const struct vp_vm *m, struct link *link)
{
    if (link->guess) {
        const uint64_t wanted = -(m->bt_key | link->eip);
        memcpy(link->guess->check, &wanted, sizeof wanted);
        return;
    }
    const uint32_t negated = -(uint32_t)(m->bt_key >> 32);

    memcpy(link->check, &negated, sizeof negated);
}

static void lead_to(struct link *link, struct translation *t)
{
    for (struct link **at = link->to ? &link->to->links : NULL; at && *at; at = &(*at)->next)
        if (*at == link) {
            *at = link->next;
            break;
        }
    bt_lead(link, t);
}

static void unlink_all(struct vp_vm *m, struct bt *bt, struct block *b);

/* The indirect jump led elsewhere than guessed.  False where that is so often. */
static bool may_guess(struct vp_vm *m, struct bt *bt, struct link *link)
{
    enum { MISSES = 16, APART = 1 << 14 };
    struct guess *g = link->guess;

    if (++g->misses < MISSES) return true;
    if (m->insns - g->since < (uint64_t)MISSES * APART) {
        g->block->varies = true;
        g->block->heat = (uint16_t)bt->warm;
        unlink_all(m, bt, g->block);
        return false;
    }
    g->misses = 0;
    g->since = m->insns;
    return true;
}

/* Where the indirect jump has led is where it will lead. */
static void guess(struct vp_vm *m, struct bt *bt, struct link *link, struct translation *t)
{
    if (link->to && link->eip != m->block_eip && !may_guess(m, bt, link)) return;
    link->eip = m->block_eip;
    set_check(m, link);
    if (link->to == t) return;
    x_aim(link->field, bt->e.run, t->entry);
    lead_to(link, t);
}

/* Where host code left for this very block, under the same page tables, let the jump go there by itself. */
static void chain(struct vp_vm *m, struct bt *bt, const struct block *b, struct translation *t)
{
    struct link *link = bt->link;

    if (b->other && link && !link->check && !link->guess)
        return; /* that the page is the right one says nothing of the next one */
    if (!link || bt->link_key != m->bt_key) return;
    if (link->guess) {
        guess(m, bt, link, t);
        return;
    }
    if (link->eip != (link->slides ? m->block_eip & ~PAGE_MASK : m->block_eip)) return;
    if (link->check) set_check(m, link);
    if (link->to == t || !aim(bt, link, t)) return;
    lead_to(link, t);
}

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
    for (struct link *link = t->links; link; link = link->next) bt_unaim(bt, link);
    t->links = NULL;
    forget_targets(m, t);
}

static void unlink_all(struct vp_vm *m, struct bt *bt, struct block *b)
{
    for (struct translation *t = b->translation; t; t = t->next) retire(m, bt, t);
    b->translation = NULL;
}

/* Of a block that slides, the code for one address that is the oldest, if it is old.  Without that processes that take
 * turns would each drop the other's. */
static bool retire_oldest(struct vp_vm *m, struct bt *bt, struct block *b)
{
    enum { OLD = 64 /* times what makes an address space settled */ };
    struct translation **oldest = NULL;

    for (struct translation **at = &b->translation; *at; at = &(*at)->next)
        if (!(*at)->slides) oldest = at;
    if (!b->slides || !oldest || m->insns - (*oldest)->made < OLD * bt->settled) return false;
    retire(m, bt, *oldest);
    *oldest = (*oldest)->next;
    return true;
}

struct translation *bt_find(const struct vp_vm *m, const struct block *b, uint32_t eip, bool slides, unsigned *places)
{
    const unsigned view = m->view & ~VIEW_SETTLED;

    *places = 0;
    for (struct translation *t = b->translation; t; t = t->next, ++*places) {
        if (t->view != view || t->slides != slides) continue;
        if (slides || (t->eip == eip && same_segment(t->cs, code_segment(m)))) return t;
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

/* The translation for here, made if the block is warm; NULL where it is to be interpreted. */
static struct translation *translation_for(struct vp_vm *m, struct block *b)
{
    struct bt *bt = bt_of(m);
    unsigned places;

    consider_sliding(m, bt, b);
    bool slides = bt_slides(m, b);
    struct translation *t = bt_find(m, b, m->block_eip, slides, &places);
    if (t) return t;
    if (++b->heat < bt->warm && !(b->translation && b->slides && !(m->view & VIEW_SEGMENTED))) return NULL;
    b->heat = 0;
    if (places >= PLACES && !retire_oldest(m, bt, b)) {
        if (b->slides && (m->view & VIEW_SETTLED) && (t = bt_find(m, b, m->block_eip, slides = true, &places)))
            return t;
        if (!slides) unlink_all(m, bt, b);
    }
    mem_give(bt->e.at, &bt->code_given, bt->e.end);
    mem_give(bt->cold.at, &bt->cold_given, bt->cold.end);
    mem_give(bt->arena + bt->arena_used, &bt->arena_given, bt->arena + bt->arena_size);
    if (bt_translate(m, b, slides)) return b->translation;
    drop_all(m); /* full: everything goes at the next look at the clock */
    return NULL;
}

static void forget_calls(struct vp_vm *m, struct bt *bt, struct calls *c)
{
    c->now = c->top;
    if (c == &bt->calls[bt->calling]) m->bt_calls = c->top;
}

/* Host code is to run next: on the stack of returns that are good for it. */
static void choose_calls(struct vp_vm *m, struct bt *bt)
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

/* Where the host code for EIP is, if it may be entered and the table of targets has it: under this key, or under that
 * of other page tables that have the same page there.  The key may change. */
static const uint8_t *find_target(struct vp_vm *m, struct bt *bt)
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
        m->bt_key = present_key(m, bt);
        target->negated = -(m->bt_key | eip);
    }
    return m->budget < bt_reserve(m) || m->interp->drop ? NULL : target->entry;
}

static void note_target(struct vp_vm *m, struct bt *bt, const struct block *b, const struct translation *t)
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

/* Host code has left: where it goes on all the same, because nothing but the page tables has become other; or NULL. */
static const uint8_t *go_on(struct vp_vm *m, struct bt *bt)
{
    struct link *link = bt->link;

    if (!may_run(m) || kicked(m) || (link && !((link->check || link->guess) && link->to))) return NULL;
    const uint8_t *entry = find_target(m, bt);
    if (!entry || !link) return entry;
    if (link->to->entry != entry || (link->guess && link->eip != m->cpu.eip)) return NULL;
    set_check(m, link);
    bt->link = NULL;
    return entry;
}

static struct leave enter(struct vp_vm *m, struct bt *bt, const uint8_t *entry, uint64_t flags)
{
    choose_calls(m, bt);
    bt->base = m->insns + (uint64_t)m->budget;
    bt->key = jump_key(m, 0);
    bt_x87_live(m, false);
    bt_sse_live(m, false);
    struct leave out = bt->enter(m, entry, m->budget - bt_reserve(m), flags);
    bt_x87_notes(m, NULL);
    if (out.budget == ACCOUNTED) return out;
    m->budget = out.budget + bt_reserve(m);
    m->insns = bt->base - (uint64_t)m->budget;
    bt->link_key = m->bt_key; /* of the block that left, which need not be that of t */
    return out;
}

/* Whether the block has no code, and is to have none yet: most that come by here are seldom executed. */
static bool is_cold(const struct vp_vm *m, const struct bt *bt, struct block *b)
{
    const bool moved = b->heat && b->heat_eip != m->block_eip;

    if (b->translation || moved || (bt->link && bt->link->slides) || b->heat + 1u >= bt->warm) return false;
    b->heat_eip = m->block_eip;
    b->heat++;
    return true;
}

/* Back in the run loop attn and the clock are looked at; but no kick may keep the guest from going on. */
static void take_kick(struct vp_vm *m, struct bt *bt)
{
    bt->faults.faulted = false;
    bt->link = NULL;
    kick_over(m);
    m->budget = 0;
}

/* Handler of the first instruction of every block. */
static void run_block(struct vp_vm *m, const struct insn *i)
{
    struct block *b = (struct block *)((uint8_t *)i - offsetof(struct block, insns));
    struct bt *bt = bt_of(m);
    const bool enters = !is_cold(m, bt, b) && may_run(m) && (choose_view(m, bt), true);
    struct translation *t = enters ? translation_for(m, b) : NULL;
    const uint64_t insns = m->insns;

    if (unlikely(kicked(m))) {
        take_kick(m, bt);
        t = NULL;
    }
    if (t && m->budget < bt_reserve(m) && m->interp->loose) { /* the clock may as well be looked at now */
        bt->link = NULL;
        m->budget = 0;
        m->cur = i - 1;
        return;
    }
    if (t) m->bt_key = present_key(m, bt);
    if (!t || m->budget < bt_reserve(m) || m->interp->drop) {
        bt->link = NULL;
        b->first(m, i);
        return;
    }
    chain(m, bt, b, t);
    bt->link = NULL;
    note_target(m, bt, b, t);
    struct leave out = {.flags = flags_raw(fl_get(m))};
    for (const uint8_t *entry = t->entry; entry; entry = out.budget == ACCOUNTED ? NULL : go_on(m, bt))
        out = enter(m, bt, entry, out.flags);
    if (out.budget != ACCOUNTED) fl_put(m, flags_eflags(out.flags));
    m->cur = i - 1; /* all is accounted for */
    if (likely(!bt->faults.faulted && !kicked(m))) return;
    take_kick(m, bt);
    if (m->insns != insns) return;
    m->cur = i;
    b->first(m, i);
}

/* What host code relies on, after the interpreter had its turn. */
static bool still_holds(struct vp_vm *m, unsigned assumes)
{
    if ((assumes & ASSUMES_UP) && (m->cpu.eflags & EF_DF)) return false;
    if ((assumes & ASSUMES_FLAT) && !is_flat(m)) return false;
    return bt_x87_live(m, assumes & ASSUMES_FP) && bt_sse_live(m, assumes & ASSUMES_SSE);
}

/* An access of the site has gone the long way round: the next time it does not have to, or does not by a fault.  Data
 * beside code and devices' memory are such places. */
static void after_fault(struct vp_vm *m, struct bt *bt, struct site *s)
{
    enum { MISSES = 3 };

    m->stats.window_faults++;
    const bool window = m->view & VIEW_WINDOW;
    if (window && window_fill(m, bt->windows, bt->faults.address)) return;
    if (++s->missed != MISSES) return;
    m->stats.window_probes += window;
    *(window ? &s->block->probed : &s->block->crosses) |= UINT64_C(1) << s->index;
    s->block->heat = (uint16_t)bt->warm;
    unlink_all(m, bt, s->block);
}

/* The block has ended, and its last instruction may have changed everything: on to the next one's host code, if the way
 * there is known. */
static struct leave next_block(struct vp_vm *m, struct bt *bt)
{
    const struct leave leaves = {.budget = ACCOUNTED};

    if (!may_run(m) || kicked(m)) return leaves;
    choose_view(m, bt);
    m->bt_key = present_key(m, bt);
    m->bt_go_on = find_target(m, bt);
    if (!m->bt_go_on) return leaves;
    choose_calls(m, bt);
    bt->base = m->insns + (uint64_t)m->budget;
    bt->key = jump_key(m, 0);
    still_holds(m, 0);
    return (struct leave){m->budget - bt_reserve(m), flags_raw(fl_get(m))};
}

struct leave bt_interpret(struct vp_vm *m, struct site *s, int64_t budget, uint64_t flags)
{
    const struct leave leaves = {.budget = ACCOUNTED};
    struct bt *bt = bt_of(m);
    const bool faulted = bt->faults.faulted;
    const uint32_t slide = s->slides ? m->bt_slide : 0;

    bt->faults.faulted = false;
    m->budget = budget + s->owed + bt_reserve(m);
    m->insns = bt->base - (uint64_t)m->budget;
    m->block_eip = s->block_eip + slide;
    m->interp->running = s->block;
    fl_put(m, flags_eflags(flags));
    if (unlikely(m->profile)) profile_exit(m, s->insns, faulted);
    bt_x87_notes(m, s->note);
    m->first = m->cur = s->insns;
    const int64_t before = m->budget;
    s->insns[0].fn(m, s->insns);
    const bool asked = m->budget != before || !before; /* to look at the clock */
    int64_t retired = m->cur - s->insns + 1;
    m->cur = NULL;
    m->insns += (uint64_t)retired;
    m->budget -= retired;
    if (unlikely(faulted)) after_fault(m, bt, s);
    if (asked) return leaves;
    budget = m->budget - (s->owed - s->count) - bt_reserve(m);
    if (s->last && retired == s->count) return next_block(m, bt);
    if (retired != s->count || m->cpu.eip != s->next_eip + slide || budget < 0) return leaves;
    if (atomic_load_explicit(&m->attn, memory_order_relaxed) || jump_key(m, 0) != bt->key) return leaves;
    if (m->view & VIEW_WINDOW ? window_is_stale(bt->windows) : faulted) return leaves; /* front_align.c */
    if (!still_holds(m, s->assumes)) return leaves;
    bt->base = m->insns + (uint64_t)m->budget;
    return (struct leave){budget, flags_raw(fl_get(m))};
}

/* -- What becomes of blocks --------------------------------------------------------------------------------------- */

static void on_built(struct vp_vm *m, struct block *b)
{
    (void)m;
    b->translation = NULL;
    b->probed = b->crosses = 0;
    b->slides = b->varies = b->translated = false;
    b->insns[0].fn = run_block;
}

/* Some call in it may be under way. */
static void on_died(struct vp_vm *m, struct block *b)
{
    struct bt *bt = bt_of(m);

    if (b->translated)
        for (unsigned user = 0; user < 2; user++) forget_calls(m, bt, &bt->calls[user]);
    unlink_all(m, bt, b);
}

static void on_dropped(struct vp_vm *m)
{
    struct bt *bt = bt_of(m);

    bt->e.at = bt->start;
    bt->cold.at = bt->cold_start;
    bt->e.full = bt->cold.full = false;
    bt->faults.count = bt->first_fault;
    bt->arena_used = 0;
    bt->link = NULL;
    memset(m->targets, 0, sizeof m->targets);
    for (unsigned user = 0; user < 2; user++) forget_calls(m, bt, &bt->calls[user]);
}

/* -- Engine ------------------------------------------------------------------------------------------------------- */

/* The first x86-64 processors lack these in 64-bit mode (SDM 2, LAHF). */
static bool has_lahf(void)
{
    enum { LAHF_LM = 1 };
    uint32_t leaf = 0x80000000u, b, c = 0, d, most;

    __asm__("cpuid" : "=a"(most), "=b"(b), "+c"(c), "=d"(d) : "0"(leaf));
    if (most <= leaf) return false;
    leaf++;
    __asm__("cpuid" : "+a"(leaf), "=b"(b), "+c"(c), "=d"(d));
    return c & LAHF_LM;
}

static bool bt_probe(char *why, size_t room)
{
    struct codemem mem;

    if (!has_lahf()) {
        snprintf(why, room, "the host's processor has no LAHF and SAHF in 64-bit mode");
        return false;
    }
    if (!codemem_create(&mem, CODE_LEAST, why, room)) return false;
    codemem_destroy(&mem);
    return true;
}

static void bt_destroy(struct vp_vm *m)
{
    struct bt *bt = bt_of(m);

    if (!bt) return;
    m->interp->tier = NULL;
    m->kicks = false;
    if (bt->map) fclose(bt->map);
    windows_destroy(bt->windows);
    modes_destroy(bt->modes);
    fault_map_destroy(&bt->faults);
    codemem_destroy(&bt->mem);
    mem_release(bt->arena, bt->arena_size);
    for (unsigned user = 0; user < 2; user++) mem_release(bt->calls[user].base, CALLS_SIZE);
    mem_release(bt->target_pages, sizeof *bt->target_pages * TARGETS);
    free(bt);
}

/* Without them, or without what makes them cheap, the reason is kept. */
static void create_windows(struct vp_vm *m, struct bt *bt)
{
    const char *mode = getenv(MODE_ENV);

    bt->fsgsbase = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) && !window_told_to_fail("fsgsbase");
    if (mode && !strcmp(mode, "flat")) return;
    bool chooses = !mode || strcmp(mode, "window");
    if (!bt->fsgsbase) snprintf(bt->lacks, sizeof bt->lacks, "windows cost more: the host has no FSGSBASE");
    if (!signals_install())
        snprintf(bt->lacks, sizeof bt->lacks, "no windows: the host gives no signal handler");
    else if (chooses && !(bt->modes = modes_create()))
        snprintf(bt->lacks, sizeof bt->lacks, "no windows: no memory");
    else
        bt->windows = windows_create(m, bt->lacks, sizeof bt->lacks);
}

/* Flat tables are asked without a change of flags, where the host has what that takes. */
static void create_quiet_probe(struct vp_vm *m, struct bt *bt)
{
    m->bt_in_page = ~PAGE_MASK;
    m->bt_in_word = sizeof(uint32_t) - 1;
    bt->quiet = bt_host_extracts() && signals_install() && !mprotect(m->page_end[1], PAGE_SIZE, PROT_NONE);
    if (!bt->quiet) snprintf(bt->lacks, sizeof bt->lacks, "the flat tables cost more: the host has no fast PEXT");
}

/* Where kicks are not to be had, budgets are looked at. */
static void create_kicks(struct vp_vm *m, struct bt *bt)
{
    const char *looks = getenv(LOOKS_ENV);

    bt->all_touch = looks && !strcmp(looks, "none");
    if (!bt->windows || m->config.clock == VP_CLOCK_ICOUNT || (looks && !bt->all_touch)) return;
    bt->touches = !window_told_to_fail("timer") && kick_prepare(m);
    if (!bt->touches && !*bt->lacks) snprintf(bt->lacks, sizeof bt->lacks, "loops cost more: the host gives no timer");
}

static bool create_calls(struct vp_vm *m, struct bt *bt)
{
    enum { UPPER_END = 64 };

    for (unsigned user = 0; user < 2; user++) {
        struct calls *c = &bt->calls[user];
        c->base = mem_reserve(CALLS_SIZE);
        if (!c->base || mprotect(c->base, CALLS_GUARD, PROT_NONE)) return false;
        c->now = c->top = c->base + CALLS_SIZE - UPPER_END;
    }
    m->bt_calls = bt->calls[0].top;
    return true;
}

static bool bt_create(struct vp_vm *m)
{
    struct bt *bt = calloc(1, sizeof *bt);
    uint64_t size = m->config.cache_size;

    if (!bt) return false;
    m->interp->tier = &bt->tier;
    const char *warm = getenv(WARM_ENV);
    const char *looks = getenv(LOOKS_ENV);
    const char *settle = getenv(SETTLE_ENV);
    bt->sparing = looks ? !strcmp(looks, "few") : m->config.clock != VP_CLOCK_ICOUNT;
    bt->reserve = bt->sparing ? AHEAD + PAGE_SIZE : AHEAD;
    bt->warm = warm ? (unsigned)strtoul(warm, NULL, 10) : WARM;
    bt->slides = getenv(SLIDE_ENV);
    bt->settled = settle ? strtoull(settle, NULL, 10) : SETTLED;
    bt->fcomi_clears = bt_x87_compare_clears();
    bt->tier = (struct tier){on_built, on_died, on_dropped};
    size = size < CODE_LEAST ? CODE_LEAST : size > CODE_MOST ? CODE_MOST : (size + PAGE_SIZE - 1) & ~UINT64_C(0xfff);
    bt->arena_size = size;
    bt->arena = mem_reserve(size);
    bt->target_pages = mem_reserve(sizeof *bt->target_pages * TARGETS);
    bool room = bt->arena && bt->target_pages && create_calls(m, bt);
    if (!room || !codemem_create(&bt->mem, size, m->error, sizeof m->error)) {
        if (!room) snprintf(m->error, sizeof m->error, "no memory for the translator's records");
        bt_destroy(m);
        return false;
    }
    bt->cold_start = bt->mem.rw + (size / HOT_PARTS * HOT_PART / PAGE_SIZE * PAGE_SIZE);
    bt->e = (struct emit){.at = bt->mem.rw, .end = bt->cold_start, .run = bt->mem.rx - bt->mem.rw};
    bt->cold = (struct emit){.at = bt->cold_start, .end = bt->mem.rw + size, .run = bt->e.run};
    bt->code_given = bt->mem.rw, bt->cold_given = bt->cold_start, bt->arena_given = bt->arena;
    if (!fault_map_create(&bt->faults, bt->mem.rx, size)) {
        snprintf(m->error, sizeof m->error, "no memory for the translator's records");
        bt_destroy(m);
        return false;
    }
    bt->map = map_open();
    bt->own_flags = bt_host_flags();
    bt->counts_keep = bt_host_counts();
    create_quiet_probe(m, bt);
    create_windows(m, bt);
    create_kicks(m, bt);
    bt_emit_stubs(bt);
    return true;
}

static int bt_run(struct vp_vm *m, uint64_t max_insns)
{
    struct bt *bt = bt_of(m);

    if (bt->windows || bt->quiet) signals_install(); /* someone else may have come since */
    if (bt->touches) kick_install();
    kick_enter(m);
    uint8_t *outer_gs = gs_base;
    struct fault_map *outer = signals_enter(&bt->faults);
    int code = interp_run(m, max_insns);
    kick_leave(m);
    signals_enter(outer);
    set_gs(bt, outer_gs);
    return code;
}

static void bt_flush_tlb(struct vp_vm *m, bool global_too)
{
    if (bt_of(m)->windows) window_flush(bt_of(m)->windows, global_too);
}

static void bt_forget_page(struct vp_vm *m, uint32_t lin)
{
    if (bt_of(m)->windows) window_flush_page(bt_of(m)->windows, lin);
}

static void bt_forget_writes(struct vp_vm *m, uint32_t first, uint32_t last)
{
    if (bt_of(m)->windows) window_forget_writes(bt_of(m)->windows, first, last);
}

static void bt_stats(const struct vp_vm *m, vp_stats *out)
{
    const struct bt *bt = bt_of(m);

    out->cold_bytes = (uint64_t)(bt->cold.at - bt->cold_start);
    out->cold_room = (uint64_t)(bt->mem.rw + bt->mem.size - bt->cold_start);
    out->code_bytes = (uint64_t)(bt->e.at - bt->mem.rw) + out->cold_bytes;
    out->code_room = bt->mem.size;
    out->record_bytes = bt->arena_used;
    out->record_room = bt->arena_size;
}

static const char *bt_lacks(struct vp_vm *m) { return bt_of(m)->lacks; }

static uint32_t bt_mode_trace(struct vp_vm *m, vp_mode_change *out, uint32_t most)
{
    return bt_of(m)->modes ? modes_trace(bt_of(m)->modes, out, most) : 0;
}

const struct vp_engine engine_bt = {
    .name = "bt",
    .probe = bt_probe,
    .create = bt_create,
    .run = bt_run,
    .invalidate = block_invalidate,
    .flush_tlb = bt_flush_tlb,
    .forget_page = bt_forget_page,
    .forget_writes = bt_forget_writes,
    .cut = block_cut,
    .stats = bt_stats,
    .destroy = bt_destroy,
    .lacks = bt_lacks,
    .mode_trace = bt_mode_trace,
};
