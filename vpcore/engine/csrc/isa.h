/* isa.h: what the opcode table says of each row (enum op), for decoder, disassembler and engines. */
#ifndef VP_ISA_H
#define VP_ISA_H
#include "gen/ops.inc"
#include "insn.h"

struct op_info {
    const char *text[2]; /* mnemonic with 16-bit and 32-bit operand size */
    uint32_t feature;    /* FEAT_ bit that it needs */
    uint16_t traits;     /* TRAIT_ bits */
    uint8_t imm;         /* enum imm_kind */
    uint8_t operand[3];  /* enum operand */
    /* EFLAGS bits; with TRAIT_MAYBE a zero count writes none */
    uint16_t flags_read, flags_written, flags_undefined;
    uint8_t regs_read, regs_written; /* implicit ones, bit n for register n */
    uint32_t code;                   /* of its first encoding: opcode, behind 0F plus 0xf00, mandatory prefix << 12,
                                      * 38 or 3A behind 0F << 20 */
    uint8_t digit;                   /* and ModRM.reg, where that belongs to the opcode */
    uint16_t otherwise;              /* enum op: what a model without the feature reads instead */
};
extern const struct op_info op_info[OP_COUNT];

#endif
