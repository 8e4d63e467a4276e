/* io.c: ports.  Plain registers are cells that the host shares with us, busy ones are device models in C; everything
 * else is one call to the host. */
#include "io.h"
#include "debug.h"
#include "native_calls.h"
#include "x87.h"

static unsigned kind_of(const struct vp_vm *m, uint32_t port, unsigned size)
{
    return size == 1 && m->config.cells ? m->config.cell_kind[port] : VP_PORT_CALL;
}

static void call_host(struct vp_vm *m)
{
    m->stats.port_calls++;
    x87_leave(m);
}

uint32_t io_in(struct vp_vm *m, uint32_t port, unsigned size)
{
    const unsigned kind = kind_of(m, port, size);
    uint32_t value;

    if (kind == VP_PORT_CELL) {
        value = m->config.cells[port];
    } else {
        call_host(m);
        if (!native_in(m, kind, port, &value)) value = m->config.calls.in(m->config.host, port, size);
    }
    debug_io(m, port, size);
    return value;
}

void io_out(struct vp_vm *m, uint32_t port, unsigned size, uint32_t value)
{
    const unsigned kind = kind_of(m, port, size);

    if (kind == VP_PORT_CELL) {
        m->config.cells[port] = (uint8_t)value;
    } else {
        call_host(m);
        if (!native_out(m, kind, port, value)) m->config.calls.out(m->config.host, port, size, value);
    }
    debug_io(m, port, size);
}

/* What the host says it moved is not trusted beyond what was asked for. */
static uint32_t at_most(uint32_t moved, uint32_t count) { return moved < count ? moved : count; }

uint32_t io_in_block(struct vp_vm *m, uint32_t port, unsigned size, uint8_t *buf, uint32_t count)
{
    call_host(m);
    uint32_t moved = at_most(m->config.calls.in_block(m->config.host, port, size, buf, count), count);
    if (moved) debug_io(m, port, size);
    return moved;
}

uint32_t io_out_block(struct vp_vm *m, uint32_t port, unsigned size, const uint8_t *buf, uint32_t count)
{
    call_host(m);
    uint32_t moved = at_most(m->config.calls.out_block(m->config.host, port, size, buf, count), count);
    if (moved) debug_io(m, port, size);
    return moved;
}
