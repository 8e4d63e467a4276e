/* fail.h: steps that tests make fail, as a host with little to give does. */
#ifndef VP_FAIL_H
#define VP_FAIL_H
#include <stdbool.h>

/* Whether the environment variable names this step, which is then to fail with that errno. */
bool told_to_fail(const char *variable, const char *step, int error);
/* The same by VPCORE_WINDOW_FAIL, with ENOMEM: `memfd`, `reserve`, `hole`, `map`, `fsgsbase`, `timer`, `sigreturn`,
 * `lazy`. */
bool window_told_to_fail(const char *step);

#endif
