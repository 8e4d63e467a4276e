/* wake.c: see wake.h. */
#include "wake.h"
#include "../interp/interp.h"
#include "../isa.h"
#include "bt.h"
#include "chain.h"
#include "view.h"

enum {
    LIKE = 32,          /* ticks that make a guest idle */
    AGAIN = 8,          /* in which code that was moved gets links that lead to each other */
    LONG = 256,         /* and its code worth moving */
    FRESH = 4096,       /* ticks that a list is good for */
    ENOUGH = 30000,     /* instructions of one that are noted */
    SHORT = 200000,     /* instructions of a tick, at most */
    SLEPT_NS = 1000000, /* in less time caches are not lost */
};
enum { HOST_LINE = 6 /* bits */, LINES = PAGE_SIZE >> HOST_LINE };

/* -- The list ------------------------------------------------------------------------------------------------------ */

/* NULL where there is no room for one more. */
static struct wake_page *page_of(struct wake *w, uintptr_t page)
{
    for (unsigned k = w->pages; k-- > 0;) /* as a rule one of the last */
        if (w->page[k].page == page) return &w->page[k];
    if (w->pages == WAKE_PAGES) return NULL;
    w->page[w->pages] = (struct wake_page){.page = page};
    return &w->page[w->pages++];
}

static void note(struct wake *w, const void *at, size_t size)
{
    const uintptr_t last = ((uintptr_t)at + size - 1) >> HOST_LINE;

    for (uintptr_t line = (uintptr_t)at >> HOST_LINE; line <= last; line++) {
        struct wake_page *p = page_of(w, line / LINES * PAGE_SIZE);
        if (p) p->lines |= UINT64_C(1) << line % LINES;
    }
}

/* The host code that it names lies on more than twice the pages that it would fill. */
static bool is_spread(const struct bt *bt)
{
    enum { FEW = 8 };
    unsigned pages = 0, lines = 0;

    for (const struct wake_page *p = bt->wake.page; p < bt->wake.page + bt->wake.pages; p++) {
        if (p->page - (uintptr_t)bt->mem.rx >= bt->mem.size) continue;
        pages++;
        lines += (unsigned)__builtin_popcountll(p->lines);
    }
    return pages > FEW + 2 * lines / LINES;
}

static void fetch(const struct wake *w)
{
    for (const struct wake_page *p = w->page; p < w->page + w->pages; p++)
        for (uint64_t lines = p->lines; lines; lines &= lines - 1)
            __builtin_prefetch((const void *)(p->page + ((uintptr_t)__builtin_ctzll(lines) << HOST_LINE)));
}

/* -- What is touched ----------------------------------------------------------------------------------------------- */

/* Memory of the guest, by the window or by flat tables. */
static void note_guest(struct vp_vm *m, struct bt *bt, uint32_t lin, bool window)
{
    const uintptr_t *table = &m->flat[m->user * 2][lin >> PAGE_SHIFT];

    if (window) {
        note(&bt->wake, bt->gs + lin, 1);
    } else if (*table) {
        note(&bt->wake, table, sizeof *table);
        note(&bt->wake, (const void *)(*table + lin), 1);
    }
}

/* The stack, and a block's operands, as far as registers are what they were when it was entered. */
static void note_operands(struct vp_vm *m, struct bt *bt, const struct block *b)
{
    const bool window = m->view & VIEW_WINDOW;
    const uint32_t esp = m->sacc[VP_SS].base + m->cpu.gpr[ESP];

    note_guest(m, bt, esp, window);
    note_guest(m, bt, esp - sizeof(uint32_t), window);
    for (unsigned k = 0; k < b->count; k++) {
        const struct insn *i = &b->insns[k];
        if (!(i->form & FORM_MEM) && !i->disp) continue;
        note_guest(m, bt, m->sacc[i->seg].base + ea(m, i), window && !bt_is_probed(b, k));
    }
}

/* Where the target of an indirect jump is looked up. */
static void note_target(struct vp_vm *m, struct bt *bt)
{
    note(&bt->wake, &m->targets[m->cpu.eip & ((1u << TARGET_BITS) - 1)], sizeof *m->targets);
}

static bool jumps_anywhere(const struct block *b)
{
    const unsigned op = b->insns[b->count - 1].op;

    return op == OP_JMP_Ev || op == OP_CALL_Ev;
}

