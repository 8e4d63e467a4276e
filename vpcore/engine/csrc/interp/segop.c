/* segop.c: instructions on segment registers and descriptors: MOV Sw, LxS, LAR, LSL, VERR, VERW, ARPL, LLDT, LTR. */
#include "../seg.h"
#include "interp.h"

static void set_zf(struct vp_vm *m, bool zf) { fl_put(m, (fl_get(m) & ~(uint32_t)EF_ZF) | (zf ? EF_ZF : 0)); }

/* These instructions exist in protected mode only. */
static void need_protected(struct vp_vm *m)
{
    if (real_or_v86(m)) raise_ud(m);
}

/* -- MOV ---------------------------------------------------------------------------------------------------------- */

HANDLER(MOV_Ev_Sw_16r)
{
    set_reg16(m, i->rm, m->cpu.seg[i->reg].sel);
    NEXT;
}
HANDLER(MOV_Ev_Sw_32r) /* P6 zero-extends (SDM 2, MOV) */
{
    set_reg32(m, i->rm, m->cpu.seg[i->reg].sel);
    NEXT;
}
HANDLER(MOV_Ev_Sw_16m)
{
    st16(m, i->seg, ea(m, i), m->cpu.seg[i->reg].sel);
    NEXT;
}
HANDLER(MOV_Ev_Sw_32m)
{
    st16(m, i->seg, ea(m, i), m->cpu.seg[i->reg].sel);
    NEXT;
}

HANDLER(MOV_Sw_Ew_r)
{
    seg_load(m, i->reg, reg16(m, i->rm));
    NEXT;
}
HANDLER(MOV_Sw_Ew_m)
{
    seg_load(m, i->reg, ld16(m, i->seg, ea(m, i)));
    NEXT;
}

/* Interrupts and debug traps wait for the next instruction, which loads ESP (SDM 3A 6.8.3). */
static void load_ss(struct vp_vm *m, uint16_t sel)
{
    seg_load(m, VP_SS, sel);
    m->cpu.shadow = SHADOW_SS;
    event_sync(m);
}
HANDLER(MOV_SS_Ew_r)
{
    load_ss(m, reg16(m, i->rm));
    END_AT(next_eip(m, i));
}
HANDLER(MOV_SS_Ew_m)
{
    load_ss(m, ld16(m, i->seg, ea(m, i)));
    END_AT(next_eip(m, i));
}

/* -- Far pointers ------------------------------------------------------------------------------------------------- */

