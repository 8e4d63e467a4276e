/* decode.c: bytes to struct insn, by the tree of gen/decode_tables.inc (SDM 2 chapter 2 and appendix A).
 *
 * Knows prefixes, ModRM, SIB and immediates; which instruction it is comes from the tables alone.
 */
#include "isa.h"
#include "vm.h"

#include "gen/decode_tables.inc"

enum { MAX_LENGTH = 15, NO_SEGMENT = 0xff };
/* Order of the branches of a NODE_PREFIX: PREFIXES in isa/table.py. */
enum { MANDATORY_NONE, MANDATORY_66, MANDATORY_F3, MANDATORY_F2 };
/* Order of opcode_map: ESCAPES in isa/table.py. */
enum { MAP_PLAIN, MAP_0F, MAP_0F38, MAP_0F3A };

struct cursor {
    const uint8_t *code;
    unsigned at, avail;
    enum decode_status status;
    bool os32, as32;
    uint8_t segment; /* override or NO_SEGMENT */
    uint8_t opcode, modrm;
    uint8_t map; /* MAP_ */
};

/* Whether `n` more bytes can be read, else the status says why not. */
static bool available(struct cursor *c, unsigned n)
{
    unsigned limit = c->avail < MAX_LENGTH ? c->avail : MAX_LENGTH;
    if (c->at + n <= limit) return true;
    c->status = limit < MAX_LENGTH ? DECODE_SHORT : DECODE_LONG;
    return false;
}

/* The next n (1, 2 or 4) bytes, little-endian; 0 where there are not so many. */
static uint32_t take(struct cursor *c, unsigned n)
{
    if (c->status != DECODE_OK || !available(c, n)) return 0;
    uint32_t value = 0;
    for (unsigned k = 0; k < n; k++) value |= (uint32_t)c->code[c->at + k] << 8 * k;
    c->at += n;
    return value;
}
static uint32_t take_signed(struct cursor *c, unsigned n)
{
    unsigned up = 32 - 8 * n;
    return (uint32_t)((int32_t)(take(c, n) << up) >> up);
}

/* -- Prefixes ------------------------------------------------------------------------------------------------------- */

/* False: the byte is no prefix.  Of several segment overrides the last counts, and so of F2 and F3. */
static bool take_prefix(struct cursor *c, struct insn *out, uint8_t byte)
{
    switch (byte) {
    case 0x26: c->segment = VP_ES; break;
    case 0x2e: c->segment = VP_CS; break;
    case 0x36: c->segment = VP_SS; break;
    case 0x3e: c->segment = VP_DS; break;
    case 0x64: c->segment = VP_FS; break;
    case 0x65: c->segment = VP_GS; break;
    case 0x66: out->prefix |= PFX_OPSIZE; break;
    case 0x67: out->prefix |= PFX_ADSIZE; break;
    case 0xf0: out->prefix |= PFX_LOCK; break;
    case 0xf2: out->prefix = (out->prefix & ~PFX_REP) | PFX_REPNE; break;
    case 0xf3: out->prefix = (out->prefix & ~PFX_REPNE) | PFX_REP; break;
    default: return false;
    }
    return true;
}

/* What is behind 0F. */
static void take_escaped(struct cursor *c)
{
    c->opcode = (uint8_t)take(c, 1);
    c->map = c->opcode == 0x38 ? MAP_0F38 : c->opcode == 0x3a ? MAP_0F3A : MAP_0F;
    if (c->map != MAP_0F) c->opcode = (uint8_t)take(c, 1);
}

static void take_opcode(struct cursor *c, struct insn *out, bool code32)
{
    do c->opcode = (uint8_t)take(c, 1);
    while (c->status == DECODE_OK && take_prefix(c, out, c->opcode));
    if (c->opcode == 0x0f) take_escaped(c);
    c->os32 = code32 ^ !!(out->prefix & PFX_OPSIZE);
    c->as32 = code32 ^ !!(out->prefix & PFX_ADSIZE);
    if (c->segment != NO_SEGMENT) out->prefix |= PFX_SEG;
}

/* -- Which row ------------------------------------------------------------------------------------------------------ */

static unsigned mandatory(const struct insn *out)
{
    if (out->prefix & PFX_REP) return MANDATORY_F3;
    if (out->prefix & PFX_REPNE) return MANDATORY_F2;
    return out->prefix & PFX_OPSIZE ? MANDATORY_66 : MANDATORY_NONE;
}

/* The row, OP_NONE where there is none.  ModRM is looked at, not taken. */
static enum op find_row(struct cursor *c, const struct insn *out)
{
    unsigned word = opcode_map[c->map][c->opcode];
    while (word & NODE) {
        enum node_kind kind = word >> NODE_SHIFT & 3;
        if (kind != NODE_PREFIX && !available(c, 1)) return OP_NONE;
        unsigned branch = 0;
        switch (kind) {
        case NODE_PREFIX: branch = mandatory(out); break;
        case NODE_MOD: branch = c->code[c->at] >= 0xc0; break;
        case NODE_REG: branch = c->code[c->at] >> 3 & 7; break;
        case NODE_RM: branch = c->code[c->at] & 7; break;
        }
        word = nodes[(word & NODE_INDEX) + branch];
    }
    return word;
}

