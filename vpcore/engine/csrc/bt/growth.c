/* growth.c: see growth.h. */
#include "growth.h"
#include "../event.h"
#include "chain.h"

enum {
    FAULTS = 4, /* between two looks: translating the block twice costs as much as two or three */
    CALM = 2,
};

static bool asks(const struct site *s) { return bt_is_probed(s->block, s->index); }

static void change(struct vp_vm *m, struct bt *bt, struct growing *g, bool asks)
{
    struct learned *learned = bt_learn(bt, g->block);
    const uint64_t bit = UINT64_C(1) << g->index;

    if (!learned) return;
    g->asks = asks;
    m->stats.window_probes += asks;
    learned->probed = asks ? learned->probed | bit : learned->probed & ~bit;
    chain_renew(m, bt, g->block);
}

/* Another one than those that ask; NULL where all do. */
static struct growing *replaced(struct growth *g)
{
    for (unsigned k = 0; k < GROWING; k++) {
        struct growing *of = &g->of[g->next++ % GROWING];
        if (!of->asks) return of;
    }
    return NULL;
}

/* NULL where it asks for reasons of its own (run.c), or is one too many. */
static struct growing *growing_at(struct growth *g, const struct site *s)
{
    for (struct growing *of = g->of; of < g->of + GROWING; of++)
        if (of->block == s->block && of->index == s->index) return of;
    struct growing *of = asks(s) ? NULL : replaced(g);
    if (of) *of = (struct growing){.block = s->block, .index = s->index};
    return of;
}

static void note(struct vp_vm *m, struct bt *bt, const struct site *s)
{
    struct growing *g = m->exc_vector == EXC_PF ? growing_at(&bt->growth, s) : NULL;

    if (!g) return;
    g->calm = 0;
    if (!g->asks && ++g->faults == FAULTS) change(m, bt, g, true);
}

void growth_begin(struct vp_vm *m, struct bt *bt, const struct site *s, bool faulted)
{
    const struct site *before = bt->growth.at;

    bt->growth.at = NULL;
    if (before) note(m, bt, before);
    if (m->user && (m->view & VIEW_WINDOW) && (faulted || asks(s))) bt->growth.at = s;
}

void growth_look(struct vp_vm *m, struct bt *bt)
{
    for (struct growing *g = bt->growth.of; g < bt->growth.of + GROWING; g++) {
        g->faults = 0;
        if (!g->asks || g->calm++ < CALM) continue;
        change(m, bt, g, false);
        g->block = NULL;
    }
}

void growth_forget(struct growth *g, const struct block *b)
{
    if (g->at && g->at->block == b) g->at = NULL;
    for (struct growing *of = g->of; of < g->of + GROWING; of++)
        if (of->block == b) *of = (struct growing){0};
}
