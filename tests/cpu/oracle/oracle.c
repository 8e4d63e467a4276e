/*
 * The silicon oracle: runs short IA-32 code sequences (cases) on the host processor, in compatibility mode through LDT
 * segments, and reports the state that each leaves. One process, one thread; Python fills a shared memory file
 * (layout.h), writes a byte to standard input, and reads one from standard output when the batch is over.
 *
 * Policy: below 4 GB, where cases can reach, there are only the code area (read-only there, written through an alias), the
 * data window and the gate page; program, stack and shared memory lie above. System calls that a case makes are trapped by
 * seccomp. An exception's handler never returns: it copies the frame and jumps to the way out of oracle_enter.
 * After set-up nothing may use thread-local storage (see enter.S), so system calls are made raw.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "context.h"
#include "layout.h"

enum {
    INT3 = 0xCC,
    OPERAND_SIZE = 0x66,
    JMP_FAR = 0xEA,
    TERMINATOR_MAX = 8,
    GATE = ORACLE_CODE_BASE + ORACLE_AREA_SIZE, /* the page behind the code area */
    GATE_SIZE = 0x1000,
    USER_CS64 = 0x33,         /* Linux' 64-bit user code selector */
    LDT_MODE_WRITE = 0x11,    /* modify_ldt: write, new format */
    EFLAGS_LOADABLE = 0xCD5,  /* OF DF SF ZF AF PF CF */
    EFLAGS_FIXED = 0x002,
    FCW_RESET = 0x37F,        /* SDM 1, 8.1.5 */
    MXCSR_RESET = 0x1F80,     /* SDM 1, 10.2.3 */
    FX_FCW = 0,
    FX_MXCSR = 24,
    PAGE_FAULT = 14,
    TICK_US = 10000,
    SIGNAL_STACK = 0x10000,
    BLOCK = 4096,             /* the window is compared by blocks, then lines, then bytes */
    LINE = 64,
    SEG_CS = 1,
    SEG_SS = 2,
    EXIT_SETUP = 2,
    EXIT_LOST = 3,
};

struct context {
    uint32_t gpr[8];
    uint64_t eflags;
    uint16_t seg[6];
    uint32_t target_eip;
    uint16_t target_cs;
    uint64_t host_rsp;
    const void *landing;
    _Alignas(64) uint8_t fx[ORACLE_FX_SIZE];
    struct oracle_result *result; /* not NULL: a case is running, and has not been left by a signal */
    uint32_t entry_eip;
    uint32_t serial;              /* counts cases */
    uint32_t serial_at_tick;
};

_Static_assert(offsetof(struct context, gpr) == CTX_GPR, "context.h");
_Static_assert(offsetof(struct context, eflags) == CTX_EFLAGS, "context.h");
_Static_assert(offsetof(struct context, seg) == CTX_SEG, "context.h");
_Static_assert(offsetof(struct context, target_eip) == CTX_TARGET, "context.h");
_Static_assert(offsetof(struct context, target_cs) == CTX_TARGET + 4, "context.h");
_Static_assert(offsetof(struct context, host_rsp) == CTX_HOST_RSP, "context.h");
_Static_assert(offsetof(struct context, landing) == CTX_LANDING, "context.h");
_Static_assert(offsetof(struct context, fx) == CTX_FX, "context.h");

struct context oracle_context;
extern const char oracle_landing[];
int oracle_enter(void);
void oracle_signal_entry(int signal_number, siginfo_t *info, void *frame);
int oracle_on_signal(int signal_number, const siginfo_t *info, const ucontext_t *frame);

static struct oracle_shared *shared;
static uint8_t *code_alias;                               /* the code area, writable */
static uint8_t *const window = (uint8_t *)(uintptr_t)ORACLE_WINDOW_BASE;
static uint8_t expected[ORACLE_WINDOW_SIZE];              /* what the window holds before the case's code runs */
static uint32_t window_image;                             /* the image that both hold now */
static uint8_t fx_reset[ORACLE_FX_SIZE];

/* ---- raw system calls ---- */

static long system_call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static _Noreturn void leave_process(int status)
{
    for (;;)
        system_call(SYS_exit_group, status, 0, 0);
}

