/* msr.c: model-specific registers, see msr.h.
 *
 * One table: index, the CPUID bit that brings the register, and how it is read and written.  Registers without storage
 * read a constant and swallow writes, as P6 does for the ones named (SDM 3C 35, MSRs in the P6 family).
 */
#include "msr.h"
#include "cpuid.h"
#include <stddef.h>
#include <string.h>

enum {
    MSR_P5_MC_ADDR = 0x00,
    MSR_P5_MC_TYPE = 0x01,
    MSR_TSC = 0x10,
    MSR_PLATFORM_ID = 0x17,
    MSR_APIC_BASE = 0x1b,
    MSR_EBL_CR_POWERON = 0x2a,
    MSR_TEST_CTL = 0x33,
    MSR_BIOS_UPDT_TRIG = 0x79,
    MSR_BIOS_SIGN = 0x8b,
    MSR_PERFCTR0 = 0xc1,
    MSR_PERFCTR1 = 0xc2,
    MSR_MTRRCAP = 0xfe,
    MSR_BBL_CR_CTL3 = 0x11e,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_EVNTSEL0 = 0x186,
    MSR_EVNTSEL1 = 0x187,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_DEBUGCTL = 0x1d9,
    MSR_LASTBRANCHFROM = 0x1db,
    MSR_LASTINTTO = 0x1de,
    MSR_MTRR_PHYSBASE0 = 0x200,
    MSR_MTRR_PHYSMASK7 = 0x20f,
    MSR_MTRR_FIX64K = 0x250,
    MSR_MTRR_FIX16K_80000 = 0x258,
    MSR_MTRR_FIX16K_A0000 = 0x259,
    MSR_MTRR_FIX4K_C0000 = 0x268,
    MSR_MTRR_FIX4K_F8000 = 0x26f,
    MSR_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff,
};

enum { APIC_BASE_BSP = 0x100 };
#define APIC_DEFAULT_BASE 0xfee00000u
#define PHYS_MASK 0xfffffffffu /* 36 address bits */
/* 8 variable ranges, fixed ranges, write-combining: SDM 3A 11.11.1 */
#define MTRRCAP_VALUE 0x508u
#define MICROCODE_REVISION 1ull
#define PAT_RESET 0x0007040600070406ull

/* -- Values that are checked -------------------------------------------------------------------------------------- */

/* Each of the `bytes` bytes is one of the types in `types` (1 << type). */
static bool types_ok(uint64_t value, unsigned bytes, unsigned types)
{
    for (unsigned k = 0; k < bytes; k++) {
        unsigned type = value >> (8 * k) & 0xff;
        if (type > 7 || !(types >> type & 1)) return false;
    }
    return true;
}

enum { MTRR_TYPES = 0x73, PAT_TYPES = 0xf3 }; /* UC WC WT WP WB, and UC- (SDM 3A tables 12-8, 12-10) */

static bool write_mtrr_fixed(uint64_t *field, uint64_t value)
{
    if (!types_ok(value, 8, MTRR_TYPES)) return false;
    *field = value;
    return true;
}

/* Even entries are bases, odd ones masks (SDM 3A 11.11.2.3). */
static bool write_mtrr_variable(struct vp_vm *m, unsigned n, uint64_t value)
{
    bool mask = n & 1;

    if (value & ~(uint64_t)PHYS_MASK) return false;
    if (mask ? value & 0x7ff : value & 0xf00 || !types_ok(value, 1, MTRR_TYPES)) return false;
    m->cpu.mtrr_var[n] = value;
    return true;
}

static bool write_mtrr_def_type(struct vp_vm *m, uint64_t value)
{
    if ((value & ~(uint64_t)0xcff) || !types_ok(value, 1, MTRR_TYPES)) return false;
    m->cpu.mtrr_def_type = value;
    return true;
}

/* -- Time-stamp counter ------------------------------------------------------------------------------------------- */

static uint64_t tsc_raw(struct vp_vm *m)
{
    const uint64_t second = 1000000000u, now = (uint64_t)vp_now(m), hz = m->config.tsc_hz;

    if (unlikely(hz >> 32)) return (uint64_t)((unsigned __int128)now * hz / second);
    return now / second * hz + now % second * hz / second; /* the same, without a division of 128 bits */
}

uint64_t msr_tsc(struct vp_vm *m) { return tsc_raw(m) + m->cpu.tsc_offset; }

