/* far.c: control transfers between segments, see far.h.
 *
 * Policy: descriptors are fetched, checked and marked accessed, and stacks written, before the first register changes.
 */
#include "far.h"
#include "event.h"
#include "flags.h"
#include "mmu.h"
#include "task.h"

/* -- Stacks and code segments ------------------------------------------------------------------------------------- */

static uint32_t stack_mask(const struct vp_seg *ss) { return ss->attr & VP_SEG_DB ? 0xffffffffu : 0xffff; }

struct stack stack_current(const struct vp_vm *m)
{
    const struct vp_seg *ss = &m->cpu.seg[VP_SS];

    return (struct stack){.ss = *ss, .sp = m->cpu.gpr[ESP], .mask = m->sp_mask, .cpl = m->cpl};
}

struct stack stack_inner(struct vp_vm *m, unsigned cpl)
{
    uint16_t sel;
    uint32_t esp;
    struct desc d;

    task_stack(m, cpl, &sel, &esp);
    seg_check_stack(m, sel, cpl, EXC_TS, &d);
    desc_set_type_bits(m, &d, 1);
    struct vp_seg ss = desc_seg(&d, sel);
    return (struct stack){.ss = ss, .sp = esp, .mask = stack_mask(&ss), .err = sel_err(sel), .cpl = (uint8_t)cpl};
}

void stack_push(struct vp_vm *m, struct stack *s, bool wide, uint32_t value)
{
    unsigned size = wide ? 4 : 2;
    uint32_t sp = (s->sp - size) & s->mask;

    if (!seg_in_limit(&s->ss, sp, size)) raise_err(m, EXC_SS, s->err);
    if (!wide) value &= 0xffff;
    if (s->cpl == 3) /* then CPL is 3 already: transfers that push go inward or stay */
        mmu_st_slow(m, s->ss.base + sp, size, value);
    else if (wide)
        mmu_sys_st(m, s->ss.base + sp, 4, value);
    else
        mmu_sys_st(m, s->ss.base + sp, 2, value);
    s->sp = (s->sp & ~s->mask) | sp;
}

void stack_commit(struct vp_vm *m, const struct stack *s)
{
    m->cpu.gpr[ESP] = s->sp;
    m->cpu.seg[VP_SS] = s->ss;
    seg_derive(m, VP_SS);
}

/* The n-th slot of the current stack, counted in bytes from its top. */
static uint32_t stack_peek(struct vp_vm *m, bool wide, uint32_t at)
{
    uint32_t sp = (m->cpu.gpr[ESP] + at) & m->sp_mask;

    return wide ? ld32(m, VP_SS, sp) : ld16(m, VP_SS, sp);
}

static void stack_drop(struct vp_vm *m, uint32_t bytes)
{
    m->cpu.gpr[ESP] = (m->cpu.gpr[ESP] & ~m->sp_mask) | ((m->cpu.gpr[ESP] + bytes) & m->sp_mask);
}

void code_check_eip(struct vp_vm *m, const struct desc *d, uint32_t eip)
{
    if (eip > desc_seg(d, 0).limit) raise_gp0(m);
}

void code_enter(struct vp_vm *m, uint16_t sel, struct desc *d, unsigned cpl, uint32_t eip)
{
    seg_set(m, VP_CS, (uint16_t)(sel_err(sel) | cpl), d);
    m->cpu.eip = eip;
}

static void enter_real(struct vp_vm *m, uint16_t sel, uint32_t eip)
{
    seg_load_real(m, VP_CS, sel);
    m->cpu.eip = eip;
}

/* The next instruction of one that is not told by its handler. */
static uint32_t following_eip(const struct vp_vm *m) { return m->block_eip + m->cur->off + m->cur->len; }

/* -- JMP and CALL ------------------------------------------------------------------------------------------------- */

