/* clock.h: virtual time for the engine itself; vp.h has the rest. */
#ifndef VP_CLOCK_H
#define VP_CLOCK_H
#include "vm.h"

/* Realtime: what the host's monotonic clock says when virtual time is `now`. */
int64_t clock_host(const struct vp_vm *m, int64_t now);

#endif