/* -- Ranges ------------------------------------------------------------------------------------------------------- */

static uint64_t *mtrr_fixed(struct vp_vm *m, uint32_t index)
{
    if (index == MSR_MTRR_FIX64K) return &m->cpu.mtrr_fixed[0];
    if (index == MSR_MTRR_FIX16K_80000 || index == MSR_MTRR_FIX16K_A0000)
        return &m->cpu.mtrr_fixed[1 + index - MSR_MTRR_FIX16K_80000];
    if (index >= MSR_MTRR_FIX4K_C0000 && index <= MSR_MTRR_FIX4K_F8000)
        return &m->cpu.mtrr_fixed[3 + index - MSR_MTRR_FIX4K_C0000];
    return NULL;
}

static bool mtrr_read(struct vp_vm *m, uint32_t index, uint64_t *value)
{
    const uint64_t *fixed = mtrr_fixed(m, index);

    if (fixed)
        *value = *fixed;
    else if (index >= MSR_MTRR_PHYSBASE0 && index <= MSR_MTRR_PHYSMASK7)
        *value = m->cpu.mtrr_var[index - MSR_MTRR_PHYSBASE0];
    else if (index == MSR_MTRR_DEF_TYPE)
        *value = m->cpu.mtrr_def_type;
    else if (index == MSR_MTRRCAP)
        *value = MTRRCAP_VALUE;
    else
        return false;
    return true;
}

static bool mtrr_write(struct vp_vm *m, uint32_t index, uint64_t value)
{
    uint64_t *fixed = mtrr_fixed(m, index);

    if (fixed) return write_mtrr_fixed(fixed, value);
    if (index >= MSR_MTRR_PHYSBASE0 && index <= MSR_MTRR_PHYSMASK7)
        return write_mtrr_variable(m, index - MSR_MTRR_PHYSBASE0, value);
    return index == MSR_MTRR_DEF_TYPE && write_mtrr_def_type(m, value);
}

/* -- Plain registers: a field of vp_cpu --------------------------------------------------------------------------- */

struct plain {
    uint32_t index, needs; /* CPUID bits */
    uint16_t offset, size; /* in vp_cpu; size 0: a constant */
    uint64_t writable;     /* bits that a write keeps; others must be 0 where `strict` */
    uint64_t value;        /* of a constant */
    bool strict;
};
#define FIELD(name) offsetof(struct vp_cpu, name), sizeof(((struct vp_cpu *)0)->name)

static const struct plain registers[] = {
    {MSR_SYSENTER_CS, CPUID_SEP, FIELD(sysenter_cs), 0xffffffff, 0, false},
    {MSR_SYSENTER_ESP, CPUID_SEP, FIELD(sysenter_esp), 0xffffffff, 0, false},
    {MSR_SYSENTER_EIP, CPUID_SEP, FIELD(sysenter_eip), 0xffffffff, 0, false},
    {MSR_MCG_CAP, CPUID_MCA, 0, 0, 0, 0, true}, /* no banks */
    {MSR_MCG_STATUS, CPUID_MCA, FIELD(mcg_status), 7, 0, true},
    /* the performance counters keep what is written and count nothing */
    {MSR_PERFCTR0, CPUID_CMOV, FIELD(perfctr[0]), 0xffffffffff, 0, false},
    {MSR_PERFCTR1, CPUID_CMOV, FIELD(perfctr[1]), 0xffffffffff, 0, false},
    {MSR_EVNTSEL0, CPUID_CMOV, FIELD(evntsel[0]), 0xffffffff, 0, false},
    {MSR_EVNTSEL1, CPUID_CMOV, FIELD(evntsel[1]), 0xffffffff, 0, false},
    {MSR_MISC_ENABLE, CPUID_CMOV, FIELD(misc_enable), 0xffffffff, 0, false},
    {MSR_DEBUGCTL, CPUID_CMOV, FIELD(debugctl), 0x7f, 0, false},
    {MSR_P5_MC_ADDR, CPUID_MSR, 0, 0, 0, 0, false},
    {MSR_P5_MC_TYPE, CPUID_MSR, 0, 0, 0, 0, false},
    {MSR_PLATFORM_ID, CPUID_CMOV, 0, 0, 0, 0, true},
    {MSR_EBL_CR_POWERON, CPUID_CMOV, 0, 0, 0, 0, false},
    {MSR_TEST_CTL, CPUID_CMOV, 0, 0, 0, 0, false},
    {MSR_BBL_CR_CTL3, CPUID_CMOV, 0, 0, 0, 0, false},
    /* an update is refused in silence, and the signature does not change (SDM 3A 9.11.7) */
    {MSR_BIOS_UPDT_TRIG, CPUID_CMOV, 0, 0, 0, 0, false},
    {MSR_BIOS_SIGN, CPUID_CMOV, FIELD(microcode), 0, 0, false},
    {MSR_APIC_BASE, CPUID_CMOV, FIELD(apic_base), PHYS_MASK & ~0xfffull, 0,
     false}, /* cannot be enabled: CPUID says none */
};

