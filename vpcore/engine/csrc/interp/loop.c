/* loop.c: the interpreter's run loop.
 *
 * Between blocks it looks at `attn` (what is to be done now) and `budget` (instructions until the clock is to be looked
 * at); within a block nothing is looked at.  A block longer than the budget, or than the one instruction that a trap or
 * shadow allows, is executed as a copy that ends in time, so counts are exact.  Code that crosses a page, or lies where
 * no memory is, is fetched and executed one instruction at a time.
 */
#include "../clock.h"
#include "../engine.h"
#include "../isa.h"
#include "../mem.h"
#include "../native_calls.h"
#include "../profile.h"
#include "../space.h"
#include "../x87.h"
#include "block.h"
#include "interp.h"
#include <stdatomic.h>
#include <string.h>

enum {
    SLICE = 4096,       /* instructions between two looks at the clock */
    TIER_SLICE = 36864, /* the same where a tier makes them short, and leaving it costs more than a hundred of them */
    FAULT_PRICE = 256,  /* instructions that one that faults takes the time of */
    BREATH = 1 << 20,   /* instructions between two times that the host gets, under icount */
};
/* The same under other clocks, in ns: Python's threads take turns as often (sys.getswitchinterval()), and for most
 * guests their own timer's tick comes before.  And the least that the guest gets between two looks at the clock. */
enum { BREATH_NS = 5000000, SPELL_NS = 20000 };
/* attention that is needed again after each single instruction */
enum { ATTN_EACH = ATTN_SHADOW | ATTN_TRAP | ATTN_BREAK | ATTN_DR };

/* -- Finding code ------------------------------------------------------------------------------------------------- */

static uint32_t linear_eip(const struct vp_vm *m) { return m->cpu.seg[VP_CS].base + m->cpu.eip; }

/* A hint of another generation turns out to be right still: mostly so in another address space. */
static bool is_it(const struct vp_vm *m, const struct block *b, uint64_t phys)
{
    return b->phys == phys && b->code32 == m->code32 && !b->other && !block_is_dead(b);
}

/* The shortcut for this key is the newest from now on. */
static void remember(struct jumps *near, struct jump j)
{
    unsigned k = 0;

    while (k + 1 < JUMP_WAYS && near->way[k].key != JUMP_NONE && (uint32_t)near->way[k].key != (uint32_t)j.key) k++;
    for (; k; k--) near->way[k] = near->way[k - 1];
    near->way[0] = j;
}

/* One of another generation that is right still, or NULL. */
static struct block *recall(const struct vp_vm *m, const struct jumps *near, uint32_t lin, uint64_t phys)
{
    for (const struct jump *j = near->way; j < near->way + JUMP_WAYS; j++)
        if (j->key != JUMP_NONE && (uint32_t)j->key == lin && is_it(m, j->block, phys)) return j->block;
    return NULL;
}

/* The block of an instruction that goes on on the next page, or NULL. */
static struct block *find_across(struct vp_vm *m, uint32_t lin, uint64_t phys)
{
    unsigned room = PAGE_SIZE - (lin & ~PAGE_MASK);

    if (m->cpu.seg[VP_CS].limit - m->cpu.eip < room || !mem_read_ptr(m, phys)) return NULL;
    uint64_t next = mmu_fetch_phys(m, lin + room);
    struct block *b = block_across(m, phys, next);
    if (b) space_code(m, lin + room, (uint32_t)(next >> PAGE_SHIFT));
    return b;
}

/* That far from the beginning of a block that is new here another one may begin. */
static void expect(const struct vp_vm *m, const struct block *b, uint32_t lin, uint32_t distance)
{
    __builtin_prefetch(jumps_near(m->interp, lin + distance));
    if (!((b->phys ^ (b->phys + distance)) & PAGE_MASK)) block_expect(m, b->phys + distance);
}

/* Finding what follows a block takes the host's memory as long as executing it does: it is to begin now. */
static void expect_next(const struct vp_vm *m, const struct block *b, uint32_t lin)
{
    const struct insn *last = &b->insns[b->count - 1];
    const enum imm_kind kind = op_info[last->op].imm;

    expect(m, b, lin, b->bytes);
    if (kind == IMM_JB || kind == IMM_JZ) expect(m, b, lin, b->bytes + last->imm);
}

/* By way of the page tables, perhaps that one; NULL where the instruction has to be fetched by itself. */
static __attribute__((noinline)) struct block *find(struct vp_vm *m, uint32_t lin, struct block *hint)
{
    if (m->cpu.eip > m->cpu.seg[VP_CS].limit) raise_gp0(m);
    uint64_t phys = mmu_fetch_phys(m, lin);
    if (hint && is_it(m, hint, phys)) {
        space_code(m, lin, (uint32_t)(phys >> PAGE_SHIFT));
        return hint;
    }
    struct jumps *near = jumps_near(m->interp, lin);
    struct block *b = recall(m, near, lin, phys);
    if (!b) b = block_at(m, phys);
    if (!b) b = find_across(m, lin, phys);
    if (!b) return NULL;
    expect_next(m, b, lin);
    space_code(m, lin, (uint32_t)(phys >> PAGE_SHIFT));
    remember(near, (struct jump){jump_key(m, lin), b});
    return b;
}

