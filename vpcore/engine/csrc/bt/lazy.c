/* lazy.c: see lazy.h. */
#define _GNU_SOURCE
#include "lazy.h"
#include "fail.h"
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined __has_include && __has_include(<linux/userfaultfd.h>)
#include <linux/userfaultfd.h>
#endif

#if defined UFFDIO_CONTINUE && defined UFFD_USER_MODE_ONLY /* Linux 5.13, by its headers; 5.14 for memfds */

int lazy_open(void)
{
    struct uffdio_api api = {
        .api = UFFD_API,
        .features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM,
    };
    int fd = window_told_to_fail("lazy") ? -1 : (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

    if (fd < 0 || !ioctl(fd, UFFDIO_API, &api)) return fd;
    close(fd);
    return -1;
}

/* Pages that the file has are `minor` ones, what it has not is `missing`. */
bool lazy_watch(int fd, void *at, size_t size)
{
    struct uffdio_register what = {
        .range = {(uintptr_t)at, size},
        .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR,
    };

    return !ioctl(fd, UFFDIO_REGISTER, &what);
}

bool lazy_give(int fd, void *at, size_t size)
{
    struct uffdio_continue what = {.range = {(uintptr_t)at, size}, .mode = UFFDIO_CONTINUE_MODE_DONTWAKE};

    return !ioctl(fd, UFFDIO_CONTINUE, &what);
}

#else

int lazy_open(void) { return -1; }

bool lazy_watch(int fd, void *at, size_t size)
{
    (void)fd, (void)at, (void)size;
    return false;
}

bool lazy_give(int fd, void *at, size_t size) { return lazy_watch(fd, at, size); }

#endif
