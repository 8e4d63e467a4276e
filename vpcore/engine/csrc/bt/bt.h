/* bt.h: the inside of the translator `bt`.
 *
 * bt is a second tier over the interpreter: its run loop, blocks, invalidation and clock are the interpreter's, and a
 * block that has become warm gets host code, entered by the exchanged handler of its first instruction.  Host code
 * keeps to one rule: an instruction either completes there, or has changed nothing when the interpreter's handler
 * executes it (bt_interpret): faults, devices, code pages, page crossings and all rare forms are the interpreter's own.
 *
 * Register use of host code:
 *   R8-R15  EAX ESP EDX EBX ECX EBP ESI EDI          RBP  struct vp_vm
 *           R9 is ahead of ESP by the window's base, where bt_points(): ESP is its lower half
 *   RBX     the status flags, where the host's flags do not have them: LAHF's AH in bits 8-15, OF in bit 0
 *   RDI     budget: instructions until the clock is to be looked at, less struct bt.reserve   RAX RCX RDX RSI  free
 *           or the window's base, in code that does not count
 *   GS base the window (window.h)
 *
 * Between blocks the host's flags are the guest's.  Each block looks at the budget once, where that costs no flags, but
 * before it has executed AHEAD instructions.  Where counts are seldom wanted to end anywhere exactly (the clock is not
 * icount), one that only leads to higher addresses of its own page does not: a page has no more instructions than the
 * reserve.
 *
 * Under such a clock code for windows does not look at all, unless it is a paging system's own: it touches a page
 * (kick.h), where it may have gone round.  Such code does not count either: its instructions are taken to be as many as
 * the ticks of the host's time-stamp counter.
 */
#ifndef VP_BT_H
#define VP_BT_H
#include "../flags.h"
#include "../interp/block.h"
#include "../kick.h"
#include "codemem.h"
#include "emit_x64.h"
#include "growth.h"
#include "map.h"
#include "mode.h"
#include "signals.h"
#include "wake.h"
#include "window.h"

enum { GUEST = R8, FLAGS = RBX, BUDGET = RDI, WINDOW = RDI, VM = RBP };
/* The host's register for one of the guest's.  R12 as a base takes a byte more: not ESP, the most frequent one. */
static inline int guest(unsigned n) { return (int)(GUEST + (n == ESP ? ECX : n == ECX ? ESP : n)); }
enum { AHEAD = 16 };
enum { THUNK = 2 /* instructions of a callee that stands in place of its call, which the caller does not count */ };
enum { LINE = 64, HALF_LINE = 32 }; /* of the host's, to which code is aligned */
enum { PLACES = 24 /* of a block that are kept */ };
enum { SETTLED = 1 << 23 /* instructions of an address space that make code worth translating for it alone */ };
enum { WARM = 10 /* executions that make a block worth translating */ };
enum { WARM_MOST = UINT8_MAX / 2 /* twice that is a block's heat at most */ };
/* Set, it is used in place of WARM; tests have 1. */
#define WARM_ENV "VPCORE_BT_WARM"
/* Set, all code slides that may; for tests. */
#define SLIDE_ENV "VPCORE_BT_SLIDE"
/* Set, it is used in place of SETTLED; tests have 0. */
#define SETTLE_ENV "VPCORE_BT_SETTLE"
/* `few` or `all` blocks look at the budget, or `none` in windows, in place of what the clock suggests; for tests. */
#define LOOKS_ENV "VPCORE_BT_LOOKS"

/* What a block's host code has found out and relies on: x87 state on the host (front_x87.c), its MXCSR the guest's
 * (front_sse.c), DF = 0;
 * and that segments are flat still where one was loaded. */
enum { ASSUMES_FP = 1, ASSUMES_UP = 2, ASSUMES_FLAT = 4, ASSUMES_SSE = 8 };

/* Instructions of a block that host code leaves to the interpreter: one that it may not be able to complete, or some of
 * which it has no translation. */