/* A code segment as target: `rpl` is the selector's, or 0 through a gate, where RPL is not looked at. */
static void check_code(struct vp_vm *m, uint16_t sel, const struct desc *d, unsigned rpl)
{
    unsigned attr = desc_attr(d), dpl = attr_dpl(attr);
    bool allowed = attr_is_conforming(attr) ? dpl <= m->cpl : dpl == m->cpl && rpl <= m->cpl;

    if (!attr_is_code(attr) || !allowed) raise_err(m, EXC_GP, sel_err(sel));
    if (!attr_present(attr)) raise_err(m, EXC_NP, sel_err(sel));
}

/* The code segment behind a call gate, whose privilege may be higher when `call`. */
static void fetch_gate_target(struct vp_vm *m, const struct desc *gate, bool call, struct desc *cs)
{
    uint16_t sel = gate_sel(gate);

    desc_fetch(m, sel, cs, EXC_GP);
    unsigned attr = desc_attr(cs), dpl = attr_dpl(attr);
    bool allowed = call || attr_is_conforming(attr) ? dpl <= m->cpl : dpl == m->cpl;
    if (!attr_is_code(attr) || !allowed) raise_err(m, EXC_GP, sel_err(sel));
    if (!attr_present(attr)) raise_err(m, EXC_NP, sel_err(sel));
    code_check_eip(m, cs, gate_offset(gate));
    desc_set_type_bits(m, cs, 1);
}

/* Push CS and the return address. */
static void push_return(struct vp_vm *m, struct stack *s, bool wide, uint32_t next_eip)
{
    stack_push(m, s, wide, m->cpu.seg[VP_CS].sel);
    stack_push(m, s, wide, next_eip);
}

static void call_gate_inner(struct vp_vm *m, const struct desc *gate, struct desc *cs, uint32_t next_eip)
{
    bool wide = desc_kind(gate) & 8;
    unsigned cpl = attr_dpl(desc_attr(cs)), count = gate->hi & 0x1f, size = wide ? 4 : 2;
    struct stack s = stack_inner(m, cpl);

    stack_push(m, &s, wide, m->cpu.seg[VP_SS].sel);
    stack_push(m, &s, wide, m->cpu.gpr[ESP]);
    while (count--) stack_push(m, &s, wide, stack_peek(m, wide, count * size));
    push_return(m, &s, wide, next_eip);
    stack_commit(m, &s);
    code_enter(m, gate_sel(gate), cs, cpl, gate_offset(gate));
}

static void through_call_gate(struct vp_vm *m, const struct desc *gate, bool call, uint32_t next_eip)
{
    struct desc cs;

    fetch_gate_target(m, gate, call, &cs);
    unsigned attr = desc_attr(&cs);
    if (call && !attr_is_conforming(attr) && attr_dpl(attr) < m->cpl) {
        call_gate_inner(m, gate, &cs, next_eip);
        return;
    }
    if (call) {
        struct stack s = stack_current(m);
        push_return(m, &s, desc_kind(gate) & 8, next_eip);
        stack_commit(m, &s);
    }
    code_enter(m, gate_sel(gate), &cs, m->cpl, gate_offset(gate));
}

/* JMP or CALL to a system descriptor. */
static void far_system(struct vp_vm *m, uint16_t sel, const struct desc *d, bool call, uint32_t next_eip)
{
    enum task_kind task = call ? TASK_CALL : TASK_JMP;
    unsigned kind = desc_kind(d), dpl = attr_dpl(desc_attr(d));
    bool gate = kind == SYS_CALL16 || kind == SYS_CALL32 || kind == SYS_TASK;

    if (!gate && kind != SYS_TSS16 && kind != SYS_TSS32) raise_err(m, EXC_GP, sel_err(sel));
    if (dpl < m->cpl || dpl < (sel & SEL_RPL)) raise_err(m, EXC_GP, sel_err(sel));
    if (!attr_present(desc_attr(d))) raise_err(m, EXC_NP, sel_err(sel));
    if (!gate)
        task_switch(m, sel, task, next_eip);
    else if (kind == SYS_TASK)
        task_gate(m, d, task, next_eip);
    else
        through_call_gate(m, d, call, next_eip);
}

