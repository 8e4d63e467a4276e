/* far.h: control transfers between segments, privilege levels and modes: far JMP, CALL, RET and SYSENTER/SYSEXIT.
 *
 * IRET (event_iret) and interrupt gates (event.c) use the same stacks.  Offsets are as the instruction gave them;
 * `os32` is the operand size; `next_eip` is where the transferring instruction ends.
 */
#ifndef VP_FAR_H
#define VP_FAR_H
#include "seg.h"

/* Real mode or virtual-8086 mode. */
static inline bool far_is_real(const struct vp_vm *m) { return !(m->cpu.cr0 & CR0_PE) || (m->cpu.eflags & 0x20000); }

void far_jmp(struct vp_vm *m, uint16_t sel, uint32_t offset, uint32_t next_eip);
void far_call(struct vp_vm *m, uint16_t sel, uint32_t offset, bool os32, uint32_t next_eip);
void far_ret(struct vp_vm *m, bool os32, uint32_t drop);
void far_sysenter(struct vp_vm *m);
void far_sysexit(struct vp_vm *m);

/* A stack to push on before it becomes the current one. */
struct stack {
    struct vp_seg ss;
    uint32_t sp, mask;
    uint16_t err; /* error code of #SS: the selector of a new stack, 0 for the current one */
    uint8_t cpl;
};
struct stack stack_current(const struct vp_vm *m);
/* The stack of inner privilege `cpl` by the TSS, with #TS for all that may be wrong. */
struct stack stack_inner(struct vp_vm *m, unsigned cpl);
void stack_push(struct vp_vm *m, struct stack *s, bool wide, uint32_t value);
/* Make it current. */
void stack_commit(struct vp_vm *m, const struct stack *s);

/* #GP(0) unless `eip` lies inside the code segment of `d`. */
void code_check_eip(struct vp_vm *m, const struct desc *d, uint32_t eip);
/* Load CS with RPL `cpl` and jump.  Cannot fault where the descriptor is marked accessed. */
void code_enter(struct vp_vm *m, uint16_t sel, struct desc *d, unsigned cpl, uint32_t eip);

#endif
