/* bt.c: the engine `bt`: life, and what becomes of blocks.  See bt.h. */
#define _GNU_SOURCE
#include "bt.h"
#include "../engine.h"
#include "../interp/interp.h"
#include "../mem.h"
#include "../silicon.h"
#include "cases.h"
#include "chain.h"
#include "fail.h"
#include "trust.h"
#include "view.h"
#include <asm/hwcap2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

enum { CODE_LEAST = 1 << 20 };
/* Of code memory, for what is executed often: so much of a Linux's code is. */
enum { HOT_PART = 2, HOT_PARTS = 5 };
/* The memory mode, `flat` or `window`, for all code; for tests and benchmarks.  Unset, the code decides (mode.h). */
#define MODE_ENV "VPCORE_BT_MODE"
/* Jumps reach 2 GB. */
#define CODE_MOST (UINT64_C(1) << 30)

void *bt_allocate(struct bt *bt, size_t size)
{
    enum { UNIT = sizeof(uint64_t) };

    size = (size + UNIT - 1) & ~(size_t)(UNIT - 1);
    if (size > bt->arena_size - bt->arena_used) return NULL;
    void *at = bt->arena + bt->arena_used;
    bt->arena_used += size;
    return at;
}

struct learned *bt_learn(struct bt *bt, struct block *b)
{
    if (b->learned) return b->learned;
    b->learned = bt_allocate(bt, sizeof *b->learned);
    if (b->learned) *b->learned = (struct learned){0};
    return b->learned;
}

/* -- What becomes of blocks --------------------------------------------------------------------------------------- */

static void on_built(struct vp_vm *m, struct block *b)
{
    (void)m;
    b->insns[0].fn = bt_run_block;
}

/* Some call in it may be under way. */
static void on_died(struct vp_vm *m, struct block *b)
{
    struct bt *bt = bt_of(m);

    if (b->translated) chain_forget_calls(m, bt);
    chain_drop(m, bt, b);
    chain_leave_out(m, bt, b);
    growth_forget(&bt->growth, b);
}

static void on_dropped(struct vp_vm *m)
{
    struct bt *bt = bt_of(m);

    bt->e.at = bt->start;
    bt->cold.at = bt->cold_start;
    bt->e.full = bt->cold.full = false;
    bt->faults.count = bt->first_fault;
    bt->arena_used = 0;
    bt->link = NULL;
    trust_forget(bt);
    bt->growth = (struct growth){0};
    memset(m->targets, 0, sizeof m->targets);
    cases_drop(m, bt);
    chain_forget_calls(m, bt);
}

/* -- Engine ------------------------------------------------------------------------------------------------------- */

/* The first x86-64 processors lack these in 64-bit mode (SDM 2, LAHF). */
static bool has_lahf(void)
{
    enum { LAHF_LM = 1 };
    uint32_t leaf = 0x80000000u, b, c = 0, d, most;

    __asm__("cpuid" : "=a"(most), "=b"(b), "+c"(c), "=d"(d) : "0"(leaf));
    if (most <= leaf) return false;
    leaf++;
    __asm__("cpuid" : "+a"(leaf), "=b"(b), "+c"(c), "=d"(d));
    return c & LAHF_LM;
}

static bool bt_probe(char *why, size_t room)
{
    struct codemem mem;

    if (!has_lahf()) {
        snprintf(why, room, "the host's processor has no LAHF and SAHF in 64-bit mode");
        return false;
    }
    if (!codemem_create(&mem, CODE_LEAST, why, room)) return false;
    codemem_destroy(&mem);
    return true;
}

static void bt_destroy(struct vp_vm *m)
{
    struct bt *bt = bt_of(m);

    if (!bt) return;
    m->interp->tier = NULL;
    m->kicks = false;
    giver_finish(m->giver);
    if (bt->map) fclose(bt->map);
    windows_destroy(bt->windows);
    modes_destroy(bt->modes);
    fault_map_destroy(&bt->faults);
    codemem_destroy(&bt->mem);
    mem_release(bt->arena, bt->arena_size);
    for (unsigned user = 0; user < 2; user++) mem_release(bt->calls[user].base, CALLS_SIZE);
    mem_release(bt->target_pages, sizeof *bt->target_pages * TARGETS);
    free(bt->case_table);
    trust_destroy(bt->trust);
    free(bt->front);
    free(bt);
}