void far_jmp(struct vp_vm *m, uint16_t sel, uint32_t offset, uint32_t next_eip)
{
    struct desc d;

    if (far_is_real(m)) {
        if (offset > m->cpu.seg[VP_CS].limit) raise_gp0(m);
        enter_real(m, sel, offset);
        return;
    }
    desc_fetch(m, sel, &d, EXC_GP);
    if (desc_kind(&d) < 16) {
        far_system(m, sel, &d, false, next_eip);
        return;
    }
    check_code(m, sel, &d, sel & SEL_RPL);
    code_check_eip(m, &d, offset);
    code_enter(m, sel, &d, m->cpl, offset);
}

void far_call(struct vp_vm *m, uint16_t sel, uint32_t offset, bool os32, uint32_t next_eip)
{
    struct stack s = stack_current(m);
    struct desc d;

    if (far_is_real(m)) {
        if (offset > m->cpu.seg[VP_CS].limit) raise_gp0(m);
        push_return(m, &s, os32, next_eip);
        stack_commit(m, &s);
        enter_real(m, sel, offset);
        return;
    }
    desc_fetch(m, sel, &d, EXC_GP);
    if (desc_kind(&d) < 16) {
        far_system(m, sel, &d, true, next_eip);
        return;
    }
    check_code(m, sel, &d, sel & SEL_RPL);
    code_check_eip(m, &d, offset);
    push_return(m, &s, os32, next_eip);
    desc_set_type_bits(m, &d, 1);
    stack_commit(m, &s);
    code_enter(m, sel, &d, m->cpl, offset);
}

/* -- Returns ------------------------------------------------------------------------------------------------------ */

/* The code segment a RET or IRET pops (SDM 2, RET and IRET). */
static void fetch_return_code(struct vp_vm *m, uint16_t sel, struct desc *d)
{
    unsigned rpl = sel & SEL_RPL;

    desc_fetch(m, sel, d, EXC_GP);
    unsigned attr = desc_attr(d), dpl = attr_dpl(attr);
    bool allowed = rpl >= m->cpl && (attr_is_conforming(attr) ? dpl <= rpl : dpl == rpl);
    if (!attr_is_code(attr) || !allowed) raise_err(m, EXC_GP, sel_err(sel));
    if (!attr_present(attr)) raise_err(m, EXC_NP, sel_err(sel));
    desc_set_type_bits(m, d, 1);
}

/* The outer stack that lies at `at` of the present one. */
static struct stack fetch_outer_stack(struct vp_vm *m, bool wide, uint32_t at, unsigned cpl)
{
    uint32_t esp = stack_peek(m, wide, at);
    uint16_t sel = (uint16_t)stack_peek(m, wide, at + (wide ? 4 : 2));
    struct desc d;

    seg_check_stack(m, sel, cpl, EXC_GP, &d);
    desc_set_type_bits(m, &d, 1);
    struct vp_seg ss = desc_seg(&d, sel);
    uint32_t mask = stack_mask(&ss);
    /* a 16-bit stack takes 16 bits of ESP and leaves the others (SDM 2, RET) */
    return (struct stack){.ss = ss, .sp = (m->cpu.gpr[ESP] & ~mask) | (esp & mask), .mask = mask, .cpl = (uint8_t)cpl};
}

