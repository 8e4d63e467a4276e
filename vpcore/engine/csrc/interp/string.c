/* string.c: string instructions, IN and OUT.
 *
 * Each element is read, checked, written and counted before the next one, so a fault leaves the registers at the
 * element that caused it.  A repeated instruction gives way after a chunk, and after each element while something asks
 * for attention (a trap after each iteration: SDM 3B 17.3.1.4); it then stays at its own EIP and is not counted as
 * retired. Runs of elements within a page go by memmove, memset or (where DF is 0) one call of a device, where no check
 * stands in the way.
 */
#include "../io.h"
#include "../seg.h"
#include "interp.h"
#include <stdatomic.h>

static bool repeats(const struct insn *i) { return i->prefix & (PFX_REP | PFX_REPNE); }

/* ECX, ESI, EDI or their low halves, by address size. */
static uint32_t areg(const struct vp_vm *m, const struct insn *i, unsigned n)
{
    return i->form & FORM_AS32 ? m->cpu.gpr[n] : (uint16_t)m->cpu.gpr[n];
}
static void set_areg(struct vp_vm *m, const struct insn *i, unsigned n, uint32_t value)
{
    if (i->form & FORM_AS32)
        set_reg32(m, n, value);
    else
        set_reg16(m, n, (uint16_t)value);
}
static void advance(struct vp_vm *m, const struct insn *i, unsigned n, uint32_t bytes)
{
    set_areg(m, i, n, areg(m, i, n) + (m->cpu.eflags & EF_DF ? -bytes : bytes));
}
static void count_down(struct vp_vm *m, const struct insn *i, uint32_t n)
{
    if (repeats(i)) set_areg(m, i, ECX, areg(m, i, ECX) - n);
}

/* Leave a repeated instruction in the middle. */
static void give_way(struct vp_vm *m, const struct insn *i, bool retires)
{
    m->cpu.eip = cur_eip(m);
    m->budget = 0;
    m->cur = retires ? i : i - 1;
}

static bool wanted(struct vp_vm *m) { return atomic_load_explicit(&m->attn, memory_order_relaxed); }

/* -- Spans -------------------------------------------------------------------------------------------------------- */

/* How many of `count` elements at seg:[reg] lie in one ascending piece that is plainly allowed and ends on their page.
 */
static uint32_t run_length(struct vp_vm *m, const struct insn *i, unsigned seg, unsigned reg, unsigned size,
                           uint32_t count, enum access acc)
{
    uint32_t at = areg(m, i, reg), lin = m->sacc[seg].base + at, room = PAGE_SIZE - (lin & ~PAGE_MASK);
    int64_t last = acc == ACC_WRITE ? m->sacc[seg].wr_last : m->sacc[seg].rd_last;

    if (count > room / size) count = room / size;
    uint64_t end = (uint64_t)at + count * size;
    if ((m->cpu.eflags & EF_DF) || (int64_t)end - 1 > last) return 0;
    return !(i->form & FORM_AS32) && end > 0x10000 ? 0 : count;
}

/* Host memory of the next elements at seg:[reg], *count cut to what lies there; NULL where they go one by one. */
static uint8_t *span(struct vp_vm *m, const struct insn *i, unsigned seg, unsigned reg, unsigned size, uint32_t *count,
                     enum access acc)
{
    *count = run_length(m, i, seg, reg, size, *count, acc);
    uint32_t n = *count * size;
    return n ? mmu_span(m, m->sacc[seg].base + areg(m, i, reg), &n, acc) : NULL;
}

/* How many of `count` elements at seg:[reg] and below lie on one page and are plainly allowed. */
static uint32_t run_down(struct vp_vm *m, const struct insn *i, unsigned seg, unsigned reg, unsigned size,
                         uint32_t count, enum access acc)
{
    uint32_t at = areg(m, i, reg), in_page = (m->sacc[seg].base + at) & ~PAGE_MASK;
    int64_t last = acc == ACC_WRITE ? m->sacc[seg].wr_last : m->sacc[seg].rd_last;
    uint64_t end = (uint64_t)at + size;

    if (in_page + size > PAGE_SIZE || (int64_t)end - 1 > last || (!(i->form & FORM_AS32) && end > 0x10000)) return 0;
    uint32_t most = (in_page < at ? in_page : at) / size + 1;
    return count < most ? count : most;
}

/* Host memory of the lowest of `count` elements at seg:[reg] and below; it is the highest one that faults. */
static uint8_t *span_down(struct vp_vm *m, const struct insn *i, unsigned seg, unsigned reg, unsigned size,
                          uint32_t count, enum access acc)
{
    uint32_t lin = m->sacc[seg].base + areg(m, i, reg), n = size, bytes = count * size;

    return mmu_span(m, lin, &n, acc) ? mmu_span(m, lin + size - bytes, &bytes, acc) : NULL;
}