struct site {
    struct block *block;
    uint32_t block_eip, next_eip;
    int16_t owed; /* what the budget really is when the first of these begins, less what BUDGET says and bt.reserve */
    uint8_t count;
    bool last;                  /* the block ends with them */
    bool slides;                /* the addresses are short of vp_vm.bt_slide */
    uint8_t assumes;            /* ASSUMES_ bits that the host code behind it was made under */
    uint8_t index;              /* of the first in the block */
    uint8_t missed;             /* faults of it that were to no avail */
    const struct fp_note *note; /* of the last x87 instruction before, if it has not been stored; or NULL */
    const struct insn *insns;   /* by themselves, where that is all the time; or NULL: they can be copied */
};

/* FOP, FIP and FCS of an x87 instruction that host code has executed; FDS of the last one with an operand; and FDP
 * where nothing has stored it: by registers that are unchanged. */
struct fp_note {
    uint32_t disp, fip;
    uint16_t fop;
    uint8_t seg; /* plus 1; 0: there was none with an operand */
    uint8_t base, index, scale;
    bool has_fdp;
};

/* An indirect call or jump leads to one place, as a rule: host code compares EIP with the one it led to last, and if
 * that is so it is a direct one.  A jump that turns out to lead to many soon is translated anew, to be looked up each
 * time. */
struct guess {
    uint8_t *negated; /* where -EIP is written, which is compared */
    struct block *block;
    struct misses {
        uint64_t since; /* instructions retired when there were none */
        unsigned count;
    } misses;
};

/* Of a block with many translations, what a search would have to ask each: struct translation's are lines that nobody
 * else looks at. */
struct summary {
    uint64_t pages[4]; /* a bit for each page that one is made for that does not slide, and perhaps more */
    uint64_t oldest;   /* when the oldest of the others was made */
    uint8_t places;    /* how many there are, but for copies; 0: the block has few */
};

/* What has been found out about a block in host code, and outlives that. */
struct learned {
    uint64_t probed;         /* a bit for each instruction whose operands are not to be reached by faults */
    uint64_t crosses;        /* for each one that has run over the end of a page now and then */
    uint64_t wraps;          /* and whose address has wrapped around */
    struct inlined *inlined; /* where host code has this block's instructions in place of a call of it */
    uint8_t cases;           /* the number of its table, plus 1, or 0 (cases.h) */
    struct summary many;
};

/* Where a call would be, and a callee's few instructions are (front_thunk.c). */
struct inlined {
    struct inlined *next; /* of those with the same callee */
    struct link *link;
    struct block *caller, *callee; /* NULL once that is dead */
    const uint8_t *again;          /* where the host code goes on that asks for the key, with the call undone */
};

enum { KEY_CHECK_SIZE = 16 };

/* A jump out of host code, patched to where it leads once that is known, until that dies.  A jump to another page is
 * good under one vp_vm.bt_key only, which `check` compares; so is what an indirect one is guessed to lead to.  Sliding
 * code has neither. */
struct link {
    struct link *next; /* of those to the same translation */
    struct translation *to;
    uint8_t *field;          /* the jump's displacement, where it is written */
    uint8_t *check;          /* upper half of the key, negated; NULL where none is looked at */
    struct guess *guess;     /* of an indirect one, or NULL */
    struct inlined *inlined; /* of the way to a callee that is called after all, or NULL */
    const uint8_t *cold;     /* where an unpatched one leads */
    const uint8_t *behind;   /* where a call returns to */
    bool calls, slides;
    bool elided;  /* `to` lies where the jump would be */
    bool trusted; /* trust.c */
    uint32_t eip; /* which it leads to */

    /* of one with a check, for trust.c */
    uint64_t noted;              /* number of the list that it stands in, or 0 */
    uint8_t *compares;           /* where the comparison is written */
    uint8_t *branch;             /* the displacement of a conditional jump that leads there, or NULL */
    uint8_t had[KEY_CHECK_SIZE]; /* what was there before it was trusted */
};

