/* engine.c: the vp.h calls that are about the processor as a whole: life, reset, engines, running, pins.
 *
 * The only file that knows every engine.  Between two vp_run() calls all architectural state is in vp_cpu, in the
 * manual's form; within, flags are lazy (flags.h) and x87 state may be on the host (x87.h).
 */
#include "engine.h"
#include "cpuid.h"
#include "event.h"
#include "flags.h"
#include "give.h"
#include "kick.h"
#include "mem.h"
#include "mmu.h"
#include "msr.h"
#include "native_calls.h"
#include "profile.h"
#include "seg.h"
#include "silicon.h"
#include "space.h"
#include "x87.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const struct vp_engine *const engines[] = {&engine_interp, &engine_bt};
enum { ENGINES = sizeof engines / sizeof *engines };

/* Why vp_create() failed, when there is no vm to ask. */
static _Thread_local char create_error[sizeof((vp_vm *)NULL)->error];

void *vp_host(const vp_vm *m) { return m->config.host; }

const char *vp_error(const vp_vm *m) { return m ? m->error : create_error; }

/* -- Engines ------------------------------------------------------------------------------------------------------ */

int vp_engine_count(void) { return ENGINES; }
const char *vp_engine_name(int index) { return index >= 0 && index < ENGINES ? engines[index]->name : NULL; }

static const struct vp_engine *engine_named(const char *name)
{
    for (int k = 0; k < ENGINES; k++)
        if (!strcmp(engines[k]->name, name)) return engines[k];
    return NULL;
}

int vp_engine_probe(vp_vm *m, const char *name)
{
    const struct vp_engine *engine = engine_named(name);
    char *why = m ? m->error : create_error;

    if (engine) return engine->probe(why, sizeof create_error);
    snprintf(why, sizeof create_error, "there is no engine of that name");
    return 0;
}

int vp_engine_select(vp_vm *m, const char *name)
{
    if (!vp_engine_probe(m, name)) return -1;
    const struct vp_engine *engine = engine_named(name);
    if (engine == m->engine) return 0;
    if (engine != &engine_interp && !engine->create(m)) return -1;
    m->engine->invalidate(m, 0, UINT64_MAX);
    if (m->engine != &engine_interp) m->engine->destroy(m);
    m->engine = engine;
    vp_cpu_changed(m);
    return 0;
}

const char *vp_engine_lacks(vp_vm *m) { return m->engine->lacks ? m->engine->lacks(m) : ""; }

uint32_t vp_mode_trace(vp_vm *m, vp_mode_change *out, uint32_t most)
{
    return m->engine->mode_trace ? m->engine->mode_trace(m, out, most) : 0;
}

/* -- Life --------------------------------------------------------------------------------------------------------- */

static bool config_ok(const vp_config *c)
{
    const uint64_t most = 0xe0000000u; /* what lies above belongs to devices and firmware */

    if (!c->ram_size || c->ram_size % PAGE_SIZE || c->ram_size > most)
        snprintf(create_error, sizeof create_error, "ram_size %llu is not a multiple of 4096 up to %llu",
                 (unsigned long long)c->ram_size, (unsigned long long)most);
    else if (c->cpu_model > VP_CPU_HOST || c->clock > VP_CLOCK_ICOUNT || !c->icount_ns || !c->tsc_hz)
        snprintf(create_error, sizeof create_error, "cpu_model, clock, icount_ns or tsc_hz is out of range");
    else
        return true;
    return false;
}

vp_vm *vp_create(const vp_config *config)
{
    if (!config_ok(config)) return NULL;
    vp_vm *m = mem_reserve_guarded(VM_ROOM);
    const bool guarded = m;
    if (!m) m = mem_reserve(VM_ROOM);
    if (!m) {
        snprintf(create_error, sizeof create_error, "no memory for a processor");
        return NULL;
    }
    m->config = *config;
    m->guarded = guarded;
    m->ram_size = config->ram_size;
    m->deadline = m->enough = INT64_MAX;
    m->alarm = m->soonest = VP_NEVER;
    m->features = cpuid_model_features(config->cpu_model);
    m->maker = (uint8_t)silicon_choose();
    m->giver = giver_create(&m->stats.ahead_bytes);
    if (!m->giver || !mem_create(m) || !native_create(m) || !space_create(m) || !engine_interp.create(m)) {
        snprintf(create_error, sizeof create_error, "the host gives no %llu MB of memory",
                 (unsigned long long)(config->ram_size >> 20));
        vp_destroy(m);
        return NULL;
    }
    m->engine = &engine_interp;
    vp_set_now(m, 0);
    vp_reset(m);
    return m;
}

