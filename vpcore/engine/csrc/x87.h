/* x87.h: where the guest's x87 and MMX state lives, and the way between there.
 *
 * vp_cpu.fx is the 32-bit FXSAVE image (SDM 1, 10.5.1).  While x87 code runs, its x87 part lives in the host's own x87
 * unit, loaded by the first instruction that needs it, so every result, tag, flag and stack fault is what silicon makes
 * of the very same instruction.  FOP, FIP, FCS, FDP and FDS always live in fx: the host's would be the engine's own.
 * MMX registers stay in fx, where XMM instructions work on them.
 *
 * An unmasked exception pends in the host as it would in the guest; no waiting instruction may run on the host then, so
 * each handler of one begins with x87_begin().  Handlers run the host's instruction by inline assembly; the compiler
 * itself uses neither x87 nor MMX registers in 64-bit code (never write `long double` in the engine).
 *
 * Whoever leaves the engine for foreign code, or touches cpu.fx, calls x87_leave() first.  Guest state must not be live
 * on the host while C floating point runs: x87_leave() also restores MXCSR (sse.h).
 */
#ifndef VP_X87_H
#define VP_X87_H
#ifndef __x86_64__
#error "the engine runs x87, MMX and SSE instructions on the host's own units: it needs an x86-64 host"
#endif
#include "mmu.h"
#include "seg.h"
#include "vm.h"
#include <stddef.h>
#include <string.h>

/* Offsets in vp_cpu.fx, SDM 1 table 10-2. */
enum {
    FX_FCW = 0,
    FX_FSW = 2,
    FX_FTW = 4,
    FX_FOP = 6,
    FX_FIP = 8,
    FX_FCS = 12,
    FX_FDP = 16,
    FX_FDS = 20,
    FX_MXCSR = 24,
    FX_MXCSR_MASK = 28,
    FX_ST = 32,
    FX_XMM = 160,
    FX_END = 288, /* of what 32-bit code has */
    FX_SLOT = 16,
};
_Static_assert(offsetof(struct vp_vm, cpu.fx) % 16 == 0, "XMM registers are used in place");

/* Control and status word, SDM 1, 8.1.3 and 8.1.5. */
enum {
    FPU_IE = 1,
    FPU_DE = 2,
    FPU_ZE = 4,
    FPU_OE = 8,
    FPU_UE = 0x10,
    FPU_PE = 0x20,
    FPU_ALL = 0x3f,
    FPU_ES = 0x80,
    FPU_TOP = 0x3800,
    FPU_TOP_SHIFT = 11,
    FPU_BUSY = 0x8000,
    FCW_BITS = 0x1f3f,
    FCW_ONE = 0x40,
    FCW_INIT = 0x037f,
};

/* vp_vm.fp_state.  ORDER FP: from FP_HIDDEN on the state is on the host */
enum {
    FP_MEM,    /* in cpu.fx */
    FP_MMX,    /* in cpu.fx, TOP is 0 and all registers are tagged valid: MMX code is running */
    FP_HIDDEN, /* on the host with all exceptions masked, for IGNNE#; the guest's masks are in m->fp_masks */
    FP_HOST,   /* on the host; something is unmasked or pending */
    FP_FAST,   /* on the host; nothing is unmasked, so nothing can pend */
};

static inline uint16_t fx_get16(const struct vp_vm *m, unsigned at)
{
    uint16_t v;
    memcpy(&v, m->cpu.fx + at, sizeof v);
    return v;
}
static inline uint32_t fx_get32(const struct vp_vm *m, unsigned at)
{
    uint32_t v;
    memcpy(&v, m->cpu.fx + at, sizeof v);
    return v;
}
static inline void fx_put16(struct vp_vm *m, unsigned at, uint16_t v) { memcpy(m->cpu.fx + at, &v, sizeof v); }
static inline void fx_put32(struct vp_vm *m, unsigned at, uint32_t v) { memcpy(m->cpu.fx + at, &v, sizeof v); }

/* -- Switching ----------------------------------------------------------------------------------------------------- */

void x87_drop_ferr(struct vp_vm *m); /* the error is over: FERR# falls, and IGNNE# with it */
void x87_reset(struct vp_vm *m);   /* power-up, SDM 3A table 9-1; MXCSR and XMM too */
void x87_changed(struct vp_vm *m); /* someone wrote cpu.fx, not the guest */
void x87_leave_slow(struct vp_vm *m);
/* All state is in cpu.fx and the host has its own back. */
static inline void x87_leave(struct vp_vm *m)
{
    if (unlikely(m->fp_state | m->sse_state)) x87_leave_slow(m);
}