/* What translations take for granted, vp_vm.view: bit 0 is vp_vm.user. */
enum {
    VIEW_USER = 1,
    VIEW_WINDOW = 2,
    VIEW_SEGMENTED = 4, /* segments need not be flat: CS is the translation's own, others are looked at */
    VIEW_SP16 = 8,      /* vp_vm.sp_mask */
    VIEW_REAL = 16,     /* or virtual-8086 mode */
    VIEW_16 = 32,       /* 16-bit code */
    VIEW_SETTLED = 64,  /* no code is to slide */
    VIEW_TOUCHES = 128, /* the page of kicks, and does not look at the budget */
    KEY_VIEW_BITS = 9,
    KEY_ANY = 0x100, /* so that no key is 0 */
};

/* Base and limit of CS. */
struct code_segment {
    uint32_t base, limit;
};

/* Those that were used of late have numbers, which stand for a generation too: in keys of the view VIEW_SEGMENTED they
 * are in its place. */
struct numbered {
    uint64_t generation;
    struct code_segment cs;
    uint32_t number;
};
enum { NUMBERED = 1024 };

/* Host code of a block, at one address; or sliding, that is wherever its page is mapped.  A block that has
 * been entered at several addresses, as happens to those of shared libraries, slides from then on, but for user code of
 * an address space that has run long (VIEW_SETTLED).  Sliding code is
 * made for the page at 0, and adds vp_vm.bt_slide where EIP shows: the address of the page that it runs on.  Jumps
 * within the page leave it as it is, all others set it at `entry`, where EAX has EIP. */
struct translation {
    struct translation *next;
    uint32_t eip;
    uint8_t view;
    bool slides : 1;
    bool is_copy : 1;   /* the block has code elsewhere; this serves another one's, which it lies behind */
    uint8_t copies : 6; /* that were made of it */
    uint16_t size;      /* of what is executed often, from `body` on */
    uint8_t cases;      /* the number of a table that leads here, plus 1; 0: none does, or more than any: many do */
    struct code_segment cs;
    const uint8_t *entry, *body;
    uint64_t made; /* when that many instructions were retired */
    struct link *links;
};

/* The stack that host code runs on: the places behind guest calls that were made in host code, so that the host's
 * predictor of returns sees them in pairs.  RET leaves the return address in EAX and returns; behind each call EAX is
 * compared.  Where that finds another address, or the bottom is reached, all of them are forgotten, and the way is that
 * of indirect jumps, which bt.go is for calls of the interpreter's.  They are good for one vp_vm.bt_key.  Sliding
 * code's have vp_vm.bt_slide above them. */
struct calls {
    uint8_t *base, *top, *now;
    uint64_t key;
};
enum {
    CALLS_EACH = 16,
    CALLS_SIZE = 1 << 21,
    CALLS_GUARD = PAGE_SIZE, /* at their base, for those who touch it before they call */
    CALLS_ROOM = 1 << 16,    /* below them, for the host's signals */
    /* How far below: Zen 4 takes a load at a whole KB from RSP for one of the return address that is there, at first
     * (sqlite a quarter slower). */
    CALLS_TOUCH = CALLS_ROOM + 68
};

/* What host code comes back with, or is gone back to with: guest registers are in vp_cpu; RDI, which is ACCOUNTED where
 * flags and counts are up to date. */
#define ACCOUNTED INT64_MIN
struct leave {
    int64_t rdi;
    uint64_t flags;
};
typedef struct leave (*enter_fn)(struct vp_vm *m, const uint8_t *host, int64_t rdi, uint64_t flags);

