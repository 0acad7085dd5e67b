/* consumer/number.h - a DynamoDB number's text to the narrowest BSON number that holds it
 * exactly.
 *
 * int32, else int64, else Decimal128 with its trailing zeros stripped; what has 35 to 38
 * significant digits stays text. `1.0` and `1E2` are integers; zero of any sign is 0. Pure; any
 * thread. */
#pragma once

#include "consumer/bson_out.h"

#define NUMBER_MAX_DIGITS 38

enum number_type {
    NUMBER_INT32,
    NUMBER_INT64,
    NUMBER_DECIMAL128,
    NUMBER_TEXT, /* no BSON number has all its digits */
};

struct number {
    enum number_type type;
    int64_t integer; /* int32 and int64 */
    bson_decimal128_t decimal;
};

/* false: no number of DynamoDB: not of the form [+-]digits[.digits][E[+-]digits], over 38
 * significant digits, or a magnitude outside 1E-130 .. 9.99E+125. */
bool number_exact(struct number *ret, struct bytes text);
/* The nearest double, ties to even. */
bool number_double(double *ret, struct bytes text);
bool number_valid(struct bytes text);
