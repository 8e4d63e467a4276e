/* vp.h: the engine's one public face.
 *
 * This file is C and, without its preprocessor lines, also cffi's cdef (see build.py): keep it to plain declarations and
 * `#define NAME number`.  A `vp_vm` is one machine's processor and physical address map.  All calls on one vm come from
 * one thread, except vp_stop(), which any thread or signal handler may call.  Nothing here exits or prints: what goes
 * wrong in the host comes back as a NULL or a negative vp_status with text in vp_error().
 */
#ifndef VP_H
#define VP_H
#include "native.h"
#include <stddef.h>
#include <stdint.h>

/* -- Architectural state ------------------------------------------------------------------------------------------ */

/* Segment registers in the order of their encoding (SDM 2, table 2-1), then the two system ones.  ORDER SEG */
#define VP_ES 0
#define VP_CS 1
#define VP_SS 2
#define VP_DS 3
#define VP_FS 4
#define VP_GS 5
#define VP_LDTR 6
#define VP_TR 7

/* vp_seg.attr: bits 40-47 and 52-55 of the descriptor, closed up (the layout of SDM 3C, 24.4.1, without its gap). */
#define VP_SEG_TYPE 0x000f
#define VP_SEG_S 0x0010
#define VP_SEG_DPL 0x0060
#define VP_SEG_P 0x0080
#define VP_SEG_AVL 0x0100
#define VP_SEG_DB 0x0400
#define VP_SEG_G 0x0800
#define VP_SEG_NULL 0x8000

struct vp_seg {
    uint32_t base;
    uint32_t limit; /* offset of the last byte, G already applied */
    uint16_t sel;
    uint16_t attr;
};

/* What an instruction can see or change, and nothing else: this is what a checkpoint keeps and what engines hand over. */
struct vp_cpu {
    uint32_t gpr[9]; /* EAX ECX EDX EBX ESP EBP ESI EDI, and [8] that is always 0: the absent base or index */
    uint32_t eip;
    uint32_t eflags;
    uint32_t cr0, cr2, cr3, cr4;
    uint32_t dr[8];
    struct vp_seg seg[8];
    uint32_t gdtr_base, gdtr_limit;
    uint32_t idtr_base, idtr_limit;
    uint64_t pdpte[4]; /* loaded by MOV CR3 under PAE (SDM 3A 4.4.1) */
    uint8_t fx[512];   /* x87, MMX, XMM, MXCSR in the layout of 32-bit FXSAVE (SDM 1, 10.5.1) */
    uint64_t tsc_offset;
    uint32_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t apic_base, pat, mcg_status, debugctl, misc_enable, microcode;
    uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_var[16];
    uint64_t perfctr[2], evntsel[2];
    uint32_t pending_db; /* DR6 bits of debug traps that follow the instruction just done */
    uint8_t step;        /* TF was set when that instruction began: a single-step trap follows */
    uint8_t rf_used;     /* EFLAGS.RF has covered its instruction */
    uint8_t ferr, ignne; /* the FERR# and IGNNE# pins (SDM 1, D.2) */
    uint8_t halted;      /* in HLT */
    uint8_t shadow;      /* interrupts held off for one instruction (STI, MOV SS, POP SS) */
    uint8_t nmi_masked;  /* until IRET */
    uint8_t nmi;         /* latched, not yet taken */
    uint8_t shutdown;    /* after a triple fault */
};

/* -- Host services the engine calls ------------------------------------------------------------------------------- */

