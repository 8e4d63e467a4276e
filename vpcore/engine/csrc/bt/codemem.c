/* codemem.c: executable memory, see codemem.h. */
#define _GNU_SOURCE
#include "codemem.h"
#include "fail.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Set, it makes the named step fail as a hardened host does; for tests. */
#define FAIL_ENV "VPCORE_CODEMEM_FAIL"

static bool refuse(struct codemem *c, const char *what, char *why, size_t room)
{
    snprintf(why, room, "the host gives no executable memory (%s: %s)", what, strerror(errno));
    codemem_destroy(c);
    return false;
}

static uint8_t *map(int fd, size_t size, int prot, const char *step)
{
    void *at =
        told_to_fail(FAIL_ENV, step, EACCES) ? MAP_FAILED : mmap(NULL, size, prot, MAP_SHARED | MAP_NORESERVE, fd, 0);

    return at == MAP_FAILED ? NULL : at;
}

bool codemem_create(struct codemem *c, size_t size, char *why, size_t room)
{
    *c = (struct codemem){.size = size};
    int fd = told_to_fail(FAIL_ENV, "memfd", EACCES) ? -1 : memfd_create("translated-code", MFD_CLOEXEC);
    if (fd < 0) return refuse(c, "memfd_create", why, room);
    bool sized = ftruncate(fd, (off_t)size) == 0;
    if (sized) {
        c->rw = map(fd, size, PROT_READ | PROT_WRITE, "write");
        c->rx = c->rw ? map(fd, size, PROT_READ | PROT_EXEC, "exec") : NULL;
    }
    int error = errno;
    close(fd);
    errno = error;
    return c->rx || refuse(c, sized ? "mmap" : "ftruncate", why, room);
}

void codemem_destroy(struct codemem *c)
{
    if (c->rw) munmap(c->rw, c->size);
    if (c->rx) munmap(c->rx, c->size);
    *c = (struct codemem){0};
}