/* ---- signals ---- */

static int is_time_over(const ucontext_t *frame)
{
    struct context *ctx = &oracle_context;
    uint16_t cs = (uint16_t)frame->uc_mcontext.gregs[REG_CSGSFS];
    if (!ctx->result || (cs == USER_CS64 && (uint64_t)frame->uc_mcontext.gregs[REG_RIP] >> 32))
        return 0;
    if (ctx->serial_at_tick == ctx->serial)
        return 1;
    ctx->serial_at_tick = ctx->serial;
    return 0;
}

static void copy_frame(struct oracle_result *result, const ucontext_t *frame)
{
    static const int order[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};
    struct context *ctx = &oracle_context;
    const greg_t *regs = frame->uc_mcontext.gregs;
    for (int i = 0; i < 8; i++)
        ctx->gpr[i] = (uint32_t)regs[order[i]];
    ctx->eflags = (uint64_t)regs[REG_EFL];
    ctx->seg[SEG_CS] = (uint16_t)regs[REG_CSGSFS]; /* the frame's GS and FS are not filled in */
    ctx->seg[SEG_SS] = (uint16_t)((uint64_t)regs[REG_CSGSFS] >> 48);
    memcpy(ctx->fx, frame->uc_mcontext.fpregs, ORACLE_FX_SIZE);
    result->eip = (int32_t)((uint32_t)regs[REG_RIP] - ctx->entry_eip);
    result->code64 = ctx->seg[SEG_CS] == USER_CS64;
}

/* Called by oracle_signal_entry; 0: go on where the signal came, 1: the case is over. */
int oracle_on_signal(int signal_number, const siginfo_t *info, const ucontext_t *frame)
{
    const greg_t *regs = frame->uc_mcontext.gregs;
    struct oracle_result *result = oracle_context.result;
    if (signal_number == SIGVTALRM && !is_time_over(frame))
        return 0;
    if (!result)
        leave_process(EXIT_LOST);
    oracle_context.result = NULL; /* a fault on the way out must not come here again */
    copy_frame(result, frame);
    result->signal = (uint8_t)signal_number;
    result->status = ORACLE_TRAP;
    result->trapno = ORACLE_NO_VECTOR;
    if (signal_number == SIGVTALRM) {
        result->status = ORACLE_TIMEOUT;
    } else if (result->code64 && (uint64_t)regs[REG_RIP] >> 32) {
        result->status = ORACLE_REFUSED; /* the fault is oracle_enter's, loading the state */
    } else if (signal_number != SIGSYS && info->si_code != SI_USER) {
        result->trapno = (uint8_t)regs[REG_TRAPNO];
        result->error = (uint32_t)regs[REG_ERR];
        if (result->trapno == PAGE_FAULT)
            result->cr2 = (uint32_t)regs[REG_CR2];
    }
    return 1;
}

/* ---- one case ---- */

static int is_valid(const struct oracle_case *c)
{
    if (c->code_len > ORACLE_CODE_MAX || c->window >= shared->window_count || c->patch_first > shared->patch_count
        || c->patch_count > shared->patch_count - c->patch_first)
        return 0;
    for (uint32_t i = 0; i < c->patch_count; i++) {
        const struct oracle_patch *patch = &shared->patches[c->patch_first + i];
        if (patch->size > ORACLE_PATCH_MAX || patch->offset + patch->size > ORACLE_WINDOW_SIZE)
            return 0;
    }
    return 1;
}

static int is_16bit(uint16_t cs)
{
    return !shared->segments[(cs >> 3) % ORACLE_SEGMENTS].is_32bit;
}

/* The code, then a far jump to the gate page. */
static void place_code(const struct oracle_case *c)
{
    static const uint32_t gate = GATE;
    static const uint16_t gate_cs = USER_CS64;
    uint8_t *p = code_alias + ORACLE_CODE_ENTRY;
    memcpy(p, c->code, c->code_len);
    p += c->code_len;
    if (is_16bit(c->seg[SEG_CS]))
        *p++ = OPERAND_SIZE;
    *p++ = JMP_FAR;
    memcpy(p, &gate, sizeof gate);
    memcpy(p + sizeof gate, &gate_cs, sizeof gate_cs);
}

