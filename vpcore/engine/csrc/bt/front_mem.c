/* front_mem.c: memory operands of host code. */
#include "front.h"

/* Of the memory operand, with what ESP lacks. */
static uint32_t displacement(const struct front *f) { return f->i->disp + (f->i->base == ESP ? (uint32_t)f->esp : 0); }

void f_lea(struct front *f, int to)
{
    const struct insn *i = f->i;
    const uint32_t disp = displacement(f);
    int base = i->base == REG_NONE ? X_NONE : guest(i->base), index = i->index == REG_NONE ? X_NONE : guest(i->index);

    if (base == X_NONE && index == X_NONE)
        x_mov_imm32(f->e, to, disp);
    else if (index == X_NONE && !disp)
        x_mov(f->e, to, base);
    else
        x_rm(f->e, 32, X_LEA, to, (struct x_mem){base, index, i->scale, (int32_t)disp});
    if (!(i->form & FORM_AS32)) x_rr(f->e, 32, X_MOVZX_W, to, to);
}

static void to_site(struct front *f, uint8_t *from)
{
    struct site *s = f_site(f);

    if (s) f_cold(f, from, s);
}

static struct x_mem flat_entry(const struct front *f, int page, bool write)
{
    enum { ENTRY_SHIFT = 3 };
    struct x_mem at = vm_at(offsetof(struct vp_vm, flat) + (f->m->user * 2u + write) * sizeof f->m->flat[0]);

    at.index = page, at.scale = ENTRY_SHIFT;
    return at;
}

/* By the jump or by a fault of the host instruction. */
static void to_site_quietly(struct front *f, uint8_t *from, const uint8_t *touch)
{
    struct cold c = f_cold_with(f, f->flags);

    c.from = from, c.touch = touch, c.site = f_site(f);
    if (c.site) f_add_cold(f, c);
}

/* Without flags.  That the last byte lies on another page shows by a fault; or, where there is an `anchor`, a register
 * that is as far from a multiple of 4 as the address, that they are none. */
static struct x_mem probe_quietly(struct front *f, int lin, int anchor, unsigned bits, bool write)
{
    const bool aligned = anchor != X_NONE;
    const uint8_t *over_end = NULL;
    struct emit *e = f->e;

    if (bits > 8 && !(aligned && (f->aligned >> anchor & 1))) {
        const size_t mask = aligned ? offsetof(struct vp_vm, bt_in_word) : offsetof(struct vp_vm, bt_in_page);
        struct x_mem end = vm_at(offsetof(struct vp_vm, page_end) + (aligned ? PAGE_SIZE : bits / 8) - 1);
        x_pext(e, RDX, lin, vm_at(mask));
        end.index = RDX;
        over_end = x_runs_at(e);
        x_rm(e, 32, X_MOVZX_B, RDX, end);
        if (aligned) f->aligned |= (uint8_t)(1u << anchor);
    }
    x_shrx(e, RCX, lin, VM);
    x_rm(e, 64, X_MOV_R_RM, RCX, flat_entry(f, RCX, write));
    to_site_quietly(f, x_jrcxz_far(e), over_end);
    return (struct x_mem){RCX, lin, 0, 0};
}

void f_ask_flat(struct front *f, int to, int lin, bool write)
{
    struct emit *e = f->e;

    x_mov(e, RCX, lin);
    x_rr(e, 32, X_SHIFT_IMM, 5, RCX);
    x_byte(e, PAGE_SHIFT);
    x_rm(e, 64, X_MOV_R_RM, to, flat_entry(f, RCX, write));
    x_rr(e, 64, X_TEST_RM_R, to, to);
    to_site(f, x_jcc(e, X_CC_E));
}

/* By the flat table; see mmu_at(). */
static struct x_mem probe(struct front *f, int lin, int anchor, unsigned bits, bool write)
{
    struct emit *e = f->e;

    if (f->flags & IN_HOST) return probe_quietly(f, lin, anchor, bits, write);
    f_ask_flat(f, RDX, lin, write);
    if (bits > 8) { /* the last byte on another page? */
        x_rm(e, 32, X_LEA, RCX, (struct x_mem){lin, X_NONE, 0, (int32_t)bits / 8 - 1});
        x_rr(e, 32, X_XOR << 3 | X_ALU_R_RM, RCX, lin);
        x_rr(e, 32, X_SHIFT_IMM, 5, RCX);
        x_byte(e, PAGE_SHIFT);
        to_site(f, x_jcc(e, X_CC_NE));
    }
    return (struct x_mem){RDX, lin, 0, 0};
}

