/* host_cpuid.c: CPUID as the host's processor answers it, in the order EAX, ECX, EDX, EBX of its registers' numbers. */
#include <stdint.h>

void host_cpuid(uint32_t leaf, uint32_t out[4])
{
    __asm__("cpuid" : "=a"(out[0]), "=c"(out[1]), "=d"(out[2]), "=b"(out[3]) : "0"(leaf), "1"(0));
}
