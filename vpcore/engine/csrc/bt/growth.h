/* growth.h: instructions at which programs get memory.
 *
 * Systems give memory to a program as it touches it, page by page, and nearly all of that happens at a few
 * instructions: where malloc() notes how much it has left, or a loop clears what is new.  Code for a window pays a
 * signal for each of these faults.  Such an instruction asks the flat tables (struct learned.probed) for as long as it
 * keeps faulting.
 */
#ifndef VP_BT_GROWTH_H
#define VP_BT_GROWTH_H
#include <stdbool.h>
#include <stdint.h>

enum { GROWING = 32 };

struct vp_vm;
struct bt;
struct block;
struct site;

/* An instruction that has given the guest page faults; block is NULL where there is none. */
struct growing {
    struct block *block;
    uint8_t index;  /* in the block */
    uint8_t faults; /* since the last look */
    uint8_t calm;   /* looks without one */
    bool asks;
};

struct growth {
    const struct site *at; /* under execution, or it was when the guest got its fault */
    struct growing of[GROWING];
    unsigned next; /* to be replaced */
};

/* The site is executed by the interpreter, after a fault of its host code or not; and it is done without a fault of the
 * guest's. */
void growth_begin(struct vp_vm *m, struct bt *bt, const struct site *s, bool faulted);
static inline void growth_end(struct growth *g) { g->at = 0; }
/* Host code has been kicked, as it is every few milliseconds: what has become calm asks no more. */
void growth_look(struct vp_vm *m, struct bt *bt);
/* The block is gone. */
void growth_forget(struct growth *g, const struct block *b);

#endif