void vp_destroy(vp_vm *m)
{
    if (!m) return;
    if (m->engine && m->engine != &engine_interp) m->engine->destroy(m);
    engine_interp.destroy(m);
    profile_destroy(m);
    space_destroy(m);
    native_destroy(m);
    mem_destroy(m);
    giver_destroy(m->giver);
    (m->guarded ? mem_release_guarded : mem_release)(m, VM_ROOM);
}

/* -- State -------------------------------------------------------------------------------------------------------- */

/* SDM 3A table 9-1. */
void vp_reset(vp_vm *m)
{
    struct vp_cpu *c = &m->cpu;

    x87_drop_ferr(m);
    memset(c, 0, sizeof *c);
    c->gpr[EDX] = cpuid_signature(m);
    c->eip = 0xfff0;
    c->eflags = EF_ONE;
    c->cr0 = CR0_CD | CR0_NW | CR0_ET;
    c->dr[6] = 0xffff0ff0;
    c->dr[7] = 0x400;
    for (unsigned seg = VP_ES; seg <= VP_GS; seg++) c->seg[seg] = (struct vp_seg){.limit = 0xffff, .attr = ATTR_REAL};
    c->seg[VP_CS].sel = 0xf000;
    c->seg[VP_CS].base = 0xffff0000;
    c->seg[VP_LDTR] = (struct vp_seg){.limit = 0xffff, .attr = VP_SEG_P | SYS_LDT};
    c->seg[VP_TR] = (struct vp_seg){.limit = 0xffff, .attr = VP_SEG_P | SYS_TSS32_BUSY};
    c->gdtr_limit = c->idtr_limit = 0xffff;
    msr_reset(m);
    x87_reset(m);
    vp_cpu_changed(m);
}

struct vp_cpu *vp_cpu(vp_vm *m) { return &m->cpu; }

void vp_cpu_changed(vp_vm *m)
{
    m->cpu.gpr[REG_NONE] = 0;
    m->cpu.eflags |= EF_ONE;
    fl_put(m, m->cpu.eflags);
    x87_changed(m);
    seg_derive_all(m);
    mmu_mode_changed(m);
    mmu_flush(m, true);
    event_restart(m);
}

/* -- Running ------------------------------------------------------------------------------------------------------ */

int vp_run(vp_vm *m, uint64_t max_insns)
{
    if (m->in_run) {
        snprintf(m->error, sizeof m->error, "a device may not run the processor that calls it");
        return -1;
    }
    m->in_run = true;
    if (m->profile) profile_start(m);
    fl_put(m, m->cpu.eflags);
    int code = m->engine->run(m, max_insns);
    x87_leave(m);
    m->cur = NULL;
    m->cpu.eflags = eflags_get(m);
    m->in_run = false;
    return code;
}

int vp_run_on(vp_vm *m)
{
    m->runs_on = true;
    int code = vp_run(m, 0);
    m->runs_on = false;
    return code;
}

void vp_stop(vp_vm *m)
{
    atomic_fetch_or(&m->attn, ATTN_STOP);
    kick(m);
}

void vp_set_intr(vp_vm *m, int level)
{
    m->intr = level != 0;
    event_sync(m);
}

void vp_nmi(vp_vm *m)
{
    m->cpu.nmi = 1;
    event_sync(m);
}

void vp_set_a20(vp_vm *m, int open)
{
    const uint32_t mask = open ? UINT32_MAX : ~(UINT32_C(1) << 20);

    if (mask == m->a20_mask) return;
    m->a20_mask = mask;
    mmu_flush(m, true);
    m->engine->cut(m);
}

int vp_break(vp_vm *m, uint32_t linear, int set)
{
    unsigned k = 0;

    while (k < m->break_count && m->breaks[k] != linear) k++;
    if (set && k == m->break_count) {
        if (k == sizeof m->breaks / sizeof *m->breaks) return -1;
        m->breaks[m->break_count++] = linear;
    } else if (!set && k < m->break_count) {
        m->breaks[k] = m->breaks[--m->break_count];
    }
    if (m->break_count)
        atomic_fetch_or(&m->attn, ATTN_BREAK);
    else
        atomic_fetch_and(&m->attn, ~(uint32_t)ATTN_BREAK);
    return 0;
}

void vp_get_stats(vp_vm *m, vp_stats *out)
{
    *out = m->stats;
    out->insns = vp_insns(m);
    if (m->engine->stats) m->engine->stats(m, out);
}
