/* task.h: hardware task switches (SDM 3A 8). */
#ifndef VP_TASK_H
#define VP_TASK_H
#include "seg.h"

enum task_kind { TASK_JMP, TASK_CALL, TASK_INT, TASK_IRET };

/* Switch to the task of TSS `sel`; the caller has checked privilege.  The old task is saved with `next_eip`.  Returns
 * in the new task (true: its TSS is a 32-bit one), or raises in the old or the new task. */
bool task_switch(struct vp_vm *m, uint16_t sel, enum task_kind kind, uint32_t next_eip);
/* The same through a task gate that the caller has found present. */
bool task_gate(struct vp_vm *m, const struct desc *gate, enum task_kind kind, uint32_t next_eip);
/* Stack pointer of privilege `cpl` in the current TSS. */
void task_stack(struct vp_vm *m, unsigned cpl, uint16_t *ss, uint32_t *esp);

#endif
