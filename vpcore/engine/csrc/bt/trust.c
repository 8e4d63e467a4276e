/* trust.c: see trust.h. */
#include "trust.h"
#include <string.h>

static bool leads_somewhere(const struct link *link)
{
    return link->inlined ? link->inlined->callee != NULL : link->to != NULL;
}

static uint32_t negated(uint64_t key) { return -(uint32_t)(key >> 32); }

static bool is_good_for(const struct link *link, uint64_t key)
{
    const uint32_t wanted = negated(key);

    return leads_somewhere(link) && memcmp(link->check, &wanted, sizeof wanted) == 0;
}

/* A jump leads past the comparison, whether it is in front of that or in its place; else that does nothing. */
static void trust(struct vp_vm *m, struct bt *bt, struct link *link)
{
    /* NOP [rax+rax+0], twice (SDM 2B, table 4-12) */
    static const uint8_t nothing[KEY_CHECK_SIZE] = {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0};
    const ptrdiff_t run = bt->e.run;

    link->trusted = true;
    m->stats.trusted_links++;
    if (link->branch) {
        x_aim(link->branch, run, x_aimed(link->field, run));
        return;
    }
    memcpy(link->had, link->compares, sizeof link->had);
    if (link->calls || link->inlined) {
        memcpy(link->compares, nothing, sizeof nothing);
    } else {
        x_put_jmp(link->compares + 1);
        x_aim(link->compares + 1, run, x_aimed(link->field, run));
    }
}

void trust_end(struct vp_vm *m, struct bt *bt, struct link *link)
{
    if (!link->trusted) return;
    link->trusted = false;
    m->stats.doubted_links++;
    if (link->branch)
        x_aim(link->branch, bt->e.run, link->compares + bt->e.run);
    else
        memcpy(link->compares, link->had, sizeof link->had);
}

void trust_end_all(struct vp_vm *m, struct bt *bt)
{
    struct noted *n = bt->trusted;

    for (unsigned k = 0; k < n->count; k++) trust_end(m, bt, n->link[k]);
    bt->trusted = NULL;
}

/* -- What there is to be trusted ----------------------------------------------------------------------------------- */

/* Of the present key; the oldest one's is forgotten for it. */
static struct noted *noted_for(struct vp_vm *m, struct bt *bt)
{
    struct noted *n;

    for (n = bt->noted; n < bt->noted + NOTED; n++)
        if (n->key == m->bt_key) return n;
    n = &bt->noted[bt->notes++ % NOTED];
    if (n == bt->trusted) trust_end_all(m, bt);
    n->key = m->bt_key;
    n->count = 0;
    n->since = m->insns;
    n->kicked = false;
    return n;
}

void trust_note(struct vp_vm *m, struct bt *bt, struct link *link)
{
    if (bt_counts(m)) return;
    struct noted *n = noted_for(m, bt);
    if (!is_good_for(link, n->key)) return;
    if (link->noted != negated(n->key)) {
        if (n->count == NOTED_LINKS) return;
        link->noted = negated(n->key);
        n->link[n->count++] = link;
    }
    if (bt->trusted == n && !link->trusted) trust(m, bt, link);
}

void trust_consider(struct vp_vm *m, struct bt *bt)
{
    enum { STEADY = 1 << 21 }; /* instructions: two changes of a jump take as long as a few hundred */
    struct noted *n = noted_for(m, bt);

    if (bt->steady != n && n->kicked) n->since = m->insns; /* another one came between */
    bt->steady = n;
    n->kicked = true;
    if (bt->trusted == n || m->insns - n->since < STEADY) return;
    if (bt->trusted) trust_end_all(m, bt);
    bt->trusted = n;
    for (unsigned k = 0; k < n->count; k++)
        if (is_good_for(n->link[k], n->key)) trust(m, bt, n->link[k]);
}

void trust_forget(struct bt *bt)
{
    for (unsigned k = 0; k < NOTED; k++) bt->noted[k].key = bt->noted[k].count = 0;
    bt->trusted = bt->steady = NULL;
}
