/* simd.h: the shapes of MMX and SSE handlers.
 *
 * Every operation is the host's XMM instruction on copies of the guest's registers; one on MMX registers uses the low
 * half.  An MMX register is the mantissa of a slot in vp_cpu.fx; an MMX instruction first checks (#UD, #NM, #MF), then
 * reads memory, then switches the x87 state to MMX (TOP 0, all tags valid; SDM 1, 9.5), then works.
 */
#ifndef VP_SIMD_H
#define VP_SIMD_H
#include "../sse.h"
#include "interp.h"

/* -- MMX registers ------------------------------------------------------------------------------------------------- */

void mmx_need_slow(struct vp_vm *m);
void mmx_switch_slow(struct vp_vm *m);
/* #UD, #NM, and a pending x87 exception (SDM 3A 12.5). */
static inline void mmx_need(struct vp_vm *m)
{
    if (unlikely((m->cpu.cr0 & (CR0_EM | CR0_TS)) | (m->fp_state ^ FP_MMX))) mmx_need_slow(m);
}
static inline void mmx_switch(struct vp_vm *m)
{
    if (unlikely(m->fp_state != FP_MMX)) mmx_switch_slow(m);
}

static inline uint8_t *mmx_at(struct vp_vm *m, unsigned n) { return m->cpu.fx + FX_ST + FX_SLOT * n; }
static inline vec mmx_get(struct vp_vm *m, unsigned n) { return _mm_loadl_epi64((const vec *)mmx_at(m, n)); }
static inline uint64_t mmx_get64(struct vp_vm *m, unsigned n)
{
    uint64_t v;
    memcpy(&v, mmx_at(m, n), sizeof v);
    return v;
}
/* Writing sets sign and exponent to ones (SDM 1, 9.2.2). */
static inline void mmx_set64(struct vp_vm *m, unsigned n, uint64_t v)
{
    const uint16_t ones = 0xffff;
    memcpy(mmx_at(m, n), &v, sizeof v);
    memcpy(mmx_at(m, n) + sizeof v, &ones, sizeof ones);
}
static inline uint64_t low64(vec v) { return (uint64_t)_mm_cvtsi128_si64(v); }
static inline uint32_t low32(vec v) { return (uint32_t)_mm_cvtsi128_si32(v); }
static inline vec vec64(uint64_t v) { return _mm_cvtsi64_si128((long long)v); }

/* MASKMOVQ, MASKMOVDQU: the bytes whose mask byte has its top bit set, to DS:eDI. */
void simd_masked_store(struct vp_vm *m, const struct insn *i, const uint8_t *bytes, const uint8_t *mask, unsigned size);

/* -- Operand loads of the _m forms --------------------------------------------------------------------------------- */

#define LD128(m, i) sse_ld(m, (i)->seg, ea(m, i), true)
#define LD128U(m, i) sse_ld(m, (i)->seg, ea(m, i), false)
#define LD64(m, i) sse_ld64(m, (i)->seg, ea(m, i))
#define LD32(m, i) sse_ld32(m, (i)->seg, ea(m, i))

/* -- a = a op b, where `run` turns variables a and b into a
 * ------------------------------------------------------------ */

#define XMM_ROW(row, load, run)                                                                                        \
    HANDLER(row##_r)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        vec a = XMM(m, i->reg), b = XMM(m, i->rm);                                                                     \
        run;                                                                                                           \
        XMM(m, i->reg) = a;                                                                                            \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_m)                                                                                                   \
    {                                                                                                                  \
        sse_need(m);                                                                                                   \
        vec a = XMM(m, i->reg), b = load(m, i);                                                                        \
        run;                                                                                                           \
        XMM(m, i->reg) = a;                                                                                            \
        NEXT;                                                                                                          \
    }
#define MMX_ROW(row, load, run)                                                                                        \
    HANDLER(row##_r)                                                                                                   \
    {                                                                                                                  \
        mmx_need(m);                                                                                                   \
        mmx_switch(m);                                                                                                 \
        vec a = mmx_get(m, i->reg), b = mmx_get(m, i->rm);                                                             \
        run;                                                                                                           \
        mmx_set64(m, i->reg, low64(a));                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_m)                                                                                                   \
    {                                                                                                                  \
        mmx_need(m);                                                                                                   \
        vec b = load(m, i);                                                                                            \
        mmx_switch(m);                                                                                                 \
        vec a = mmx_get(m, i->reg);                                                                                    \
        run;                                                                                                           \
        mmx_set64(m, i->reg, low64(a));                                                                                \
        NEXT;                                                                                                          \
    }

/* Integer operation by its mnemonic. */
#define RUN(text) __asm__(text " %1, %0" : "+x"(a) : "x"(b))
/* The same where the two halves of one register are a and b: both MMX registers put together. */
#define RUN_JOINED(text)                                                                                               \
    do {                                                                                                               \
        a = _mm_unpacklo_epi64(a, b);                                                                                  \
        __asm__(text " %0, %0" : "+x"(a));                                                                             \
    } while (0)
/* Both files of registers: element by element; and where a result is made of neighbours, or of all of an operand. */
#define BOTH(NAME, text)                                                                                               \
    MMX_ROW(NAME##_Pq_Qq, LD64, RUN(text))                                                                             \
    XMM_ROW(NAME##_Vdq_Wdq, LD128, RUN(text))
#define BOTH_JOINED(NAME, text)                                                                                        \
    MMX_ROW(NAME##_Pq_Qq, LD64, RUN_JOINED(text))                                                                      \
    XMM_ROW(NAME##_Vdq_Wdq, LD128, RUN(text))
/* Floating point: under the guest's MXCSR, and #XM before the result is kept. */
#define RUN_FP(text, kind)                                                                                             \
    do {                                                                                                               \
        vec before = a;                                                                                                \
        sse_begin(m);                                                                                                  \
        __asm__ volatile(text " %1, %0" : "+x"(a) : "x"(b));                                                           \
        sse_check(m, kind, before, b);                                                                                 \
    } while (0)

/* -- Immediates ---------------------------------------------------------------------------------------------------- */

/* vec NAME(vec a, vec b, unsigned imm): the host's instruction with each immediate, one beside the other. */
#define BY_IMMEDIATE(name, text)                                                                                       \
    __asm__(".pushsection .text\n\t.balign 16\n" #name "_each:\n\t.set imm, 0\n\t.rept 256\n\t" text                   \
            " $imm, %xmm1, %xmm0\n\tret\n\t.balign 16\n\t.set imm, imm + 1\n\t.endr\n\t.popsection");                  \
    extern const uint8_t name##_each[256][16] __attribute__((visibility("hidden")));                                   \
    static inline vec name(vec a, vec b, unsigned imm)                                                                 \
    {                                                                                                                  \
        return ((vec(*)(vec, vec))(uintptr_t)name##_each[imm & 0xff])(a, b);                                           \
    }

#endif
