/* random.c: RDRAND and RDSEED (SDM 2, their pages).
 *
 * Under the realtime clock they are the host's own.  Under icount, where a run must be the same every time, they are a
 * function of virtual time: numbers that look random and that anybody can foretell.
 */
#include "interp.h"

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): one step from `state`. */
static uint64_t mixed(uint64_t state)
{
    uint64_t z = state + 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* CF: there was a number, which the host may lack now and then; without one the result is 0.  Of 64 bits, for a Zen 5's
 * RDSEED gives too many zeros of 16 and 32 as good ones (AMD-SB-7055). */
#define FROM_HOST(NAME, text)                                                                                          \
    static bool NAME##_value(struct vp_vm *m, uint32_t *value)                                                         \
    {                                                                                                                  \
        bool good = true;                                                                                              \
        uint64_t number;                                                                                               \
        if (m->config.clock == VP_CLOCK_ICOUNT)                                                                        \
            number = mixed((uint64_t)vp_now(m));                                                                       \
        else                                                                                                           \
            __asm__ volatile(text " %0" : "=r"(number), "=@ccc"(good));                                                \
        *value = (uint32_t)number;                                                                                     \
        return good;                                                                                                   \
    }                                                                                                                  \
    HANDLER(NAME##_Rv_16)                                                                                              \
    {                                                                                                                  \
        uint32_t value;                                                                                                \
        fl_put(m, NAME##_value(m, &value) ? EF_CF : 0);                                                                \
        set_reg16(m, i->rm, (uint16_t)value);                                                                          \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(NAME##_Rv_32)                                                                                              \
    {                                                                                                                  \
        uint32_t value;                                                                                                \
        fl_put(m, NAME##_value(m, &value) ? EF_CF : 0);                                                                \
        set_reg32(m, i->rm, value);                                                                                    \
        NEXT;                                                                                                          \
    }
FROM_HOST(RDRAND, "rdrand")
FROM_HOST(RDSEED, "rdseed")