/* `host` is vp_config.host.  Sizes are bytes (1, 2, 4; MMIO also 8).  None may longjmp or run the vm again. */
typedef struct vp_calls {
    uint32_t (*in)(void *host, uint32_t port, uint32_t size);
    void (*out)(void *host, uint32_t port, uint32_t size, uint32_t value);
    /* REP INS/OUTS in one call: move up to `count` elements between the port and `buf`; the number moved comes back,
     * 0 where the port knows no block transfer (the engine then goes element by element). */
    uint32_t (*in_block)(void *host, uint32_t port, uint32_t size, uint8_t *buf, uint32_t count);
    uint32_t (*out_block)(void *host, uint32_t port, uint32_t size, const uint8_t *buf, uint32_t count);
    uint64_t (*mmio_read)(void *host, uint64_t addr, uint32_t size);
    void (*mmio_write)(void *host, uint64_t addr, uint32_t size, uint64_t value);
    uint32_t (*inta)(void *host); /* interrupt acknowledge cycle: the vector */
    void (*warn)(void *host, const char *text);
    /* FERR# pin: an x87 error with CR0.NE = 0 awaits IRQ 13 (level 1), or is over (0).  May be NULL. */
    void (*ferr)(void *host, uint32_t level);
    /* Called every few milliseconds of guest code, for the host's other business.  May be NULL. */
    void (*breathe)(void *host);
} vp_calls;

/* CPU models; what each has is cpuid.c's table. */
#define VP_CPU_486 0
#define VP_CPU_PENTIUM 1
#define VP_CPU_PENTIUM3 2
#define VP_CPU_HOST 3

#define VP_CLOCK_REALTIME 0 /* virtual time follows the host's monotonic clock while the vm runs */
#define VP_CLOCK_ICOUNT 1   /* virtual time is retired instructions x icount_ns, plus what vp_warp() skipped */

#define VP_PORT_CALL 0
#define VP_PORT_CELL 1

typedef struct vp_config {
    uint64_t ram_size; /* bytes, a multiple of 4096; RAM lies at guest-physical 0 */
    uint32_t cpu_model;
    uint32_t clock;
    uint32_t icount_ns;  /* virtual ns an instruction under VP_CLOCK_ICOUNT */
    uint64_t tsc_hz;     /* frequency that RDTSC shows */
    uint64_t cache_size; /* bytes for decoded or translated code */
    void *host;
    vp_calls calls;
    /* Byte ports answered without a call, by cell_kind[port]: VP_PORT_CALL are not; of VP_PORT_CELL cells[port] is read
     * and written; above that it is what vp_native_ports() gave.  65536 bytes each, owned by the caller, or NULL. */
    uint8_t *cells;
    const uint8_t *cell_kind;
} vp_config;

typedef struct vp_vm vp_vm;

vp_vm *vp_create(const vp_config *config);
void vp_destroy(vp_vm *vm);
void *vp_host(const vp_vm *vm);        /* vp_config.host */
const char *vp_error(const vp_vm *vm); /* vm may be NULL: why vp_create() failed */
void vp_reset(vp_vm *vm);              /* RESET pin: the state of SDM 3A table 9-1; memory is untouched */

/* -- Engines ------------------------------------------------------------------------------------------------------ */

int vp_engine_count(void);
const char *vp_engine_name(int index);
/* 1 when engine `name` can run on this host, else 0 with the reason in vp_error(). */
int vp_engine_probe(vp_vm *vm, const char *name);
/* Allowed between any two vp_run() calls.  0, or -1 with the reason in vp_error(). */
int vp_engine_select(vp_vm *vm, const char *name);
/* What the chosen engine has to do without on this host, and why; empty where that is nothing. */
const char *vp_engine_lacks(vp_vm *vm);

/* -- Running ------------------------------------------------------------------------------------------------------ */

#define VP_EXIT_DEADLINE 0 /* virtual time reached the deadline */
#define VP_EXIT_HALT 1     /* HLT with nothing pending */
#define VP_EXIT_STOP 2     /* vp_stop() was called */
#define VP_EXIT_BUDGET 3   /* max_insns have retired */
#define VP_EXIT_SHUTDOWN 4 /* triple fault */
#define VP_EXIT_BREAK 5    /* a breakpoint set by vp_break() */

