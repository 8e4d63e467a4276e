/* sysop.c: system instructions: control and debug registers, descriptor-table registers, interrupt flag, HLT, CPUID,
 * MSRs, the time-stamp counter. */
#include "../cpuid.h"
#include "../cr.h"
#include "../debug.h"
#include "../msr.h"
#include "../seg.h"
#include "interp.h"

/* -- Control and debug registers ---------------------------------------------------------------------------------- */

enum { CR2 = 2, CR3 = 3 }; /* the table has no row for those that do not exist */

HANDLER(MOV_Rd_Cd)
{
    need_cpl0(m);
    const uint32_t *const cr[] = {&m->cpu.cr0, NULL, &m->cpu.cr2, &m->cpu.cr3, &m->cpu.cr4};
    set_reg32(m, i->rm, *cr[i->reg]);
    NEXT;
}
HANDLER(MOV_Cd_Rd)
{
    uint32_t value = reg32(m, i->rm);

    need_cpl0(m);
    switch (i->reg) {
    case 0: cr0_write(m, value); break;
    case CR2: m->cpu.cr2 = value; break;
    case CR3: cr3_write(m, value); break;
    default: cr4_write(m, value);
    }
    END_AT(next_eip(m, i));
}

HANDLER(MOV_Rd_Dd)
{
    set_reg32(m, i->rm, debug_read(m, i->reg));
    NEXT;
}
HANDLER(MOV_Dd_Rd)
{
    debug_write(m, i->reg, reg32(m, i->rm));
    END_AT(next_eip(m, i));
}

/* LMSW writes the low four bits of CR0 and can set PE, not clear it. */
static void lmsw(struct vp_vm *m, const struct insn *i)
{
    enum { MSW = CR0_PE | CR0_MP | CR0_EM | CR0_TS };

    need_cpl0(m);
    uint32_t value = (i->form & FORM_MEM ? ld16(m, i->seg, ea(m, i)) : reg16(m, i->rm)) & MSW;
    cr0_write(m, (m->cpu.cr0 & ~(uint32_t)(MSW & ~CR0_PE)) | value);
}
HANDLER(LMSW_Ew_r)
{
    lmsw(m, i);
    END_AT(next_eip(m, i));
}
HANDLER(LMSW_Ew_m)
{
    lmsw(m, i);
    END_AT(next_eip(m, i));
}
HANDLER(SMSW_Ev_16r)
{
    set_reg16(m, i->rm, (uint16_t)m->cpu.cr0);
    NEXT;
}
HANDLER(SMSW_Ev_32r)
{
    set_reg32(m, i->rm, m->cpu.cr0);
    NEXT;
}
HANDLER(SMSW_Ev_16m)
{
    st16(m, i->seg, ea(m, i), (uint16_t)m->cpu.cr0);
    NEXT;
}
HANDLER(SMSW_Ev_32m)
{
    st16(m, i->seg, ea(m, i), (uint16_t)m->cpu.cr0);
    NEXT;
}
HANDLER(CLTS)
{
    need_cpl0(m);
    m->cpu.cr0 &= ~(uint32_t)CR0_TS;
    END_AT(next_eip(m, i));
}

/* -- Descriptor-table registers ----------------------------------------------------------------------------------- */

