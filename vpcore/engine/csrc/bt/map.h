/* map.h: a file that says which host code is which guest code, for profilers.
 *
 * Where MAP_ENV names a file, each translation adds what `perf` calls a map entry (address, size, name), and behind '#'
 * its guest instructions; cold code has an entry of its own.  perf itself reads no maps for memory that is a file's,
 * which the code's is: put the addresses of `perf script -F ip` beside it.
 */
#ifndef VP_BT_MAP_H
#define VP_BT_MAP_H
#include "../interp/block.h"
#include <stdio.h>

#define MAP_ENV "VPCORE_BT_MAP"

FILE *map_open(void); /* NULL where nobody wants one */
/* The host code [from, to) is that of the block's first `count` instructions at `eip`. */
void map_add(FILE *map, struct vp_vm *m, const struct block *b, uint32_t eip, unsigned count, const uint8_t *from,
             const uint8_t *to);

#endif
