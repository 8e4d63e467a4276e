/* front_sse.c: SSE to SSE4.2, AES and SHA on XMM registers, each instruction as the same one of the host on the same
 * register.
 *
 * A block loads the host's register where it first names it and stores those it has changed at its end (one that is a
 * loop: around the loop), so between blocks all are in vp_cpu.fx; so they are for the interpreter, by cold code.  A
 * block's first instruction asks whether SSE may be used and MXCSR masks every exception (vp_vm.sse_off): the host has
 * the guest's MXCSR then (sse.h).
 */
#include "../sse.h"
#include "front.h"

enum { X_MOVAPS_LOAD = 0xf28, X_MOVAPS_STORE = 0xf29 };

static bool has_mem(const struct insn *i) { return i->form & FORM_MEM; }

/* -- Registers ---------------------------------------------------------------------------------------------------- */

static void move_each(struct front *f, unsigned opcode, unsigned registers)
{
    for (; registers; registers &= registers - 1) {
        const int n = __builtin_ctz(registers);
        x_rm(f->e, 32, opcode, n, vm_at(offsetof(struct vp_vm, cpu.fx) + FX_XMM + FX_SLOT * (unsigned)n));
    }
}

void f_xmm_spill(struct front *f, unsigned registers) { move_each(f, X_MOVAPS_STORE, registers); }
void f_xmm_load(struct front *f, unsigned registers) { move_each(f, X_MOVAPS_LOAD, registers); }

void f_xmm_flush(struct front *f)
{
    f_xmm_spill(f, f->xmm_dirty);
    f->xmm_dirty = 0;
}

static void need(struct front *f, unsigned registers)
{
    unsigned missing = registers & ~f->xmm_loaded;

    f_xmm_load(f, missing);
    f->xmm_loaded |= (uint8_t)missing;
}

/* -- The guard ---------------------------------------------------------------------------------------------------- */

bool bt_sse_live(struct vp_vm *m, bool wanted)
{
    bool usable = !(m->cpu.cr0 & (CR0_EM | CR0_TS)) && (m->cpu.cr4 & CR4_OSFXSR);

    if (wanted && usable) sse_begin(m);
    m->sse_off = !usable || m->sse_state != SSE_MASKED;
    return !wanted || !m->sse_off;
}

/* Where the host does not have the guest's MXCSR yet, the interpreter's turn brings it. */
static void guard(struct front *f) { f_guard(f, ASSUMES_SSE, offsetof(struct vp_vm, sse_off)); }

/* -- Operands ----------------------------------------------------------------------------------------------------- */

enum place { NOWHERE, GENERAL_REG, GENERAL_RM, XMM_REG, XMM_RM, XMM_FIRST };
enum { OPERANDS = 3 };

static enum place place_of(unsigned operand)
{
    if (operand >= OPD_Vdq && operand <= OPD_Vss) return XMM_REG;
    if (operand >= OPD_Udq && operand <= OPD_Uq) return XMM_RM;
    if (operand >= OPD_Wd && operand <= OPD_Ww) return XMM_RM;
    if (operand == OPD_XMM0) return XMM_FIRST;
    if (operand == OPD_Gd) return GENERAL_REG;
    return operand == OPD_Ed || operand == OPD_Ew || operand == OPD_Rd ? GENERAL_RM : NOWHERE;
}

/* Bits of the memory operand. */
static unsigned memory_bits(const struct insn *i)
{
    for (unsigned k = 0; k < 2; k++) switch (op_info[i->op].operand[k]) {
        case OPD_Mb: return 8;
        case OPD_Ew:
        case OPD_Mw:
        case OPD_Ww: return 16;
        case OPD_Ed:
        case OPD_Wd:
        case OPD_Wss: return 32;
        case OPD_Mq:
        case OPD_Wq:
        case OPD_Wsd: return 64;
        }
    return 128;
}

static bool is_text(const struct insn *i)
{
    return i->op >= OP_PCMPESTRM_Vdq_Wdq_Ib && i->op <= OP_PCMPISTRI_Vdq_Wdq_Ib;
}