static const struct plain *find_plain(const struct vp_vm *m, uint32_t index)
{
    for (unsigned k = 0; k < sizeof registers / sizeof *registers; k++)
        if (registers[k].index == index && (cpuid_bits(m) & registers[k].needs)) return &registers[k];
    /* last branch and interrupt records: none are taken */
    static const struct plain record = {0, 0, 0, 0, 0, 0, false};
    if (index >= MSR_LASTBRANCHFROM && index <= MSR_LASTINTTO && (cpuid_bits(m) & CPUID_CMOV)) return &record;
    return NULL;
}

static uint64_t plain_read(const struct vp_vm *m, const struct plain *p)
{
    uint64_t value = p->value;

    memcpy(&value, (const uint8_t *)&m->cpu + p->offset, p->size);
    return value;
}

static bool plain_write(struct vp_vm *m, const struct plain *p, uint64_t value)
{
    if (p->strict && (value & ~p->writable)) return false;
    value = (value & p->writable) | (plain_read(m, p) & ~p->writable);
    memcpy((uint8_t *)&m->cpu + p->offset, &value, p->size);
    return true;
}

/* -- The face ----------------------------------------------------------------------------------------------------- */

bool msr_read(struct vp_vm *m, uint32_t index, uint64_t *value)
{
    const struct plain *p = find_plain(m, index);

    *value = 0;
    if (p) {
        *value = plain_read(m, p);
        return true;
    }
    if (index == MSR_TSC && (cpuid_bits(m) & CPUID_TSC)) {
        *value = msr_tsc(m);
        return true;
    }
    if (index == MSR_PAT && (cpuid_bits(m) & CPUID_PAT)) {
        *value = m->cpu.pat;
        return true;
    }
    return (cpuid_bits(m) & CPUID_MTRR) && mtrr_read(m, index, value);
}

bool msr_write(struct vp_vm *m, uint32_t index, uint64_t value)
{
    const struct plain *p = find_plain(m, index);

    if (p) return plain_write(m, p, value);
    if (index == MSR_TSC && (cpuid_bits(m) & CPUID_TSC)) {
        /* P6 writes the low half and clears the high one (SDM 3B 17, time-stamp counter adjustment) */
        m->cpu.tsc_offset = (uint32_t)value - tsc_raw(m);
        return true;
    }
    if (index == MSR_PAT && (cpuid_bits(m) & CPUID_PAT)) {
        if (!types_ok(value, 8, PAT_TYPES)) return false;
        m->cpu.pat = value;
        return true;
    }
    return (cpuid_bits(m) & CPUID_MTRR) && mtrr_write(m, index, value);
}

void msr_reset(struct vp_vm *m)
{
    m->cpu.tsc_offset = 0 - tsc_raw(m);
    m->cpu.sysenter_cs = m->cpu.sysenter_esp = m->cpu.sysenter_eip = 0;
    m->cpu.apic_base = APIC_DEFAULT_BASE | APIC_BASE_BSP;
    m->cpu.pat = PAT_RESET;
    m->cpu.mcg_status = m->cpu.debugctl = m->cpu.misc_enable = 0;
    m->cpu.microcode = MICROCODE_REVISION << 32;
    m->cpu.mtrr_def_type = 0;
    memset(m->cpu.mtrr_fixed, 0, sizeof m->cpu.mtrr_fixed);
    memset(m->cpu.mtrr_var, 0, sizeof m->cpu.mtrr_var);
    memset(m->cpu.perfctr, 0, sizeof m->cpu.perfctr);
    memset(m->cpu.evntsel, 0, sizeof m->cpu.evntsel);
}
