/* cases.c: see cases.h. */
#include "cases.h"
#include "chain.h"
#include <string.h>

enum { MANY = UINT8_MAX };
_Static_assert((unsigned)CASE_TABLES < (unsigned)MANY, "struct translation has the number of a table, plus 1");

int cases_of(struct bt *bt, struct block *b)
{
    struct learned *learned = bt_learn(bt, b);

    if (!learned) return -1;
    if (!learned->cases && bt->case_tables < CASE_TABLES) {
        bt->case_table[bt->case_tables] = (struct case_table){.block = b};
        learned->cases = (uint8_t)++bt->case_tables;
    }
    return learned->cases - 1;
}

void cases_note(struct vp_vm *m, struct bt *bt, struct translation *t)
{
    const unsigned place = m->bt_case - 1, table = place / CASES, k = place % CASES;
    struct cases *c = &m->cases[table];
    struct case_table *of = &bt->case_table[table];
    const uint64_t key = m->bt_key | m->block_eip, had = -c->negated[k];

    if (had != key && had >> 32 == key >> 32 && !chain_may_miss(m, bt, of->block, &of->ousted)) return;
    c->negated[k] = -key;
    c->entry[k] = t->entry;
    t->cases = !t->cases || t->cases == table + 1 ? (uint8_t)(table + 1) : MANY;
}

static void forget(struct cases *c, const uint8_t *entry)
{
    for (unsigned k = 0; k < CASES; k++)
        if (c->entry[k] == entry) c->negated[k] = 0;
}

void cases_forget(struct vp_vm *m, const struct bt *bt, const struct translation *t)
{
    const unsigned first = t->cases == MANY ? 0 : t->cases - 1, last = t->cases == MANY ? bt->case_tables - 1 : first;

    for (unsigned table = first; t->cases && table <= last; table++) forget(&m->cases[table], t->entry);
}

void cases_drop(struct vp_vm *m, struct bt *bt)
{
    memset(m->cases, 0, bt->case_tables * sizeof *m->cases);
    bt->case_tables = 0;
}
