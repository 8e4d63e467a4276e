/* front_system.c: flags as a whole, IF, and segment registers as sources; where no interrupt comes of it. */
#include "front.h"

static const struct x_mem eflags = {VM, X_NONE, 0, (int32_t)offsetof(struct vp_vm, cpu.eflags) - VM_BIAS};
enum { OF_SHIFT = 11 };

static void shift(struct emit *e, int reg, unsigned extension, unsigned count)
{
    x_rr(e, 32, X_SHIFT_IMM, (int)extension, reg);
    x_byte(e, count);
}
enum { LEFT = 4, RIGHT = 5 };

/* -- PUSHF, POPF -------------------------------------------------------------------------------------------------- */

static void push_flags(struct front *f)
{
    const unsigned bits = op_bits(f->i);
    struct emit *e = f->e;

    f_clobber(f);
    struct x_mem at = f_spare_rcx(f, f_stack(f, ESP, -(int32_t)bits / 8, bits, true));
    x_rm(e, 32, X_MOV_R_RM, RAX, eflags);
    x_alu_imm(e, 32, X_AND, RAX, ~(uint32_t)(EF_STATUS | EF_VM | EF_RF));
    x_alu_imm(e, 32, X_OR, RAX, EF_ONE);
    x_mov(e, RCX, FLAGS);
    shift(e, RCX, RIGHT, RAW_AH_SHIFT);
    x_alu_imm(e, 32, X_AND, RCX, RAW_AH);
    x_rr(e, 32, X_OR << 3 | X_ALU_RM_R, RCX, RAX);
    x_mov(e, RCX, FLAGS);
    x_alu_imm(e, 32, X_AND, RCX, 1);
    shift(e, RCX, LEFT, OF_SHIFT);
    x_rr(e, 32, X_OR << 3 | X_ALU_RM_R, RCX, RAX);
    x_rm(e, bits, X_MOV_RM_R, RAX, at);
    f_add_esp(f, -(int32_t)bits / 8);
}

/* EFLAGS is in ECX, the value to come in EAX: to the interpreter with changes that have consequences (stack.c,
 * event_set_eflags()).  At privilege 3 IF stays where IOPL is 0. */
static void refuse_changes(struct front *f)
{
    const uint32_t never = EF_TF | EF_NT | (op_bits(f->i) == 32 ? EF_AC | EF_ID : 0), absent = EF_RF | EF_VIF | EF_VIP;
    bool user = f->m->user;
    struct emit *e = f->e;

    x_mov(e, RDX, RAX);
    x_rr(e, 32, X_XOR << 3 | X_ALU_RM_R, RCX, RDX);
    x_rr(e, 32, X_GROUP3, 0, RDX);
    x_u32(e, user ? never : never | EF_IOPL);
    f_site_if(f, X_CC_NE);
    x_rr(e, 32, X_GROUP3, 0, RCX);
    x_u32(e, user ? absent | EF_IOPL : absent);
    f_site_if(f, X_CC_NE);
    if (user) return;
    x_rr(e, 32, X_GROUP3, 0, RDX);
    x_u32(e, EF_IF);
    uint8_t *same = x_jcc(e, X_CC_E);
    x_alu_mem_imm(e, 8, X_CMP, vm_at(offsetof(struct vp_vm, intr)), 0);
    f_site_if(f, X_CC_NE);
    x_land(e, same);
}

static void pop_flags(struct front *f)
{
    const uint32_t taken = f->m->user ? EF_DF : EF_DF | EF_IF;
    const unsigned bits = op_bits(f->i);
    struct emit *e = f->e;

    struct x_mem at = f_stack(f, ESP, 0, bits, false);
    f_clobber(f);
    x_rm(e, 32, bits == 32 ? X_MOV_R_RM : X_MOVZX_W, RAX, at);
    x_rm(e, 32, X_MOV_R_RM, RCX, eflags);
    refuse_changes(f);
    x_alu_imm(e, 32, X_AND, RCX, ~taken);
    x_mov(e, RDX, RAX);
    x_alu_imm(e, 32, X_AND, RDX, taken);
    x_rr(e, 32, X_OR << 3 | X_ALU_RM_R, RDX, RCX);
    x_rm(e, 32, X_MOV_RM_R, RCX, eflags);
    x_mov(e, FLAGS, RAX);
    x_alu_imm(e, 32, X_AND, FLAGS, RAW_AH);
    shift(e, FLAGS, LEFT, RAW_AH_SHIFT);
    shift(e, RAX, RIGHT, OF_SHIFT);
    x_alu_imm(e, 32, X_AND, RAX, 1);
    x_rr(e, 32, X_OR << 3 | X_ALU_RM_R, RAX, FLAGS);
    f->flags = IN_RBX;
    f->assumes &= ~(unsigned)ASSUMES_UP;
    f_add_esp(f, (int32_t)bits / 8);
}

/* -- CLI, STI ----------------------------------------------------------------------------------------------------- */

static void clear_if(struct front *f)
{
    f_clobber(f);
    x_alu_mem_imm(f->e, 32, X_AND, eflags, ~(uint32_t)EF_IF);
}

/* The instruction behind it is to come before any interrupt: so it is where none waits, and there is budget left, since
 * only a look at the clock makes one.  A kick may come any time. */
static void set_if(struct front *f)
{
    struct emit *e = f->e;

    f_clobber(f);
    x_rm(e, 32, X_GROUP3, 0, eflags);
    x_u32(e, EF_IF);
    uint8_t *same = x_jcc(e, X_CC_NE);
    x_alu_mem_imm(e, 8, X_CMP, vm_at(offsetof(struct vp_vm, intr)), 0);
    f_site_if(f, X_CC_NE);
    x_rr(e, 32, X_TEST_RM_R, BUDGET, BUDGET);
    f_site_if(f, X_CC_LE);
    x_alu_mem_imm(e, 32, X_OR, eflags, EF_IF);
    x_land(e, same);
}

