/* x87_control.c: x87 control instructions and the memory images of the whole state (SDM 1, 8.3.11 and 10.5). */
#include "../sse.h"
#include "x87_ops.h"

/* -- Control and status words -------------------------------------------------------------------------------------- */

HANDLER(FWAIT)
{
    const uint32_t both = CR0_MP | CR0_TS;
    if (unlikely((m->cpu.cr0 & both) == both)) raise_exc(m, EXC_NM); /* SDM 3A 2.5 */
    if (unlikely(m->fp_state != FP_FAST)) x87_wait_slow(m);
    NEXT;
}

HANDLER(FLDCW_Mw)
{
    x87_begin(m);
    const void *from = x87_rd(m, i->seg, ea(m, i), 2);
    __asm__ volatile("fldcw %0" ::"m"(X87_CMEM(from, 2)));
    x87_settle(m);
    NEXT;
}

HANDLER(FNSTCW_Mw)
{
    uint16_t cw;
    x87_begin_nowait(m);
    __asm__ volatile("fnstcw %0" : "=m"(cw));
    st16(m, i->seg, ea(m, i), cw);
    NEXT;
}

HANDLER(FNSTSW_Mw)
{
    uint16_t sw;
    x87_begin_nowait(m);
    __asm__ volatile("fnstsw %0" : "=a"(sw));
    st16(m, i->seg, ea(m, i), sw);
    NEXT;
}

HANDLER(FNSTSW_AX)
{
    uint16_t sw;
    x87_begin_nowait(m);
    __asm__ volatile("fnstsw %0" : "=a"(sw));
    set_reg16(m, EAX, sw);
    NEXT;
}

HANDLER(FNCLEX)
{
    x87_begin_nowait(m);
    __asm__ volatile("fnclex");
    x87_settle(m);
    NEXT;
}

/* FNENI, FNDISI, FNSETPM: of the 8087 and 80287 only, yet not waiting (SDM 1, 8.3.13). */
HANDLER(FNENI)
{
    x87_begin_nowait(m);
    NEXT;
}

HANDLER(FNINIT)
{
    x87_begin_nowait(m);
    __asm__ volatile("fninit");
    memset(m->cpu.fx + FX_FOP, 0, FX_MXCSR - FX_FOP);
    x87_settle(m);
    NEXT;
}

/* -- FNSTENV, FLDENV, FNSAVE, FRSTOR ------------------------------------------------------------------------------- */

static unsigned env_size(bool os32) { return os32 ? X87_ENV32 : X87_ENV16; }

/* #NM; the state into cpu.fx. */
static void begin_image(struct vp_vm *m, bool waiting)
{
    if (waiting)
        x87_begin(m);
    else if (m->cpu.cr0 & (CR0_EM | CR0_TS))
        raise_exc(m, EXC_NM);
    x87_save(m);
}

/* All faults come before the first byte is stored. */
static void store_image(struct vp_vm *m, const struct insn *i, bool os32, const uint8_t *image, unsigned size)
{
    unsigned unit = os32 ? 4 : 2;
    uint32_t at = ea(m, i), lin = seg_lin(m, i->seg, at, size, ACC_WRITE);

    mmu_check(m, lin, unit, ACC_WRITE);
    mmu_check(m, lin + size - unit, unit, ACC_WRITE);
    for (unsigned k = 0; k < size; k += unit) {
        uint32_t v = 0;
        memcpy(&v, image + k, unit);
        if (os32)
            st32(m, i->seg, at + k, v);
        else
            st16(m, i->seg, at + k, (uint16_t)v);
    }
}

static void load_image(struct vp_vm *m, const struct insn *i, bool os32, uint8_t *image, unsigned size)
{
    unsigned unit = os32 ? 4 : 2;
    uint32_t at = ea(m, i);

    seg_lin(m, i->seg, at, size, ACC_READ);
    for (unsigned k = 0; k < size; k += unit) {
        uint32_t v = os32 ? ld32(m, i->seg, at + k) : ld16(m, i->seg, at + k);
        memcpy(image + k, &v, unit);
    }
}

enum { REGISTER = X87_REGS / 8 };

