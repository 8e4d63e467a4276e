/* cpuid.c: the CPU models.  The only place that knows what a model has; the decoder, CR4 and the MSRs ask here. */
#include "cpuid.h"
#include "gen/ops.inc"
#include "seg.h"

/* -- The table ---------------------------------------------------------------------------------------------------- */

enum {
    BITS_486 = CPUID_FPU,
    BITS_PENTIUM = BITS_486 | CPUID_VME | CPUID_DE | CPUID_PSE | CPUID_TSC | CPUID_MSR | CPUID_MCE | CPUID_CX8,
    /* a Pentium III without its local APIC: pc99 has none */
    BITS_PENTIUM3 = BITS_PENTIUM | CPUID_PAE | CPUID_SEP | CPUID_MTRR | CPUID_PGE | CPUID_MCA | CPUID_CMOV | CPUID_PAT |
                    CPUID_PSE36 | CPUID_MMX | CPUID_FXSR | CPUID_SSE,
    BITS_HOST = BITS_PENTIUM3 | CPUID_SSE2 | CPUID_CLFSH,
};

struct model {
    uint32_t max_leaf, max_extended, signature, brand, bits;
    uint32_t cache[4]; /* leaf 2 */
};

enum { LEAF_FEATURES = 1, LEAF_CACHE = 2, LEAF_MORE_FEATURES = 7 };
/* Extended leaves: how many, features, and three with the processor's name. */
#define LEAF_EXTENDED 0x80000000u
#define LEAF_EXTENDED_FEATURES 0x80000001u
#define LEAF_NAME 0x80000002u
#define LEAF_NAME_END 0x80000004u

/* Signatures: family, model, stepping (SDM 2, figure 3-6) of a DX2 (which has no CPUID to show it), a P54C and a
 * Coppermine.  Leaf 2 of the last: 16 KB
 * L1, 256 KB L2 (SDM 2, table 3-12).  Brand 2 is "Pentium III". */
static const struct model models[] = {
    [VP_CPU_486] = {1, 0, 0x435, 0, BITS_486, {0}},
    [VP_CPU_PENTIUM] = {1, 0, 0x52c, 0, BITS_PENTIUM, {0}},
    [VP_CPU_PENTIUM3] = {2, 0, 0x68a, 2, BITS_PENTIUM3, {0x03020101, 0, 0, 0x0c040882}},
    [VP_CPU_HOST] = {LEAF_MORE_FEATURES, LEAF_NAME_END, 0x68a, 2, BITS_HOST, {0x03020101, 0, 0, 0x0c040882}},
};

/* What VP_CPU_HOST has where the host has it: all that needs no state beyond FXSAVE's (SDM 2, tables 3-10 and 3-8). */
enum { IN_EBX = 1, IN_ECX = 2 };
static const struct {
    uint32_t leaf, reg, bit, feature;
} additions[] = {
    {LEAF_FEATURES, IN_ECX, 1u << 0, FEAT_SSE3},           {LEAF_FEATURES, IN_ECX, 1u << 1, FEAT_PCLMUL},
    {LEAF_FEATURES, IN_ECX, 1u << 9, FEAT_SSSE3},          {LEAF_FEATURES, IN_ECX, 1u << 19, FEAT_SSE41},
    {LEAF_FEATURES, IN_ECX, 1u << 20, FEAT_SSE42},         {LEAF_FEATURES, IN_ECX, 1u << 22, FEAT_MOVBE},
    {LEAF_FEATURES, IN_ECX, 1u << 23, FEAT_POPCNT},        {LEAF_FEATURES, IN_ECX, 1u << 25, FEAT_AES},
    {LEAF_FEATURES, IN_ECX, 1u << 30, FEAT_RDRAND},        {LEAF_MORE_FEATURES, IN_EBX, 1u << 18, FEAT_RDSEED},
    {LEAF_MORE_FEATURES, IN_EBX, 1u << 19, FEAT_ADX},      {LEAF_MORE_FEATURES, IN_EBX, 1u << 29, FEAT_SHA},
    {LEAF_EXTENDED_FEATURES, IN_ECX, 1u << 5, FEAT_LZCNT},
};
enum { ADDITIONS = sizeof additions / sizeof *additions };

