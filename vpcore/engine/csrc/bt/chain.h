/* chain.h: how host code gets to host code without the run loop: jumps that are patched once it is known where they
 * lead, guesses, the table of targets of indirect jumps, and the stack of calls; and what undoes that when code dies.
 */
#ifndef VP_BT_CHAIN_H
#define VP_BT_CHAIN_H
#include "bt.h"

/* The jump is to go there, but that it does is the caller's business; nowhere. */
void chain_lead(struct link *link, struct translation *t);
void chain_unaim(struct vp_vm *m, struct bt *bt, struct link *link);
/* Where host code left for this very block, under the same page tables, let the jump go there by itself. */
void chain_arrive(struct vp_vm *m, struct bt *bt, const struct block *b, struct translation *t);
/* Host code has left: where it goes on all the same, because nothing but the page tables has become other; or NULL. */
const uint8_t *chain_go_on(struct vp_vm *m, struct bt *bt);

/* Where the host code for EIP is, if it may be entered and the table of targets has it: under this key, or under that
 * of other page tables that have the same page there.  The key may change. */
const uint8_t *chain_target(struct vp_vm *m, struct bt *bt);
/* What block b ends with led elsewhere than host code took it to; false where that is so often: it is translated anew,
 * not to be taken for that again. */
bool chain_may_miss(struct vp_vm *m, struct bt *bt, struct block *b, struct misses *misses);
/* The table is to have it. */
void chain_note(struct vp_vm *m, struct bt *bt, const struct block *b, const struct translation *t);

/* What a link compares, to be good under the present key. */
static inline uint32_t chain_check(const struct vp_vm *m) { return -(uint32_t)(m->bt_key >> 32); }
/* The link, which has a check, is good under the present key. */
void chain_set_check(const struct vp_vm *m, struct link *link);

/* The callee's instructions stand there as long as it lives.  False where there is no room. */
bool chain_take_in(struct vp_vm *m, struct bt *bt, struct inlined *in);
/* Host code that has the block's instructions calls it from now on. */
void chain_leave_out(struct vp_vm *m, struct bt *bt, struct block *b);

/* The block has no host code any more; what executes it may go on. */
void chain_drop(struct vp_vm *m, struct bt *bt, struct block *b);
/* And is to be translated anew: it was made for what it turns out not to be like. */
void chain_renew(struct vp_vm *m, struct bt *bt, struct block *b);

/* Put it into the block's list: those that slide come first, as most processes want these; copies (`of` which) last. */
void chain_keep(struct bt *bt, struct block *b, struct translation *t, struct translation *of);
/* The block has many translations, how many goes to `places`; and that there is none for this address. */
bool chain_has_none_at(const struct block *b, uint32_t eip, unsigned *places);
/* Of a block that slides, the code for one address that is the oldest: whether it is old, for processes that take turns
 * would each drop the other's; and to drop it. */
bool chain_has_old(const struct vp_vm *m, const struct bt *bt, const struct block *b);
void chain_drop_oldest(struct vp_vm *m, struct bt *bt, struct block *b);

/* Host code is to run next: on the stack of returns that are good for it. */
void chain_choose_calls(struct vp_vm *m, struct bt *bt);
/* The interpreter has executed that, the end of a block: perhaps a call or a return, which host code is to pair. */
void chain_follow(struct vp_vm *m, struct bt *bt, const struct insn *last);
/* All returns are to be looked up. */
void chain_forget_calls(struct vp_vm *m, struct bt *bt);

#endif
