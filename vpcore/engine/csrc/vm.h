/* vm.h: the inside of a vp_vm: architectural state, what is derived from it, and the tables every engine shares.
 *
 * Derived fields are recomputed by seg_derive() and mmu_mode_changed() whenever their source changes; nothing else writes
 * them.  A guest fault never returns: raise() (event.h) longjmps to the step that began the instruction, so a handler
 * must read and check everything before it changes a register.
 */
#ifndef VP_VM_H
#define VP_VM_H
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "insn.h"
#include "vp.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t greatest(int64_t a, int64_t b) { return a > b ? a : b; }

enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };

/* Exception vectors, SDM 3A table 6-1. */
enum {
    EXC_DE, EXC_DB, EXC_NMI, EXC_BP, EXC_OF, EXC_BR, EXC_UD, EXC_NM, EXC_DF, EXC_CSO, EXC_TS, EXC_NP, EXC_SS, EXC_GP,
    EXC_PF, EXC_MF = 16, EXC_AC, EXC_MC, EXC_XM,
};

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096u
#define PAGE_MASK 0xfffff000u

/* One guest-physical page.  NULL read (write) pointers mean MMIO, or discarded writes with PG_DISCARD. */
struct phys_page {
    uint8_t *read, *write;
};
enum { PG_DIRTY_TRACKED = 1, PG_DIRTY = 2, PG_DISCARD = 4, PG_CODE = 8 };

/* Host address minus linear address, by linear page; 0 where an access has to ask (mmu.c): nothing is known,
 * or it is no plain memory.  Writes are plain where the page is writable, D set, RAM, no code on it, dirty flag set.
 * Reserved, not present until used. */
enum flat { FLAT_SR, FLAT_SW, FLAT_UR, FLAT_UW, FLATS }; /* supervisor and user, reading and writing */
enum { LIN_PAGES = 1 << 20 };
enum { GENERATION_SHIFT = 34 }; /* of struct jump.key */

/* Segment as loads and stores use it: an access of n bytes at ea is plainly allowed when ea + n - 1 <= last; all the
 * rest (expand-down, null, wrong type, wrap-around) goes through seg_check(). */
struct seg_access {
    int64_t rd_last, wr_last; /* -1 where nothing is plainly allowed */
    uint32_t base;
    uint32_t wide; /* 1: all of 4 GB may be read and written; else 0 */
};

/* A load of a data segment that was found to be right: the same selector at the same privilege, with the same descriptor,
 * gives the same again. */
struct seg_load {
    uint16_t sel; /* null: none */
    uint8_t cpl;
    uint32_t lo, hi;
    struct vp_seg seg;
    struct seg_access access;
};
enum { SEG_LOADS = 16 };

/* vm.attn: reasons to leave the fast path at the next block end */
enum {
    ATTN_STOP = 1,   /* vp_stop() */
    ATTN_INTR = 2,   /* INTR is high (may be masked by IF) */
    ATTN_NMI = 4,
    ATTN_SHADOW = 8, /* one instruction without interrupts */
    ATTN_TRAP = 16,  /* TF or a debug trap pending */
    ATTN_BREAK = 32, /* host breakpoints are set */
    ATTN_HALT = 64,
    ATTN_SHUTDOWN = 128,
    ATTN_DR = 256,   /* instruction breakpoints are enabled in DR7 */
};

struct vp_engine; /* engine.h */
struct interp;    /* interp/ */
struct spaces;    /* space.c */
struct footprint; /* space.h */
struct code_page; /* mem.c */
struct profile;   /* profile.c */
struct natives;   /* native.c */
struct kicker;    /* kick.h */

/* Where translated code finds that of an indirect jump's target: in the place that EIP says, or else in the next one. */
struct target {
    uint64_t negated; /* -(vp_vm.bt_key | EIP) */
    const uint8_t *entry;
};
enum { TARGET_BITS = 16, TARGETS = (1 << TARGET_BITS) + 1 };

/* And where it finds those of a jump by a table of the guest's: in the place that the index says, or its lowest byte. */
enum { CASES = 256, CASE_TABLES = 254 };
struct cases {
    uint64_t negated[CASES];
    const uint8_t *entry[CASES];
};

struct vp_vm {
    struct vp_cpu cpu; /* first: offset 0 is EAX */

    /* lazy status flags, see flags.h; cpu.eflags has all other flags while the engine runs */
    uint32_t fl_res, fl_aux;