/* As the element loop does it: where the destination lies inside the source, what was written is read again. */
static void copy_up(uint8_t *to, const uint8_t *from, uint32_t count, unsigned size)
{
    uint32_t bytes = count * size;

    if ((uintptr_t)to - (uintptr_t)from >= bytes) {
        memmove(to, from, bytes);
        return;
    }
    for (uint32_t k = 0; k < bytes; k += size) {
        uint32_t element;
        memcpy(&element, from + k, size);
        memcpy(to + k, &element, size);
    }
}

static void copy_down(uint8_t *to, const uint8_t *from, uint32_t count, unsigned size)
{
    uint32_t bytes = count * size;

    if ((uintptr_t)from - (uintptr_t)to >= bytes) {
        memmove(to, from, bytes);
        return;
    }
    for (uint32_t k = bytes; k; k -= size) {
        uint32_t element;
        memcpy(&element, from + k - size, size);
        memcpy(to + k - size, &element, size);
    }
}

static void fill(uint8_t *to, uint32_t value, uint32_t count, unsigned size)
{
    const uint32_t times = size == 1 ? 0x01010101u : size == 2 ? 0x00010001u : 1;
    uint32_t four = (size == 4 ? value : value & ((1u << 8 * size) - 1)) * times, bytes = count * size;

    if (four == (four & 0xff) * 0x01010101u) {
        memset(to, (int)four, bytes);
        return;
    }
    uint32_t k = 0;
    for (; k + sizeof four <= bytes; k += sizeof four) memcpy(to + k, &four, sizeof four);
    memcpy(to + k, &four, bytes - k);
}

/* Elements moved at once, 0 where it has to be one by one. */
static uint32_t movs_span_down(struct vp_vm *m, const struct insn *i, unsigned size, uint32_t count)
{
    count = run_down(m, i, i->seg, ESI, size, count, ACC_READ);
    count = run_down(m, i, VP_ES, EDI, size, count, ACC_WRITE);
    if (!count) return 0;
    const uint8_t *from = span_down(m, i, i->seg, ESI, size, count, ACC_READ);
    if (!from) return 0;
    uint8_t *to = span_down(m, i, VP_ES, EDI, size, count, ACC_WRITE);
    if (!to) return 0;
    copy_down(to, from, count, size);
    return count;
}

static uint32_t movs_span(struct vp_vm *m, const struct insn *i, unsigned size, uint32_t count)
{
    if (m->cpu.eflags & EF_DF) return movs_span_down(m, i, size, count);
    const uint8_t *from = span(m, i, i->seg, ESI, size, &count, ACC_READ);
    if (!from) return 0;
    uint8_t *to = span(m, i, VP_ES, EDI, size, &count, ACC_WRITE);
    if (!to) return 0;
    copy_up(to, from, count, size);
    return count;
}

static uint32_t stos_span(struct vp_vm *m, const struct insn *i, unsigned size, uint32_t count)
{
    const bool down = m->cpu.eflags & EF_DF;

    if (down) count = run_down(m, i, VP_ES, EDI, size, count, ACC_WRITE);
    uint8_t *to = !count ? NULL
                  : down ? span_down(m, i, VP_ES, EDI, size, count, ACC_WRITE)
                         : span(m, i, VP_ES, EDI, size, &count, ACC_WRITE);
    if (!to) return 0;
    fill(to, m->cpu.gpr[EAX], count, size);
    return count;
}

/* -- Elements ----------------------------------------------------------------------------------------------------- */

#define ELEMENTS(bits)                                                                                                 \
    static void movs_##bits(struct vp_vm *m, const struct insn *i)                                                     \
    {                                                                                                                  \
        st##bits(m, VP_ES, areg(m, i, EDI), ld##bits(m, i->seg, areg(m, i, ESI)));                                     \
    }                                                                                                                  \
    static void stos_##bits(struct vp_vm *m, const struct insn *i)                                                     \
    {                                                                                                                  \
        st##bits(m, VP_ES, areg(m, i, EDI), reg##bits(m, EAX));                                                        \
    }                                                                                                                  \
    static void lods_##bits(struct vp_vm *m, const struct insn *i)                                                     \
    {                                                                                                                  \
        set_reg##bits(m, EAX, ld##bits(m, i->seg, areg(m, i, ESI)));                                                   \
    }                                                                                                                  \
    static void compare_##bits(struct vp_vm *m, uint32_t a, uint32_t b)                                                \
    {                                                                                                                  \
        fl_set(m, bits, a - b, carries_sub(a, b, a - b));                                                              \
    }                                                                                                                  \
    static void cmps_##bits(struct vp_vm *m, const struct insn *i)                                                     \
    {                                                                                                                  \
        uint32_t a = ld##bits(m, i->seg, areg(m, i, ESI));                                                             \
        compare_##bits(m, a, ld##bits(m, VP_ES, areg(m, i, EDI)));                                                     \
    }                                                                                                                  \
    static void scas_##bits(struct vp_vm *m, const struct insn *i)                                                     \
    {                                                                                                                  \
        uint32_t b = ld##bits(m, VP_ES, areg(m, i, EDI));                                                              \
        compare_##bits(m, reg##bits(m, EAX), b);                                                                       \
    }