void far_ret(struct vp_vm *m, bool os32, uint32_t drop)
{
    uint32_t size = os32 ? 4 : 2;
    uint32_t eip = stack_peek(m, os32, 0);
    uint16_t sel = (uint16_t)stack_peek(m, os32, size);
    struct desc cs;

    if (far_is_real(m)) {
        if (eip > m->cpu.seg[VP_CS].limit) raise_gp0(m);
        stack_drop(m, 2 * size + drop);
        enter_real(m, sel, eip);
        return;
    }
    fetch_return_code(m, sel, &cs);
    code_check_eip(m, &cs, eip);
    unsigned cpl = sel & SEL_RPL;
    if (cpl == m->cpl) {
        stack_drop(m, 2 * size + drop);
        code_enter(m, sel, &cs, cpl, eip);
        return;
    }
    struct stack s = fetch_outer_stack(m, os32, 2 * size + drop, cpl);
    s.sp = (s.sp & ~s.mask) | ((s.sp + drop) & s.mask);
    stack_commit(m, &s);
    code_enter(m, sel, &cs, cpl, eip);
    seg_drop_inner(m);
}

/* -- IRET --------------------------------------------------------------------------------------------------------- */

enum {
    IRET_ALWAYS = EF_STATUS | EF_TF | EF_DF | EF_NT,
    IRET_WIDE = EF_RF | EF_AC | EF_ID,
    IRET_REAL = IRET_ALWAYS | EF_IF | EF_IOPL,
};

static void iret_real(struct vp_vm *m, bool os32)
{
    uint32_t size = os32 ? 4 : 2;
    uint32_t eip = stack_peek(m, os32, 0);
    uint16_t sel = (uint16_t)stack_peek(m, os32, size);
    uint32_t flags = stack_peek(m, os32, 2 * size);
    uint32_t mask = IRET_REAL | (os32 ? IRET_WIDE : 0);

    if (m->cpu.eflags & EF_VM) mask &= ~(uint32_t)EF_IOPL;
    if (eip > m->cpu.seg[VP_CS].limit) raise_gp0(m);
    stack_drop(m, 3 * size);
    enter_real(m, sel, eip);
    event_set_eflags(m, flags, mask);
}

/* V86 mode with IOPL < 3 and CR4.VME: 16-bit IRET moves IF to VIF (SDM 3B 20.3.3.4). */
static void iret_vme(struct vp_vm *m)
{
    uint32_t eip = stack_peek(m, false, 0), flags = stack_peek(m, false, 4);
    uint16_t sel = (uint16_t)stack_peek(m, false, 2);

    if ((flags & EF_TF) || ((flags & EF_IF) && (m->cpu.eflags & EF_VIP))) raise_gp0(m);
    stack_drop(m, 6);
    enter_real(m, sel, eip);
    event_set_eflags(m, flags | (flags & EF_IF ? EF_VIF : 0), IRET_ALWAYS | EF_VIF);
}

static void iret_v86(struct vp_vm *m, bool os32)
{
    if (iopl(m) == 3)
        iret_real(m, os32);
    else if ((m->cpu.cr4 & CR4_VME) && !os32)
        iret_vme(m);
    else
        raise_gp0(m);
}

/* From privilege 0 into virtual-8086 mode: the frame has nine doublewords (SDM 3B 20.2.5). */
static void iret_to_v86(struct vp_vm *m, uint32_t flags)
{
    static const uint8_t order[] = {VP_SS, VP_ES, VP_DS, VP_FS, VP_GS};
    uint16_t sel[sizeof order];
    uint32_t eip = stack_peek(m, true, 0), esp = stack_peek(m, true, 12);
    uint16_t cs = (uint16_t)stack_peek(m, true, 4);

    for (unsigned k = 0; k < sizeof order; k++) sel[k] = (uint16_t)stack_peek(m, true, 16 + 4 * k);
    event_set_eflags(m, flags, IRET_REAL | IRET_WIDE | EF_VM | EF_VIF | EF_VIP);
    m->cpu.gpr[ESP] = esp;
    for (unsigned k = 0; k < sizeof order; k++) seg_load_real(m, order[k], sel[k]);
    enter_real(m, cs, eip);
}

