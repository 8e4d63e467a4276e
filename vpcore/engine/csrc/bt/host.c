/* host.c: what the host's processor does where SDM leaves it open. */
#include "bt.h"
#include <stdlib.h>

/* Set, it is taken to differ from the interpreter in all of that; for tests. */
#define DIFFERS_ENV "VPCORE_BT_HOST_DIFFERS"

/* Set, it is taken to have no fast PEXT; for tests. */
#define PROBE_ENV "VPCORE_BT_NO_PEXT"

/* LAHF's AH after an instruction on EAX = 4, ECX = 3, EDX = 0 that began with this AH and OF = 0. */
#define AH_AFTER(name, instruction)                                                                                    \
    static uint32_t after_##name(uint32_t ah)                                                                          \
    {                                                                                                                  \
        uint32_t out;                                                                                                  \
        __asm__("xorl %%edx, %%edx\n\tmovl %1, %%eax\n\tshll $8, %%eax\n\tsahf\n\tmovl $4, %%eax\n\t" instruction      \
                "\n\tlahf\n\tmovzbl %%ah, %0"                                                                          \
                : "=&b"(out)                                                                                           \
                : "S"(ah), "c"(3)                                                                                      \
                : "eax", "edx", "cc");                                                                                 \
        return out;                                                                                                    \
    }
AH_AFTER(shl, "shll $2, %%eax")
AH_AFTER(shr_cl, "shrl %%cl, %%eax")
AH_AFTER(sar, "sarw $1, %%ax")
AH_AFTER(shld, "shldl $5, %%ecx, %%eax")
AH_AFTER(mul, "mull %%ecx")
AH_AFTER(imul, "imull %%ecx, %%eax")
AH_AFTER(div, "divl %%ecx")

bool bt_host_flags(void)
{
    const uint32_t kept = EF_SF | EF_ZF | EF_AF | EF_PF;

    if (getenv(DIFFERS_ENV)) return false;
    return (after_shl(0) & after_shr_cl(0) & after_sar(0) & after_shld(0) & EF_AF) && (after_mul(0) & kept) == 0 &&
           (after_mul(kept) & kept) == kept && (after_imul(0) & kept) == 0 && (after_imul(kept) & kept) == kept &&
           (after_div(kept) & kept) == EF_AF;
}

bool bt_host_extracts(void)
{
    enum { LEAF = 7, BMI2 = 1 << 8, LEAF_FAMILY = 1, FAMILY_MOST = 0xf, FAST_FAMILY = 0x19 /* Zen 3 */ };
    enum { AMD_D = 0x69746e65, HYGON_D = 0x6e65476e }; /* "enti", "nGen": CPUID 0, EDX */
    uint32_t most, vendor, b, c, d, eax;

    __asm__("cpuid" : "=a"(most), "=b"(b), "=c"(c), "=d"(vendor) : "0"(0));
    if (most < LEAF || getenv(PROBE_ENV)) return false;
    __asm__("cpuid" : "=a"(eax), "=b"(b), "=c"(c), "=d"(d) : "0"(LEAF), "2"(0));
    if (!(b & BMI2)) return false;
    __asm__("cpuid" : "=a"(eax), "=b"(b), "=c"(c), "=d"(d) : "0"(LEAF_FAMILY));
    uint32_t family = eax >> 8 & FAMILY_MOST;
    if (family == FAMILY_MOST) family += eax >> 20 & 0xff;
    return (vendor != AMD_D && vendor != HYGON_D) || family >= FAST_FAMILY;
}

/* All status flags set but OF, which is as said; then LZCNT.  LAHF's AH, and OF in bit 0. */
static uint32_t after_lzcnt(uint32_t of)
{
    uint32_t out;

    __asm__("movl %1, %%edx\n\tmovb $0xd5, %%ah\n\taddb $0x7f, %%dl\n\tsahf\n\tlzcnt %2, %%ecx\n\tlahf\n\tseto %%al\n\t"
            "movzwl %%ax, %0"
            : "=r"(out)
            : "r"(of), "r"(4)
            : "eax", "ecx", "edx", "cc");
    return out;
}

bool bt_host_counts(void)
{
    const uint32_t cleared = (EF_SF | EF_ZF | EF_AF | EF_PF | EF_CF) << 8;

    return !getenv(DIFFERS_ENV) && (after_lzcnt(0) & (cleared | 1)) == 0 && (after_lzcnt(1) & (cleared | 1)) == 1;
}
