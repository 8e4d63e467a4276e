/* engine_batch.c: runs the oracle's cases (oracle/layout.h) on an engine, in the world that oracle/README.md describes.
 *
 * The machine: paging on, the window and the (read-only) code area where the oracle has them, everything else of this
 * file in supervisor pages at KERNEL.  A case runs at CPL 3 until an interrupt: gate n leads to the n-th HLT of a page of
 * HLTs.  Its way out is, byte for byte, the oracle's: a far jump to the gate page, where INT END is.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "oracle/layout.h"
#include "vp.h"

enum {
    PAGE = 0x1000,
    /* physical addresses; the first three are page tables */
    DIRECTORY = 0,
    WINDOW_TABLE = 1 * PAGE,
    CODE_TABLE = 2 * PAGE,
    KERNEL_TABLE = 3 * PAGE,
    GDT = 4 * PAGE,
    TSS = 5 * PAGE,
    LDT = 6 * PAGE,
    IDT = 7 * PAGE,
    HLTS = 8 * PAGE,
    STACK = 10 * PAGE, /* its top */
    WINDOW = 0x100000,
    CODE = 0x200000,
    ENTRY = CODE + ORACLE_CODE_ENTRY,
    /* page table entries (SDM 3A 4.3) */
    P = 1, RW = 2, US = 4, A = 0x20, D = 0x40,
    KERNEL_CS = 0x08, KERNEL_DS = 0x10, TSS_SEL = 0x18, LDT_SEL = 0x20, GDT_SIZE = 0x38,
    GATE_CS = 0x33, /* the host's 64-bit code segment; here a 32-bit one */
    GATE = ORACLE_CODE_BASE + ORACLE_AREA_SIZE, TERMINATOR_MAX = 8, OPERAND_SIZE = 0x66, JMP_FAR = 0xea,
    VECTORS = 256, END = 0x81, PAGE_FAULT = 14,
    INT3 = 0xcc, INT = 0xcd, HLT = 0xf4,
    EFLAGS_LOADABLE = 0xcd5, EFLAGS_FIXED = 0x202,
    FCW_RESET = 0x37f, MXCSR_RESET = 0x1f80, FX_MXCSR = 24,
    CR4 = 0x600, /* OSFXSR OSXMMEXCPT */
    MAX_INSNS = 2000000,
    LINE = 64,
    SEG_CS = 1,
};
#define KERNEL 0xc0000000u
#define CR0 0x80050033u /* PG AM WP NE ET MP PE */

struct engine_calls {
    vp_vm *vm;
    uint8_t *ram;
    struct vp_cpu *(*cpu)(vp_vm *);
    void (*cpu_changed)(vp_vm *);
    int (*run)(vp_vm *, uint64_t);
    void (*invalidate)(vp_vm *, uint64_t, uint64_t);
};

struct batch {
    const uint64_t *ldt; /* ORACLE_SEGMENTS descriptors */
    const struct oracle_case *cases;
    const struct oracle_patch *patches;
    const uint8_t *windows;
    struct oracle_result *results;
    struct oracle_change *changes;
    uint32_t first, count, change_room;
    uint32_t done, change_used; /* out */
};

/* Host services for a machine where nothing answers: the cases cannot reach a port or a device. */
void open_bus(vp_calls *calls);

/* How many cases were run is in done: fewer than count where changes ran out of room. */
void engine_batch(const struct engine_calls *e, struct batch *b);

static uint8_t expected[ORACLE_WINDOW_SIZE]; /* what the window holds before the case's code runs */

/* -- The bus -------------------------------------------------------------------------------------------------------- */

