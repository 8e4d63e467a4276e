/* emit_x64.h: bytes of x86-64 instructions, and nothing else (SDM 2, chapter 2).
 *
 * Operand sizes are in bits.  Byte registers 4 to 7 without a register over 7 beside them are AH, CH, DH and BH: the
 * translator uses no SPL, BPL, SIL, DIL.  An opcode over 0xff has the escape 0F; a mandatory prefix is in the eight
 * bits above 0xfff, the 38 or 3A behind 0F in those above these (op_info.code).
 */
#ifndef VP_EMIT_X64_H
#define VP_EMIT_X64_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, X_NONE = -1 };
enum { X_AH = 4, X_CH = 5 };

enum { X_TOUCHES = 8 };

struct emit {
    uint8_t *at, *end; /* where it is written */
    ptrdiff_t run;     /* to where it is executed */
    bool full;         /* there was no room: what was emitted is useless */
    /* instructions whose operand may fault, since the caller last cleared the count, and what *state was then */
    struct touch {
        uint8_t *at;
        unsigned state;
    } touches[X_TOUCHES];
    unsigned touch_count;
    const unsigned *state;
};

struct x_mem {
    int base, index;
    unsigned scale; /* shift count, and X_ flags */
    int32_t disp;
};
enum { X_GUEST = 4 /* GS base plus the address cut to 32 bits: the access may fault */, X_TOUCH = 8 /* it may */ };
/* How far from a register of the guest, whose upper half is 0, an address is taken as it is: it faults below and above
 * the 4 GB, in place of wrapping around. */
enum { X_REACH = 1 << 15 };
static inline bool x_is_near(struct x_mem at)
{
    return at.base >= R8 && at.index == X_NONE && at.disp >= -X_REACH && at.disp <= X_REACH;
}

/* Opcodes, SDM 2 appendix A.  The ALU's eight are multiples of 8 with these forms added. */
enum {
    X_ALU_RM_R = 1,
    X_ALU_R_RM = 3,
    X_TEST_RM_R = 0x85,
    X_XCHG = 0x87,
    X_MOV_RM_R = 0x89,
    X_MOV_R_RM = 0x8b,
    X_LEA = 0x8d,
    X_MOV_RM_IMM = 0xc7,
    X_IMUL_R_RM_IMM = 0x69,
    X_SHIFT_IMM = 0xc1,
    X_SHIFT_1 = 0xd1,
    X_SHIFT_CL = 0xd3,
    X_GROUP3 = 0xf7,
    X_GROUP5 = 0xff,
    X_JCC = 0xf80,
    X_SETCC = 0xf90,
    X_CMOVCC = 0xf40,
    X_IMUL_R_RM = 0xfaf,
    X_MOVZX_B = 0xfb6,
    X_MOVZX_W = 0xfb7,
    X_MOVSX_B = 0xfbe,
    X_MOVSX_W = 0xfbf,
    X_BT_IMM = 0xfba,
    X_CMPXCHG = 0xfb1,
    X_XADD = 0xfc1,
    X_BSF = 0xfbc,
    X_BSR = 0xfbd,
    X_SHLD_IMM = 0xfa4,
    X_SHRD_IMM = 0xfac,
    X_ADD = 0,
    X_OR = 1,
    X_AND = 4,
    X_SUB = 5,
    X_XOR = 6,
    X_CMP = 7, /* also /digit of the forms with immediates */
};
enum {
    X_CC_S = 8,
    X_CC_NE = 5,
    X_CC_E = 4,
    X_CC_O = 0,
    X_CC_AE = 3,
    X_CC_BE = 6,
    X_CC_A = 7,
    X_CC_LE = 14,
    X_CC_G = 15
};

static inline uint8_t *x_runs_at(const struct emit *e) { return e->at + e->run; }

void x_byte(struct emit *e, unsigned value);
void x_u32(struct emit *e, uint32_t value);
void x_u64(struct emit *e, uint64_t value);

/* An instruction with ModRM; `reg` may be an opcode extension.  For byte operands give the byte opcode. */
void x_rr(struct emit *e, unsigned size, unsigned opcode, int reg, int rm);
void x_rm(struct emit *e, unsigned size, unsigned opcode, int reg, struct x_mem at);
void x_imm(struct emit *e, unsigned size, uint32_t value); /* an immediate as wide as the operand, 4 bytes at most */

void x_mov(struct emit *e, int to, int from); /* 32 bits */
void x_mov_imm32(struct emit *e, int to, uint32_t value);
void x_mov_imm64(struct emit *e, int to, uint64_t value);
void x_alu_imm(struct emit *e, unsigned size, unsigned op, int rm, uint32_t value);
void x_alu_mem_imm(struct emit *e, unsigned size, unsigned op, struct x_mem at, uint32_t value);
void x_push(struct emit *e, int reg);
void x_pop(struct emit *e, int reg);
void x_jmp_reg(struct emit *e, int reg);

void x_bswap(struct emit *e, unsigned size, int reg);
/* lea to, [base + disp] in 32 bits; where the displacement is written comes back. */
uint8_t *x_lea_disp32(struct emit *e, int to, int base);
void x_jrcxz(struct emit *e, unsigned distance);
void x_jecxz(struct emit *e, unsigned distance);
/* The same to anywhere: to a jump that is the end of a NOP.  Its displacement comes back. */
uint8_t *x_jrcxz_far(struct emit *e);
/* Of BMI2, which changes no flags, 32 bits: SHRX by the lowest bits of `count`, PEXT by a mask in memory. */
void x_shrx(struct emit *e, int to, int from, int count);
void x_pext(struct emit *e, int to, int from, struct x_mem mask);

/* Jumps: the address of the 32-bit displacement comes back, x_land() and x_aim() set it. */
uint8_t *x_jmp(struct emit *e);
uint8_t *x_jcc(struct emit *e, unsigned cc);
uint8_t *x_call(struct emit *e);
enum { X_JMP_SIZE = 5 };
void x_land(struct emit *e, uint8_t *field); /* here */
void x_put_jmp(uint8_t *field);              /* the opcode before a displacement */
const uint8_t *x_aimed(const uint8_t *field, ptrdiff_t run);
void x_nops(struct emit *e, unsigned count); /* bytes that do nothing, by few instructions */
void x_align(struct emit *e, unsigned to);   /* with these */
/* `target` is where it executes, `field` where it is written. */
void x_aim(uint8_t *field, ptrdiff_t run, const uint8_t *target);

#endif
