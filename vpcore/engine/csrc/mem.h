/* mem.h: the guest-physical address space: pages onto host memory, dirty flags, and which bytes are code.
 *
 * Addresses are after the A20 gate (mem_a20).  Accesses stay within one page.  Above 4 GB, and where nothing is mapped,
 * the host's MMIO calls answer.
 */
#ifndef VP_MEM_H
#define VP_MEM_H
#include "vm.h"

enum { PHYS_PAGES = 1 << 20 };

bool mem_create(struct vp_vm *m);
void mem_destroy(struct vp_vm *m);

static inline uint64_t mem_a20(const struct vp_vm *m, uint64_t phys) { return phys & ~(uint64_t)~m->a20_mask; }

uint64_t mem_read(struct vp_vm *m, uint64_t phys, unsigned size);
/* Also sets the dirty flag and drops code made from the bytes. */
void mem_write(struct vp_vm *m, uint64_t phys, unsigned size, uint64_t value);

/* Host memory behind [phys, phys + size) for reading, or for being written at once; NULL where mem_read() and
 * mem_write() must be used.  mem_write_ptr() sets the dirty flag. */
const uint8_t *mem_read_ptr(struct vp_vm *m, uint64_t phys);
uint8_t *mem_write_ptr(struct vp_vm *m, uint64_t phys, unsigned size);
/* The same for all of these bytes being written next: code made from them is dropped. */
uint8_t *mem_write_span(struct vp_vm *m, uint64_t phys, unsigned size);

/* Code was made from [phys, phys + size): writes there must come to the engine's invalidate(). */
void mem_code_mark(struct vp_vm *m, uint32_t phys, unsigned size);
/* Have the host's caches fetch that byte, and what says whether it is code. */
void mem_code_fetch(const struct vp_vm *m, uint32_t phys);
/* Forget what is code on a page; then either mark again what still is, or let the page be plain memory. */
void mem_code_clear(struct vp_vm *m, uint32_t page);
void mem_code_none(struct vp_vm *m, uint32_t page);
/* Some byte of [phys, phys + size) has code made from it. */
bool mem_is_code(const struct vp_vm *m, uint32_t phys, unsigned size);

/* Plain host memory, zero and lazily present; NULL on failure. */
void *mem_reserve(uint64_t size);
void mem_release(void *at, uint64_t size);
/* The same of whole pages, with addresses behind that nobody has, as many as a 32-bit register says. */
enum { MEM_GUARD_SHIFT = 32 };
void *mem_reserve_guarded(uint64_t size);
void mem_release_guarded(void *at, uint64_t size);
/* All of it will be used, from its beginning on: the host may give it by large pages, but for the first 2 MB, more than
 * which short runs do not use. */
void mem_use_large(void *at, uint64_t size);

#endif
