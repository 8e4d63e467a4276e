/* wake.h: the memory that an idle guest's tick touches, fetched at once when it wakes.
 *
 * A host that gives the processor to others while the guest is halted has lost its caches when it wakes: a tick's
 * thousand lines come one after another, and take twenty times as long as the tick itself.  So one tick in a few
 * thousand is a rehearsal: the interpreter executes each block, and what host code would touch is noted, which is that
 * code, and operands in guest RAM.  In the next one C code's records are noted.  All others begin by telling the host's
 * caches to fetch the lot.  That is a hint, which cannot fault: nothing comes of a wrong list but a slower tick.
 *
 * A tick's host code was made when each part of it became warm, and lies on four times the pages that it would fill.
 * Pages take as long as lines, for the host has forgotten its page tables too: so a guest that goes on idling has the
 * tick's blocks translated anew, which puts them together, once.
 */
#ifndef VP_BT_WAKE_H
#define VP_BT_WAKE_H
#include "../vm.h"

struct bt;
struct block;
struct site;

/* Which lines of a page of the host's. */
struct wake_page {
    uintptr_t page; /* its address */
    uint64_t lines;
};
enum { WAKE_PAGES = 384 };

struct wake {
    enum { WAKE_SILENT, WAKE_MOVES, WAKE_REHEARSES, WAKE_LISTENS } state;
    bool woke;                /* from a long sleep */
    bool moved;               /* the tick's code, since the guest began to idle */
    unsigned ticks;           /* like one another, in a row */
    unsigned pages;           /* 0: there is no list */
    int64_t halted;           /* virtual time when the guest halted last */
    uint64_t began;           /* instructions retired when it woke last */
    const struct block *last; /* of a rehearsal, before the present one */
    struct wake_page page[WAKE_PAGES];
};

/* The vm begins to run, and has run until a VP_EXIT_ code. */
void wake_begin(struct vp_vm *m, struct bt *bt);
void wake_end(struct vp_vm *m, struct bt *bt, int code);

/* While `state` is not WAKE_SILENT: the run loop enters the block; whether the interpreter is to execute it. */
bool wake_block(struct vp_vm *m, struct bt *bt, struct block *b);
/* The interpreter has executed a site's instructions, which begin at `first`. */
void wake_site(struct vp_vm *m, struct bt *bt, const struct site *s, const struct insn *first);

#endif
