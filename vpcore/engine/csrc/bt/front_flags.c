/* front_flags.c: where the guest's status flags are between two instructions of host code. */
#include "front.h"

void f_save(struct front *f)
{
    if (f->flags & IN_RBX) return;
    x_byte(f->e, 0x9f); /* lahf */
    x_rr(f->e, 8, X_SETCC | X_CC_O, 0, RAX);
    x_rr(f->e, 32, X_MOVZX_W, FLAGS, RAX);
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
}

void f_carry(struct front *f)
{
    if (f->flags & IN_HOST) return;
    x_rr(f->e, 32, X_BT_IMM, 4, FLAGS);
    x_byte(f->e, RAW_CF_BIT);
}
