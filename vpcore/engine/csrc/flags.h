/* flags.h: the six status flags, kept lazily in two words.
 *
 * Arithmetic leaves its sign-extended result in fl_res and its carries in fl_aux; every flag is a few bit operations on
 * the two, with no record of which operation it was:
 *   fl_aux bit 31  carry out of the top bit                      CF
 *          bit 30  carry into the top bit                        OF = bit 31 ^ bit 30
 *          bit 3   carry out of bit 3                            AF
 *          bit 0   sign correction                               SF = sign of fl_res ^ bit 0
 *          8..15   parity correction                             PF = even parity of (low byte of fl_res ^ this)
 *   fl_res == 0                                                  ZF
 * The corrections exist so that POPF and SAHF can set any combination.
 */
#ifndef VP_FLAGS_H
#define VP_FLAGS_H
#include <stdbool.h>
#include <stdint.h>
#include "vm.h"

enum {
    EF_CF = 1, EF_ONE = 2, EF_PF = 4, EF_AF = 0x10, EF_ZF = 0x40, EF_SF = 0x80, EF_TF = 0x100, EF_IF = 0x200,
    EF_DF = 0x400, EF_OF = 0x800, EF_IOPL = 0x3000, EF_NT = 0x4000, EF_RF = 0x10000, EF_VM = 0x20000,
    EF_AC = 0x40000, EF_VIF = 0x80000, EF_VIP = 0x100000, EF_ID = 0x200000,
    EF_STATUS = EF_CF | EF_PF | EF_AF | EF_ZF | EF_SF | EF_OF,
};
#define FL_CARRIES 0xc0000000u
#define FL_AF 8u

static inline bool fl_cf(const struct vp_vm *m) { return m->fl_aux >> 31; }
static inline bool fl_of(const struct vp_vm *m) { return ((m->fl_aux >> 31) ^ (m->fl_aux >> 30)) & 1; }
static inline bool fl_af(const struct vp_vm *m) { return m->fl_aux >> 3 & 1; }
static inline bool fl_zf(const struct vp_vm *m) { return m->fl_res == 0; }
static inline bool fl_sf(const struct vp_vm *m) { return (m->fl_res >> 31) ^ (m->fl_aux & 1); }
static inline bool fl_pf(const struct vp_vm *m)
{
    return !__builtin_parity((m->fl_res ^ m->fl_aux >> 8) & 0xff);
}

/* Carry vectors of r = a + b (+ c) and r = a - b (- c): bit n is the carry (borrow) out of bit n. */
static inline uint32_t carries_add(uint32_t a, uint32_t b, uint32_t r) { return (a & b) | ((a | b) & ~r); }
static inline uint32_t carries_sub(uint32_t a, uint32_t b, uint32_t r) { return (~a & b) | (~(a ^ b) & r); }

/* Set all six from a result and a carry vector of an operation `bits` wide (a constant: 8, 16 or 32). */
static inline void fl_set(struct vp_vm *m, unsigned bits, uint32_t result, uint32_t carries)
{
    unsigned up = 32 - bits;
    m->fl_res = (uint32_t)((int32_t)(result << up) >> up);
    m->fl_aux = (carries << up & FL_CARRIES) | (carries & FL_AF);
}

/* Replace CF and OF, keep the rest. */
static inline void fl_set_cf_of(struct vp_vm *m, bool cf, bool of)
{
    m->fl_aux = (m->fl_aux & ~FL_CARRIES) | (uint32_t)cf << 31 | (uint32_t)(cf ^ of) << 30;
}
static inline void fl_set_cf(struct vp_vm *m, bool cf) { fl_set_cf_of(m, cf, fl_of(m)); }

static inline uint32_t fl_get(const struct vp_vm *m)
{
    return (fl_cf(m) ? EF_CF : 0) | (fl_pf(m) ? EF_PF : 0) | (fl_af(m) ? EF_AF : 0) | (fl_zf(m) ? EF_ZF : 0) |
           (fl_sf(m) ? EF_SF : 0) | (fl_of(m) ? EF_OF : 0);
}

/* Set the six from EFLAGS bits. */
static inline void fl_put(struct vp_vm *m, uint32_t eflags)
{
    m->fl_res = eflags & EF_ZF ? 0 : 0x100;
    m->fl_aux = (eflags & EF_PF ? 0 : 0x100) | (eflags & EF_SF ? 1 : 0) | (eflags & EF_AF ? FL_AF : 0);
    fl_set_cf_of(m, eflags & EF_CF, eflags & EF_OF);
}

/* EFLAGS as the guest sees it; cpu.eflags holds all but the six. */
static inline uint32_t eflags_get(const struct vp_vm *m)
{
    return (m->cpu.eflags & ~(uint32_t)EF_STATUS) | fl_get(m) | EF_ONE;
}

#endif
