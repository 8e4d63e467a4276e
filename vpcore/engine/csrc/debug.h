/* debug.h: debug registers and the breakpoints they define (SDM 3B 17.2). */
#ifndef VP_DEBUG_H
#define VP_DEBUG_H
#include "vm.h"

enum {
    DR6_B0 = 1,
    DR6_BD = 0x2000,
    DR6_BS = 0x4000,
    DR6_BT = 0x8000,
    DR6_TRAPS = 0xf | DR6_BT, /* what can await the end of an instruction; BS is cpu.step */
    DR7_GD = 0x2000,
    DR7_ENABLE = 0xff,
    DR7_LOCAL = 0x155,
    DR7_ONES = 0x400,
};
#define DR6_ONES 0xffff0ff0u

enum debug_kind { DEBUG_EXEC = 0, DEBUG_WRITE = 1, DEBUG_IO = 2, DEBUG_READ_WRITE = 3 };

/* DR6 bits of the enabled breakpoints of the kinds in `kinds` (1 << enum debug_kind) that [addr, addr + size) hits. */
uint32_t debug_match(const struct vp_vm *m, uint32_t addr, unsigned size, unsigned kinds);
/* Some enabled breakpoint is of one of these kinds. */
bool debug_wants(const struct vp_vm *m, unsigned kinds);

/* A data access or port access has happened: the trap follows the instruction. */
void debug_data(struct vp_vm *m, uint32_t lin, unsigned size, bool write);
void debug_io(struct vp_vm *m, uint32_t port, unsigned size);

uint32_t debug_read(struct vp_vm *m, unsigned n);
void debug_write(struct vp_vm *m, unsigned n, uint32_t value);

#endif
