/* common/base/check.h - invariants that stay on in every build.
 *
 * CHECK is for programmers' errors only: never for what the network or a user sent. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond)                                                                            \
    do {                                                                                       \
        if (!(cond))                                                                           \
            check_failed(#cond, __FILE__, __LINE__, __func__);                                 \
    } while (0)

_Noreturn static inline void check_failed(const char *cond, const char *file, int line,
                                          const char *func)
{
    fprintf(stderr, "CHECK failed: %s at %s:%d in %s\n", cond, file, line, func);
    abort();
}
