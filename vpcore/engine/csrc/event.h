/* event.h: exceptions and interrupts: raising, priority, delivery through real-mode vectors, gates and tasks, IRET. */
#ifndef VP_EVENT_H
#define VP_EVENT_H
#include "vm.h"

/* vp_cpu.shadow */
enum { SHADOW_NONE, SHADOW_STI, SHADOW_SS };

/* Guest faults: do not return; EIP stays at the faulting instruction m->cur, or is cpu.eip where m->cur is NULL: run
 * loops set it so between instructions (fetch, polling). */
_Noreturn void raise_exc(struct vp_vm *m, unsigned vector);                 /* no error code */
_Noreturn void raise_err(struct vp_vm *m, unsigned vector, uint32_t error); /* with error code */
_Noreturn void raise_pf(struct vp_vm *m, uint32_t lin, uint32_t error);     /* sets CR2 */
static inline _Noreturn void raise_gp0(struct vp_vm *m) { raise_err(m, EXC_GP, 0); }
static inline _Noreturn void raise_ud(struct vp_vm *m) { raise_exc(m, EXC_UD); }

/* Software interrupt (INT n, INT3, INTO, INT1) whose return address is `next_eip`. */
enum int_kind { INT_N, INT_3, INT_O, INT_1 };
void event_soft_int(struct vp_vm *m, unsigned vector, enum int_kind kind, uint32_t next_eip);

/* For run loops: deliver the fault that raise_* kept (after the longjmp), including #DF and shutdown. */
void event_deliver_fault(struct vp_vm *m);
/* For run loops, at an instruction boundary with attn set: debug traps, NMI, INTR, halt; in the priority order of SDM
 * 3A 6.9.  Returns a VP_EXIT_ code to leave with, or -1 to go on. */
int event_poll(struct vp_vm *m);

/* Recompute m->attn from EFLAGS, DR7, pins and the halted/shutdown states; after any of them changed.  attn keeps what
 * only others know (STOP, BREAK). */
void event_sync(struct vp_vm *m);
/* The state was replaced from outside (reset, restore): forget the instruction under way, then sync. */
void event_restart(struct vp_vm *m);
/* #DB as a fault, with these DR6 bits. */
_Noreturn void raise_db(struct vp_vm *m, uint32_t dr6);

/* Replace the EFLAGS bits in `mask` (of all of them, status flags too) and do what follows from it. */
void event_set_eflags(struct vp_vm *m, uint32_t value, uint32_t mask);

/* Stand still before the present instruction, as HLT does after itself, until an interrupt comes (SDM 1, D.2.1: an x87
 * error under CR0.NE = 0). */
_Noreturn void event_freeze(struct vp_vm *m);

void event_iret(struct vp_vm *m, bool os32);

#endif
