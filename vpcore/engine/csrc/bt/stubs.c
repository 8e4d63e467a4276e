/* stubs.c: the ways into, out of and besides host code that all translations share. */
#include "bt.h"

static const int saved[] = {RBX, RBP, R12, R13, R14, R15};
enum { SAVED = sizeof saved / sizeof *saved, FRAME = 8 /* keeps RSP a multiple of 16 */ };

static void store_guest(struct emit *e)
{
    for (unsigned n = EAX; n <= EDI; n++)
        x_rm(e, 32, X_MOV_RM_R, guest(n), vm_at(offsetof(struct vp_vm, cpu.gpr) + 4 * n));
}

/* Before load_flags(). */
static void load_guest(struct emit *e)
{
    for (unsigned n = EAX; n <= EDI; n++)
        x_rm(e, 32, X_MOV_R_RM, guest(n), vm_at(offsetof(struct vp_vm, cpu.gpr) + 4 * n));
    x_rm(e, 64, X_ADD << 3 | X_ALU_R_RM, guest(ESP), vm_at(offsetof(struct vp_vm, bt_esp_base)));
}

static void x_mov64(struct emit *e, int to, int from) { x_rr(e, 64, X_MOV_RM_R, from, to); }

/* From RBX to the host's; RAX is lost. */
static void load_flags(struct emit *e)
{
    x_mov(e, RAX, FLAGS);
    x_byte(e, 0x04), x_byte(e, 0x7f); /* add al,127: OF */
    x_byte(e, 0x9e);                  /* sahf */
}

static void save_flags(struct emit *e)
{
    x_byte(e, 0x9f); /* lahf */
    x_rr(e, 8, X_SETCC | X_CC_O, 0, RAX);
    x_rr(e, 32, X_MOVZX_W, FLAGS, RAX);
}

/* Where sliding code wants it at its entry. */
static void load_eip(struct emit *e) { x_rm(e, 32, X_MOV_R_RM, RAX, vm_at(offsetof(struct vp_vm, cpu.eip))); }

/* struct leave enter(m, host, rdi, flags) */
static void emit_enter(struct bt *bt)
{
    struct emit *e = &bt->e;

    bt->enter = (enter_fn)(uintptr_t)x_runs_at(e);
    for (unsigned k = 0; k < SAVED; k++) x_push(e, saved[k]);
    x_alu_imm(e, 64, X_SUB, RSP, FRAME);
    x_rm(e, 64, X_LEA, VM, (struct x_mem){RDI, X_NONE, 0, VM_BIAS});
    x_rm(e, 64, X_MOV_RM_R, RSP, vm_at(offsetof(struct vp_vm, bt_c_stack)));
    x_rm(e, 64, X_MOV_R_RM, RSP, vm_at(offsetof(struct vp_vm, bt_calls)));
    x_mov64(e, RDI, RDX);
    x_mov(e, FLAGS, RCX);
    load_guest(e);
    load_flags(e);
    load_eip(e);
    x_jmp_reg(e, RSI);
}

static void to_c_stack(struct emit *e)
{
    x_rm(e, 64, X_MOV_RM_R, RSP, vm_at(offsetof(struct vp_vm, bt_calls)));
    x_rm(e, 64, X_MOV_R_RM, RSP, vm_at(offsetof(struct vp_vm, bt_c_stack)));
}

/* Back to C, from its stack, with struct leave in RAX and RDX. */
static void emit_return(struct emit *e)
{
    x_alu_imm(e, 64, X_ADD, RSP, FRAME);
    for (unsigned k = SAVED; k--;) x_pop(e, saved[k]);
    x_byte(e, 0xc3);
}

/* EIP is in EAX; exit_link: RDX is the link that led here. */
static void emit_exit(struct bt *bt)
{
    struct emit *e = &bt->e;

    bt->exit_link = x_runs_at(e);
    x_mov_imm64(e, RCX, (uintptr_t)&bt->link);
    x_rm(e, 64, X_MOV_RM_R, RDX, (struct x_mem){RCX, X_NONE, 0, 0});
    bt->exit = x_runs_at(e);
    x_rm(e, 32, X_MOV_RM_R, RAX, vm_at(offsetof(struct vp_vm, cpu.eip)));
    save_flags(e);
    store_guest(e);
    x_mov64(e, RAX, RDI);
    x_mov(e, RDX, FLAGS);
    to_c_stack(e);
    emit_return(e);
}

