/* place.c: see place.h. */
#define _GNU_SOURCE
#include "place.h"
#include "fail.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* Linux 4.17 */
#endif

enum {
    PAGE_SHIFT = 12,
    GUARD = 1 << 16, /* before and behind: accesses that run over the ends, emit_x64.h */
};
#define SIZE (UINT64_C(1) << 32)
#define WHOLE (GUARD + SIZE + GUARD)

/* Where holes are.  To who names no address Linux gives the highest free one below the stack, or, in its older layout,
 * the lowest from a third of all addresses on (arch/x86/mm/mmap.c); so a page given lies high above these, and as many
 * TB would have to be used up before one came from here. */
#define FIRST UINT64_C(0x200000000000)
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
    for (uint64_t at = FIRST; at < END; at += WHOLE) {
        uint8_t *got = reserve(at, WHOLE, MAP_FIXED_NOREPLACE);
        if (!got && errno == EEXIST) continue;
        if (got == (uint8_t *)(uintptr_t)at && !munmap(got + GUARD, SIZE)) return got + GUARD;
        if (got) munmap(got, WHOLE); /* Linux before 4.17 took it for a wish */
        break;
    }
    return NULL;
}

bool place_find(struct place *p)
{
    *p = (struct place){0};
    if (window_told_to_fail("reserve")) return false;
    p->base = find_hole();
    p->hole = p->base;
    if (p->hole) return true;
    uint8_t *got = reserve(0, WHOLE, 0);
    p->base = got ? got + GUARD : NULL;
    return got;
}

void place_release(struct place *p)
{
    if (p->shared) {
        munmap(p->base - GUARD, GUARD);
        munmap(p->base + SIZE, GUARD);
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

bool place_map(struct place *p, uint32_t page, uint32_t count, int prot, int fd, uint32_t file_page, bool fresh)
{
    const bool careful = p->hole && fresh;
    const int flags = MAP_SHARED | MAP_POPULATE | (careful ? MAP_FIXED_NOREPLACE : MAP_FIXED);

    if (map(p, page, (uint64_t)count << PAGE_SHIFT, prot, flags, fd, (off_t)file_page << PAGE_SHIFT)) return true;
    p->shared = careful && errno == EEXIST;
    return false;
}

bool place_protect(const struct place *p, uint32_t page, uint32_t count, int prot)
{
    return !mprotect(address(p, page), (size_t)count << PAGE_SHIFT, prot);
}

static bool clear(const struct place *p, uint32_t page, uint64_t size)
{
    if (p->hole) return !munmap(address(p, page), size);
    return map(p, page, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
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