static bool may_be_unaligned(const struct insn *i)
{
    switch (i->op) {
    case OP_LDDQU_Vdq_Mdq:
    case OP_PCMPESTRM_Vdq_Wdq_Ib:
    case OP_PCMPESTRI_Vdq_Wdq_Ib:
    case OP_PCMPISTRM_Vdq_Wdq_Ib:
    case OP_PCMPISTRI_Vdq_Wdq_Ib:
    case OP_MOVUPS_Vps_Wps:
    case OP_MOVUPS_Wps_Vps:
    case OP_MOVUPD_Vpd_Wpd:
    case OP_MOVUPD_Wpd_Vpd:
    case OP_MOVDQU_Vdq_Wdq:
    case OP_MOVDQU_Wdq_Vdq: return true;
    default: return false;
    }
}

/* The host's own instruction faults where the operand is not aligned; AMD's SHA does not. */
static bool host_wants_it_aligned(const struct insn *i) { return op_info[i->op].feature != FEAT_SHA; }

/* #GP for what is not aligned is the interpreter's: the host's own fault brings it there, or it is asked. */
static struct x_mem operand(struct front *f)
{
    const struct insn *i = f->i;
    bool writes = op_info[i->op].traits & TRAIT_MEM_WRITE;
    unsigned bits = memory_bits(i);

    if (bits != 128 || may_be_unaligned(i)) return f_operand(f, bits, writes);
    if (!f->quiet || !host_wants_it_aligned(i)) return f_operand_aligned(f, writes);
    struct x_mem at = f_operand(f, f->window ? bits : 8, writes); /* it crosses no page */
    at.scale |= X_TOUCH;
    return at;
}

/* -- Instructions ------------------------------------------------------------------------------------------------- */

/* Whether the first operand is written whole, whatever it was. */
static bool overwrites(const struct insn *i)
{
    switch (i->op) {
    case OP_LDDQU_Vdq_Mdq:
    case OP_MOVAPD_Vpd_Wpd:
    case OP_MOVAPS_Vps_Wps:
    case OP_MOVDQA_Vdq_Wdq:
    case OP_MOVDQU_Vdq_Wdq:
    case OP_MOVD_Vdq_Ed:
    case OP_MOVQ_Vdq_Wq:
    case OP_MOVUPD_Vpd_Wpd:
    case OP_MOVUPS_Vps_Wps:
    case OP_PSHUFD_Vdq_Wdq_Ib:
    case OP_PSHUFHW_Vdq_Wdq_Ib:
    case OP_PSHUFLW_Vdq_Wdq_Ib: return has_mem(i) || i->reg != i->rm || i->op == OP_MOVD_Vdq_Ed;
    case OP_MOVSD_Vsd_Wsd:
    case OP_MOVSS_Vss_Wss: return has_mem(i);
    case OP_PXOR_Vdq_Wdq:
    case OP_XORPD_Vpd_Wpd:
    case OP_XORPS_Vps_Wps: return !has_mem(i) && i->reg == i->rm;
    default: return false;
    }
}

/* Which register field a row's operand is in; those that are XMM registers are loaded. */
static void load_registers(struct front *f, int *reg, int *rm)
{
    const struct insn *i = f->i;

    for (unsigned k = 0; k < OPERANDS; k++) switch (place_of(op_info[i->op].operand[k])) {
        case XMM_FIRST: need(f, 1); break;
        case XMM_REG:
            if (k == 0 && overwrites(i)) f->xmm_loaded |= (uint8_t)(1u << i->reg);
            need(f, 1u << i->reg), *reg = i->reg;
            break;
        case GENERAL_REG: *reg = guest(i->reg); break;
        case XMM_RM:
            if (!has_mem(i)) need(f, 1u << i->rm), *rm = i->rm;
            break;
        case GENERAL_RM: *rm = guest(i->rm); break;
        default: break;
        }
}

/* The first operand is what an instruction writes, if it writes any. */
static void mark_written(struct front *f)
{
    const struct insn *i = f->i;
    enum place to = place_of(op_info[i->op].operand[0]);

    if (to == XMM_REG) f->xmm_dirty |= (uint8_t)(1u << i->reg);
    if (to == XMM_RM && !has_mem(i)) f->xmm_dirty |= (uint8_t)(1u << i->rm);
}

