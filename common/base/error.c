#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/check.h"

int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
    va_list ap;

    err->kind = kind;
    err->code = 0;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, ap);
    va_end(ap);
    return -1;
}

int error_fatal(struct error *err, int exit_code, const char *fmt, ...)
{
    va_list ap;

    err->kind = ERR_FATAL;
    err->code = exit_code;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, ap);
    va_end(ap);
    return -1;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    char whole[sizeof(err->message)];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(whole, sizeof(whole), fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    if ((size_t)n < sizeof(whole))
        snprintf(whole + n, sizeof(whole) - (size_t)n, ": %s", err->message);
    memcpy(err->message, whole, sizeof(whole));
    return -1;
}
