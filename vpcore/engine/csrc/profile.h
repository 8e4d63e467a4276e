/* profile.h: where guest time goes, while somebody asks (vp_profile).
 *
 * vm.profile is NULL otherwise, and each hook is then one test on a slow path: nothing is counted by host code itself.
 * A sample is taken at each look at the clock: the block about to run gets the host time since the last look, devices'
 * time included.  Looks come every few thousand instructions, wherever the budget happens to end.
 */
#ifndef VP_PROFILE_H
#define VP_PROFILE_H
#include "vm.h"

void profile_start(struct vp_vm *m); /* vp_run() began: time before is not the guest's */
void profile_look(struct vp_vm *m);  /* a look at the clock */
/* Host code leaves `i` to the interpreter, because a window's mapping refused it or for any other reason. */
void profile_exit(struct vp_vm *m, const struct insn *i, bool refused);
void profile_destroy(struct vp_vm *m);

#endif
