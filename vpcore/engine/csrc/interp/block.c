/* block.c: the interpreter's cache of decoded code.
 *
 * Blocks are found by guest-physical address and code size, so they outlive changes of the page tables; loop.c keeps
 * the shortcut by linear address.  They lie one behind the other in an arena of vp_config.cache_size bytes; when that
 * is full, everything goes and the cache starts over, which is cheaper than choosing.
 *
 * A block whose bytes change leaves the tables at once; its memory stays, because it may be executing: then the next
 * instruction's handler is exchanged for one that leaves the block (block_cut).  Its first handler becomes stale(), for
 * shortcuts that still lead to it.
 */
#include "block.h"
#include "../isa.h"
#include "../mem.h"
#include "interp.h"
#include <stdlib.h>
#include <string.h>

#include "../gen/interp_handlers.h"

static const insn_fn handlers[OP_COUNT][FORM_MEM + FORM_OS32 + 1] = {
#include "../gen/interp_table.inc"
};

/* -- Handlers of the block builder -------------------------------------------------------------------------------- */

/* Behind the last instruction, which is the last one that counts. */
static void leave(struct vp_vm *m, const struct insn *i)
{
    m->cpu.eip = m->block_eip + i->off;
    m->cur = i - 1;
}

/* First instruction of a block that is no more: forget the shortcut that led here. */
static void stale(struct vp_vm *m, const struct insn *i)
{
    const uint32_t lin = m->cpu.seg[VP_CS].base + m->block_eip;
    struct jumps *near = jumps_near(m->interp, lin);

    for (unsigned k = 0; k < JUMP_WAYS; k++)
        if ((uint32_t)near->way[k].key == lin) near->way[k].key = JUMP_NONE;
    m->cur = i - 1;
}

bool block_is_dead(const struct block *b) { return b->first == stale; }

static void undefined(struct vp_vm *m, const struct insn *i)
{
    (void)i;
    raise_ud(m);
}

static void too_long(struct vp_vm *m, const struct insn *i)
{
    (void)i;
    raise_gp0(m);
}

/* -- Building ----------------------------------------------------------------------------------------------------- */

void block_sentinel(struct insn *i, unsigned off) { *i = (struct insn){.fn = leave, .off = (uint16_t)off}; }

void block_finish_insn(struct insn *i, int status)
{
    if (status == DECODE_OK)
        i->fn = handlers[i->op][i->form & (FORM_MEM | FORM_OS32)];
    else
        i->fn = status == DECODE_UD ? undefined : too_long;
}

enum { LONGEST = 15 };

/* Decode at most `most` instructions from `code` (`avail` bytes) into scratch; how many, and their bytes in *bytes. */
static unsigned decode_run(struct vp_vm *m, const uint8_t *code, unsigned avail, unsigned most, unsigned *bytes)
{
    struct insn *out = m->interp->scratch;
    unsigned count = 0, off = 0;

    while (count < most) {
        struct insn *i = &out[count];
        enum decode_status status = decode(code + off, avail - off, m->code32, m->features, i);
        if (status == DECODE_SHORT) break;
        block_finish_insn(i, status);
        i->off = (uint16_t)off;
        count++;
        if (status != DECODE_OK) {
            off += avail - off < LONGEST ? avail - off : LONGEST; /* any of these bytes may make it another one */
            break;
        }
        off += i->len;
        if (op_info[i->op].traits & TRAIT_END) break;
    }
    *bytes = off;
    return count;
}

enum { INDEX_MOST = (1 << INDEX_BITS) / 4 * 3, ARENA_FIRST = ARENA_UNIT /* no block is at 0 */ };

/* With room for so many instructions. */
static struct block *allocate(struct vp_vm *m, unsigned room)
{
    struct interp *it = m->interp;
    const uint64_t size = sizeof(struct block) + room * sizeof(struct insn);

