/* ahead.h: guest RAM is made present ahead of the guest's first touches, by another thread.
 *
 * RAM is the host's on demand, and a page that was never touched costs the guest 3 us or more.  A system hands out its
 * free memory upwards, as a rule: where it has begun to use fresh pages one behind the other, the next ones are made
 * present (and stay zero) while it runs on.  Not on a host with one processor.
 */
#ifndef VP_AHEAD_H
#define VP_AHEAD_H
#include "vm.h"

/* Set, it is `off` for none of that. */
#define AHEAD_ENV "VPCORE_AHEAD"

/* Where there is no memory or no second processor, nothing comes of it. */
void ahead_create(struct vp_vm *m);
/* Before RAM goes. */
void ahead_destroy(struct vp_vm *m);
void ahead_consider(struct ahead *a, uint32_t page, uint32_t count);

enum { AHEAD_UNKNOWN, AHEAD_ASKED, AHEAD_TOUCHED };
/* The guest is about to touch a page of RAM, the first of `count` that are present for it from now on. */
static inline void ahead_touched(struct vp_vm *m, uint32_t page, uint32_t count)
{
    if (!m->ahead || page + count > m->ram_size >> PAGE_SHIFT) return;
    if (m->ahead_state[page + count - 1] != AHEAD_TOUCHED) ahead_consider(m->ahead, page, count);
}

#endif