static void ask_host(uint32_t leaf, uint32_t out[4])
{
    __asm__("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "0"(leaf), "2"(0));
}

/* A leaf of the host's processor, zeros where it has none. */
static void host_leaf(uint32_t leaf, uint32_t out[4])
{
    ask_host(leaf & LEAF_EXTENDED, out); /* which leaf is the last */
    if (out[0] >= leaf)
        ask_host(leaf, out);
    else
        out[0] = out[1] = out[2] = out[3] = 0;
}

static uint32_t added_features(void)
{
    uint32_t features = 0, regs[4];

    for (unsigned k = 0; k < ADDITIONS; k++) {
        host_leaf(additions[k].leaf, regs);
        if (regs[additions[k].reg] & additions[k].bit) features |= additions[k].feature;
    }
    return features;
}

static const struct model *model_of(const struct vp_vm *m) { return &models[m->config.cpu_model]; }

uint32_t cpuid_model_features(uint32_t model)
{
    static const struct {
        uint32_t bit, feature;
    } by_bit[] = {
        {CPUID_TSC, FEAT_P5},    {CPUID_CMOV, FEAT_P6}, {CPUID_SEP, FEAT_SEP},   {CPUID_MMX, FEAT_MMX},
        {CPUID_FXSR, FEAT_FXSR}, {CPUID_SSE, FEAT_SSE}, {CPUID_SSE2, FEAT_SSE2},
    };
    uint32_t features = FEAT_I386 | FEAT_I486;

    for (unsigned k = 0; k < sizeof by_bit / sizeof *by_bit; k++)
        if (models[model].bits & by_bit[k].bit) features |= by_bit[k].feature;
    return model == VP_CPU_HOST ? features | added_features() : features;
}

uint32_t cpuid_signature(const struct vp_vm *m) { return model_of(m)->signature; }
uint32_t cpuid_bits(const struct vp_vm *m) { return model_of(m)->bits; }

uint32_t cpuid_cr4_mask(const struct vp_vm *m)
{
    static const struct {
        uint32_t bit, cr4;
    } by_bit[] = {
        {CPUID_VME, CR4_VME | CR4_PVI}, {CPUID_TSC, CR4_TSD},        {CPUID_DE, CR4_DE},   {CPUID_PSE, CR4_PSE},
        {CPUID_PAE, CR4_PAE},           {CPUID_MCE, CR4_MCE},        {CPUID_PGE, CR4_PGE}, {CPUID_CMOV, CR4_PCE},
        {CPUID_FXSR, CR4_OSFXSR},       {CPUID_SSE, CR4_OSXMMEXCPT},
    };
    uint32_t mask = 0;

    for (unsigned k = 0; k < sizeof by_bit / sizeof *by_bit; k++)
        if (cpuid_bits(m) & by_bit[k].bit) mask |= by_bit[k].cr4;
    return mask;
}

/* -- The instruction ---------------------------------------------------------------------------------------------- */

static void leaf_vendor(const struct model *p, uint32_t out[4])
{
    out[0] = p->max_leaf;
    out[1] = 0x756e6547; /* "Genu" */
    out[2] = 0x6c65746e; /* "ntel" */
    out[3] = 0x49656e69; /* "ineI" */
}

static void leaf_features(const struct model *p, uint32_t out[4])
{
    enum { CLFLUSH_LINE = 8 << 8 }; /* in units of 8 bytes */

    out[0] = p->signature;
    out[1] = p->brand | (p->bits & CPUID_CLFSH ? CLFLUSH_LINE : 0);
    out[3] = p->bits;
}

static void put_additions(const struct vp_vm *m, uint32_t leaf, uint32_t out[4])
{
    for (unsigned k = 0; k < ADDITIONS; k++)
        if (additions[k].leaf == leaf && (m->features & additions[k].feature))
            out[additions[k].reg] |= additions[k].bit;
}

/* A leaf above the last answers as the last does, an extended one above the last too (SDM 2, CPUID).  The name that
 * extended leaves spell is the host's own. */
void cpuid_leaf(const struct vp_vm *m, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct model *p = model_of(m);

    out[0] = out[1] = out[2] = out[3] = 0;
    if (leaf > p->max_leaf && (leaf < LEAF_EXTENDED || leaf > p->max_extended)) leaf = p->max_leaf;
    if (leaf == LEAF_MORE_FEATURES && subleaf) return;
    switch (leaf) {
    case 0: leaf_vendor(p, out); break;
    case LEAF_FEATURES: leaf_features(p, out); break;
    case LEAF_CACHE:
        for (unsigned k = 0; k < 4; k++) out[k] = p->cache[k];
        break;
    case LEAF_EXTENDED: out[0] = p->max_extended; break;
    case LEAF_NAME:
    case LEAF_NAME + 1:
    case LEAF_NAME_END: host_leaf(leaf, out); break;
    }
    put_additions(m, leaf, out);
}
