/* cc.h: the sixteen conditions of Jcc, SETcc and CMOVcc (SDM 1 appendix B), in the order of their encoding. */
#ifndef VP_CC_H
#define VP_CC_H
#include "../flags.h"

#define CC_LIST(X)                                                                                                     \
    X(O, fl_of(m))                                                                                                     \
    X(NO, !fl_of(m))                                                                                                   \
    X(B, fl_cf(m))                                                                                                     \
    X(AE, !fl_cf(m))                                                                                                   \
    X(E, fl_zf(m))                                                                                                     \
    X(NE, !fl_zf(m))                                                                                                   \
    X(BE, fl_cf(m) || fl_zf(m))                                                                                        \
    X(A, !fl_cf(m) && !fl_zf(m))                                                                                       \
    X(S, fl_sf(m))                                                                                                     \
    X(NS, !fl_sf(m))                                                                                                   \
    X(P, fl_pf(m))                                                                                                     \
    X(NP, !fl_pf(m))                                                                                                   \
    X(L, fl_sf(m) != fl_of(m))                                                                                         \
    X(GE, fl_sf(m) == fl_of(m))                                                                                        \
    X(LE, fl_zf(m) || fl_sf(m) != fl_of(m))                                                                            \
    X(G, !fl_zf(m) && fl_sf(m) == fl_of(m))

#define CC_FUNCTION(name, test)                                                                                        \
    static inline bool cc_##name(const struct vp_vm *m) { return test; }
CC_LIST(CC_FUNCTION)
#undef CC_FUNCTION

#endif
