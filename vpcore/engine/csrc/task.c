/* task.c: hardware task switches, see task.h.
 *
 * A switch has two halves (SDM 3A 7.3).  The first reads the whole new TSS, then saves the old task and moves the busy
 * bits: what faults there does so in the old task.  The second loads segment registers, whose faults belong to the new
 * task: by then vp_vm.new_task is set and every selector is in place with an unusable descriptor.
 */
#include "task.h"
#include "cr.h"
#include "debug.h"
#include "event.h"
#include "flags.h"
#include "mmu.h"
#include <stdatomic.h>

/* Offsets in a TSS, SDM 3A figures 8-2 and 8-10. */
enum {
    TSS32_ESP0 = 0x04,
    TSS32_CR3 = 0x1c,
    TSS32_EIP = 0x20,
    TSS32_EFLAGS = 0x24,
    TSS32_GPR = 0x28,
    TSS32_SEG = 0x48,
    TSS32_LDT = 0x60,
    TSS32_TRAP = 0x64,
    TSS32_LIMIT = 0x67,
    TSS32_SAVED = 0x5f,
    TSS16_SP0 = 0x02,
    TSS16_IP = 0x0e,
    TSS16_FLAGS = 0x10,
    TSS16_GPR = 0x12,
    TSS16_SEG = 0x22,
    TSS16_LDT = 0x2a,
    TSS16_LIMIT = 0x2b,
    TSS16_SAVED = 0x29,
};
enum { TSS32_SEGS = 6, TSS16_SEGS = 4 };

struct task_state {
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t seg[6], ldt;
    bool wide, trap;
};

static bool is_wide(unsigned attr) { return attr & 8; }

void task_stack(struct vp_vm *m, unsigned cpl, uint16_t *ss, uint32_t *esp)
{
    const struct vp_seg *tr = &m->cpu.seg[VP_TR];
    bool wide = is_wide(tr->attr);
    uint32_t at = wide ? TSS32_ESP0 + 8 * cpl : TSS16_SP0 + 4 * cpl, size = wide ? 4 : 2;

    if (at + size + 1 > tr->limit) raise_err(m, EXC_TS, sel_err(tr->sel));
    *esp = mmu_sys_ld(m, tr->base + at, size);
    *ss = (uint16_t)mmu_sys_ld(m, tr->base + at + size, 2);
}

/* -- The first half ----------------------------------------------------------------------------------------------- */

static void fetch_tss(struct vp_vm *m, uint16_t sel, enum task_kind kind, struct desc *d)
{
    unsigned vector = kind == TASK_IRET ? EXC_TS : EXC_GP;
    unsigned busy = kind == TASK_IRET ? SYS_BUSY : 0;

    if ((sel & SEL_TI) || sel_is_null(sel) || !desc_read(m, sel, d)) raise_err(m, vector, sel_err(sel));
    unsigned k = desc_kind(d);
    if (k != (SYS_TSS16 | busy) && k != (SYS_TSS32 | busy)) raise_err(m, vector, sel_err(sel));
    if (!attr_present(desc_attr(d))) raise_err(m, EXC_NP, sel_err(sel));
    if (desc_seg(d, sel).limit < (k & 8 ? TSS32_LIMIT : TSS16_LIMIT)) raise_err(m, EXC_TS, sel_err(sel));
}

static void read_tss32(struct vp_vm *m, uint32_t base, struct task_state *t)
{
    t->cr3 = mmu_sys_ld(m, base + TSS32_CR3, 4);
    t->eip = mmu_sys_ld(m, base + TSS32_EIP, 4);
    t->eflags = mmu_sys_ld(m, base + TSS32_EFLAGS, 4);
    for (unsigned k = 0; k < 8; k++) t->gpr[k] = mmu_sys_ld(m, base + TSS32_GPR + 4 * k, 4);
    for (unsigned k = 0; k < TSS32_SEGS; k++) t->seg[k] = (uint16_t)mmu_sys_ld(m, base + TSS32_SEG + 4 * k, 2);
    t->ldt = (uint16_t)mmu_sys_ld(m, base + TSS32_LDT, 2);
    t->trap = mmu_sys_ld(m, base + TSS32_TRAP, 2) & 1;
}

/* The upper halves of registers are undefined by the manual; ones, as other implementations have it. */
static void read_tss16(struct vp_vm *m, uint32_t base, struct task_state *t)
{
    t->eip = mmu_sys_ld(m, base + TSS16_IP, 2);
    t->eflags = mmu_sys_ld(m, base + TSS16_FLAGS, 2);
    for (unsigned k = 0; k < 8; k++) t->gpr[k] = 0xffff0000u | mmu_sys_ld(m, base + TSS16_GPR + 2 * k, 2);
    for (unsigned k = 0; k < TSS16_SEGS; k++) t->seg[k] = (uint16_t)mmu_sys_ld(m, base + TSS16_SEG + 2 * k, 2);
    t->ldt = (uint16_t)mmu_sys_ld(m, base + TSS16_LDT, 2);
}

/* Save the current task where its TSS has room for what is saved. */
static void save_task(struct vp_vm *m, uint32_t eip, uint32_t eflags)
{
    const struct vp_seg *tr = &m->cpu.seg[VP_TR];
    bool wide = is_wide(tr->attr);
    unsigned size = wide ? 4 : 2, segs = wide ? TSS32_SEGS : TSS16_SEGS;
    uint32_t mask = wide ? 0xffffffffu : 0xffff;

    if (tr->limit < (uint32_t)(wide ? TSS32_SAVED : TSS16_SAVED)) raise_err(m, EXC_TS, sel_err(tr->sel));
    uint32_t at = tr->base + (wide ? TSS32_EIP : TSS16_IP);
    mmu_sys_st(m, at, size, eip & mask);
    mmu_sys_st(m, at + size, size, eflags & mask);
    for (unsigned k = 0; k < 8; k++) mmu_sys_st(m, at + (2 + k) * size, size, m->cpu.gpr[k] & mask);
    for (unsigned k = 0; k < segs; k++) mmu_sys_st(m, at + (10 + k) * size, 2, m->cpu.seg[k].sel);
}

