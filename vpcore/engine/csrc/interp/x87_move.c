/* x87_move.c: x87 loads, stores, constants, and the functions of ST alone (SDM 1, 8.3.2, 8.3.4, 8.3.7 to 8.3.10). */
#include "x87_ops.h"

/* -- Loads --------------------------------------------------------------------------------------------------------- */

X87_LOAD(FLD_Md, "flds", 4)
X87_LOAD(FLD_Mq, "fldl", 8)
X87_LOAD(FLD_Mt, "fldt", 10)
X87_LOAD(FILD_Mwi, "filds", 2)
X87_LOAD(FILD_Mdi, "fildl", 4)
X87_LOAD(FILD_Mqi, "fildll", 8)
X87_LOAD(FBLD_Mt, "fbld", 10)
X87_STI(FLD_STi, 0xd9, 0xc0)
X87_PLAIN(FLD1, "fld1")
X87_PLAIN(FLDL2T, "fldl2t")
X87_PLAIN(FLDL2E, "fldl2e")
X87_PLAIN(FLDPI, "fldpi")
X87_PLAIN(FLDLG2, "fldlg2")
X87_PLAIN(FLDLN2, "fldln2")
X87_PLAIN(FLDZ, "fldz")

/* -- Stores -------------------------------------------------------------------------------------------------------- */

X87_STORE(FST_Md, "fsts", 4)
X87_STORE(FST_Mq, "fstl", 8)
X87_STORE(FSTP_Md, "fstps", 4)
X87_STORE(FSTP_Mq, "fstpl", 8)
X87_STORE(FSTP_Mt, "fstpt", 10)
X87_STORE(FIST_Mwi, "fists", 2)
X87_STORE(FIST_Mdi, "fistl", 4)
X87_STORE(FISTP_Mwi, "fistps", 2)
X87_STORE(FISTP_Mdi, "fistpl", 4)
X87_STORE(FISTP_Mqi, "fistpll", 8)
X87_STORE(FISTTP_Mwi, "fisttps", 2)
X87_STORE(FISTTP_Mdi, "fisttpl", 4)
X87_STORE(FISTTP_Mqi, "fisttpll", 8)
X87_STORE(FBSTP_Mt, "fbstp", 10)
X87_STI(FST_STi, 0xdd, 0xd0)
X87_STI(FSTP_STi, 0xdd, 0xd8)
X87_STI(FSTPNCE_STi, 0xd9, 0xd8) /* undocumented: knows no stack underflow, moves the tag too */

/* -- The stack ----------------------------------------------------------------------------------------------------- */

X87_STI(FXCH_ST_STi, 0xd9, 0xc8)
X87_STI(FFREE_STi, 0xdd, 0xc0)
X87_STI(FFREEP_STi, 0xdf, 0xc0)
X87_PLAIN(FDECSTP, "fdecstp")
X87_PLAIN(FINCSTP, "fincstp")
X87_PLAIN(FNOP, "fnop")

/* -- Functions ----------------------------------------------------------------------------------------------------- */

X87_PLAIN(FCHS, "fchs")
X87_PLAIN(FABS, "fabs")
X87_PLAIN(FSQRT, "fsqrt")
X87_PLAIN(FRNDINT, "frndint")
X87_PLAIN(FSCALE, "fscale")
X87_PLAIN(FXTRACT, "fxtract")
X87_PLAIN(FPREM, "fprem")
X87_PLAIN(FPREM1, "fprem1")
X87_PLAIN(F2XM1, "f2xm1")
X87_PLAIN(FYL2X, "fyl2x")
X87_PLAIN(FYL2XP1, "fyl2xp1")
X87_PLAIN(FPTAN, "fptan")
X87_PLAIN(FPATAN, "fpatan")
X87_PLAIN(FSIN, "fsin")
X87_PLAIN(FCOS, "fcos")
X87_PLAIN(FSINCOS, "fsincos")
