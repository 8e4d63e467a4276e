/* event.c: raising, priority and delivery of exceptions and interrupts, see event.h.
 *
 * A fault is kept in vp_vm.exc_* and thrown to the run loop by longjmp; event_deliver_fault() then delivers it from
 * outside the instruction.  A fault in a delivery throws again and comes back to the same place, where `delivering`
 * tells the class of the first event, so the rules for double faults need one table.  Nothing is changed before all
 * checks of a delivery are done.
 */
#include "event.h"
#include "cpuid.h"
#include "debug.h"
#include "far.h"
#include "flags.h"
#include "mmu.h"
#include "native_calls.h"
#include "task.h"
#include "x87.h"
#include <stdatomic.h>

enum exc_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT }; /* SDM 3A table 6-4 */

/* Serial faults can follow each other without end where a handler's own delivery is at fault in a benign way (#AC on
 * the handler's stack): a real processor hangs there, we shut down. */
enum { MAX_SERIAL_FAULTS = 8 };

enum { ERR_EXT = 1, ERR_IDT = 2 };

struct event {
    uint32_t error, eip;
    uint8_t vector;
    bool has_error, soft; /* soft: the gate's DPL counts */
    bool rf;              /* push EFLAGS with RF set */
};

/* -- Raising ------------------------------------------------------------------------------------------------------ */

static _Noreturn void raise_now(struct vp_vm *m, unsigned vector, bool has_error, uint32_t error)
{
    m->exc_vector = (uint8_t)vector;
    m->exc_has_error = has_error;
    m->exc_error = error;
    if (m->cur && !m->new_task) m->cpu.eip = m->block_eip + m->cur->off;
    longjmp(m->fault, 1);
}

/* exc_vector of no exception at all */
enum { EXC_FREEZE = 0xff };

void event_freeze(struct vp_vm *m)
{
    m->cpu.halted = 1;
    raise_now(m, EXC_FREEZE, false, 0);
}

void raise_exc(struct vp_vm *m, unsigned vector) { raise_now(m, vector, false, 0); }

void raise_err(struct vp_vm *m, unsigned vector, uint32_t error)
{
    bool selector = vector >= EXC_TS && vector <= EXC_GP;

    raise_now(m, vector, true, selector ? error | m->ext : error);
}

void raise_pf(struct vp_vm *m, uint32_t lin, uint32_t error)
{
    m->cpu.cr2 = lin;
    raise_now(m, EXC_PF, true, error);
}

void raise_db(struct vp_vm *m, uint32_t dr6)
{
    m->cpu.dr[6] |= dr6;
    raise_exc(m, EXC_DB);
}

/* -- EFLAGS and attention ----------------------------------------------------------------------------------------- */

/* Bits that exist, SDM 1, 3.4.3. */
enum {
    EF_VALID = EF_STATUS | EF_TF | EF_IF | EF_DF | EF_IOPL | EF_NT | EF_RF | EF_VM | EF_AC | EF_VIF | EF_VIP | EF_ID
};

void event_sync(struct vp_vm *m)
{
    const uint32_t others = ATTN_STOP | ATTN_BREAK;
    uint32_t want = 0;

    if (m->intr && (m->cpu.eflags & EF_IF)) want |= ATTN_INTR;
    if (m->cpu.nmi && !m->cpu.nmi_masked) want |= ATTN_NMI;
    if (m->cpu.shadow) want |= ATTN_SHADOW;
    if ((m->cpu.eflags & EF_TF) || m->cpu.step || m->cpu.pending_db) want |= ATTN_TRAP;
    if (m->cpu.halted) want |= ATTN_HALT;
    if (m->cpu.shutdown) want |= ATTN_SHUTDOWN;
    if (debug_wants(m, 1 << DEBUG_EXEC)) want |= ATTN_DR;
    uint32_t have = atomic_load_explicit(&m->attn, memory_order_relaxed);
    if ((have & ~others) == want) return;
    atomic_fetch_and(&m->attn, others);
    atomic_fetch_or(&m->attn, want);
}

void event_restart(struct vp_vm *m)
{
    m->cur = NULL;
    m->new_task = m->ext = m->delivering = m->delivery_depth = 0;
    m->cpu.pending_db &= DR6_TRAPS;
    event_sync(m);
}

void event_set_eflags(struct vp_vm *m, uint32_t value, uint32_t mask)
{
    uint32_t old = eflags_get(m);
    uint32_t flags = (old & ~mask) | (value & mask & EF_VALID);

    /* RF acts on instruction breakpoints only, and its clearing after one instruction needs single-stepping: it is not
     * kept where there is none */
    if ((flags & EF_RF) && !debug_wants(m, 1 << DEBUG_EXEC)) flags &= ~(uint32_t)EF_RF;
    if (!cpuid_has_cpuid(m)) flags &= ~(uint32_t)EF_ID;
    m->cpu.rf_used = 0;
    fl_put(m, flags);
    m->cpu.eflags = flags & ~(uint32_t)EF_STATUS;
    if (((old ^ flags) & EF_AC) && (m->cpu.cr0 & CR0_AM)) mmu_mode_changed(m);
    event_sync(m);
}

