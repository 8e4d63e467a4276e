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

/* Linear address in ESI: to the flat table; see mmu_at(). */
static struct x_mem probe(struct front *f, unsigned bits, bool write)
{
    enum { ENTRY_SHIFT = 3 };
    struct emit *e = f->e;
    size_t table = offsetof(struct vp_vm, flat) + (f->m->user * 2u + write) * sizeof f->m->flat[0];

    x_mov(e, RCX, RSI);
    x_rr(e, 32, X_SHIFT_IMM, 5, RCX);
    x_byte(e, PAGE_SHIFT);
    x_rm(e, 64, X_MOV_R_RM, RDX, (struct x_mem){VM, RCX, ENTRY_SHIFT, (int32_t)table});
    x_rr(e, 64, X_TEST_RM_R, RDX, RDX);
    to_site(f, x_jcc(e, X_CC_E));
    if (bits > 8) { /* the last byte on another page? */
        x_rm(e, 32, X_LEA, RCX, (struct x_mem){RSI, X_NONE, 0, (int32_t)bits / 8 - 1});
        x_rr(e, 32, X_XOR << 3 | X_ALU_R_RM, RCX, RSI);
        x_rr(e, 32, X_SHIFT_IMM, 5, RCX);
        x_byte(e, PAGE_SHIFT);
        to_site(f, x_jcc(e, X_CC_NE));
    }
    return (struct x_mem){RDX, RSI, 0, 0};
}

static struct x_mem guest_at(int base) { return (struct x_mem){base, X_NONE, X_GUEST, 0}; }

struct x_mem f_linear(struct front *f, unsigned bits, bool write)
{
    return f->window ? guest_at(RSI) : probe(f, bits, write);
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

struct x_mem f_operand(struct front *f, unsigned bits, bool write)
{
    const struct insn *i = f->i;

    if (!f->window || !f_is_flat(f, i->seg) || !(i->form & FORM_AS32)) return f_operand_low(f, bits, write);
    struct x_mem at = {X_NONE, X_NONE, i->scale | X_GUEST, (int32_t)displacement(f)};
    if (i->base != REG_NONE) at.base = guest(i->base);
    if (i->index != REG_NONE) at.index = guest(i->index);
    return at;
}

struct x_mem f_operand_low(struct front *f, unsigned bits, bool write)
{
    const unsigned seg = f->i->seg;

    if (!f->window || !f_is_flat(f, seg)) f_clobber(f);
    f_lea(f, RSI);
    return f_offset(f, seg, bits, write);
}

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
    if (reg == ESP) disp += f->esp;
    if (!f_stack_clobbers(f)) return (struct x_mem){guest(reg), X_NONE, X_GUEST, disp};
    f_clobber(f);
    if (disp)
        x_rm(f->e, 32, X_LEA, RSI, (struct x_mem){guest(reg), X_NONE, 0, disp});
    else
        x_mov(f->e, RSI, guest(reg));
    if (f->sp16) x_rr(f->e, 32, X_MOVZX_W, RSI, RSI);
    if (f->sp16 && bits > 32) { /* it may wrap around */
        x_alu_imm(f->e, 32, X_CMP, RSI, 0x10000 - bits / 8);
        to_site(f, x_jcc(f->e, X_CC_A));
    }
    return f_offset(f, VP_SS, bits, write);
}