static void remove_code(const struct oracle_case *c)
{
    memset(code_alias + ORACLE_CODE_ENTRY, INT3, c->code_len + TERMINATOR_MAX);
}

static void prepare_window(const struct oracle_case *c)
{
    if (c->window != window_image) {
        window_image = c->window;
        memcpy(window, shared->windows[window_image], ORACLE_WINDOW_SIZE);
        memcpy(expected, shared->windows[window_image], ORACLE_WINDOW_SIZE);
    }
    for (uint32_t i = 0; i < c->patch_count; i++) {
        const struct oracle_patch *patch = &shared->patches[c->patch_first + i];
        memcpy(window + patch->offset, patch->data, patch->size);
        memcpy(expected + patch->offset, patch->data, patch->size);
    }
}

static void collect_line(uint32_t offset)
{
    for (uint32_t i = offset; i < offset + LINE; i++) {
        if (window[i] == expected[i])
            continue;
        shared->changes[shared->change_used++] =
            (struct oracle_change){.offset = (uint16_t)i, .before = expected[i], .after = window[i]};
        window[i] = expected[i];
    }
}

/* Reports the bytes that the case changed and undoes them, then undoes its patches. */
static void settle_window(const struct oracle_case *c, struct oracle_result *result)
{
    result->change_first = shared->change_used;
    for (uint32_t block = 0; block < ORACLE_WINDOW_SIZE; block += BLOCK) {
        if (!memcmp(window + block, expected + block, BLOCK))
            continue;
        for (uint32_t line = block; line < block + BLOCK; line += LINE) {
            if (memcmp(window + line, expected + line, LINE))
                collect_line(line);
        }
    }
    result->change_count = shared->change_used - result->change_first;
    for (uint32_t i = 0; i < c->patch_count; i++) {
        const struct oracle_patch *patch = &shared->patches[c->patch_first + i];
        const uint8_t *image = shared->windows[window_image] + patch->offset;
        memcpy(window + patch->offset, image, patch->size);
        memcpy(expected + patch->offset, image, patch->size);
    }
}

static void load_context(const struct oracle_case *c)
{
    struct context *ctx = &oracle_context;
    memcpy(ctx->gpr, c->gpr, sizeof ctx->gpr);
    memcpy(ctx->seg, c->seg, sizeof ctx->seg);
    memcpy(ctx->fx, c->options & ORACLE_FX_IN ? c->fx : fx_reset, sizeof ctx->fx);
    ctx->eflags = (c->eflags & EFLAGS_LOADABLE) | EFLAGS_FIXED;
    const struct oracle_segment *code = &shared->segments[(c->seg[SEG_CS] >> 3) % ORACLE_SEGMENTS];
    ctx->entry_eip = ORACLE_CODE_BASE + ORACLE_CODE_ENTRY - code->base;
    ctx->target_eip = ctx->entry_eip;
    ctx->target_cs = c->seg[SEG_CS];
    ctx->serial++;
}

static void run_case(const struct oracle_case *c, struct oracle_result *result)
{
    struct context *ctx = &oracle_context;
    memset(result, 0, offsetof(struct oracle_result, fx));
    if (!is_valid(c)) {
        result->status = ORACLE_REFUSED;
        return;
    }
    place_code(c);
    prepare_window(c);
    load_context(c);
    ctx->result = result;
    if (!oracle_enter())
        result->eip = c->code_len;
    ctx->result = NULL;
    memcpy(result->gpr, ctx->gpr, sizeof result->gpr);
    memcpy(result->seg, ctx->seg, sizeof result->seg);
    result->eflags = (uint32_t)ctx->eflags;
    if (c->options & ORACLE_FX_OUT)
        memcpy(result->fx, ctx->fx, sizeof result->fx);
    settle_window(c, result);
    remove_code(c);
}

static void run_batch(void)
{
    window_image = ORACLE_WINDOWS; /* Python may have changed any image */
    shared->change_used = 0;
    for (uint32_t i = shared->first; i < shared->count && i < ORACLE_CASES; i++) {
        shared->done = i; /* what Python reads if this process dies */
        if (ORACLE_CHANGES - shared->change_used < ORACLE_WINDOW_SIZE)
            return;
        run_case(&shared->cases[i], &shared->results[i]);
    }
    shared->done = shared->count;
}

