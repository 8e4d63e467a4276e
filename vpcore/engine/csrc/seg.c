/* seg.c: descriptors and segment registers, see seg.h.
 *
 * Every load reads and checks first and changes the register last, so that a fault leaves it as it was.  Error codes
 * are the selector without RPL; EXT is added by raise_err() while an event is delivered.
 */
#include "seg.h"
#include "event.h"
#include "flags.h"
#include "mmu.h"

/* -- Descriptor tables -------------------------------------------------------------------------------------------- */

/* Where it lies; false outside the table. */
static inline bool locate(const struct vp_vm *m, uint16_t sel, struct desc *d)
{
    const struct vp_seg *ldt = &m->cpu.seg[VP_LDTR];
    uint32_t base = m->cpu.gdtr_base, limit = m->cpu.gdtr_limit;

    if (sel & SEL_TI) {
        if (ldt->attr & VP_SEG_NULL) return false;
        base = ldt->base;
        limit = ldt->limit;
    }
    uint32_t offset = sel & ~7u;
    d->lin = base + offset;
    return offset + 7 <= limit;
}

/* Where that needs no more than the flat tables. */
static inline bool read_plainly(struct vp_vm *m, struct desc *d)
{
    const void *at = mmu_in(m, FLAT_SR, d->lin, 2 * sizeof d->lo);

    if (unlikely(!at)) return false;
    memcpy(&d->lo, at, sizeof d->lo);
    memcpy(&d->hi, (const uint8_t *)at + sizeof d->lo, sizeof d->hi);
    return true;
}

bool desc_read(struct vp_vm *m, uint16_t sel, struct desc *d)
{
    if (!locate(m, sel, d)) return false;
    if (read_plainly(m, d)) return true;
    d->lo = mmu_sys_ld(m, d->lin, 4);
    d->hi = mmu_sys_ld(m, d->lin + 4, 4);
    return true;
}

bool desc_peek(struct vp_vm *m, uint16_t sel, struct desc *d)
{
    return !sel_is_null(sel) && locate(m, sel, d) && read_plainly(m, d);
}

void desc_fetch(struct vp_vm *m, uint16_t sel, struct desc *d, unsigned vector)
{
    if (sel_is_null(sel) || !desc_read(m, sel, d)) raise_err(m, vector, sel_err(sel));
}

static void desc_store_type(struct vp_vm *m, const struct desc *d) { mmu_sys_st(m, d->lin + 5, 1, d->hi >> 8 & 0xff); }

void desc_set_type_bits(struct vp_vm *m, struct desc *d, unsigned bits)
{
    if ((d->hi >> 8 & bits) == bits) return;
    d->hi |= bits << 8;
    desc_store_type(m, d);
}

void desc_clear_type_bits(struct vp_vm *m, struct desc *d, unsigned bits)
{
    d->hi &= ~(bits << 8);
    desc_store_type(m, d);
}

/* -- Derived state ------------------------------------------------------------------------------------------------ */

static bool protected_mode(const struct vp_vm *m) { return m->cpu.cr0 & CR0_PE; }

/* Rights of the access kinds; real mode looks at the limit only. */
static bool seg_allows(const struct vp_vm *m, const struct vp_seg *s, enum access acc)
{
    if (s->attr & VP_SEG_NULL) return false;
    if (!protected_mode(m) || acc == ACC_EXEC) return true;
    return acc == ACC_WRITE ? attr_is_writable(s->attr) : attr_is_readable(s->attr);
}

static void derive_cpl(struct vp_vm *m)
{
    if (m->cpu.eflags & EF_VM)
        m->cpl = 3;
    else
        m->cpl = protected_mode(m) ? attr_dpl(m->cpu.seg[VP_SS].attr) : 0;
    uint8_t user = m->cpl == 3;
    if (m->user == user) return;
    m->user = user;
    if (m->cpu.cr0 & CR0_AM) mmu_mode_changed(m); /* alignment checks are on at CPL 3 only */
}

void seg_derive(struct vp_vm *m, unsigned seg)
{
    const struct vp_seg *s = &m->cpu.seg[seg];

    if (seg <= VP_GS) {
        struct seg_access *a = &m->sacc[seg];
        bool down = attr_is_expand_down(s->attr);
        a->base = s->base;
        a->rd_last = !down && seg_allows(m, s, ACC_READ) ? (int64_t)s->limit : -1;
        a->wr_last = !down && seg_allows(m, s, ACC_WRITE) ? (int64_t)s->limit : -1;
        a->wide = a->rd_last == UINT32_MAX && a->wr_last == UINT32_MAX;
    }
    if (seg == VP_CS) m->code32 = (s->attr & VP_SEG_DB) != 0;
    if (seg == VP_SS) {
        m->sp_mask = s->attr & VP_SEG_DB ? 0xffffffffu : 0xffff;
        derive_cpl(m);
    }
}

