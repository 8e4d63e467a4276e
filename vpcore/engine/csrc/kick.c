/* kick.c: see kick.h.
 *
 * No kick is lost: who asks for one has set attn (or the time has come) before he takes the page away, and kick_over()
 * gives it back before attn and the clock are looked at.  One that comes twice, or too early, is a look at the clock
 * too many.
 */
#define _GNU_SOURCE
#include "kick.h"
#include "clock.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Ignored by default, and for data that no one sends. */
enum { SIGNAL = SIGURG };
#define NEVER INT64_MAX

static _Thread_local struct kicker mine = {.armed = NEVER};
static struct sigaction before;
static pthread_mutex_t installing = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_end;

/* -- The page ----------------------------------------------------------------------------------------------------- */

static bool protect(struct vp_vm *m, int prot) { return mprotect(m->kick_page, PAGE_SIZE, prot) == 0; }

void kick(struct vp_vm *m)
{
    if (!m->kicks) return;
    atomic_store(&m->kicked, true);
    protect(m, PROT_NONE);
}

void kick_over(struct vp_vm *m)
{
    atomic_store(&m->kicked, false);
    protect(m, PROT_READ);
}

/* -- The signal --------------------------------------------------------------------------------------------------- */

static void handle(int signal, siginfo_t *info, void *context)
{
    const int error = errno;

    if (info->si_code == SI_TIMER && info->si_value.sival_ptr == &before) {
        mine.armed = NEVER;
        for (struct vp_vm *m = mine.running; m; m = m->outer) kick(m);
    } else if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(signal);
    }
    errno = error;
}

bool kick_install(void)
{
    struct sigaction handler = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART}, now;

    if (sigaction(SIGNAL, NULL, &now)) return false;
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handle) return true;
    sigemptyset(&handler.sa_mask);
    pthread_mutex_lock(&installing);
    before = now;
    bool done = sigaction(SIGNAL, &handler, NULL) == 0;
    pthread_mutex_unlock(&installing);
    return done;
}

void kick_hold(sigset_t *mask)
{
    pthread_sigmask(SIG_BLOCK, NULL, mask);
    sigaddset(mask, SIGNAL);
}

/* -- The timer ---------------------------------------------------------------------------------------------------- */

/* Of a thread that ends. */
static void delete_timer(void *kicker) { timer_delete(((struct kicker *)kicker)->timer); }
static void make_key(void) { pthread_key_create(&at_end, delete_timer); }

static bool create_timer(timer_t *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL, .sigev_value.sival_ptr = &before};

    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    return timer_create(CLOCK_MONOTONIC, &event, timer) == 0;
}

/* This thread's, which its signal is to reach. */
static bool make_timer(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGNAL);
    mine.made = create_timer(&mine.timer) && pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
    pthread_once(&once, make_key);
    pthread_setspecific(at_end, mine.made ? &mine : NULL);
    return mine.made;
}

bool kick_arm(struct vp_vm *m)
{
    enum { NS = 1000000000 };
    const struct itimerspec at = {.it_value = {.tv_sec = m->due / NS, .tv_nsec = m->due % NS}};

    mine.armed = m->due; /* before it may fire */
    if (mine.made && timer_settime(mine.timer, TIMER_ABSTIME, &at, NULL) == 0) return true;
    if (make_timer() && timer_settime(mine.timer, TIMER_ABSTIME, &at, NULL) == 0) return true; /* behind fork() */
    mine.armed = NEVER;
    return false;
}

void kick_within(struct vp_vm *m, int64_t ns)
{
    m->due = least(m->due, clock_host(m, vp_now(m)) + ns);
    if (!kick_when_due(m)) kick(m);
}

/* -- Who runs ----------------------------------------------------------------------------------------------------- */

bool kick_prepare(struct vp_vm *m)
{
    timer_t timer;

    if (!create_timer(&timer)) return false;
    timer_delete(timer);
    m->kicks = kick_install() && protect(m, PROT_READ);
    return m->kicks;
}

void kick_enter(struct vp_vm *m)
{
    m->kicker = &mine;
    m->outer = mine.running;
    mine.running = m;
}

void kick_leave(struct vp_vm *m) { mine.running = m->outer; }
