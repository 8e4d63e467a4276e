/* map.c: see map.h. */
#include "map.h"
#include "../mem.h"
#include "bt.h"
#include <stdlib.h>

FILE *map_open(void)
{
    const char *path = getenv(MAP_ENV);

    FILE *f = path ? fopen(path, "we") : NULL;

    if (f) setvbuf(f, NULL, _IOLBF, 0);
    return f;
}

static void list(FILE *map, struct vp_vm *m, const struct block *b, uint32_t eip, unsigned count)
{
    enum { ROOM = 96 };
    char text[ROOM];

    for (unsigned k = 0; k < count; k++) {
        const struct insn *i = &b->insns[k];
        const uint8_t *code = mem_read_ptr(m, b->phys + i->off);
        if (!code || !i->len) return;
        if (vp_disas(code, i->len, b->code32 ? 32 : 16, eip + i->off, text, sizeof text) <= 0) return;
        fprintf(map, "#%x %s\n", eip + i->off, text);
    }
}

void map_add(FILE *map, struct vp_vm *m, const struct block *b, uint32_t eip, unsigned count, const uint8_t *from,
             const uint8_t *to)
{
    fprintf(map, "%lx %lx guest_%x_%s\n", (unsigned long)(uintptr_t)from, (unsigned long)(to - from), eip,
            m->view & VIEW_WINDOW ? "window" : "flat");
    list(map, m, b, eip, count);
}