struct bt {
    struct tier tier; /* first: vp_vm.interp->tier */
    struct codemem mem;
    struct emit e, cold; /* what is executed often lies together, and what is not */
    struct front *front; /* the block under translation */
    struct fault_map faults;
    struct windows *windows; /* NULL where there are none */
    struct modes *modes;     /* who has one; NULL: all */
    bool fsgsbase;
    bool quiet;         /* flat tables are asked without changing flags */
    bool returns_fault; /* returns elsewhere are found out by faults (front_link.c) */
    bool own_flags;     /* the host leaves undefined flags as the machine does (silicon.h) */
    char lacks[128];    /* why there are no windows, or they cost more; empty where all is well */
    unsigned warm;
    uint64_t settled;
    bool slides;
    bool sparing;                /* not every block looks at the budget */
    bool touches, all_touch;     /* code for windows relies on kicks; the system's too */
    int32_t reserve;             /* of the budget, which host code does not know of and may use up before it looks */
    size_t first_fault;          /* of translations: what lies before are the common parts' */
    uint8_t *start, *cold_start; /* of translations: what lies before are the common parts */
    enter_fn enter;
    const uint8_t *go;                      /* to EIP in EAX */
    const uint8_t *look_up;                 /* the same without faith in the calls */
    const uint8_t *exit, *exit_link, *slow; /* exits */
    const uint8_t *help;                    /* to C and back (help.h) */
    const uint8_t *second;                  /* from bt_emit_look_up()'s jump: to the second place, or the exit */
    uint8_t *arena;                         /* sites, links, translations */
    uint64_t arena_used, arena_size;
    struct given code_given, cold_given, arena_given;
    uint64_t base;  /* instructions retired when host code was entered, plus the budget then */
    uint64_t since; /* when code that does not count was */
    uint64_t key;
    bool fcomi_clears;  /* the host's FCOMI clears OF, SF and AF, as SDM 2 has it */
    uint8_t *gs;        /* GS base, while the vm runs */
    bool left;          /* host code has run since a block was entered */
    struct link *link;  /* the jump by which host code left, or NULL */
    uint64_t link_key;  /* vp_vm.bt_key then */
    uint64_t key_round; /* how often vp_vm.bt_key has begun anew */
    struct trust *trust;
    uint64_t trusted_key; /* of the links that do not compare it (trust.h), or 0 */
    bool trust_waits;     /* a key is new, and its links are not trusted yet */
    struct numbered numbered[NUMBERED];
    uint32_t numbers;                /* that are taken */
    struct calls calls[2];           /* by vp_vm.user */
    struct insn part[BLOCK_MAX + 1]; /* of a site, under execution, with a sentinel */
    unsigned calling;                /* the one in use */
    struct wake wake;                /* what to fetch when a guest wakes that idles */
    struct growth growth;            /* where guests get memory */
    FILE *map;                       /* for profilers, or NULL */
    struct case_table *case_table;
    unsigned case_tables;   /* that are taken */
    uint32_t *target_pages; /* physical pages that vp_vm.targets lie on, plus 1; 0 where that does not tell all */
};

static inline struct bt *bt_of(const struct vp_vm *m) { return (struct bt *)m->interp->tier; }
void *bt_allocate(struct bt *bt, size_t size);            /* NULL when full */
struct learned *bt_learn(struct bt *bt, struct block *b); /* NULL when full */
static inline bool bt_is_probed(const struct block *b, unsigned index)
{
    return b->learned && (b->learned->probed >> index & 1);
}
static inline bool bt_crosses(const struct block *b, unsigned index)
{
    return b->learned && (b->learned->crosses >> index & 1);
}
static inline bool bt_wraps(const struct block *b, unsigned index)
{
    return b->learned && (b->learned->wraps >> index & 1);
}
/* Everything goes, at the next look at the clock. */
static inline void bt_drop_all(struct vp_vm *m)
{
    m->interp->drop = true;
    m->budget = 0;
}

static inline bool bt_counts(const struct vp_vm *m) { return !(m->view & VIEW_TOUCHES); }
/* R9 is where ESP points in the window (front_esp.c). */
static inline bool bt_points(unsigned view)
{
    return (view & (VIEW_TOUCHES | VIEW_SEGMENTED | VIEW_SP16 | VIEW_16 | VIEW_REAL)) == VIEW_TOUCHES;
}
/* The budget is less than host code of the present view wants to begin. */
static inline bool bt_is_poor(const struct vp_vm *m) { return bt_counts(m) && m->budget < bt_of(m)->reserve; }

/* RBP points into struct vp_vm: so that what host code asks most is within a byte's reach on either side, and so that
 * it can be a shift count, which takes its lowest bits: that of a linear address to its page. */
