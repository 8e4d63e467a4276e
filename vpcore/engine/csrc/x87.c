/* x87.c: moves the guest's x87 state between vp_cpu.fx and the host, see x87.h; pending exceptions; memory images. */
#include "x87.h"
#include "event.h"
#include "flags.h"
#include "sse.h"

enum { FX_SIZE = 512 };

static uint16_t host_cw(void)
{
    uint16_t cw;
    __asm__ volatile("fnstcw %0" : "=m"(cw));
    return cw;
}
static uint16_t host_sw(void)
{
    uint16_t sw;
    __asm__ volatile("fnstsw %0" : "=a"(sw));
    return sw;
}

/* -- Switching ----------------------------------------------------------------------------------------------------- */

static bool on_host(const struct vp_vm *m) { return m->fp_state >= FP_HIDDEN; }

/* ES and B follow from flags and masks (SDM 1, 8.1.3.3). */
static uint16_t with_summary(uint16_t sw, uint16_t cw)
{
    sw &= (uint16_t) ~(FPU_ES | FPU_BUSY);
    return sw & ~cw & FPU_ALL ? sw | FPU_ES | FPU_BUSY : sw;
}

/* FXRSTOR of fx with the given control word.  XMM registers of the host hold nothing that matters, MXCSR stays. */
static void put_on_host(struct vp_vm *m, uint16_t cw)
{
    uint8_t image[FX_SIZE] __attribute__((aligned(16)));
    uint32_t mxcsr = _mm_getcsr();
    uint16_t sw = with_summary(fx_get16(m, FX_FSW), cw);

    if (!on_host(m)) m->host_cw = host_cw();
    memset(image, 0, FX_ST);
    memcpy(image + FX_FCW, &cw, sizeof cw);
    memcpy(image + FX_FSW, &sw, sizeof sw);
    image[FX_FTW] = m->cpu.fx[FX_FTW];
    memcpy(image + FX_MXCSR, &mxcsr, sizeof mxcsr);
    memcpy(image + FX_ST, m->cpu.fx + FX_ST, sizeof image - FX_ST);
    __asm__ volatile("fxrstor %0" ::"m"(image)
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15");
}

void x87_save(struct vp_vm *m)
{
    uint8_t image[FX_SIZE] __attribute__((aligned(16)));

    if (!on_host(m)) return;
    __asm__ volatile("fxsave %0\n\tfninit" : "=m"(image));
    if (m->host_cw != FCW_INIT) __asm__ volatile("fldcw %0" ::"m"(m->host_cw));
    memcpy(m->cpu.fx + FX_FCW, image + FX_FCW, FX_FOP - FX_FCW);
    memcpy(m->cpu.fx + FX_ST, image + FX_ST, FX_XMM - FX_ST);
    if (m->fp_state == FP_HIDDEN) {
        uint16_t cw = (fx_get16(m, FX_FCW) & ~FPU_ALL) | m->fp_masks;
        fx_put16(m, FX_FCW, cw);
        fx_put16(m, FX_FSW, with_summary(fx_get16(m, FX_FSW), cw));
    }
    m->fp_state = FP_MEM;
}

/* Exceptions that happened and are unmasked: since a waiting instruction began with none, those of this one. */
static unsigned raised(void) { return host_sw() & ~host_cw() & FPU_ALL; }

bool x87_invalid(struct vp_vm *m) { return m->fp_state == FP_HOST && (raised() & FPU_IE); }

void x87_drop_ferr(struct vp_vm *m)
{
    if (!m->cpu.ferr) return;
    m->cpu.ferr = m->cpu.ignne = 0;
    x87_leave(m);
    if (m->config.calls.ferr) m->config.calls.ferr(m->config.host, 0);
}

void x87_settle(struct vp_vm *m)
{
    uint16_t sw = host_sw();

    m->fp_state = (host_cw() & FPU_ALL) == FPU_ALL && !(sw & FPU_ES) ? FP_FAST : FP_HOST;
    if (!(sw & FPU_ES)) x87_drop_ferr(m);
}

/* What the bits of both words can be; whether an exception is pending. */
static bool normalise(struct vp_vm *m)
{
    uint16_t cw = (fx_get16(m, FX_FCW) & FCW_BITS) | FCW_ONE, sw = with_summary(fx_get16(m, FX_FSW), cw);

    m->fp_state = FP_MEM;
    fx_put16(m, FX_FCW, cw);
    fx_put16(m, FX_FSW, sw);
    return sw & FPU_ES;
}

void x87_settle_mem(struct vp_vm *m)
{
    if (!normalise(m)) x87_drop_ferr(m);
}

void x87_load(struct vp_vm *m)
{
    while (m->fp_state < FP_HOST) { /* again where settling made us leave */
        x87_save(m);                /* from FP_HIDDEN */
        put_on_host(m, fx_get16(m, FX_FCW));
        x87_settle(m);
    }
}

/* Keep an error from the host while IGNNE# lets the guest go on in spite of it. */
static void hide(struct vp_vm *m)
{
    x87_save(m);
    uint16_t cw = fx_get16(m, FX_FCW);
    m->fp_masks = cw & FPU_ALL;
    put_on_host(m, cw | FPU_ALL);
    m->fp_state = FP_HIDDEN;
}

/* The state is where it was before a host call made us leave. */
static void resume(struct vp_vm *m, uint8_t state)
{
    if (m->fp_state == state || state < FP_HIDDEN) return;
    x87_load(m);
    if (state == FP_HIDDEN) hide(m);
}

void x87_leave_slow(struct vp_vm *m)
{
    x87_save(m);
    m->fp_state = FP_MEM; /* FP_MMX too: the host may write cpu.fx */
    sse_leave(m);
}

/* -- The stack in cpu.fx: slot j is physical register TOP + j ------------------------------------------------------ */

static unsigned top_of(const struct vp_vm *m) { return fx_get16(m, FX_FSW) >> FPU_TOP_SHIFT & 7; }

void x87_set_top(struct vp_vm *m, unsigned top)
{
    enum { SLOTS = 8 };
    uint8_t slots[SLOTS][FX_SLOT];
    unsigned shift = top_of(m) - top;

    memcpy(slots, m->cpu.fx + FX_ST, sizeof slots);
    for (unsigned j = 0; j < SLOTS; j++) memcpy(m->cpu.fx + FX_ST + FX_SLOT * ((j + shift) & 7), slots[j], FX_SLOT);
    fx_put16(m, FX_FSW, (uint16_t)((fx_get16(m, FX_FSW) & ~FPU_TOP) | top << FPU_TOP_SHIFT));
}

/* -- Power-up and outside changes ---------------------------------------------------------------------------------- */

void x87_init_mem(struct vp_vm *m)
{
    x87_set_top(m, 0);
    memset(m->cpu.fx, 0, FX_MXCSR);
    fx_put16(m, FX_FCW, FCW_INIT);
    x87_settle_mem(m);
}

void x87_reset(struct vp_vm *m)
{
    enum { FCW_RESET = 0x40, TAGS_VALID = 0xff };

    x87_leave(m);
    memset(m->cpu.fx, 0, sizeof m->cpu.fx);
    fx_put16(m, FX_FCW, FCW_RESET);
    m->cpu.fx[FX_FTW] = TAGS_VALID;
    fx_put32(m, FX_MXCSR, MXCSR_INIT);
    fx_put32(m, FX_MXCSR_MASK, sse_mxcsr_mask(m));
}

void x87_changed(struct vp_vm *m)
{
    fx_put32(m, FX_MXCSR, fx_get32(m, FX_MXCSR) & sse_mxcsr_mask(m));
    bool pending = normalise(m) && !(m->cpu.cr0 & CR0_NE);
    m->cpu.ferr = m->cpu.ferr && pending;
    m->cpu.ignne = m->cpu.ignne && m->cpu.ferr;
}

/* The board holds it no longer than FERR#. */
void vp_set_ignne(vp_vm *m, int level) { m->cpu.ignne = level && m->cpu.ferr; }

/* -- Pending exceptions -------------------------------------------------------------------------------------------- */

/* #MF; or with CR0.NE = 0 FERR#, and the processor stands still until an interrupt comes.  Returns where IGNNE# says to
 * go on (SDM 1, D.2.1). */
static void report(struct vp_vm *m)
{
    if (m->cpu.cr0 & CR0_NE) raise_exc(m, EXC_MF);
    if (m->cpu.ignne) return;
    m->cpu.ferr = 1;
    x87_leave(m);
    if (m->config.calls.ferr) m->config.calls.ferr(m->config.host, 1);
    event_freeze(m);
}

void x87_begin_slow(struct vp_vm *m, bool waiting)
{
    if (m->cpu.cr0 & (CR0_EM | CR0_TS)) raise_exc(m, EXC_NM);
    x87_load(m);
    if (!waiting || m->fp_state == FP_FAST || !(host_sw() & FPU_ES)) return;
    report(m);
    hide(m);
}

void x87_check_pending_mem(struct vp_vm *m)
{
    if (fx_get16(m, FX_FSW) & FPU_ES) report(m);
}

void x87_wait_slow(struct vp_vm *m)
{
    if (m->fp_state == FP_HIDDEN) x87_load(m);
    if ((m->fp_state >= FP_HOST ? host_sw() : fx_get16(m, FX_FSW)) & FPU_ES) report(m);
}

/* -- Memory operands ----------------------------------------------------------------------------------------------- */

enum { EXTENDED = 10, EXTENDED_LOW = 8, EXTENDED_HIGH = 2 }; /* an 80-bit operand goes in two parts */

static unsigned low_part(unsigned size) { return size == EXTENDED ? EXTENDED_LOW : size; }

const void *x87_rd_slow(struct vp_vm *m, uint32_t lin, unsigned size)
{
    uint8_t state = m->fp_state;
    uint64_t low = mmu_ld_slow(m, lin, low_part(size)), high = 0;

    if (size == EXTENDED) high = mmu_ld_slow(m, lin + EXTENDED_LOW, EXTENDED_HIGH);
    memcpy(m->fp_tmp, &low, sizeof low);
    memcpy(m->fp_tmp + EXTENDED_LOW, &high, EXTENDED_HIGH);
    resume(m, state);
    return m->fp_tmp;
}

void *x87_wr_slow(struct vp_vm *m, uint32_t lin, unsigned size)
{
    mmu_check(m, lin, low_part(size), ACC_WRITE);
    if (size == EXTENDED) mmu_check(m, lin + EXTENDED_LOW, EXTENDED_HIGH, ACC_WRITE);
    return m->fp_tmp;
}

void x87_wr_end_slow(struct vp_vm *m, uint32_t lin, unsigned size)
{
    uint64_t low;
    uint16_t high;

    /* any unmasked exception but precision kept the host from storing (SDM 1, 8.5) */
    if (m->fp_state == FP_HOST && (raised() & ~FPU_PE)) return;
    memcpy(&low, m->fp_tmp, sizeof low);
    memcpy(&high, m->fp_tmp + EXTENDED_LOW, sizeof high);
    mmu_st_slow(m, lin, low_part(size), low);
    if (size == EXTENDED) mmu_st_slow(m, lin + EXTENDED_LOW, EXTENDED_HIGH, high);
}

/* -- Memory images, SDM 1 figures 8-9 to 8-12 ---------------------------------------------------------------------- */

/* Full tag of a register image: 0 valid, 1 zero, 2 special (SDM 1, 8.1.7). */
static unsigned tag_of(const uint8_t *slot)
{
    enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL };
    uint64_t mantissa;
    uint16_t exponent;

    memcpy(&mantissa, slot, sizeof mantissa);
    memcpy(&exponent, slot + EXTENDED_LOW, sizeof exponent);
    exponent &= 0x7fff;
    if (!exponent) return mantissa ? TAG_SPECIAL : TAG_ZERO;
    return exponent == 0x7fff || !(mantissa >> 63) ? TAG_SPECIAL : TAG_VALID;
}