static void fnstenv(struct vp_vm *m, const struct insn *i, bool os32)
{
    uint8_t image[X87_ENV32];

    begin_image(m, false);
    x87_env_store(m, os32, image);
    store_image(m, i, os32, image, env_size(os32));
    fx_put16(m, FX_FCW, fx_get16(m, FX_FCW) | FPU_ALL);
    x87_settle_mem(m);
}

static void fldenv(struct vp_vm *m, const struct insn *i, bool os32)
{
    uint8_t image[X87_ENV32];

    begin_image(m, true);
    load_image(m, i, os32, image, env_size(os32));
    x87_env_load(m, os32, image);
    x87_settle_mem(m);
}

static void fnsave(struct vp_vm *m, const struct insn *i, bool os32)
{
    uint8_t image[X87_ENV32 + X87_REGS];
    unsigned env = env_size(os32);

    begin_image(m, false);
    x87_env_store(m, os32, image);
    for (unsigned r = 0; r < 8; r++) memcpy(image + env + REGISTER * r, m->cpu.fx + FX_ST + FX_SLOT * r, REGISTER);
    store_image(m, i, os32, image, env + X87_REGS);
    x87_init_mem(m);
}

static void frstor(struct vp_vm *m, const struct insn *i, bool os32)
{
    uint8_t image[X87_ENV32 + X87_REGS];
    unsigned env = env_size(os32);

    begin_image(m, true);
    load_image(m, i, os32, image, env + X87_REGS);
    x87_env_load(m, os32, image);
    for (unsigned r = 0; r < 8; r++) memcpy(m->cpu.fx + FX_ST + FX_SLOT * r, image + env + REGISTER * r, REGISTER);
    x87_settle_mem(m);
}

#define X87_IMAGE(ROW, function)                                                                                       \
    HANDLER(ROW##_M_16)                                                                                                \
    {                                                                                                                  \
        function(m, i, false);                                                                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(ROW##_M_32)                                                                                                \
    {                                                                                                                  \
        function(m, i, true);                                                                                          \
        NEXT;                                                                                                          \
    }
X87_IMAGE(FNSTENV, fnstenv)
X87_IMAGE(FLDENV, fldenv)
X87_IMAGE(FNSAVE, fnsave)
X87_IMAGE(FRSTOR, frstor)

/* -- FXSAVE, FXRSTOR (SDM 1, 10.5): the first 288 bytes; what lies behind is not ours ------------------------------ */

/* #NM, the operand's linear address or #GP. */
static uint32_t fx_operand(struct vp_vm *m, const struct insn *i, enum access acc)
{
    enum { FX_SIZE = 512, FX_ALIGN = 16 };

    if (m->cpu.cr0 & (CR0_EM | CR0_TS)) raise_exc(m, EXC_NM);
    uint32_t lin = seg_lin(m, i->seg, ea(m, i), FX_SIZE, acc);
    if (lin & (FX_ALIGN - 1)) raise_gp0(m);
    mmu_check(m, lin, FX_ALIGN, acc);
    mmu_check(m, lin + FX_SIZE - FX_ALIGN, FX_ALIGN, acc);
    return lin;
}

HANDLER(FXSAVE_M)
{
    fx_operand(m, i, ACC_WRITE);
    x87_save(m);
    fx_put32(m, FX_MXCSR, sse_mxcsr(m));
    fx_put32(m, FX_MXCSR_MASK, sse_mxcsr_mask(m));
    uint32_t at = ea(m, i);
    for (unsigned k = 0; k < FX_END; k += sizeof(vec)) {
        vec v = *(const vec *)(m->cpu.fx + k);
        sse_st(m, i->seg, at + k, v, true);
    }
    NEXT;
}

HANDLER(FXRSTOR_M)
{
    uint8_t image[FX_END] __attribute__((aligned(16)));
    uint32_t mxcsr;

    fx_operand(m, i, ACC_READ);
    uint32_t at = ea(m, i);
    for (unsigned k = 0; k < FX_END; k += sizeof(vec)) *(vec *)(image + k) = sse_ld(m, i->seg, at + k, true);
    memcpy(&mxcsr, image + FX_MXCSR, sizeof mxcsr);
    if (mxcsr & ~sse_mxcsr_mask(m)) raise_gp0(m);
    x87_save(m);
    memcpy(m->cpu.fx, image, FX_END);
    sse_set_mxcsr(m, mxcsr);
    x87_settle_mem(m);
    NEXT;
}