void seg_derive_all(struct vp_vm *m)
{
    for (unsigned seg = VP_ES; seg <= VP_GS; seg++) seg_derive(m, seg);
}

/* -- Access checks ------------------------------------------------------------------------------------------------ */

/* Limit of SDM 3A 5.3.  A segment of 4 GB has no end to cross: whether its wrap-around faults is "implementation
 * specific", and here it does not. */
bool seg_in_limit(const struct vp_seg *s, uint32_t ea, unsigned size)
{
    uint64_t last = (uint64_t)ea + size - 1;

    if (attr_is_expand_down(s->attr)) return ea > s->limit && last <= (s->attr & VP_SEG_DB ? 0xffffffffu : 0xffff);
    return s->limit == 0xffffffffu || last <= s->limit;
}

uint32_t seg_check(struct vp_vm *m, unsigned seg, uint32_t ea, unsigned size, enum access acc)
{
    const struct vp_seg *s = &m->cpu.seg[seg];

    if (!seg_allows(m, s, acc) || !seg_in_limit(s, ea, size)) raise_err(m, seg == VP_SS ? EXC_SS : EXC_GP, 0);
    return s->base + ea;
}

bool seg_tss_map_word(struct vp_vm *m, int32_t offset, uint32_t *word)
{
    enum { IO_MAP_BASE = 0x66 };
    const struct vp_seg *tr = &m->cpu.seg[VP_TR];

    /* only a 32-bit TSS has the maps (SDM 1, 18.5.2) */
    if ((tr->attr & 0x1d) != SYS_TSS32 || (tr->attr & VP_SEG_NULL) || tr->limit < IO_MAP_BASE + 1) return false;
    int64_t at = (int64_t)(mmu_sys_ld(m, tr->base + IO_MAP_BASE, 2)) + offset;
    if (at < 0 || at + 1 > tr->limit) return false;
    *word = mmu_sys_ld(m, tr->base + (uint32_t)at, 2);
    return true;
}

void seg_io_check(struct vp_vm *m, uint32_t port, unsigned size)
{
    uint32_t map;

    if (!protected_mode(m) || (m->cpl <= iopl(m) && !(m->cpu.eflags & EF_VM))) return;
    if (!seg_tss_map_word(m, (int32_t)(port >> 3), &map) || (map >> (port & 7) & ((1u << size) - 1))) raise_gp0(m);
}

/* -- Loading ------------------------------------------------------------------------------------------------------ */

void seg_set(struct vp_vm *m, unsigned seg, uint16_t sel, struct desc *d)
{
    desc_set_type_bits(m, d, 1);
    m->cpu.seg[seg] = desc_seg(d, sel);
    seg_derive(m, seg);
}

void seg_set_null(struct vp_vm *m, unsigned seg, uint16_t sel)
{
    m->cpu.seg[seg] = (struct vp_seg){.sel = sel, .attr = VP_SEG_NULL};
    seg_derive(m, seg);
}

/* Real mode keeps limit and attributes, which is what makes "unreal" segments possible; a register that held null has
 * none to keep. */
void seg_load_real(struct vp_vm *m, unsigned seg, uint16_t sel)
{
    struct vp_seg *s = &m->cpu.seg[seg];
    bool v86 = m->cpu.eflags & EF_VM;

    s->sel = sel;
    s->base = (uint32_t)sel << 4;
    if (v86 || (s->attr & VP_SEG_NULL)) {
        s->limit = 0xffff;
        s->attr = v86 ? ATTR_V86 : ATTR_REAL;
    }
    seg_derive(m, seg);
}

void seg_check_stack(struct vp_vm *m, uint16_t sel, unsigned cpl, unsigned vector, struct desc *d)
{
    desc_fetch(m, sel, d, vector); /* null is error code 0 */
    unsigned attr = desc_attr(d);
    if ((sel & SEL_RPL) != cpl || !attr_is_writable(attr) || attr_dpl(attr) != cpl) raise_err(m, vector, sel_err(sel));
    if (!attr_present(attr)) raise_err(m, EXC_SS, sel_err(sel));
}