/* -- LAHF, SAHF --------------------------------------------------------------------------------------------------- */

static void store_ah(struct front *f)
{
    const uint32_t ah = 0xff00;
    struct emit *e = f->e;

    f_clobber(f);
    x_mov(e, RAX, FLAGS);
    x_alu_imm(e, 32, X_AND, RAX, RAW_AH << RAW_AH_SHIFT);
    x_alu_imm(e, 32, X_OR, RAX, EF_ONE << RAW_AH_SHIFT);
    x_alu_imm(e, 32, X_AND, guest(EAX), ~ah);
    x_rr(e, 32, X_OR << 3 | X_ALU_RM_R, RAX, guest(EAX));
}

static void load_ah(struct front *f)
{
    struct emit *e = f->e;

    if (!(f->flags & IN_HOST)) {
        x_mov(e, RAX, FLAGS);
        x_byte(e, 0x04), x_byte(e, 0x7f); /* add al,127: OF where AL is 1 */
    }
    x_mov(e, RAX, guest(EAX));
    x_byte(e, 0x9e); /* sahf */
    f_made(f);
}

/* -- Segment registers as sources --------------------------------------------------------------------------------- */

static void load_selector(struct front *f, int to)
{
    size_t at = offsetof(struct vp_vm, cpu.seg) + f->i->reg * sizeof(struct vp_seg);

    x_rm(f->e, 32, X_MOVZX_W, to, vm_at(at + offsetof(struct vp_seg, sel)));
}

static void store_selector(struct front *f)
{
    if (is_mem(f)) {
        struct x_mem at = f_spare_rcx(f, f_operand(f, 16, true));
        load_selector(f, RCX);
        x_rm(f->e, 16, X_MOV_RM_R, RCX, at);
    } else if (op_bits(f->i) == 32) {
        load_selector(f, guest(f->i->rm));
    } else {
        load_selector(f, RCX);
        x_rr(f->e, 16, X_MOV_RM_R, RCX, guest(f->i->rm));
    }
}

static void push_selector(struct front *f)
{
    const unsigned bits = op_bits(f->i);
    struct x_mem at = f_spare_rcx(f, f_stack(f, ESP, -(int32_t)bits / 8, bits, true));

    load_selector(f, RCX);
    x_rm(f->e, bits, X_MOV_RM_R, RCX, at);
    f_add_esp(f, -(int32_t)bits / 8);
}

/* -- Control registers, descriptors, the time-stamp counter -------------------------------------------------------- */

static void load_control(struct front *f)
{
    static const size_t at[] = {
        offsetof(struct vp_cpu, cr0), 0, offsetof(struct vp_cpu, cr2), offsetof(struct vp_cpu, cr3),
        offsetof(struct vp_cpu, cr4),
    };

    x_rm(f->e, 32, X_MOV_R_RM, guest(f->i->rm), vm_at(offsetof(struct vp_vm, cpu) + at[f->i->reg]));
}

/* VERR and VERW: ZF alone changes. */
static void verify(struct front *f, bool write)
{
    enum { ZF_SHIFT = 6 };
    struct emit *e = f->e;

    f_begin_help(f);
    f_take_word(f, RSI);
    f_help(f, help_verify, write);
    x_alu_imm(e, 32, X_CMP, RAX, HELP_REFUSES);
    f_site_if(f, X_CC_E);
    x_alu_imm(e, 32, X_AND, FLAGS, ~((uint32_t)EF_ZF << RAW_AH_SHIFT));
    shift(e, RAX, LEFT, RAW_AH_SHIFT + ZF_SHIFT);
    x_rr(e, 32, X_OR << 3 | X_ALU_RM_R, RAX, FLAGS);
    f->flags = IN_RBX;
}

/* Where it counts no instructions. */
static void read_time(struct front *f)
{
    const uint32_t UPPER = 32;
    struct emit *e = f->e;

    f_begin_help(f);
    if (f->m->cpl) {
        x_rm(e, 32, X_GROUP3, 0, vm_at(offsetof(struct vp_vm, cpu.cr4)));
        x_u32(e, CR4_TSD);
        f_site_if(f, X_CC_NE);
    }
    f_help(f, help_tsc, 0);
    x_mov(e, guest(EAX), RAX);
    x_rr(e, 64, X_SHIFT_IMM, RIGHT, RAX);
    x_byte(e, UPPER);
    x_mov(e, guest(EDX), RAX);
}

static bool front_help(struct front *f)
{
    switch (f->i->op) {
    case OP_MOV_Rd_Cd: return f->m->cpl == 0 && (load_control(f), true);
    case OP_RDTSC: return f->m->config.clock != VP_CLOCK_ICOUNT && (read_time(f), true);
    case OP_VERR_Ew: return !f->real && (verify(f, false), true);
    case OP_VERW_Ew: return !f->real && (verify(f, true), true);
    default: return false;
    }
}

bool front_system(struct front *f)
{
    const bool privileged = f->m->cpl == 0, v86 = f->real && f->m->user;

    switch (f->i->op) {
    case OP_PAUSE: return true;
    case OP_LAHF: store_ah(f); return true;
    case OP_SAHF: load_ah(f); return true;
    case OP_CLI: return privileged && (clear_if(f), true);
    case OP_STI: return privileged && !f->touches && (set_if(f), true);
    case OP_PUSHF: return !v86 && (push_flags(f), true);
    case OP_POPF: return !v86 && (pop_flags(f), true);
    case OP_MOV_Ev_Sw: store_selector(f); return true;
    case OP_PUSH_Zs: push_selector(f); return true;
    default: return front_help(f);
    }
}