/* Without them, or without what makes them cheap, the reason is kept. */
static void create_windows(struct vp_vm *m, struct bt *bt)
{
    const char *mode = getenv(MODE_ENV);

    bt->fsgsbase = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) && !window_told_to_fail("fsgsbase");
    if (mode && !strcmp(mode, "flat")) return;
    bool chooses = !mode || strcmp(mode, "window");
    if (!bt->fsgsbase) snprintf(bt->lacks, sizeof bt->lacks, "windows cost more: the host has no FSGSBASE");
    if (!signals_install())
        snprintf(bt->lacks, sizeof bt->lacks, "no windows: the host gives no signal handler");
    else if (chooses && !(bt->modes = modes_create()))
        snprintf(bt->lacks, sizeof bt->lacks, "no windows: no memory");
    else
        bt->windows = windows_create(m, bt->lacks, sizeof bt->lacks);
}

/* Flat tables are asked without a change of flags, where the host has what that takes. */
static void create_quiet_probe(struct vp_vm *m, struct bt *bt)
{
    m->bt_in_page = ~PAGE_MASK;
    m->bt_in_word = sizeof(uint32_t) - 1;
    bt->quiet = bt_host_extracts() && signals_install() && !mprotect(m->page_end[1], PAGE_SIZE, PROT_NONE);
    if (!bt->quiet) snprintf(bt->lacks, sizeof bt->lacks, "the flat tables cost more: the host has no fast PEXT");
}

/* Where the host has others, what leaves some undefined is the interpreter's. */
static void ask_for_flags(const struct vp_vm *m, struct bt *bt)
{
    bt->own_flags = silicon_host() == m->maker;
    if (!bt->own_flags && !*bt->lacks)
        snprintf(bt->lacks, sizeof bt->lacks, "shifts and multiplications cost more: the host's flags differ");
}

/* Without it, returns compare and jump. */
static void ask_for_guard(const struct vp_vm *m, struct bt *bt)
{
    bt->returns_fault = m->guarded && signals_install() && !window_told_to_fail("guard");
    if (!bt->returns_fault && !*bt->lacks)
        snprintf(bt->lacks, sizeof bt->lacks,
                 "returns cost more: the host gives no 4 GB of addresses beside a machine");
}

/* Where kicks are not to be had, budgets are looked at. */
static void create_kicks(struct vp_vm *m, struct bt *bt)
{
    const char *looks = getenv(LOOKS_ENV);

    bt->all_touch = looks && !strcmp(looks, "none");
    if (!bt->windows || m->config.clock == VP_CLOCK_ICOUNT || (looks && !bt->all_touch)) return;
    bt->touches = !window_told_to_fail("timer") && kick_prepare(m);
    if (!bt->touches && !*bt->lacks) snprintf(bt->lacks, sizeof bt->lacks, "loops cost more: the host gives no timer");
}

static void give_areas(const struct vp_vm *m, struct bt *bt)
{
    const size_t hot = (size_t)(bt->e.end - bt->e.at), cold = (size_t)(bt->cold.end - bt->cold.at);

    bt->code_given = given_area(m, bt->e.at, hot, GIVE_CODE, bt->e.run);
    bt->cold_given = given_area(m, bt->cold.at, cold, GIVE_CODE, bt->e.run);
    bt->arena_given = given_area(m, bt->arena, bt->arena_size, GIVE_RECORDS, 0);
}

static bool create_calls(struct vp_vm *m, struct bt *bt)
{
    enum { UPPER_END = 64 };

    for (unsigned user = 0; user < 2; user++) {
        struct calls *c = &bt->calls[user];
        c->base = mem_reserve(CALLS_SIZE);
        if (!c->base || mprotect(c->base, CALLS_GUARD, PROT_NONE)) return false;
        c->now = c->top = c->base + CALLS_SIZE - UPPER_END;
    }
    m->bt_calls = bt->calls[0].top;
    return true;
}

