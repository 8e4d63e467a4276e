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
    int file;    /* whose pages these are */
    int lazy;    /* lazy.h's, or -1 */
};

/* False where the host gives no addresses. */
bool place_find(struct place *p, int file, int lazy);
/* With all that is mapped there; of one that is shared, the guards. */
void place_release(struct place *p);

/* All of these by their page numbers.  Map pages of the file, filled in at once; `fresh`: none of them is mapped so
 * far. False where the host does not; the place is shared where a fresh page has turned out to be somebody else's. */
bool place_map(struct place *p, uint32_t page, uint32_t count, int prot, uint32_t file_page, bool fresh);
/* The same for reading and writing, but no access is allowed before place_give().  Also false where the host has no
 * such mappings. */
bool place_map_lazily(struct place *p, uint32_t page, uint32_t count, uint32_t file_page, bool fresh);
/* A page mapped lazily; false where it is allowed already, or the host has no memory there yet. */
bool place_give(const struct place *p, uint32_t page);
/* Forbid all access to pages, or allow it again. */
bool place_protect(const struct place *p, uint32_t page, uint32_t count, int prot);
/* False where the host has no mapping left for the gap that this makes. */
bool place_unmap(const struct place *p, uint32_t page, uint32_t count);
/* Not of one that is shared. */
void place_unmap_all(const struct place *p);

#endif
