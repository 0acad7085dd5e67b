#include "common/item/ddb_number.h"

#define MAX_DIGITS 38
#define MAX_EXPONENT 125 /* of the first digit: 9.99E+125 */
#define MIN_EXPONENT (-130)
#define EXPONENT_CEILING 1000000000000000 /* farther is as good, and never overflows */

/* The parts of [+-]digits[.digits][E[+-]digits]. */
struct number {
    bool negative;
    struct bytes whole;
    struct bytes fraction;
    int64_t exponent;
};

static struct bytes take_digits(struct bytes *text)
{
    struct bytes digits = {text->p, 0};

    while (digits.len < text->len && text->p[digits.len] >= '0' && text->p[digits.len] <= '9')
        digits.len++;
    text->p += digits.len;
    text->len -= digits.len;
    return digits;
}

static bool take_char(struct bytes *text, char a, char b)
{
    if (!text->len || (text->p[0] != a && text->p[0] != b))
        return false;
    text->p++;
    text->len--;
    return true;
}

/* true: the number is negative. */
static bool take_sign(struct bytes *text)
{
    return !take_char(text, '+', '+') && take_char(text, '-', '-');
}

static bool read_exponent(int64_t *ret, struct bytes *text)
{
    bool negative = take_sign(text);
    struct bytes digits = take_digits(text);
    int64_t n = 0;

    for (size_t i = 0; i < digits.len; i++)
        n = MIN(n * 10 + (digits.p[i] - '0'), EXPONENT_CEILING);
    *ret = negative ? -n : n;
    return digits.len > 0;
}

static bool read_number(struct number *n, struct bytes text)
{
    *n = (struct number){.negative = take_sign(&text), .whole = take_digits(&text)};
    if (take_char(&text, '.', '.'))
        n->fraction = take_digits(&text);
    if (n->whole.len + n->fraction.len == 0)
        return false;
    if (take_char(&text, 'e', 'E') && !read_exponent(&n->exponent, &text))
        return false;
    return text.len == 0;
}

static char digit_at(const struct number *n, size_t i)
{
    return i < n->whole.len ? n->whole.p[i] : n->fraction.p[i - n->whole.len];
}

/* The significant digits; 0: the value is zero, -1: too many. *first is the exponent of the
 * first one. */
static int significant(char digits[MAX_DIGITS], const struct number *n, int64_t *first)
{
    size_t from = 0, to = n->whole.len + n->fraction.len;

    while (from < to && digit_at(n, from) == '0')
        from++;
    while (to > from && digit_at(n, to - 1) == '0')
        to--;
    if (to - from > MAX_DIGITS)
        return -1;
    for (size_t i = from; i < to; i++)
        digits[i - from] = digit_at(n, i);
    *first = (int64_t)n->whole.len - 1 - (int64_t)from + n->exponent;
    return (int)(to - from);
}

static void put_zeros(struct buf *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        buf_char(out, '0');
}

/* first is the exponent of digits[0]: "12", 1 is 12 and "12", -1 is 0.12. */
static void put_plain(struct buf *out, const char *digits, int n, int64_t first)
{
    if (first < 0) {
        buf_lit(out, "0.");
        put_zeros(out, -first - 1);
        buf_append(out, digits, (size_t)n);
        return;
    }
    if (first + 1 >= n) {
        buf_append(out, digits, (size_t)n);
        put_zeros(out, first + 1 - n);
        return;
    }
    buf_append(out, digits, (size_t)first + 1);
    buf_char(out, '.');
    buf_append(out, digits + first + 1, (size_t)(n - first - 1));
}

/* An integer without a sign '+', leading zeros or an exponent: nearly every key. */
static bool is_canonical_integer(struct bytes text)
{
    size_t i = text.len && text.p[0] == '-', from = i;

    if (text.len == 1 && text.p[0] == '0')
        return true;
    if (i == text.len || text.p[i] == '0' || text.len - i > MAX_DIGITS)
        return false;
    while (i < text.len && text.p[i] >= '0' && text.p[i] <= '9')
        i++;
    return i == text.len && i > from;
}

static int not_a_number(struct bytes text, const char *why, struct error *err)
{
    return error_set(err, ERR_DATA, "%s: \"%.*s\"", why, (int)MIN(text.len, 200), text.p);
}

int ddb_number_canonical(struct buf *out, struct bytes text, struct error *err)
{
    char digits[MAX_DIGITS];
    int64_t first = 0;
    struct number n;
    int count;

    if (is_canonical_integer(text)) {
        buf_bytes(out, text);
        return 0;
    }
    if (!text.len || !read_number(&n, text))
        return not_a_number(text, "not a number", err);
    count = significant(digits, &n, &first);
    if (count < 0)
        return not_a_number(text, "a number of more than 38 digits", err);
    if (count > 0 && (first > MAX_EXPONENT || first < MIN_EXPONENT))
        return not_a_number(text, "a number out of DynamoDB's range", err);
    if (!count) {
        buf_char(out, '0');
        return 0;
    }
    if (n.negative)
        buf_char(out, '-');
    put_plain(out, digits, count, first);
    return 0;
}