    if (it->used + size > m->config.cache_size || it->indexed > INDEX_MOST) block_drop_all(m);
    struct block *b = (struct block *)(it->arena + it->used);
    give(m->giver, &it->given, it->arena + it->used);
    *b = (struct block){.units = (uint8_t)(size / ARENA_UNIT)};
    m->stats.cache_bytes = it->used += size;
    return b;
}

/* Where the search for a block begins.  Those of a page lie on one of the host's, those of 64 bytes of it in one of its
 * cache lines: so a full one does not make its neighbours full. */
static unsigned home(uint32_t phys)
{
    enum { LINE_BITS = 3 /* places of a line */, SPREAD = 0x9e3779b1 };
    const uint32_t page = (phys >> PAGE_SHIFT) * (uint32_t)SPREAD >> (32 - INDEX_BITS + LINE_BITS);
    const uint32_t at = (phys & ~PAGE_MASK) >> LINE_BITS;

    return page << LINE_BITS ^ at;
}

static unsigned after(unsigned place) { return (place + 1) & ((1 << INDEX_BITS) - 1); }

static uint32_t where_of(const struct interp *it, const struct block *b)
{
    return (uint32_t)((const uint8_t *)b - it->arena + ARENA_FIRST) / ARENA_UNIT << 1 | b->code32;
}

static struct block *look_up(const struct interp *it, uint32_t phys, bool code32)
{
    for (unsigned k = home(phys); it->index[k].where != INDEX_FREE; k = after(k)) {
        uint32_t where = it->index[k].where;
        if (it->index[k].phys == phys && where != INDEX_GONE && (where & 1) == code32)
            return (struct block *)(it->arena + (uint64_t)(where >> 1) * ARENA_UNIT - ARENA_FIRST);
    }
    return NULL;
}

static void index_block(struct interp *it, const struct block *b)
{
    unsigned k = home(b->phys);

    while (it->index[k].where > INDEX_GONE) k = after(k);
    it->indexed += it->index[k].where == INDEX_FREE;
    it->index[k] = (struct indexed){b->phys, where_of(it, b)};
}

static void unindex_block(struct interp *it, const struct block *b)
{
    unsigned k = home(b->phys);

    while (it->index[k].where != where_of(it, b)) k = after(k);
    it->index[k].where = INDEX_GONE;
}

/* Those of its bytes that lie on its page are code. */
static void mark(struct vp_vm *m, const struct block *b)
{
    unsigned room = PAGE_SIZE - (b->phys & ~PAGE_MASK);

    mem_code_mark(m, b->phys, b->bytes < room ? b->bytes : room);
}

static void list(struct vp_vm *m, struct block *b)
{
    struct block **page = &m->interp->pages[b->phys >> PAGE_SHIFT];

    b->page_next = *page;
    *page = b;
    mark(m, b);
}

/* A block of the instructions in scratch. */
static struct block *complete(struct vp_vm *m, uint32_t phys, unsigned count, unsigned bytes)
{
    const struct insn *insns = m->interp->scratch;
    const bool ends = op_info[insns[count - 1].op].traits & TRAIT_END;
    struct block *b = allocate(m, count + !ends);

    b->phys = phys;
    b->bytes = (uint16_t)bytes;
    b->count = (uint8_t)count;
    b->code32 = m->code32;
    b->first = insns[0].fn;
    memcpy(b->insns, insns, count * sizeof *insns);
    if (!ends) block_sentinel(&b->insns[count], bytes);
    if (m->interp->tier) m->interp->tier->built(m, b);
    index_block(m->interp, b);
    list(m, b);
    m->stats.blocks_built++;
    return b;
}

static struct block *build(struct vp_vm *m, uint32_t phys)
{
    unsigned bytes, avail = PAGE_SIZE - (phys & ~PAGE_MASK);
    const uint8_t *code = mem_read_ptr(m, phys);