static uint32_t no_in(void *host, uint32_t port, uint32_t size)
{
    (void)host, (void)port, (void)size;
    return UINT32_MAX;
}
static void no_out(void *host, uint32_t port, uint32_t size, uint32_t value)
{
    (void)host, (void)port, (void)size, (void)value;
}
static uint32_t no_in_block(void *host, uint32_t port, uint32_t size, uint8_t *buf, uint32_t count)
{
    (void)host, (void)port, (void)size, (void)buf, (void)count;
    return 0;
}
static uint32_t no_out_block(void *host, uint32_t port, uint32_t size, const uint8_t *buf, uint32_t count)
{
    (void)host, (void)port, (void)size, (void)buf, (void)count;
    return 0;
}
static uint64_t no_mmio_read(void *host, uint64_t addr, uint32_t size)
{
    (void)host, (void)addr, (void)size;
    return UINT64_MAX;
}
static void no_mmio_write(void *host, uint64_t addr, uint32_t size, uint64_t value)
{
    (void)host, (void)addr, (void)size, (void)value;
}
static uint32_t no_inta(void *host)
{
    (void)host;
    return 0xff;
}
static void no_warn(void *host, const char *text) { (void)host, (void)text; }

void open_bus(vp_calls *calls)
{
    *calls = (vp_calls){
        .in = no_in, .out = no_out, .in_block = no_in_block, .out_block = no_out_block, .mmio_read = no_mmio_read,
        .mmio_write = no_mmio_write, .inta = no_inta, .warn = no_warn,
    };
}

/* -- The machine ---------------------------------------------------------------------------------------------------- */

static void put32(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }
static void put64(uint8_t *at, uint64_t value) { memcpy(at, &value, sizeof value); }
static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void map(uint8_t *ram, uint32_t table, uint32_t linear, uint32_t physical, uint32_t pages, uint32_t flags)
{
    put32(ram + DIRECTORY + (linear >> 22) * 4, table | P | RW | US | A);
    for (uint32_t k = 0; k < pages; k++)
        put32(ram + table + ((linear >> 12 & 0x3ff) + k) * 4, (physical + k * PAGE) | flags | P | A | D);
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attr)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xff) << 40 |
           (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)(attr >> 8 & 0xf) << 52 | (uint64_t)(base >> 24) << 56;
}

static void build_machine(const struct engine_calls *e, const uint64_t *ldt)
{
    enum { AREA_PAGES = ORACLE_AREA_SIZE / PAGE, KERNEL_PAGES = STACK / PAGE, GATE32_DPL3 = 0xee00 };
    uint8_t *ram = e->ram;
    memset(ram, 0, STACK);
    map(ram, WINDOW_TABLE, ORACLE_WINDOW_BASE, WINDOW, AREA_PAGES, RW | US);
    map(ram, CODE_TABLE, ORACLE_CODE_BASE, CODE, AREA_PAGES + 1, US);
    map(ram, KERNEL_TABLE, KERNEL, 0, KERNEL_PAGES, RW);
    put64(ram + GDT + KERNEL_CS, descriptor(0, 0xfffff, 0xc9b));
    put64(ram + GDT + KERNEL_DS, descriptor(0, 0xfffff, 0xc93));
    put64(ram + GDT + TSS_SEL, descriptor(KERNEL + TSS, 0x67, 0x8b));
    put64(ram + GDT + LDT_SEL, descriptor(KERNEL + LDT, ORACLE_SEGMENTS * 8 - 1, 0x82));
    put64(ram + GDT + (GATE_CS & ~7), descriptor(0, 0xfffff, 0xcfb));
    put32(ram + TSS + 4, KERNEL + STACK);
    put32(ram + TSS + 8, KERNEL_DS);
    put32(ram + TSS + 0x64, 0x68u << 16); /* no I/O bitmap */
    memcpy(ram + LDT, ldt, ORACLE_SEGMENTS * 8);
    for (uint32_t n = 0; n < VECTORS; n++) {
        uint32_t handler = KERNEL + HLTS + n;
        uint32_t gate = n == 3 || n == 4 || n == END ? GATE32_DPL3 : GATE32_DPL3 & ~0x6000;
        put32(ram + IDT + n * 8, KERNEL_CS << 16 | (handler & 0xffff));
        put32(ram + IDT + n * 8 + 4, (handler & 0xffff0000) | gate);
    }
    memset(ram + HLTS, HLT, VECTORS);
    memset(ram + CODE, INT3, ORACLE_AREA_SIZE);
    ram[CODE + ORACLE_AREA_SIZE] = INT;
    ram[CODE + ORACLE_AREA_SIZE + 1] = END;
    e->invalidate(e->vm, 0, CODE + ORACLE_AREA_SIZE + PAGE);
}