#define LOAD_POINTER(name, bits, leave)                                                                                \
    HANDLER(L##name##_Gv_Mp_##bits)                                                                                    \
    {                                                                                                                  \
        uint32_t at = ea(m, i), sel_at = at + bits / 8;                                                                \
        if (!(i->form & FORM_AS32)) sel_at &= 0xffff;                                                                  \
        uint##bits##_t offset = ld##bits(m, i->seg, at);                                                               \
        seg_load(m, VP_##name, ld16(m, i->seg, sel_at));                                                               \
        set_reg##bits(m, i->reg, offset);                                                                              \
        leave;                                                                                                         \
    }
#define LOAD_POINTERS(name, leave) LOAD_POINTER(name, 16, leave) LOAD_POINTER(name, 32, leave)
LOAD_POINTERS(ES, NEXT)
LOAD_POINTERS(DS, NEXT)
LOAD_POINTERS(SS, END_AT(next_eip(m, i)))
LOAD_POINTERS(FS, NEXT)
LOAD_POINTERS(GS, NEXT)

/* -- Looking at descriptors --------------------------------------------------------------------------------------- */

static uint16_t source16(struct vp_vm *m, const struct insn *i)
{
    return i->form & FORM_MEM ? ld16(m, i->seg, ea(m, i)) : reg16(m, i->rm);
}

/* System types that LAR and LSL accept, a bit each (SDM 2, LAR and LSL). */
enum {
    LAR_TYPES = 1 << SYS_TSS16 | 1 << SYS_LDT | 1 << SYS_TSS16_BUSY | 1 << SYS_CALL16 | 1 << SYS_TASK | 1 << SYS_TSS32 |
                1 << SYS_TSS32_BUSY | 1 << SYS_CALL32,
    LSL_TYPES = 1 << SYS_TSS16 | 1 << SYS_LDT | 1 << SYS_TSS16_BUSY | 1 << SYS_TSS32 | 1 << SYS_TSS32_BUSY,
};

/* The descriptor of `sel`, where it is visible at this privilege; `types` are the system types wanted. */
static bool visible(struct vp_vm *m, uint16_t sel, unsigned types, struct desc *d)
{
    if (sel_is_null(sel) || !desc_read(m, sel, d)) return false;
    if (desc_kind(d) < 16 && !(types >> desc_kind(d) & 1)) return false;
    return seg_sees(m, sel, d);
}

static bool lar(struct vp_vm *m, const struct insn *i, uint32_t *out)
{
    enum { ACCESS_RIGHTS = 0x00ffff00 }; /* bits 16 to 19 are undefined (SDM 2, LAR); silicon shows the limit there */
    struct desc d;

    need_protected(m);
    bool ok = visible(m, source16(m, i), LAR_TYPES, &d);
    if (ok) *out = d.hi & ACCESS_RIGHTS;
    set_zf(m, ok);
    return ok;
}
static bool lsl(struct vp_vm *m, const struct insn *i, uint32_t *out)
{
    struct desc d;

    need_protected(m);
    bool ok = visible(m, source16(m, i), LSL_TYPES, &d);
    if (ok) *out = desc_seg(&d, 0).limit;
    set_zf(m, ok);
    return ok;
}
#define LOOK(row, look, bits, form)                                                                                    \
    HANDLER(row##_##bits##form)                                                                                        \
    {                                                                                                                  \
        uint32_t value;                                                                                                \
        if (look(m, i, &value)) set_reg##bits(m, i->reg, (uint##bits##_t)value);                                       \
        NEXT;                                                                                                          \
    }
#define LOOKS(row, look) LOOK(row, look, 16, r) LOOK(row, look, 16, m) LOOK(row, look, 32, r) LOOK(row, look, 32, m)
LOOKS(LAR_Gv_Ew, lar)
LOOKS(LSL_Gv_Ew, lsl)

static void verify(struct vp_vm *m, const struct insn *i, bool write)
{
    struct desc d;

    need_protected(m);
    const uint16_t sel = source16(m, i);
    set_zf(m, !sel_is_null(sel) && desc_read(m, sel, &d) && seg_verifies(m, sel, &d, write));
}
#define VERIFY(row, write)                                                                                             \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        verify(m, i, write);                                                                                           \
        NEXT;                                                                                                          \
    }
VERIFY(VERR_Ew_r, false)
VERIFY(VERR_Ew_m, false)
VERIFY(VERW_Ew_r, true)
VERIFY(VERW_Ew_m, true)

/* The destination selector with the source's RPL, where that is greater. */
static bool arpl(struct vp_vm *m, uint16_t *sel, uint16_t with)
{
    bool raised = (*sel & SEL_RPL) < (with & SEL_RPL);

    if (raised) *sel = sel_err(*sel) | (with & SEL_RPL);
    set_zf(m, raised);
    return raised;
}
HANDLER(ARPL_Ew_Gw_r)
{
    uint16_t sel = reg16(m, i->rm);

    need_protected(m);
    if (arpl(m, &sel, reg16(m, i->reg))) set_reg16(m, i->rm, sel);
    NEXT;
}
HANDLER(ARPL_Ew_Gw_m)
{
    need_protected(m);
    uint32_t at = ea(m, i);
    uint16_t sel = ld16(m, i->seg, at);
    if ((sel & SEL_RPL) < (reg16(m, i->reg) & SEL_RPL)) ldw16(m, i->seg, at); /* it will be written: may it be? */
    if (arpl(m, &sel, reg16(m, i->reg))) st16(m, i->seg, at, sel);
    NEXT;
}

/* -- LDTR and TR -------------------------------------------------------------------------------------------------- */

static void lldt(struct vp_vm *m, const struct insn *i)
{
    need_protected(m);
    need_cpl0(m);
    seg_load_ldt(m, source16(m, i), EXC_GP);
}
static void ltr(struct vp_vm *m, const struct insn *i)
{
    need_protected(m);
    need_cpl0(m);
    seg_load_tr(m, source16(m, i));
}
#define LOAD_SYSTEM(row, load)                                                                                         \
    HANDLER(row##_r)                                                                                                   \
    {                                                                                                                  \
        load(m, i);                                                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_m)                                                                                                   \
    {                                                                                                                  \
        load(m, i);                                                                                                    \
        NEXT;                                                                                                          \
    }
LOAD_SYSTEM(LLDT_Ew, lldt)
LOAD_SYSTEM(LTR_Ew, ltr)

#define STORE_SYSTEM(row, seg_register)                                                                                \
    HANDLER(row##_16r)                                                                                                 \
    {                                                                                                                  \
        need_protected(m);                                                                                             \
        set_reg16(m, i->rm, m->cpu.seg[seg_register].sel);                                                             \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_32r)                                                                                                 \
    {                                                                                                                  \
        need_protected(m);                                                                                             \
        set_reg32(m, i->rm, m->cpu.seg[seg_register].sel);                                                             \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_16m)                                                                                                 \
    {                                                                                                                  \
        need_protected(m);                                                                                             \
        st16(m, i->seg, ea(m, i), m->cpu.seg[seg_register].sel);                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_32m)                                                                                                 \
    {                                                                                                                  \
        need_protected(m);                                                                                             \
        st16(m, i->seg, ea(m, i), m->cpu.seg[seg_register].sel);                                                       \
        NEXT;                                                                                                          \
    }
STORE_SYSTEM(SLDT_Ev, VP_LDTR)
STORE_SYSTEM(STR_Ev, VP_TR)