enum { VM_BIAS = offsetof(struct vp_vm, bt_key) + 3 * 32 + PAGE_SHIFT };
_Static_assert(offsetof(struct vp_vm, bt_key) % PAGE_SIZE == 0, "it is behind the kick page");
_Static_assert(offsetof(struct vp_vm, sp_mask) - VM_BIAS <= INT8_MAX, "sacc is near too");
static inline struct x_mem vm_at(size_t offset) { return (struct x_mem){VM, X_NONE, 0, (int32_t)offset - VM_BIAS}; }
/* Of the kick page, what lies nearest. */
static inline struct x_mem vm_kick(void) { return vm_at(offsetof(struct vp_vm, bt_key) - sizeof(uint32_t)); }

/* SHRX, and a PEXT that is not microcode. */
bool bt_host_extracts(void);
/* front_link.c: RSI = twice the number of the place in vp_vm.targets for the EIP in EAX.  The jump where that is none
 * of its comes back; else the host code is where bt_looked_up() says. */
uint8_t *bt_emit_look_up(struct emit *e);
/* The same for the next place. */
uint8_t *bt_emit_look_next(struct emit *e);
struct x_mem bt_looked_up(unsigned next);
/* Bytes on the stack of calls of the one that returns there. */
size_t bt_return_size(const uint8_t *behind);
/* Host code has left by a fault: was that a return to elsewhere?  Then the next one there will be a jump, the fault is
 * forgotten, and bt.look_up is where to go on. */
bool bt_doubt_return(struct vp_vm *m, struct bt *bt);
/* RCX = key and EIP in EAX, plus what is there; the jump where that is not 0 comes back.  RDX is lost. */
uint8_t *bt_emit_compare(struct emit *e, struct x_mem negated);
/* EIP to a register, in code that slides or not. */
void bt_emit_eip(struct emit *e, int to, uint32_t eip, bool slides);
/* stubs.c: emit the common parts. */
void bt_emit_stubs(struct bt *bt);
/* front.c: what struct bt.front is, for free(); or NULL. */
struct front *front_create(void);
/* The block's, at the present address or sliding, and those of what follows it; NULL where there is no room. */
struct translation *bt_translate(struct vp_vm *m, struct block *b, bool slides);
/* Whether code of a block that has been at several addresses can slide. */
bool bt_may_slide(const struct block *b);
static inline bool bt_slides(const struct vp_vm *m, const struct block *b)
{
    return b->slides && !(m->view & (VIEW_SEGMENTED | VIEW_SETTLED));
}
/* The translation of the block at EIP for the present view, or NULL; `places` counts those there are. */
struct translation *bt_find(const struct vp_vm *m, const struct block *b, uint32_t eip, bool slides, unsigned *places);
/* A copy of a site's instructions, with a sentinel. */
void bt_part(struct insn *out, const struct site *s);
/* run.c: the handler of the first instruction of every block. */
void bt_run_block(struct vp_vm *m, const struct insn *i);
/* Execute a site's instructions by the interpreter, from host code. */
struct leave bt_interpret(struct vp_vm *m, struct site *s, int64_t rdi, uint64_t flags);

/* front_x87.c: bring FOP, FIP, FCS, FDP, FDS up to date; `last`, if any, was just before. */
void bt_x87_notes(struct vp_vm *m, const struct fp_note *last);
/* Set fp_off; with `wanted` bring the state onto the host; false where it is wanted and cannot be used there. */
bool bt_x87_live(struct vp_vm *m, bool wanted);
/* The same for MXCSR and sse_off. */
bool bt_sse_live(struct vp_vm *m, bool wanted);
bool bt_x87_compare_clears(void); /* for struct bt.fcomi_clears; the guest's state must not be on the host */

/* Status flags between EFLAGS and what host code keeps. */
enum { RAW_AH = EF_STATUS & ~EF_OF, RAW_AH_SHIFT = 8, RAW_CF_BIT = 8, RAW_OF = 1 };
static inline uint32_t flags_raw(uint32_t eflags)
{
    return (eflags & RAW_AH) << RAW_AH_SHIFT | (eflags & EF_OF ? RAW_OF : 0);
}
static inline uint32_t flags_eflags(uint64_t raw)
{
    return (raw >> RAW_AH_SHIFT & RAW_AH) | (raw & RAW_OF ? EF_OF : 0);
}

#endif
