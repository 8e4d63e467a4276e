/* signals.h: faults of host code become jumps to its cold stubs.
 *
 * The handler is one for the process.  It knows the host code of the vm that runs on the faulting thread; a signal that
 * is not about it goes on to whoever had the signal before.
 */
#ifndef VP_SIGNALS_H
#define VP_SIGNALS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where to go on when the host instruction at `at` faults; both as distances from the start of executable memory. */
struct fault_site {
    uint32_t at, stub;
};

/* What the handler needs to know, and what it leaves behind. */
struct fault_map {
    const uint8_t *code; /* executable memory */
    size_t code_size;
    struct fault_site *sites; /* sorted by `at`: host code is emitted upwards */
    size_t count, room;
    uintptr_t address; /* of the last fault; UINTPTR_MAX where the processor does not say */
    uint32_t at;       /* the site of the last fault */
    bool faulted;      /* since this was last cleared */
    bool sigreturns;   /* its handler always returns, as a test wants it */
};

bool fault_map_create(struct fault_map *map, const uint8_t *code, size_t size);
void fault_map_destroy(struct fault_map *map);
/* False where there is no room. */
bool fault_map_add(struct fault_map *map, const uint8_t *at, const uint8_t *stub);

/* Make the handler the process's, unless it is already. */
bool signals_install(void);
/* This thread runs the code of `map` (NULL: none) from now on; what it ran before comes back. */
struct fault_map *signals_enter(struct fault_map *map);

#endif
