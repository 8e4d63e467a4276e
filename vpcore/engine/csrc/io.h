/* io.h: the port space as instructions reach it.  Permission (seg_io_check) is the caller's business. */
#ifndef VP_IO_H
#define VP_IO_H
#include "vm.h"

uint32_t io_in(struct vp_vm *m, uint32_t port, unsigned size);
void io_out(struct vp_vm *m, uint32_t port, unsigned size, uint32_t value);

/* Up to `count` elements in one call; how many were moved, 0 where the port knows no blocks. */
uint32_t io_in_block(struct vp_vm *m, uint32_t port, unsigned size, uint8_t *buf, uint32_t count);
uint32_t io_out_block(struct vp_vm *m, uint32_t port, unsigned size, const uint8_t *buf, uint32_t count);

#endif
