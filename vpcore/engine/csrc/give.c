/* give.c: see give.h. */
#define _GNU_SOURCE
#include "give.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    PIECE = 1 << 16,
    NEAR = 1 << 13,          /* to the end of what is given */
    LARGE = 1 << 20,         /* an area that is used so far is worth a helper: those of short tests are not */
    LEFT = 8,                /* a helper is asked when less is given than this part of a stretch */
    STRETCH_LEAST = 1 << 21, /* bytes, however little memory the guest has, */
    STRETCH_MOST = 1 << 25,  /* or how much */
};

/* What the helper does, and its thread, which ends with that. */
struct giver {
    uint64_t *asked;    /* bytes, so far */
    struct given *area; /* NULL: there is no helper */
    uint8_t *from, *to;
    atomic_bool done, ends;
    pthread_t thread;
    pid_t pid; /* the process with the thread, not one forked off it */
};

/* -- The helper ---------------------------------------------------------------------------------------------------- */

/* What is written there meanwhile stays. */
static void touch(uint8_t *page, ptrdiff_t twin)
{
    __atomic_fetch_or(page, 0, __ATOMIC_RELAXED);
    if (twin) (void)*(volatile uint8_t *)(page + twin);
}

static void *help(void *giver)
{
    struct giver *g = giver;
    const ptrdiff_t twin = g->area->twin;

    for (uint8_t *page = g->from; page < g->to && !atomic_load(&g->ends); page += PAGE_SIZE) touch(page, twin);
    atomic_store(&g->done, true);
    return NULL;
}

/* No signal is its business. */
static bool start(struct giver *g)
{
    sigset_t all, had;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &had);
    bool runs = pthread_create(&g->thread, NULL, help, g) == 0;
    pthread_sigmask(SIG_SETMASK, &had, NULL);
    return runs;
}

/* -- Who asks ------------------------------------------------------------------------------------------------------ */

struct giver *giver_create(uint64_t *asked)
{
    struct giver *g = calloc(1, sizeof *g);

    if (g) g->asked = asked;
    return g;
}

void giver_destroy(struct giver *g)
{
    if (g) giver_finish(g);
    free(g);
}

static void collect(struct giver *g)
{
    if (g->pid == getpid()) pthread_join(g->thread, NULL);
    g->area = NULL;
}

void giver_finish(struct giver *g)
{
    if (!g->area) return;
    atomic_store(&g->ends, true);
    collect(g);
}

static size_t stretch_of(const struct vp_vm *m, unsigned part)
{
    const int64_t pages = (int64_t)(m->ram_size / part / PAGE_SIZE);

    return (size_t)least(greatest(pages * PAGE_SIZE, STRETCH_LEAST), STRETCH_MOST);
}

struct given given_area(const struct vp_vm *m, uint8_t *begin, size_t size, unsigned part, ptrdiff_t twin)
{
    size = size / PAGE_SIZE * PAGE_SIZE;
    return (struct given){
        .ask = begin,
        .until = begin,
        .end = begin + size,
        .helped = size > LARGE ? begin + LARGE : begin + size,
        .stretch = stretch_of(m, part),
        .twin = twin,
    };
}

static uint8_t *behind(const struct given *a, size_t size)
{
    return (size_t)(a->end - a->until) < size ? a->end : a->until + size;
}

static void give_piece(struct given *a)
{
    uint8_t *next = behind(a, PIECE);

#ifdef MADV_POPULATE_WRITE
    madvise(a->until, (size_t)(next - a->until), MADV_POPULATE_WRITE); /* where it fails, page by page */
#endif
    a->until = next;
}

/* The next stretch is as good as given. */
static void ask_for_help(struct giver *g, struct given *a)
{
    *g = (struct giver){.asked = g->asked, .area = a, .from = a->until, .to = behind(a, a->stretch), .pid = getpid()};
    if (!start(g)) {
        g->area = NULL;
        return;
    }
    a->until = g->to;
    *g->asked += (uint64_t)(g->to - g->from);
}

static ptrdiff_t least_left(const struct given *a) { return (ptrdiff_t)(a->stretch / LEFT); }

static bool is_short(const struct given *a, const uint8_t *at) { return a->until - at <= least_left(a); }

static const uint8_t *next_look(const struct given *a, const uint8_t *at)
{
    const uint8_t *next = a->until - NEAR, *soon = at + PIECE / 2;

    if (a->until == a->end)
        next = a->end;
    else if (!is_short(a, at))
        next = a->until - least_left(a);
    else if (at >= a->helped && next > soon) /* the helper is busy elsewhere */
        next = soon;
    return next > at ? next : at + 1;
}

void give_more(struct giver *g, struct given *a, const uint8_t *at)
{
    if (g->area && (atomic_load(&g->done) || g->pid != getpid())) collect(g);
    if (!g->area && at >= a->helped && a->until < a->end && is_short(a, at)) ask_for_help(g, a);
    if (at + NEAR >= a->until && a->until < a->end) give_piece(a);
    a->ask = next_look(a, at);
}
