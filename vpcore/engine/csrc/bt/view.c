/* view.c: see view.h. */
#define _GNU_SOURCE
#include "view.h"
#include "../interp/interp.h"
#include "../seg.h"
#include "trust.h"
#include <asm/prctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

bool view_is_flat(const struct vp_vm *m)
{
    static const uint8_t segs[] = {VP_ES, VP_SS, VP_DS};

    if (m->cpu.seg[VP_CS].base || m->cpu.seg[VP_CS].limit != UINT32_MAX) return false;
    for (unsigned k = 0; k < sizeof segs; k++) {
        const struct seg_access *s = &m->sacc[segs[k]];
        if (s->base || s->rd_last != UINT32_MAX || s->wr_last != UINT32_MAX) return false;
    }
    return true;
}

struct code_segment view_cs(const struct vp_vm *m)
{
    return (struct code_segment){m->cpu.seg[VP_CS].base, m->cpu.seg[VP_CS].limit};
}

/* -- GS ------------------------------------------------------------------------------------------------------------ */

/* GS base of this thread. */
static _Thread_local uint8_t *gs_base;

uint8_t *view_gs(void) { return gs_base; }

void view_set_gs(struct bt *bt, uint8_t *base)
{
    if (bt->gs == base) return;
    bt->gs = gs_base = base;
    if (bt->fsgsbase)
        __asm__ volatile("wrgsbase %0" : : "r"(base));
    else
        syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

/* -- The view ------------------------------------------------------------------------------------------------------ */

static bool is_settled(const struct vp_vm *m, const struct bt *bt)
{
    return m->user && (bt->modes ? modes_calm(bt->modes) : m->insns) >= bt->settled;
}

/* Whether code in a window is to rely on kicks.  A system's own is not: it seldom runs long, and setting the timer
 * would be most of what an interrupt costs.  A profile is made of looks. */
static bool wants_touches(struct vp_vm *m, struct bt *bt)
{
    if (!bt->touches || m->interp->stop_at != UINT64_MAX || m->profile) return false;
    if (!m->user && !bt->all_touch) return false;
    trust_hasten(m, bt);
    if (!kick_when_due(m)) bt->touches = false;
    return bt->touches;
}

void view_choose(struct vp_vm *m, struct bt *bt)
{
    bool wanted = bt->windows && (!bt->modes || modes_want_window(bt->modes, m));
    uint8_t *base = wanted ? window_enter(m, bt->windows) : NULL;

    m->view = m->user | (base ? VIEW_WINDOW : 0) | (view_is_flat(m) ? 0 : VIEW_SEGMENTED);
    if (m->sp_mask != UINT32_MAX) m->view |= VIEW_SP16;
    if (!m->code32) m->view |= VIEW_16;
    if (!(m->cpu.cr0 & CR0_PE) || (m->cpu.eflags & EF_VM)) m->view |= VIEW_REAL;
    if (is_settled(m, bt)) m->view |= VIEW_SETTLED;
    if (!base) return;
    if (wants_touches(m, bt)) m->view |= VIEW_TOUCHES;
    view_set_gs(bt, base);
}

/* -- Its key ------------------------------------------------------------------------------------------------------- */

enum { KEY_ROUND_SHIFT = 32 - KEY_VIEW_BITS };

/* Of CS at this generation, one that no other pair has. */
static uint32_t number_of(struct vp_vm *m, struct bt *bt, uint64_t generation)
{
    const struct code_segment cs = view_cs(m);
    struct numbered *n = &bt->numbered[(cs.base >> 4 ^ cs.base >> 12 ^ generation) % NUMBERED];

    if (n->number && n->generation == generation && same_segment(n->cs, cs)) return n->number;
    if (bt->numbers + 1 == 1u << KEY_ROUND_SHIFT) {
        memset(bt->numbered, 0, sizeof bt->numbered);
        bt->numbers = 0;
        bt_drop_all(m);
    }
    *n = (struct numbered){generation, cs, ++bt->numbers};
    return n->number;
}

uint64_t view_key(struct vp_vm *m, struct bt *bt)
{
    enum { GENERATION_SHIFT = 34 };
    uint64_t generation = jump_key(m, 0) >> GENERATION_SHIFT, round = generation >> KEY_ROUND_SHIFT;

    if (round != bt->key_round) {
        bt->key_round = round;
        bt_drop_all(m);
    }
    if (m->view & VIEW_SEGMENTED) generation = number_of(m, bt, generation);
    return (generation << KEY_VIEW_BITS | KEY_ANY | m->view) << 32;
}
