#include "common/base/base64.h"

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

/* The letter's place in the alphabet, plus one; 0: it is none. */
static const unsigned char places[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
    ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
    ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
    ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
    ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
    ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
    ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
    ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
    ['/'] = 64};

/* 0 to 63, or far more for a byte that is no letter of the alphabet. */
static inline unsigned letter_value(char c)
{
    return places[(unsigned char)c] - 1u;
}

/* Four letters, the last `pad` of them '='. The number of bytes, or 0. */
static size_t decode_group(unsigned char to[3], const char *p, size_t pad)
{
    unsigned v = 0;

    for (size_t i = 0; i < 4 - pad; i++) {
        unsigned value = letter_value(p[i]);

        if (value > 63)
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

/* Four letters without padding. */
static inline bool decode_whole(unsigned char to[3], const char *p)
{
    unsigned a = letter_value(p[0]), b = letter_value(p[1]), c = letter_value(p[2]),
             d = letter_value(p[3]), v = a << 18 | b << 12 | c << 6 | d;

    to[0] = (unsigned char)(v >> 16);
    to[1] = (unsigned char)(v >> 8);
    to[2] = (unsigned char)v;
    return (a | b | c | d) <= 63;
}

static size_t padding(struct bytes text)
{
    if (text.p[text.len - 1] != '=')
        return 0;
    return text.p[text.len - 2] == '=' ? 2 : 1;
}

static int refuse(size_t at, struct error *err)
{
    return error_set(err, ERR_DATA, "no canonical base64 at character %zu", at);
}

int base64_decode(struct buf *out, struct bytes text, struct error *err)
{
    unsigned char group[3], *to = group;
    size_t step = out ? 3 : 0, i = 0, n;

    if (text.len % 4)
        return error_set(err, ERR_DATA, "base64 of %zu characters", text.len);
    if (!text.len)
        return 0;
    if (out && !buf_reserve(out, text.len / 4 * 3))
        return error_set(err, ERR_DATA, "base64 longer than its buffer may be");
    if (out)
        to = (unsigned char *)out->p + out->len;
    for (; i + 4 < text.len; i += 4, to += step)
        if (!decode_whole(to, text.p + i))
            return refuse(i, err);
    n = decode_group(to, text.p + i, padding(text));
    if (!n)
        return refuse(i, err);
    if (out)
        out->len += text.len / 4 * 3 - (3 - n);
    return 0;
}
