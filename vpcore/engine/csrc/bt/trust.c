/* trust.c: see trust.h. */
#include "trust.h"
#include "chain.h"
#include <stdlib.h>
#include <string.h>

enum { NOTED = 8 /* keys */, NOTED_LINKS = 4096 /* of each */ };

/* Links of code that does not count, which compare a key and lead somewhere under it; or did. */
struct noted {
    uint64_t key;
    uint64_t since; /* instructions retired when it came, or was kicked after another one */
    uint64_t number;
    bool kicked;
    unsigned count;
    struct link *link[NOTED_LINKS]; /* which have `number`, or are noted for another key by now */
};

struct trust {
    struct noted noted[NOTED];
    struct noted *trusted, *steady; /* whose links do not compare their key, or NULL; which was kicked last */
    uint64_t numbers;               /* of lists that there have been */
};

struct trust *trust_create(void) { return calloc(1, sizeof(struct trust)); }
void trust_destroy(struct trust *t) { free(t); }

static bool leads_somewhere(const struct link *link)
{
    return link->inlined ? link->inlined->callee != NULL : link->to != NULL;
}

/* Under the present key. */
static bool is_good(const struct vp_vm *m, const struct link *link)
{
    const uint32_t check = chain_check(m);

    return leads_somewhere(link) && memcmp(link->check, &check, sizeof check) == 0;
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
    const struct noted *n = bt->trust->trusted;

    for (unsigned k = 0; k < n->count; k++) trust_end(m, bt, n->link[k]);
    bt->trust->trusted = NULL;
    bt->trusted_key = 0;
}

/* Of links that other keys have taken, and that have come back, there may be several entries. */
static void trust_all(struct vp_vm *m, struct bt *bt, struct noted *n)
{
    unsigned kept = 0;

    bt->trust->trusted = n;
    bt->trusted_key = n->key;
    for (unsigned k = 0; k < n->count; k++) {
        struct link *link = n->link[k];
        if (link->noted != n->number || link->trusted) continue;
        n->link[kept++] = link;
        if (is_good(m, link)) trust(m, bt, link);
    }
    n->count = kept;
}

/* -- What there is to be trusted ----------------------------------------------------------------------------------- */

/* Of the present key; the oldest one's is forgotten for it. */
static struct noted *noted_for(struct vp_vm *m, struct bt *bt)
{
    struct trust *t = bt->trust;
    struct noted *n;

    for (n = t->noted; n < t->noted + NOTED; n++)
        if (n->key == m->bt_key) return n;
    n = &t->noted[t->numbers % NOTED];
    if (n == t->trusted) trust_end_all(m, bt);
    n->key = m->bt_key;
    n->number = ++t->numbers;
    n->count = 0;
    n->since = m->insns;
    n->kicked = false;
    bt->trust_waits = true;
    trust_hasten(m, bt);
    return n;
}

void trust_note(struct vp_vm *m, struct bt *bt, struct link *link)
{
    if (bt_counts(m)) return;
    struct noted *n = noted_for(m, bt);
    if (!is_good(m, link)) return;
    if (link->noted != n->number) {
        if (n->count == NOTED_LINKS) return;
        link->noted = n->number;
        n->link[n->count++] = link;
    }
    if (bt->trust->trusted == n && !link->trusted) trust(m, bt, link);
}

void trust_consider(struct vp_vm *m, struct bt *bt)
{
    enum { STEADY = 1 << 17 }; /* instructions: two changes of a jump take as long as a few hundred */
    struct trust *t = bt->trust;
    struct noted *n = noted_for(m, bt);

    if (t->steady != n && n->kicked) n->since = m->insns; /* another one came between */
    const bool soon = m->insns - n->since < STEADY;
    bt->trust_waits = soon && !n->kicked;
    t->steady = n;
    n->kicked = true;
    if (t->trusted == n || soon) return;
    if (t->trusted) trust_end_all(m, bt);
    trust_all(m, bt, n);
}

void trust_forget(struct bt *bt)
{
    struct trust *t = bt->trust;

    for (unsigned k = 0; k < NOTED; k++) t->noted[k].key = t->noted[k].count = 0;
    t->trusted = t->steady = NULL;
    bt->trusted_key = 0;
}