ELEMENTS(8)
ELEMENTS(16)
ELEMENTS(32)

enum moves { SRC = 1, DST = 2 };

static inline void step(struct vp_vm *m, const struct insn *i, unsigned moves, uint32_t n, unsigned size)
{
    if (moves & SRC) advance(m, i, ESI, n * size);
    if (moves & DST) advance(m, i, EDI, n * size);
    count_down(m, i, n);
}

static uint32_t no_span(struct vp_vm *m, const struct insn *i, unsigned size, uint32_t count)
{
    (void)m, (void)i, (void)size, (void)count;
    return 0;
}

typedef void (*element_fn)(struct vp_vm *, const struct insn *);
typedef uint32_t (*span_fn)(struct vp_vm *, const struct insn *, unsigned, uint32_t);

/* The repeated form; true when it is done, else it has given way. */
static inline bool repeat(struct vp_vm *m, const struct insn *i, element_fn element, span_fn spans, unsigned moves,
                          unsigned size, bool compares)
{
    uint32_t left = areg(m, i, ECX);

    while (left) {
        uint32_t room = left % REP_CHUNK ? left % REP_CHUNK : REP_CHUNK;
        uint32_t n = wanted(m) ? 0 : spans(m, i, size, room);
        if (!n) {
            element(m, i);
            n = 1;
        }
        step(m, i, moves, n, size);
        left -= n;
        if (compares && fl_zf(m) != !!(i->prefix & PFX_REP)) return true;
        bool retires = left % REP_CHUNK == 0;
        if (left && (retires || wanted(m))) {
            give_way(m, i, retires);
            return false;
        }
    }
    return true;
}

#define STRING(row, name, bits, moves, spans, compares)                                                                \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        if (repeats(i)) {                                                                                              \
            if (!repeat(m, i, name##_##bits, spans, moves, bits / 8, compares)) return;                                \
        } else {                                                                                                       \
            name##_##bits(m, i);                                                                                       \
            step(m, i, moves, 1, bits / 8);                                                                            \
        }                                                                                                              \
        NEXT;                                                                                                          \
    }
STRING(MOVS_Yb_Xb, movs, 8, SRC | DST, movs_span, false)
STRING(MOVS_Yv_Xv_16, movs, 16, SRC | DST, movs_span, false)
STRING(MOVS_Yv_Xv_32, movs, 32, SRC | DST, movs_span, false)
STRING(STOS_Yb_AL, stos, 8, DST, stos_span, false)
STRING(STOS_Yv_rAX_16, stos, 16, DST, stos_span, false)
STRING(STOS_Yv_rAX_32, stos, 32, DST, stos_span, false)
STRING(LODS_AL_Xb, lods, 8, SRC, no_span, false)
STRING(LODS_rAX_Xv_16, lods, 16, SRC, no_span, false)
STRING(LODS_rAX_Xv_32, lods, 32, SRC, no_span, false)
STRING(CMPS_Xb_Yb, cmps, 8, SRC | DST, no_span, true)
STRING(CMPS_Xv_Yv_16, cmps, 16, SRC | DST, no_span, true)
STRING(CMPS_Xv_Yv_32, cmps, 32, SRC | DST, no_span, true)
STRING(SCAS_AL_Yb, scas, 8, DST, no_span, true)
STRING(SCAS_rAX_Yv_16, scas, 16, DST, no_span, true)
STRING(SCAS_rAX_Yv_32, scas, 32, DST, no_span, true)

/* -- Ports -------------------------------------------------------------------------------------------------------- */

