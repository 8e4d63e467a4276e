/* host.c: what the host's processor does well. */
#include "bt.h"
#include <stdlib.h>

/* Set, it is taken to have no fast PEXT; for tests. */
#define PROBE_ENV "VPCORE_BT_NO_PEXT"

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
