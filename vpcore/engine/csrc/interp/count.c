/* count.c: POPCNT, LZCNT, CRC32, MOVBE, ADCX, ADOX (SDM 2, each one's page). */
#include "../silicon.h"
#include "interp.h"

/* -- Counting bits ------------------------------------------------------------------------------------------------- */

static inline void pop_flags(struct vp_vm *m, uint32_t source) { fl_put(m, source ? 0 : EF_ZF); }
/* CF: the source is 0; ZF: the count is.  The other flags are undefined (silicon.h): 0, but AMD's leave OF alone. */
static inline void scan_flags(struct vp_vm *m, uint32_t source, uint32_t count)
{
    const bool of = m->maker == MAKER_AMD && fl_of(m);

    fl_put(m, (source ? 0 : EF_CF) | (count ? 0 : EF_ZF) | (of ? EF_OF : 0));
}

#define COUNT(NAME, bits, count_of, flags)                                                                             \
    static inline void NAME##bits(struct vp_vm *m, const struct insn *i, uint32_t v)                                   \
    {                                                                                                                  \
        uint32_t count = (count_of);                                                                                   \
        flags;                                                                                                         \
        set_reg##bits(m, i->reg, (uint##bits##_t)count);                                                               \
    }                                                                                                                  \
    GV_EV_ROWS(NAME, bits)
#define COUNTS(bits)                                                                                                   \
    COUNT(POPCNT, bits, (uint32_t)__builtin_popcount(v), pop_flags(m, v))                                              \
    COUNT(LZCNT, bits, v ? (uint32_t)__builtin_clz(v) - (32 - bits) : bits, scan_flags(m, v, count))
COUNTS(16)
COUNTS(32)

/* -- CRC32 --------------------------------------------------------------------------------------------------------- */

/* The host's instruction, on a source of each size; no flags. */
#define CRC(row, load_reg, load_mem, type, text)                                                                       \
    HANDLER(row##r)                                                                                                    \
    {                                                                                                                  \
        uint32_t crc = reg32(m, i->reg);                                                                               \
        __asm__(text " %1, %0" : "+r"(crc) : "q"((type)load_reg(m, i->rm)));                                           \
        set_reg32(m, i->reg, crc);                                                                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(row##m)                                                                                                    \
    {                                                                                                                  \
        uint32_t crc = reg32(m, i->reg);                                                                               \
        __asm__(text " %1, %0" : "+r"(crc) : "q"((type)load_mem(m, i->seg, ea(m, i))));                                \
        set_reg32(m, i->reg, crc);                                                                                     \
        NEXT;                                                                                                          \
    }
CRC(CRC32_Gd_Eb_, reg8, ld8, uint8_t, "crc32b")
CRC(CRC32_Gd_Ev_16, reg16, ld16, uint16_t, "crc32w")
CRC(CRC32_Gd_Ev_32, reg32, ld32, uint32_t, "crc32l")

/* -- MOVBE --------------------------------------------------------------------------------------------------------- */

#define SWAPPED(bits)                                                                                                  \
    HANDLER(MOVBE_Gv_Mv_##bits)                                                                                        \
    {                                                                                                                  \
        set_reg##bits(m, i->reg, __builtin_bswap##bits(ld##bits(m, i->seg, ea(m, i))));                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(MOVBE_Mv_Gv_##bits)                                                                                        \
    {                                                                                                                  \
        st##bits(m, i->seg, ea(m, i), __builtin_bswap##bits(reg##bits(m, i->reg)));                                    \
        NEXT;                                                                                                          \
    }
SWAPPED(16)
SWAPPED(32)

/* -- ADCX, ADOX: one flag in, the same one out --------------------------------------------------------------------- */

#define ADD_WITH(source, carry, keep)                                                                                  \
    uint64_t sum = (uint64_t)reg32(m, i->reg) + (source) + (carry);                                                    \
    bool out = sum >> 32;                                                                                              \
    keep;                                                                                                              \
    set_reg32(m, i->reg, (uint32_t)sum);                                                                               \
    NEXT
HANDLER(ADCX_Gd_Ed_r) { ADD_WITH(reg32(m, i->rm), fl_cf(m), fl_set_cf(m, out)); }
HANDLER(ADCX_Gd_Ed_m) { ADD_WITH(ld32(m, i->seg, ea(m, i)), fl_cf(m), fl_set_cf(m, out)); }
HANDLER(ADOX_Gd_Ed_r) { ADD_WITH(reg32(m, i->rm), fl_of(m), fl_set_cf_of(m, fl_cf(m), out)); }
HANDLER(ADOX_Gd_Ed_m) { ADD_WITH(ld32(m, i->seg, ea(m, i)), fl_of(m), fl_set_cf_of(m, fl_cf(m), out)); }
