/* front_seg.c: loads of ES, DS, FS and GS.
 *
 * In real and virtual-8086 mode a selector says all (seg_load_real()).  What such a load keeps or sets besides, limit
 * and attributes, has to be in place; else it is the interpreter's.  So are loads in protected mode that have not been
 * found to be right before (seg_load_again()), and far pointers there.
 */
#include "front.h"

static struct x_mem field(unsigned seg, size_t at)
{
    return vm_at(offsetof(struct vp_vm, cpu.seg) + seg * sizeof(struct vp_seg) + at);
}

/* May the register be loaded here?  FDS of the last x87 instruction may have to be taken from it before. */
static void check(struct front *f, unsigned seg)
{
    const struct x_mem attr = field(seg, offsetof(struct vp_seg, attr));
    struct emit *e = f->e;

    f_clobber(f);
    f_x87_flush(f);
    x_alu_mem_imm(e, 32, X_CMP, vm_at(offsetof(struct vp_vm, fp_pending.mem)), 0);
    f_site_if(f, X_CC_NE);
    if (f->m->user) {
        x_alu_mem_imm(e, 16, X_CMP, attr, ATTR_V86);
        f_site_if(f, X_CC_NE);
        x_alu_mem_imm(e, 32, X_CMP, field(seg, offsetof(struct vp_seg, limit)), 0xffff);
    } else {
        x_rm(e, 16, X_GROUP3, 0, attr);
        x_imm(e, 16, VP_SEG_NULL);
    }
    f_site_if(f, X_CC_NE);
}

/* From EAX, of which the upper half is 0. */
static void load(struct front *f, unsigned seg)
{
    enum { SHL = 4, PARAGRAPH_SHIFT = 4 };
    const size_t access = offsetof(struct vp_vm, sacc) + seg * sizeof(struct seg_access);
    struct emit *e = f->e;

    x_rm(e, 16, X_MOV_RM_R, RAX, field(seg, offsetof(struct vp_seg, sel)));
    x_rr(e, 32, X_SHIFT_IMM, SHL, RAX);
    x_byte(e, PARAGRAPH_SHIFT);
    x_rm(e, 32, X_MOV_RM_R, RAX, field(seg, offsetof(struct vp_seg, base)));
    x_rm(e, 32, X_MOV_RM_R, RAX, vm_at(access + offsetof(struct seg_access, base)));
}

static void move(struct front *f)
{
    const unsigned seg = f->i->reg;

    check(f, seg);
    f_take_word(f, RAX);
    load(f, seg);
}

/* The selector on the stack, which stays there. */
static void take_top(struct front *f, int to)
{
    const unsigned bits = op_bits(f->i);

    x_rm(f->e, bits, X_MOV_R_RM, to, f_stack(f, ESP, 0, bits, false));
    x_rr(f->e, 32, X_MOVZX_W, to, to);
}

static void pop(struct front *f)
{
    const unsigned seg = f->i->reg;

    check(f, seg);
    take_top(f, RAX);
    load(f, seg);
    f_add_esp(f, (int32_t)op_bits(f->i) / 8);
}

/* A far pointer: the offset, then the selector, which lies at the segment's beginning where addresses wrap around. */
static void load_pointer(struct front *f, unsigned seg)
{
    const struct insn *i = f->i;
    const unsigned bits = op_bits(i);
    struct insn behind = *i;

    check(f, seg);
    f_site(f); /* of the real one */
    x_rm(f->e, bits, X_MOV_R_RM, RAX, f_operand(f, bits, false));
    behind.disp += bits / 8;
    f->i = &behind;
    x_rm(f->e, 32, X_MOVZX_W, RCX, f_operand(f, 16, false));
    f->i = i;
    x_rr(f->e, bits, X_MOV_RM_R, RAX, guest(i->reg));
    x_mov(f->e, RAX, RCX);
    load(f, seg);
}

/* -- In protected mode --------------------------------------------------------------------------------------------- */

/* From ESI. */
static void load_again(struct front *f, unsigned seg)
{
    const bool flat = f_is_flat(f, seg);

    f_x87_flush(f);
    f_help(f, help_load_segment, seg | (flat ? HELP_FLAT : 0));
    x_rr(f->e, 32, X_TEST_RM_R, RAX, RAX);
    f_site_if(f, X_CC_E);
}

static void move_again(struct front *f)
{
    f_begin_help(f);
    f_take_word(f, RSI);
    load_again(f, f->i->reg);
}

static void pop_again(struct front *f)
{
    f_begin_help(f);
    take_top(f, RSI);
    load_again(f, f->i->reg);
    f_add_esp(f, (int32_t)op_bits(f->i) / 8);
}

static bool in_protected_mode(struct front *f)
{
    switch (f->i->op) {
    case OP_MOV_Sw_Ew: move_again(f); return true;
    case OP_POP_Zs: pop_again(f); return true;
    default: return false;
    }
}

bool front_seg(struct front *f)
{
    if (!f->real) return in_protected_mode(f);
    if (!f->segmented) return false;
    switch (f->i->op) {
    case OP_MOV_Sw_Ew: move(f); return true;
    case OP_POP_Zs: pop(f); return true;
    case OP_LES_Gv_Mp: load_pointer(f, VP_ES); return true;
    case OP_LDS_Gv_Mp: load_pointer(f, VP_DS); return true;
    case OP_LFS_Gv_Mp: load_pointer(f, VP_FS); return true;
    case OP_LGS_Gv_Mp: load_pointer(f, VP_GS); return true;
    default: return false;
    }
}
