/* bcd.c: decimal and ASCII adjustments.  SDM 2, "DAA", "DAS", "AAA", "AAS", "AAM", "AAD"; SALC is undocumented. */
#include "interp.h"

/* Set SF, ZF, PF from AL, and CF and AF as given; OF is undefined and cleared. */
static inline void adjusted(struct vp_vm *m, bool cf, bool af)
{
    fl_set(m, 8, reg8(m, EAX), af ? FL_AF : 0);
    fl_set_cf_of(m, cf, false);
}

HANDLER(DAA)
{
    uint8_t al = reg8(m, EAX);
    bool low = (al & 15) > 9 || fl_af(m), high = al > 0x99 || fl_cf(m);
    set_reg8(m, EAX, (uint8_t)(al + (low ? 6 : 0) + (high ? 0x60 : 0)));
    adjusted(m, high, low);
    NEXT;
}
HANDLER(DAS)
{
    uint8_t al = reg8(m, EAX);
    bool low = (al & 15) > 9 || fl_af(m), high = al > 0x99 || fl_cf(m);
    bool borrow = high || (low && al < 6);
    set_reg8(m, EAX, (uint8_t)(al - (low ? 6 : 0) - (high ? 0x60 : 0)));
    adjusted(m, borrow, low);
    NEXT;
}
HANDLER(AAA)
{
    bool adjust = (m->cpu.gpr[EAX] & 15) > 9 || fl_af(m);
    if (adjust) set_reg16(m, EAX, (uint16_t)(reg16(m, EAX) + 0x106));
    set_reg8(m, EAX, reg8(m, EAX) & 15);
    adjusted(m, adjust, adjust);
    NEXT;
}
HANDLER(AAS)
{
    bool adjust = (m->cpu.gpr[EAX] & 15) > 9 || fl_af(m);
    if (adjust) set_reg16(m, EAX, (uint16_t)(reg16(m, EAX) - 0x106));
    set_reg8(m, EAX, reg8(m, EAX) & 15);
    adjusted(m, adjust, adjust);
    NEXT;
}
HANDLER(AAM_Ib)
{
    uint8_t base = (uint8_t)i->imm, al = reg8(m, EAX);
    if (!base) raise_exc(m, EXC_DE);
    set_reg16(m, EAX, (uint16_t)(al / base << 8 | al % base));
    adjusted(m, false, false);
    NEXT;
}
HANDLER(AAD_Ib)
{
    uint16_t ax = reg16(m, EAX);
    set_reg16(m, EAX, (uint8_t)((ax & 0xff) + (ax >> 8) * (uint8_t)i->imm));
    adjusted(m, false, false);
    NEXT;
}
HANDLER(SALC)
{
    set_reg8(m, EAX, fl_cf(m) ? 0xff : 0);
    NEXT;
}
