/* front_esp.c: the host's register for ESP.
 *
 * In users' code for windows it points: it is the window's base, of which the lower half is 0, plus ESP.  So accesses
 * to the stack have one register in their addresses, and a host (Zen 4) takes what was stored there from its register
 * file; with the base in one register and ESP in another it often does not.  Its lower half is ESP, to whoever reads 32
 * bits.
 *
 * Pushes, pops, and additions of constants move it as a whole.  Where ESP would wrap around it comes to lie in a guard
 * of the window, and the next access by it faults; the interpreter executes that, and what goes on behind it has loaded
 * ESP anew.  So it must not be moved again and again without such an access: front.adrift says that it might be, and
 * before a block ends it is made of its lower half then.  What moves it takes it 64 KB at most (RET), and accesses
 * reach 32 KB below it (X_REACH): it stays between the guards.
 */
#include "front.h"

enum { FARTHEST = X_REACH / 2 /* that the host's register may be from ESP within a block */ };

void f_move_esp(struct front *f, int base, int32_t n)
{
    struct x_mem at = {base, X_NONE, 0, n};

    if (f->points && base != guest(ESP)) at = (struct x_mem){WINDOW, base, 0, n};
    x_rm(f->e, f->sp16 ? 16 : f->points ? 64 : 32, X_LEA, guest(ESP), at);
}

void f_add_to_esp(struct front *f, int32_t n)
{
    if (n) f_move_esp(f, guest(ESP), n);
}

/* Its upper half is 0. */
static void point(struct front *f) { x_rm(f->e, 64, X_LEA, guest(ESP), (struct x_mem){WINDOW, guest(ESP), 0, 0}); }

void f_exact_esp(struct front *f)
{
    if (f->esp && f->adrift) {
        x_rm(f->e, 32, X_LEA, guest(ESP), (struct x_mem){guest(ESP), X_NONE, 0, f->esp});
        point(f);
    } else {
        f_add_to_esp(f, f->esp);
    }
    f->esp = 0;
    f->adrift = false;
}

void f_add_esp(struct front *f, int32_t n)
{
    f->esp += n;
    if (f->points && !f->window) f->adrift = true;
}

/* -- By name ------------------------------------------------------------------------------------------------------- */

/* ADD and SUB of a constant that is not large. */
static bool moves(const struct front *f)
{
    const struct insn *i = f->i;

    if (!f->points || is_mem(f) || i->rm != ESP || !(i->form & FORM_OS32) || !f_adds_constant(i)) return false;
    const int64_t n = (int32_t)i->imm;
    return n >= -FARTHEST && n <= FARTHEST && f->esp >= -FARTHEST && f->esp <= FARTHEST;
}

/* The host's register is moved later; the flags are made beside it. */
bool f_moves_esp(struct front *f)
{
    const bool adds = f->i->op == OP_ADD_Ev_Iz || f->i->op == OP_ADD_Ev_Ibs;
    const int32_t n = (int32_t)f->i->imm;
    const struct x_mem exact = {guest(ESP), X_NONE, 0, f->esp};

    if (!moves(f)) return false;
    if (adds || f->esp) x_rm(f->e, 32, X_LEA, RCX, exact);
    x_alu_imm(f->e, 32, adds ? X_ADD : X_CMP, adds || f->esp ? RCX : guest(ESP), f->i->imm);
    f_add_esp(f, adds ? n : -n);
    f->adrift = f->moved = true;
    f_made(f);
    return true;
}

/* ESP as an operand, or in an address whose upper half is another one. */
bool f_names_esp(const struct front *f)
{
    const struct insn *i = f->i;
    bool mem = i->form & FORM_MEM;

    if (moves(f)) return false;
    return i->op == OP_PUSHA || i->reg == ESP || (!mem && i->rm == ESP) || (mem && i->base == ESP && f->sp16);
}

/* The host's instruction has written 32 bits, and so cleared the upper half. */
static bool has_cleared(const struct insn *i)
{
    if (!(i->form & FORM_OS32)) return false;
    if (f_adds_constant(i)) return true;
    switch (i->op) {
    case OP_AND_Ev_Iz:
    case OP_AND_Ev_Ibs:
    case OP_MOV_Ev_Gv:
    case OP_MOV_Gv_Ev:
    case OP_LEA_Gv_M: return true;
    default: return false;
    }
}

void f_point_esp(struct front *f)
{
    const int esp = guest(ESP);

    if (!f->points || f->closed || f->moved || !f_may_write(f->i, ESP)) return;
    if (!has_cleared(f->i)) x_mov(f->e, esp, esp);
    point(f);
}
