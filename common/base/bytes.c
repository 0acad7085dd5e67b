#include "common/base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"

void buf_init(struct buf *b, size_t ceiling)
{
    *b = (struct buf){.ceiling = ceiling};
}

void buf_release(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.ceiling = b->ceiling};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->overflow = false;
}

bool buf_reserve_slow(struct buf *b, size_t more)
{
    size_t cap = b->cap ? b->cap : 256;

    if (b->overflow || more > b->ceiling || b->len > b->ceiling - more) {
        b->overflow = true;
        return false;
    }
    while (cap < b->len + more)
        cap *= 2;
    cap = MIN(cap, b->ceiling);
    b->p = xrealloc(b->p, cap);
    b->cap = cap;
    return true;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    if (buf_reserve(b, (size_t)n + 1)) {
        vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

const char *buf_cstr(struct buf *b)
{
    if (!buf_reserve(b, 1))
        return "";
    b->p[b->len] = '\0';
    return b->p;
}