static struct vp_seg segment(uint64_t descriptor, uint16_t selector)
{
    struct vp_seg s = {.sel = selector};
    s.base = (uint32_t)(descriptor >> 16 & 0xffffff) | (uint32_t)(descriptor >> 56) << 24;
    s.limit = (uint32_t)(descriptor & 0xffff) | (uint32_t)(descriptor >> 48 & 0xf) << 16;
    s.attr = (uint16_t)((descriptor >> 40 & 0xff) | (descriptor >> 44 & 0xf00));
    if (s.attr & VP_SEG_G) s.limit = s.limit << 12 | 0xfff;
    if (!(selector & 0xfffc)) s.attr = VP_SEG_NULL;
    return s;
}

static void load_cpu(const struct engine_calls *e, const struct batch *b, const struct oracle_case *c)
{
    struct vp_cpu *cpu = e->cpu(e->vm);
    for (int k = 0; k < 6; k++) cpu->seg[k] = segment(b->ldt[(c->seg[k] >> 3) % ORACLE_SEGMENTS], c->seg[k]);
    memcpy(cpu->gpr, c->gpr, sizeof c->gpr);
    cpu->eip = ORACLE_CODE_BASE + ORACLE_CODE_ENTRY - cpu->seg[SEG_CS].base;
    cpu->eflags = (c->eflags & EFLAGS_LOADABLE) | EFLAGS_FIXED;
    cpu->cr0 = CR0;
    cpu->cr2 = 0;
    cpu->cr3 = DIRECTORY;
    cpu->cr4 = CR4;
    cpu->gdtr_base = KERNEL + GDT;
    cpu->gdtr_limit = GDT_SIZE - 1;
    cpu->idtr_base = KERNEL + IDT;
    cpu->idtr_limit = VECTORS * 8 - 1;
    cpu->seg[VP_LDTR] = segment(descriptor(KERNEL + LDT, ORACLE_SEGMENTS * 8 - 1, 0x82), LDT_SEL);
    cpu->seg[VP_TR] = segment(descriptor(KERNEL + TSS, 0x67, 0x8b), TSS_SEL);
    cpu->halted = cpu->shadow = cpu->shutdown = 0;
    if (c->options & ORACLE_FX_IN) {
        memcpy(cpu->fx, c->fx, sizeof cpu->fx);
    } else {
        memset(cpu->fx, 0, sizeof cpu->fx);
        put32(cpu->fx, FCW_RESET);
        put32(cpu->fx + FX_MXCSR, MXCSR_RESET);
    }
    e->cpu_changed(e->vm);
}

/* -- One case ------------------------------------------------------------------------------------------------------- */

static void place_code(const struct engine_calls *e, const struct batch *b, const struct oracle_case *c)
{
    uint8_t *code = e->ram + ENTRY, *end = code + c->code_len;
    memset(code, INT3, ORACLE_CODE_MAX + TERMINATOR_MAX);
    memcpy(code, c->code, c->code_len);
    if (!(segment(b->ldt[(c->seg[SEG_CS] >> 3) % ORACLE_SEGMENTS], c->seg[SEG_CS]).attr & VP_SEG_DB))
        *end++ = OPERAND_SIZE;
    *end = JMP_FAR;
    put32(end + 1, GATE);
    end[5] = GATE_CS;
    end[6] = 0;
    e->invalidate(e->vm, ENTRY, ORACLE_CODE_MAX + TERMINATOR_MAX);
}

