/* trust.c: see trust.h. */
#include "trust.h"
#include <string.h>

static bool leads_somewhere(const struct link *link)
{
    return link->inlined ? link->inlined->callee != NULL : link->to != NULL;
}

static bool is_good_for(const struct link *link, uint64_t key)
{
    const uint32_t negated = -(uint32_t)(key >> 32);

    return memcmp(link->check, &negated, sizeof negated) == 0;
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
    for (struct link *link = bt->comparing; link; link = link->comparing) trust_end(m, bt, link);
    bt->trusted_key = 0;
}

void trust_note(struct vp_vm *m, struct bt *bt, struct link *link)
{
    if (!link->listed) {
        link->listed = true;
        link->comparing = bt->comparing;
        bt->comparing = link;
    }
    if (bt->trusted_key == m->bt_key && !link->trusted && is_good_for(link, m->bt_key)) trust(m, bt, link);
}

void trust_consider(struct vp_vm *m, struct bt *bt)
{
    enum { STEADY = 1 << 21 }; /* instructions: two changes of a jump take as long as a few hundred */

    if (bt->steady_key != m->bt_key) {
        bt->steady_key = m->bt_key;
        bt->steady_since = m->insns;
    }
    if (bt->trusted_key == m->bt_key || m->insns - bt->steady_since < STEADY) return;
    trust_end_all(m, bt);
    bt->trusted_key = m->bt_key;
    for (struct link *link = bt->comparing; link; link = link->comparing)
        if (leads_somewhere(link) && is_good_for(link, m->bt_key)) trust(m, bt, link);
}
