/* shift.c: shifts and rotates.  Counts are taken modulo 32 (SDM 2, "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR"); a count of 0
 * changes no flag.  SDM leaves AF undefined after shifts, and OF but for counts of 1: AF is set, and OF is what the
 * same formula gives, as on AMD's processors (Zen 4 was asked), so that host code (bt) need not correct them.
 */
#include "interp.h"

#define SHIFT_OPERATIONS(bits, type)                                                                                   \
    static inline bool top##bits(type v) { return v >> (bits - 1) & 1; }                                               \
    static inline type shl##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        uint64_t wide = (uint64_t)v << n;                                                                              \
        bool cf = wide >> bits & 1;                                                                                    \
        fl_set(m, bits, (uint32_t)wide, FL_AF);                                                                        \
        fl_set_cf_of(m, cf, top##bits((type)wide) ^ cf);                                                               \
        return (type)wide;                                                                                             \
    }                                                                                                                  \
    static inline type shr##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        type r = (type)((uint32_t)v >> n);                                                                             \
        fl_set(m, bits, r, FL_AF);                                                                                     \
        fl_set_cf_of(m, (uint32_t)v >> (n - 1) & 1, top##bits(r) ^ (r >> (bits - 2) & 1));                             \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type sar##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        int32_t wide = (int##bits##_t)v;                                                                               \
        type r = (type)(wide >> n);                                                                                    \
        fl_set(m, bits, r, FL_AF);                                                                                     \
        fl_set_cf_of(m, wide >> (n - 1) & 1, false);                                                                   \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type rol##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        n %= bits;                                                                                                     \
        type r = n ? (type)(v << n | v >> (bits - n)) : v;                                                             \
        fl_set_cf_of(m, r & 1, top##bits(r) ^ (r & 1));                                                                \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type ror##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        n %= bits;                                                                                                     \
        type r = n ? (type)(v >> n | v << (bits - n)) : v;                                                             \
        fl_set_cf_of(m, top##bits(r), top##bits(r) ^ (r >> (bits - 2) & 1));                                           \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type rcl##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        n %= bits + 1;                                                                                                 \
        if (!n) return v;                                                                                              \
        uint64_t wide = (uint64_t)fl_cf(m) << bits | v;                                                                \
        wide = wide << n | wide >> (bits + 1 - n);                                                                     \
        bool cf = wide >> bits & 1;                                                                                    \
        fl_set_cf_of(m, cf, top##bits((type)wide) ^ cf);                                                               \
        return (type)wide;                                                                                             \
    }                                                                                                                  \
    static inline type rcr##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        n %= bits + 1;                                                                                                 \
        if (!n) return v;                                                                                              \
        uint64_t wide = (uint64_t)fl_cf(m) << bits | v;                                                                \
        wide = wide >> n | wide << (bits + 1 - n);                                                                     \
        type r = (type)wide;                                                                                           \
        fl_set_cf_of(m, wide >> bits & 1, top##bits(r) ^ (r >> (bits - 2) & 1));                                       \
        return r;                                                                                                      \
    }
SHIFT_OPERATIONS(8, uint8_t)
SHIFT_OPERATIONS(16, uint16_t)
SHIFT_OPERATIONS(32, uint32_t)

#define SHIFT_FORM(row, bits, suffix, op, count)                                                                       \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        unsigned n = (count)&31;                                                                                       \
        if (n) set_reg##bits(m, i->rm, op##bits(m, reg##bits(m, i->rm), n));                                           \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##suffix##m)                                                                                            \
    {                                                                                                                  \
        unsigned n = (count)&31;                                                                                       \
        uint32_t at = ea(m, i);                                                                                        \
        uint##bits##_t v = ldw##bits(m, i->seg, at);                                                                   \
        st##bits(m, i->seg, at, n ? op##bits(m, v, n) : v);                                                            \
        NEXT;                                                                                                          \
    }
#define SHIFT_COUNTS(NAME, operand, bits, suffix, op)                                                                  \
    SHIFT_FORM(NAME##_##operand##_Ib, bits, suffix, op, i->imm)                                                        \
    SHIFT_FORM(NAME##_##operand##_1, bits, suffix, op, 1u)                                                             \
    SHIFT_FORM(NAME##_##operand##_CL, bits, suffix, op, m->cpu.gpr[ECX])
#define SHIFT_ROWS(NAME, op)                                                                                           \
    SHIFT_COUNTS(NAME, Eb, 8, _, op)                                                                                   \
    SHIFT_COUNTS(NAME, Ev, 16, _16, op)                                                                                \
    SHIFT_COUNTS(NAME, Ev, 32, _32, op)
SHIFT_ROWS(ROL, rol)
SHIFT_ROWS(ROR, ror)
SHIFT_ROWS(RCL, rcl)
SHIFT_ROWS(RCR, rcr)
SHIFT_ROWS(SHL, shl)
SHIFT_ROWS(SHR, shr)
SHIFT_ROWS(SAR, sar)

/* -- Double shifts ---------------------------------------------------------------------------------------------------
 * OF is as after the single ones.  For 16 bits, counts over 16 are undefined; P6 shifts in the destination behind the
 * source. */

static inline uint32_t shld32(struct vp_vm *m, uint32_t d, uint32_t s, unsigned n)
{
    uint32_t r = d << n | s >> (32 - n);
    fl_set(m, 32, r, FL_AF);
    bool cf = d >> (32 - n) & 1;
    fl_set_cf_of(m, cf, top32(r) ^ cf);
    return r;
}
static inline uint16_t shld16(struct vp_vm *m, uint16_t d, uint16_t s, unsigned n)
{
    uint64_t wide = (uint64_t)d << 32 | (uint64_t)s << 16 | d;
    uint16_t r = (uint16_t)(wide << n >> 32);
    fl_set(m, 16, r, FL_AF);
    bool cf = wide >> (48 - n) & 1;
    fl_set_cf_of(m, cf, top16(r) ^ cf);
    return r;
}
static inline uint32_t shrd32(struct vp_vm *m, uint32_t d, uint32_t s, unsigned n)
{
    uint32_t r = d >> n | s << (32 - n);
    fl_set(m, 32, r, FL_AF);
    fl_set_cf_of(m, d >> (n - 1) & 1, top32(r) ^ (r >> 30 & 1));
    return r;
}
static inline uint16_t shrd16(struct vp_vm *m, uint16_t d, uint16_t s, unsigned n)
{
    uint64_t wide = (uint64_t)d << 32 | (uint64_t)s << 16 | d;
    uint16_t r = (uint16_t)(wide >> n);
    fl_set(m, 16, r, FL_AF);
    fl_set_cf_of(m, wide >> (n - 1) & 1, top16(r) ^ (r >> 14 & 1));
    return r;
}

#define DOUBLE_FORM(row, bits, op, count)                                                                              \
    HANDLER(row##_##bits##r)                                                                                           \
    {                                                                                                                  \
        unsigned n = (count)&31;                                                                                       \
        if (n) set_reg##bits(m, i->rm, op##bits(m, reg##bits(m, i->rm), reg##bits(m, i->reg), n));                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##_##bits##m)                                                                                           \
    {                                                                                                                  \
        unsigned n = (count)&31;                                                                                       \
        uint32_t at = ea(m, i);                                                                                        \
        uint##bits##_t v = ldw##bits(m, i->seg, at);                                                                   \
        st##bits(m, i->seg, at, n ? op##bits(m, v, reg##bits(m, i->reg), n) : v);                                      \
        NEXT;                                                                                                          \
    }
#define DOUBLE_ROWS(NAME, op)                                                                                          \
    DOUBLE_FORM(NAME##_Ev_Gv_Ib, 16, op, i->imm)                                                                       \
    DOUBLE_FORM(NAME##_Ev_Gv_Ib, 32, op, i->imm)                                                                       \
    DOUBLE_FORM(NAME##_Ev_Gv_CL, 16, op, m->cpu.gpr[ECX])                                                              \
    DOUBLE_FORM(NAME##_Ev_Gv_CL, 32, op, m->cpu.gpr[ECX])
DOUBLE_ROWS(SHLD, shld)
DOUBLE_ROWS(SHRD, shrd)
