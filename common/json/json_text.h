/* common/json/json_text.h - what stands between the quotes of a JSON string: raw, as the reader
 * hands it out, and unescaped. Pure. */
#pragma once

#include <stdbool.h>

#include "common/base/bytes.h"

/* Is a raw string equal to this text (unescapes when needed)? */
bool json_raw_is_slow(struct bytes raw, struct bytes text);

static inline bool json_raw_is(struct bytes raw, struct bytes text)
{
    if (raw.len < text.len) /* every escape is longer than what it stands for */
        return false;
    if (text.len && raw.p[0] != text.p[0] && raw.p[0] != '\\')
        return false;
    return json_raw_is_slow(raw, text);
}

/* Appends the unescaped string as UTF-8. NUL comes out as a zero byte. Lone surrogates can't be
 * UTF-8: they come out in the three-byte form (WTF-8) and *lone becomes true (it is never made
 * false here, so that one flag serves several strings; NULL is fine). raw must come from
 * json_reader. */
void json_unescape(struct buf *out, struct bytes raw, bool *lone);
/* The same as a string of its own, with a zero behind it; the caller frees. ret_len: NULL is
 * fine where a NUL inside may cut it. */
char *json_unescape_dup(struct bytes raw, size_t *ret_len);

/* Appends s (WTF-8) in quotes as JSON.stringify writes it: short escapes for \b \f \n \r \t \"
 * \\, \u00xx in lower case for other controls, lone surrogates as \udxxx, all else as it is.
 * Always legal JSON: a byte that belongs to no character becomes U+FFFD. */
void json_stringify(struct buf *out, struct bytes s);

/* The value of the first top level member of this name; nothing behind it is looked at. false:
 * absent, or the text is no object (up to there). */
bool json_member(struct bytes object, const char *name, struct bytes *value);
