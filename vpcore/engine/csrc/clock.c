/* clock.c: virtual time.
 *
 * Realtime: the host's monotonic clock less what the vm was paused.  icount: retired instructions times a constant,
 * plus what vp_set_now() skipped; exact within a block too, so a device sees the same time in every run.
 */
#include "clock.h"
#include "event.h"
#include <time.h>

static int64_t host_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

uint64_t vp_insns(const vp_vm *m) { return m->insns + (m->cur ? (uint64_t)(m->cur - m->first) : 0); }

/* What virtual time is counted from. */
static int64_t source(const vp_vm *m)
{
    if (m->config.clock == VP_CLOCK_ICOUNT) return (int64_t)(vp_insns(m) * m->config.icount_ns);
    return m->paused ? m->host_base : host_now();
}

int64_t vp_now(vp_vm *m) { return m->time_base + (source(m) - m->host_base); }

int64_t clock_host(const vp_vm *m, int64_t now) { return m->paused ? host_now() : now - m->time_base + m->host_base; }

void vp_set_now(vp_vm *m, int64_t virtual_ns)
{
    m->host_base = source(m);
    m->time_base = virtual_ns;
    m->budget = 0;
}

void vp_pause(vp_vm *m, int paused)
{
    if (m->config.clock == VP_CLOCK_ICOUNT || m->paused == (paused != 0)) return;
    m->time_base = vp_now(m);
    m->host_base = host_now();
    m->paused = paused != 0;
}

/* Inside vp_run() the run loop looks at the clock anew when the present instruction has ended (see engine.h, cut). */
void vp_set_lax_deadline(vp_vm *m, int64_t enough, int64_t virtual_ns)
{
    m->enough = enough;
    m->deadline = virtual_ns;
    m->budget = 0;
}

void vp_set_deadline(vp_vm *m, int64_t virtual_ns) { vp_set_lax_deadline(m, virtual_ns, virtual_ns); }

void vp_sooner(vp_vm *m, int64_t virtual_ns)
{
    if (virtual_ns < m->soonest) m->soonest = virtual_ns;
    if (virtual_ns < m->deadline) vp_set_deadline(m, virtual_ns);
}

int64_t vp_soonest(vp_vm *m)
{
    const int64_t soonest = m->soonest;

    m->soonest = VP_NEVER;
    return soonest;
}