static void patch(const struct engine_calls *e, const struct batch *b, const struct oracle_case *c, bool undo)
{
    const uint8_t *image = b->windows + (size_t)c->window * ORACLE_WINDOW_SIZE;
    for (uint32_t k = 0; k < c->patch_count; k++) {
        const struct oracle_patch *p = &b->patches[c->patch_first + k];
        const uint8_t *data = undo ? image + p->offset : p->data;
        memcpy(e->ram + WINDOW + p->offset, data, p->size);
        memcpy(expected + p->offset, data, p->size);
    }
}

static void collect(const struct engine_calls *e, struct batch *b, struct oracle_result *r)
{
    uint8_t *window = e->ram + WINDOW;
    r->change_first = b->change_used;
    for (uint32_t page = 0; page < ORACLE_WINDOW_SIZE; page += PAGE) {
        if (!memcmp(window + page, expected + page, PAGE)) continue;
        for (uint32_t at = page; at < page + PAGE; at++) {
            if (window[at] == expected[at]) continue;
            b->changes[b->change_used++] = (struct oracle_change){(uint16_t)at, expected[at], window[at]};
            window[at] = expected[at];
        }
    }
    r->change_count = b->change_used - r->change_first;
}

static bool has_error_code(uint32_t vector) { return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17; }

/* The frame that the gate pushed: [error,] EIP, CS, EFLAGS, ESP, SS (SDM 3A 6.12.1). */
static void read_frame(const struct engine_calls *e, struct oracle_result *r)
{
    const struct vp_cpu *cpu = e->cpu(e->vm);
    const uint8_t *frame = e->ram + STACK - 5 * 4;
    uint32_t vector = cpu->eip - (KERNEL + HLTS) - 1;
    r->gpr[4] = get32(frame + 12);
    r->seg[SEG_CS] = (uint16_t)get32(frame + 4);
    r->seg[2] = (uint16_t)get32(frame + 16);
    r->eflags = get32(frame + 8);
    r->eip = (int32_t)get32(frame);
    r->trapno = (uint8_t)vector;
    r->status = ORACLE_TRAP;
    if (has_error_code(vector)) r->error = get32(frame - 4);
    if (vector == PAGE_FAULT) r->cr2 = cpu->cr2;
}

static void run_case(const struct engine_calls *e, struct batch *b, const struct oracle_case *c, struct oracle_result *r)
{
    struct vp_cpu *cpu = e->cpu(e->vm);
    memset(r, 0, sizeof *r);
    place_code(e, b, c);
    patch(e, b, c, false);
    load_cpu(e, b, c);
    uint32_t entry = cpu->eip;
    int exit = e->run(e->vm, MAX_INSNS);
    memcpy(r->gpr, cpu->gpr, sizeof r->gpr);
    for (int k = 0; k < 6; k++) r->seg[k] = cpu->seg[k].sel;
    r->eflags = cpu->eflags;
    r->status = exit == VP_EXIT_BUDGET ? ORACLE_TIMEOUT : ORACLE_CRASHED;
    if (exit == VP_EXIT_HALT) read_frame(e, r);
    r->eip -= (int32_t)entry;
    if (r->status == ORACLE_TRAP && r->trapno == END) {
        r->status = ORACLE_DONE;
        r->trapno = 0;
        r->eip = c->code_len;
        r->seg[SEG_CS] = c->seg[SEG_CS];
    }
    if (c->options & ORACLE_FX_OUT) memcpy(r->fx, cpu->fx, sizeof r->fx);
    collect(e, b, r);
    patch(e, b, c, true);
}

void engine_batch(const struct engine_calls *e, struct batch *b)
{
    uint32_t image = UINT32_MAX;
    build_machine(e, b->ldt);
    b->change_used = 0;
    for (b->done = b->first; b->done < b->count; b->done++) {
        const struct oracle_case *c = &b->cases[b->done];
        if (b->change_room - b->change_used < ORACLE_WINDOW_SIZE) return;
        if (c->window != image) {
            image = c->window;
            memcpy(expected, b->windows + (size_t)image * ORACLE_WINDOW_SIZE, sizeof expected);
            memcpy(e->ram + WINDOW, expected, sizeof expected);
        }
        run_case(e, b, c, &b->results[b->done]);
    }
}
