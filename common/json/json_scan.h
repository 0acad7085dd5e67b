/* common/json/json_scan.h - the inner loops over the bytes of a JSON string, for json_reader
 * and json_text alone. Portable C with an SSE2 path; nothing reads past end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool json_is_plain(char c)
{
    return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

#ifdef __SSE2__
/* A bit for each of 16 bytes that is not plain. */
static inline unsigned json_odd_bytes(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    /* signed, so that bytes from 0x80 are less than a space too */
    __m128i odd = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)),
                               _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                            _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));

    return (unsigned)_mm_movemask_epi8(odd);
}
#endif

/* The first byte that is a quote, a backslash, a control or not ASCII. Most strings end within
 * 32 bytes: one look, whose branch is nearly always the same. */
static inline const char *json_plain_end(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 32; p += 32) {
        unsigned odd = json_odd_bytes(p) | json_odd_bytes(p + 16) << 16;

        if (odd)
            return p + __builtin_ctz(odd);
    }
#endif
    while (p < end && json_is_plain(*p))
        p++;
    return p;
}