/* ---- set-up ---- */

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EXIT_SETUP);
}

static void *map(uintptr_t address, size_t size, int protection, int flags, int fd)
{
    void *p = mmap((void *)address, size, protection, flags | (address ? MAP_FIXED_NOREPLACE : 0), fd, 0);
    if (p == MAP_FAILED || (address && p != (void *)address))
        give_up("mapping memory");
    return p;
}

static void map_areas(int shared_fd)
{
    static const uint8_t gate_code[] = {0x41, 0xFF, 0x67, CTX_LANDING}; /* jmp [r15 + CTX_LANDING] */
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    const size_t code_size = ORACLE_AREA_SIZE + GATE_SIZE;
    int code_fd = memfd_create("oracle-code", MFD_CLOEXEC);
    if (code_fd < 0 || ftruncate(code_fd, (off_t)code_size))
        give_up("memfd_create");
    shared = map(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd);
    code_alias = map(0, code_size, PROT_READ | PROT_WRITE, MAP_SHARED, code_fd);
    map(ORACLE_WINDOW_BASE, ORACLE_WINDOW_SIZE, PROT_READ | PROT_WRITE, anonymous, -1);
    memset(code_alias, INT3, code_size);
    memcpy(code_alias + ORACLE_AREA_SIZE, gate_code, sizeof gate_code);
    map(ORACLE_CODE_BASE, code_size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_POPULATE, code_fd);
}

static void write_ldt(void)
{
    for (unsigned i = 0; i < ORACLE_SEGMENTS; i++) {
        const struct oracle_segment *segment = &shared->segments[i];
        struct user_desc entry = {
            .entry_number = i,
            .base_addr = segment->base,
            .limit = segment->limit,
            .seg_32bit = segment->is_32bit & 1,
            .contents = segment->contents & 3,
            .read_exec_only = segment->read_only & 1,
            .limit_in_pages = segment->limit_in_pages & 1,
            .seg_not_present = segment->not_present & 1,
            .useable = 1,
        };
        if (segment->in_use && syscall(SYS_modify_ldt, LDT_MODE_WRITE, &entry, sizeof entry))
            give_up("modify_ldt");
    }
}

static void catch_signals(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGVTALRM};
    static uint8_t stack_memory[SIGNAL_STACK];
    const stack_t stack = {.ss_sp = stack_memory, .ss_size = sizeof stack_memory};
    const struct itimerval tick = {{0, TICK_US}, {0, TICK_US}};
    struct sigaction action = {.sa_sigaction = oracle_signal_entry, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    if (sigaltstack(&stack, NULL))
        give_up("sigaltstack");
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (sigaction(signals[i], &action, NULL))
            give_up("sigaction");
    }
    if (setitimer(ITIMER_VIRTUAL, &tick, NULL))
        give_up("setitimer");
}

/* Cases can reach int 80h and SYSCALL: only 64-bit calls from above 4 GB pass, and only those of the loop below. */
static void confine(void)
{
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + sizeof(uint32_t)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        give_up("seccomp");
}

int main(int argc, char **argv)
{
    char byte = 0;
    if (argc != 2) {
        fputs("usage: oracle SHARED-FD\n", stderr);
        return EXIT_SETUP;
    }
    map_areas(atoi(argv[1]));
    write_ldt();
    catch_signals();
    memcpy(fx_reset + FX_FCW, &(uint16_t){FCW_RESET}, sizeof(uint16_t));
    memcpy(fx_reset + FX_MXCSR, &(uint32_t){MXCSR_RESET}, sizeof(uint32_t));
    oracle_context.landing = oracle_landing;
    confine();
    for (;;) {
        if (system_call(SYS_write, STDOUT_FILENO, (long)&byte, 1) != 1)
            leave_process(EXIT_LOST);
        if (system_call(SYS_read, STDIN_FILENO, (long)&byte, 1) != 1)
            leave_process(EXIT_SUCCESS);
        run_batch();
    }
}