/* Where that block names the one that was found after it last, behind it or elsewhere. */
static inline struct block **hint_at(struct block *from, uint32_t lin)
{
    if ((uint32_t)from->key + from->bytes == lin) return &from->next[0];
    __asm__(""); /* so that this is a jump, which hosts foresee: an index would have to wait for EIP */
    return &from->next[1];
}

/* The block at `lin`: as a rule one of the two that were found there after the last one before, in reach of which it is
 * likely to be. */
static inline struct block *find_next(struct vp_vm *m, uint32_t lin)
{
    struct interp *it = m->interp;
    const uint64_t key = jump_key(m, lin);
    struct block *from = it->running, **hint = from ? hint_at(from, lin) : NULL;
    struct block *b = hint ? *hint : NULL;

    if (likely(b && b->key == key)) return b;
    if (b && !((b->phys ^ lin) & ~PAGE_MASK)) {
        b = find(m, lin, b);
    } else {
        b = block_known(it, key);
        if (unlikely(!b)) b = find(m, lin, NULL);
    }
    if (!b || block_is_dead(b)) return b;
    b->key = key;
    if (hint && it->running == from) *hint = b; /* else all blocks have gone */
    return b;
}

/* The host's memory takes as long as a block does: those that may come are fetched meanwhile. */
static inline void fetch_ahead(const struct block *b)
{
    for (unsigned k = 0; k < 2; k++) {
        const uintptr_t next = (uintptr_t)b->next[k];
        __builtin_prefetch((const void *)next);
        __builtin_prefetch((const void *)(next + CACHE_LINE));
    }
}

/* The first `count` instructions of a block. */
static const struct insn *part_of(struct vp_vm *m, const struct block *b, unsigned count)
{
    struct insn *out = m->interp->scratch;

    memcpy(out, b->insns, count * sizeof *out);
    out[0].fn = b->first;
    block_sentinel(&out[count], count < b->count ? b->insns[count].off : b->bytes);
    return out;
}

static void fetch_bytes(struct vp_vm *m, uint32_t lin, uint8_t *out, unsigned count)
{
    uint64_t phys = mmu_fetch_phys(m, lin);

    const uint8_t *at = mem_read_ptr(m, phys);
    if (likely(at)) memcpy(out, at, count);
    for (unsigned k = 0; !at && k < count; k++) out[k] = (uint8_t)mem_read(m, phys + k, 1);
}

/* One instruction, byte for byte: it may cross a page or the limit, or lie in no memory. */
static const struct insn *fetch_one(struct vp_vm *m)
{
    enum { LONGEST = 15 };
    uint8_t code[LONGEST];
    struct insn *i = m->interp->scratch;
    uint32_t lin = linear_eip(m), eip = m->cpu.eip, limit = m->cpu.seg[VP_CS].limit;

    if (eip > limit) raise_gp0(m);
    unsigned allowed = limit - eip < LONGEST - 1 ? limit - eip + 1 : LONGEST;
    unsigned room = PAGE_SIZE - (lin & ~PAGE_MASK), have = allowed < room ? allowed : room;
    fetch_bytes(m, lin, code, have);
    enum decode_status status = decode(code, have, m->code32, m->features, i);
    if (status == DECODE_SHORT && have < allowed) {
        fetch_bytes(m, lin + have, code + have, allowed - have);
        status = decode(code, allowed, m->code32, m->features, i);
    }
    block_finish_insn(i, status); /* too short for the limit is #GP(0), as too long is */
    i->off = 0;
    block_sentinel(i + 1, i->len);
    return i;
}

/* -- Executing ---------------------------------------------------------------------------------------------------- */

static inline void account(struct vp_vm *m, int64_t retired)
{
    m->cur = NULL;
    m->insns += (uint64_t)retired;
    m->budget -= retired;
}

static inline void execute(struct vp_vm *m, const struct insn *first)
{
    m->block_eip = m->cpu.eip;
    m->first = m->cur = first;
    first->fn(m, first);
    account(m, m->cur - first + 1);
}

/* At most `room` instructions. */
static __attribute__((noinline)) void execute_some(struct vp_vm *m, struct block *b, int64_t room)
{
    bool fits = b && (uint64_t)m->cpu.eip + b->bytes - 1 <= m->cpu.seg[VP_CS].limit;

    m->interp->running = fits ? b : NULL;
    if (!fits)
        execute(m, fetch_one(m));
    else
        execute(m, part_of(m, b, room < b->count ? (unsigned)room : b->count));
}

/* -- Between blocks ----------------------------------------------------------------------------------------------- */

static void breathe(struct vp_vm *m)
{
    if (!m->config.calls.breathe) return;
    x87_leave(m);
    m->config.calls.breathe(m->config.host);
}

/* Let the host breathe when it is time; when the clock is to be looked at again, if nobody counts until then. */
static void plan(struct vp_vm *m, int64_t now)
{
    struct interp *it = m->interp;
    const int64_t host = clock_host(m, now);

    if (host >= it->breath) {
        breathe(m);
        it->breath = host + BREATH_NS;
    }
    const int64_t time = least(least(m->deadline, m->alarm), now + BREATH_NS) - now;
    m->due = host + (time < SPELL_NS ? SPELL_NS : time);
}

