/* signals.c: see signals.h. */
#define _GNU_SOURCE
#include "signals.h"
#include "../mem.h"
#include "fail.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

/* A guest access of host code that has no mapping, or a lazy one, or runs over the end of non-canonical addresses. */
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

static bool has_address(const siginfo_t *info)
{
    if (info->si_signo == SIGBUS) return info->si_code == BUS_ADRERR; /* lazy.h */
    return info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR;
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
    map->at = site->at;
    map->address = has_address(info) ? (uintptr_t)info->si_addr : UINTPTR_MAX;
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

/* -- Going on without sigreturn, a quarter of what a fault costs --------------------------------------------------- */

/* Behind the FXSAVE image of a signal's frame, struct _fpx_sw_bytes of asm/sigcontext.h (with which ucontext.h cannot
 * be had): what else there is, XSAVE's way. */
struct more_state {
    uint32_t magic, size;
    uint64_t features;
};
enum { MORE_STATE = 464, MORE_STATE_MAGIC = 0x46505853 };
#define AUTODISARM (1u << 31) /* linux/signal.h: sigreturn is to bring the stack back */

static const struct more_state *more_state(const ucontext_t *c)
{
    return (const struct more_state *)((const uint8_t *)c->uc_mcontext.fpregs + MORE_STATE);
}

/* sigreturn does no more than restore registers: `frame`, this handler's, is the one that the kernel made, so the mask
 * of signals is what it was; and the state of x87 and SSE is all there. */
static bool may_skip_sigreturn(const void *frame, const ucontext_t *c)
{
    enum { LINKAGE = 16 /* RBP and the address of return, which the kernel puts just before the context */ };

    return !running->sigreturns && (const uint8_t *)frame + LINKAGE == (const uint8_t *)c && c->uc_mcontext.fpregs &&
           more_state(c)->magic == MORE_STATE_MAGIC && !((unsigned)c->uc_stack.ss_flags & AUTODISARM);
}

/* All registers as the context has them.  Nothing is written below its RSP. */
__attribute__((noreturn)) static void go_to(const ucontext_t *c)
{
#define PLACE(reg) [reg] "i"((reg) * sizeof(greg_t))
    const uint64_t features = more_state(c)->features;

    __asm__ volatile("xrstor64 (%[state])\n\t"
                     "mov %%ss, %%eax\n\tpush %%rax\n\t"
                     "push %c[REG_RSP](%[regs])\n\t"
                     "push %c[REG_EFL](%[regs])\n\t"
                     "mov %%cs, %%eax\n\tpush %%rax\n\t"
                     "push %c[REG_RIP](%[regs])\n\t"
                     "mov %c[REG_R8](%[regs]), %%r8\n\tmov %c[REG_R9](%[regs]), %%r9\n\t"
                     "mov %c[REG_R10](%[regs]), %%r10\n\tmov %c[REG_R11](%[regs]), %%r11\n\t"
                     "mov %c[REG_R12](%[regs]), %%r12\n\tmov %c[REG_R13](%[regs]), %%r13\n\t"
                     "mov %c[REG_R14](%[regs]), %%r14\n\tmov %c[REG_R15](%[regs]), %%r15\n\t"
                     "mov %c[REG_RAX](%[regs]), %%rax\n\tmov %c[REG_RCX](%[regs]), %%rcx\n\t"
                     "mov %c[REG_RDX](%[regs]), %%rdx\n\tmov %c[REG_RBX](%[regs]), %%rbx\n\t"
                     "mov %c[REG_RSI](%[regs]), %%rsi\n\tmov %c[REG_RBP](%[regs]), %%rbp\n\t"
                     "mov %c[REG_RDI](%[regs]), %%rdi\n\t"
                     "iretq"
                     :
                     : [regs] "D"(c->uc_mcontext.gregs), [state] "S"(c->uc_mcontext.fpregs), "a"((uint32_t)features),
                       "d"((uint32_t)(features >> 32)), PLACE(REG_RSP), PLACE(REG_EFL), PLACE(REG_RIP), PLACE(REG_R8),
                       PLACE(REG_R9), PLACE(REG_R10), PLACE(REG_R11), PLACE(REG_R12), PLACE(REG_R13), PLACE(REG_R14),
                       PLACE(REG_R15), PLACE(REG_RAX), PLACE(REG_RCX), PLACE(REG_RDX), PLACE(REG_RBX), PLACE(REG_RSI),
                       PLACE(REG_RBP), PLACE(REG_RDI)
                     : "memory");
    __builtin_unreachable();
#undef PLACE
}

static void handle(int signal, siginfo_t *info, void *context)
{
    if (!go_on(info, context))
        pass_on(signal, info, context);
    else if (may_skip_sigreturn(__builtin_frame_address(0), context))
        go_to(context);
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
    map->sigreturns = window_told_to_fail("sigreturn");
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