#define PORT(bits, in_row, out_row, port)                                                                              \
    HANDLER(in_row)                                                                                                    \
    {                                                                                                                  \
        seg_io_check(m, port, bits / 8);                                                                               \
        set_reg##bits(m, EAX, (uint##bits##_t)io_in(m, port, bits / 8));                                               \
        END_AT(next_eip(m, i));                                                                                        \
    }                                                                                                                  \
    HANDLER(out_row)                                                                                                   \
    {                                                                                                                  \
        seg_io_check(m, port, bits / 8);                                                                               \
        io_out(m, port, bits / 8, reg##bits(m, EAX));                                                                  \
        END_AT(next_eip(m, i));                                                                                        \
    }
PORT(8, IN_AL_Ib, OUT_Ib_AL, i->imm & 0xff)
PORT(16, IN_rAX_Ib_16, OUT_Ib_rAX_16, i->imm & 0xff)
PORT(32, IN_rAX_Ib_32, OUT_Ib_rAX_32, i->imm & 0xff)
PORT(8, IN_AL_DX, OUT_DX_AL, reg16(m, EDX))
PORT(16, IN_rAX_DX_16, OUT_DX_rAX_16, reg16(m, EDX))
PORT(32, IN_rAX_DX_32, OUT_DX_rAX_32, reg16(m, EDX))

/* The destination of INS is checked before the port is read, whose reading cannot be undone. */
static uint32_t ins_target(struct vp_vm *m, const struct insn *i, unsigned size)
{
    uint32_t lin = seg_lin(m, VP_ES, areg(m, i, EDI), size, ACC_WRITE), n = size;

    mmu_span(m, lin, &n, ACC_WRITE);
    if (n == size) return lin;
    uint32_t rest = size - n;
    mmu_span(m, lin + n, &rest, ACC_WRITE);
    return lin;
}

/* Elements moved by one call of the device; 0 where it takes no blocks. */
static uint32_t ins_block(struct vp_vm *m, const struct insn *i, unsigned size, uint32_t count)
{
    uint8_t bounce[PAGE_SIZE];
    uint32_t lin = m->sacc[VP_ES].base + areg(m, i, EDI);

    count = run_length(m, i, VP_ES, EDI, size, count, ACC_WRITE);
    if (count < 2) return 0;
    uint32_t bytes = count * size;
    uint8_t *to = mmu_span(m, lin, &bytes, ACC_WRITE);
    if (to) return io_in_block(m, reg16(m, EDX), size, to, count);
    /* onto code, or another device */
    count = io_in_block(m, reg16(m, EDX), size, bounce, count);
    for (uint32_t k = 0; k < count * size; k += size) {
        uint32_t value = 0;
        memcpy(&value, bounce + k, size);
        mmu_st_slow(m, lin + k, size, value);
    }
    return count;
}

static void ins_one(struct vp_vm *m, const struct insn *i, unsigned size)
{
    uint32_t lin = ins_target(m, i, size);

    mmu_st_slow(m, lin, size, io_in(m, reg16(m, EDX), size));
}

static uint32_t outs_block(struct vp_vm *m, const struct insn *i, unsigned size, uint32_t count)
{
    const uint8_t *from = span(m, i, i->seg, ESI, size, &count, ACC_READ);

    return from && count > 1 ? io_out_block(m, reg16(m, EDX), size, from, count) : 0;
}

static void outs_one(struct vp_vm *m, const struct insn *i, unsigned size)
{
    uint32_t ea = areg(m, i, ESI), value;

    value = size == 1 ? ld8(m, i->seg, ea) : size == 2 ? ld16(m, i->seg, ea) : ld32(m, i->seg, ea);
    io_out(m, reg16(m, EDX), size, value);
}

#define PORT_STRING(row, name, bits, moves)                                                                            \
    static void name##_##bits(struct vp_vm *m, const struct insn *i) { name##_one(m, i, bits / 8); }                   \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        seg_io_check(m, reg16(m, EDX), bits / 8);                                                                      \
        if (repeats(i)) {                                                                                              \
            if (!repeat(m, i, name##_##bits, name##_block, moves, bits / 8, false)) return;                            \
        } else {                                                                                                       \
            name##_##bits(m, i);                                                                                       \
            step(m, i, moves, 1, bits / 8);                                                                            \
        }                                                                                                              \
        END_AT(next_eip(m, i));                                                                                        \
    }
PORT_STRING(INS_Yb_DX, ins, 8, DST)
PORT_STRING(INS_Yv_DX_16, ins, 16, DST)
PORT_STRING(INS_Yv_DX_32, ins, 32, DST)
PORT_STRING(OUTS_DX_Xb, outs, 8, SRC)
PORT_STRING(OUTS_DX_Xv_16, outs, 16, SRC)
PORT_STRING(OUTS_DX_Xv_32, outs, 32, SRC)