    if (!code) return NULL;
    unsigned count = decode_run(m, code, avail, BLOCK_MAX, &bytes);
    return count ? complete(m, phys, count, bytes) : NULL;
}

/* What a block is made from and entered in lies far apart: the host's memory is to bring all of it at once. */
static void fetch_ahead(const struct vp_vm *m, uint32_t phys)
{
    const uint32_t page = phys >> PAGE_SHIFT;

    __builtin_prefetch(&m->interp->index[home(phys)], 1);
    __builtin_prefetch(&m->interp->pages[page], 1);
    mem_code_fetch(m, phys);
}

void block_expect(const struct vp_vm *m, uint32_t phys)
{
    __builtin_prefetch(&m->interp->index[home(phys)]);
    __builtin_prefetch(m->phys[phys >> PAGE_SHIFT].read + (phys & ~PAGE_MASK));
}

struct block *block_at(struct vp_vm *m, uint64_t phys)
{
    if (phys >> 32) return NULL;
    fetch_ahead(m, (uint32_t)phys);
    struct block *b = look_up(m->interp, (uint32_t)phys, m->code32);
    if (b && b->other) return NULL;
    return b ? b : build(m, (uint32_t)phys);
}

static void forget(struct vp_vm *m, struct block *b);

/* What an instruction has on its second page. */
static void set_other(struct vp_vm *m, struct block *b, uint32_t next, unsigned have)
{
    uint64_t flushes = m->stats.cache_flushes;
    struct block *part = allocate(m, 0);

    if (m->stats.cache_flushes != flushes) return; /* the block has gone with all others: this is one without use */
    part->phys = next;
    part->bytes = (uint16_t)(b->bytes - have);
    part->other = b;
    b->other = part;
    list(m, part);
}

struct block *block_across(struct vp_vm *m, uint64_t phys, uint64_t next)
{
    unsigned bytes, have = PAGE_SIZE - (phys & ~PAGE_MASK);
    uint8_t code[LONGEST];

    if (have >= LONGEST || phys >> 32 || next >> 32 || phys >> PAGE_SHIFT == next >> PAGE_SHIFT) return NULL;
    struct block *b = look_up(m->interp, (uint32_t)phys, m->code32);
    if (b && b->other->phys == next) return b;
    if (b) forget(m, b);
    const uint8_t *head = mem_read_ptr(m, phys), *tail = mem_read_ptr(m, next);
    if (!head || !tail) return NULL;
    memcpy(code, head, have);
    memcpy(code + have, tail, LONGEST - have);
    if (!decode_run(m, code, LONGEST, 1, &bytes)) return NULL;
    b = complete(m, (uint32_t)phys, 1, bytes);
    set_other(m, b, (uint32_t)next, have);
    return b->other ? b : NULL;
}

/* -- Leaving early ------------------------------------------------------------------------------------------------ */

void block_cut(struct vp_vm *m)
{
    struct interp *it = m->interp;

    if (!m->cur) return;
    struct insn *next = (struct insn *)m->cur + 1; /* the cache and scratch are ours to write */
    m->budget = 0;
    if ((op_info[m->cur->op].traits & TRAIT_END) || next->fn == leave) return;
    block_uncut(m);
    it->cut_at = next;
    it->cut_fn = next->fn;
    next->fn = leave;
}

void block_uncut(struct vp_vm *m)
{
    struct interp *it = m->interp;

    if (!it->cut_at) return;
    it->cut_at->fn = it->cut_fn;
    it->cut_at = NULL;
}

/* -- Invalidation ------------------------------------------------------------------------------------------------- */

/* Find out anew which bytes of a page are code. */
static void mark_page(struct vp_vm *m, uint32_t page)
{
    mem_code_clear(m, page);
    for (const struct block *b = m->interp->pages[page]; b; b = b->page_next) mark(m, b);
    if (!m->interp->pages[page]) mem_code_none(m, page);
}

