/* front.h: a block under translation; private to front*.c. */
#ifndef VP_BT_FRONT_H
#define VP_BT_FRONT_H
#include "../isa.h"
#include "../seg.h"
#include "bt.h"
#include "help.h"

/* Where the guest's status flags are between two instructions of host code. */
enum { IN_HOST = 1, IN_RBX = 2 };

enum { COLD_MOST = 6 * BLOCK_MAX + 4 };

/* Code behind the block: what is seldom executed. */
struct cold {
    uint8_t *from;              /* a jump's displacement, or NULL; an exit, where there is no site */
    const uint8_t *back;        /* where to go on, NULL for an exit */
    struct site *site;          /* which instruction the interpreter is to execute, or */
    struct link *link;          /* where the exit leads, or */
    const uint8_t *behind;      /* where the call to EAX returns to, or */
    unsigned place;             /* of vp_vm.cases plus 1, the first of a table, of which RSI's was looked at */
    const uint8_t *touch;       /* what may fault and leads here then, or NULL */
    bool returns;               /* which is the load of a return: it leads out */
    unsigned flags;             /* IN_ bits there */
    bool settles;               /* the host's REP was under way (front_string.c) */
    const struct fp_note *note; /* of an exit */
    uint8_t spill, reload;      /* XMM registers, a bit each */
    int32_t esp, esp_back;      /* the guest's ESP less the host's there, and at `back` */
};

struct front {
    struct vp_vm *m;
    struct bt *bt;
    struct emit *e;
    struct block *b;
    const struct insn *i; /* under translation */
    struct site *site;    /* of i; made when first needed */
    uint32_t eip;         /* of the block; where it slides, less that of its page */
    const uint8_t *room;  /* end of that for a jump to it (f_leave_room()), or NULL */
    bool slides;
    unsigned index, count;
    struct inlined *inlined;           /* what the block ends with has the callee's instructions; or NULL */
    struct block *callee;              /* whose instructions are to stand in place of the call of it; or NULL */
    const uint8_t *returns_at;         /* the load behind a call which faults if the guest returns elsewhere, or NULL */
    struct link *tail;                 /* the jump that the host code ends with, to the same page, or NULL */
    unsigned flags;                    /* IN_ bits */
    unsigned cold_count, cold_mark;    /* entries from cold_mark on belong to i and have no `back` yet */
    unsigned assumes;                  /* ASSUMES_ bits */
    const struct fp_note *note;        /* of the last x87 instruction, where nothing has stored it */
    const struct fp_note *note_before; /* the same when the one under translation began */
    uint8_t *leaves;                   /* the jump out of a loop whose first round is code of its own, or NULL */
    const uint8_t *loop;               /* where the block begins for its own jump back, NULL: where it does for all */
    uint8_t aligned;                   /* general registers known to be multiples of 4, a bit each */
    uint8_t xmm_loop;                  /* registers that stay loaded then */
    uint8_t xmm_loaded, xmm_dirty, xmm_before; /* in the host's; not in cpu.fx; that when i began */
    int32_t esp, esp_before;                   /* the guest's ESP less the host's; that when i began */
    struct code_segment cs;
    bool window;                         /* memory mode */
    bool quiet;                          /* accesses leave the host's flags alone */
    bool segmented, sp16, real, touches; /* as VIEW_ */
    bool points;                         /* bt_points() */
    bool adrift;                         /* ESP has been moved with no access by it since (front_esp.c) */
    bool moved;                          /* i is an addition to ESP that the host's register is short of */
    bool looked;                         /* at the budget: this block is paid */
    bool full, closed;                   /* closed: i has ended the host code */
    uint8_t emitter[OP_COUNT];           /* by rows: of front_insn(), the one that has emitted an instruction, or 0 */
    struct cold cold[COLD_MOST];
};

static inline bool is_mem(const struct front *f) { return f->i->form & FORM_MEM; }
static inline unsigned op_bits(const struct insn *i) { return i->form & FORM_OS32 ? 32 : 16; }
/* Word opcodes are odd, byte opcodes the even ones before. */
static inline unsigned sized(unsigned opcode, unsigned bits) { return bits == 8 ? opcode & ~1u : opcode; }
/* AH, CH, DH or BH, which have no name beside R8-R15. */
static inline bool is_high(unsigned bits, unsigned n) { return bits == 8 && n > 3; }

/* -- Flags -- */
void f_save(struct front *f);    /* RBX has them too */
void f_clobber(struct front *f); /* the host's flags are free */
void f_load(struct front *f);    /* the host's flags are the guest's; RAX is lost */
void f_carry(struct front *f);   /* CF is the guest's */
/* An instruction has set all flags; it has set some after f_load(). */
static inline void f_made(struct front *f) { f->flags = IN_HOST; }

