/* common/base64.c - base64 of RFC 4648 with padding; the one place (declared in ddb_value.h).
 */
#include "common/ddb_value.h"

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct bytes data)
{
    const unsigned char *u = (const unsigned char *)data.p;
    size_t len = (data.len + 2) / 3 * 4;
    char *to;

    if (!len || !buf_reserve(out, len))
        return;
    to = out->p + out->len;
    for (size_t i = 0; i < data.len; i += 3, to += 4) {
        size_t left = data.len - i;
        unsigned v = (unsigned)u[i] << 16;

        if (left > 1)
            v |= (unsigned)u[i + 1] << 8;
        if (left > 2)
            v |= u[i + 2];
        to[0] = letters[v >> 18];
        to[1] = letters[v >> 12 & 63];
        to[2] = left > 1 ? letters[v >> 6 & 63] : '=';
        to[3] = left > 2 ? letters[v & 63] : '=';
    }
    out->len += len;
}

/* 0 to 63, or 64 for a byte that is no letter of the alphabet. */
static unsigned letter_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Four letters, the last `pad` of them '='. The number of bytes, or 0. */
static size_t decode_group(unsigned char to[3], const char *p, size_t pad)
{
    unsigned v = 0;

    for (size_t i = 0; i < 4 - pad; i++) {
        unsigned value = letter_value(p[i]);

        if (value == 64)
            return 0;
        v |= value << (18 - 6 * i);
    }
    if (v & ((1u << 8 * pad) - 1)) /* bits that stand for nothing: a second spelling */
        return 0;
    to[0] = (unsigned char)(v >> 16);
    to[1] = (unsigned char)(v >> 8);
    to[2] = (unsigned char)v;
    return 3 - pad;
}

static size_t padding(struct bytes text)
{
    if (!text.len || text.p[text.len - 1] != '=')
        return 0;
    return text.p[text.len - 2] == '=' ? 2 : 1;
}

int base64_decode(struct buf *out, struct bytes text, struct error *err)
{
    size_t before = out ? out->len : 0, pad;

    if (text.len % 4)
        return error_set(err, ERR_DATA, "base64 of %zu characters", text.len);
    if (out && !buf_reserve(out, text.len / 4 * 3))
        return error_set(err, ERR_DATA, "base64 longer than its buffer may be");
    pad = padding(text);
    for (size_t i = 0; i < text.len; i += 4) {
        unsigned char group[3];
        size_t n = decode_group(group, text.p + i, i + 4 == text.len ? pad : 0);

        if (n && out)
            buf_append(out, group, n);
        if (n)
            continue;
        if (out)
            out->len = before;
        return error_set(err, ERR_DATA, "no canonical base64 at character %zu", i);
    }
    return 0;
}
