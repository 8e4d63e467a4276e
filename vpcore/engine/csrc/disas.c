/* disas.c: an instruction as Intel-syntax text, by the operand letters of the table (SDM 2 appendix A.2). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "isa.h"
#include "vm.h"

static const char *const operand_letters[] = {OPERAND_LETTERS};

struct text {
    char *at;
    size_t room; /* with the final 0 */
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->room, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < t->room ? (size_t)n : t->room ? t->room - 1 : 0;
    t->at += used;
    t->room -= used;
}

/* -- Registers ------------------------------------------------------------------------------------------------------ */

static const char *const names8[] = {"al", "cl", "dl", "bl", "ah", "ch", "dh", "bh"};
static const char *const names16[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};

static void put_gpr(struct text *t, unsigned n, unsigned size)
{
    if (size == 1) put(t, "%s", names8[n]);
    else put(t, "%s%s", size == 4 ? "e" : "", names16[n]);
}

/* -- Sizes ---------------------------------------------------------------------------------------------------------- */

/* Bytes of an operand with this size letter (what follows the first); 0 where the text names none. */
static unsigned letter_size(const char *letter, bool os32)
{
    static const struct {
        const char *letter;
        uint8_t size16, size32;
    } sizes[] = {
        {"b", 1, 1},  {"bs", 0, 0}, {"w", 2, 2},    {"wi", 2, 2},   {"v", 2, 4},    {"z", 2, 4},  {"d", 4, 4},
        {"di", 4, 4}, {"ss", 4, 4}, {"q", 8, 8},    {"qi", 8, 8},   {"sd", 8, 8},   {"t", 10, 10}, {"a", 4, 8},
        {"p", 4, 6},  {"s", 6, 6},  {"dq", 16, 16}, {"ps", 16, 16}, {"pd", 16, 16},
    };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        if (!strcmp(letter, sizes[k].letter)) return os32 ? sizes[k].size32 : sizes[k].size16;
    return 0;
}

static const char *size_name(unsigned size)
{
    switch (size) {
    case 1: return "byte ptr ";
    case 2: return "word ptr ";
    case 4: return "dword ptr ";
    case 6: return "fword ptr ";
    case 8: return "qword ptr ";
    case 10: return "tbyte ptr ";
    case 16: return "xmmword ptr ";
    default: return "";
    }
}

/* -- Operands ------------------------------------------------------------------------------------------------------- */

static void put_displacement(struct text *t, const struct insn *i, bool alone)
{
    uint32_t mask = i->form & FORM_AS32 ? UINT32_MAX : 0xffff;
    if (alone) put(t, "0x%x", (unsigned)(i->disp & mask));
    else if (i->disp >> 31) put(t, "-0x%x", (unsigned)-i->disp);
    else if (i->disp) put(t, "+0x%x", (unsigned)i->disp);
}

static void put_memory(struct text *t, const struct insn *i, unsigned size)
{
    unsigned regs = i->form & FORM_AS32 ? 4 : 2;
    unsigned plain = i->base == ESP || i->base == EBP ? VP_SS : VP_DS;
    put(t, "%s", size_name(size));
    if (i->seg != plain) put(t, "%s:", segments[i->seg]);
    put(t, "[");
    if (i->base != REG_NONE) put_gpr(t, i->base, regs);
    if (i->index != REG_NONE) {
        if (i->base != REG_NONE) put(t, "+");
        put_gpr(t, i->index, regs);
        if (i->scale) put(t, "*%u", 1u << i->scale);
    }
    put_displacement(t, i, i->base == REG_NONE && i->index == REG_NONE);
    put(t, "]");
}

/* DS:SI (or its override) and ES:DI of string instructions. */
static void put_string(struct text *t, const struct insn *i, unsigned size, bool source)
{
    put(t, "%s", size_name(size));
    if (!source || i->seg != VP_DS) put(t, "%s:", segments[source ? i->seg : VP_ES]);
    put(t, "[");
    put_gpr(t, source ? ESI : EDI, i->form & FORM_AS32 ? 4 : 2);
    put(t, "]");
}

static void put_immediate(struct text *t, const struct insn *i, const char *letters, bool second)
{
    bool os32 = i->form & FORM_OS32;
    uint32_t value = second ? i->imm2 : i->imm;
    put(t, "0x%x", (unsigned)(!strcmp(letters, "Ibs") && !os32 ? value & 0xffff : value));
}

