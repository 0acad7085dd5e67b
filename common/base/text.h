/* common/base/text.h - text as bytes: trimmed, taken apart, cut between characters, read from a
 * file.
 *
 * Slices borrow from the text that they were taken from. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/bytes.h"
#include "common/base/error.h"

/* Without white space at both ends. */
struct bytes text_trim(struct bytes s);

/* The next part of a text with a separator between its parts; false: there are no more. An
 * empty text has one part, an empty one. Behind the last part rest->p is NULL. */
bool text_next(struct bytes *rest, char separator, struct bytes *ret);
/* The same of a list: its items are trimmed, and empty ones left out. */
bool text_next_item(struct bytes *rest, char separator, struct bytes *ret);
/* What stands on both sides of the first separator, trimmed; false: there is none. */
bool text_split(struct bytes s, char separator, struct bytes *left, struct bytes *right);

/* How much of s is at most at_most bytes, without the begin of a UTF-8 character at its end. */
size_t text_cut(struct bytes s, size_t at_most);

/* The length of the well-formed UTF-8 sequence of two to four bytes at p (no overlong form, no
 * surrogate, at most U+10FFFF), or 0. */
static inline size_t text_utf8_length(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t left = (size_t)(end - p), len = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    unsigned char low = 0x80, high = 0xbf;

    if (u[0] < 0xc2 || u[0] > 0xf4 || left < len)
        return 0;
    if (u[0] == 0xe0)
        low = 0xa0;
    else if (u[0] == 0xed)
        high = 0x9f;
    else if (u[0] == 0xf0)
        low = 0x90;
    else if (u[0] == 0xf4)
        high = 0x8f;
    if (u[1] < low || u[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* All of a file of at most limit bytes, in a buffer that the caller releases, also after a
 * failure. ERR_FATAL 78; errno says why too, EFBIG: it is larger. */
int text_slurp(struct buf *ret, const char *path, size_t limit, struct error *err);
