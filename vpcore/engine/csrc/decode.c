/* decode.c: bytes to struct insn, by the tree of gen/decode_tables.inc (SDM 2 chapter 2 and appendix A).
 *
 * Knows prefixes, ModRM, SIB and immediates; which instruction it is comes from the tables alone.  All code is decoded
 * once, most of it never again, so a host's processor can foresee no jump here: operands are read by tables, and
 * whether there were as many bytes is asked afterwards.
 */
#include "isa.h"
#include "vm.h"
#include <string.h>

#include "gen/decode_tables.inc"

enum {
    MAX_LENGTH = 15,
    NO_SEGMENT = 0xff,
    MOST_READ = 32, /* bytes that are looked at, whatever they are: MAX_LENGTH prefixes and an opcode, or all that may
                       follow one */
};
/* Order of the branches of a NODE_PREFIX: PREFIXES in isa/table.py. */
enum { MANDATORY_NONE, MANDATORY_66, MANDATORY_F3, MANDATORY_F2 };
/* Order of opcode_map: ESCAPES in isa/table.py. */
enum { MAP_PLAIN, MAP_0F, MAP_0F38, MAP_0F3A };

struct cursor {
    const uint8_t *code; /* MOST_READ bytes */
    unsigned at;
    bool os32, as32;
    uint8_t segment; /* override or NO_SEGMENT */
    uint8_t opcode, modrm;
    uint8_t map;    /* MAP_ */
    uint8_t beyond; /* bytes behind the opcode that its row depends on */
};

static uint8_t take_byte(struct cursor *c) { return c->code[c->at++]; }

/* The next n (0, 1, 2 or 4) bytes, little-endian. */
static uint32_t take(struct cursor *c, unsigned n)
{
    static const uint32_t mask[] = {0, UINT8_MAX, UINT16_MAX, 0, UINT32_MAX};
    uint32_t value;

    memcpy(&value, c->code + c->at, sizeof value);
    c->at += n;
    return value & mask[n];
}

/* The same as a number with a sign, in two's complement. */
static uint32_t take_signed(struct cursor *c, unsigned n)
{
    static const uint32_t sign[] = {0, 1u << 7, 1u << 15, 0, 1u << 31};

    return (take(c, n) ^ sign[n]) - sign[n];
}

/* -- Prefixes ------------------------------------------------------------------------------------------------------ */

/* What each of them says: bits of insn.prefix, or a segment plus 1 above these; 0 where the byte is none. */
enum { SEGMENT_SHIFT = 8, REPEATS = PFX_REP | PFX_REPNE };
#define OVERRIDE(seg) (((seg) + 1) << SEGMENT_SHIFT)
static const uint16_t prefixes[256] = {
    [0x26] = OVERRIDE(VP_ES), [0x2e] = OVERRIDE(VP_CS), [0x36] = OVERRIDE(VP_SS), [0x3e] = OVERRIDE(VP_DS),
    [0x64] = OVERRIDE(VP_FS), [0x65] = OVERRIDE(VP_GS), [0x66] = PFX_OPSIZE,      [0x67] = PFX_ADSIZE,
    [0xf0] = PFX_LOCK,        [0xf2] = PFX_REPNE,       [0xf3] = PFX_REP,
};

/* Of several segment overrides the last counts, and so of F2 and F3. */
static void take_prefix(struct cursor *c, struct insn *out, unsigned says)
{
    if (says >> SEGMENT_SHIFT) c->segment = (uint8_t)((says >> SEGMENT_SHIFT) - 1);
    if (says & REPEATS) out->prefix &= (uint8_t)~REPEATS;
    out->prefix |= (uint8_t)says;
}

/* What is behind 0F. */
static void take_escaped(struct cursor *c)
{
    c->opcode = take_byte(c);
    c->map = c->opcode == 0x38 ? MAP_0F38 : c->opcode == 0x3a ? MAP_0F3A : MAP_0F;
    if (c->map != MAP_0F) c->opcode = take_byte(c);
}

static void take_opcode(struct cursor *c, struct insn *out, bool code32)
{
    unsigned says;

    while ((says = prefixes[c->opcode = take_byte(c)]) && c->at <= MAX_LENGTH) take_prefix(c, out, says);
    if (c->opcode == 0x0f) take_escaped(c);
    c->os32 = code32 ^ !!(out->prefix & PFX_OPSIZE);
    c->as32 = code32 ^ !!(out->prefix & PFX_ADSIZE);
    if (c->segment != NO_SEGMENT) out->prefix |= PFX_SEG;
}

/* -- Which row ----------------------------------------------------------------------------------------------------- */

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
        unsigned branch = 0;
        switch (kind) {
        case NODE_PREFIX: branch = mandatory(out); break;
        case NODE_MOD: branch = c->code[c->at] >= 0xc0; break;
        case NODE_REG: branch = c->code[c->at] >> 3 & 7; break;
        case NODE_RM: branch = c->code[c->at] & 7; break;
        }
        c->beyond |= kind != NODE_PREFIX;
        word = nodes[(word & NODE_INDEX) + branch];
    }
    return word;
}

/* -- Memory operands ----------------------------------------------------------------------------------------------- */

/* SDM 2 table 2-1; mod 0 with rm 6 is a plain address. */
static void take_address16(struct cursor *c, struct insn *out)
{
    static const uint8_t base[8] = {EBX, EBX, EBP, EBP, ESI, EDI, EBP, EBX};
    static const uint8_t index[8] = {ESI, EDI, ESI, EDI, REG_NONE, REG_NONE, REG_NONE, REG_NONE};
    unsigned mod = c->modrm >> 6, rm = c->modrm & 7;
    out->form |= FORM_MEM;
    if (mod == 0 && rm == 6) {
        out->disp = take_signed(c, 2);
        return;
    }
    out->base = base[rm];
    out->index = index[rm];
    out->disp = take_signed(c, mod);
}

