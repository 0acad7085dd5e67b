/* Numbers become the narrowest exact BSON type: worked out by hand, and against other roads. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <bson/bson.h>
#include <cmocka.h>

#include "consumer/number.h"

#define DIGITS_34 "1234567890123456789012345678901234"
#define NINES_34 "9999999999999999999999999999999999"
#define NINES_38 "99999999999999999999999999999999999999"

static const struct {
    const char *text;
    enum number_type type;
    const char *value; /* decimal as libbson spells it; NULL for text */
} cases[] = {
    {"0", NUMBER_INT32, "0"},
    {"-0", NUMBER_INT32, "0"},
    {"+0", NUMBER_INT32, "0"},
    {"-0.00", NUMBER_INT32, "0"},
    {"0E5", NUMBER_INT32, "0"},
    {"0E-999999999999", NUMBER_INT32, "0"},
    {"-000000000000000000000000000000000000000000000", NUMBER_INT32, "0"},
    {"1", NUMBER_INT32, "1"},
    {"1.0", NUMBER_INT32, "1"},
    {"1.", NUMBER_INT32, "1"},
    {"+7", NUMBER_INT32, "7"},
    {"007", NUMBER_INT32, "7"},
    {"1E2", NUMBER_INT32, "100"},
    {"1e+2", NUMBER_INT32, "100"},
    {"1200E-2", NUMBER_INT32, "12"},
    {"0.00012E5", NUMBER_INT32, "12"},
    {"2147483647", NUMBER_INT32, "2147483647"},
    {"2147483648", NUMBER_INT64, "2147483648"},
    {"-2147483648", NUMBER_INT32, "-2147483648"},
    {"-2147483649", NUMBER_INT64, "-2147483649"},
    {"9007199254740993", NUMBER_INT64, "9007199254740993"},
    {"999999999999999999", NUMBER_INT64, "999999999999999999"},
    {"-999999999999999999", NUMBER_INT64, "-999999999999999999"},
    {"1000000000000000000", NUMBER_INT64, "1000000000000000000"},
    {"1E18", NUMBER_INT64, "1000000000000000000"},
    {"9E18", NUMBER_INT64, "9000000000000000000"},
    {"1E19", NUMBER_DECIMAL128, "1E+19"},
    {"9223372036854775807", NUMBER_INT64, "9223372036854775807"},
    {"9223372036854775807.000", NUMBER_INT64, "9223372036854775807"},
    {"9223372036854775808", NUMBER_DECIMAL128, "9223372036854775808"},
    {"-9223372036854775808", NUMBER_INT64, "-9223372036854775808"},
    {"-9223372036854775809", NUMBER_DECIMAL128, "-9223372036854775809"},
    {"18446744073709551616", NUMBER_DECIMAL128, "18446744073709551616"},
    {"0.1", NUMBER_DECIMAL128, "0.1"},
    {".5", NUMBER_DECIMAL128, "0.5"},
    {"-0.10", NUMBER_DECIMAL128, "-0.1"},
    {"12.34", NUMBER_DECIMAL128, "12.34"},
    {"100.50", NUMBER_DECIMAL128, "100.5"},
    {"1E-130", NUMBER_DECIMAL128, "1E-130"},
    {"9.99E+125", NUMBER_DECIMAL128, "9.99E+125"},
    {DIGITS_34, NUMBER_DECIMAL128, DIGITS_34},
    {DIGITS_34 "00", NUMBER_DECIMAL128, "1.234567890123456789012345678901234E+35"},
    {NINES_34, NUMBER_DECIMAL128, NINES_34},
    {"-" NINES_34 "E91", NUMBER_DECIMAL128, "-9.999999999999999999999999999999999E+124"},
    {"0." NINES_34, NUMBER_DECIMAL128, "0." NINES_34},
    {DIGITS_34 "5", NUMBER_TEXT, NULL},
    {NINES_38, NUMBER_TEXT, NULL},
    {"-9.9999999999999999999999999999999999999E+125", NUMBER_TEXT, NULL},
    {"1.2345678901234567890123456789012345678E-93", NUMBER_TEXT, NULL},
};

static void shown(char *out, size_t size, const struct number *n)
{
    char text[BSON_DECIMAL128_STRING] = "";

    if (n->type == NUMBER_DECIMAL128)
        bson_decimal128_to_string(&n->decimal, text);
    else
        snprintf(text, sizeof(text), "%" PRId64, n->integer);
    snprintf(out, size, "%s", text);
}

