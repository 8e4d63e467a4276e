/* interp.h: what handlers of the interpreter are made of.
 *
 * A handler is `HANDLER(ROW_suffix) { ... NEXT; }`.  ROW is the opcode table's row (gen/ops.inc: MNEMONIC_operands);
 * the suffix is `16` or `32` where an operand follows the operand size, then `r` or `m` where a ModRM operand can be
 * register or memory: ADD_Ev_Gv_32m, ADD_Eb_Gb_r, LEA_Gv_M_32, PUSH_Zv_16, CLD.  gen.py writes the declarations and the
 * dispatch table, so a row without its handlers does not link.
 *
 * Handlers chain by tail calls along the decoded block; the depth without tail-call optimisation is bounded by the
 * block length.  A handler that may change EIP, the mode or interrupt state ends the block: it sets cpu.eip and returns
 * (END_AT), never NEXT, and its row has the trait `end` so that the builder closes the block there.
 */
#ifndef VP_INTERP_H
#define VP_INTERP_H
#include "../event.h"
#include "../flags.h"
#include "../mmu.h"
#include "../vm.h"

#define HANDLER(name) void i_##name(struct vp_vm *m, const struct insn *i)

#define NEXT                                                                                                           \
    do {                                                                                                               \
        m->cur = i + 1;                                                                                                \
        return (i + 1)->fn(m, i + 1);                                                                                  \
    } while (0)

/* Elements of a repeated string instruction that count as an instruction. */
enum { REP_CHUNK = 4096 };

/* End the block with EIP at an absolute offset in CS (checked against the limit by the next fetch). */
#define END_AT(target)                                                                                                 \
    do {                                                                                                               \
        m->cpu.eip = (target);                                                                                         \
        return;                                                                                                        \
    } while (0)

static inline uint32_t cur_eip(const struct vp_vm *m) { return m->block_eip + m->cur->off; }
/* 16-bit code does not wrap at 64 KB: it leaves its segment (SDM 3B, "Segment Wraparound"; so does the silicon). */
static inline uint32_t next_eip(const struct vp_vm *m, const struct insn *i) { return m->block_eip + i->off + i->len; }

/* Effective address. */
static inline uint32_t ea32(const struct vp_vm *m, const struct insn *i)
{
    return m->cpu.gpr[i->base] + (m->cpu.gpr[i->index] << i->scale) + i->disp;
}
static inline uint32_t ea(const struct vp_vm *m, const struct insn *i)
{
    uint32_t a = ea32(m, i);
    return likely(i->form & FORM_AS32) ? a : a & 0xffff;
}

static inline uint8_t *reg8p(struct vp_vm *m, unsigned n) { return (uint8_t *)&m->cpu.gpr[n & 3] + (n >> 2); }
static inline uint8_t reg8(struct vp_vm *m, unsigned n) { return *reg8p(m, n); }
static inline uint16_t reg16(const struct vp_vm *m, unsigned n) { return (uint16_t)m->cpu.gpr[n]; }
static inline uint32_t reg32(const struct vp_vm *m, unsigned n) { return m->cpu.gpr[n]; }
static inline void set_reg8(struct vp_vm *m, unsigned n, uint8_t v) { *reg8p(m, n) = v; }
static inline void set_reg16(struct vp_vm *m, unsigned n, uint16_t v)
{
    m->cpu.gpr[n] = (m->cpu.gpr[n] & 0xffff0000u) | v;
}
static inline void set_reg32(struct vp_vm *m, unsigned n, uint32_t v) { m->cpu.gpr[n] = v; }

static inline void set_sp(struct vp_vm *m, uint32_t sp)
{
    m->cpu.gpr[ESP] = (m->cpu.gpr[ESP] & ~m->sp_mask) | (sp & m->sp_mask);
}
/* Push: memory first, then ESP, so that a fault leaves ESP alone. */
#define INTERP_STACK(bits, type)                                                                                       \
    static inline void push##bits(struct vp_vm *m, type v)                                                             \
    {                                                                                                                  \
        uint32_t sp = (m->cpu.gpr[ESP] - bits / 8) & m->sp_mask;                                                       \
        st##bits(m, VP_SS, sp, v);                                                                                     \
        set_sp(m, sp);                                                                                                 \
    }                                                                                                                  \
    static inline type pop##bits(struct vp_vm *m)                                                                      \
    {                                                                                                                  \
        type v = ld##bits(m, VP_SS, m->cpu.gpr[ESP] & m->sp_mask);                                                     \
        set_sp(m, m->cpu.gpr[ESP] + bits / 8);                                                                         \
        return v;                                                                                                      \
    }
INTERP_STACK(16, uint16_t)
INTERP_STACK(32, uint32_t)

static inline bool real_or_v86(const struct vp_vm *m) { return !(m->cpu.cr0 & 1) || (m->cpu.eflags & EF_VM); }
static inline void need_cpl0(struct vp_vm *m)
{
    if (unlikely(m->cpl)) raise_gp0(m);
}

/* Handlers of a row Gv,Ev, which leave the work on the operand to NAME16() or NAME32(). */
#define GV_EV_ROWS(NAME, bits)                                                                                         \
    HANDLER(NAME##_Gv_Ev_##bits##r)                                                                                    \
    {                                                                                                                  \
        NAME##bits(m, i, reg##bits(m, i->rm));                                                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(NAME##_Gv_Ev_##bits##m)                                                                                    \
    {                                                                                                                  \
        NAME##bits(m, i, ld##bits(m, i->seg, ea(m, i)));                                                               \
        NEXT;                                                                                                          \
    }

#endif