    uint8_t kick_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE))); /* see kick.h */

    /* What translated code asks most lies together, at the end of that page and right behind it (bt/bt.h, VM_BIAS). */
    uint64_t bt_key;    /* of `view` and the generation of its code, in bits 32 and up; never 0 */
    /* while translated code runs: its stack of returns, the upper end of that, and the stack of C */
    uint8_t *bt_calls, *bt_calls_top, *bt_c_stack;
    const uint8_t *bt_go_on; /* and where it goes on after the interpreter had its turn */
    uint32_t bt_slide;       /* what sliding code adds to the addresses that it was made for, see bt/bt.h */
    uint32_t bt_in_page;     /* PEXT's mask: of an address, where on its page it is */
    uint32_t bt_in_word;     /* and how far from a multiple of 4 */
    /* x87 in host code, see bt/front_x87.c */
    struct fp_pending {
        uint32_t mem;   /* where in the translator's records FOP, FIP and FDS are, 0: in cpu.fx */
        uint32_t plain; /* the same for FOP and FIP of later ones without an operand */
    } fp_pending __attribute__((aligned(8)));
    uint8_t fp_off;      /* it may not run there at present */
    uint8_t sse_off;     /* nor SSE (bt/front_sse.c) */
    uint8_t fp_state;    /* where the x87 state lives, see x87.h */
    uint8_t sse_state;   /* whose MXCSR the host has, see sse.h */
    _Atomic uint32_t attn;

    /* derived from the segment registers, CR0, CR4, EFLAGS.VM */
    struct seg_access sacc[6];
    uint32_t sp_mask;   /* 0xffff or 0xffffffff by SS.B */
    uint8_t cpl;
    uint8_t user;       /* cpl == 3: which part of vp_vm.flat */
    uint8_t code32;     /* CS.D */
    uint8_t view;       /* what translated code takes for granted, see bt/bt.h */
    uint32_t features;  /* FEAT_ bits of the CPU model */
    uint8_t maker;      /* enum maker: whose processors undefined flags are like, see silicon.h */

    /* host code is to leave, and can be told so, see kick.h; when it is, by the host's clock, at the latest; who tells
     * it the time; what the same thread was running before */
    _Atomic bool kicked, kicks;
    int64_t due;
    struct kicker *kicker;
    struct vp_vm *outer;
    const struct footprint *footprint[2]; /* [user] of the present address space, see space.h */
    uint8_t births;                       /* of such: times that a CR3 has turned out to be a new one's */
    uint64_t generation[2]; /* [user] of shortcuts to code, see space.h; those of another one are stale */

    /* the instruction under execution, for precise faults: eip = block_eip + cur->off */
    const struct insn *cur;   /* NULL between instructions */
    const struct insn *first; /* where execution of the block that cur lies in began */
    uint32_t block_eip;
    jmp_buf fault;

    /* x87, see x87.h */
    uint8_t fp_tmp[16] __attribute__((aligned(16))); /* memory operand that cannot be used in place */
    uint32_t host_mxcsr; /* the host's own, while sse_state has the guest's loaded */
    uint16_t host_cw;    /* the host's own, while fp_state has the guest's loaded */
    uint8_t fp_masks;    /* the guest's exception masks while FP_HIDDEN */

    /* the fault that raise_* keeps over its longjmp, and the delivery it interrupted; event.c */
    uint64_t fault_mark; /* insns + 1 at the last fault */
    uint32_t exc_error;
    uint8_t exc_vector, exc_has_error;
    uint8_t delivering;    /* enum exc_class of the event in delivery */
    uint8_t delivery_depth;
    uint8_t ext;           /* EXT bit of error codes while an event is delivered (SDM 3A 6.13) */
    uint8_t new_task;      /* a task switch is past its point of no return: faults have the new task's EIP */

    uint32_t bt_case;     /* of `cases`: the place, plus 1, that host code has left because of, or 0; see bt/cases.h */
    uint64_t bt_esp_base; /* what translated code's ESP is ahead of the guest's, see bt/front_esp.c */

    int64_t budget;  /* instructions until the run loop looks at the clock */
    uint64_t insns;  /* retired */
    uint64_t strings; /* and what repeated string instructions of host code that counts took the time of */

    uint32_t a20_mask;
    struct phys_page *phys; /* 1 << 20 pages of the 32-bit physical space; above it nothing answers */
    uint8_t *page_flags;    /* PG_ bits, one byte a page */
    struct code_page *code; /* which bytes of pages with PG_CODE are code */
    struct spaces *spaces;
    bool guarded; /* nothing is behind VM_ROOM, for as far as 32 bits reach */
    bool align; /* alignment checks are on, for the user */
    bool watch; /* data breakpoints are set */
    uint64_t paging_mode; /* control bits that the flat tables were made under */
    uint8_t *ram;
    uint64_t ram_size;
    int ram_fd;

    vp_config config;
    int64_t deadline, enough, soonest, time_base, host_base; /* the second: see vp_set_lax_deadline() */
    int64_t alarm; /* the earliest of natives, or VP_NEVER */
    struct natives *natives;
    bool paused, intr, in_run, runs_on; /* the last: see vp_run_on() */
    uint32_t breaks[16];
    unsigned break_count;

    const struct vp_engine *engine;
    struct giver *giver; /* give.h */
    struct interp *interp;
    vp_stats stats;
    struct profile *profile; /* NULL while nobody measures */
    char error[256];

    struct seg_load seg_loads[SEG_LOADS]; /* in protected mode, by selector */

    struct target targets[TARGETS] __attribute__((aligned(64))); /* by low bits of EIP */
    struct cases cases[CASE_TABLES] __attribute__((aligned(64)));
    /* a page that may be read and one that may not, as an access over a page's end would find out */
    uint8_t page_end[2][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    uintptr_t flat[FLATS][LIN_PAGES];
};

/* What one takes; its last word is nobody's (bt/front_link.c). */
enum { VM_ROOM = sizeof(struct vp_vm) + PAGE_SIZE };

#endif
