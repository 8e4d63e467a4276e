/* front_flags.c: where the guest's status flags are between two instructions of host code. */
#include "front.h"

void f_save(struct front *f)
{
    if (f->flags & IN_RBX) return;
    x_byte(f->e, 0x9f); /* lahf */
    x_rr(f->e, 8, X_SETCC | X_CC_O, 0, RAX);
    x_rr(f->e, 32, X_MOVZX_W, FLAGS, RAX);
    if (f->no_af) x_rm(f->e, 32, X_LEA, FLAGS, (struct x_mem){FLAGS, X_NONE, 0, RAW_NO_AF});
    f->flags |= IN_RBX;
}

void f_clobber(struct front *f)
{
    f_save(f);
    f->flags = IN_RBX;
}

void f_load(struct front *f)
{
    if (f->flags & IN_HOST) return;
    x_mov(f->e, RAX, FLAGS);
    x_byte(f->e, 0x04), x_byte(f->e, 0x7f); /* add al,127: OF where AL is 1 */
    x_byte(f->e, 0x9e);                     /* sahf */
    f->flags |= IN_HOST;
    f->no_af = false;
}

void f_load_exact(struct front *f)
{
    struct emit *e = f->e;

    if (!(f->flags & IN_RBX)) return;
    x_mov(e, RAX, FLAGS);
    x_rr(e, 32, X_SHIFT_IMM, 5, RAX);
    x_byte(e, RAW_NO_AF_SHIFT);
    x_alu_imm(e, 32, X_AND, RAX, RAW_NO_AF >> RAW_NO_AF_SHIFT);
    x_rr(e, 32, X_GROUP3, 2, RAX); /* not */
    x_rr(e, 32, X_AND << 3 | X_ALU_R_RM, FLAGS, RAX);
    x_rr(e, 32, X_MOVZX_W, FLAGS, FLAGS);
    f->flags = IN_RBX;
    f_load(f);
}

void f_carry(struct front *f)
{
    if (f->flags & IN_HOST) return;
    x_rr(f->e, 32, X_BT_IMM, 4, FLAGS);
    x_byte(f->e, RAW_CF_BIT);
}
