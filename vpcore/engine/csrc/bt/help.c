/* help.c: see help.h. */
#include "help.h"
#include "../msr.h"
#include "../seg.h"

/* FDS of the last x87 instruction may have to be taken from the register before. */
uint64_t help_load_segment(struct vp_vm *m, uint32_t sel, uint32_t how)
{
    return !m->fp_pending.mem && seg_load_again(m, how & ~(uint32_t)HELP_FLAT, (uint16_t)sel, how & HELP_FLAT);
}

uint64_t help_verify(struct vp_vm *m, uint32_t sel, uint32_t how)
{
    struct desc d;

    if (!desc_peek(m, (uint16_t)sel, &d)) return HELP_REFUSES;
    return seg_verifies(m, (uint16_t)sel, &d, how);
}

uint64_t help_tsc(struct vp_vm *m, uint32_t value, uint32_t how)
{
    (void)value, (void)how;
    return msr_tsc(m);
}
