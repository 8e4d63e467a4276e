/* mem.c: the guest-physical address space, see mem.h.
 *
 * The map is an array over the 4 GB of 32-bit physical space, reserved but not present until used: 25 MB of address
 * space, a few pages of memory.  Which bytes are code is kept to 32 bytes, so that data next to code stays cheap: a
 * write to a page with code goes the slow way, and reaches the engine only where it hits code.
 */
#define _GNU_SOURCE
#include "mem.h"
#include "engine.h"
#include "mmu.h"
#include "space.h"
#include "x87.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GRANULE_SHIFT = 5, GRANULES = PAGE_SIZE >> GRANULE_SHIFT };

struct code_page {
    uint32_t granule[GRANULES / 32];
};

/* -- Host memory -------------------------------------------------------------------------------------------------- */

void *mem_reserve(uint64_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

void mem_release(void *at, uint64_t size)
{
    if (at) munmap(at, size);
}

static const uint64_t guard = (UINT64_C(1) << MEM_GUARD_SHIFT) + PAGE_SIZE;

void *mem_reserve_guarded(uint64_t size)
{
    void *at = mmap(NULL, size + guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED) return NULL;
    if (mprotect(at, size, PROT_READ | PROT_WRITE) == 0) return at;
    mem_release_guarded(at, size);
    return NULL;
}

void mem_release_guarded(void *at, uint64_t size) { mem_release(at, size + guard); }

void mem_use_large(void *at, uint64_t size)
{
    enum { FIRST = 2 << 20 };

    if (size > FIRST) madvise((uint8_t *)at + FIRST, size - FIRST, MADV_HUGEPAGE); /* where it fails, small ones */
}

/* RAM is a memfd, so that another process (engine direct) can map it too. */
static bool ram_create(struct vp_vm *m)
{
    m->ram_fd = memfd_create("guest-ram", MFD_CLOEXEC);
    if (m->ram_fd < 0 || ftruncate(m->ram_fd, (off_t)m->ram_size) < 0) return false;
    void *at = mmap(NULL, m->ram_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m->ram_fd, 0);
    if (at == MAP_FAILED) return false;
    m->ram = at;
    return true;
}

bool mem_create(struct vp_vm *m)
{
    m->a20_mask = UINT32_MAX;
    m->ram_fd = -1;
    m->phys = mem_reserve(PHYS_PAGES * sizeof *m->phys);
    m->page_flags = mem_reserve(PHYS_PAGES);
    m->code = mem_reserve(PHYS_PAGES * sizeof *m->code);
    if (!m->phys || !m->page_flags || !m->code || !ram_create(m)) return false;
    for (uint64_t at = 0; at < m->ram_size; at += PAGE_SIZE)
        m->phys[at >> PAGE_SHIFT] = (struct phys_page){m->ram + at, m->ram + at};
    return true;
}

void mem_destroy(struct vp_vm *m)
{
    mem_release(m->phys, PHYS_PAGES * sizeof *m->phys);
    mem_release(m->page_flags, PHYS_PAGES);
    mem_release(m->code, PHYS_PAGES * sizeof *m->code);
    mem_release(m->ram, m->ram_size);
    if (m->ram_fd >= 0) close(m->ram_fd);
}

/* -- Code bytes --------------------------------------------------------------------------------------------------- */

static unsigned granule_of(uint32_t phys) { return (phys & ~PAGE_MASK) >> GRANULE_SHIFT; }

void mem_code_mark(struct vp_vm *m, uint32_t phys, unsigned size)
{
    uint32_t page = phys >> PAGE_SHIFT;

    for (unsigned g = granule_of(phys); g <= granule_of(phys + size - 1); g++)
        m->code[page].granule[g / 32] |= 1u << g % 32;
    if (m->page_flags[page] & PG_CODE) return;
    m->page_flags[page] |= PG_CODE;
    space_forget_writes(m, page, page);
}

void mem_code_fetch(const struct vp_vm *m, uint32_t phys)
{
    __builtin_prefetch(m->phys[phys >> PAGE_SHIFT].read + (phys & ~PAGE_MASK));
    __builtin_prefetch(&m->code[phys >> PAGE_SHIFT], 1);
}

void mem_code_clear(struct vp_vm *m, uint32_t page) { memset(&m->code[page], 0, sizeof m->code[page]); }

void mem_code_none(struct vp_vm *m, uint32_t page)
{
    mem_code_clear(m, page);
    m->page_flags[page] &= (uint8_t)~PG_CODE;
}

bool mem_is_code(const struct vp_vm *m, uint32_t phys, unsigned size)
{
    uint32_t page = phys >> PAGE_SHIFT;

    if (!(m->page_flags[page] & PG_CODE)) return false;
    for (unsigned g = granule_of(phys); g <= granule_of(phys + size - 1); g++)
        if (m->code[page].granule[g / 32] >> g % 32 & 1) return true;
    return false;
}

/* -- Accesses ----------------------------------------------------------------------------------------------------- */

static const struct phys_page *page_at(const struct vp_vm *m, uint64_t phys)
{
    static const struct phys_page nothing;

    return phys >> PAGE_SHIFT < PHYS_PAGES ? &m->phys[phys >> PAGE_SHIFT] : &nothing;
}

const uint8_t *mem_read_ptr(struct vp_vm *m, uint64_t phys)
{
    const uint8_t *page = page_at(m, phys)->read;

    return page ? page + (phys & ~PAGE_MASK) : NULL;
}

uint8_t *mem_write_ptr(struct vp_vm *m, uint64_t phys, unsigned size)
{
    uint8_t *page = page_at(m, phys)->write;

    if (!page || mem_is_code(m, (uint32_t)phys, size)) return NULL;
    m->page_flags[phys >> PAGE_SHIFT] |= PG_DIRTY;
    return page + (phys & ~PAGE_MASK);
}

uint8_t *mem_write_span(struct vp_vm *m, uint64_t phys, unsigned size)
{
    uint8_t *at = mem_write_ptr(m, phys, size);

    if (at || !page_at(m, phys)->write) return at;
    m->stats.smc_hits++;
    m->engine->invalidate(m, phys, size);
    m->page_flags[phys >> PAGE_SHIFT] |= PG_DIRTY;
    return page_at(m, phys)->write + (phys & ~PAGE_MASK);
}

uint64_t mem_read(struct vp_vm *m, uint64_t phys, unsigned size)
{
    const uint8_t *at = mem_read_ptr(m, phys);
    uint64_t value = 0;

    if (likely(at)) {
        memcpy(&value, at, size);
        return value;
    }
    m->stats.mmio_calls++;
    x87_leave(m);
    value = m->config.calls.mmio_read(m->config.host, phys, size);
    m->engine->cut(m);
    return value;
}

void mem_write(struct vp_vm *m, uint64_t phys, unsigned size, uint64_t value)
{
    const struct phys_page *page = page_at(m, phys);

    if (likely(page->write)) {
        if (mem_is_code(m, (uint32_t)phys, size)) {
            m->stats.smc_hits++;
            m->engine->invalidate(m, phys, size);
        }
        m->page_flags[phys >> PAGE_SHIFT] |= PG_DIRTY;
        memcpy(page->write + (phys & ~PAGE_MASK), &value, size);
        return;
    }
    if (phys >> PAGE_SHIFT < PHYS_PAGES && (m->page_flags[phys >> PAGE_SHIFT] & PG_DISCARD)) return;
    m->stats.mmio_calls++;
    x87_leave(m);
    m->config.calls.mmio_write(m->config.host, phys, size, value);
    m->engine->cut(m);
}

/* -- vp.h --------------------------------------------------------------------------------------------------------- */

/* Drop the code of pages [first, last]. */
static void drop_code(struct vp_vm *m, uint64_t first, uint64_t last)
{
    for (uint64_t page = first; page <= last; page++)
        if (m->page_flags[page] & PG_CODE) m->engine->invalidate(m, page << PAGE_SHIFT, PAGE_SIZE);
}

int vp_map(vp_vm *m, uint64_t addr, uint64_t size, uint8_t *read, uint8_t *write, int flags)
{
    const uint64_t end = (uint64_t)PHYS_PAGES << PAGE_SHIFT;

    if ((addr | size) & ~PAGE_MASK || size > end || addr > end - size) {
        snprintf(m->error, sizeof m->error, "mapping %#llx+%#llx is not whole pages below 4 GB",
                 (unsigned long long)addr, (unsigned long long)size);
        return -1;
    }
    if (!size) return 0;
    uint64_t first = addr >> PAGE_SHIFT, last = (addr + size - 1) >> PAGE_SHIFT;
    drop_code(m, first, last);
    uint8_t bits = (flags & VP_MAP_DIRTY ? PG_DIRTY_TRACKED : 0) | (flags & VP_MAP_DISCARD ? PG_DISCARD : 0);
    for (uint64_t page = first; page <= last; page++) {
        uint64_t at = (page - first) << PAGE_SHIFT;
        m->phys[page] = (struct phys_page){read ? read + at : NULL, write ? write + at : NULL};
        m->page_flags[page] = bits | PG_DIRTY; /* what is shown anew has to be looked at */
    }
    mmu_flush(m, true);
    return 0;
}

void vp_dirty(vp_vm *m, uint64_t addr, uint64_t size, uint8_t *out, int clear)
{
    uint64_t first = addr >> PAGE_SHIFT, count = size >> PAGE_SHIFT;

    if (!count) return;
    for (uint64_t k = 0; k < count; k++) {
        uint64_t page = first + k;
        out[k] = page < PHYS_PAGES && (m->page_flags[page] & PG_DIRTY);
        if (clear && out[k]) m->page_flags[page] &= (uint8_t)~PG_DIRTY;
    }
    if (clear && first < PHYS_PAGES) {
        uint64_t last = first + count - 1;
        space_forget_writes(m, (uint32_t)first, last < PHYS_PAGES ? (uint32_t)last : PHYS_PAGES - 1);
    }
}

void vp_invalidate(vp_vm *m, uint64_t addr, uint64_t size)
{
    const uint64_t end = (uint64_t)PHYS_PAGES << PAGE_SHIFT;

    if (!size || addr >= end) return;
    if (size > end - addr) size = end - addr;
    for (uint64_t at = addr, next; at < addr + size; at = next) {
        next = (at | (PAGE_SIZE - 1)) + 1;
        unsigned part = (unsigned)((next < addr + size ? next : addr + size) - at);
        if (mem_is_code(m, (uint32_t)at, part)) m->engine->invalidate(m, at, part);
    }
}

uint8_t *vp_ram(vp_vm *m) { return m->ram; }
uint64_t vp_ram_size(const vp_vm *m) { return m->ram_size; }
int64_t vp_translate(vp_vm *m, uint32_t linear) { return mmu_probe(m, linear); }
