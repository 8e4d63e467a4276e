/* view.h: what translations take for granted (VIEW_ of bt.h), as it is at present, and the key for it. */
#ifndef VP_BT_VIEW_H
#define VP_BT_VIEW_H
#include "bt.h"

/* But for VIEW_SEGMENTED, host code takes code, stack and data segments of base 0 and 4 GB for granted; FS and GS it
 * looks at. */
bool view_is_flat(const struct vp_vm *m);
struct code_segment view_cs(const struct vp_vm *m);
static inline bool same_segment(struct code_segment a, struct code_segment b)
{
    return a.base == b.base && a.limit == b.limit;
}

/* Set vp_vm.view for the code that is to run now, and enter its window. */
void view_choose(struct vp_vm *m, struct bt *bt);
/* vp_vm.bt_key as it is now.  It has room for so many generations: then everything starts anew. */
uint64_t view_key(struct vp_vm *m, struct bt *bt);
/* GS base of this thread, to which window accesses add. */
uint8_t *view_gs(void);
void view_set_gs(struct bt *bt, uint8_t *base);

#endif
