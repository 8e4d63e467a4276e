/* seg.h: descriptors, the segment registers, and what is derived from them.
 *
 * Owns: reading the GDT and LDT, the checks that each kind of segment load makes (SDM 3A 5), the fields of vp_vm that
 * follow from segment registers, and the I/O permission check.  Knows nothing of gates, tasks or instructions.
 * CPL is SS.DPL (SDM 3C 24.4.1), 0 in real mode, 3 in virtual-8086 mode.
 */
#ifndef VP_SEG_H
#define VP_SEG_H
#include "vm.h"
#include <stddef.h>
#include <string.h>

/* CR0 and CR4 bits, SDM 3A 2.5. */
enum {
    CR0_PE = 1,
    CR0_MP = 2,
    CR0_EM = 4,
    CR0_TS = 8,
    CR0_ET = 0x10,
    CR0_NE = 0x20,
    CR0_WP = 0x10000,
    CR0_AM = 0x40000,
    CR0_NW = 0x20000000,
    CR0_CD = 0x40000000,
    CR4_VME = 1,
    CR4_PVI = 2,
    CR4_TSD = 4,
    CR4_DE = 8,
    CR4_PSE = 0x10,
    CR4_PAE = 0x20,
    CR4_MCE = 0x40,
    CR4_PGE = 0x80,
    CR4_PCE = 0x100,
    CR4_OSFXSR = 0x200,
    CR4_OSXMMEXCPT = 0x400,
};
#define CR0_PG 0x80000000u

/* Types of system descriptors, SDM 3A table 3-2.  Bit 3 tells the 32-bit kinds. */
enum {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL16 = 4,
    SYS_TASK = 5,
    SYS_INT16 = 6,
    SYS_TRAP16 = 7,
    SYS_TSS32 = 9,
    SYS_TSS32_BUSY = 11,
    SYS_CALL32 = 12,
    SYS_INT32 = 14,
    SYS_TRAP32 = 15,
    SYS_BUSY = 2, /* the bit that tells a busy TSS */
};

enum { SEL_RPL = 3, SEL_TI = 4 };

/* Attribute words of segments that no descriptor gave. */
enum { ATTR_REAL = 0x93, ATTR_V86 = 0xf3, ATTR_FLAT_CODE = 0xc9b, ATTR_FLAT_DATA = 0xc93 };

struct desc {
    uint32_t lo, hi;
    uint32_t lin; /* where it lies */
};

static inline uint16_t desc_attr(const struct desc *d) { return (d->hi >> 8 & 0xff) | (d->hi >> 12 & 0xf00); }
/* S and type: 0..15 is a system descriptor, 16..31 code or data. */
static inline unsigned desc_kind(const struct desc *d) { return d->hi >> 8 & 0x1f; }
static inline uint16_t gate_sel(const struct desc *d) { return (uint16_t)(d->lo >> 16); }
static inline uint32_t gate_offset(const struct desc *d)
{
    return (d->lo & 0xffff) | (desc_kind(d) & 8 ? d->hi & 0xffff0000u : 0);
}

static inline bool attr_is_code(unsigned attr) { return (attr & 0x18) == 0x18; }
static inline bool attr_is_conforming(unsigned attr) { return (attr & 0x1c) == 0x1c; }
static inline bool attr_is_writable(unsigned attr) { return (attr & 0x1a) == 0x12; }
static inline bool attr_is_readable(unsigned attr) { return (attr & 0x18) == 0x10 || (attr & 0x1a) == 0x1a; }
static inline bool attr_is_expand_down(unsigned attr) { return (attr & 0x1c) == 0x14; }
static inline unsigned attr_dpl(unsigned attr) { return attr >> 5 & 3; }
static inline bool attr_present(unsigned attr) { return attr & VP_SEG_P; }

static inline bool sel_is_null(uint16_t sel) { return !(sel & 0xfffc); }
static inline uint16_t sel_err(uint16_t sel) { return sel & 0xfffc; }

/* The descriptor that `sel` names; false where it lies outside its table.  Page faults are raised. */
bool desc_read(struct vp_vm *m, uint16_t sel, struct desc *d);
/* The same, of none that is null, where nothing can fault and no page has to be looked up; else false. */
bool desc_peek(struct vp_vm *m, uint16_t sel, struct desc *d);
/* The same as desc_read(), but raises `vector` with the selector as error code for what lies outside and, with GP, for
 * null. */
