/* signals.c: see signals.h. */
#define _GNU_SOURCE
#include "signals.h"
#include "../mem.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

/* A guest access of host code that has no mapping, or runs over the end of non-canonical addresses. */
static const int signals[] = {SIGSEGV, SIGBUS};
enum { SIGNALS = sizeof signals / sizeof *signals };

static _Thread_local struct fault_map *running;
static struct sigaction before[SIGNALS];
static pthread_mutex_t installing = PTHREAD_MUTEX_INITIALIZER;

static const struct fault_site *find(const struct fault_map *map, uint32_t at)
{
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->sites[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < map->count && map->sites[low].at == at ? &map->sites[low] : NULL;
}

/* Whether the signal is about a site, from which the thread then goes on. */
static bool go_on(const siginfo_t *info, ucontext_t *context)
{
    struct fault_map *map = running;
    greg_t *rip = &context->uc_mcontext.gregs[REG_RIP];

    if (!map || (uintptr_t)*rip - (uintptr_t)map->code >= map->code_size) return false;
    const struct fault_site *site = find(map, (uint32_t)((uintptr_t)*rip - (uintptr_t)map->code));
    if (!site) return false;
    map->faulted = true;
    map->address =
        info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR ? (uintptr_t)info->si_addr : UINTPTR_MAX;
    *rip = (greg_t)((uintptr_t)map->code + site->stub);
    return true;
}

/* As if this handler were not there: the old one, or the default by a second fault at the same place.  An old one that
 * raises the signal again (Python's faulthandler) finds the default. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
    struct sigaction *slot = &before[signal == signals[0] ? 0 : 1], old = *slot, plain = {.sa_handler = SIG_DFL};

    *slot = plain;
    if (old.sa_flags & SA_SIGINFO) {
        old.sa_sigaction(signal, info, context);
    } else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) {
        old.sa_handler(signal);
    } else {
        sigaction(signal, &plain, NULL);
        if (info->si_code <= 0) raise(signal); /* sent by a process, it would not come again by itself */
    }
    *slot = old;
}

static void handle(int signal, siginfo_t *info, void *context)
{
    if (!go_on(info, context)) pass_on(signal, info, context);
}

bool signals_install(void)
{
    bool done = true;

    pthread_mutex_lock(&installing);
    for (unsigned k = 0; k < SIGNALS && done; k++) {
        struct sigaction mine = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER}, now;
        sigemptyset(&mine.sa_mask);
        done = sigaction(signals[k], NULL, &now) == 0;
        if (!done || ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handle)) continue;
        before[k] = now;
        done = sigaction(signals[k], &mine, NULL) == 0;
    }
    pthread_mutex_unlock(&installing);
    return done;
}

struct fault_map *signals_enter(struct fault_map *map)
{
    struct fault_map *outer = running;

    running = map;
    return outer;
}

/* -- Fault maps --------------------------------------------------------------------------------------------------- */

/* Host code of one access and its stub: never shorter. */
enum { BYTES_PER_SITE = 16 };

bool fault_map_create(struct fault_map *map, const uint8_t *code, size_t size)
{
    size_t room = size / BYTES_PER_SITE;

    *map = (struct fault_map){.code = code, .code_size = size, .room = room};
    map->sites = mem_reserve(room * sizeof *map->sites);
    return map->sites;
}

void fault_map_destroy(struct fault_map *map)
{
    mem_release(map->sites, map->room * sizeof *map->sites);
    *map = (struct fault_map){0};
}

bool fault_map_add(struct fault_map *map, const uint8_t *at, const uint8_t *stub)
{
    if (map->count == map->room) return false;
    map->sites[map->count++] = (struct fault_site){(uint32_t)(at - map->code), (uint32_t)(stub - map->code)};
    return true;
}
