/* native.h: how a device model in C meets its machine.
 *
 * A plugin may answer its busiest registers in C, behind the declarations of its Python class (docs/native.md).  Such a
 * model is a struct that knows no machine: what it calls and what calls it are the pairs below, of a function and its
 * first argument.  On a machine they lead to the engine and to each other; on a board without a processor to Python.
 * All are called on the machine's own thread, with the interpreter lock held, and none may block or fail.
 */
#ifndef VP_NATIVE_H
#define VP_NATIVE_H
#include <stdint.h>

/* The end of a wire: `which` is the callee's name for it. */
typedef struct vp_wire {
    void (*set)(void *target, uint32_t which, uint32_t level);
    void *target;
    uint32_t which;
} vp_wire;

/* Virtual time in ns. */
typedef struct vp_clock {
    int64_t (*now)(void *target);
    void *target;
} vp_clock;

#define VP_NEVER 0x7fffffffffffffff

/* An alarm that calls its owner back, once, when virtual time reaches `ns`; VP_NEVER takes that back. */
typedef struct vp_alarm {
    void (*at)(void *target, int64_t ns);
    void *target;
} vp_alarm;

/* Byte registers: `offset` from where they are mapped. */
typedef struct vp_registers {
    uint32_t (*in)(void *target, uint32_t offset);
    void (*out)(void *target, uint32_t offset, uint32_t value);
    void *target;
} vp_registers;

#endif
