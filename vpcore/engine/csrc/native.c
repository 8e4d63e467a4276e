/* native.c: ports, alarms and the interrupt controller of device models in C.
 *
 * Which models there are is decided while the machine is built.  What they call is plain C, so the guest's x87 state
 * leaves the host's registers first, as before any call of the host (io.c, event.c).
 */
#include "mem.h"
#include "native_calls.h"
#include "x87.h"

enum { MOST_PORTS = 32, MOST_ALARMS = 16, FIRST_KIND = VP_PORT_CELL + 1 };

struct native_alarm {
    int64_t at;
    struct vp_vm *m;
    void (*fire)(void *target);
    void *target;
};

struct natives {
    uint32_t (*vector)(void *target);
    void *vector_of;
    unsigned port_count, alarm_count;
    bool off;
    struct native_ports {
        uint32_t base;
        vp_registers registers;
    } ports[MOST_PORTS];
    struct native_alarm alarms[MOST_ALARMS];
};

bool native_create(struct vp_vm *m)
{
    m->natives = mem_reserve(sizeof *m->natives);
    return m->natives;
}

void native_destroy(struct vp_vm *m)
{
    if (m->natives) mem_release(m->natives, sizeof *m->natives);
}

void vp_native_calls(vp_vm *m, int on) { m->natives->off = on; }

/* -- Ports -------------------------------------------------------------------------------------------------------- */

int vp_native_ports(vp_vm *m, uint32_t base, vp_registers registers)
{
    struct natives *n = m->natives;

    if (n->port_count == MOST_PORTS) return 0;
    n->ports[n->port_count] = (struct native_ports){base, registers};
    return (int)(FIRST_KIND + n->port_count++);
}

static const struct native_ports *ports_of(const struct vp_vm *m, unsigned kind)
{
    const struct natives *n = m->natives;

    return kind < FIRST_KIND || kind - FIRST_KIND >= n->port_count || n->off ? NULL : &n->ports[kind - FIRST_KIND];
}

bool native_in(struct vp_vm *m, unsigned kind, uint32_t port, uint32_t *value)
{
    const struct native_ports *p = ports_of(m, kind);

    if (p) *value = p->registers.in(p->registers.target, port - p->base) & UINT8_MAX;
    return p;
}

bool native_out(struct vp_vm *m, unsigned kind, uint32_t port, uint32_t value)
{
    const struct native_ports *p = ports_of(m, kind);

    if (p) p->registers.out(p->registers.target, port - p->base, value & UINT8_MAX);
    return p;
}

/* -- Interrupts --------------------------------------------------------------------------------------------------- */

void vp_native_inta(vp_vm *m, uint32_t (*vector)(void *target), void *target)
{
    m->natives->vector = vector;
    m->natives->vector_of = target;
}

uint32_t native_inta(struct vp_vm *m)
{
    const struct natives *n = m->natives;

    return n->vector && !n->off ? n->vector(n->vector_of) : m->config.calls.inta(m->config.host);
}

static void set_intr(void *vm, uint32_t which, uint32_t level)
{
    (void)which;
    vp_set_intr(vm, level != 0);
}

vp_wire vp_native_intr(vp_vm *m) { return (vp_wire){set_intr, m, 0}; }

/* -- Time --------------------------------------------------------------------------------------------------------- */

static int64_t now_of(void *vm) { return vp_now(vm); }

vp_clock vp_native_clock(vp_vm *m) { return (vp_clock){now_of, m}; }

static void find_earliest(struct vp_vm *m)
{
    const struct natives *n = m->natives;
    int64_t earliest = VP_NEVER;

    for (unsigned k = 0; k < n->alarm_count; k++)
        if (n->alarms[k].at < earliest) earliest = n->alarms[k].at;
    m->alarm = earliest;
}

/* As a deadline, it makes the run loop look at the clock when the present instruction has ended. */
static void set_alarm(void *alarm, int64_t at)
{
    struct native_alarm *a = alarm;

    a->at = at;
    if (at < a->m->alarm) a->m->budget = 0;
    find_earliest(a->m);
}

vp_alarm vp_native_alarm(vp_vm *m, void (*fire)(void *target), void *target)
{
    struct natives *n = m->natives;

    if (n->alarm_count == MOST_ALARMS) return (vp_alarm){NULL, NULL};
    struct native_alarm *a = &n->alarms[n->alarm_count++];
    *a = (struct native_alarm){VP_NEVER, m, fire, target};
    return (vp_alarm){set_alarm, a};
}

int64_t vp_next_alarm(const vp_vm *m) { return m->alarm; }

void native_alarms(struct vp_vm *m, int64_t now)
{
    struct natives *n = m->natives;

    x87_leave(m);
    for (unsigned k = 0; k < n->alarm_count; k++) {
        struct native_alarm *a = &n->alarms[k];
        if (a->at > now) continue;
        a->at = VP_NEVER;
        a->fire(a->target);
    }
    find_earliest(m);
}