/* -- Memory operands ------------------------------------------------------------------------------------------------ */

/* SDM 2 table 2-1; mod 0 with rm 6 is a plain address. */
static void take_address16(struct cursor *c, struct insn *out)
{
    static const uint8_t base[8] = {EBX, EBX, EBP, EBP, ESI, EDI, EBP, EBX};
    static const uint8_t index[8] = {ESI, EDI, ESI, EDI, REG_NONE, REG_NONE, REG_NONE, REG_NONE};
    unsigned mod = c->modrm >> 6, rm = c->modrm & 7;
    if (mod == 0 && rm == 6) {
        out->disp = take_signed(c, 2);
        return;
    }
    out->base = base[rm];
    out->index = index[rm];
    if (mod) out->disp = take_signed(c, mod);
}

/* SDM 2 tables 2-2 and 2-3. */
static void take_address32(struct cursor *c, struct insn *out)
{
    unsigned mod = c->modrm >> 6, rm = c->modrm & 7;
    if (rm == ESP) {
        uint8_t sib = (uint8_t)take(c, 1);
        rm = sib & 7;
        if ((sib >> 3 & 7) != ESP) {
            out->index = sib >> 3 & 7;
            out->scale = sib >> 6;
        }
    }
    if (mod == 0 && rm == EBP) {
        out->disp = take(c, 4);
        return;
    }
    out->base = (uint8_t)rm;
    if (mod) out->disp = mod == 1 ? take_signed(c, 1) : take(c, 4);
}

static void take_modrm(struct cursor *c, struct insn *out, unsigned traits)
{
    c->modrm = (uint8_t)take(c, 1);
    out->reg = c->modrm >> 3 & 7;
    out->rm = c->modrm & 7;
    if (c->modrm >= 0xc0 || (traits & TRAIT_MOD_IGNORED)) return;
    out->form |= FORM_MEM;
    (c->as32 ? take_address32 : take_address16)(c, out);
    if (c->segment == NO_SEGMENT && (out->base == ESP || out->base == EBP)) out->seg = VP_SS;
}

/* -- Immediates ----------------------------------------------------------------------------------------------------- */

static void take_immediate(struct cursor *c, struct insn *out, enum imm_kind kind)
{
    unsigned z = c->os32 ? 4 : 2;
    switch (kind) {
    case IMM_NONE: break;
    case IMM_IB: out->imm = take(c, 1); break;
    case IMM_IBS:
    case IMM_JB: out->imm = take_signed(c, 1); break;
    case IMM_IW: out->imm = take(c, 2); break;
    case IMM_IZ: out->imm = take(c, z); break;
    case IMM_JZ: out->imm = take_signed(c, z); break;
    case IMM_AP:
        out->imm = take(c, z);
        out->imm2 = (uint16_t)take(c, 2);
        break;
    case IMM_MOFFS: out->disp = take(c, c->as32 ? 4 : 2); break;
    case IMM_IW_IB:
        out->imm = take(c, 2);
        out->imm2 = (uint16_t)take(c, 1);
        break;
    }
}

enum decode_status decode(const uint8_t *code, unsigned avail, bool code32, uint32_t features, struct insn *out)
{
    struct cursor c = {.code = code, .avail = avail, .segment = NO_SEGMENT};
    *out = (struct insn){.base = REG_NONE, .index = REG_NONE, .seg = VP_DS};
    take_opcode(&c, out, code32);
    if (c.status != DECODE_OK) return c.status;
    out->op = find_row(&c, out);
    if (c.status != DECODE_OK) return c.status;
    if (!(op_info[out->op].feature & features)) out->op = op_info[out->op].otherwise;
    const struct op_info *info = &op_info[out->op];
    if (out->op == OP_NONE || !(info->feature & features)) return DECODE_UD;
    if (c.segment != NO_SEGMENT) out->seg = c.segment;
    out->form = (c.os32 ? FORM_OS32 : 0) | (c.as32 ? FORM_AS32 : 0);
    if (info->traits & TRAIT_MODRM) take_modrm(&c, out, info->traits);
    else out->reg = info->operand[0] == OPD_Zs ? c.opcode >> 3 & 7 : c.opcode & 7;
    take_immediate(&c, out, info->imm);
    if (info->traits & TRAIT_FP) out->imm = (c.opcode & 7u) << 8 | c.modrm;
    if (c.status != DECODE_OK) return c.status;
    if ((out->prefix & PFX_LOCK) && !((info->traits & TRAIT_LOCK) && (out->form & FORM_MEM))) return DECODE_UD;
    out->len = (uint8_t)c.at;
    return DECODE_OK;
}
