/* msr.h: model-specific registers and the time-stamp counter. */
#ifndef VP_MSR_H
#define VP_MSR_H
#include "vm.h"

/* False: there is no such register, or the value is not allowed: #GP(0). */
bool msr_read(struct vp_vm *m, uint32_t index, uint64_t *value);
bool msr_write(struct vp_vm *m, uint32_t index, uint64_t value);
uint64_t msr_tsc(struct vp_vm *m);
/* Values after RESET. */
void msr_reset(struct vp_vm *m);

#endif