static void put_target(struct text *t, const struct insn *i, uint32_t eip)
{
    uint32_t target = eip + i->len + i->imm;
    put(t, "0x%x", (unsigned)(i->form & FORM_OS32 ? target : target & 0xffff));
}

/* Operands whose letters are a register or a constant in themselves. */
static bool put_fixed(struct text *t, const struct insn *i, const char *letters)
{
    if (!strcmp(letters, "rAX")) put_gpr(t, EAX, i->form & FORM_OS32 ? 4 : 2);
    else if (!strcmp(letters, "ST")) put(t, "st(0)");
    else if (!strcmp(letters, "STi")) put(t, "st(%u)", i->rm);
    else if (!strcmp(letters, "AL") || !strcmp(letters, "CL")) put(t, "%cl", letters[0] | 0x20);
    else if (!strcmp(letters, "AX") || !strcmp(letters, "DX")) put(t, "%cx", letters[0] | 0x20);
    else if (!strcmp(letters, "SS") || !strcmp(letters, "XMM0")) put(t, letters[0] == 'S' ? "ss" : "xmm0");
    else if (!strcmp(letters, "1")) put(t, "1");
    else return false;
    return true;
}

static void put_operand(struct text *t, const struct insn *i, const char *letters, uint32_t eip, unsigned n)
{
    if (put_fixed(t, i, letters)) return;
    unsigned size = letter_size(letters + 1, i->form & FORM_OS32);
    bool memory = i->form & FORM_MEM;
    switch (letters[0]) {
    case 'E':
        if (memory) put_memory(t, i, op_info[i->op].traits & TRAIT_MEM16 ? 2 : size);
        else put_gpr(t, i->rm, size);
        break;
    case 'Q':
    case 'W':
        if (memory) put_memory(t, i, size);
        else put(t, "%smm%u", letters[0] == 'W' ? "x" : "", i->rm);
        break;
    case 'M':
    case 'O': put_memory(t, i, size); break;
    case 'G': put_gpr(t, i->reg, size); break;
    case 'Z':
        if (letters[1] == 's') put(t, "%s", segments[i->reg]);
        else put_gpr(t, i->reg, size);
        break;
    case 'R': put_gpr(t, i->rm, size); break;
    case 'C': put(t, "cr%u", i->reg); break;
    case 'D': put(t, "dr%u", i->reg); break;
    case 'S': put(t, "%s", segments[i->reg]); break;
    case 'P': put(t, "mm%u", i->reg); break;
    case 'V': put(t, "xmm%u", i->reg); break;
    case 'N': put(t, "mm%u", i->rm); break;
    case 'U': put(t, "xmm%u", i->rm); break;
    case 'I': put_immediate(t, i, letters, n == 1 && op_info[i->op].imm == IMM_IW_IB); break;
    case 'J': put_target(t, i, eip); break;
    case 'A': put(t, "0x%x:0x%x", i->imm2, (unsigned)i->imm); break;
    case 'X':
    case 'Y': put_string(t, i, size, letters[0] == 'X'); break;
    }
}

static void put_mnemonic(struct text *t, const struct insn *i)
{
    const struct op_info *info = &op_info[i->op];
    if (i->prefix & PFX_LOCK) put(t, "lock ");
    if (info->traits & (TRAIT_REP | TRAIT_REPZ)) {
        if (i->prefix & PFX_REPNE) put(t, "repne ");
        if (i->prefix & PFX_REP) put(t, info->traits & TRAIT_REPZ ? "repe " : "rep ");
    }
    put(t, "%s", info->text[!!(i->form & (i->op == OP_JCXZ_Jb ? FORM_AS32 : FORM_OS32))]);
}

int vp_disas(const uint8_t *code, size_t avail, int bits, uint32_t eip, char *text, size_t room)
{
    struct text t = {text, room};
    struct insn i;
    if (room) *text = 0;
    if (decode(code, avail < 15 ? (unsigned)avail : 15, bits == 32, UINT32_MAX, &i) != DECODE_OK) return -1;
    put_mnemonic(&t, &i);
    const uint8_t *operands = op_info[i.op].operand;
    for (unsigned n = 0; n < 3 && operands[n] != OPD_NONE; n++) {
        put(&t, n ? ", " : " ");
        put_operand(&t, &i, operand_letters[operands[n]], eip, n);
    }
    return i.len;
}
