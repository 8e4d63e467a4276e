/* ahead.c: see ahead.h.
 *
 * The vm's own thread decides and asks; the other one waits for what it is asked for and lets the host populate it,
 * which reads and writes no guest memory.  Few pages are made present at a time, because new mappings (windows) wait
 * meanwhile; and its priority is an ordinary one, for a thread that does not get the processor while it has the host's
 * lock keeps the guest waiting (measured beside two busy processes: with SCHED_IDLE 14 % lost, with this 13 % gained).
 */
#define _GNU_SOURCE
#include "ahead.h"
#include "mem.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    REACH = 64,      /* pages ahead of the newest */
    RUN = 8,         /* pages looked back at, */
    RUN_LEAST = 4,   /* of which so many have to be in use */
    STEP = 4,        /* pages made present by one call */
    UNUSED = 1024,   /* pages, at most, that were asked for and not seen in use, */
    UNUSED_PART = 8, /* and one more for so many that were of use */
    REQUESTS = 32,   /* that may wait */
};

struct request {
    uint32_t page, count;
};

struct ahead {
    uint8_t *ram, *state;
    uint32_t pages;
    uint32_t unused, useful;          /* of the pages that were asked for: not seen in use, and seen */
    struct request request[REQUESTS]; /* a ring */
    uint32_t asked;                   /* requests, by the vm's thread */
    _Atomic uint32_t done;            /* of them, by the other one */
    _Atomic bool stop;
    sem_t wanted;
    pthread_t thread;
    pid_t process; /* which the thread is in */
};

/* -- The other thread --------------------------------------------------------------------------------------------- */

static void populate(struct ahead *a, struct request r)
{
#ifdef MADV_POPULATE_WRITE
    for (uint32_t k = 0; k < r.count && !atomic_load_explicit(&a->stop, memory_order_relaxed); k += STEP) {
        const uint32_t count = r.count - k < STEP ? r.count - k : STEP;
        uint8_t *at = a->ram + ((uint64_t)(r.page + k) << PAGE_SHIFT);
        if (madvise(at, (size_t)count << PAGE_SHIFT, MADV_POPULATE_WRITE)) return; /* the guest's touch will do it */
    }
#else
    (void)a, (void)r;
#endif
}

static void *work(void *of)
{
    struct ahead *a = of;

    for (;;) {
        while (sem_wait(&a->wanted)) {} /* no signal comes here */
        if (atomic_load(&a->stop)) return NULL;
        const uint32_t done = atomic_load_explicit(&a->done, memory_order_relaxed);
        populate(a, a->request[done % REQUESTS]);
        atomic_store_explicit(&a->done, done + 1, memory_order_release);
    }
}

/* -- The vm's thread ---------------------------------------------------------------------------------------------- */

static void ask(struct ahead *a, uint32_t page, uint32_t count)
{
    if (a->asked - atomic_load_explicit(&a->done, memory_order_acquire) == REQUESTS) return;
    memset(a->state + page, AHEAD_ASKED, count);
    a->unused += count;
    a->request[a->asked++ % REQUESTS] = (struct request){page, count};
    sem_post(&a->wanted);
}

static void touch(struct ahead *a, uint32_t page)
{
    if (a->state[page] == AHEAD_ASKED) {
        a->unused--;
        a->useful++;
    }
    a->state[page] = AHEAD_TOUCHED;
}

/* Most of the pages just before it are in use: those that were asked for, too, if it came that far, for windows are
 * filled by several pages. */
static bool continues_a_run(struct ahead *a, uint32_t page)
{
    unsigned used = 0;

    for (uint32_t k = page; k-- && page - k <= REACH && a->state[k] == AHEAD_ASKED;) touch(a, k);
    for (uint32_t k = page; k-- && page - k <= RUN;) used += a->state[k] == AHEAD_TOUCHED;
    return used >= RUN_LEAST;
}

void ahead_consider(struct ahead *a, uint32_t page, uint32_t count)
{
    const bool goes_on = continues_a_run(a, page);

    for (uint32_t k = page; k < page + count; k++) touch(a, k);
    if (!goes_on || a->unused + REACH > UNUSED + a->useful / UNUSED_PART) return;
    uint32_t first = page + count, end = page + REACH < a->pages ? page + REACH : a->pages;
    while (first < end && a->state[first] != AHEAD_UNKNOWN) first++;
    if (first > page + REACH / 2) return; /* not yet */
    for (uint32_t k = first; k < end; k++)
        if (a->state[k] != AHEAD_UNKNOWN) end = k;
    if (first < end) ask(a, first, end - first);
}

/* -- Life --------------------------------------------------------------------------------------------------------- */

static bool is_wanted(void)
{
    const char *set = getenv(AHEAD_ENV);
    cpu_set_t may;

    if (set && !strcmp(set, "off")) return false;
    return !sched_getaffinity(0, sizeof may, &may) && CPU_COUNT(&may) > 1;
}

/* It is to take no signal that is meant for others. */
static bool start(struct ahead *a)
{
    sigset_t all, had;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &had);
    bool done = !pthread_create(&a->thread, NULL, work, a);
    pthread_sigmask(SIG_SETMASK, &had, NULL);
    return done;
}

void ahead_create(struct vp_vm *m)
{
    if (!is_wanted()) return;
    struct ahead *a = calloc(1, sizeof *a);
    if (!a) return;
    *a = (struct ahead){.ram = m->ram, .pages = (uint32_t)(m->ram_size >> PAGE_SHIFT), .process = getpid()};
    a->state = mem_reserve(a->pages);
    if (a->state && !sem_init(&a->wanted, 0, 0) && start(a)) {
        m->ahead = a;
        m->ahead_state = a->state;
        return;
    }
    mem_release(a->state, a->pages);
    free(a);
}

void ahead_destroy(struct vp_vm *m)
{
    struct ahead *a = m->ahead;

    if (!a) return;
    m->ahead = NULL;
    atomic_store(&a->stop, true);
    sem_post(&a->wanted);
    if (a->process == getpid()) pthread_join(a->thread, NULL); /* a fork has no such thread */
    sem_destroy(&a->wanted);
    mem_release(a->state, a->pages);
    free(a);
}
