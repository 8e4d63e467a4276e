/* profile.c: samples and exit counts, see profile.h. */
#include "profile.h"
#include "isa.h"
#include "mem.h"
#include "mmu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PLACE_BITS = 12, PLACES_MOST = 1 << PLACE_BITS, PLACES_FULL = PLACES_MOST / 4 * 3 };

struct profile {
    uint64_t last; /* ns at the last look, 0 before the first */
    uint64_t others;
    unsigned used;
    uint64_t exits[OP_COUNT][2]; /* [refused by a window] */
    vp_place places[PLACES_MOST]; /* open addressing; free where looks is 0 */
};

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* The entry of a place, or the free one for it. */
static vp_place *slot_of(vp_place *places, uint32_t linear, uint64_t phys)
{
    unsigned k = (linear ^ (uint32_t)phys * 0x9e3779b1u) * 0x9e3779b1u >> (32 - PLACE_BITS);

    while (places[k].looks && (places[k].linear != linear || places[k].phys != phys)) k = (k + 1) % PLACES_MOST;
    return &places[k];
}

/* The table is full: keep what is hotter than the mean. */
static void thin_out(struct profile *p)
{
    vp_place *old = malloc(sizeof p->places);
    uint64_t sum = 0;

    if (!old) return;
    memcpy(old, p->places, sizeof p->places);
    memset(p->places, 0, sizeof p->places);
    for (unsigned k = 0; k < PLACES_MOST; k++) sum += old[k].ns;
    unsigned used = p->used;
    p->used = 0;
    for (unsigned k = 0; k < PLACES_MOST; k++) {
        if (!old[k].looks) continue;
        if (old[k].ns > sum / used) {
            *slot_of(p->places, old[k].linear, old[k].phys) = old[k];
            p->used++;
        } else {
            p->others += old[k].ns;
        }
    }
    free(old);
}

static void describe(struct vp_vm *m, vp_place *at, uint32_t linear, int64_t phys)
{
    uint32_t room = PAGE_SIZE - (linear & ~PAGE_MASK);

    *at = (vp_place){.linear = linear, .phys = (uint64_t)phys, .cpl = m->cpl, .bits = m->code32 ? 32 : 16};
    at->protected_mode = m->cpu.cr0 & 1;
    const uint8_t *code = phys < 0 ? NULL : mem_read_ptr(m, (uint64_t)phys);
    if (!code) return;
    at->size = room < sizeof at->code ? (uint8_t)room : sizeof at->code;
    memcpy(at->code, code, at->size);
}

void profile_start(struct vp_vm *m) { m->profile->last = now(); }

void profile_look(struct vp_vm *m)
{
    struct profile *p = m->profile;
    uint32_t linear = m->cpu.seg[VP_CS].base + m->cpu.eip;
    int64_t phys = mmu_probe(m, linear);
    vp_place *at = slot_of(p->places, linear, (uint64_t)phys);
    uint64_t ns = now(), took = ns - p->last;

    p->last = ns;
    if (!at->looks) {
        if (p->used == PLACES_FULL) {
            thin_out(p);
            at = slot_of(p->places, linear, (uint64_t)phys);
        }
        if (p->used == PLACES_FULL) {
            p->others += took;
            return;
        }
        describe(m, at, linear, phys);
        p->used++;
    }
    at->looks++;
    at->ns += took;
}

void profile_exit(struct vp_vm *m, const struct insn *i, bool refused)
{
    if (i->op < OP_COUNT) m->profile->exits[i->op][refused]++;
}

void profile_destroy(struct vp_vm *m)
{
    free(m->profile);
    m->profile = NULL;
}

/* -- vp.h --------------------------------------------------------------------------------------------------------- */

int vp_profile(vp_vm *m, int on)
{
    profile_destroy(m);
    if (!on) return 0;
    m->profile = calloc(1, sizeof *m->profile);
    if (m->profile) return 0;
    snprintf(m->error, sizeof m->error, "no memory for a profile");
    return -1;
}

uint32_t vp_profile_places(vp_vm *m, vp_place *out, uint32_t most, uint64_t *others)
{
    const struct profile *p = m->profile;
    uint32_t count = 0;

    *others = p ? p->others : 0;
    for (unsigned k = 0; p && k < PLACES_MOST && count < most; k++)
        if (p->places[k].looks) out[count++] = p->places[k];
    return count;
}

uint32_t vp_profile_exits(vp_vm *m, uint32_t op, uint64_t *count, uint64_t *refused, const char **name)
{
    if (op >= OP_COUNT) return 0;
    *count = m->profile ? m->profile->exits[op][0] : 0;
    *refused = m->profile ? m->profile->exits[op][1] : 0;
    *name = op_info[op].text[1] ? op_info[op].text[1] : "";
    return 1;
}