/* The common parts, what they stand on, and what C code asks of the vm all the time. */
static void note_common(struct vp_vm *m, struct bt *bt)
{
    enum { STUBS = 512, CALLS = 256 };
    struct wake *w = &bt->wake;

    note(w, bt->mem.rx, STUBS);
    note(w, bt->calls[0].top - CALLS, CALLS);
    note(w, bt, offsetof(struct bt, numbered));
    note(w, m->interp, offsetof(struct interp, scratch));
    note(w, &m->cpu, sizeof m->cpu);
    note(w, &m->bt_key, offsetof(struct vp_vm, targets) - offsetof(struct vp_vm, bt_key));
}

/* -- While it is noted --------------------------------------------------------------------------------------------- */

static void rehearse(struct vp_vm *m, struct bt *bt, const struct block *b)
{
    struct wake *w = &bt->wake;
    unsigned places;

    view_choose(m, bt);
    const struct translation *t = bt_find(m, b, m->block_eip, bt_slides(m, b), &places);
    if (t) note(w, t->body, t->size);
    note_operands(m, bt, b);
    if (w->last && jumps_anywhere(w->last)) note_target(m, bt);
    w->last = b;
}

/* The run loop looks for EIP's block. */
static void listen(struct vp_vm *m, struct bt *bt)
{
    note(&bt->wake, jumps_near(m->interp, m->cpu.eip), sizeof(struct jumps));
    note_target(m, bt);
}

/* The tick is long: the list has its beginning. */
static bool is_enough(const struct vp_vm *m, struct wake *w)
{
    if (m->insns - w->began <= ENOUGH) return false;
    w->state = WAKE_SILENT;
    return true;
}

/* It is translated when it is entered next, behind those that were entered before it. */
static void move(struct vp_vm *m, struct bt *bt, struct block *b)
{
    if (!b->translation) return;
    chain_renew(m, bt, b);
    m->stats.moved_blocks++;
}

bool wake_block(struct vp_vm *m, struct bt *bt, struct block *b)
{
    struct wake *w = &bt->wake;

    if (is_enough(m, w)) return false;
    if (w->state == WAKE_MOVES) {
        move(m, bt, b);
        return true;
    }
    if (w->state == WAKE_REHEARSES) {
        rehearse(m, bt, b);
        return true;
    }
    note(w, b, offsetof(struct block, insns) + b->count * sizeof *b->insns);
    if (b->translation) note(w, b->translation, sizeof *b->translation);
    listen(m, bt);
    return false;
}

void wake_site(struct vp_vm *m, struct bt *bt, const struct site *s, const struct insn *first)
{
    struct wake *w = &bt->wake;

    if (w->state == WAKE_MOVES || is_enough(m, w)) return;
    note(w, s, sizeof *s);
    note(w, s->block, offsetof(struct block, insns));
    note(w, &s->block->insns[s->index], s->count * sizeof *first);
    note(w, first, s->count * sizeof *first);
    if (s->last) listen(m, bt);
}

/* -- When ---------------------------------------------------------------------------------------------------------- */

void wake_begin(struct vp_vm *m, struct bt *bt)
{
    struct wake *w = &bt->wake;

    w->woke = m->cpu.halted && m->config.clock != VP_CLOCK_ICOUNT && vp_now(m) - w->halted >= SLEPT_NS;
    w->began = m->insns;
    if (!w->woke || w->ticks < LIKE) return;
    if (w->ticks == LONG && !w->moved && is_spread(bt)) {
        w->state = WAKE_MOVES;
        w->moved = true;
        w->pages = 0;
        w->ticks = LIKE - AGAIN;
    } else if (!w->pages || w->ticks >= FRESH) {
        w->state = WAKE_REHEARSES;
        w->ticks = LIKE - 1;
        w->pages = 0;
        w->last = NULL;
        m->stats.rehearsals++;
        note_common(m, bt);
    } else if (w->ticks == LIKE) {
        w->state = WAKE_LISTENS;
    } else {
        fetch(w);
    }
}

/* A guest that does more is not idle, and is to show again that it is. */
void wake_end(struct vp_vm *m, struct bt *bt, int code)
{
    struct wake *w = &bt->wake;

    if (m->cpu.halted) w->halted = vp_now(m);
    if (code != VP_EXIT_HALT || m->insns - w->began > SHORT)
        w->ticks = w->pages = w->moved = 0;
    else if (w->woke)
        w->ticks++;
    w->state = WAKE_SILENT;
}