static bool bt_create(struct vp_vm *m)
{
    struct bt *bt = calloc(1, sizeof *bt);
    uint64_t size = m->config.cache_size;

    if (!bt) return false;
    m->interp->tier = &bt->tier;
    const char *warm = getenv(WARM_ENV);
    const char *looks = getenv(LOOKS_ENV);
    const char *settle = getenv(SETTLE_ENV);
    bt->sparing = looks ? !strcmp(looks, "few") : m->config.clock != VP_CLOCK_ICOUNT;
    bt->reserve = AHEAD + THUNK + (bt->sparing ? PAGE_SIZE : 0);
    bt->warm = warm ? (unsigned)least(strtol(warm, NULL, 10), WARM_MOST) : WARM;
    bt->slides = getenv(SLIDE_ENV);
    bt->settled = settle ? strtoull(settle, NULL, 10) : SETTLED;
    bt->fcomi_clears = bt_x87_compare_clears();
    bt->tier = (struct tier){on_built, on_died, on_dropped};
    size = size < CODE_LEAST ? CODE_LEAST : size > CODE_MOST ? CODE_MOST : (size + PAGE_SIZE - 1) & ~UINT64_C(0xfff);
    bt->arena_size = size;
    bt->arena = mem_reserve(size);
    if (bt->arena) mem_use_large(bt->arena, size);
    bt->target_pages = mem_reserve(sizeof *bt->target_pages * TARGETS);
    bt->case_table = calloc(CASE_TABLES, sizeof *bt->case_table);
    bt->trust = trust_create();
    bt->front = front_create();
    bool room = bt->arena && bt->target_pages && bt->trust && bt->front && create_calls(m, bt);
    if (!room || !codemem_create(&bt->mem, size, m->error, sizeof m->error)) {
        if (!room) snprintf(m->error, sizeof m->error, "no memory for the translator's records");
        bt_destroy(m);
        return false;
    }
    bt->cold_start = bt->mem.rw + (size / HOT_PARTS * HOT_PART / PAGE_SIZE * PAGE_SIZE);
    bt->e = (struct emit){.at = bt->mem.rw, .end = bt->cold_start, .run = bt->mem.rx - bt->mem.rw};
    bt->cold = (struct emit){.at = bt->cold_start, .end = bt->mem.rw + size, .run = bt->e.run};
    give_areas(m, bt);
    if (!fault_map_create(&bt->faults, bt->mem.rx, size)) {
        snprintf(m->error, sizeof m->error, "no memory for the translator's records");
        bt_destroy(m);
        return false;
    }
    bt->map = map_open();
    create_quiet_probe(m, bt);
    create_windows(m, bt);
    ask_for_flags(m, bt);
    ask_for_guard(m, bt);
    create_kicks(m, bt);
    bt_emit_stubs(bt);
    return true;
}

/* Someone else may have come since.  Each signal costs a tick of an idle guest 1 us to look at. */
static void take_signals(const struct bt *bt)
{
    if (bt->windows || bt->quiet) signals_install();
    if (bt->touches) kick_install();
}

static int bt_run(struct vp_vm *m, uint64_t max_insns)
{
    struct bt *bt = bt_of(m);

    if (!m->runs_on) take_signals(bt);
    kick_enter(m);
    uint8_t *outer_gs = bt->gs = view_gs();
    struct fault_map *outer = signals_enter(&bt->faults);
    wake_begin(m, bt);
    int code = interp_run(m, max_insns);
    wake_end(m, bt, code);
    if (code == VP_EXIT_HALT && bt->windows) windows_idle(bt->windows);
    kick_leave(m);
    signals_enter(outer);
    view_set_gs(bt, outer_gs);
    return code;
}

static void bt_flush_tlb(struct vp_vm *m, bool global_too)
{
    if (bt_of(m)->windows) window_flush(bt_of(m)->windows, global_too);
}

static void bt_forget_page(struct vp_vm *m, uint32_t lin)
{
    if (bt_of(m)->windows) window_flush_page(bt_of(m)->windows, lin);
}

static void bt_forget_writes(struct vp_vm *m, uint32_t first, uint32_t last)
{
    if (bt_of(m)->windows) window_forget_writes(bt_of(m)->windows, first, last);
}

static void bt_stats(const struct vp_vm *m, vp_stats *out)
{
    const struct bt *bt = bt_of(m);

    out->cold_bytes = (uint64_t)(bt->cold.at - bt->cold_start);
    out->cold_room = (uint64_t)(bt->mem.rw + bt->mem.size - bt->cold_start);
    out->code_bytes = (uint64_t)(bt->e.at - bt->mem.rw) + out->cold_bytes;
    out->code_room = bt->mem.size;
    out->record_bytes = bt->arena_used;
    out->record_room = bt->arena_size;
}

static const char *bt_lacks(struct vp_vm *m) { return bt_of(m)->lacks; }

static uint32_t bt_mode_trace(struct vp_vm *m, vp_mode_change *out, uint32_t most)
{
    return bt_of(m)->modes ? modes_trace(bt_of(m)->modes, out, most) : 0;
}

const struct vp_engine engine_bt = {
    .name = "bt",
    .probe = bt_probe,
    .create = bt_create,
    .run = bt_run,
    .invalidate = block_invalidate,
    .flush_tlb = bt_flush_tlb,
    .forget_page = bt_forget_page,
    .forget_writes = bt_forget_writes,
    .cut = block_cut,
    .stats = bt_stats,
    .destroy = bt_destroy,
    .lacks = bt_lacks,
    .mode_trace = bt_mode_trace,
};
