#include "common/json/json_reader.h"

#include <string.h>

#include "common/base/text.h"
#include "common/json/json_scan.h"

void json_reader_init(struct json_reader *r, struct bytes text)
{
    const char *p = text.p ? text.p : "";

    *r = (struct json_reader){.p = p, .begin = p, .end = p + text.len};
}

/* The first failure stays. The text ends where it happened, so that every later call fails by
 * itself and the hot path needs no look at `failed`. */
static const char *fail(struct json_reader *r, const char *at, const char *what)
{
    if (!r->failed) {
        r->failed = what;
        r->p = r->end = at;
    }
    return NULL;
}

bool json_failed(const struct json_reader *r)
{
    return r->failed != NULL;
}

int json_reader_error(const struct json_reader *r, struct error *err)
{
    return error_set(err, ERR_DATA, "JSON: %s at byte %zu",
                     r->failed ? r->failed : "not what was expected",
                     (size_t)(r->p - r->begin));
}

/* ---- tokens: each takes the first byte and returns the one behind, or NULL and failed ---- */

/* NUL is legal nowhere outside of a string's escapes, so it can stand for the end. */
static inline char byte_at(const char *p, const char *end)
{
    return p < end ? *p : '\0';
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline const char *space_end(const char *p, const char *end)
{
    while (p < end && is_space(*p))
        p++;
    return p;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX, or -1. */
static int hex4(const char *p, const char *end)
{
    int value = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static const char *escape_end(struct json_reader *r, const char *p)
{
    char c = byte_at(p + 1, r->end);

    if (c == 'u')
        return hex4(p + 2, r->end) >= 0 ? p + 6
                                        : fail(r, p, "a \\u escape without four hex digits");
    if (c && strchr("\"\\/bfnrt", c))
        return p + 2;
    return fail(r, p, "an escape that JSON does not know");
}

/* A run of characters that are not ASCII. */
static const char *utf8_end(struct json_reader *r, const char *p)
{
    while (p < r->end && (*p & 0x80)) {
        size_t len = text_utf8_length(p, r->end);

        if (!len)
            return fail(r, p, "bytes that are not UTF-8");
        p += len;
    }
    return p;
}

/* From a byte that is not plain: the closing quote. */
static __attribute__((noinline, cold)) const char *odd_string_close(struct json_reader *r,
                                                                    const char *p)
{
    for (;;) {
        if (p == r->end)
            return fail(r, p, "the text ends in a string");
        if (*p == '"')
            return p;
        if (*p == '\\')
            p = escape_end(r, p);
        else if (*p & 0x80)
            p = utf8_end(r, p);
        else
            p = fail(r, p, "a control character in a string");
        if (!p)
            return NULL;
        p = json_plain_end(p, r->end);
    }
}

/* p is behind the opening quote; the result is the closing one. */
static inline __attribute__((always_inline)) const char *string_close(struct json_reader *r,
                                                                      const char *p)
{
    p = json_plain_end(p, r->end);
    if (p < r->end && *p == '"')
        return p;
    return odd_string_close(r, p);
}

static inline const char *digits_end(const char *p, const char *end)
{
    while (p < end && is_digit(*p))
        p++;
    return p;
}

static const char *number_end(struct json_reader *r, const char *p)
{
    const char *end = r->end, *from;

    if (byte_at(p, end) == '-')
        p++;
    from = p;
    p = digits_end(p, end);
    if (p == from)
        return fail(r, p, "a number without digits");
    if (*from == '0' && p - from > 1)
        return fail(r, from, "a number with a leading zero");
    if (byte_at(p, end) == '.') {
        from = ++p;
        p = digits_end(p, end);
        if (p == from)
            return fail(r, p, "a number without digits behind its point");
    }
    if ((byte_at(p, end) | 0x20) == 'e') {
        p++;
        if (byte_at(p, end) == '+' || byte_at(p, end) == '-')
            p++;
        from = p;
        p = digits_end(p, end);
        if (p == from)
            return fail(r, p, "a number without digits in its exponent");
    }
    return p;
}

static const char *word_end(struct json_reader *r, const char *p, struct bytes word)
{
    if ((size_t)(r->end - p) < word.len || memcmp(p, word.p, word.len) != 0)
        return fail(r, p, "a value was expected");
    return p + word.len;
}

static const char *scalar_end(struct json_reader *r, const char *p)
{
    switch (byte_at(p, r->end)) {
    case 't':
        return word_end(r, p, BYTES_LIT("true"));
    case 'f':
        return word_end(r, p, BYTES_LIT("false"));
    case 'n':
        return word_end(r, p, BYTES_LIT("null"));
    case '-':
    case '0' ... '9':
        return number_end(r, p);
    case '\0':
        if (p == r->end)
            return fail(r, p, "the text ends where a value was expected");
    }
    return fail(r, p, "a value was expected");
}

/* p may have white space before the name; the result is behind the colon. */
static inline const char *name_end(struct json_reader *r, const char *p, struct bytes *name)
{
    const char *close;

    p = space_end(p, r->end);
    if (byte_at(p, r->end) != '"')
        return fail(r, p, "a name was expected");
    p++;
    /* DynamoDB's types are names of one letter: half of all names. A branch that is foreseen
     * costs less than waiting for where the string ends. */
    if (r->end - p >= 2 && p[1] == '"' && json_is_plain(p[0]))
        close = p + 1;
    else
        close = string_close(r, p);
    if (!close)
        return NULL;
    *name = (struct bytes){p, (size_t)(close - p)};
    p = space_end(close + 1, r->end);
    if (byte_at(p, r->end) != ':')
        return fail(r, p, "a colon was expected");
    return p + 1;
}

/* The end of any value. No recursion: `nest` holds a bit for each open container, the innermost
 * lowest, 1 for an object. */
static const char *end_value(struct json_reader *r, const char *p)
{
    unsigned __int128 nest = 0;
    unsigned depth = 0, room = JSON_MAX_DEPTH - r->depth;
    struct bytes name;
    char c;

value:
    p = space_end(p, r->end);
    c = byte_at(p, r->end);
    if (c == '"') {
        p = string_close(r, p + 1);
        if (!p)
            return NULL;
        p++;
    } else if (c == '{' || c == '[') {
        if (depth == room)
            return fail(r, p, "nested too deeply");
        depth++;
        nest = nest << 1 | (c == '{');
        p = space_end(p + 1, r->end);
        if (byte_at(p, r->end) == c + 2) /* '}' and ']' stand two behind in ASCII */
            goto close;
        if (c == '{')
            goto member;
        goto value;
    } else {
        p = scalar_end(r, p);
        if (!p)
            return NULL;
    }
after:
    if (!depth)
        return p;
    p = space_end(p, r->end);
    c = byte_at(p, r->end);
    if (c == ',') {
        p++;
        if (nest & 1)
            goto member;
        goto value;
    }
    if (c != (nest & 1 ? '}' : ']'))
        return fail(r, p, nest & 1 ? "',' or '}' was expected" : "',' or ']' was expected");
close:
    p++;
    nest >>= 1;
    depth--;
    goto after;
member:
    p = name_end(r, p, &name);
    if (!p)
        return NULL;
    goto value;
}

/* ---- the pull interface ---- */

enum json_type json_peek(struct json_reader *r)
{
    r->p = space_end(r->p, r->end);
    switch (byte_at(r->p, r->end)) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    case '-':
    case '0' ... '9':
        return JSON_NUMBER;
    }
    scalar_end(r, r->p); /* which says what is wrong */
    return JSON_FAILED;
}

static bool container_begin(struct json_reader *r, char open, const char *expected)
{
    r->p = space_end(r->p, r->end);
    if (byte_at(r->p, r->end) != open)
        return fail(r, r->p, expected);
    if (r->depth == JSON_MAX_DEPTH)
        return fail(r, r->p, "nested too deeply");
    r->p++;
    r->depth++;
    r->first = true;
    return true;
}

/* Is there another element? Consumes what stands before it, or the end. */
static inline bool container_next(struct json_reader *r, char close, const char *expected)
{
    char c;

    r->p = space_end(r->p, r->end);
    c = byte_at(r->p, r->end);
    if (c == close && r->depth) {
        r->p++;
        r->depth--;
        r->first = false;
        return false;
    }
    if (r->first) {
        r->first = false;
        return r->p < r->end || fail(r, r->p, expected);
    }
    if (c != ',')
        return fail(r, r->p, expected);
    r->p++;
    return true;
}

bool json_object_begin(struct json_reader *r)
{
    return container_begin(r, '{', "an object was expected");
}

bool json_object_next(struct json_reader *r, struct bytes *name)
{
    struct bytes found;
    const char *p;

    if (!container_next(r, '}', "',' or '}' was expected"))
        return false;
    p = name_end(r, r->p, &found);
    if (!p)
        return false;
    r->p = p;
    *name = found;
    return true;
}

bool json_object_next_skip(struct json_reader *r, struct bytes *name, struct bytes *value)
{
    const char *from, *p;
    struct bytes found;

    if (!container_next(r, '}', "',' or '}' was expected"))
        return false;
    from = name_end(r, r->p, &found);
    if (!from)
        return false;
    from = space_end(from, r->end);
    p = end_value(r, from);
    if (!p)
        return false;
    r->p = p;
    *name = found;
    *value = (struct bytes){from, (size_t)(p - from)};
    return true;
}

bool json_array_begin(struct json_reader *r)
{
    return container_begin(r, '[', "an array was expected");
}

bool json_array_next(struct json_reader *r)
{
    if (!container_next(r, ']', "',' or ']' was expected"))
        return false;
    /* "[1,]": said here, since the caller may look at the value only by its type */
    r->p = space_end(r->p, r->end);
    return byte_at(r->p, r->end) != ']' || fail(r, r->p, "a value was expected");
}

/* Consumes up to end (NULL: failed) and gives the slice of the value. */
static bool take(struct json_reader *r, const char *end, struct bytes *slice)
{
    if (!end)
        return false;
    if (slice)
        *slice = (struct bytes){r->p, (size_t)(end - r->p)};
    r->p = end;
    return true;
}

bool json_string(struct json_reader *r, struct bytes *raw)
{
    const char *close;

    r->p = space_end(r->p, r->end);
    if (byte_at(r->p, r->end) != '"')
        return fail(r, r->p, "a string was expected");
    close = string_close(r, r->p + 1);
    if (!close)
        return false;
    *raw = (struct bytes){r->p + 1, (size_t)(close - r->p - 1)};
    r->p = close + 1;
    return true;
}

bool json_number(struct json_reader *r, struct bytes *text)
{
    r->p = space_end(r->p, r->end);
    return take(r, number_end(r, r->p), text);
}

bool json_int64(struct json_reader *r, int64_t *value)
{
    struct bytes text;
    int64_t n = 0;

    if (!json_number(r, &text))
        return false;
    for (size_t i = text.p[0] == '-'; i < text.len; i++) {
        if (!is_digit(text.p[i]))
            return fail(r, text.p, "an integer was expected");
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_sub_overflow(n, text.p[i] - '0', &n)) /* negative, for the least value */
            return fail(r, text.p, "an integer that does not fit");
    }
    if (text.p[0] != '-' && __builtin_sub_overflow(0, n, &n))
        return fail(r, text.p, "an integer that does not fit");
    *value = n;
    return true;
}

bool json_bool(struct json_reader *r, bool *value)
{
    enum json_type type = json_peek(r);
    bool found = byte_at(r->p, r->end) == 't';

    if (type != JSON_BOOL)
        return fail(r, r->p, "true or false was expected");
    if (!take(r, scalar_end(r, r->p), NULL))
        return false;
    *value = found;
    return true;
}

bool json_null(struct json_reader *r)
{
    if (json_peek(r) != JSON_NULL)
        return fail(r, r->p, "null was expected");
    return take(r, scalar_end(r, r->p), NULL);
}

bool json_skip(struct json_reader *r, struct bytes *slice)
{
    r->p = space_end(r->p, r->end);
    return take(r, end_value(r, r->p), slice);
}

bool json_end(struct json_reader *r)
{
    r->p = space_end(r->p, r->end);
    if (r->depth)
        fail(r, r->p, "the text was not read to its end");
    else if (r->p != r->end)
        fail(r, r->p, "more text behind the value");
    return !r->failed;
}
