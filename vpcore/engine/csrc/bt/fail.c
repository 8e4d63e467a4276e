/* fail.c: see fail.h. */
#include "fail.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool told_to_fail(const char *variable, const char *step, int error)
{
    const char *wanted = getenv(variable);

    if (!wanted || strcmp(wanted, step)) return false;
    errno = error;
    return true;
}

bool window_told_to_fail(const char *step) { return told_to_fail("VPCORE_WINDOW_FAIL", step, ENOMEM); }
