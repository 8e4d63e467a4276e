/* glue.c: from the engine to Python's bound methods, compiled into the extension module by build.py.
 *
 * Calls go by CPython's own interface: a port read costs a third of what cffi's extern "Python" does.  `host` is an array
 * of callables, one for each enum vp_py_call, as the numbers that id() gives; Python keeps them alive.  Behind them are
 * six lists by port, or zeros: who answers reads and writes of 1, 2 and 4 bytes, None where that is for the general
 * callable to find out.
 *
 * From its first call to its end a run of the guest holds the interpreter lock, so further calls take no lock, and other
 * threads get their turn in breathe().  It does not begin by taking it: most ticks of an idle guest call nobody, and the
 * lock, whose memory is cold then, would be 8 of their 90 us.
 */
#include "kick.h"
#include "vp.h"
#include <Python.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

static PyObject *callee(void *host, enum vp_py_call which) { return (PyObject *)((uintptr_t *)host)[which]; }

/* Where the state is to go that the lock is found in, while nobody has called yet; 0 while the lock is held. */
static uintptr_t *unlocked(void *host) { return (uintptr_t *)host + VP_PY_UNLOCKED; }

static void lock(void *host)
{
    PyGILState_STATE *state = (PyGILState_STATE *)*unlocked(host);

    if (!state) return;
    *state = PyGILState_Ensure();
    *unlocked(host) = 0;
}

enum { NO_PORT = -1 };

/* The exception that is set goes to Python's keeper, which also stops the engine. */
static void failed_at(void *host, int port)
{
    PyObject *type, *value, *trace;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace) PyException_SetTraceback(value, trace);
    PyObject *kept = PyObject_CallFunction(callee(host, VP_PY_KEEP), "Oi", value, port);
    if (!kept) PyErr_WriteUnraisable(value);
    Py_XDECREF(kept);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
}

static void failed(void *host) { failed_at(host, NO_PORT); }

enum { MOST_ARGS = 3 };