/* Runs guest code until one of the above.  max_insns 0 means no bound. */
int vp_run(vp_vm *vm, uint64_t max_insns);
/* vp_run(vm, 0) soon after another on this thread: signals that the engine needs are taken to be still its own. */
int vp_run_on(vp_vm *vm);
void vp_stop(vp_vm *vm);
void vp_set_deadline(vp_vm *vm, int64_t virtual_ns);
/* The same, but from `enough` on it ends as soon as the clock is looked at for something else. */
void vp_set_lax_deadline(vp_vm *vm, int64_t enough, int64_t virtual_ns);
void vp_sooner(vp_vm *vm, int64_t virtual_ns); /* the same, where it is earlier than the present one */
int64_t vp_soonest(vp_vm *vm); /* the earliest of these since it was asked last, VP_NEVER where there was none */
int64_t vp_now(vp_vm *vm);                     /* virtual ns */
void vp_set_now(vp_vm *vm, int64_t virtual_ns); /* restore, or leave a pause */
void vp_pause(vp_vm *vm, int paused);           /* realtime: virtual time stands still while paused */
uint64_t vp_insns(const vp_vm *vm);             /* retired since creation; an estimate where code does not count (bt) */
void vp_set_intr(vp_vm *vm, int level);         /* the INTR pin */
void vp_set_ignne(vp_vm *vm, int level);        /* the IGNNE# pin; falls by itself when FERR does */
void vp_nmi(vp_vm *vm);                         /* an edge on NMI */
void vp_set_a20(vp_vm *vm, int open);

/* Execution breakpoints of the host's debugger at a linear address; -1 when there is no room. */
int vp_break(vp_vm *vm, uint32_t linear, int set);

struct vp_cpu *vp_cpu(vp_vm *vm);  /* valid between vp_run() calls; after writing call vp_cpu_changed() */
void vp_cpu_changed(vp_vm *vm);

/* -- Device models in C (native.h) -------------------------------------------------------------------------------- */

/* Registers that lie at `base` on, to be named in vp_config.cell_kind; 0 where there is no room for more. */
int vp_native_ports(vp_vm *vm, uint32_t base, vp_registers registers);
/* An alarm of this vm that calls fire(target), between two instructions, once its time has come; with `at` NULL where
 * there is no room for more. */
vp_alarm vp_native_alarm(vp_vm *vm, void (*fire)(void *target), void *target);
/* The earliest alarm that is set, or VP_NEVER.  Alarms are looked at by vp_run() only. */
int64_t vp_next_alarm(const vp_vm *vm);
/* Let vector(target) answer the interrupt acknowledge cycle in place of vp_calls.inta. */
void vp_native_inta(vp_vm *vm, uint32_t (*vector)(void *target), void *target);
vp_wire vp_native_intr(vp_vm *vm);
vp_clock vp_native_clock(vp_vm *vm);
/* Leave ports and the acknowledge cycle to vp_calls (on 0), or no longer: for who wants to see each access. */
void vp_native_calls(vp_vm *vm, int on);

/* -- Physical memory ---------------------------------------------------------------------------------------------- */

#define VP_MAP_DIRTY 1   /* track pages written (vp_dirty) */
#define VP_MAP_DISCARD 2 /* writes vanish where write is NULL; without it they are MMIO */

/* Maps [addr, addr+size) (multiples of 4096) to host memory for reads and for writes, which may be two places (PAM
 * shadowing) or NULL (MMIO).  The host memory outlives the mapping. 0, or -1 with vp_error(). */