/* -- Delivery ----------------------------------------------------------------------------------------------------- */

static uint32_t idt_error(const struct event *e) { return (uint32_t)e->vector * 8 + ERR_IDT; }

static void deliver_real(struct vp_vm *m, const struct event *e)
{
    uint32_t at = e->vector * 4u;
    struct stack s = stack_current(m);

    if (at + 3 > m->cpu.idtr_limit) raise_err(m, EXC_GP, idt_error(e));
    uint32_t target = mmu_sys_ld(m, m->cpu.idtr_base + at, 4);
    stack_push(m, &s, false, eflags_get(m));
    stack_push(m, &s, false, m->cpu.seg[VP_CS].sel);
    stack_push(m, &s, false, e->eip);
    if ((target & 0xffff) > m->cpu.seg[VP_CS].limit) raise_err(m, EXC_GP, 0);
    stack_commit(m, &s);
    seg_load_real(m, VP_CS, (uint16_t)(target >> 16));
    m->cpu.eip = target & 0xffff;
    m->cpu.step = 0;
    event_set_eflags(m, 0, EF_IF | EF_TF | EF_RF | EF_AC);
}

/* INT n in virtual-8086 mode by way of the 8086 program's own vectors (SDM 3B table 20-2, methods 5 and 6). */
static void deliver_redirected(struct vp_vm *m, const struct event *e)
{
    bool virtual_if = iopl(m) < 3;
    uint32_t flags = eflags_get(m);
    uint32_t image = flags;
    struct stack s = stack_current(m);

    if (virtual_if) image = (flags & ~(uint32_t)EF_IF) | EF_IOPL | (flags & EF_VIF ? EF_IF : 0);
    uint32_t target = mmu_sys_ld(m, e->vector * 4u, 4);
    stack_push(m, &s, false, image);
    stack_push(m, &s, false, m->cpu.seg[VP_CS].sel);
    stack_push(m, &s, false, e->eip);
    stack_commit(m, &s);
    seg_load_real(m, VP_CS, (uint16_t)(target >> 16));
    m->cpu.eip = target & 0xffff;
    m->cpu.step = 0;
    event_set_eflags(m, 0, EF_TF | EF_NT | EF_RF | (virtual_if ? EF_VIF : EF_IF));
}

/* Through an interrupt or trap gate: the checks on its code segment. */
static void fetch_handler(struct vp_vm *m, const struct desc *gate, struct desc *cs)
{
    uint16_t sel = gate_sel(gate);

    desc_fetch(m, sel, cs, EXC_GP);
    unsigned attr = desc_attr(cs), dpl = attr_dpl(attr);
    if (!attr_is_code(attr) || dpl > m->cpl) raise_err(m, EXC_GP, sel_err(sel));
    if (!attr_present(attr)) raise_err(m, EXC_NP, sel_err(sel));
    /* from virtual-8086 mode to privilege 0 only (SDM 3B 20.3.1) */
    if ((m->cpu.eflags & EF_VM) && (attr_is_conforming(attr) || dpl)) raise_err(m, EXC_GP, sel_err(sel));
    code_check_eip(m, cs, gate_offset(gate));
    desc_set_type_bits(m, cs, 1);
}

/* What a change of stack adds to the frame. */
static void push_outer(struct vp_vm *m, struct stack *s, bool wide)
{
    static const uint8_t order[] = {VP_GS, VP_FS, VP_DS, VP_ES};

    for (unsigned k = 0; (m->cpu.eflags & EF_VM) && k < sizeof order; k++)
        stack_push(m, s, wide, m->cpu.seg[order[k]].sel);
    stack_push(m, s, wide, m->cpu.seg[VP_SS].sel);
    stack_push(m, s, wide, m->cpu.gpr[ESP]);
}

static void leave_v86(struct vp_vm *m)
{
    seg_set_null(m, VP_ES, 0);
    seg_set_null(m, VP_DS, 0);
    seg_set_null(m, VP_FS, 0);
    seg_set_null(m, VP_GS, 0);
}

