/* place.c: see place.h. */
#define _GNU_SOURCE
#include "place.h"
#include "fail.h"
#include "lazy.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* Linux 4.17 */
#endif

enum {
    PAGE_SHIFT = 12,
    GUARD = 1 << 18, /* before: addresses that fall short, emit_x64.h and front_esp.c */
};
#define SIZE (UINT64_C(1) << 32) /* of which a base is a multiple */
#define BEHIND (9 * SIZE)        /* a register, and another one eightfold, and a displacement */
#define WHOLE (GUARD + SIZE + BEHIND)

/* Where holes are.  To who names no address Linux gives the highest free one below the stack, or, in its older layout,
 * the lowest from a third of all addresses on (arch/x86/mm/mmap.c); so a page given lies high above these, and as many
 * TB would have to be used up before one came from here. */
#define FIRST UINT64_C(0x120000000000)
#define END UINT64_C(0x220000000000)
#define GIVEN UINT64_C(0x280000000000)

static uint8_t *reserve(uint64_t at, uint64_t size, int flags)
{
    uint8_t *got =
        mmap((void *)(uintptr_t)at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);

    return got == MAP_FAILED ? NULL : got;
}

/* Whether the host gives addresses in one of the ways above. */
static bool gives_others(void)
{
    uint8_t *page = reserve(0, 1 << PAGE_SHIFT, 0);

    if (page) munmap(page, 1 << PAGE_SHIFT);
    return (uintptr_t)page >= GIVEN;
}

/* The guards keep their place, so that no two holes are the same. */
static uint8_t *find_hole(void)
{
    if (window_told_to_fail("hole") || !gives_others()) return NULL;
    for (uint64_t base = FIRST + SIZE; base < END; base += SIZE + WHOLE / SIZE * SIZE) {
        const uint64_t at = base - GUARD;
        uint8_t *got = reserve(at, WHOLE, MAP_FIXED_NOREPLACE);
        if (!got && errno == EEXIST) continue;
        if (got == (uint8_t *)(uintptr_t)at && !munmap(got + GUARD, SIZE)) return got + GUARD;
        if (got) munmap(got, WHOLE); /* Linux before 4.17 took it for a wish */
        break;
    }
    return NULL;
}

/* What lies right, of twice as much. */
static uint8_t *find_reservation(void)
{
    const uint64_t size = SIZE + WHOLE;
    uint8_t *got = reserve(0, size, 0);

    if (!got) return NULL;
    const uintptr_t first = (uintptr_t)got + GUARD;
    uint8_t *base = got + GUARD + (-first & (SIZE - 1)), *behind = base + SIZE + BEHIND;
    if (base - GUARD > got) munmap(got, (size_t)(base - GUARD - got));
    if (got + size > behind) munmap(behind, (size_t)(got + size - behind));
    return base;
}

bool place_find(struct place *p, int file, int lazy)
{
    *p = (struct place){.file = file, .lazy = lazy};
    if (window_told_to_fail("reserve")) return false;
    p->base = find_hole();
    p->hole = p->base;
    if (p->hole) return true;
    p->base = find_reservation();
    return p->base;
}

void place_release(struct place *p)
{
    if (p->shared) {
        munmap(p->base - GUARD, GUARD);
        munmap(p->base + SIZE, BEHIND);
    } else if (p->base) {
        munmap(p->base - GUARD, WHOLE);
    }
    *p = (struct place){0};
}

static uint8_t *address(const struct place *p, uint32_t page) { return p->base + ((uint64_t)page << PAGE_SHIFT); }

static bool map(const struct place *p, uint32_t page, uint64_t size, int prot, int flags, int fd, off_t at)
{
    uint8_t *wanted = address(p, page), *got = mmap(wanted, size, prot, flags, fd, at);

    if (got == wanted) return true;
    if (got == MAP_FAILED) return false;
    munmap(got, size); /* Linux before 4.17 */
    errno = EEXIST;
    return false;
}

static bool clear(const struct place *p, uint32_t page, uint64_t size)
{
    if (p->hole) return !munmap(address(p, page), size);
    return map(p, page, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static bool map_file(struct place *p, uint32_t page, uint32_t count, int prot, int populate, off_t at, bool fresh)
{
    const bool careful = p->hole && fresh;
    const int flags = MAP_SHARED | populate | (careful ? MAP_FIXED_NOREPLACE : MAP_FIXED);

    if (map(p, page, (uint64_t)count << PAGE_SHIFT, prot, flags, p->file, at)) return true;
    p->shared = careful && errno == EEXIST;
    return false;
}

bool place_map(struct place *p, uint32_t page, uint32_t count, int prot, uint32_t file_page, bool fresh)
{
    return map_file(p, page, count, prot, MAP_POPULATE, (off_t)file_page << PAGE_SHIFT, fresh);
}

bool place_map_lazily(struct place *p, uint32_t page, uint32_t count, uint32_t file_page, bool fresh)
{
    const uint64_t size = (uint64_t)count << PAGE_SHIFT;

    if (p->lazy < 0) return false;
    if (!map_file(p, page, count, PROT_READ | PROT_WRITE, 0, (off_t)file_page << PAGE_SHIFT, fresh)) return false;
    if (lazy_watch(p->lazy, address(p, page), size)) return true;
    if (!clear(p, page, size) && !place_protect(p, page, count, PROT_NONE)) abort();
    return false;
}

bool place_give(const struct place *p, uint32_t page) { return lazy_give(p->lazy, address(p, page), 1 << PAGE_SHIFT); }

bool place_protect(const struct place *p, uint32_t page, uint32_t count, int prot)
{
    return !mprotect(address(p, page), (size_t)count << PAGE_SHIFT, prot);
}

bool place_unmap(const struct place *p, uint32_t page, uint32_t count)
{
    return clear(p, page, (uint64_t)count << PAGE_SHIFT);
}

void place_unmap_all(const struct place *p)
{
    /* a host that has run out of mappings can still forbid access */
    if (!clear(p, 0, SIZE) && (p->hole || mprotect(p->base, SIZE, PROT_NONE))) abort();
}
