/* window.h: memory mode `window`: a guest's linear addresses, mapped by the host's own paging.
 *
 * A window is 4 GB of the process's addresses for one address space (CR3) at one privilege.  A page of guest RAM is
 * mapped there, for reading or for writing too, while the page tables and the page itself allow plain accesses; all the
 * rest faults, and is the interpreter's.  So a window is one more cache of the page tables, beside the TLB: what
 * invalidates that comes here too.  Windows of address spaces that are not the present one are kept, and looked through
 * when their turn comes again.
 */
#ifndef VP_WINDOW_H
#define VP_WINDOW_H
#include "../vm.h"

struct windows;

/* The address space that a window at the present privilege is for: CR3, or WINDOW_COMMON. */
#define WINDOW_COMMON UINT32_MAX /* no CR3 */
uint32_t window_space(const struct vp_vm *m);
/* NULL with the reason where the host does not allow it; one where they cost more has a reason too. */
struct windows *windows_create(struct vp_vm *m, char *why, size_t room);
void windows_destroy(struct windows *w);

/* Base of the window for the present address space and privilege, made right for the present page tables; NULL where
 * plain accesses are not to be had at all now (data breakpoints, alignment checks), or the host has no more room. */
uint8_t *window_enter(struct vp_vm *m, struct windows *w);
/* The window entered last may no longer be right: window_enter() is due. */
bool window_is_stale(const struct windows *w);
/* The host address lies in the window entered last. */
bool window_reaches(const struct windows *w, uintptr_t address);
/* An access at this host address has faulted and been done by other means: let the next one be direct, if it may be.
 * False where it may not. */
bool window_fill(struct vp_vm *m, struct windows *w, uintptr_t address);

/* The guest has nothing to do: something that was put off is done. */
void windows_idle(struct windows *w);

/* As the functions of mmu.h with these names. */
void window_flush(struct windows *w, bool global_too);
void window_flush_page(struct windows *w, uint32_t lin);
void window_forget_writes(struct windows *w, uint32_t first, uint32_t last);

#endif
