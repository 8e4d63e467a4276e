/* engine.h: the vtable that each engine fills; engine.c is the only file that knows them all. */
#ifndef VP_ENGINE_H
#define VP_ENGINE_H
#include "vm.h"

struct vp_engine {
    const char *name;
    bool (*probe)(char *why, size_t room);
    bool (*create)(struct vp_vm *m);
    int (*run)(struct vp_vm *m, uint64_t max_insns);
    /* physical pages changed under decoded code, or (addr 0, size UINT64_MAX) everything */
    void (*invalidate)(struct vp_vm *m, uint64_t addr, uint64_t size);
    /* What an engine keeps of the page tables beside the flat tables and generations (space.h), NULL where that is
     * nothing: all of it may be stale, a page is, pages [first, last] of the physical space are no more to be written. */
    void (*flush_tlb)(struct vp_vm *m, bool global_too);
    void (*forget_page)(struct vp_vm *m, uint32_t lin);
    void (*forget_writes)(struct vp_vm *m, uint32_t first, uint32_t last);
    void (*cut)(struct vp_vm *m); /* leave the block after this instruction: a device may have changed anything */
    void (*stats)(const struct vp_vm *m, vp_stats *out); /* adds what is its own; may be NULL */
    void (*destroy)(struct vp_vm *m);
    /* as vp_engine_lacks() and vp_mode_trace(); NULL: nothing, none */
    const char *(*lacks)(struct vp_vm *m);
    uint32_t (*mode_trace)(struct vp_vm *m, vp_mode_change *out, uint32_t most);
};
extern const struct vp_engine engine_interp, engine_bt;

/* Execute exactly one instruction at cs:eip by the interpreter, with fault delivery: what other engines fall back to.
 * Flags are lazy (flags.h) before and after. */
void interp_step(struct vp_vm *m);

#endif