static void iret_task(struct vp_vm *m)
{
    uint16_t link = (uint16_t)mmu_sys_ld(m, m->cpu.seg[VP_TR].base, 2);

    task_switch(m, link, TASK_IRET, following_eip(m));
}

static void iret_protected(struct vp_vm *m, bool os32)
{
    uint32_t size = os32 ? 4 : 2;
    uint32_t eip = stack_peek(m, os32, 0);
    uint16_t sel = (uint16_t)stack_peek(m, os32, size);
    uint32_t flags = stack_peek(m, os32, 2 * size);
    uint32_t mask = IRET_ALWAYS | (os32 ? IRET_WIDE : 0);
    struct desc cs;

    if (os32 && (flags & EF_VM) && m->cpl == 0) {
        iret_to_v86(m, flags);
        return;
    }
    if (m->cpl <= iopl(m)) mask |= EF_IF;
    if (m->cpl == 0) mask |= EF_IOPL | (os32 ? EF_VIF | EF_VIP : 0);
    fetch_return_code(m, sel, &cs);
    code_check_eip(m, &cs, eip);
    unsigned cpl = sel & SEL_RPL;
    if (cpl == m->cpl) {
        stack_drop(m, 3 * size);
        code_enter(m, sel, &cs, cpl, eip);
    } else {
        struct stack s = fetch_outer_stack(m, os32, 3 * size, cpl);
        stack_commit(m, &s);
        code_enter(m, sel, &cs, cpl, eip);
        seg_drop_inner(m);
    }
    event_set_eflags(m, flags, mask);
}

void event_iret(struct vp_vm *m, bool os32)
{
    if (!(m->cpu.cr0 & CR0_PE))
        iret_real(m, os32);
    else if (m->cpu.eflags & EF_VM)
        iret_v86(m, os32);
    else if (m->cpu.eflags & EF_NT)
        iret_task(m);
    else
        iret_protected(m, os32);
    if (!m->cpu.nmi_masked) return;
    m->cpu.nmi_masked = 0; /* SDM 3A 6.7.1 */
    event_sync(m);
}

/* -- SYSENTER and SYSEXIT ----------------------------------------------------------------------------------------- */

enum { SYSEXIT_CS = 16 };

/* Flat segments by decree, whatever the GDT says (SDM 2, SYSENTER). */
static void enter_flat(struct vp_vm *m, uint16_t cs, unsigned cpl, uint32_t eip, uint32_t esp)
{
    uint16_t dpl = (uint16_t)(cpl << 5);

    m->cpu.seg[VP_CS] = (struct vp_seg){.limit = 0xffffffffu, .sel = cs, .attr = ATTR_FLAT_CODE | dpl};
    m->cpu.seg[VP_SS] = (struct vp_seg){.limit = 0xffffffffu, .sel = cs + 8, .attr = ATTR_FLAT_DATA | dpl};
    seg_derive(m, VP_CS);
    seg_derive(m, VP_SS);
    m->cpu.gpr[ESP] = esp;
    m->cpu.eip = eip;
}

void far_sysenter(struct vp_vm *m)
{
    uint16_t cs = sel_err((uint16_t)m->cpu.sysenter_cs);

    if (!(m->cpu.cr0 & CR0_PE) || !cs) raise_gp0(m);
    event_set_eflags(m, 0, EF_VM | EF_IF | EF_RF);
    enter_flat(m, cs, 0, m->cpu.sysenter_eip, m->cpu.sysenter_esp);
}

void far_sysexit(struct vp_vm *m)
{
    uint16_t cs = sel_err((uint16_t)m->cpu.sysenter_cs);

    if (!(m->cpu.cr0 & CR0_PE) || m->cpl || !cs) raise_gp0(m);
    enter_flat(m, (uint16_t)(cs + SYSEXIT_CS) | 3, 3, m->cpu.gpr[EDX], m->cpu.gpr[ECX]);
}