static struct seg_load *known_load(struct vp_vm *m, uint16_t sel)
{
    enum { INDEX_SHIFT = 3 };

    return &m->seg_loads[(sel >> INDEX_SHIFT) % SEG_LOADS];
}

static inline bool is_known(const struct vp_vm *m, const struct seg_load *known, uint16_t sel, const struct desc *d)
{
    return known->sel == sel && known->cpl == m->cpl && known->lo == d->lo && known->hi == d->hi;
}

static inline void load_known(struct vp_vm *m, unsigned seg, const struct seg_load *known)
{
    m->cpu.seg[seg] = known->seg;
    m->sacc[seg] = known->access;
}

bool seg_load_again(struct vp_vm *m, unsigned seg, uint16_t sel, bool flat)
{
    const struct seg_load *known = known_load(m, sel);
    struct desc d;

    if (sel_is_null(sel) && !flat) {
        seg_set_null(m, seg, sel);
        return true;
    }
    if (!desc_peek(m, sel, &d) || !is_known(m, known, sel, &d)) return false;
    if (flat && !(known->access.wide && !known->access.base)) return false;
    load_known(m, seg, known);
    return true;
}

static void load_data(struct vp_vm *m, unsigned seg, uint16_t sel)
{
    struct seg_load *known = known_load(m, sel);
    struct desc d;

    if (sel_is_null(sel)) {
        seg_set_null(m, seg, sel);
        return;
    }
    desc_fetch(m, sel, &d, EXC_GP);
    if (is_known(m, known, sel, &d)) {
        load_known(m, seg, known);
        return;
    }
    unsigned attr = desc_attr(&d), dpl = attr_dpl(attr);
    bool too_low = !attr_is_conforming(attr) && (dpl < (sel & SEL_RPL) || dpl < m->cpl);
    if (!attr_is_readable(attr) || too_low) raise_err(m, EXC_GP, sel_err(sel));
    if (!attr_present(attr)) raise_err(m, EXC_NP, sel_err(sel));
    seg_set(m, seg, sel, &d);
    *known = (struct seg_load){sel, m->cpl, d.lo, d.hi, m->cpu.seg[seg], m->sacc[seg]};
}

void seg_load(struct vp_vm *m, unsigned seg, uint16_t sel)
{
    if (!protected_mode(m) || (m->cpu.eflags & EF_VM)) {
        seg_load_real(m, seg, sel);
    } else if (seg == VP_SS) {
        struct desc d;
        seg_check_stack(m, sel, m->cpl, EXC_GP, &d);
        seg_set(m, seg, sel, &d);
    } else {
        load_data(m, seg, sel);
    }
}

void seg_drop_inner(struct vp_vm *m)
{
    static const uint8_t data_segs[] = {VP_ES, VP_DS, VP_FS, VP_GS};

    for (unsigned k = 0; k < sizeof data_segs; k++) {
        unsigned attr = m->cpu.seg[data_segs[k]].attr;
        if ((attr & VP_SEG_NULL) || attr_is_conforming(attr) || attr_dpl(attr) >= m->cpl) continue;
        seg_set_null(m, data_segs[k], 0);
    }
}

void seg_load_ldt(struct vp_vm *m, uint16_t sel, unsigned vector)
{
    struct desc d;

    if (sel_is_null(sel)) {
        seg_set_null(m, VP_LDTR, sel);
        return;
    }
    if ((sel & SEL_TI) || !desc_read(m, sel, &d) || desc_kind(&d) != SYS_LDT) raise_err(m, vector, sel_err(sel));
    /* a task switch reports an absent LDT as #TS (SDM 3A table 7-1), LLDT as #NP */
    if (!attr_present(desc_attr(&d))) raise_err(m, vector == EXC_TS ? EXC_TS : EXC_NP, sel_err(sel));
    m->cpu.seg[VP_LDTR] = desc_seg(&d, sel);
}

void seg_load_tr(struct vp_vm *m, uint16_t sel)
{
    struct desc d;

    if ((sel & SEL_TI) || sel_is_null(sel) || !desc_read(m, sel, &d)) raise_err(m, EXC_GP, sel_err(sel));
    if (desc_kind(&d) != SYS_TSS16 && desc_kind(&d) != SYS_TSS32) raise_err(m, EXC_GP, sel_err(sel));
    if (!attr_present(desc_attr(&d))) raise_err(m, EXC_NP, sel_err(sel));
    desc_set_type_bits(m, &d, SYS_BUSY);
    m->cpu.seg[VP_TR] = desc_seg(&d, sel);
}
