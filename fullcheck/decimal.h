/* fullcheck/decimal.h - numbers as exact decimals, whatever they were written in.
 *
 * Every value has one form, so that equal means equal member by member. Knows nothing of how
 * the consumer converts numbers. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"

struct decimal { /* digits * 10^exponent; digits without zeros at either end; zero: no digits,
                    not negative, exponent 0 */
    bool negative;
    int32_t exponent;
    struct bytes digits; /* borrowed */
};

/* Room for the digits of any double: 53 bits of 2^-1074. */
#define DECIMAL_OF_DOUBLE_BYTES 1536

/* [+-]digits[.digits][e[+-]digits]; digits: room for text.len bytes, which ret points into.
 * false: text is no number, or its exponent is beyond a million. */
bool decimal_read(struct decimal *ret, struct bytes text, char *digits);
/* All digits of the binary fraction; false: not finite. digits: DECIMAL_OF_DOUBLE_BYTES. */
bool decimal_of_double(struct decimal *ret, double value, char *digits);

bool decimal_equal(const struct decimal *a, const struct decimal *b);
/* Some total order in which equal numbers are equal; not the order of their values. */
int decimal_order(const struct decimal *a, const struct decimal *b);
/* The nearest. */
double decimal_to_double(const struct decimal *d);

/* No exponent, no zeros at either end but the one before the point: "0.015", "-120", "0". */
void decimal_plain(struct buf *out, const struct decimal *d);
