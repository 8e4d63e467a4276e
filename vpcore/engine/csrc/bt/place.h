/* place.h: 4 GB of the process's addresses, where a window maps pages.
 *
 * They are a hole in the address space between two guards, where one can be had: a page is mapped there and dropped
 * again for two thirds of what it costs in a reservation, which it would split.  A hole must stay free of all but the
 * window's pages, for the guest reaches whatever lies in it: it is made among addresses that Linux gives to no one who
 * does not ask for just these, and no page is mapped over what is not known to be the window's.
 */
#ifndef VP_PLACE_H
#define VP_PLACE_H
#include <stdbool.h>
#include <stdint.h>

struct place {
    uint8_t *base; /* NULL: there is none */
    bool hole;
    bool shared; /* somebody else has mapped a page in the hole */
};

/* False where the host gives no addresses. */
bool place_find(struct place *p);
/* With all that is mapped there; of one that is shared, the guards. */
void place_release(struct place *p);

/* All of these by their page numbers.  Map pages of a file, filled in at once; `fresh`: none of them is mapped so far.
 * False where the host does not; the place is shared where a fresh page has turned out to be somebody else's. */
bool place_map(struct place *p, uint32_t page, uint32_t count, int prot, int fd, uint32_t file_page, bool fresh);
/* Forbid all access to pages, or allow it again. */
bool place_protect(const struct place *p, uint32_t page, uint32_t count, int prot);
/* False where the host has no mapping left for the gap that this makes. */
bool place_unmap(const struct place *p, uint32_t page, uint32_t count);
/* Not of one that is shared. */
void place_unmap_all(const struct place *p);

#endif
