/* cases.h: jumps by tables of the guest's, as compilers make them of switches and interpreters of their operations.
 *
 * By EIP, the host's processor would find out where such a jump leads behind three loads: the guest's table, then the
 * entry for EIP, then the jump.  Where it has foreseen it wrong, it waits for them.  The index is known first, and so
 * there is a table of host code by that, of which the entry is compared with EIP beside the way of the jump: as long as
 * the guest's table stays what it is, the jump leads where it did.
 */
#ifndef VP_BT_CASES_H
#define VP_BT_CASES_H
#include "bt.h"

/* Who has the tables of vp_vm.cases. */
struct case_table {
    struct block *block;  /* ends with the jump */
    struct misses ousted; /* by another EIP for the same index */
};

/* The number of the block's table, of which all its host code has the same, or -1: it has none, and there are no more.
 */
int cases_of(struct bt *bt, struct block *b);
/* Host code has left because the place vp_vm.bt_case had another EIP: it is this translation's from now on. */
void cases_note(struct vp_vm *m, struct bt *bt, struct translation *t);
/* Nothing is to lead there any more. */
void cases_forget(struct vp_vm *m, const struct bt *bt, const struct translation *t);
/* All host code goes. */
void cases_drop(struct vp_vm *m, struct bt *bt);

#endif
