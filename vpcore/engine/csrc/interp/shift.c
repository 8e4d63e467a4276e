/* shift.c: shifts and rotates.  Counts are taken modulo 32 (SDM 2, "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR"); a count of 0
 * changes no flag.  SDM leaves AF undefined after shifts, and OF but for counts of 1; see silicon.h.
 */
#include "../silicon.h"
#include "interp.h"

/* As the processors that were asked leave them: AMD's Zen 4 and 5, Intel's Emerald Rapids. */
static inline uint32_t open_af(const struct vp_vm *m) { return m->maker == MAKER_INTEL ? 0 : FL_AF; }
static inline bool open_of(const struct vp_vm *m, bool of_result, bool of_operand)
{
    return m->maker == MAKER_INTEL ? of_operand : of_result;
}

#define SHIFT_OPERATIONS(bits, type)                                                                                   \
    static inline bool top##bits(type v) { return v >> (bits - 1) & 1; }                                               \
    static inline bool differ##bits(type v) { return (v >> (bits - 1) ^ v >> (bits - 2)) & 1; }                        \
    static inline type shl##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        uint64_t wide = (uint64_t)v << n;                                                                              \
        bool cf = wide >> bits & 1;                                                                                    \
        fl_set(m, bits, (uint32_t)wide, open_af(m));                                                                   \
        fl_set_cf_of(m, cf, open_of(m, top##bits((type)wide) ^ cf, differ##bits(v)));                                  \
        return (type)wide;                                                                                             \
    }                                                                                                                  \
    static inline type shr##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        type r = (type)((uint32_t)v >> n);                                                                             \
        fl_set(m, bits, r, open_af(m));                                                                                \
        fl_set_cf_of(m, (uint32_t)v >> (n - 1) & 1, open_of(m, differ##bits(r), top##bits(v)));                        \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type sar##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        int32_t wide = (int##bits##_t)v;                                                                               \
        type r = (type)(wide >> n);                                                                                    \
        fl_set(m, bits, r, open_af(m));                                                                                \
        fl_set_cf_of(m, wide >> (n - 1) & 1, false);                                                                   \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type rol##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        n %= bits;                                                                                                     \
        type r = n ? (type)(v << n | v >> (bits - n)) : v;                                                             \
        fl_set_cf_of(m, r & 1, open_of(m, top##bits(r) ^ (r & 1), differ##bits(v)));                                   \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type ror##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        n %= bits;                                                                                                     \
        type r = n ? (type)(v >> n | v << (bits - n)) : v;                                                             \
        fl_set_cf_of(m, top##bits(r), open_of(m, differ##bits(r), top##bits(v) ^ (v & 1)));                            \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline type rcl##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        n %= bits + 1;                                                                                                 \
        if (!n) return v;                                                                                              \
        uint64_t wide = (uint64_t)fl_cf(m) << bits | v;                                                                \
        wide = wide << n | wide >> (bits + 1 - n);                                                                     \
        bool cf = wide >> bits & 1;                                                                                    \
        fl_set_cf_of(m, cf, open_of(m, top##bits((type)wide) ^ cf, differ##bits(v)));                                  \
        return (type)wide;                                                                                             \
    }                                                                                                                  \
    static inline type rcr##bits(struct vp_vm *m, type v, unsigned n)                                                  \
    {                                                                                                                  \
        n %= bits + 1;                                                                                                 \
        if (!n) return v;                                                                                              \
        uint64_t wide = (uint64_t)fl_cf(m) << bits | v;                                                                \
        bool before = (wide >> bits ^ wide >> (bits - 1)) & 1;                                                         \
        wide = wide >> n | wide << (bits + 1 - n);                                                                     \
        type r = (type)wide;                                                                                           \
        fl_set_cf_of(m, wide >> bits & 1, open_of(m, differ##bits(r), before));                                        \
        return r;                                                                                                      \
    }
SHIFT_OPERATIONS(8, uint8_t)
SHIFT_OPERATIONS(16, uint16_t)
SHIFT_OPERATIONS(32, uint32_t)

/* By an immediate count but 1, in a register, Intel's leave OF alone. */
#define ROTATE_BY_IMM(op, bits, type)                                                                                  \
    static inline type op##_imm##bits(struct vp_vm *m, type v, unsigned n)                                             \
    {                                                                                                                  \
        bool of = fl_of(m);                                                                                            \
        type r = op##bits(m, v, n);                                                                                    \
        if (n > 1) fl_set_cf_of(m, fl_cf(m), open_of(m, fl_of(m), of));                                                \
        return r;                                                                                                      \
    }
#define ROTATES_BY_IMM(bits, type)                                                                                     \
    ROTATE_BY_IMM(rol, bits, type)                                                                                     \
    ROTATE_BY_IMM(ror, bits, type)
ROTATES_BY_IMM(8, uint8_t)
ROTATES_BY_IMM(16, uint16_t)
ROTATES_BY_IMM(32, uint32_t)

#define SHIFT_FORM(row, bits, suffix, op, in_register, count)                                                          \
    HANDLER(row##suffix##r)                                                                                            \
    {                                                                                                                  \
        unsigned n = (count)&31;                                                                                       \
        if (n) set_reg##bits(m, i->rm, in_register##bits(m, reg##bits(m, i->rm), n));                                  \
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
#define SHIFT_COUNTS(NAME, operand, bits, suffix, op, by_imm)                                                          \
    SHIFT_FORM(NAME##_##operand##_Ib, bits, suffix, op, by_imm, i->imm)                                                \
    SHIFT_FORM(NAME##_##operand##_1, bits, suffix, op, op, 1u)                                                         \
    SHIFT_FORM(NAME##_##operand##_CL, bits, suffix, op, op, m->cpu.gpr[ECX])
#define SHIFT_ROWS(NAME, op, by_imm)                                                                                   \
    SHIFT_COUNTS(NAME, Eb, 8, _, op, by_imm)                                                                           \
    SHIFT_COUNTS(NAME, Ev, 16, _16, op, by_imm)                                                                        \
    SHIFT_COUNTS(NAME, Ev, 32, _32, op, by_imm)
SHIFT_ROWS(ROL, rol, rol_imm)
SHIFT_ROWS(ROR, ror, ror_imm)
SHIFT_ROWS(RCL, rcl, rcl)
SHIFT_ROWS(RCR, rcr, rcr)
SHIFT_ROWS(SHL, shl, shl)
SHIFT_ROWS(SHR, shr, shr)
SHIFT_ROWS(SAR, sar, sar)

/* -- Double shifts ---------------------------------------------------------------------------------------------------
 * OF is as after the single ones.  For 16 bits, counts over 16 are undefined; P6 shifts in the destination behind the
 * source. */

static inline uint32_t shld32(struct vp_vm *m, uint32_t d, uint32_t s, unsigned n)
{
    uint32_t r = d << n | s >> (32 - n);
    fl_set(m, 32, r, open_af(m));
    bool cf = d >> (32 - n) & 1;
    fl_set_cf_of(m, cf, open_of(m, top32(r) ^ cf, differ32(d)));
    return r;
}
static inline uint16_t shld16(struct vp_vm *m, uint16_t d, uint16_t s, unsigned n)
{
    uint64_t wide = (uint64_t)d << 32 | (uint64_t)s << 16 | d;
    uint16_t r = (uint16_t)(wide << n >> 32);
    fl_set(m, 16, r, open_af(m));
    bool cf = wide >> (48 - n) & 1;
    fl_set_cf_of(m, cf, open_of(m, top16(r) ^ cf, differ16(d)));
    return r;
}
static inline uint32_t shrd32(struct vp_vm *m, uint32_t d, uint32_t s, unsigned n)
{
    uint32_t r = d >> n | s << (32 - n);
    fl_set(m, 32, r, open_af(m));
    fl_set_cf_of(m, d >> (n - 1) & 1, open_of(m, differ32(r), top32(d) ^ (s & 1)));
    return r;
}
static inline uint16_t shrd16(struct vp_vm *m, uint16_t d, uint16_t s, unsigned n)
{
    uint64_t wide = (uint64_t)d << 32 | (uint64_t)s << 16 | d;
    uint16_t r = (uint16_t)(wide >> n);
    fl_set(m, 16, r, open_af(m));
    fl_set_cf_of(m, wide >> (n - 1) & 1, open_of(m, differ16(r), top16(d) ^ (s & 1)));
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