/* SDM 2 tables 2-2 and 2-3; the first of them with a register (mod 3) too, which has no address. */
static void take_address32(struct cursor *c, struct insn *out)
{
    enum { INDEX_NONE = ESP };
    static const uint8_t bytes[] = {0, 1, 4, 0};
    const unsigned mod = c->modrm >> 6, rm = c->modrm & 7;
    const bool memory = mod != 3, has_sib = memory & (rm == ESP);
    const uint8_t sib = c->code[c->at];
    const unsigned base = has_sib ? sib & 7 : rm, index = has_sib ? sib >> 3 & 7 : INDEX_NONE;
    const bool plain = (mod == 0) & (base == EBP);

    c->at += has_sib;
    out->base = (uint8_t)((plain | !memory) ? REG_NONE : base);
    out->index = (uint8_t)(index == INDEX_NONE ? REG_NONE : index);
    out->scale = index == INDEX_NONE ? 0 : sib >> 6;
    out->disp = take_signed(c, plain ? 4 : bytes[mod]);
    out->form |= memory ? FORM_MEM : 0;
}

static void take_modrm(struct cursor *c, struct insn *out, unsigned traits)
{
    c->modrm = take_byte(c);
    out->reg = c->modrm >> 3 & 7;
    out->rm = c->modrm & 7;
    if (traits & TRAIT_MOD_IGNORED) return;
    if (c->as32)
        take_address32(c, out);
    else if (c->modrm < 0xc0)
        take_address16(c, out);
    if (c->segment == NO_SEGMENT && (out->base == ESP || out->base == EBP)) out->seg = VP_SS;
}

/* -- Immediates ---------------------------------------------------------------------------------------------------- */

static void take_immediate(struct cursor *c, struct insn *out, enum imm_kind kind)
{
    static const struct {
        uint8_t bytes[2]; /* with operands of 16 bits, and of 32 */
        bool is_signed;
        uint8_t second; /* bytes of another one behind it */
    } immediates[] = {
        [IMM_IB] = {{1, 1}, false, 0}, [IMM_IBS] = {{1, 1}, true, 0},    [IMM_IW] = {{2, 2}, false, 0},
        [IMM_IZ] = {{2, 4}, false, 0}, [IMM_JB] = {{1, 1}, true, 0},     [IMM_JZ] = {{2, 4}, true, 0},
        [IMM_AP] = {{2, 4}, false, 2}, [IMM_IW_IB] = {{2, 2}, false, 1}, [IMM_MOFFS] = {{0, 0}, false, 0},
    };
    const unsigned n = immediates[kind].bytes[c->os32];

    out->imm = immediates[kind].is_signed ? take_signed(c, n) : take(c, n);
    out->imm2 = (uint16_t)take(c, immediates[kind].second);
    if (kind == IMM_MOFFS) out->disp = take(c, c->as32 ? 4 : 2);
}

/* -- Instructions -------------------------------------------------------------------------------------------------- */

/* Whether there are so many bytes, and an instruction may have them. */
static enum decode_status has(unsigned bytes, unsigned avail)
{
    if (bytes <= MAX_LENGTH && bytes <= avail) return DECODE_OK;
    return avail < MAX_LENGTH ? DECODE_SHORT : DECODE_LONG;
}

static enum decode_status decode_bytes(struct cursor *c, unsigned avail, uint32_t features, struct insn *out)
{
    enum decode_status status;

    out->op = find_row(c, out);
    if ((status = has(c->at + c->beyond, avail)) != DECODE_OK) return status;
    if (!(op_info[out->op].feature & features)) out->op = op_info[out->op].otherwise;
    const struct op_info *info = &op_info[out->op];
    if (out->op == OP_NONE || !(info->feature & features)) return DECODE_UD;
    if (c->segment != NO_SEGMENT) out->seg = c->segment;
    out->form = (c->os32 ? FORM_OS32 : 0) | (c->as32 ? FORM_AS32 : 0);
    if (info->traits & TRAIT_MODRM)
        take_modrm(c, out, info->traits);
    else
        out->reg = info->operand[0] == OPD_Zs ? c->opcode >> 3 & 7 : c->opcode & 7;
    take_immediate(c, out, info->imm);
    if (info->traits & TRAIT_FP) out->imm = (c->opcode & 7u) << 8 | c->modrm;
    if ((status = has(c->at, avail)) != DECODE_OK) return status;
    if ((out->prefix & PFX_LOCK) && !((info->traits & TRAIT_LOCK) && (out->form & FORM_MEM))) return DECODE_UD;
    out->len = (uint8_t)c->at;
    return DECODE_OK;
}

enum decode_status decode(const uint8_t *code, unsigned avail, bool code32, uint32_t features, struct insn *out)
{
    uint8_t padded[MOST_READ];
    struct cursor c = {.code = code, .segment = NO_SEGMENT};

    if (avail < MOST_READ) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, code, avail);
        c.code = padded;
    }
    *out = (struct insn){.base = REG_NONE, .index = REG_NONE, .seg = VP_DS};
    take_opcode(&c, out, code32);
    const enum decode_status status = has(c.at, avail);
    return status == DECODE_OK ? decode_bytes(&c, avail, features, out) : status;
}
