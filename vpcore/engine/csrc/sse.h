/* sse.h: MXCSR, and the checks that SSE instructions begin with.
 *
 * XMM registers live in vp_cpu.fx.  A floating-point instruction runs on the host under the guest's rounding and
 * denormal modes with all exceptions masked.  Where the guest masks them all too, the host's MXCSR simply *is* the
 * guest's and its flags gather there (SSE_MASKED); else the flags of each instruction are looked at before its result
 * is kept, and one that the guest has unmasked becomes #XM (SSE_UNMASKED; fx has the flags then, the host none).
 */
#ifndef VP_SSE_H
#define VP_SSE_H
#include "event.h"
#include "x87.h"
#include <emmintrin.h>

enum {
    MXCSR_FLAGS = 0x3f,
    MXCSR_DAZ = 0x40,
    MXCSR_MASKS = 0x1f80,
    MXCSR_MASK_SHIFT = 7,
    MXCSR_UM = 0x800,
    MXCSR_FTZ = 0x8000,
    MXCSR_INIT = 0x1f80,
};

/* vp_vm.sse_state */
enum {
    SSE_AWAY,     /* the host has its own MXCSR */
    SSE_MASKED,   /* the host has the guest's, in which every exception is masked */
    SSE_UNMASKED, /* the host has the guest's modes, all exceptions masked, no flag set */
};

/* Operations that can overflow or underflow, and what they work on: SSE_KIND(operation, type). */
enum { SSE_SAFE, SSE_ADD, SSE_SUB, SSE_MUL, SSE_DIV, SSE_NARROW /* double to single */ };
enum { SSE_PS, SSE_SS, SSE_PD, SSE_SD };
#define SSE_KIND(operation, type) ((operation) << 2 | (type))

typedef __m128i vec;
typedef long long vec_u __attribute__((vector_size(16), aligned(1)));
#define XMM(m, n) (*(vec *)((m)->cpu.fx + FX_XMM + FX_SLOT * (n)))

uint32_t sse_mxcsr_mask(const struct vp_vm *m); /* bits that exist; FXSAVE's MXCSR_MASK */
uint32_t sse_mxcsr(struct vp_vm *m);
void sse_set_mxcsr(struct vp_vm *m, uint32_t mxcsr); /* existing bits only */
void sse_leave(struct vp_vm *m);                     /* the host gets its own MXCSR */

_Noreturn void sse_refuse(struct vp_vm *m);
/* #UD, #NM: SDM 3A table 13-1. */
static inline void sse_need(struct vp_vm *m)
{
    if (unlikely((m->cpu.cr0 & (CR0_EM | CR0_TS)) | ((m->cpu.cr4 & CR4_OSFXSR) ^ CR4_OSFXSR))) sse_refuse(m);
}

void sse_load(struct vp_vm *m);
/* The guest's MXCSR onto the host; between the last memory access before an operation and the operation. */
static inline void sse_begin(struct vp_vm *m)
{
    if (unlikely(m->sse_state == SSE_AWAY)) sse_load(m);
}
void sse_report(struct vp_vm *m, unsigned kind, vec a, vec b);
/* After an operation on a and b, before its result is kept: #XM. */
static inline void sse_check(struct vp_vm *m, unsigned kind, vec a, vec b)
{
    if (unlikely(m->sse_state == SSE_UNMASKED)) sse_report(m, kind, a, b);
}

/* -- Memory operands ----------------------------------------------------------------------------------------------- */

vec sse_ld_slow(struct vp_vm *m, uint32_t lin);
void sse_st_slow(struct vp_vm *m, uint32_t lin, vec v);

/* 16 bytes; #GP(0) where `aligned` and they are not (SDM 1, 4.1.1). */
static inline vec sse_ld(struct vp_vm *m, unsigned seg, uint32_t ea, bool aligned)
{
    uint32_t lin = seg_lin(m, seg, ea, 16, ACC_READ);
    if (aligned && unlikely(lin & 15)) raise_gp0(m);
    const void *at = mmu_at(m, lin, 16, false);
    return likely(at) ? (vec) * (const vec_u *)at : sse_ld_slow(m, lin);
}
static inline void sse_st(struct vp_vm *m, unsigned seg, uint32_t ea, vec v, bool aligned)
{
    uint32_t lin = seg_lin(m, seg, ea, 16, ACC_WRITE);
    if (aligned && unlikely(lin & 15)) raise_gp0(m);
    void *at = mmu_at(m, lin, 16, true);
    if (unlikely(!at))
        sse_st_slow(m, lin, v);
    else
        *(vec_u *)at = (vec_u)v;
}
static inline vec sse_ld64(struct vp_vm *m, unsigned seg, uint32_t ea)
{
    return _mm_cvtsi64_si128((long long)ld64(m, seg, ea));
}
static inline vec sse_ld32(struct vp_vm *m, unsigned seg, uint32_t ea)
{
    return _mm_cvtsi32_si128((int)ld32(m, seg, ea));
}

#endif