/* EIP is in EAX, and RSI is what bt_emit_look_up() has made it. */
static void emit_second(struct bt *bt)
{
    enum { GROUP5_JMP = 4 };
    struct emit *e = &bt->e;

    bt->second = x_runs_at(e);
    x_aim(bt_emit_look_next(e), e->run, bt->exit);
    x_rm(e, 32, X_GROUP5, GROUP5_JMP, bt_looked_up(1));
}

/* EIP is in EAX, the calls are not to be trusted, or are. */
static void emit_look_up(struct bt *bt)
{
    enum { GROUP5_JMP = 4 };
    struct emit *e = &bt->e;

    bt->look_up = x_runs_at(e);
    x_rm(e, 64, X_MOV_R_RM, RSP, vm_at(offsetof(struct vp_vm, bt_calls_top)));
    bt->go = x_runs_at(e);
    if (bt->touches) {
        fault_map_add(&bt->faults, x_runs_at(e), bt->exit);
        x_rm(e, 32, X_MOV_R_RM, RCX, vm_kick());
    }
    x_aim(bt_emit_look_up(e), e->run, bt->second);
    x_rm(e, 32, X_GROUP5, GROUP5_JMP, bt_looked_up(0));
}

/* Called with the site in RSI: the interpreter, then on in host code with the guest's flags in the
 * host's, or back to C. */
static void emit_slow(struct bt *bt)
{
    struct emit *e = &bt->e;

    bt->slow = x_runs_at(e);
    store_guest(e);
    x_pop(e, RAX); /* the return address */
    x_rm(e, 64, X_MOV_RM_R, RAX, vm_at(offsetof(struct vp_vm, bt_go_on)));
    to_c_stack(e);
    x_mov64(e, RDX, RDI);
    x_mov(e, RCX, FLAGS);
    x_rm(e, 64, X_LEA, RDI, vm_at(0));
    x_mov_imm64(e, RAX, (uintptr_t)bt_interpret);
    x_rr(e, 32, X_GROUP5, 2, RAX);
    x_rr(e, 64, X_TEST_RM_R, RAX, RAX);
    uint8_t *leaves = x_jcc(e, X_CC_S);
    x_rm(e, 64, X_MOV_R_RM, RSP, vm_at(offsetof(struct vp_vm, bt_calls)));
    x_rm(e, 64, X_MOV_R_RM, RCX, vm_at(offsetof(struct vp_vm, bt_go_on)));
    x_push(e, RCX);
    x_mov64(e, RDI, RAX);
    x_mov(e, FLAGS, RDX);
    load_guest(e);
    load_flags(e);
    load_eip(e);
    x_byte(e, 0xc3); /* of the pair with the call, as the host's predictor wants it */
    x_land(e, leaves);
    emit_return(e);
}

/* Called with a help_fn in RCX and its arguments in ESI and EDX; what it gives is in RAX.  RBX keeps the flags. */
static void emit_help(struct bt *bt)
{
    static const int lost[] = {R8, R9, R10, R11, RDI};
    enum { LOST = sizeof lost / sizeof *lost, CALL = 2 };
    struct emit *e = &bt->e;

    bt->help = x_runs_at(e);
    to_c_stack(e);
    for (unsigned k = 0; k < LOST; k++) x_push(e, lost[k]);
    x_alu_imm(e, 64, X_SUB, RSP, FRAME);
    x_rm(e, 64, X_LEA, RDI, vm_at(0));
    x_rr(e, 32, X_GROUP5, CALL, RCX);
    x_alu_imm(e, 64, X_ADD, RSP, FRAME);
    for (unsigned k = LOST; k--;) x_pop(e, lost[k]);
    x_rm(e, 64, X_MOV_R_RM, RSP, vm_at(offsetof(struct vp_vm, bt_calls)));
    x_byte(e, 0xc3);
}

void bt_emit_stubs(struct bt *bt)
{
    emit_enter(bt);
    emit_exit(bt);
    emit_slow(bt);
    emit_help(bt);
    emit_second(bt);
    emit_look_up(bt);
    x_align(&bt->e, LINE);
    bt->start = bt->e.at;
    bt->first_fault = bt->faults.count;
}