/* Budget is used up, or something asked to look at the clock: a VP_EXIT_ code, or -1 with a new budget. */
static int look_at_clock(struct vp_vm *m)
{
    struct interp *it = m->interp;

    block_uncut(m);
    if (it->drop) block_drop_all(m);
    if (unlikely(m->profile) && !it->fresh) profile_look(m);
    if (m->insns >= it->stop_at) return VP_EXIT_BUDGET;
    uint64_t left = it->stop_at - m->insns;
    int64_t budget = left > INT64_MAX ? INT64_MAX : (int64_t)left;
    const int64_t slice = it->tier ? TIER_SLICE : SLICE;
    int64_t now = vp_now(m);
    if (now >= m->alarm) native_alarms(m, now);
    if (m->config.clock == VP_CLOCK_ICOUNT) {
        int64_t step = m->config.icount_ns, time = least(m->deadline, m->alarm) - now;
        if (m->deadline <= now) return VP_EXIT_DEADLINE;
        budget = least(budget, time <= 0 ? 1 : time / step + (time % step != 0));
        if (++it->looks % (BREATH / slice) == 0) breathe(m);
    } else {
        /* a deadline that is always late already must not keep the guest from going on */
        if (!it->fresh && now >= m->enough) return VP_EXIT_DEADLINE;
        plan(m, now);
    }
    it->fresh = false;
    it->loose = m->config.clock != VP_CLOCK_ICOUNT && budget >= slice;
    m->budget = least(budget, slice);
    return -1;
}

static bool at_breakpoint(const struct vp_vm *m)
{
    if (m->insns == m->interp->began) return false; /* go on from the one we stopped at */
    for (unsigned k = 0; k < m->break_count; k++)
        if (m->breaks[k] == linear_eip(m)) return true;
    return false;
}

/* attn is set: a VP_EXIT_ code, or -1. */
static int attend(struct vp_vm *m)
{
    if (atomic_load(&m->attn) & ATTN_STOP) {
        atomic_fetch_and(&m->attn, ~(uint32_t)ATTN_STOP);
        return VP_EXIT_STOP;
    }
    int code = event_poll(m);
    if (code >= 0) return code;
    return (atomic_load(&m->attn) & ATTN_BREAK) && at_breakpoint(m) ? VP_EXIT_BREAK : -1;
}

/* Not inlined: beside setjmp() its variables would live in memory. */
static __attribute__((noinline)) int loop(struct vp_vm *m)
{
    struct interp *it = m->interp;

    for (;;) {
        if (unlikely(m->budget <= 0)) {
            int code = look_at_clock(m);
            if (code >= 0) return code;
        }
        bool each = false;
        if (unlikely(atomic_load_explicit(&m->attn, memory_order_relaxed))) {
            int code = attend(m);
            if (code >= 0) return code;
            if (m->budget <= 0) continue;
            if (atomic_load_explicit(&m->attn, memory_order_relaxed) & ATTN_EACH) each = true;
        }
        int64_t room = each ? 1 : m->budget;
        uint32_t lin = linear_eip(m);
        struct block *b = find_next(m, lin);
        m->stats.blocks_run++;
        if (unlikely(!b || b->count > room || (uint64_t)m->cpu.eip + b->bytes - 1 > m->cpu.seg[VP_CS].limit)) {
            execute_some(m, b, room);
            continue;
        }
        it->running = b;
        if (it->tier) fetch_ahead(b);
        execute(m, b->insns);
    }
}

/* A fault came back by longjmp: the instruction did not retire. */
static void take_fault(struct vp_vm *m)
{
    account(m, m->cur ? m->cur - m->first : 0);
    m->budget -= FAULT_PRICE;
    event_deliver_fault(m);
}

int interp_run(struct vp_vm *m, uint64_t max_insns)
{
    struct interp *it = m->interp;

    it->began = m->insns;
    it->stop_at = max_insns && max_insns < UINT64_MAX - m->insns ? m->insns + max_insns : UINT64_MAX;
    it->fresh = true;
    m->budget = 0;
    m->cur = NULL;
    if (setjmp(m->fault)) take_fault(m);
    return loop(m);
}

void interp_step(struct vp_vm *m)
{
    jmp_buf outer;

    memcpy(outer, m->fault, sizeof outer);
    m->cur = NULL;
    if (setjmp(m->fault))
        take_fault(m);
    else
        execute_some(m, NULL, 1);
    block_uncut(m);
    memcpy(m->fault, outer, sizeof outer);
}

/* -- Engine ------------------------------------------------------------------------------------------------------- */

static bool interp_probe(char *why, size_t room)
{
    (void)why, (void)room;
    return true;
}

const struct vp_engine engine_interp = {
    .name = "interp",
    .probe = interp_probe,
    .create = block_create,
    .run = interp_run,
    .invalidate = block_invalidate,
    .cut = block_cut,
    .destroy = block_destroy,
};