static void move_busy_bit(struct vp_vm *m, struct desc *next, enum task_kind kind)
{
    struct desc old;
    bool nested = kind == TASK_CALL || kind == TASK_INT;

    if (!nested && desc_read(m, m->cpu.seg[VP_TR].sel, &old)) desc_clear_type_bits(m, &old, SYS_BUSY);
    desc_set_type_bits(m, next, SYS_BUSY);
}

/* -- The second half ---------------------------------------------------------------------------------------------- */

/* From here on the new task runs. */
static void enter_task(struct vp_vm *m, const struct task_state *t, struct vp_seg tr)
{
    if (t->wide && (m->cpu.cr0 & CR0_PG)) cr3_write(m, t->cr3);
    m->new_task = 1;
    m->cpu.seg[VP_TR] = tr;
    m->cpu.cr0 |= CR0_TS;
    m->cpu.dr[7] &= ~(uint32_t)DR7_LOCAL;
    for (unsigned k = 0; k < 8; k++) m->cpu.gpr[k] = t->gpr[k];
    m->cpu.eip = t->eip;
    event_set_eflags(m, t->eflags, ~0u);
    /* CPL is SS.DPL, and the new CPL is the RPL of CS */
    for (unsigned k = 0; k < TSS32_SEGS; k++) m->cpu.seg[k] = (struct vp_seg){.sel = t->seg[k], .attr = VP_SEG_NULL};
    m->cpu.seg[VP_SS].attr |= (uint16_t)((t->seg[VP_CS] & SEL_RPL) << 5);
    m->cpu.seg[VP_LDTR] = (struct vp_seg){.sel = t->ldt, .attr = VP_SEG_NULL};
    seg_derive_all(m);
}

static void load_code(struct vp_vm *m, uint16_t sel)
{
    struct desc d;
    unsigned rpl = sel & SEL_RPL;

    desc_fetch(m, sel, &d, EXC_TS);
    unsigned attr = desc_attr(&d), dpl = attr_dpl(attr);
    bool allowed = attr_is_conforming(attr) ? dpl <= rpl : dpl == rpl;
    if (!attr_is_code(attr) || !allowed) raise_err(m, EXC_TS, sel_err(sel));
    if (!attr_present(attr)) raise_err(m, EXC_NP, sel_err(sel));
    seg_set(m, VP_CS, sel, &d);
}

static void load_data(struct vp_vm *m, unsigned seg, uint16_t sel)
{
    struct desc d;

    if (sel_is_null(sel)) return;
    desc_fetch(m, sel, &d, EXC_TS);
    unsigned attr = desc_attr(&d), dpl = attr_dpl(attr);
    bool too_low = !attr_is_conforming(attr) && (dpl < (sel & SEL_RPL) || dpl < m->cpl);
    if (!attr_is_readable(attr) || too_low) raise_err(m, EXC_TS, sel_err(sel));
    if (!attr_present(attr)) raise_err(m, EXC_NP, sel_err(sel));
    seg_set(m, seg, sel, &d);
}

/* In the order of SDM 3A table 7-1. */
static void load_segments(struct vp_vm *m, const struct task_state *t)
{
    struct desc ss;

    seg_load_ldt(m, t->ldt, EXC_TS);
    if (m->cpu.eflags & EF_VM) {
        for (unsigned k = 0; k < TSS32_SEGS; k++) seg_load_real(m, k, t->seg[k]);
        return;
    }
    seg_check_stack(m, t->seg[VP_SS], t->seg[VP_CS] & SEL_RPL, EXC_TS, &ss);
    seg_set(m, VP_SS, t->seg[VP_SS], &ss);
    load_code(m, t->seg[VP_CS]);
    load_data(m, VP_ES, t->seg[VP_ES]);
    load_data(m, VP_DS, t->seg[VP_DS]);
    load_data(m, VP_FS, t->seg[VP_FS]);
    load_data(m, VP_GS, t->seg[VP_GS]);
}

bool task_switch(struct vp_vm *m, uint16_t sel, enum task_kind kind, uint32_t next_eip)
{
    bool nested = kind == TASK_CALL || kind == TASK_INT;
    uint32_t eflags = eflags_get(m);
    struct task_state t = {.wide = false};
    struct desc d;

    fetch_tss(m, sel, kind, &d);
    struct vp_seg tr = desc_seg(&d, sel);
    tr.attr |= SYS_BUSY;
    t.wide = is_wide(tr.attr);
    if (t.wide)
        read_tss32(m, tr.base, &t);
    else
        read_tss16(m, tr.base, &t);
    save_task(m, next_eip, kind == TASK_IRET ? eflags & ~(uint32_t)EF_NT : eflags);
    if (nested) {
        mmu_sys_st(m, tr.base, 2, m->cpu.seg[VP_TR].sel);
        t.eflags |= EF_NT;
    }
    move_busy_bit(m, &d, kind);
    enter_task(m, &t, tr);
    load_segments(m, &t);
    m->new_task = 0;
    if (t.trap) {
        m->cpu.pending_db |= DR6_BT;
        atomic_fetch_or(&m->attn, ATTN_TRAP);
    }
    return t.wide;
}

bool task_gate(struct vp_vm *m, const struct desc *gate, enum task_kind kind, uint32_t next_eip)
{
    return task_switch(m, gate_sel(gate), kind, next_eip);
}