void x87_load(struct vp_vm *m); /* state onto the host: FP_HOST or FP_FAST */
void x87_save(struct vp_vm *m); /* state into cpu.fx: FP_MEM or FP_MMX */
/* The host's control or status word was changed by an instruction: fp_state and FERR# follow. */
void x87_settle(struct vp_vm *m);
/* The same after cpu.fx was changed while the state is there. */
void x87_settle_mem(struct vp_vm *m);

/* The instruction that just ran on the host met an unmasked invalid operation. */
bool x87_invalid(struct vp_vm *m);

/* -- What every instruction begins with ---------------------------------------------------------------------------- */

void x87_begin_slow(struct vp_vm *m, bool waiting);
void x87_wait_slow(struct vp_vm *m);
/* #NM; state onto the host; a pending exception is raised (SDM 1, 8.6: waiting instructions). */
static inline void x87_begin(struct vp_vm *m)
{
    if (unlikely((m->cpu.cr0 & (CR0_EM | CR0_TS)) | (m->fp_state ^ FP_FAST))) x87_begin_slow(m, true);
}
/* The same for FNINIT, FNCLEX, FNSTSW, FNSTCW, FNSTENV, FNSAVE: pending exceptions wait on. */
static inline void x87_begin_nowait(struct vp_vm *m)
{
    if (unlikely((m->cpu.cr0 & (CR0_EM | CR0_TS)) || m->fp_state < FP_HOST)) x87_begin_slow(m, false);
}
/* #MF, or FERR#, for a pending exception when the state is in cpu.fx; what MMX instructions check. */
void x87_check_pending_mem(struct vp_vm *m);

/* FOP, FIP, FCS of an instruction that is not a control instruction (SDM 1, 8.1.8). */
static inline void x87_note(struct vp_vm *m, const struct insn *i)
{
    fx_put16(m, FX_FOP, (uint16_t)i->imm);
    fx_put32(m, FX_FIP, m->block_eip + i->off);
    fx_put16(m, FX_FCS, m->cpu.seg[VP_CS].sel);
}
static inline void x87_note_mem(struct vp_vm *m, const struct insn *i, uint32_t ea)
{
    x87_note(m, i);
    fx_put32(m, FX_FDP, ea);
    fx_put16(m, FX_FDS, m->cpu.seg[i->seg].sel);
}

/* -- Memory operands ----------------------------------------------------------------------------------------------- */

/* As the host's instruction sees an operand of n bytes at a pointer of any alignment. */
#define X87_MEM(p, n) (*(uint8_t(*)[n])(p))
#define X87_CMEM(p, n) (*(const uint8_t(*)[n])(p))

const void *x87_rd_slow(struct vp_vm *m, uint32_t lin, unsigned size);
/* Host address of an operand to read (2, 4, 8 or 10 bytes): in guest memory, or a copy in m->fp_tmp. */
static inline const void *x87_rd(struct vp_vm *m, unsigned seg, uint32_t ea, unsigned size)
{
    uint32_t lin = seg_lin(m, seg, ea, size, ACC_READ);
    const void *at = mmu_at(m, lin, size, false);
    return likely(at) ? at : x87_rd_slow(m, lin, size);
}

/* Host address to write to, after all faults: in guest memory, or m->fp_tmp, which x87_wr_end() then stores. */
void *x87_wr_slow(struct vp_vm *m, uint32_t lin, unsigned size);
static inline void *x87_wr(struct vp_vm *m, unsigned seg, uint32_t ea, unsigned size)
{
    uint32_t lin = seg_lin(m, seg, ea, size, ACC_WRITE);
    void *at = mmu_at(m, lin, size, true);
    return likely(at) ? at : x87_wr_slow(m, lin, size);
}
void x87_wr_end_slow(struct vp_vm *m, uint32_t lin, unsigned size);
static inline void x87_wr_end(struct vp_vm *m, void *to, unsigned seg, uint32_t ea, unsigned size)
{
    if (unlikely(to == m->fp_tmp)) x87_wr_end_slow(m, m->sacc[seg].base + ea, size);
}

/* -- Memory images (x87_env.c) ------------------------------------------------------------------------------------- */

enum { X87_ENV16 = 14, X87_ENV32 = 28, X87_REGS = 80 };
/* FNSTENV's image of cpu.fx, 14 or 28 bytes by operand size, real or protected format by mode; the state must be in
 * cpu.fx. */
void x87_env_store(struct vp_vm *m, bool os32, uint8_t *env);
void x87_env_load(struct vp_vm *m, bool os32, const uint8_t *env);
/* Changes TOP while the registers stay: fx has them in the order of the stack. */
void x87_set_top(struct vp_vm *m, unsigned top);
/* FNINIT, with the state in cpu.fx. */
void x87_init_mem(struct vp_vm *m);

#endif
