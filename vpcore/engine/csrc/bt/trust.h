/* trust.h: jumps to other pages that compare no key, because there is only one.
 *
 * A process that runs for milliseconds does so under one vp_vm.bt_key.  Its jumps and calls that would compare that key
 * are patched to do without; before host code of the kind is entered under another key, all of them compare again.
 */
#ifndef VP_BT_TRUST_H
#define VP_BT_TRUST_H
#include "bt.h"

struct trust *trust_create(void); /* NULL: no memory */
void trust_destroy(struct trust *t);
/* The link, which compares a key, leads somewhere under the present one. */
void trust_note(struct vp_vm *m, struct bt *bt, struct link *link);
/* Code that does not count has been kicked: if that is under the same key as for some time, links are trusted. */
void trust_consider(struct vp_vm *m, struct bt *bt);
/* The link compares the key. */
void trust_end(struct vp_vm *m, struct bt *bt, struct link *link);
void trust_end_all(struct vp_vm *m, struct bt *bt);
/* There are no links any more. */
void trust_forget(struct bt *bt);
/* Links under a new key do not wait for a system's tick, which may be the program's last: code that does not count is
 * kicked soon. */
static inline void trust_hasten(struct vp_vm *m, const struct bt *bt)
{
    enum { SOON_NS = 250000 };

    if (bt->trust_waits) kick_within(m, SOON_NS);
}

/* Host code is to run under vp_vm.bt_key. */
static inline void trust_key(struct vp_vm *m, struct bt *bt)
{
    if (bt->trusted_key && bt->trusted_key != m->bt_key && !bt_counts(m)) trust_end_all(m, bt);
}

#endif