static int anchor_of(unsigned reg, unsigned bits, uint32_t disp)
{
    return f_may_be_aligned(reg, bits, disp) ? (int)reg : X_NONE;
}

/* By the window's base, which code that touches has in a register: loads take a cycle or two less than by GS.  Sums are
 * not cut to 32 bits, they fault where that would have made a difference.  (That an address is in the window with ESP
 * out of it does not say that the next one faults.) */
static struct x_mem by_base(struct front *f, struct x_mem at)
{
    at.scale = (at.index == X_NONE ? 0 : at.scale) | X_TOUCH;
    if (f->points && at.base == guest(ESP)) {
        if (at.index == X_NONE) f->adrift = false;
        return at;
    }
    if (at.base == X_NONE) {
        at.base = WINDOW;
    } else if (at.index == X_NONE) {
        at.index = at.base, at.base = WINDOW;
    } else {
        x_rm(f->e, 64, X_LEA, RSI, (struct x_mem){WINDOW, at.base, 0, 0});
        at.base = RSI;
    }
    return at;
}

/* As the guest has it. */
static struct x_mem in_window(struct front *f, struct x_mem at)
{
    const bool zero_extended = at.base == X_NONE || at.base >= GUEST;

    if (f->touches && zero_extended && at.disp >= -X_REACH && !bt_wraps(f->b, f->index)) return by_base(f, at);
    at.scale |= X_GUEST;
    return at;
}

static struct x_mem at_linear(struct front *f, int lin, int anchor, unsigned bits, bool write)
{
    const struct x_mem at = {lin, X_NONE, 0, 0};

    if (f->window) return in_window(f, at);
    if (f->points && lin == guest(ESP)) x_mov(f->e, lin = RSI, guest(ESP));
    return probe(f, lin, anchor, bits, write);
}

struct x_mem f_linear(struct front *f, unsigned bits, bool write) { return at_linear(f, RSI, X_NONE, bits, write); }

void f_take_word(struct front *f, int to)
{
    if (is_mem(f))
        x_rm(f->e, 32, X_MOVZX_W, to, f_operand(f, 16, false));
    else
        x_rr(f->e, 32, X_MOVZX_W, to, guest(f->i->rm));
}

struct x_mem f_spare_rcx(struct front *f, struct x_mem at)
{
    if (at.base != RCX) return at;
    x_rr(f->e, 64, X_MOV_RM_R, RCX, RDX);
    at.base = RDX;
    return at;
}

/* ESI is an offset: to the linear address, if the plain test of its limit allows it; see struct seg_access. */
static void to_linear(struct front *f, unsigned seg, unsigned bits, bool write)
{
    const size_t access = offsetof(struct vp_vm, sacc) + seg * sizeof f->m->sacc[0];
    const size_t last = write ? offsetof(struct seg_access, wr_last) : offsetof(struct seg_access, rd_last);
    struct emit *e = f->e;
    int end = bits > 8 ? RDX : RSI;

    if (bits > 8) x_rm(e, 64, X_LEA, RDX, (struct x_mem){RSI, X_NONE, 0, (int32_t)bits / 8 - 1});
    x_rm(e, 64, X_CMP << 3 | X_ALU_R_RM, end, vm_at(access + last));
    to_site(f, x_jcc(e, X_CC_G));
    x_rm(e, 32, X_ADD << 3 | X_ALU_R_RM, RSI, vm_at(access + offsetof(struct seg_access, base)));
}

struct x_mem f_offset(struct front *f, unsigned seg, unsigned bits, bool write)
{
    if (!f_is_flat(f, seg)) to_linear(f, seg, bits, write);
    return f_linear(f, bits, write);
}

/* A fixed offset in a segment that is of 4 GB now, as those of threads' and processors' own data are: that it still is
 * can be asked without flags. */
