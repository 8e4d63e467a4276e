/* emit_x64.c: encoding, see emit_x64.h. */
#include "emit_x64.h"
#include <string.h>

enum { X_JMP = 0xe9, X_CALL = 0xe8 };

/* Up to 8 bytes, the first one lowest: written at once, with what lies behind them free to change. */
struct piece {
    uint64_t bytes;
    unsigned count;
};

static inline void add(struct piece *p, unsigned byte) { p->bytes |= (uint64_t)(uint8_t)byte << 8 * p->count++; }

static inline void add_u32(struct piece *p, uint32_t value)
{
    p->bytes |= (uint64_t)value << 8 * p->count;
    p->count += sizeof value;
}

static inline void put(struct emit *e, struct piece p)
{
    uint8_t *at = e->at;

    if (e->end - at < (ptrdiff_t)sizeof p.bytes) {
        e->full = true;
        return;
    }
    memcpy(at, &p.bytes, sizeof p.bytes);
    e->at = at + p.count;
}

void x_byte(struct emit *e, unsigned value) { put(e, (struct piece){(uint8_t)value, 1}); }
void x_u32(struct emit *e, uint32_t value) { put(e, (struct piece){value, sizeof value}); }
void x_u64(struct emit *e, uint64_t value) { put(e, (struct piece){value, sizeof value}); }

/* Prefixes and opcode: 6 bytes at most. */
static inline struct piece head(unsigned size, unsigned opcode, int reg, int index, int base)
{
    unsigned rex = 0x40 | (size == 64) << 3 | (reg >= 8) << 2 | (index >= 8) << 1 | (base >= 8);
    struct piece p = {0};

    if (size == 16) add(&p, 0x66);
    if (opcode >> 12 & 0xff) add(&p, opcode >> 12 & 0xff);
    if (rex != 0x40) add(&p, rex);
    if (opcode > 0xff) add(&p, 0x0f);
    if (opcode >> 20) add(&p, opcode >> 20);
    add(&p, opcode & 0xff);
    return p;
}

static inline void modrm(struct piece *p, unsigned mod, int reg, int rm)
{
    add(p, mod << 6 | (reg & 7) << 3 | (rm & 7));
}

void x_rr(struct emit *e, unsigned size, unsigned opcode, int reg, int rm)
{
    struct piece p = head(size, opcode, reg, 0, rm);

    modrm(&p, 3, reg, rm);
    put(e, p);
}

static void touch(struct emit *e)
{
    if (e->touch_count == X_TOUCHES)
        e->full = true;
    else
        e->touches[e->touch_count++] = (struct touch){e->at, *e->state};
}

static void address_prefixes(struct emit *e, struct x_mem at)
{
    enum { GS = 0x65, ADDRESS_SIZE = 0x67 };

    x_byte(e, GS);
    if (!x_is_near(at)) x_byte(e, ADDRESS_SIZE);
}

/* With ModRM and what belongs to it. */
static void memory(struct emit *e, struct piece p, int reg, struct x_mem at)
{
    enum { SIB = 4, NO_INDEX = 4, NO_BASE = 5 };
    bool small = at.disp == (int8_t)at.disp, none = at.base == X_NONE;
    unsigned mod = none ? 0 : !at.disp && (at.base & 7) != NO_BASE ? 0 : small ? 1 : 2;
    int base = none ? NO_BASE : at.base;

    if (none || at.index != X_NONE || (base & 7) == SIB) {
        modrm(&p, mod, reg, SIB);
        add(&p, (at.scale & 3) << 6 | (at.index == X_NONE ? NO_INDEX : at.index & 7) << 3 | (base & 7));
    } else {
        modrm(&p, mod, reg, base);
    }
    put(e, p);
    if (none || mod == 2)
        x_u32(e, (uint32_t)at.disp);
    else if (mod == 1)
        x_byte(e, (uint8_t)at.disp);
}

void x_rm(struct emit *e, unsigned size, unsigned opcode, int reg, struct x_mem at)
{
    if (at.scale & (X_GUEST | X_TOUCH)) touch(e);
    if (at.scale & X_GUEST) address_prefixes(e, at);
    memory(e, head(size, opcode, reg, at.index, at.base), reg, at);
}

void x_imm(struct emit *e, unsigned size, uint32_t value)
{
    put(e, (struct piece){value, size == 8 ? 1 : size == 16 ? 2 : 4});
}

void x_mov(struct emit *e, int to, int from) { x_rr(e, 32, X_MOV_RM_R, from, to); }

void x_mov_imm32(struct emit *e, int to, uint32_t value)
{
    struct piece p = head(32, 0xb8 | (to & 7), 0, 0, to);

    add_u32(&p, value);
    put(e, p);
}

void x_mov_imm64(struct emit *e, int to, uint64_t value)
{
    put(e, head(64, 0xb8 | (to & 7), 0, 0, to));
    x_u64(e, value);
}

static unsigned group1(unsigned size, uint32_t value)
{
    return size == 8 ? 0x80 : (int32_t)value == (int8_t)value ? 0x83 : 0x81;
}