int vp_map(vp_vm *vm, uint64_t addr, uint64_t size, uint8_t *read, uint8_t *write, int flags);
uint8_t *vp_ram(vp_vm *vm);
uint64_t vp_ram_size(const vp_vm *vm);
/* One byte a page of [addr, addr+size) into `out`: 1 where written since the last call with clear. */
void vp_dirty(vp_vm *vm, uint64_t addr, uint64_t size, uint8_t *out, int clear);
/* Host code changed guest memory (DMA, a debugger): drop code made from it. */
void vp_invalidate(vp_vm *vm, uint64_t addr, uint64_t size);
/* Debugger access: guest-physical address of a linear one, or -1 where it is not mapped; no side effects. */
int64_t vp_translate(vp_vm *vm, uint32_t linear);

/* -- Decoding ----------------------------------------------------------------------------------------------------- */

/* Intel-syntax text of the instruction at `code` (up to `avail` bytes, code size 16 or 32) into `text`; its length, or
 * -1 where the bytes are no instruction. */
int vp_disas(const uint8_t *code, size_t avail, int bits, uint32_t eip, char *text, size_t room);

typedef struct vp_stats {
    uint64_t insns, blocks_built, blocks_run, cache_flushes, tlb_fills, tlb_flushes, smc_hits, faults, interrupts;
    uint64_t port_calls, mmio_calls, cache_bytes;
    /* of windows (bt): faults that led to filling them, or to no avail; the times pages were mapped; pages mapped now;
     * accesses that were made to look before they leap */
    uint64_t window_faults, window_fills, window_pages, window_probes;
    /* times that jumps to other pages began to go without asking for the page, and ceased to */
    uint64_t trusted_links, doubted_links, doubted_returns;
    /* times that translated code was left: by direct jumps that lead nowhere yet, or elsewhere under other page tables;
     * by indirect ones and returns whose target was not found; to the interpreter, not to come back at once */
    uint64_t exits_direct, exits_indirect, exits_interp;
    uint64_t rehearsals; /* of an idle guest's ticks, in which is noted what to fetch when it wakes */
    uint64_t moved_blocks; /* of these ticks, translated anew to lie together */
    uint64_t code_bytes, code_room;     /* of translated code: used, and at most */
    uint64_t cold_bytes, cold_room;     /* the last part of that, for what is seldom executed */
    uint64_t record_bytes, record_room; /* of what the translator keeps beside it */
    uint64_t ahead_bytes;               /* that a helper thread had the host give before they were used */
} vp_stats;
void vp_get_stats(vp_vm *vm, vp_stats *out);

#define VP_MODE_CHANGES 256 /* remembered */

/* An address space got or lost a window, after `ran` instructions (of late) in which it touched `pages` new ones. */
typedef struct vp_mode_change {
    uint64_t insns; /* of the vm, at that time */
    uint64_t ran, pages;
    uint32_t cr3;
    uint8_t user, window;
} vp_mode_change;

/* The last changes of memory mode, oldest first; how many. */
uint32_t vp_mode_trace(vp_vm *vm, vp_mode_change *out, uint32_t most);

/* -- Profile ------------------------------------------------------------------------------------------------------ */

#define VP_PLACES 4096 /* at most */

/* A place in guest code that was about to run when the clock was looked at, and the host time since the look before. */
typedef struct vp_place {
    uint64_t ns, looks, phys; /* phys: UINT64_MAX where it is not mapped */
    uint32_t linear;
    uint8_t cpl, bits, protected_mode, size;
    uint8_t code[16]; /* its first bytes, `size` of them */
} vp_place;

/* Begin anew to measure (on 1), or stop and forget.  0, or -1 with the reason in vp_error(). */
int vp_profile(vp_vm *vm, int on);
/* The places measured, in no order; their number, and the ns of those that were dropped for want of room. */
uint32_t vp_profile_places(vp_vm *vm, vp_place *out, uint32_t most, uint64_t *others);
/* How often translated code left an instruction of row `op` to the interpreter, by itself and because a window's mapping
 * refused it, and its mnemonic; 0 behind the last row. */
uint32_t vp_profile_exits(vp_vm *vm, uint32_t op, uint64_t *count, uint64_t *refused, const char **name);

#endif
