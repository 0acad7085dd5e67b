/* A coefficient of 38 digits fits 128 bits, so a number is read in one pass without a text of
 * its own: leading zeros are skipped, trailing ones are only counted until a digit follows. */
#include "consumer/number.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mutation.h"

#define DECIMAL128_DIGITS 34
#define DECIMAL128_BIAS 6176
#define MIN_MAGNITUDE (-130) /* the exponent of the first digit */
#define MAX_MAGNITUDE 125
#define FAST_DIGITS 18 /* never overflows int64 */

struct decimal { /* coefficient * 10^exponent, no trailing zeros; zero has no digits */
    unsigned __int128 coefficient;
    int64_t exponent;
    unsigned digits;
    bool negative;
};

struct scan {
    const char *p;
    const char *end;
};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static bool sign_read(struct scan *scan)
{
    if (scan->p < scan->end && (*scan->p == '-' || *scan->p == '+'))
        return *scan->p++ == '-';
    return false;
}

/* A run of digits goes to the coefficient. Returns the length of the run, or -1: too many. */
static int64_t digits_read(struct scan *scan, struct decimal *decimal, int64_t *zeros)
{
    const char *from = scan->p;

    for (; scan->p < scan->end && is_digit(*scan->p); scan->p++) {
        if (*scan->p == '0') {
            *zeros += decimal->digits > 0;
            continue;
        }
        if (decimal->digits + *zeros + 1 > NUMBER_MAX_DIGITS)
            return -1;
        decimal->digits += (unsigned)*zeros + 1;
        for (; *zeros > 0; --*zeros)
            decimal->coefficient *= 10;
        decimal->coefficient = decimal->coefficient * 10 + (unsigned)(*scan->p - '0');
    }
    return scan->p - from;
}

/* [eE][+-]digits, or nothing. An exponent is cut at a size that no number can have. */
static bool exponent_read(struct scan *scan, int64_t *exponent)
{
    const char *from;
    bool negative;
    int64_t n = 0;

    if (scan->p == scan->end)
        return true;
    if (*scan->p != 'e' && *scan->p != 'E')
        return false;
    scan->p++;
    negative = sign_read(scan);
    for (from = scan->p; scan->p < scan->end && is_digit(*scan->p); scan->p++)
        n = MIN(n * 10 + (*scan->p - '0'), INT32_MAX);
    *exponent += negative ? -n : n;
    return scan->p > from && scan->p == scan->end;
}

static bool magnitude_ok(const struct decimal *decimal)
{
    int64_t magnitude = decimal->exponent + decimal->digits - 1;

    return magnitude >= MIN_MAGNITUDE && magnitude <= MAX_MAGNITUDE;
}

static bool decimal_read(struct decimal *ret, struct bytes text)
{
    struct scan scan = {text.p, text.p + text.len};
    struct decimal decimal = {.negative = sign_read(&scan)};
    int64_t zeros = 0, whole, fraction = 0;

    whole = digits_read(&scan, &decimal, &zeros);
    if (scan.p < scan.end && *scan.p == '.') {
        scan.p++;
        fraction = digits_read(&scan, &decimal, &zeros);
    }
    if (whole < 0 || fraction < 0 || whole + fraction == 0)
        return false;
    decimal.exponent = zeros - fraction;
    if (!exponent_read(&scan, &decimal.exponent))
        return false;
    if (!decimal.digits)
        decimal = (struct decimal){0}; /* one zero, whatever its sign and exponent */
    else if (!magnitude_ok(&decimal))
        return false;
    *ret = decimal;
    return true;
}

/* The coefficient itself when it is an integer of int64; the sign is still apart. */
static bool integer_of(const struct decimal *decimal, int64_t *ret)
{
    unsigned __int128 n = decimal->coefficient;

    if (decimal->exponent < 0 || decimal->exponent + decimal->digits > 19)
        return false;
    for (int64_t i = 0; i < decimal->exponent; i++)
        n *= 10;
    if (n > (unsigned __int128)INT64_MAX + decimal->negative)
        return false;
    *ret = decimal->negative ? (int64_t) - (uint64_t)n : (int64_t)n;
    return true;
}

static bson_decimal128_t decimal128_of(const struct decimal *decimal)
{
    uint64_t exponent = (uint64_t)(decimal->exponent + DECIMAL128_BIAS);

    return (bson_decimal128_t){
        .low = (uint64_t)decimal->coefficient,
        .high = (uint64_t)decimal->negative << 63 | exponent << 49 |
                (uint64_t)(decimal->coefficient >> 64),
    };
}

static void set_integer(struct number *ret, int64_t n)
{
    ret->type = n >= INT32_MIN && n <= INT32_MAX ? NUMBER_INT32 : NUMBER_INT64;
    ret->integer = n;
}

/* What most numbers are: a few digits, perhaps a minus. */
static bool short_integer(struct number *ret, struct bytes text)
{
    const char *p = text.p, *end = text.p + text.len;
    bool negative = text.len && *p == '-';
    int64_t n = 0;

    p += negative;
    if (p == end || end - p > FAST_DIGITS)
        return false;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return false;
        n = n * 10 + (*p - '0');
    }
    set_integer(ret, negative ? -n : n);
    return true;
}

static void exact_of(struct number *ret, const struct decimal *decimal)
{
    int64_t n;

    if (integer_of(decimal, &n)) {
        set_integer(ret, n);
    } else if (decimal->digits <= DECIMAL128_DIGITS) {
        ret->type = NUMBER_DECIMAL128;
        ret->decimal = decimal128_of(decimal);
    } else {
        ret->type = NUMBER_TEXT;
    }
}

static bool exact_through_double(struct number *ret, struct bytes text)
{
    struct decimal decimal;
    double value;
    char shown[32];

    if (!number_double(&value, text))
        return false;
    snprintf(shown, sizeof(shown), "%.17g", value);
    if (!decimal_read(&decimal, bytes_of(shown)))
        return false;
    exact_of(ret, &decimal);
    return true;
}

bool number_exact(struct number *ret, struct bytes text)
{
    struct decimal decimal;

    if (MUTATED(number))
        return exact_through_double(ret, text);
    if (short_integer(ret, text))
        return true;
    if (!decimal_read(&decimal, text))
        return false;
    exact_of(ret, &decimal);
    return true;
}

bool number_valid(struct bytes text)
{
    struct number fast;
    struct decimal decimal;

    return short_integer(&fast, text) || decimal_read(&decimal, text);
}

/* strtod rounds right; a text without a point is the same in every locale. */
static double double_by_text(const struct decimal *decimal)
{
    char text[64], *p = text + sizeof(text) - 8;
    unsigned __int128 n = decimal->coefficient;

    snprintf(p, 8, "E%d", (int)decimal->exponent);
    do {
        *--p = (char)('0' + (int)(n % 10));
        n /= 10;
    } while (n);
    return strtod(p, NULL);
}

bool number_double(double *ret, struct bytes text)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal decimal;
    double value;

    if (!decimal_read(&decimal, text))
        return false;
    /* Both parts are exact doubles, so one operation rounds once. */
    if (decimal.coefficient > (1ULL << 53) || decimal.exponent > 22 || decimal.exponent < -22)
        value = double_by_text(&decimal);
    else if (decimal.exponent < 0)
        value = (double)(uint64_t)decimal.coefficient / powers[-decimal.exponent];
    else
        value = (double)(uint64_t)decimal.coefficient * powers[decimal.exponent];
    *ret = decimal.negative ? -value : value;
    return true;
}