void x_alu_imm(struct emit *e, unsigned size, unsigned op, int rm, uint32_t value)
{
    unsigned opcode = group1(size, value);

    x_rr(e, size, opcode, (int)op, rm);
    x_imm(e, opcode == 0x81 ? size : 8, value);
}

void x_alu_mem_imm(struct emit *e, unsigned size, unsigned op, struct x_mem at, uint32_t value)
{
    unsigned opcode = group1(size, value);

    x_rm(e, size, opcode, (int)op, at);
    x_imm(e, opcode == 0x81 ? size : 8, value);
}

void x_push(struct emit *e, int reg) { put(e, head(32, 0x50 | (reg & 7), 0, 0, reg)); }
void x_pop(struct emit *e, int reg) { put(e, head(32, 0x58 | (reg & 7), 0, 0, reg)); }
void x_jmp_reg(struct emit *e, int reg) { x_rr(e, 32, X_GROUP5, 4, reg); }

/* With a displacement behind it, which comes back. */
static uint8_t *put_with_field(struct emit *e, struct piece p)
{
    add_u32(&p, 0);
    put(e, p);
    return e->at - sizeof(uint32_t);
}

void x_bswap(struct emit *e, unsigned size, int reg) { put(e, head(size, 0xfc8 | (reg & 7), 0, 0, reg)); }

uint8_t *x_lea_disp32(struct emit *e, int to, int base)
{
    struct piece p = head(32, X_LEA, to, 0, base);

    modrm(&p, 2, to, base);
    return put_with_field(e, p);
}

void x_jrcxz(struct emit *e, unsigned distance)
{
    enum { JRCXZ = 0xe3 };

    put(e, (struct piece){JRCXZ | (uint64_t)distance << 8, 2});
}

void x_jecxz(struct emit *e, unsigned distance)
{
    x_byte(e, 0x67);
    x_jrcxz(e, distance);
}

uint8_t *x_jrcxz_far(struct emit *e)
{
    enum { NOP = 0x841f0f /* [rcx+rbp*8+disp32] */, NOP_SIZE = 3, JMP_SHIFT = 24 };

    x_jrcxz(e, NOP_SIZE);
    return put_with_field(e, (struct piece){NOP | (uint32_t)X_JMP << JMP_SHIFT, NOP_SIZE + 1});
}

/* Prefix and opcode of a row in the map 0F38; `beside` is the register in VEX.vvvv. */
static struct piece vex(unsigned prefix, unsigned opcode, int reg, int beside, int index, int base)
{
    enum { VEX = 0xc4, MAP_0F38 = 2 };
    struct piece p = {VEX, 1};

    add(&p, (reg < 8) << 7 | (index < 8) << 6 | (base < 8) << 5 | MAP_0F38);
    add(&p, (~(unsigned)beside & 15) << 3 | prefix);
    add(&p, opcode);
    return p;
}

enum { VEX_F3 = 2, VEX_F2 = 3 };

void x_shrx(struct emit *e, int to, int from, int count)
{
    struct piece p = vex(VEX_F2, 0xf7, to, count, 0, from);

    modrm(&p, 3, to, from);
    put(e, p);
}

void x_pext(struct emit *e, int to, int from, struct x_mem mask)
{
    memory(e, vex(VEX_F3, 0xf5, to, from, mask.index, mask.base), to, mask);
}

uint8_t *x_jmp(struct emit *e) { return put_with_field(e, (struct piece){X_JMP, 1}); }
uint8_t *x_jcc(struct emit *e, unsigned cc) { return put_with_field(e, (struct piece){0x0f | (0x80 | cc) << 8, 2}); }
uint8_t *x_call(struct emit *e) { return put_with_field(e, (struct piece){X_CALL, 1}); }

void x_aim(uint8_t *at, ptrdiff_t run, const uint8_t *target)
{
    int32_t distance = (int32_t)(target - (at + run + 4));

    memcpy(at, &distance, sizeof distance);
}

const uint8_t *x_aimed(const uint8_t *at, ptrdiff_t run)
{
    int32_t distance;

    memcpy(&distance, at, sizeof distance);
    return at + run + 4 + distance;
}

void x_put_jmp(uint8_t *at) { at[-1] = X_JMP; }

/* NOPs as SDM 2B, table 4-12 recommends them. */
void x_nops(struct emit *e, unsigned count)
{
    enum { LONGEST = 8 };
    static const uint8_t nop[LONGEST][LONGEST] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    while (count && !e->full) {
        if (count > LONGEST) { /* the longest one, with one more prefix */
            x_byte(e, 0x66);
            count--;
        }
        struct piece p = {.count = count < LONGEST ? count : LONGEST};
        memcpy(&p.bytes, nop[p.count - 1], p.count);
        put(e, p);
        count -= p.count;
    }
}

void x_align(struct emit *e, unsigned to) { x_nops(e, -(unsigned)(uintptr_t)x_runs_at(e) & (to - 1)); }

void x_land(struct emit *e, uint8_t *at)
{
    if (!e->full) x_aim(at, e->run, x_runs_at(e));
}
