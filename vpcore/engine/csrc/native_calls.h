/* native_calls.h: the engine's side of device models in C (native.h, vp.h). */
#ifndef NATIVE_CALLS_H
#define NATIVE_CALLS_H
#include "vm.h"

bool native_create(struct vp_vm *m);
void native_destroy(struct vp_vm *m);

/* The access of a port of that kind (vp_config.cell_kind); false where it is none of ours. */
bool native_in(struct vp_vm *m, unsigned kind, uint32_t port, uint32_t *value);
bool native_out(struct vp_vm *m, unsigned kind, uint32_t port, uint32_t value);
/* The interrupt acknowledge cycle, whoever answers it. */
uint32_t native_inta(struct vp_vm *m);
/* Ring what is due; vp_vm.alarm is then the earliest of the rest. */
void native_alarms(struct vp_vm *m, int64_t now);

#endif
