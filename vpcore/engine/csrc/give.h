/* give.h: memory that is used from its beginning on, which the host gives ahead of use.
 *
 * A fresh page takes a host that is itself somebody's guest 1.5 to 3 us, and 14 where its own host has to find one; a
 * large page 5 ms.  What has been used so far that more is likely to be is given by a helper thread, by stretches; the
 * beginning by pieces, which costs less than page by page.
 *
 * Stretches are long: while a helper is at work, the host has two processors forget each mapping that goes, one by one.
 */
#ifndef VP_GIVE_H
#define VP_GIVE_H
#include "vm.h"

/* Parts of the guest's memory that a stretch is: the more it has, the more its programs come to need. */
enum { GIVE_RECORDS = 16, GIVE_CODE = 32 };

/* An area of reserved memory, in whole pages. */
struct given {
    const uint8_t *ask;    /* use from here on is to be looked at */
    uint8_t *until, *end;  /* of what was given, and of the area */
    const uint8_t *helped; /* use from here on is worth a helper */
    size_t stretch;        /* bytes */
    ptrdiff_t twin;        /* from here to where the same memory is mapped to be executed, or 0 */
};

struct giver;

/* What helpers are asked for is added to `asked`.  NULL: no memory. */
struct giver *giver_create(uint64_t *asked);
void giver_destroy(struct giver *g);
/* No helper is at work any more: areas may go. */
void giver_finish(struct giver *g);

/* Of the whole pages there; `part` is GIVE_RECORDS or GIVE_CODE. */
struct given given_area(const struct vp_vm *m, uint8_t *begin, size_t size, unsigned part, ptrdiff_t twin);
void give_more(struct giver *g, struct given *a, const uint8_t *at);

/* The area is about to be used from `at` on. */
static inline void give(struct giver *g, struct given *a, const uint8_t *at)
{
    if (unlikely(at >= a->ask)) give_more(g, a, at);
}

#endif
