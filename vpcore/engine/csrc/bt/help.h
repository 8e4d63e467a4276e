/* help.h: what host code has C do, and then goes on behind it.
 *
 * A call of one of these takes far less than the interpreter's turn (bt_interpret): nothing of the guest's state is
 * brought up to date for it but what the guest has in memory anyway.  So it must not look at general registers, EIP,
 * flags or counts, and must not fault or raise: where it would have to, it refuses, with nothing done, and the
 * instruction is the interpreter's.
 */
#ifndef VP_BT_HELP_H
#define VP_BT_HELP_H
#include "../vm.h"

typedef uint64_t (*help_fn)(struct vp_vm *m, uint32_t value, uint32_t how);

/* A load of ES, DS, FS or GS in protected mode with that selector; `how`: its number, and HELP_FLAT where it has to
 * stay flat.  0: refused. */
enum { HELP_FLAT = 8 };
uint64_t help_load_segment(struct vp_vm *m, uint32_t sel, uint32_t how);
/* VERR, or VERW with `how` of 1: ZF, or HELP_REFUSES. */
enum { HELP_REFUSES = 2 };
uint64_t help_verify(struct vp_vm *m, uint32_t sel, uint32_t how);
/* The time-stamp counter, under a clock that counts no instructions. */
uint64_t help_tsc(struct vp_vm *m, uint32_t, uint32_t);

#endif
