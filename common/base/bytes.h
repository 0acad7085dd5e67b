/* common/base/bytes.h - a borrowed slice of bytes, and a buffer that grows up to a ceiling.
 *
 * Payloads are bytes with a length, never C strings. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/auto.h"

struct bytes { /* borrowed until the call returns, unless its owner says otherwise */
    const char *p;
    size_t len;
};

#define BYTES_LIT(s) ((struct bytes){(s), sizeof(s) - 1})
#define BYTES_FMT "%.*s" /* for printf, with BYTES_ARG(b) */
#define BYTES_ARG(b) (int)(b).len, (b).p

static inline struct bytes bytes_of(const char *s)
{
    return (struct bytes){s, s ? strlen(s) : 0};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

#define bytes_is(b, lit) bytes_equal((b), BYTES_LIT(lit))

static inline char *bytes_dup(struct bytes b) /* a C string of its own */
{
    return xstrndup(b.p ? b.p : "", b.len);
}

/* A buffer. Past its ceiling `overflow` is set and nothing more is appended: the owner looks
 * once at the end. p is not zero terminated unless buf_cstr was called. */
struct buf {
    char *p;
    size_t len;
    size_t cap;
    size_t ceiling;
    bool overflow;
};

void buf_init(struct buf *b, size_t ceiling);
void buf_release(struct buf *b);
/* Empty again, memory kept. */
void buf_reset(struct buf *b);
bool buf_reserve_slow(struct buf *b, size_t more);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *buf_cstr(struct buf *b);

static inline bool buf_reserve(struct buf *b, size_t more)
{
    return b->cap - b->len >= more || buf_reserve_slow(b, more);
}

static inline void buf_append(struct buf *b, const void *p, size_t n)
{
    if (n && buf_reserve(b, n)) {
        memcpy(b->p + b->len, p, n);
        b->len += n;
    }
}

static inline void buf_bytes(struct buf *b, struct bytes s)
{
    buf_append(b, s.p, s.len);
}

#define buf_lit(b, s) buf_append((b), (s), sizeof(s) - 1)

static inline void buf_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

static inline struct bytes buf_slice(const struct buf *b)
{
    return (struct bytes){b->p, b->len};
}
