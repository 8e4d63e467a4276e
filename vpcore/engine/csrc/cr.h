/* cr.h: control registers: which values are legal and what a change entails (SDM 3A 2.5, 4.1). */
#ifndef VP_CR_H
#define VP_CR_H
#include "vm.h"

void cr0_write(struct vp_vm *m, uint32_t value);
void cr3_write(struct vp_vm *m, uint32_t value);
void cr4_write(struct vp_vm *m, uint32_t value);

#endif