void desc_fetch(struct vp_vm *m, uint16_t sel, struct desc *d, unsigned vector);
/* Sets `bits` of the descriptor's type in memory: accessed (1) or busy (2). */
void desc_set_type_bits(struct vp_vm *m, struct desc *d, unsigned bits);
void desc_clear_type_bits(struct vp_vm *m, struct desc *d, unsigned bits);
/* In pieces as large as a copy takes them: the host waits where it loads what two stores have written. */
static inline struct vp_seg desc_seg(const struct desc *d, uint16_t sel)
{
    _Static_assert(offsetof(struct vp_seg, limit) == 4 && offsetof(struct vp_seg, attr) == 10 &&
                       sizeof(struct vp_seg) == 12,
                   "pieces of 8 and 4 bytes");
    const uint32_t base = d->lo >> 16 | (d->hi & 0xff) << 16 | (d->hi & 0xff000000u), attr = desc_attr(d);
    uint32_t limit = (d->lo & 0xffff) | (d->hi & 0xf0000);
    struct vp_seg s;

    if (attr & VP_SEG_G) limit = limit << 12 | 0xfff;
    const uint64_t place = base | (uint64_t)limit << 32;
    const uint32_t rights = sel | attr << 16;
    memcpy(&s, &place, sizeof place);
    memcpy((uint8_t *)&s + sizeof place, &rights, sizeof rights);
    return s;
}

/* ES, SS, DS, FS or GS from a selector in any mode, with all checks (MOV Sw, POP, LxS). */
void seg_load(struct vp_vm *m, unsigned seg, uint16_t sel);
/* The same of ES, DS, FS or GS in protected mode, where the load is known to be right and cannot fault; else false, and
 * nothing done.  `flat`: the segment is to begin at 0 and to have 4 GB to read and write. */
bool seg_load_again(struct vp_vm *m, unsigned seg, uint16_t sel, bool flat);
/* What real mode and virtual-8086 mode do, CS too. */
void seg_load_real(struct vp_vm *m, unsigned seg, uint16_t sel);
/* Puts a checked descriptor into a register, marking it accessed. */
void seg_set(struct vp_vm *m, unsigned seg, uint16_t sel, struct desc *d);
void seg_set_null(struct vp_vm *m, unsigned seg, uint16_t sel);
/* A stack segment for privilege `cpl`: checks as a load of SS does, faults with `vector`, into *out and *d. */
void seg_check_stack(struct vp_vm *m, uint16_t sel, unsigned cpl, unsigned vector, struct desc *d);
/* After a return to an outer level: data segments it may not use become null (SDM 2, RET). */
void seg_drop_inner(struct vp_vm *m);
void seg_load_ldt(struct vp_vm *m, uint16_t sel, unsigned vector);
void seg_load_tr(struct vp_vm *m, uint16_t sel);

/* The descriptor is no less privileged than who looks at it by that selector (SDM 2, LAR). */
static inline bool seg_sees(const struct vp_vm *m, uint16_t sel, const struct desc *d)
{
    const unsigned attr = desc_attr(d), dpl = attr_dpl(attr);

    return attr_is_conforming(attr) || (dpl >= m->cpl && dpl >= (sel & SEL_RPL));
}
/* VERR, VERW of a descriptor that there is. */
static inline bool seg_verifies(const struct vp_vm *m, uint16_t sel, const struct desc *d, bool write)
{
    const unsigned attr = desc_attr(d);

    return seg_sees(m, sel, d) && (write ? attr_is_writable(attr) : attr_is_readable(attr));
}

/* Recompute what follows from one segment register, or from all of them with CR0 and EFLAGS.VM. */
void seg_derive(struct vp_vm *m, unsigned seg);
void seg_derive_all(struct vp_vm *m);

/* [ea, ea + size) lies inside the limit of `s`. */
bool seg_in_limit(const struct vp_seg *s, uint32_t ea, unsigned size);

/* #GP(0) where IOPL and the TSS bitmap forbid a port access (SDM 1, 18.5). */
void seg_io_check(struct vp_vm *m, uint32_t port, unsigned size);
/* The 16-bit word at byte `offset` of the TSS's I/O bitmap; false where the TSS has none.  The 32 bytes below it are
 * the interrupt redirection bitmap (SDM 3B 20.3.3). */
bool seg_tss_map_word(struct vp_vm *m, int32_t offset, uint32_t *word);

static inline unsigned iopl(const struct vp_vm *m) { return m->cpu.eflags >> 12 & 3; }

#endif