/* Call with the arguments, whose references are taken; NULL and an exception where one of them is NULL. */
static PyObject *call(void *host, enum vp_py_call which, PyObject *a, PyObject *b, PyObject *c, size_t count)
{
    PyObject *argv[MOST_ARGS + 1] = {NULL, a, b, c}, *result = NULL;

    if ((count < 1 || a) && (count < 2 || b) && (count < 3 || c))
        result = PyObject_Vectorcall(callee(host, which), argv + 1, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(a);
    Py_XDECREF(b);
    Py_XDECREF(c);
    return result;
}

static PyObject *number(uint64_t value) { return PyLong_FromUnsignedLongLong(value); }

/* The result as bits; `otherwise`, and the exception kept, where there is none. */
static uint64_t bits_at(void *host, int port, PyObject *result, uint64_t otherwise)
{
    uint64_t value = result ? PyLong_AsUnsignedLongLongMask(result) : 0;

    Py_XDECREF(result);
    if (!PyErr_Occurred()) return value;
    failed_at(host, port);
    return otherwise;
}

static uint64_t bits_of(void *host, PyObject *result, uint64_t otherwise)
{
    return bits_at(host, NO_PORT, result, otherwise);
}

/* Who answers an access of this width, NULL where a list does not tell. */
static PyObject *handler_of(void *host, enum vp_py_call bytes, uint32_t port, uint32_t size)
{
    PyObject *list = callee(host, bytes + (size >> 1)); /* 1, 2, 4 bytes: the lists follow each other */

    if (!list || port >= (size_t)PyList_GET_SIZE(list)) return NULL;
    PyObject *handler = PyList_GET_ITEM(list, port);
    return handler == Py_None ? NULL : handler;
}

static void done(void *host, PyObject *result)
{
    if (!result) failed(host);
    Py_XDECREF(result);
}

static uint32_t to_in(void *h, uint32_t port, uint32_t size)
{
    lock(h);
    PyObject *handler = handler_of(h, VP_PY_READS1, port, size);

    if (!handler) return (uint32_t)bits_of(h, call(h, VP_PY_IN, number(port), number(size), NULL, 2), UINT32_MAX);
    Py_INCREF(handler); /* it may unmap itself */
    PyObject *result = PyObject_CallNoArgs(handler);
    Py_DECREF(handler);
    return (uint32_t)bits_at(h, (int)port, result, UINT32_MAX);
}

static void to_out(void *h, uint32_t port, uint32_t size, uint32_t value)
{
    lock(h);
    PyObject *handler = handler_of(h, VP_PY_WRITES1, port, size);

    if (!handler) {
        done(h, call(h, VP_PY_OUT, number(port), number(size), number(value), 3));
        return;
    }
    PyObject *written = number(value);
    Py_INCREF(handler);
    PyObject *result = written ? PyObject_CallOneArg(handler, written) : NULL;
    if (!result) failed_at(h, (int)port);
    Py_XDECREF(result);
    Py_XDECREF(written);
    Py_DECREF(handler);
}

static uint64_t to_mmio_read(void *h, uint64_t addr, uint32_t size)
{
    lock(h);
    return bits_of(h, call(h, VP_PY_MMIO_READ, number(addr), number(size), NULL, 2), UINT64_MAX);
}

static void to_mmio_write(void *h, uint64_t addr, uint32_t size, uint64_t value)
{
    lock(h);
    done(h, call(h, VP_PY_MMIO_WRITE, number(addr), number(size), number(value), 3));
}

/* The view ends with the call: a device that keeps it cannot reach memory that is gone. */
static uint32_t move_block(void *h, enum vp_py_call which, uint32_t port, uint32_t size, char *buf, uint32_t count,
                           int access)
{
    lock(h);
    PyObject *view = PyMemoryView_FromMemory(buf, (Py_ssize_t)size * count, access);

    Py_XINCREF(view);
    uint32_t moved = (uint32_t)bits_of(h, call(h, which, number(port), number(size), view, 3), 0);
    PyObject *released = view ? PyObject_CallMethod(view, "release", NULL) : NULL;
    if (!released) failed(h);
    Py_XDECREF(released);
    Py_XDECREF(view);
    return moved;
}

static uint32_t to_in_block(void *h, uint32_t port, uint32_t size, uint8_t *buf, uint32_t count)
{
    return move_block(h, VP_PY_IN_BLOCK, port, size, (char *)buf, count, PyBUF_WRITE);
}

static uint32_t to_out_block(void *h, uint32_t port, uint32_t size, const uint8_t *buf, uint32_t count)
{
    return move_block(h, VP_PY_OUT_BLOCK, port, size, (char *)buf, count, PyBUF_READ);
}

static uint32_t to_inta(void *h)
{
    enum { SPURIOUS = 7 }; /* what an 8259A answers when nothing is pending */

    lock(h);
    return (uint32_t)bits_of(h, call(h, VP_PY_INTA, NULL, NULL, NULL, 0), SPURIOUS);
}

static void to_warn(void *h, const char *text)
{
    lock(h);
    done(h, call(h, VP_PY_WARN, PyUnicode_FromString(text), NULL, NULL, 1));
}

static void to_ferr(void *h, uint32_t level)
{
    lock(h);
    done(h, call(h, VP_PY_FERR, PyBool_FromLong(level), NULL, NULL, 1));
}

/* Ctrl-C, and the other threads, which go on by themselves where the lock is not held. */
static void to_breathe(void *h)
{
    if (*unlocked(h)) return;
    if (PyErr_CheckSignals() < 0) failed(h);
    Py_BEGIN_ALLOW_THREADS Py_END_ALLOW_THREADS
}

static void vp_py_calls(vp_calls *c)
{
    *c = (vp_calls){.in = to_in,
                    .out = to_out,
                    .in_block = to_in_block,
                    .out_block = to_out_block,
                    .mmio_read = to_mmio_read,
                    .mmio_write = to_mmio_write,
                    .inta = to_inta,
                    .warn = to_warn,
                    .ferr = to_ferr,
                    .breathe = to_breathe};
}

/* Sleeps until virtual time `until`; 1 as soon as the epoll descriptor is readable.  cffi lets go of the interpreter lock
 * meanwhile; a signal ends the sleep.  (ppoll() on that descriptor does as well, but touches more of a cold kernel.) */
static int sleep_until(vp_vm *vm, int epoll, int64_t until, const sigset_t *mask)
{
    enum { NS = 1000000000 };
    int64_t left = until - vp_now(vm), ns = left < 0 ? 0 : left;
    struct timespec timeout = {.tv_sec = ns / NS, .tv_nsec = ns % NS};
    struct epoll_event event;

    int ready = epoll_pwait2(epoll, &event, 1, &timeout, mask);
    if (ready < 0 && errno != EINTR) { /* before Linux 5.11, or somebody's filter of system calls does not know it */
        struct pollfd waiting = {.fd = epoll, .events = POLLIN};
        ready = ppoll(&waiting, 1, &timeout, mask);
    }
    return ready > 0;
}

static int vp_sleep(vp_vm *vm, int epoll, int64_t until)
{
    sigset_t mask;

    kick_hold(&mask);
    return sleep_until(vm, epoll, until, &mask);
}

static int vp_py_run(vp_vm *vm, uint64_t max_insns)
{
    PyGILState_STATE state = PyGILState_Ensure(); /* cffi has released the lock */
    int code = vp_run(vm, max_insns);

    PyGILState_Release(state);
    return code;
}

/* Run to a deadline.  With `looks`, as vp_py_run() does, and signals get their handlers; else the lock waits for the
 * first call, and the process's signals are taken to be whose they were. */
static int run_to(vp_vm *vm, int64_t enough, int64_t deadline, bool looks)
{
    void *host = vp_host(vm);
    PyGILState_STATE state;

    *unlocked(host) = (uintptr_t)&state;
    if (looks) lock(host);
    vp_set_lax_deadline(vm, enough, deadline);
    int code = looks ? vp_run(vm, 0) : vp_run_on(vm);
    const bool locked = !*unlocked(host);

    *unlocked(host) = 0;
    if (!locked) return code;
    if (PyErr_CheckSignals() < 0) {
        failed(host);
        code = VP_EXIT_STOP;
    }
    PyGILState_Release(state);
    return code;
}

static bool is_readable(int epoll)
{
    struct epoll_event event;

    return epoll_wait(epoll, &event, 1, 0) > 0;
}

/* The guest halts: sleep as vp_sleep() does, until an alarm (native.h) rings, after which it runs on; false where Python
 * has something to do before. */
static bool sleep_halted(vp_vm *vm, int epoll, int64_t until, const sigset_t *mask)
{
    const int64_t alarm = vp_next_alarm(vm);

    if (sleep_until(vm, epoll, least(until, alarm), mask)) return false;
    const int64_t now = vp_now(vm);
    return now >= alarm && now < until;
}

/* The guest goes on, in realtime, and sleeps while it halts, until Python has something to do: VP_WOKEN, or what vp_run()
 * gave that was neither HALT nor DEADLINE.  Every `slice` ns it is asked whether the descriptor is readable; or after
 * half of that, where the clock is looked at anyway, as for a guest's ticks: to have users' code leave takes 25 us. */
static int vp_live(vp_vm *vm, int epoll, int64_t until, int64_t slice)
{
    enum { LOOK_NS = 50000000 }; /* as long may Ctrl-C have to wait */
    sigset_t mask;
    int64_t look = vp_now(vm);

    kick_hold(&mask);
    vp_soonest(vm); /* what was asked for until now, `until` has */
    for (;;) {
        const int64_t now = vp_now(vm);
        const bool looks = now >= look;
        if (looks) look = now + LOOK_NS;
        int code = run_to(vm, least(until, now + slice / 2), least(until, now + slice), looks);
        until = least(until, vp_soonest(vm)); /* a device may have made it earlier */
        if (code == VP_EXIT_HALT) {
            if (!sleep_halted(vm, epoll, until, &mask)) return VP_WOKEN;
        } else if (code != VP_EXIT_DEADLINE) {
            return code;
        } else if (vp_now(vm) >= until || is_readable(epoll)) {
            return VP_WOKEN;
        }
    }
}