/* -- Memory -- */
/* Where the memory operand lies in the host, for `bits` wide; everything slow goes to the interpreter.  RCX RDX RSI are
 * lost; and unless front.quiet, or where a segment is looked at, the host's flags (saved, and RAX with that).  In
 * window mode each host instruction with the operand may turn out slow: it must come before any change that the guest
 * can see.
 */
struct x_mem f_operand(struct front *f, unsigned bits, bool write);
/* The ModRM operand's 16 bits, to a register, of which the rest is 0 then. */
void f_take_word(struct front *f, int to);
/* The same place without RCX. */
struct x_mem f_spare_rcx(struct front *f, struct x_mem at);
/* The same to stand beside a register that has no REX form: CH. */
struct x_mem f_operand_low(struct front *f, unsigned bits, bool write);
/* The same for 16 bytes that have to be aligned, and are looked at for that. */
struct x_mem f_operand_aligned(struct front *f, bool write);
/* The same for the linear address in ESI; the guest's flags are in RBX. */
struct x_mem f_linear(struct front *f, unsigned bits, bool write);
/* The same for the offset in ESI. */
struct x_mem f_offset(struct front *f, unsigned seg, unsigned bits, bool write);
/* What is to be added to the linear address that a register has, to a register other than that one: by the present
 * privilege's flat table; from where it has none to the site.  The guest's flags are in RBX; RCX is lost. */
void f_ask_flat(struct front *f, int to, int lin, bool write);
/* As f_operand(), at reg + disp in the stack segment; f_stack_clobbers(): are flags lost? */
struct x_mem f_stack(struct front *f, unsigned reg, int32_t disp, unsigned bits, bool write);
static inline bool f_stack_clobbers(const struct front *f) { return !f->quiet || f->segmented || f->sp16; }
/* Is the segment's base 0, and its limit 4 GB? */
static inline bool f_is_flat(const struct front *f, unsigned seg)
{
    return !f->segmented && (seg == VP_DS || seg == VP_ES || seg == VP_SS);
}
void f_lea(struct front *f, int to); /* effective address */

/* front_align.c: what the instruction, which has been emitted, leaves known of the stack registers. */
void f_follow_alignment(struct front *f);
/* Whether the instruction may change the register, as one that it names. */
bool f_may_write(const struct insn *i, unsigned n);
/* ADD or SUB of a constant, to an operand that is no byte. */
bool f_adds_constant(const struct insn *i);
/* An access at register + disp is of 4 bytes, and a multiple of 4 if the register, which may be known, is one. */
bool f_may_be_aligned(unsigned reg, unsigned bits, uint32_t disp);

/* -- ESP -- */
/* Pushes and pops do not change the host's register one by one.  f_operand(), f_stack() and f_lea() know; to all others
 * it is exact, because it is made so before an instruction that names ESP otherwise, and before what ends a block. */
void f_exact_esp(struct front *f);
bool f_names_esp(const struct front *f);
/* To the host's register, without flags: n more than a register of the guest's; SP only where the stack is a 16-bit
 * one.
 */
void f_move_esp(struct front *f, int base, int32_t n);
void f_add_to_esp(struct front *f, int32_t n);
/* The instruction has been emitted: where it may have changed the host's register by name, that points again. */
void f_point_esp(struct front *f);
void f_add_esp(struct front *f, int32_t n);
/* ADD or SUB of a constant to it, emitted; false, and nothing emitted, where it is another instruction. */
bool f_moves_esp(struct front *f);

/* -- Cold code -- */
/* The site of the instruction under translation; NULL (and f->full) where there is no room. */
struct site *f_site(struct front *f);
/* To the site where the host's condition holds, the guest's flags being in RBX. */
void f_site_if(struct front *f, unsigned cc);
/* Unless found out before in this block: is the byte of struct vp_vm 0?  Else to the site.  Keeps the host's flags. */
void f_guard(struct front *f, unsigned assumption, size_t byte);
/* Code behind the block, to be filled in: the guest's state is as before the present instruction, its flags where the
 * IN_ bits say. */
static inline struct cold f_cold_with(const struct front *f, unsigned flags)
{
    return (struct cold){.flags = flags, .spill = f->xmm_before, .esp = f->esp_before};
}
/* The same for the jump whose displacement is at `from`, to that site. */
void f_cold(struct front *f, uint8_t *from, struct site *site);

/* -- C -- */
/* Before all else of an instruction that has C help. */
void f_begin_help(struct front *f);
/* The help for the value in ESI; what it gives is in RAX; RCX RDX RSI are lost. */
void f_help(struct front *f, help_fn fn, uint32_t how);

