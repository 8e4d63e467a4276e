/* mapped.h: what windows show of guest RAM: the pages of one of them, as the host has mapped them.
 *
 * What a page may be, the guest's page tables say (window.c).  Here is how it is had for little: by mapping those that
 * are likely to come next with it, and allowing each when it comes.
 */
#ifndef VP_MAPPED_H
#define VP_MAPPED_H
#include "place.h"

enum {
    MAPPED_MOST = 1 << 18, /* pages of all windows, for the host has tables for them */
    MAPPED_AHEAD = 64,     /* pages at most that are mapped with one, to come */
};
#define LINEAR_PAGES (1u << 20)

/* A page of a window. */
struct mapped {
    uint32_t lin, phys; /* page numbers */
    bool write;
    bool ahead; /* it may come next: it is mapped, and allows nothing yet */
    bool lazy;  /* mapped so (place.h) */
    bool wrong; /* window.c says */
};

/* An address space of the guest, at one privilege. */
struct window {
    struct place place;
    uint32_t *slot; /* by linear page: its place in `pages` plus 1, or 0 */
    struct mapped *pages;
    unsigned count;
    unsigned calls; /* that changed mappings, since there were none */
    bool stale;     /* page tables have been loaded, or may have changed, since it was looked through */
    bool left;      /* nobody uses it any more: mapped_leave() */
};

/* Of a physical page: how many pages of windows map it for writing, and where one of them is. */
struct written {
    uint32_t count, lin;
};

/* What all windows of a vm share. */
struct mappings {
    uint64_t *total;         /* pages */
    uint64_t calls;          /* of all windows there have been */
    uint32_t granted;        /* the page of RAM, last */
    struct written *written; /* of each page of guest RAM */
    uint32_t ram_pages;
    int ram_fd;
    int lazy;       /* lazy.h */
    bool maps_fail; /* a test wants it so */
    bool given_up;  /* somebody else is in one of them */
};

/* Addresses for a window that has none yet; false where the host gives none. */
bool mapped_prepare(struct mappings *all, struct window *v);
void mapped_release(struct mappings *all, struct window *v);

/* Whether accesses to the page are allowed. */
static inline bool mapped_is_open(const struct window *v, uint32_t lin)
{
    return v->slot[lin] && !v->pages[v->slot[lin] - 1].ahead;
}

/* Pages from p on, which lie behind one another in RAM; one by itself with those that may come behind it.  False where
 * the host does not, of which windows may be given up. */
bool mapped_grant(struct mappings *all, struct window *v, struct mapped *p, unsigned count);

void mapped_drop_all(struct mappings *all, struct window *v);
/* Nobody is to use it before all is dropped.  That takes 1 us a page, so it is put off. */
void mapped_leave(struct mappings *all, struct window *v);
/* Drop a few pages, at least, of one that was left. */
void mapped_tidy(struct mappings *all, struct window *v);
/* Pages next to each other; where the host has no mapping left for the hole, all of them. */
void mapped_drop_run(struct mappings *all, struct window *v, uint32_t lin, uint32_t count);

#endif
