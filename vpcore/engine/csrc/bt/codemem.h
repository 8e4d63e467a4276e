/* codemem.h: the only place that maps executable memory.
 *
 * One area, seen twice: written through `rw`, executed through `rx`, so no page is ever both.  A host that forbids
 * executable shared memory makes codemem_create() fail with the reason.
 */
#ifndef VP_CODEMEM_H
#define VP_CODEMEM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct codemem {
    uint8_t *rw, *rx;
    size_t size;
};

bool codemem_create(struct codemem *c, size_t size, char *why, size_t room);
void codemem_destroy(struct codemem *c);

#endif