/* -- Ends -- */
/* The address behind an instruction of the block, and behind the one under translation. */
static inline uint32_t f_behind(const struct front *f, const struct insn *i) { return f->eip + i->off + i->len; }
static inline uint32_t f_next_eip(const struct front *f) { return f_behind(f, f->i); }
void f_eip(struct front *f, int to, uint32_t eip);         /* as the guest sees it */
void f_goto(struct front *f, uint32_t eip);                /* direct */
void f_branch(struct front *f, unsigned cc, uint32_t eip); /* by the host's flags; else behind the instruction */
void f_branch_rcx(struct front *f, uint32_t zero, uint32_t other); /* by RCX; flags as for the next block */
void f_call(struct front *f, uint32_t eip); /* these, once the guest's stack is as it should be */
void f_call_eax(struct front *f);
void f_return_eax(struct front *f);
void f_goto_eax(struct front *f); /* indirect */
/* The block at EIP, on the same page, where that has no host code yet and is about to get it; else NULL. */
struct block *f_follower(struct front *f, uint32_t eip);
/* EIP as the guest has it now. */
uint32_t f_whole_eip(const struct front *f, uint32_t eip);
/* On the same page as the block, wholly. */
bool f_is_near(const struct front *f, uint32_t eip);
/* Where the block begins in place of a jump to it, that jump is written when the block dies: what is patched or gone
 * back to after that lies behind. */
void f_leave_room(struct front *f);
/* A link to EIP, whose code comes next; NULL (and f->full) where there is no room. */
struct link *f_link(struct front *f, uint32_t eip);
/* Out of host code, with EIP in EAX. */
void f_exit_by(struct front *f, const struct link *link);
/* Is the key the link's?  The jump for any other one comes back. */
uint8_t *f_check_key(struct front *f, struct link *link);

/* front_thunk.c: the callee of the block's call, if its instructions can stand in place of that; or NULL. */
struct block *f_callee(struct front *f);
/* The return address has been stored, which changes ESP but not f->esp: its instructions, and on. */
void f_call_inline(struct front *f);
/* What a register says, in place of the return address that has been stored; RAX is free from then on. */
void f_replace_return(struct front *f, int reg);
/* Whether the callee goes on where a register says, and not behind the call. */
bool f_callee_jumps(const struct front *f);
/* The call after all. */
void f_emit_call_after_all(struct front *f, const struct cold *c);

/* front_cases.c: before the instruction under translation, which may overwrite the index of the block's jump. */
void f_keep_index(struct front *f);
/* By a table to what EAX says, emitted; false, and nothing emitted, where the jump is not of the kind. */
bool f_jump_by_case(struct front *f);
/* The way of one that has led elsewhere. */
void f_emit_no_case(struct front *f, const struct cold *c);

/* front.c for front_link.c */
void f_add_cold(struct front *f, struct cold c);
void f_emit_link(struct front *f, const struct cold *c);
void f_emit_miss(struct front *f, const struct cold *c);
/* front_budget.c: look at the budget, if it is to be done before the instruction under translation. */
void f_look(struct front *f, bool foreign);
/* For more instructions than the block has. */
void f_pay_more(struct front *f, unsigned count);
/* front_link.c: the block only leads to higher addresses, where that matters of its page. */
bool f_leads_on(const struct front *f);

/* front_int.c: emit f->i, false where that is the interpreter's business. */
bool front_insn(struct front *f);
/* The same, each for what its file says. */
bool front_bits(struct front *f);
bool front_mmx(struct front *f);
bool front_mul(struct front *f);
bool front_seg(struct front *f);
bool front_sse(struct front *f);
bool front_string(struct front *f);
/* The guest's registers, and RDI, where the host's REP has got to in a window. */
void f_settle(struct front *f);
/* Whether it is a repeated instruction that host code executes. */
bool front_string_loops(const struct insn *i);
bool front_system(struct front *f);
bool front_x87(struct front *f);
bool front_x87_is(const struct insn *i);
/* front_x87.c: leave the number of the note behind. */
void f_x87_flush(struct front *f);
/* The block has instructions that want the state on the host. */
bool front_x87_within(const struct front *f);
/* front_sse.c: XMM registers of the host to and from cpu.fx, with no change of flags. */
void f_xmm_spill(struct front *f, unsigned registers);
void f_xmm_load(struct front *f, unsigned registers);
/* All that are dirty. */
void f_xmm_flush(struct front *f);
/* Those that the block names. */
unsigned f_xmm_named(const struct front *f);
/* Before the first instruction: where the block is a loop around XMM registers, load them and set `loop`; and what the
 * jump back wants. */
void f_xmm_begin_loop(struct front *f);
void f_xmm_again(struct front *f);
/* front_flow.c: the same for control transfers and the stack. */
bool front_flow(struct front *f);
/* The condition of a conditional jump, -1 of others; whether the block ends with one to its own beginning. */
int front_condition(const struct insn *i);
bool front_jumps_back(const struct front *f);
/* A call of what lies behind it, by which code finds out where it is: what that pops is the return address. */
bool front_only_pushes(const struct insn *i);

#endif
