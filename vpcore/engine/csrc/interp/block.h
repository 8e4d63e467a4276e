/* block.h: decoded blocks of the interpreter; private to block.c and loop.c. */
#ifndef VP_BLOCK_H
#define VP_BLOCK_H
#include "../give.h"
#include "../vm.h"

enum {
    BLOCK_MAX = 64,  /* instructions */
    INDEX_BITS = 19, /* of the table by physical address */
    JUMP_BITS = 14,  /* of the table by linear address */
    JUMP_WAYS = 4,   /* of one place */
    CACHE_LINE = 64, /* of most hosts */
};

/* Straight-line code on one page, ended by an instruction with the trait `end`, the page, or BLOCK_MAX; behind the
 * last instruction stands a sentinel, unless it has that trait: then nothing goes on behind it.  An instruction that
 * goes on on another page is a block of its own, and what it has there is another one, without instructions, that
 * stands for it in that page's list. */
struct block {
    /* A host's cache line, or half of each of two: all that is looked at when it is entered. */
    uint64_t key;          /* jump_key() under which it was found last, or JUMP_NONE */
    struct block *next[2]; /* found after it last, behind it and elsewhere, or NULL: their keys say if again */
    insn_fn first;         /* the interpreter's handler of insns[0], which a tier may have exchanged */
    struct translation *translation; /* a tier's code for it */
    uint64_t entry_key;              /* vp_vm.bt_key and EIP under which that was looked for last, or 0: no such key */
    const uint8_t *entry;            /* where it was entered, or NULL: there was none */
    uint8_t heat;                    /* times the block was entered at heat_eip in a row, for a tier */
    uint8_t births;                  /* vp_vm.births then */
    uint16_t bytes;
    uint8_t count;
    uint8_t units; /* of the arena */
    bool code32 : 1;
    bool slides : 1;     /* entered at several addresses, see bt/bt.h */
    bool translated : 1; /* it has had a tier's code, some of which may be under execution */
    bool varies : 1;     /* ends with a jump that leads to many places, or to code that changes */

    uint32_t phys;
    uint32_t heat_eip;
    struct block *page_next; /* of the same page */
    struct block *other;     /* of an instruction on two pages, its part on the other one; else NULL */
    struct learned *learned; /* by a tier, of the few that this is so of; else NULL */
    struct insn insns[];
};

/* An engine that works on the interpreter's blocks (bt) is told what becomes of them. */
struct tier {
    void (*built)(struct vp_vm *m, struct block *b);
    void (*died)(struct vp_vm *m, struct block *b);
    void (*dropped)(struct vp_vm *m); /* all */
};

/* A shortcut from linear EIP, mode and generation to a block. */
struct jump {
    uint64_t key;
    struct block *block;
};
#define JUMP_NONE 0 /* no generation is 0 */

/* The newest ones of a piece of code, first the newest: a cache line of most hosts. */
struct jumps {
    struct jump way[JUMP_WAYS];
};

/* A place of the table by physical address: open addressing, blocks of a page near each other. */
struct indexed {
    uint32_t phys;
    uint32_t where; /* in the arena, in units, times 2, plus 1 for 32-bit code; or INDEX_ */
};
enum { ARENA_UNIT = 32, INDEX_FREE = 0, INDEX_GONE = 1 };
_Static_assert(sizeof(struct block) % ARENA_UNIT == 0 && sizeof(struct insn) % ARENA_UNIT == 0, "blocks waste nothing");
_Static_assert(sizeof(struct block) + (BLOCK_MAX + 1) * sizeof(struct insn) <= UINT8_MAX * ARENA_UNIT, "block.units");

struct interp {
    uint64_t stop_at;      /* vp_insns() at which run() ends */
    uint64_t began;        /* vp_insns() at which it began */
    uint32_t looks;        /* at the clock, under icount */
    int64_t breath;        /* when the host is to get its time, by its clock; under other clocks */
    bool fresh;            /* run() has not executed anything yet */
    bool loose;            /* a budget may be given up before it is used up */
    bool drop;             /* all blocks are to go as soon as none runs */
    struct block *running; /* or that ran last; NULL where none did */
    struct insn *cut_at;   /* its handler was exchanged to leave the block there */
    insn_fn cut_fn;
    struct tier *tier;    /* NULL where there is none */
    struct block **pages; /* lists of blocks by physical page */
    uint8_t *arena;
    uint64_t used;
    struct given given;                 /* the arena */
    struct insn scratch[BLOCK_MAX + 1]; /* a block being built, or a part of one being executed */
    struct jumps jumps[1 << JUMP_BITS] __attribute__((aligned(CACHE_LINE)));
    unsigned indexed; /* places of `index` that are not free */
    struct indexed index[1 << INDEX_BITS];
};

bool block_create(struct vp_vm *m);
void block_destroy(struct vp_vm *m);
/* The block at a physical address, made if need be; NULL where its first instruction has to be fetched by itself. */
struct block *block_at(struct vp_vm *m, uint64_t phys);
/* One may begin there: the host's memory is to bring what block_at() asks first. */
void block_expect(const struct vp_vm *m, uint32_t phys);
/* The one for the instruction that begins at `phys` and goes on at `next`, the beginning of another page; NULL where it
 * has to be fetched by itself. */
struct block *block_across(struct vp_vm *m, uint64_t phys, uint64_t next);
/* Its bytes have changed: it is in no table any more. */
bool block_is_dead(const struct block *b);
/* For instructions that cannot be cached: what decode() said becomes a handler, and a sentinel follows. */
void block_finish_insn(struct insn *i, int status);
void block_sentinel(struct insn *i, unsigned off);
/* Leave the executing block after the present instruction. */
void block_cut(struct vp_vm *m);
void block_uncut(struct vp_vm *m);
void block_invalidate(struct vp_vm *m, uint64_t addr, uint64_t size);
void block_drop_all(struct vp_vm *m);

/* loop.c: the vtable's entries, which a tier shares */
int interp_run(struct vp_vm *m, uint64_t max_insns);

static inline uint64_t jump_key(const struct vp_vm *m, uint32_t lin)
{
    return m->generation[m->user] | (uint64_t)(m->code32 | m->user << 1) << 32 | lin;
}
static inline struct jumps *jumps_near(struct interp *it, uint32_t lin)
{
    enum { PIECE_SHIFT = 6 };

    return &it->jumps[(lin >> PIECE_SHIFT ^ lin >> (PIECE_SHIFT + JUMP_BITS)) & ((1 << JUMP_BITS) - 1)];
}

/* The block that this shortcut leads to, which may be dead, or NULL. */
static inline struct block *block_known(struct interp *it, uint64_t key)
{
    const struct jump *j = jumps_near(it, (uint32_t)key)->way, *end = j + JUMP_WAYS;

    while (j < end && j->key != key) j++;
    return j < end ? j->block : NULL;
}

#endif
