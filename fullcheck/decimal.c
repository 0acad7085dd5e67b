#include "fullcheck/decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPONENT_AT_MOST 1000000

/* ---- reading ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct scanner {
    const char *p, *end;
    char *digits;
    size_t count;    /* of all digits */
    size_t fraction; /* of those behind the point */
};

static bool take(struct scanner *scanner, char c)
{
    if (scanner->p == scanner->end || *scanner->p != c)
        return false;
    scanner->p++;
    return true;
}

static size_t take_digits(struct scanner *scanner)
{
    size_t before = scanner->count;

    while (scanner->p < scanner->end && is_digit(*scanner->p))
        scanner->digits[scanner->count++] = *scanner->p++;
    return scanner->count - before;
}

/* e, sign and digits, or nothing. One that is too large for any use is cut. */
static bool take_exponent(struct scanner *scanner, int64_t *ret)
{
    bool negative;
    int64_t value = 0;
    const char *from;

    *ret = 0;
    if (!take(scanner, 'e') && !take(scanner, 'E'))
        return true;
    negative = take(scanner, '-');
    if (!negative)
        take(scanner, '+');
    for (from = scanner->p; scanner->p < scanner->end && is_digit(*scanner->p); scanner->p++)
        if (value <= EXPONENT_AT_MOST)
            value = value * 10 + (*scanner->p - '0');
    *ret = negative ? -value : value;
    return scanner->p > from;
}

static void normalize(struct decimal *d)
{
    struct bytes *digits = &d->digits;

    while (digits->len && digits->p[0] == '0') {
        digits->p++;
        digits->len--;
    }
    while (digits->len && digits->p[digits->len - 1] == '0') {
        digits->len--;
        d->exponent++;
    }
    if (!digits->len)
        *d = (struct decimal){.digits = *digits};
}

bool decimal_read(struct decimal *ret, struct bytes text, char *digits)
{
    struct scanner scanner = {.p = text.p, .end = text.p + text.len, .digits = digits};
    struct decimal d;
    int64_t exponent;
    bool negative = take(&scanner, '-');

    if (!negative)
        take(&scanner, '+');
    take_digits(&scanner);
    if (take(&scanner, '.'))
        scanner.fraction = take_digits(&scanner);
    if (!scanner.count || !take_exponent(&scanner, &exponent) || scanner.p != scanner.end)
        return false;
    d = (struct decimal){
        negative, (int32_t)(exponent - (int64_t)scanner.fraction), {digits, scanner.count}};
    normalize(&d);
    if (d.digits.len && (exponent > EXPONENT_AT_MOST || exponent < -EXPONENT_AT_MOST))
        return false;
    *ret = d;
    return true;
}

bool decimal_of_double(struct decimal *ret, double value, char *digits)
{
    char text[DECIMAL_OF_DOUBLE_BYTES];
    int exponent, len;

    if (!isfinite(value))
        return false;
    frexp(value, &exponent);
    /* as many digits behind the point as bits; glibc writes every one */
    len =
        snprintf(text, sizeof(text), "%.*f", MIN(MAX(DBL_MANT_DIG - exponent, 0), 1074), value);
    return decimal_read(ret, (struct bytes){text, (size_t)len}, digits);
}

/* ---- comparing ---- */

bool decimal_equal(const struct decimal *a, const struct decimal *b)
{
    return a->negative == b->negative && a->exponent == b->exponent &&
           bytes_equal(a->digits, b->digits);
}

int decimal_order(const struct decimal *a, const struct decimal *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -1 : 1;
    if (a->digits.len != b->digits.len)
        return a->digits.len < b->digits.len ? -1 : 1;
    return a->digits.len ? memcmp(a->digits.p, b->digits.p, a->digits.len) : 0;
}

double decimal_to_double(const struct decimal *d)
{
    AUTO(buf_release) struct buf text = {.ceiling = d->digits.len + 64};

    buf_printf(&text, "%s", d->negative ? "-" : "");
    buf_bytes(&text, d->digits.len ? d->digits : BYTES_LIT("0"));
    buf_printf(&text, "e%d", d->exponent);
    return strtod(buf_cstr(&text), NULL);
}

/* ---- writing ---- */

static void zeros(struct buf *out, int64_t n)
{
    while (n-- > 0)
        buf_char(out, '0');
}

void decimal_plain(struct buf *out, const struct decimal *d)
{
    int64_t len = (int64_t)d->digits.len, point = len + d->exponent;

    if (!len) {
        buf_char(out, '0');
        return;
    }
    if (d->negative)
        buf_char(out, '-');
    if (point <= 0) {
        buf_lit(out, "0.");
        zeros(out, -point);
        buf_bytes(out, d->digits);
    } else if (point >= len) {
        buf_bytes(out, d->digits);
        zeros(out, point - len);
    } else {
        buf_append(out, d->digits.p, (size_t)point);
        buf_char(out, '.');
        buf_append(out, d->digits.p + point, (size_t)(len - point));
    }
}
