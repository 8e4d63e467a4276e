/* front_x87.c: x87 instructions, each as the same one of the host, on the guest's own state (x87.h: FP_FAST).
 *
 * A block's first x87 instruction asks whether the state is on the host with all exceptions masked, and CR0 lets it be
 * used (vp_vm.fp_off); else the interpreter executes it and brings the state there.  From then on sites see to it that
 * it stays so (struct site.assumes).  FOP, FIP, FCS, FDP and FDS are what the guest seldom asks for: sites know them
 * (struct site.note), and a block leaves a number of struct fp_note at its end.  FDP is stored, unless the next
 * instruction is to overwrite it anyway.
 */
#include "../x87.h"
#include "front.h"

static bool has_mem(const struct insn *i) { return i->form & FORM_MEM; }

/* Opcode bytes from FOP (SDM 1, 8.1.9). */
static unsigned escape(const struct insn *i) { return 0xd8 | (i->imm >> 8 & 7); }
static unsigned modrm_byte(const struct insn *i) { return i->imm & 0xff; }
static int extension(const struct insn *i) { return i->imm >> 3 & 7; }

/* Width of the memory operand, 0 where it is no plain one. */
static unsigned operand_bits(const struct insn *i)
{
    for (unsigned k = 0; k < 3; k++) switch (op_info[i->op].operand[k]) {
        case OPD_Mw:
        case OPD_Mwi: return 16;
        case OPD_Md:
        case OPD_Mdi: return 32;
        case OPD_Mq:
        case OPD_Mqi: return 64;
        case OPD_Mt: return 80;
        }
    return 0;
}

/* Control instructions leave FOP, FIP and FDP alone. */
static bool is_control(const struct insn *i)
{
    switch (i->op) {
    case OP_FLDENV_M:
    case OP_FLDCW_Mw:
    case OP_FNSTENV_M:
    case OP_FNSTCW_Mw:
    case OP_FNENI:
    case OP_FNDISI:
    case OP_FNSETPM:
    case OP_FNCLEX:
    case OP_FNINIT:
    case OP_FRSTOR_M:
    case OP_FNSAVE_M:
    case OP_FNSTSW_Mw:
    case OP_FNSTSW_AX: return true;
    default: return false;
    }
}

bool front_x87_is(const struct insn *i) { return i->op >= OP_FADD_Md && i->op <= OP_FCOMIP_ST_STi; }
static bool notes(const struct insn *i) { return front_x87_is(i) && !is_control(i); }

bool front_x87_within(const struct front *f)
{
    for (unsigned k = 0; k < f->count; k++)
        if (front_x87_is(&f->b->insns[k])) return true;
    return false;
}

/* -- The guard ---------------------------------------------------------------------------------------------------- */

static void guard(struct front *f) { f_guard(f, ASSUMES_FP, offsetof(struct vp_vm, fp_off)); }

/* -- Where the last instruction was ------------------------------------------------------------------------------- */

/* An instruction behind i overwrites the FDP that i leaves, and no register changes in between. */
static bool overwritten(const struct front *f)
{
    for (unsigned k = f->index + 1; k < f->count; k++) {
        const struct insn *i = &f->b->insns[k];
        if (!notes(i)) return false;
        if (has_mem(i)) return true;
    }
    return false;
}

static void store_fdp(struct front *f, const struct insn *i)
{
    struct x_mem at = vm_at(offsetof(struct vp_vm, cpu.fx) + FX_FDP);

    bool wide = (i->form & FORM_AS32) && !(i->base == ESP && f->esp);

    if (wide && i->base == REG_NONE && i->index == REG_NONE) {
        x_rm(f->e, 32, X_MOV_RM_IMM, 0, at);
        x_u32(f->e, i->disp);
    } else if (wide && i->index == REG_NONE && !i->disp) {
        x_rm(f->e, 32, X_MOV_RM_R, guest(i->base), at);
    } else {
        f_lea(f, RSI);
        x_rm(f->e, 32, X_MOV_RM_R, RSI, at);
    }
}

/* What the instruction leaves; FDP only where store_fdp() has not been. */
static struct fp_note *make_note(struct front *f)
{
    const struct insn *i = f->i;
    struct fp_note *n = bt_allocate(f->bt, sizeof *n);

    if (!n) {
        f->full = true;
        return NULL;
    }
    *n = (struct fp_note){.seg = 0};
    if (has_mem(i) && (i->form & FORM_AS32) && overwritten(f))
        *n = (struct fp_note){i->disp, 0, 0, 0, i->base, i->index, i->scale, true};
    else if (!has_mem(i) && f->note)
        *n = *f->note;
    if (has_mem(i)) n->seg = i->seg + 1;
    n->fip = f->eip + i->off;
    n->fop = (uint16_t)i->imm;
    return n;
}

/* No other one of the block leaves any, and it is no round of many. */
static bool is_last(const struct front *f)
{
    if (f->loop && !f->xmm_loop) return false;
    for (unsigned k = f->index + 1; k < f->count; k++)
        if (notes(&f->b->insns[k])) return false;
    return true;
}

/* After the instruction on the host. */
static void note(struct front *f)
{
    struct fp_note *n = make_note(f);

    if (!n) return;
    if (has_mem(f->i) && !n->has_fdp) store_fdp(f, f->i);
    f->note = n;
    if (is_last(f)) f_x87_flush(f);
}