static void a_number_becomes_the_narrowest_exact_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct number n = {0};
        char text[64];

        if (!number_exact(&n, bytes_of(cases[i].text)))
            fail_msg("%s was refused", cases[i].text);
        if (n.type != cases[i].type)
            fail_msg("%s became type %d", cases[i].text, (int)n.type);
        assert_true(number_valid(bytes_of(cases[i].text)));
        if (!cases[i].value)
            continue;
        shown(text, sizeof(text), &n);
        assert_string_equal(text, cases[i].value);
    }
}

static void what_is_no_number_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "-",
        "+",
        ".",
        "-.",
        "E5",
        "1E",
        "1E+",
        "1E5.0",
        "--1",
        "+-1",
        "1 ",
        " 1",
        "1,5",
        "0x10",
        "NaN",
        "Infinity",
        "-inf",
        "1_0",
        "1.2.3",
        "1e5e5",
        "1E126",
        "1E-131",
        "9E200",
        "1E99999999999999999999",
        "1E-99999999999999999999",
        "-1E126",
        "0.1E-130",
        "10E125",
        "123456789012345678901234567890123456789",
        NINES_38 "1",
        "1000000000000000000000000000000000000001",
        "0.123456789012345678901234567890123456789",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct number n;
        double d;

        if (number_exact(&n, bytes_of(texts[i])) || number_valid(bytes_of(texts[i])) ||
            number_double(&d, bytes_of(texts[i])))
            fail_msg("\"%s\" was taken for a number", texts[i]);
    }
    assert_false(number_valid((struct bytes){"1\0", 2}));
}

static void only_the_given_bytes_are_read(void **state)
{
    struct number n;

    (void)state;
    assert_true(number_exact(&n, (struct bytes){"123456", 3}));
    assert_int_equal(n.integer, 123);
    assert_true(number_exact(&n, (struct bytes){"1.5E5", 3}));
    assert_int_equal(n.type, NUMBER_DECIMAL128);
}

static void a_double_is_the_nearest_one(void **state)
{
    static const char *const texts[] = {
        "0",
        "1",
        "-1",
        "0.1",
        "-0.3",
        "12.34",
        "9007199254740993",
        "9007199254740992",
        "1E22",
        "1E23",
        "1E-22",
        "1E-23",
        "1E-130",
        "9.99E+125",
        NINES_38,
        "-" NINES_34,
        "9.9999999999999999999999999999999999999E+125",
        "5E-1",
        "123456789.123456789",
        "0.30000000000000004",
        "9007199254740993E22",
        "1.7976931348623157E100",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        double d = NAN;

        assert_true(number_double(&d, bytes_of(texts[i])));
        if (d != strtod(texts[i], NULL))
            fail_msg("%s became %.17g", texts[i], d);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 33;
}

/* A random spelling: digits with a point anywhere, zeros at both ends, an exponent. */
static void random_text(char *out, uint64_t *state)
{
    size_t digits = 1 + next_random(state) % 40, point = next_random(state) % (digits + 1);
    char *p = out;

    if (next_random(state) % 2)
        *p++ = '-';
    for (size_t i = 0; i < digits; i++) {
        if (i == point)
            *p++ = '.';
        *p++ = next_random(state) % 3 ? (char)('0' + next_random(state) % 10) : '0';
    }
    *p = '\0';
    if (next_random(state) % 2)
        sprintf(p, "E%d", (int)(next_random(state) % 140) - 70);
}

/* libbson spells our Decimal128, and strtod reads both spellings. */
static void the_exact_value_rounds_to_the_same_double(void **state)
{
    uint64_t random = 20;
    int decimals = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[128];
        struct number n;
        double d, nearest;

        random_text(text, &random);
        if (!number_exact(&n, bytes_of(text)))
            continue;
        assert_true(number_double(&d, bytes_of(text)));
        if (d != strtod(text, NULL))
            fail_msg("%s became %.17g", text, d);
        if (n.type == NUMBER_TEXT)
            continue;
        if (n.type == NUMBER_DECIMAL128) {
            char back[BSON_DECIMAL128_STRING];
            bson_decimal128_t value = n.decimal, same;

            bson_decimal128_to_string(&value, back);
            assert_true(bson_decimal128_from_string(back, &same));
            assert_memory_equal(&value, &same, sizeof(same));
            nearest = strtod(back, NULL);
            decimals++;
        } else {
            nearest = (double)n.integer;
        }
        if (nearest != d)
            fail_msg("%s became %.17g", text, nearest);
    }
    assert_true(decimals > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_becomes_the_narrowest_exact_type),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(only_the_given_bytes_are_read),
        cmocka_unit_test(a_double_is_the_nearest_one),
        cmocka_unit_test(the_exact_value_rounds_to_the_same_double),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