static uint16_t tag_word(const struct vp_vm *m)
{
    enum { TAG_EMPTY = 3 };
    unsigned word = 0;

    for (unsigned r = 0; r < 8; r++) {
        const uint8_t *slot = m->cpu.fx + FX_ST + FX_SLOT * ((r - top_of(m)) & 7);
        word |= (m->cpu.fx[FX_FTW] >> r & 1 ? tag_of(slot) : TAG_EMPTY) << 2 * r;
    }
    return (uint16_t)word;
}

static uint8_t abridged(uint16_t tags)
{
    unsigned valid = 0;

    for (unsigned r = 0; r < 8; r++)
        if ((tags >> 2 * r & 3) != 3) valid |= 1u << r;
    return (uint8_t)valid;
}

enum { ENV_CW, ENV_SW, ENV_TW, ENV_IP, ENV_CS, ENV_DP, ENV_DS, ENV_FIELDS };

static bool real_format(const struct vp_vm *m) { return !(m->cpu.cr0 & CR0_PE) || (m->cpu.eflags & EF_VM); }

void x87_env_store(struct vp_vm *m, bool os32, uint8_t *env)
{
    const uint32_t ones = 0xffff0000u; /* what reserved halves read as */
    uint32_t fop = fx_get16(m, FX_FOP) & 0x7ff, ip = fx_get32(m, FX_FIP), dp = fx_get32(m, FX_FDP);
    uint32_t cs = fx_get16(m, FX_FCS), ds = fx_get16(m, FX_FDS);
    uint32_t field[ENV_FIELDS] = {fx_get16(m, FX_FCW) | ones, fx_get16(m, FX_FSW) | ones, tag_word(m) | ones};

    if (real_format(m)) {
        ip += cs << 4;
        dp += ds << 4;
        field[ENV_IP] = (ip & 0xffff) | ones;
        field[ENV_CS] = (ip >> 16 << 12) | fop;
        field[ENV_DP] = (dp & 0xffff) | ones;
        field[ENV_DS] = dp >> 16 << 12;
    } else {
        field[ENV_IP] = ip;
        field[ENV_CS] = cs | fop << 16;
        field[ENV_DP] = dp;
        field[ENV_DS] = ds | ones;
    }
    for (unsigned k = 0; k < ENV_FIELDS; k++) memcpy(env + (os32 ? 4 : 2) * k, &field[k], os32 ? 4 : 2);
}