void f_x87_flush(struct front *f)
{
    const bool mem = f->note && f->note->seg;
    const size_t at = mem ? offsetof(struct vp_vm, fp_pending.mem) : offsetof(struct vp_vm, fp_pending.plain);

    if (!f->note) return;
    x_rm(f->e, mem ? 64 : 32, X_MOV_RM_IMM, 0, vm_at(at)); /* with an operand: the other is 0 */
    x_u32(f->e, (uint32_t)((const uint8_t *)f->note - f->bt->arena));
    f->note = NULL;
}

static void put_note(struct vp_vm *m, const struct fp_note *n)
{
    fx_put16(m, FX_FOP, n->fop);
    fx_put32(m, FX_FIP, n->fip);
    fx_put16(m, FX_FCS, m->cpu.seg[VP_CS].sel);
    if (n->seg) fx_put16(m, FX_FDS, m->cpu.seg[n->seg - 1].sel);
    if (n->has_fdp) fx_put32(m, FX_FDP, m->cpu.gpr[n->base] + (m->cpu.gpr[n->index] << n->scale) + n->disp);
}

void bt_x87_notes(struct vp_vm *m, const struct fp_note *last)
{
    const uint8_t *notes = bt_of(m)->arena;

    if (m->fp_pending.mem) put_note(m, (const struct fp_note *)(notes + m->fp_pending.mem));
    if (m->fp_pending.plain) put_note(m, (const struct fp_note *)(notes + m->fp_pending.plain));
    m->fp_pending = (struct fp_pending){0, 0};
    if (last) put_note(m, last);
}

bool bt_x87_live(struct vp_vm *m, bool wanted)
{
    bool usable = !(m->cpu.cr0 & (CR0_EM | CR0_TS));
    bool masked = (fx_get16(m, FX_FCW) & FPU_ALL) == FPU_ALL; /* where it is in cpu.fx */

    /* MMX code with exceptions unmasked would go to and fro */
    if (wanted && usable && (masked || m->fp_state >= FP_HIDDEN)) x87_load(m);
    m->fp_off = !usable || m->fp_state != FP_FAST;
    return !wanted || !m->fp_off;
}

/* -- Instructions ------------------------------------------------------------------------------------------------- */

static bool emit_same(struct front *f)
{
    const struct insn *i = f->i;

    if (has_mem(i)) {
        struct x_mem at = f_operand(f, operand_bits(i), op_info[i->op].traits & TRAIT_MEM_WRITE);
        x_rm(f->e, 32, escape(i), extension(i), at);
    } else {
        x_byte(f->e, escape(i));
        x_byte(f->e, modrm_byte(i));
    }
    return true;
}

/* A control word that unmasks is the interpreter's business. */
static bool load_control(struct front *f)
{
    struct emit *e = f->e;
    struct x_mem at = f_operand(f, 16, false);

    f_clobber(f);
    x_rm(e, 32, X_MOVZX_W, RAX, at);
    x_rr(e, 32, X_GROUP3, 2, RAX); /* not */
    x_rr(e, 8, X_GROUP3 & ~1u, 0, RAX);
    x_byte(e, FPU_ALL);
    f_site_if(f, X_CC_NE);
    x_rm(e, 32, escape(f->i), extension(f->i), at);
    return true;
}

static bool control(struct front *f)
{
    switch (f->i->op) {
    case OP_FLDCW_Mw: guard(f); return load_control(f);
    case OP_FNSTCW_Mw:
    case OP_FNSTSW_Mw:
    case OP_FNCLEX: guard(f); return emit_same(f);
    case OP_FNSTSW_AX:
        guard(f);
        emit_same(f);
        x_rr(f->e, 16, X_MOV_RM_R, RAX, guest(EAX));
        return true;
    default: return false;
    }
}

bool bt_x87_compare_clears(void)
{
    enum { NOT_ALL = EF_SF | EF_AF };
    const uint16_t cw = FCW_INIT;
    uint16_t own;
    uint64_t flags;

    __asm__ volatile("fnstcw %1\n\tfninit\n\tfldcw %2\n\tfldz\n\tfld1\n\tmovb $127, %%al\n\taddb $1, %%al\n\t"
                     "fcomi %%st(1), %%st\n\tlahf\n\tseto %%al\n\tmovq %%rax, %0\n\tfninit\n\tfldcw %1"
                     : "=r"(flags), "=m"(own)
                     : "m"(cw)
                     : "rax", "cc");
    return !(flags & 0xff) && !(flags >> 8 & NOT_ALL);
}

bool front_x87(struct front *f)
{
    const struct insn *i = f->i;

    if (i->op == OP_FWAIT) {
        guard(f);
        return true;
    }
    if (!front_x87_is(i)) return false;
    if (is_control(i)) return control(f);
    bool compares = i->op >= OP_FUCOMI_ST_STi && i->op <= OP_FCOMIP_ST_STi;
    if (compares && !f->bt->fcomi_clears) return false;
    guard(f);
    if (i->op >= OP_FCMOVB_ST_STi && i->op <= OP_FCMOVNU_ST_STi) f_load(f);
    emit_same(f);
    if (compares) f_made(f);
    note(f);
    return true;
}
