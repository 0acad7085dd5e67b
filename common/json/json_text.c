#include "common/json/json_text.h"

#include <string.h>

#include "common/json/json_reader.h"
#include "common/base/text.h"
#include "common/json/json_scan.h"

static unsigned hex4(const char *p)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return value;
}

/* 1 to 4 bytes; a surrogate gets the three that it would have (WTF-8). */
static size_t utf8_put(char out[4], unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The character of the escape at *p (which was checked), a pair of surrogates as one. */
static unsigned escaped_char(const char **p, const char *end)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    char c = (*p)[1];
    const char *at = strchr(names, c);
    unsigned high, low;

    if (c != 'u') {
        *p += 2;
        return (unsigned)(at ? values[at - names] : c);
    }
    high = hex4(*p + 2);
    *p += 6;
    if (high < 0xd800 || high > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return high;
    low = hex4(*p + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return high;
    *p += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The next run of the string: a slice of the text itself up to a backslash, or one unescaped
 * character in `room`. */
static struct bytes next_run(const char **p, const char *end, char room[4], bool *lone)
{
    const char *from = *p, *backslash = memchr(from, '\\', (size_t)(end - from));
    unsigned c;

    if (backslash != from) {
        *p = backslash ? backslash : end;
        return (struct bytes){from, (size_t)(*p - from)};
    }
    c = escaped_char(p, end);
    if (c >= 0xd800 && c <= 0xdfff && lone)
        *lone = true;
    return (struct bytes){room, utf8_put(room, c)};
}

void json_unescape(struct buf *out, struct bytes raw, bool *lone)
{
    const char *p = raw.len ? raw.p : "", *end = p + raw.len;
    char room[4];

    while (p < end)
        buf_bytes(out, next_run(&p, end, room, lone));
}

char *json_unescape_dup(struct bytes raw, size_t *ret_len)
{
    struct buf text;

    buf_init(&text, raw.len + 1); /* no escape is shorter than what it stands for */
    json_unescape(&text, raw, NULL);
    buf_cstr(&text);
    if (ret_len)
        *ret_len = text.len;
    return text.p;
}

bool json_raw_is_slow(struct bytes raw, struct bytes text)
{
    const char *p = raw.len ? raw.p : "", *end = p + raw.len;
    char room[4];

    if (!memchr(p, '\\', raw.len))
        return bytes_equal(raw, text);
    while (p < end) {
        struct bytes run = next_run(&p, end, room, NULL);

        if (run.len > text.len || memcmp(run.p, text.p, run.len) != 0)
            return false;
        text.p += run.len;
        text.len -= run.len;
    }
    return text.len == 0;
}

/* Is this the three-byte form of a surrogate? */
static bool is_surrogate(const unsigned char *u, size_t left)
{
    return left >= 3 && u[0] == 0xed && u[1] >= 0xa0 && u[1] <= 0xbf && (u[2] & 0xc0) == 0x80;
}

static void stringify_control(struct buf *out, char c)
{
    static const char controls[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
    const char *at = c ? strchr(controls, c) : NULL;

    if (at)
        buf_append(out, (const char[]){'\\', names[at - controls]}, 2);
    else
        buf_printf(out, "\\u%04x", (unsigned)c);
}

/* The character at u, which is not plain ASCII; returns its length. */
static size_t stringify_char(struct buf *out, const unsigned char *u, size_t left)
{
    size_t len;

    if (u[0] < 0x80) {
        stringify_control(out, (char)u[0]);
        return 1;
    }
    if (is_surrogate(u, left)) {
        buf_printf(out, "\\u%04x", 0xd000u | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu));
        return 3;
    }
    len = text_utf8_length((const char *)u, (const char *)u + left);
    if (len)
        buf_append(out, u, len);
    else
        buf_lit(out, "\xef\xbf\xbd");
    return len ? len : 1;
}

void json_stringify(struct buf *out, struct bytes s)
{
    const char *p = s.len ? s.p : "", *end = p + s.len;

    buf_char(out, '"');
    while (p < end) {
        const char *stop = json_plain_end(p, end);

        buf_append(out, p, (size_t)(stop - p));
        p = stop;
        if (p < end)
            p += stringify_char(out, (const unsigned char *)p, (size_t)(end - p));
    }
    buf_char(out, '"');
}

bool json_member(struct bytes object, const char *name, struct bytes *value)
{
    struct json_reader r;
    struct bytes found;

    json_reader_init(&r, object);
    json_object_begin(&r);
    while (json_object_next(&r, &found)) {
        if (json_raw_is(found, bytes_of(name)))
            return json_skip(&r, value);
        json_skip(&r, NULL);
    }
    return false;
}