/* PCMPESTRM and its kin: lengths in EAX and EDX, the index to ECX or the mask to XMM0. */
static void emit_text(struct front *f)
{
    const struct insn *i = f->i;
    const bool index = i->op == OP_PCMPESTRI_Vdq_Wdq_Ib || i->op == OP_PCMPISTRI_Vdq_Wdq_Ib;
    int reg = 0, rm = 0;

    guard(f);
    struct x_mem at = {0};
    if (has_mem(i)) at = operand(f);
    if (has_mem(i) && at.base == RDX) { /* which is wanted */
        x_rm(f->e, 64, X_LEA, RSI, at);
        at = (struct x_mem){RSI, X_NONE, 0, 0};
    }
    load_registers(f, &reg, &rm);
    x_mov(f->e, RAX, guest(EAX));
    x_mov(f->e, RDX, guest(EDX));
    if (has_mem(i))
        x_rm(f->e, 32, op_info[i->op].code, reg, at);
    else
        x_rr(f->e, 32, op_info[i->op].code, reg, rm);
    x_byte(f->e, i->imm);
    if (index) {
        x_mov(f->e, guest(ECX), RCX);
    } else {
        f->xmm_loaded |= 1;
        f->xmm_dirty |= 1;
    }
    f_made(f);
}

static void emit_same(struct front *f)
{
    const struct insn *i = f->i;
    const struct op_info *info = &op_info[i->op];
    int reg = info->digit, rm = 0;

    guard(f);
    struct x_mem at = {0};
    if (has_mem(i)) at = operand(f);
    load_registers(f, &reg, &rm);
    if (has_mem(i))
        x_rm(f->e, 32, info->code, reg, at);
    else
        x_rr(f->e, 32, info->code, reg, rm);
    if (info->imm == IMM_IB) x_byte(f->e, i->imm);
    mark_written(f);
    if (info->flags_written) f_made(f);
}

static bool is_native(const struct insn *i)
{
    const unsigned traits = op_info[i->op].traits;

    switch (i->op) {
    case OP_LDMXCSR_Md:
    case OP_STMXCSR_Md:
    case OP_MASKMOVDQU_Vdq_Udq: return false;
    default: return (traits & TRAIT_SSE) && !(traits & TRAIT_MMX);
    }
}

/* -- Where registers stay in the host's from block to block -------------------------------------------------------- */

/* XMM registers that an instruction names. */
static unsigned named(const struct insn *i)
{
    unsigned registers = 0;

    if (!is_native(i)) return 0;
    if (is_text(i)) registers = 1;
    for (unsigned k = 0; k < OPERANDS; k++) {
        enum place at = place_of(op_info[i->op].operand[k]);
        if (at == XMM_FIRST) registers |= 1;
        if (at == XMM_REG) registers |= 1u << i->reg;
        if (at == XMM_RM && !has_mem(i)) registers |= 1u << i->rm;
    }
    return registers;
}

unsigned f_xmm_named(const struct front *f)
{
    unsigned registers = 0;

    for (unsigned k = 0; k < f->count; k++) registers |= named(&f->b->insns[k]);
    return registers;
}

void f_xmm_begin_loop(struct front *f)
{
    f->loop = NULL;
    f->xmm_loop = front_jumps_back(f) ? (uint8_t)f_xmm_named(f) : 0;
    if (!f->xmm_loop) return;
    need(f, f->xmm_loop);
    f->xmm_dirty = f->xmm_loop; /* in the second round */
    f->loop = x_runs_at(f->e);
}

void f_xmm_again(struct front *f) { need(f, f->xmm_loop); }

bool front_sse(struct front *f)
{
    switch (f->i->op) {
    case OP_SFENCE:
    case OP_LFENCE:
    case OP_MFENCE: return true; /* one thread, and memory that is always coherent */
    default: break;
    }
    if (!is_native(f->i)) return false;
    (is_text(f->i) ? emit_text : emit_same)(f);
    return true;
}
