/* silicon.h: flags that SDM leaves undefined (SDM 1, appendix A), as makers of processors have decided.
 *
 * After shifts AMD's set AF and Intel's clear it; OF is what the formula for a count of 1 gives of the result, or of
 * what was shifted.  Multiplications leave SF, ZF, AF and PF alone, or set SF and PF by the lower half and clear the
 * others. A machine's are those of its host's processor, so that host code need not correct them.
 */
#ifndef VP_SILICON_H
#define VP_SILICON_H

enum maker { MAKER_AMD, MAKER_INTEL, MAKERS };

/* Like whose the host's processor is, by what it does; MAKERS: like neither's. */
enum maker silicon_host(void);

/* What a new machine is to be like: the host, if it is like either. */
enum maker silicon_choose(void);

#endif
