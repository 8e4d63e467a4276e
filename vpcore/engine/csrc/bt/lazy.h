/* lazy.h: pages that are mapped, and come one by one.
 *
 * userfaultfd(2), by which a page of a mapping is allowed for half of what mprotect() takes, and an access to one that
 * is not is a SIGBUS.  A host may refuse it to all but its administrator, or have none.
 */
#ifndef VP_LAZY_H
#define VP_LAZY_H
#include <stdbool.h>
#include <stddef.h>

/* -1 where the host has none. */
int lazy_open(void);
/* Of a shared mapping of a memfd that nothing has touched: no access from now on but to pages given. */
bool lazy_watch(int fd, void *at, size_t size);
/* False where it is there already, or the file has none there yet. */
bool lazy_give(int fd, void *at, size_t size);

#endif
