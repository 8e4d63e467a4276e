/* x87_arith.c: x87 arithmetic, comparison and conditional moves (SDM 1, 8.3.3, 8.3.5, 8.3.6; SDM 2 appendix A.5). */
#include "x87_ops.h"

/* -- Arithmetic ---------------------------------------------------------------------------------------------------- */

#define X87_ARITH(OP, text, to_st, to_sti)                                                                             \
    X87_LOAD(OP##_Md, text "s", 4)                                                                                     \
    X87_LOAD(OP##_Mq, text "l", 8)                                                                                     \
    X87_STI(OP##_ST_STi, 0xd8, to_st)                                                                                  \
    X87_STI(OP##_STi_ST, 0xdc, to_sti)                                                                                 \
    X87_STI(OP##P_STi_ST, 0xde, to_sti)

X87_ARITH(FADD, "fadd", 0xc0, 0xc0)
X87_ARITH(FMUL, "fmul", 0xc8, 0xc8)
X87_ARITH(FSUB, "fsub", 0xe0, 0xe8)
X87_ARITH(FSUBR, "fsubr", 0xe8, 0xe0)
X87_ARITH(FDIV, "fdiv", 0xf0, 0xf8)
X87_ARITH(FDIVR, "fdivr", 0xf8, 0xf0)

#define X87_INT_ARITH(OP, text)                                                                                        \
    X87_LOAD(OP##_Mwi, text "s", 2)                                                                                    \
    X87_LOAD(OP##_Mdi, text "l", 4)

X87_INT_ARITH(FIADD, "fiadd")
X87_INT_ARITH(FIMUL, "fimul")
X87_INT_ARITH(FICOM, "ficom")
X87_INT_ARITH(FICOMP, "ficomp")
X87_INT_ARITH(FISUB, "fisub")
X87_INT_ARITH(FISUBR, "fisubr")
X87_INT_ARITH(FIDIV, "fidiv")
X87_INT_ARITH(FIDIVR, "fidivr")

/* -- Comparison ---------------------------------------------------------------------------------------------------- */

X87_LOAD(FCOM_Md, "fcoms", 4)
X87_LOAD(FCOM_Mq, "fcoml", 8)
X87_LOAD(FCOMP_Md, "fcomps", 4)
X87_LOAD(FCOMP_Mq, "fcompl", 8)
X87_STI(FCOM_ST_STi, 0xd8, 0xd0)
X87_STI(FCOMP_ST_STi, 0xd8, 0xd8)
X87_STI(FUCOM_ST_STi, 0xdd, 0xe0)
X87_STI(FUCOMP_ST_STi, 0xdd, 0xe8)
X87_PLAIN(FCOMPP, "fcompp")
X87_PLAIN(FUCOMPP, "fucompp")
X87_PLAIN(FTST, "ftst")
X87_PLAIN(FXAM, "fxam")

/* Into EFLAGS, all six of them (OF, SF, AF become 0), but not where an unmasked invalid operation stopped it (SDM 2,
 * FCOMI; AMD's processors set them even then). */
#define X87_COMPARE(esc, modrm)                                                                                        \
    __asm__ volatile(".byte %c3, %c4" : "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry) : "i"(esc), "i"(modrm))
#define X87_COMI(row, esc, base)                                                                                       \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        bool zero, parity, carry;                                                                                      \
        x87_begin(m);                                                                                                  \
        x87_note(m, i);                                                                                                \
        X87_ON_STI(X87_COMPARE, esc, base)                                                                             \
        if (likely(m->fp_state != FP_HOST) || !x87_invalid(m))                                                         \
            fl_put(m, (zero ? EF_ZF : 0) | (parity ? EF_PF : 0) | (carry ? EF_CF : 0));                                \
        NEXT;                                                                                                          \
    }
X87_COMI(FCOMI_ST_STi, 0xdb, 0xf0)
X87_COMI(FUCOMI_ST_STi, 0xdb, 0xe8)
X87_COMI(FCOMIP_ST_STi, 0xdf, 0xf0)
X87_COMI(FUCOMIP_ST_STi, 0xdf, 0xe8)

/* -- Conditional moves --------------------------------------------------------------------------------------------- */

/* FCMOVE on the guest's condition does what each of them does, stack faults included. */
#define X87_MOVE_IF(esc, modrm)                                                                                        \
    __asm__ volatile("cmpb $1, %0\n\t.byte %c1, %c2" ::"q"(taken), "i"(esc), "i"(modrm) : "cc")
#define X87_CMOV(cc, condition)                                                                                        \
    HANDLER(FCMOV##cc##_ST_STi)                                                                                        \
    {                                                                                                                  \
        x87_begin(m);                                                                                                  \
        x87_note(m, i);                                                                                                \
        uint8_t taken = (condition);                                                                                   \
        X87_ON_STI(X87_MOVE_IF, 0xda, 0xc8)                                                                            \
        NEXT;                                                                                                          \
    }
X87_CMOV(B, fl_cf(m))
X87_CMOV(E, fl_zf(m))
X87_CMOV(BE, fl_cf(m) || fl_zf(m))
X87_CMOV(U, fl_pf(m))
X87_CMOV(NB, !fl_cf(m))
X87_CMOV(NE, !fl_zf(m))
X87_CMOV(NBE, !fl_cf(m) && !fl_zf(m))
X87_CMOV(NU, !fl_pf(m))
