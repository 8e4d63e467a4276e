/* walk.h: the page tables in guest memory (SDM 3A chapter 4): what they say of a linear address, and their accessed and
 * dirty bits.  Nothing is remembered here: that is space.c's business.
 */
#ifndef VP_WALK_H
#define VP_WALK_H
#include "vm.h"

struct walk {
    uint64_t phys;  /* of the 4 KB page, before the A20 gate */
    uint32_t error; /* of #PF, figure 4-12; valid where `ok` is false */
    bool ok;        /* the access is allowed */
    bool writable;  /* by the privilege that was asked for */
    bool dirty, global, large;
    bool quiet; /* entries outside of memory are not read: a device may take notice */
    /* the entries, where to set A and D */
    uint64_t at[2], entry[2];
    unsigned levels, width;
};

void walk_tables(struct vp_vm *m, uint32_t lin, bool write, bool user, struct walk *w);
/* The access takes place: A, and D for a write, in all levels at once (SDM 3A 4.8). */
void walk_mark(struct vp_vm *m, struct walk *w, bool write);
/* USE_ bits (space.h) of what is allowed right now without setting A or D anywhere; the page number in *page. */
unsigned walk_uses(struct vp_vm *m, uint32_t lin, uint32_t *page);

#endif
