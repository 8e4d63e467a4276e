/* mode.h: which memory mode an address space runs in.
 *
 * A window (window.h) makes each access free and each page that is touched for the first time dear; without one an
 * access costs some instructions and a page next to nothing.  So each address space, at each privilege, begins without,
 * gets a window when it has run long enough for the pages it uses, and loses it when it comes to new ones all the time.
 */
#ifndef VP_MODE_H
#define VP_MODE_H
#include "../vm.h"

struct modes;

struct modes *modes_create(void); /* NULL: no memory */
void modes_destroy(struct modes *c);
/* Whether the present address space is to have a window at the present privilege; to be asked whenever either may have
 * changed. */
bool modes_want_window(struct modes *c, const struct vp_vm *m);
/* Instructions that the space has executed at this privilege as of the last reckoning for it, but for times in which
 * it went from one cold block to the next, as programs do that begin. */
uint64_t modes_calm(const struct modes *c);
/* The last decisions, oldest first, as vp_mode_changes(). */
uint32_t modes_trace(const struct modes *c, vp_mode_change *out, uint32_t most);

#endif