static void deliver_gate(struct vp_vm *m, const struct event *e, const struct desc *gate)
{
    unsigned kind = desc_kind(gate);
    bool wide = kind & 8, v86 = m->cpu.eflags & EF_VM;
    struct desc cs;

    fetch_handler(m, gate, &cs);
    unsigned attr = desc_attr(&cs), dpl = attr_dpl(attr);
    bool inner = !attr_is_conforming(attr) && dpl < m->cpl;
    unsigned cpl = inner ? dpl : m->cpl;
    struct stack s = inner ? stack_inner(m, cpl) : stack_current(m);
    if (inner) push_outer(m, &s, wide);
    stack_push(m, &s, wide, eflags_get(m) | (e->rf ? EF_RF : 0));
    stack_push(m, &s, wide, m->cpu.seg[VP_CS].sel);
    stack_push(m, &s, wide, e->eip);
    if (e->has_error) stack_push(m, &s, wide, e->error);

    bool masks = kind == SYS_INT16 || kind == SYS_INT32;
    m->cpu.step = 0;
    event_set_eflags(m, 0, EF_TF | EF_VM | EF_RF | EF_NT | (masks ? EF_IF : 0));
    stack_commit(m, &s);
    code_enter(m, gate_sel(gate), &cs, cpl, gate_offset(gate));
    if (v86) leave_v86(m);
}

static void deliver_protected(struct vp_vm *m, const struct event *e)
{
    uint32_t at = e->vector * 8u;
    struct desc gate;

    if (at + 7 > m->cpu.idtr_limit) raise_err(m, EXC_GP, idt_error(e));
    gate.lin = m->cpu.idtr_base + at;
    gate.lo = mmu_sys_ld(m, gate.lin, 4);
    gate.hi = mmu_sys_ld(m, gate.lin + 4, 4);
    unsigned kind = desc_kind(&gate), attr = desc_attr(&gate);
    bool is_gate =
        kind == SYS_TASK || kind == SYS_INT16 || kind == SYS_TRAP16 || kind == SYS_INT32 || kind == SYS_TRAP32;
    if (!is_gate || (e->soft && attr_dpl(attr) < m->cpl)) raise_err(m, EXC_GP, idt_error(e));
    if (!attr_present(attr)) raise_err(m, EXC_NP, idt_error(e));
    if (kind != SYS_TASK) {
        deliver_gate(m, e, &gate);
        return;
    }
    bool wide = task_gate(m, &gate, TASK_INT, e->eip);
    m->cpu.step = 0;
    if (!e->has_error) return;
    struct stack s = stack_current(m);
    stack_push(m, &s, wide, e->error);
    stack_commit(m, &s);
}

static void deliver(struct vp_vm *m, const struct event *e)
{
    if (m->cpu.cr0 & CR0_PE)
        deliver_protected(m, e);
    else
        deliver_real(m, e);
    if (e->vector == EXC_DB && !e->soft) m->cpu.dr[7] &= ~(uint32_t)DR7_GD; /* SDM 3B 17.2.4 */
}

/* -- Software interrupts ------------------------------------------------------------------------------------------ */

/* The 8086 program's own handler is to be used (SDM 3B 20.3.3). */
static bool v86_redirects(struct vp_vm *m, unsigned vector)
{
    enum { MAP_BYTES = 32 };
    uint32_t map;

    return (m->cpu.cr4 & CR4_VME) && seg_tss_map_word(m, (int32_t)(vector >> 3) - MAP_BYTES, &map) &&
           !(map >> (vector & 7) & 1);
}

void event_soft_int(struct vp_vm *m, unsigned vector, enum int_kind kind, uint32_t next_eip)
{
    struct event e = {.vector = (uint8_t)vector, .eip = next_eip, .soft = kind != INT_1};

    if ((m->cpu.eflags & EF_VM) && kind == INT_N) {
        if (v86_redirects(m, vector)) {
            deliver_redirected(m, &e);
            return;
        }
        if (iopl(m) < 3) raise_gp0(m);
    }
    m->ext = kind == INT_1; /* SDM 2, INT n: EXT */
    deliver(m, &e);
    m->ext = 0;
}

/* -- Faults ------------------------------------------------------------------------------------------------------- */

static enum exc_class class_of(unsigned vector)
{
    switch (vector) {
    case EXC_DE:
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP: return CLASS_CONTRIBUTORY;
    case EXC_PF: return CLASS_PAGE_FAULT;
    case EXC_DF: return CLASS_DOUBLE_FAULT;
    default: return CLASS_BENIGN;
    }
}

static void end_delivery(struct vp_vm *m)
{
    m->delivering = CLASS_BENIGN;
    m->delivery_depth = 0;
    m->ext = 0;
    m->cur = NULL;
}

static void shut_down(struct vp_vm *m)
{
    end_delivery(m);
    m->cpu.shutdown = 1;
    event_sync(m);
}

/* SDM 3A table 6-5: the second of two faults is handled after the first, or makes a double fault of them. */
static bool makes_double_fault(enum exc_class first, enum exc_class second)
{
    if (first == CLASS_CONTRIBUTORY) return second == CLASS_CONTRIBUTORY;
    return first == CLASS_PAGE_FAULT && second != CLASS_BENIGN;
}