/* Address of the second field of a pseudo-descriptor. */
static uint32_t base_at(const struct vp_vm *m, const struct insn *i)
{
    uint32_t at = ea(m, i) + 2;

    return i->form & FORM_AS32 ? at : at & 0xffff;
}
static void load_table(struct vp_vm *m, const struct insn *i, uint32_t *base, uint32_t *limit)
{
    need_cpl0(m);
    uint32_t new_limit = ld16(m, i->seg, ea(m, i));
    uint32_t new_base = ld32(m, i->seg, base_at(m, i));
    *base = i->form & FORM_OS32 ? new_base : new_base & 0xffffff;
    *limit = new_limit;
}
/* All 32 bits of the base, whatever the operand size. */
static void store_table(struct vp_vm *m, const struct insn *i, uint32_t base, uint32_t limit)
{
    st16(m, i->seg, ea(m, i), (uint16_t)limit);
    st32(m, i->seg, base_at(m, i), base);
}
#define TABLES(bits)                                                                                                   \
    HANDLER(LGDT_Ms_##bits)                                                                                            \
    {                                                                                                                  \
        load_table(m, i, &m->cpu.gdtr_base, &m->cpu.gdtr_limit);                                                       \
        END_AT(next_eip(m, i));                                                                                        \
    }                                                                                                                  \
    HANDLER(LIDT_Ms_##bits)                                                                                            \
    {                                                                                                                  \
        load_table(m, i, &m->cpu.idtr_base, &m->cpu.idtr_limit);                                                       \
        END_AT(next_eip(m, i));                                                                                        \
    }                                                                                                                  \
    HANDLER(SGDT_Ms_##bits)                                                                                            \
    {                                                                                                                  \
        store_table(m, i, m->cpu.gdtr_base, m->cpu.gdtr_limit);                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER(SIDT_Ms_##bits)                                                                                            \
    {                                                                                                                  \
        store_table(m, i, m->cpu.idtr_base, m->cpu.idtr_limit);                                                        \
        NEXT;                                                                                                          \
    }
TABLES(16)
TABLES(32)

/* -- TLB and caches ----------------------------------------------------------------------------------------------- */

HANDLER(INVLPG_Mb)
{
    need_cpl0(m);
    mmu_flush_page(m, m->cpu.seg[i->seg].base + ea(m, i));
    END_AT(next_eip(m, i));
}
#define CACHE(row)                                                                                                     \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        need_cpl0(m);                                                                                                  \
        END_AT(next_eip(m, i));                                                                                        \
    }
CACHE(INVD)
CACHE(WBINVD)

/* -- Interrupt flag and HLT --------------------------------------------------------------------------------------- */

/* The flag that CLI and STI act on: IF, or VIF for virtual-8086 mode with CR4.VME and for privilege 3 with CR4.PVI
 * (SDM 3B 20.3.3 and 20.4). */
static uint32_t interrupt_flag(struct vp_vm *m)
{
    if (m->cpl <= iopl(m)) return EF_IF;
    if (m->cpl == 3 && (m->cpu.cr4 & (m->cpu.eflags & EF_VM ? CR4_VME : CR4_PVI))) return EF_VIF;
    raise_gp0(m);
}
HANDLER(CLI)
{
    m->cpu.eflags &= ~interrupt_flag(m);
    NEXT;
}
HANDLER(STI)
{
    uint32_t flag = interrupt_flag(m);

    if (flag == EF_VIF && (m->cpu.eflags & EF_VIP)) raise_gp0(m);
    if (flag == EF_IF && !(m->cpu.eflags & EF_IF)) m->cpu.shadow = SHADOW_STI;
    event_set_eflags(m, flag, flag);
    END_AT(next_eip(m, i));
}
HANDLER(HLT)
{
    need_cpl0(m);
    m->cpu.halted = 1;
    event_sync(m);
    END_AT(next_eip(m, i));
}

/* -- Time, identity, MSRs ----------------------------------------------------------------------------------------- */

static void set_edx_eax(struct vp_vm *m, uint64_t value)
{
    set_reg32(m, EAX, (uint32_t)value);
    set_reg32(m, EDX, (uint32_t)(value >> 32));
}
HANDLER(RDTSC)
{
    if ((m->cpu.cr4 & CR4_TSD) && m->cpl) raise_gp0(m);
    set_edx_eax(m, msr_tsc(m));
    NEXT;
}
HANDLER(RDPMC)
{
    enum { COUNTERS = 2 };

    if ((!(m->cpu.cr4 & CR4_PCE) && m->cpl) || reg32(m, ECX) >= COUNTERS) raise_gp0(m);
    set_edx_eax(m, m->cpu.perfctr[reg32(m, ECX)]);
    NEXT;
}
HANDLER(CPUID)
{
    uint32_t out[4];

    cpuid_leaf(m, reg32(m, EAX), reg32(m, ECX), out);
    set_reg32(m, EAX, out[0]);
    set_reg32(m, EBX, out[1]);
    set_reg32(m, ECX, out[2]);
    set_reg32(m, EDX, out[3]);
    NEXT;
}
HANDLER(RDMSR)
{
    uint64_t value;

    need_cpl0(m);
    if (!msr_read(m, reg32(m, ECX), &value)) raise_gp0(m);
    set_edx_eax(m, value);
    NEXT;
}
HANDLER(WRMSR)
{
    need_cpl0(m);
    if (!msr_write(m, reg32(m, ECX), (uint64_t)reg32(m, EDX) << 32 | reg32(m, EAX))) raise_gp0(m);
    END_AT(next_eip(m, i));
}

/* -- What is never there ------------------------------------------------------------------------------------------ */

/* RSM too: it is undefined outside system management mode (SDM 2, RSM). */
HANDLER(UD2)
{
    (void)i;
    raise_ud(m);
}
