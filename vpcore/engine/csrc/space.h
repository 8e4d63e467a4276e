/* space.h: what is remembered of the page tables, which is what a processor's TLB is.
 *
 * For data: vp_vm.flat, by linear page.  For code: vp_vm.generation, part of the keys of all shortcuts from linear
 * addresses to code; a shortcut is good while its generation is.  Every page that is remembered stands in a list, so
 * forgetting costs what was used.
 *
 * An address space is found again by its CR3.  Loading CR3 forgets nothing that the page tables still say: each page
 * listed for the space is looked up anew, and what has not changed is taken up again, its code's generation too.  That
 * is exact: what stays is what a walk would find now, with the accessed (and dirty) bits that it would set set already.
 */
#ifndef VP_SPACE_H
#define VP_SPACE_H
#include "seg.h"
#include "vm.h"

/* Uses of a page: reads and writes by the supervisor and the user are the entries of vp_vm.flat, in its order. */
enum {
    USE_SR = 1,
    USE_SW = 2,
    USE_UR = 4,
    USE_UW = 8,
    USE_SX = 16,
    USE_UX = 32,
    USE_DATA = USE_SR | USE_SW | USE_UR | USE_UW,
    USE_WRITE = USE_SW | USE_UW,
    USE_ALL = USE_DATA | USE_SX | USE_UX,
    /* no uses: the page is the same in all address spaces; belongs to a large one */
    USE_GLOBAL = 64,
    USE_LARGE = 128,
};

enum { ADDRESS_SPACES = 16 /* remembered */, FOOTPRINTS = 2 * ADDRESS_SPACES + 1 };

/* What an address space has used at one privilege, as far as it is plain memory that windows (bt/window.h) have to map:
 * the supervisor's is what all address spaces have, if it has global pages.  vp_vm.footprint is the present space's. */
struct footprint {
    unsigned place;     /* its number: 0 to FOOTPRINTS - 1 */
    uint64_t born;      /* changes when a CR3 turns out to be another process's */
    uint64_t pages;     /* that were used for the first time, or for the first time since the page tables changed */
    unsigned different; /* of these, of late */
};

/* Whether the supervisor has its own memory in all address spaces, as systems with global pages do. */
static inline bool space_has_globals(const struct vp_vm *m) { return !(m->cpu.cr0 & CR0_PG) || (m->cpu.cr4 & CR4_PGE); }

bool space_create(struct vp_vm *m);
void space_destroy(struct vp_vm *m);

/* Those of the uses that a physical page itself allows without looking at each access: it is memory, and for writes has
 * no code and is known to be dirty. */
unsigned space_plain(const struct vp_vm *m, unsigned uses, uint32_t page);
/* Page tables allow `uses` of the page of `lin`, and lead to `page`: enter it as far as it is plain memory. */
void space_fill(struct vp_vm *m, uint32_t lin, unsigned uses, uint32_t page);
/* The page of `lin` belongs to a large one, all of which INVLPG forgets. */
void space_large(struct vp_vm *m, uint32_t lin);
/* A shortcut leads to code at `lin`, on physical page `page`; before its key is made. */
void space_code(struct vp_vm *m, uint32_t lin, uint32_t page);

void space_load(struct vp_vm *m);                     /* CR3 was loaded: all but global pages are looked up anew */
void space_flush(struct vp_vm *m);                    /* forget everything */
void space_flush_page(struct vp_vm *m, uint32_t lin); /* INVLPG */
/* An access at `lin` was not allowed. */
void space_forget_data(struct vp_vm *m, uint32_t lin);
/* The user goes on.  If the page tables allow it the page of the last such access now, and no table has to be marked
 * for that, it is entered: the access is about to come again. */
void space_fill_given(struct vp_vm *m);
/* Physical pages [first, last] are no longer to be written directly. */
void space_forget_writes(struct vp_vm *m, uint32_t first, uint32_t last);

#endif
