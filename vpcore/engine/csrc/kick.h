/* kick.h: how host code that does not look at its budget is made to leave.
 *
 * There is a page (vp_vm.kick_page) from which such code loads wherever it may have gone round (bt/front_budget.c).  A
 * kick takes the page away, and the load faults.  Whoever sets vp_vm.attn from another thread kicks; and the timer of
 * the thread that runs the vm does, a signal that this file owns, once it is vp_vm.due.
 */
#ifndef VP_KICK_H
#define VP_KICK_H
#include "vm.h"
#include <signal.h>
#include <time.h>

/* What a thread that runs vms has. */
struct kicker {
    struct vp_vm *running;  /* the innermost; others by vp_vm.outer */
    volatile int64_t armed; /* the host's time at which the timer fires, or later than all */
    timer_t timer;
    bool made;
};

/* Whether host code of this vm may rely on kicks: the handler and timers are to be had. */
bool kick_prepare(struct vp_vm *m);
/* The handler is the process's again, should someone else have come since. */
bool kick_install(void);
/* This thread runs the vm from now on, or no longer. */
void kick_enter(struct vp_vm *m);
void kick_leave(struct vp_vm *m);

/* From any thread or signal handler. */
void kick(struct vp_vm *m);
/* The page is there again; attn and the clock are to be looked at only then. */
void kick_over(struct vp_vm *m);
static inline bool kicked(const struct vp_vm *m)
{
    return atomic_load_explicit(&((struct vp_vm *)m)->kicked, memory_order_relaxed);
}

/* See to it that a kick comes at vp_vm.due at the latest; false where the host refuses. */
bool kick_arm(struct vp_vm *m);
static inline bool kick_when_due(struct vp_vm *m) { return m->due >= m->kicker->armed || kick_arm(m); }
/* A kick comes within so many nanoseconds. */
void kick_within(struct vp_vm *m, int64_t ns);

/* The thread's signal mask, with the timer's signal held too: who waits, waits for less than vp_vm.due. */
void kick_hold(sigset_t *mask);

#endif