void x87_env_load(struct vp_vm *m, bool os32, const uint8_t *env)
{
    uint32_t field[ENV_FIELDS] = {0};

    for (unsigned k = 0; k < ENV_FIELDS; k++) memcpy(&field[k], env + (os32 ? 4 : 2) * k, os32 ? 4 : 2);
    bool real = real_format(m);
    x87_set_top(m, field[ENV_SW] >> FPU_TOP_SHIFT & 7);
    fx_put16(m, FX_FCW, (uint16_t)field[ENV_CW]);
    fx_put16(m, FX_FSW, (uint16_t)field[ENV_SW]);
    m->cpu.fx[FX_FTW] = abridged((uint16_t)field[ENV_TW]);
    fx_put16(m, FX_FOP, (real ? field[ENV_CS] : field[ENV_CS] >> 16) & 0x7ff);
    fx_put32(m, FX_FIP, real ? (field[ENV_IP] & 0xffff) | (field[ENV_CS] >> 12 << 16) : field[ENV_IP]);
    fx_put16(m, FX_FCS, real ? 0 : (uint16_t)field[ENV_CS]);
    fx_put32(m, FX_FDP, real ? (field[ENV_DP] & 0xffff) | (field[ENV_DS] >> 12 << 16) : field[ENV_DP]);
    fx_put16(m, FX_FDS, real ? 0 : (uint16_t)field[ENV_DS]);
}