static bool is_in_wide(const struct front *f, unsigned bits)
{
    const struct insn *i = f->i;

    if (f->segmented || !f->quiet || i->base != REG_NONE || i->index != REG_NONE || !(i->form & FORM_AS32))
        return false;
    return f->m->sacc[i->seg].wide && (uint64_t)i->disp + bits / 8 - 1 <= UINT32_MAX;
}

static struct x_mem in_wide(struct front *f, unsigned bits, bool write)
{
    const size_t access = offsetof(struct vp_vm, sacc) + f->i->seg * sizeof f->m->sacc[0];
    const struct x_mem at = {RSI, X_NONE, f->window ? X_GUEST : 0, (int32_t)f->i->disp};

    x_rm(f->e, 32, X_MOV_R_RM, RCX, vm_at(access + offsetof(struct seg_access, wide)));
    to_site_quietly(f, x_jrcxz_far(f->e), NULL);
    x_rm(f->e, 32, X_MOV_R_RM, RSI, vm_at(access + offsetof(struct seg_access, base)));
    if (f->window) return at;
    x_rm(f->e, 32, X_LEA, RSI, at);
    return at_linear(f, RSI, X_NONE, bits, write);
}

/* In flat mode, or of a segment that is looked at; `plain` says that one register that holds it all is as good as ESI.
 */
static struct x_mem asked(struct front *f, unsigned bits, bool write, bool plain)
{
    const struct insn *i = f->i;
    const bool flat = f_is_flat(f, i->seg);

    if (!flat && is_in_wide(f, bits)) return in_wide(f, bits, write);
    if (!f->quiet || !flat) f_clobber(f);
    const bool simple = flat && (i->form & FORM_AS32) && i->base != REG_NONE && i->index == REG_NONE;
    const int anchor = simple ? anchor_of(i->base, bits, i->disp) : X_NONE;
    if (plain && simple && !displacement(f)) return at_linear(f, guest(i->base), anchor, bits, write);
    f_lea(f, RSI);
    return flat ? at_linear(f, RSI, anchor, bits, write) : f_offset(f, i->seg, bits, write);
}

struct x_mem f_operand(struct front *f, unsigned bits, bool write)
{
    const struct insn *i = f->i;

    if (!f->window || !f_is_flat(f, i->seg) || !(i->form & FORM_AS32)) return asked(f, bits, write, true);
    struct x_mem at = {X_NONE, X_NONE, i->scale, (int32_t)displacement(f)};
    if (i->base != REG_NONE) at.base = guest(i->base);
    if (i->index != REG_NONE) at.index = guest(i->index);
    return in_window(f, at);
}

struct x_mem f_operand_low(struct front *f, unsigned bits, bool write) { return asked(f, bits, write, false); }

struct x_mem f_operand_aligned(struct front *f, bool write)
{
    enum { BITS = 128 };
    const unsigned seg = f->i->seg;

    f_clobber(f);
    f_lea(f, RSI);
    if (!f_is_flat(f, seg)) to_linear(f, seg, BITS, write);
    x_rr(f->e, 32, X_GROUP3, 0, RSI);
    x_u32(f->e, BITS / 8 - 1);
    to_site(f, x_jcc(f->e, X_CC_NE));
    return f_linear(f, 8, write); /* it crosses no page */
}

struct x_mem f_stack(struct front *f, unsigned reg, int32_t disp, unsigned bits, bool write)
{
    const int anchor = anchor_of(reg, bits, (uint32_t)disp);

    if (reg == ESP) disp += f->esp;
    if (f->window && !f_stack_clobbers(f)) return in_window(f, (struct x_mem){guest(reg), X_NONE, 0, disp});
    if (f_stack_clobbers(f))
        f_clobber(f);
    else if (!disp)
        return at_linear(f, guest(reg), anchor, bits, write);
    x_rm(f->e, 32, X_LEA, RSI, (struct x_mem){guest(reg), X_NONE, 0, disp});
    if (f->sp16) x_rr(f->e, 32, X_MOVZX_W, RSI, RSI);
    if (f->sp16 && bits > 32) { /* it may wrap around */
        x_alu_imm(f->e, 32, X_CMP, RSI, 0x10000 - bits / 8);
        to_site(f, x_jcc(f->e, X_CC_A));
    }
    return f_stack_clobbers(f) ? f_offset(f, VP_SS, bits, write) : at_linear(f, RSI, anchor, bits, write);
}