static void unlist(struct vp_vm *m, const struct block *b)
{
    struct block **at = &m->interp->pages[b->phys >> PAGE_SHIFT];

    while (*at != b) at = &(*at)->page_next;
    *at = b->page_next;
    mark_page(m, b->phys >> PAGE_SHIFT);
}

/* It stands in its page's list no more: the rest of its end. */
static void kill(struct vp_vm *m, struct block *b)
{
    if (b->other) {
        unlist(m, b->other);
        b->other->other = NULL;
        if (!b->count) b = b->other;
        b->other = NULL;
    }
    unindex_block(m->interp, b);
    if (b == m->interp->running) block_cut(m);
    b->insns[0].fn = b->first = stale;
    b->key = JUMP_NONE;
    if (m->interp->tier) m->interp->tier->died(m, b);
}

static void forget(struct vp_vm *m, struct block *b)
{
    unlist(m, b);
    kill(m, b);
}

/* Drop blocks of one page that meet [addr, end). */
static void invalidate_page(struct vp_vm *m, uint32_t page, uint64_t addr, uint64_t end)
{
    bool found = false;

    for (struct block **at = &m->interp->pages[page], *b; (b = *at);) {
        if (b->phys < end && b->phys + (uint64_t)b->bytes > addr) {
            *at = b->page_next;
            kill(m, b);
            found = true;
        } else {
            at = &b->page_next;
        }
    }
    if (found) mark_page(m, page);
}

void block_invalidate(struct vp_vm *m, uint64_t addr, uint64_t size)
{
    if (size == UINT64_MAX) {
        m->interp->drop = true;
        if (m->cur)
            block_cut(m);
        else
            block_drop_all(m);
        return;
    }
    uint64_t end = addr + size;
    for (uint64_t page = addr >> PAGE_SHIFT; page < PHYS_PAGES && page << PAGE_SHIFT < end; page++)
        if (m->interp->pages[page]) invalidate_page(m, (uint32_t)page, addr, end);
}

void block_drop_all(struct vp_vm *m)
{
    struct interp *it = m->interp;

    for (uint64_t at = 0; at < it->used;) {
        const struct block *b = (const struct block *)(it->arena + at);
        uint32_t page = b->phys >> PAGE_SHIFT;
        it->pages[page] = NULL;
        mem_code_none(m, page);
        at += b->units * (uint64_t)ARENA_UNIT;
    }
    if (it->indexed) {
        memset(it->index, 0, sizeof it->index);
        memset(it->jumps, 0, sizeof it->jumps);
    }
    it->indexed = 0;
    it->running = NULL;
    m->stats.cache_bytes = it->used = 0;
    it->drop = false;
    if (it->tier) it->tier->dropped(m);
    m->stats.cache_flushes++;
}

/* -- Life --------------------------------------------------------------------------------------------------------- */

bool block_create(struct vp_vm *m)
{
    const uint64_t least = sizeof(struct block) + (BLOCK_MAX + 1) * sizeof(struct insn);

    struct interp *it = m->interp = mem_reserve(sizeof *it);
    if (!it) return false;
    if (m->config.cache_size < least) m->config.cache_size = least;
    it->pages = mem_reserve(PHYS_PAGES * sizeof *it->pages);
    it->arena = mem_reserve(m->config.cache_size);
    if (!it->pages || !it->arena) return false;
    mem_use_large(it->arena, m->config.cache_size);
    it->given = given_area(m, it->arena, m->config.cache_size, GIVE_RECORDS, 0);
    block_drop_all(m);
    m->stats.cache_flushes = 0;
    return true;
}

void block_destroy(struct vp_vm *m)
{
    struct interp *it = m->interp;

    if (!it) return;
    giver_finish(m->giver);
    mem_release(it->pages, PHYS_PAGES * sizeof *it->pages);
    mem_release(it->arena, m->config.cache_size);
    mem_release(it, sizeof *it);
    m->interp = NULL;
}