/* A faulting instruction does not retire.  But where none has retired since the last fault, the fault counts as one:
 * handlers that fault at once must not stop the clock. */
static void pass_time(struct vp_vm *m)
{
    if (m->fault_mark == m->insns + 1) {
        m->insns++;
        m->budget--;
    }
    m->fault_mark = m->insns + 1;
}

void event_deliver_fault(struct vp_vm *m)
{
    enum exc_class first = m->delivering, second = class_of(m->exc_vector);

    if (m->exc_vector == EXC_FREEZE) {
        event_sync(m);
        end_delivery(m);
        return;
    }
    m->stats.faults++;
    m->new_task = 0;
    pass_time(m);
    if ((first == CLASS_DOUBLE_FAULT && second != CLASS_BENIGN) || ++m->delivery_depth > MAX_SERIAL_FAULTS) {
        shut_down(m);
        return;
    }
    if (makes_double_fault(first, second)) {
        m->exc_vector = EXC_DF;
        m->exc_has_error = true;
        m->exc_error = 0;
        second = CLASS_DOUBLE_FAULT;
    }
    struct event e = {.vector = m->exc_vector, .has_error = m->exc_has_error, .error = m->exc_error, .eip = m->cpu.eip};
    e.rf = second != CLASS_DOUBLE_FAULT;
    m->delivering = second;
    m->ext = 1;
    m->cpu.halted = 0;
    m->cpu.pending_db = 0;
    deliver(m, &e);
    end_delivery(m);
}

/* -- Between instructions ----------------------------------------------------------------------------------------- */

/* An event from outside the program, or a trap: nothing is executing. */
static void deliver_here(struct vp_vm *m, unsigned vector)
{
    struct event e = {.vector = (uint8_t)vector, .eip = m->cpu.eip};

    m->cpu.halted = 0;
    m->ext = 1;
    deliver(m, &e);
    end_delivery(m);
}

/* Traps of the instruction before (SDM 3A table 6-2, class 4). */
static bool take_debug_trap(struct vp_vm *m)
{
    uint32_t bits = m->cpu.pending_db | (m->cpu.step ? DR6_BS : 0);

    m->cpu.step = 0;
    m->cpu.pending_db = 0;
    if (!bits) return false;
    m->cpu.dr[6] |= bits;
    deliver_here(m, EXC_DB);
    return true;
}

static bool take_interrupt(struct vp_vm *m, unsigned held)
{
    if (m->cpu.nmi && !m->cpu.nmi_masked && held != SHADOW_SS) {
        m->cpu.nmi = 0;
        m->cpu.nmi_masked = 1;
        m->stats.interrupts++;
        deliver_here(m, EXC_NMI);
        return true;
    }
    if (!m->intr || !(m->cpu.eflags & EF_IF) || held) return false;
    m->stats.interrupts++;
    m->cpu.halted = 0;
    x87_leave(m);
    deliver_here(m, native_inta(m) & 0xff);
    return true;
}

/* Instruction breakpoints are faults before the instruction; their RF is the handler's business (SDM 3B 17.3.1.1). */
static bool take_breakpoint(struct vp_vm *m)
{
    if (m->cpu.halted || (m->cpu.eflags & EF_RF)) return false;
    uint32_t hit = debug_match(m, m->cpu.seg[VP_CS].base + m->cpu.eip, 1, 1 << DEBUG_EXEC);
    if (!hit) return false;
    m->cpu.dr[6] |= hit;
    deliver_here(m, EXC_DB);
    return true;
}

int event_poll(struct vp_vm *m)
{
    unsigned held = m->cpu.shadow;
    bool taken = false;

    m->cur = NULL;
    if (m->cpu.shutdown) return VP_EXIT_SHUTDOWN;
    m->cpu.shadow = SHADOW_NONE;
    if (m->cpu.rf_used) {
        m->cpu.eflags &= ~(uint32_t)EF_RF;
        m->cpu.rf_used = 0;
    }
    if (held == SHADOW_SS)
        m->cpu.step = 0; /* no trap after MOV SS; a data breakpoint waits (SDM 3A 6.8.3) */
    else
        taken = take_debug_trap(m);
    taken = taken || take_interrupt(m, held) || (held != SHADOW_SS && take_breakpoint(m));
    if (!m->cpu.halted) {
        m->cpu.step = (m->cpu.eflags & EF_TF) != 0;
        m->cpu.rf_used = (m->cpu.eflags & EF_RF) != 0;
    }
    event_sync(m);
    if (m->cpu.halted) return VP_EXIT_HALT;
    /* what was held off must be looked at again after one instruction */
    if (held && !taken && atomic_load(&m->attn)) atomic_fetch_or(&m->attn, ATTN_SHADOW);
    return -1;
}
