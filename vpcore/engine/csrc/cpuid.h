/* cpuid.h: what each CPU model is: CPUID leaves, instruction set, MSRs. */
#ifndef VP_CPUID_H
#define VP_CPUID_H
#include "vm.h"

/* Bits of CPUID leaf 1 EDX, SDM 2 table 3-11. */
enum {
    CPUID_FPU = 1,
    CPUID_VME = 2,
    CPUID_DE = 4,
    CPUID_PSE = 8,
    CPUID_TSC = 0x10,
    CPUID_MSR = 0x20,
    CPUID_PAE = 0x40,
    CPUID_MCE = 0x80,
    CPUID_CX8 = 0x100,
    CPUID_SEP = 0x800,
    CPUID_MTRR = 0x1000,
    CPUID_PGE = 0x2000,
    CPUID_MCA = 0x4000,
    CPUID_CMOV = 0x8000,
    CPUID_PAT = 0x10000,
    CPUID_PSE36 = 0x20000,
    CPUID_CLFSH = 0x80000,
    CPUID_MMX = 0x800000,
    CPUID_FXSR = 0x1000000,
    CPUID_SSE = 0x2000000,
    CPUID_SSE2 = 0x4000000,
};

/* FEAT_ bits (the decoder's) of a model; of VP_CPU_HOST by what the present host has. */
uint32_t cpuid_model_features(uint32_t model);
/* Leaf 1 EAX, which is also EDX after reset (SDM 3A 9.1). */
uint32_t cpuid_signature(const struct vp_vm *m);
/* Leaf 1 EDX: CPUID_ bits. */
uint32_t cpuid_bits(const struct vp_vm *m);
/* The instruction, and EFLAGS.ID, exist. */
static inline bool cpuid_has_cpuid(const struct vp_vm *m) { return m->config.cpu_model != VP_CPU_486; }
/* CR4 bits the model has. */
uint32_t cpuid_cr4_mask(const struct vp_vm *m);
/* The CPUID instruction: EAX and ECX in, EAX EBX ECX EDX out. */
void cpuid_leaf(const struct vp_vm *m, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

#endif
