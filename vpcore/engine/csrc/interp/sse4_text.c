/* sse4_text.c: PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI (SDM 1, 12.10.4; SDM 2, 4.1). */
#include "simd.h"

/* What an instruction leaves: EFLAGS and ECX.  As the C calling convention returns it: RAX, RDX. */
struct found {
    uint64_t flags, index;
};

/* The host's instruction for each immediate: EAX and EDX are lengths (no matter for those with implicit ones). */
#define TEXT(name, result)                                                                                             \
    __asm__(".pushsection .text\n\t.balign 16\n" #name "_each:\n\t.set imm, 0\n\t.rept 256\n\t"                        \
            "movl %edi, %eax\n\tmovl %esi, %edx\n\t" #name " $imm, %xmm1, %xmm0\n\tmovl %ecx, %edx\n\t"                \
            "pushfq\n\tpopq %rax\n\tret\n\t.balign 16\n\t.set imm, imm + 1\n\t.endr\n\t.popsection");                  \
    extern const uint8_t name##_each[256][16] __attribute__((visibility("hidden")));                                   \
    static inline result name(const struct vp_vm *m, vec a, vec b, unsigned imm)                                       \
    {                                                                                                                  \
        return ((result(*)(vec, vec, uint32_t, uint32_t))(uintptr_t)name##_each[imm & 0xff])(a, b, m->cpu.gpr[EAX],    \
                                                                                             m->cpu.gpr[EDX]);         \
    }
TEXT(pcmpestri, struct found)
TEXT(pcmpistri, struct found)
TEXT(pcmpestrm, vec)
TEXT(pcmpistrm, vec)

#define RUN_INDEX(name, source)                                                                                        \
    sse_need(m);                                                                                                       \
    vec b = (source);                                                                                                  \
    struct found found = name(m, XMM(m, i->reg), b, i->imm);                                                           \
    fl_put(m, (uint32_t)found.flags);                                                                                  \
    set_reg32(m, ECX, (uint32_t)found.index);                                                                          \
    NEXT
/* The flags are those of the form that returns an index. */
#define RUN_MASK(name, index_name, source)                                                                             \
    sse_need(m);                                                                                                       \
    vec a = XMM(m, i->reg), b = (source);                                                                              \
    fl_put(m, (uint32_t)index_name(m, a, b, i->imm).flags);                                                            \
    XMM(m, 0) = name(m, a, b, i->imm);                                                                                 \
    NEXT

/* A memory operand need not be aligned. */
HANDLER(PCMPESTRI_Vdq_Wdq_Ib_r) { RUN_INDEX(pcmpestri, XMM(m, i->rm)); }
HANDLER(PCMPESTRI_Vdq_Wdq_Ib_m) { RUN_INDEX(pcmpestri, LD128U(m, i)); }
HANDLER(PCMPISTRI_Vdq_Wdq_Ib_r) { RUN_INDEX(pcmpistri, XMM(m, i->rm)); }
HANDLER(PCMPISTRI_Vdq_Wdq_Ib_m) { RUN_INDEX(pcmpistri, LD128U(m, i)); }
HANDLER(PCMPESTRM_Vdq_Wdq_Ib_r) { RUN_MASK(pcmpestrm, pcmpestri, XMM(m, i->rm)); }
HANDLER(PCMPESTRM_Vdq_Wdq_Ib_m) { RUN_MASK(pcmpestrm, pcmpestri, LD128U(m, i)); }
HANDLER(PCMPISTRM_Vdq_Wdq_Ib_r) { RUN_MASK(pcmpistrm, pcmpistri, XMM(m, i->rm)); }
HANDLER(PCMPISTRM_Vdq_Wdq_Ib_m) { RUN_MASK(pcmpistrm, pcmpistri, LD128U(m, i)); }
