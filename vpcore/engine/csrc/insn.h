/* insn.h: one decoded instruction, as every engine and the disassembler see it.
 *
 * decode.c makes it from the tables that isa/gen.py writes; nothing here depends on the processor's state but the code
 * size (CS.D).  The interpreter's blocks are arrays of these, so the size matters (32 bytes).
 */
#ifndef VP_INSN_H
#define VP_INSN_H
#include <stdbool.h>
#include <stdint.h>

struct vp_vm;
struct insn;
typedef void (*insn_fn)(struct vp_vm *m, const struct insn *i);

enum { REG_NONE = 8 }; /* vp_cpu.gpr[8] reads 0 */

/* insn.prefix */
enum {
    PFX_LOCK = 1,
    PFX_REP = 2,   /* F3 */
    PFX_REPNE = 4, /* F2 */
    PFX_OPSIZE = 8,
    PFX_ADSIZE = 16,
    PFX_SEG = 32,  /* an override was given (insn.seg has it) */
};

struct insn {
    insn_fn fn;     /* the interpreter's handler, filled by its block builder */
    uint32_t imm;   /* immediate, sign-extended to 32 bits where the row says so; relative or far offset; of x87: the
                     * opcode as FOP keeps it (SDM 1, 8.1.9) */
    uint32_t disp;  /* displacement of the memory operand (sign-extended), or moffs */
    uint16_t op;    /* enum op: row of the opcode table */
    uint16_t imm2;  /* second immediate: ENTER's level, a far pointer's selector */
    uint16_t off;   /* filled by the block builder: bytes from the start of the block */
    uint8_t len;    /* bytes, 1 to 15 */
    uint8_t prefix; /* PFX_ bits that were present */
    uint8_t reg;    /* ModRM.reg, or the register in the opcode's low bits (operand letter Z) */
    uint8_t rm;     /* ModRM.rm where mod = 3 */
    uint8_t base, index, scale; /* of the memory operand; REG_NONE where absent; scale is a shift count */
    uint8_t seg;    /* segment register of the memory (or string source, or moffs) operand: default or override */
    uint8_t form;   /* FORM_ bits */
    uint8_t unused;
};
_Static_assert(sizeof(struct insn) <= 40, "struct insn must stay small");

/* insn.form: which variant of a row's handler (ORDER FORM in gen.py) */
enum {
    FORM_MEM = 1,    /* ModRM operand is memory */
    FORM_OS32 = 2,   /* operand size 32 (else 16) */
    FORM_AS32 = 4,   /* address size 32 (else 16) */
};

enum decode_status {
    DECODE_OK,
    DECODE_UD,    /* no such instruction, or LOCK where it is not allowed */
    DECODE_LONG,  /* over 15 bytes: #GP(0) (SDM 2, 2.3.11) */
    DECODE_SHORT, /* more bytes are needed than `avail` */
};

/* `features` are the FEAT_ bits (gen/ops.inc) that the CPU model has; a row outside them is DECODE_UD. */
enum decode_status decode(const uint8_t *code, unsigned avail, bool code32, uint32_t features, struct insn *out);

#endif
