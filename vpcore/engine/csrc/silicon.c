/* silicon.c: the host's processor is asked for its flags. */
#include "silicon.h"
#include "flags.h"
#include <stdlib.h>
#include <string.h>

/* "amd" or "intel": what machines are like, whatever the host is; for tests. */
#define FLAGS_ENV "VPCORE_UNDEFINED_FLAGS"

enum { ASKED = EF_PF | EF_AF | EF_ZF | EF_SF | EF_OF };

/* What is in EFLAGS after an instruction on EAX = 2000'0000h, ECX = 3, EDX = 0 that began with these flags, all or none
 * (SAHF sets what AH has, and adding 127 to AL sets OF where AL is 1). */
#define AFTER(name, instruction)                                                                                       \
    static uint32_t after_##name(uint32_t begins)                                                                      \
    {                                                                                                                  \
        uint32_t out, of = begins & EF_OF ? 1 : 0;                                                                     \
        __asm__("movl %1, %%eax\n\tshll $8, %%eax\n\torl %2, %%eax\n\tmovl $3, %%ecx\n\tmovl $0, %%edx\n\t"            \
                "addb $127, %%al\n\tsahf\n\tmovl $0x20000000, %%eax\n\t" instruction "\n\tlahf\n\tseto %%al\n\t"       \
                "movl %%eax, %0"                                                                                       \
                : "=&r"(out)                                                                                           \
                : "r"(begins & 0xff), "r"(of)                                                                          \
                : "eax", "ecx", "edx", "cc");                                                                          \
        return ((out >> 8 & 0xff) | (out & 1 ? EF_OF : 0)) & ASKED;                                                    \
    }
AFTER(shl, "shll $2, %%eax")
AFTER(shr_cl, "shrl %%cl, %%eax")
AFTER(shld, "shldl $5, %%ecx, %%eax")
AFTER(rol, "roll $2, %%eax")
AFTER(rol_cl, "roll %%cl, %%eax")
AFTER(mul, "mull %%ecx")
AFTER(imul, "imull %%ecx, %%eax")

enum { NONE, ALL, BEGINNINGS };

static const struct {
    uint32_t (*after)(uint32_t begins);
    uint32_t flags[MAKERS][BEGINNINGS];
} answers[] = {
    {after_shl, {{EF_SF | EF_PF | EF_AF | EF_OF, EF_SF | EF_PF | EF_AF | EF_OF}, {EF_SF | EF_PF, EF_SF | EF_PF}}},
    {after_shr_cl, {{EF_PF | EF_AF, EF_PF | EF_AF}, {EF_PF, EF_PF}}},
    {after_shld, {{EF_ZF | EF_PF | EF_AF, EF_ZF | EF_PF | EF_AF}, {EF_ZF | EF_PF, EF_ZF | EF_PF}}},
    {after_rol, {{EF_OF, ASKED}, {0, ASKED}}},
    {after_rol_cl, {{EF_OF, ASKED}, {0, ASKED & ~EF_OF}}},
    {after_mul, {{0, ASKED & ~EF_OF}, {EF_PF, EF_PF}}},
    {after_imul, {{0, ASKED & ~EF_OF}, {EF_PF, EF_PF}}},
};

static bool is_like(enum maker maker)
{
    for (size_t k = 0; k < sizeof answers / sizeof *answers; k++) {
        const uint32_t *flags = answers[k].flags[maker];
        if (answers[k].after(0) != flags[NONE] || answers[k].after(EF_STATUS) != flags[ALL]) return false;
    }
    return true;
}

enum maker silicon_host(void)
{
    enum maker maker = MAKER_AMD;

    while (maker < MAKERS && !is_like(maker)) maker++;
    return maker;
}

enum maker silicon_choose(void)
{
    const char *told = getenv(FLAGS_ENV);

    if (told) return strcmp(told, "intel") ? MAKER_AMD : MAKER_INTEL;
    return silicon_host() == MAKER_INTEL ? MAKER_INTEL : MAKER_AMD;
}
