/* tests/unit/test_decimal.c - fullcheck's numbers: one form for every spelling, and no
 * digit lost. */
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

#include "common/base/check.h"
#include "fullcheck/decimal.h"

#define DIGITS_38 "12345678901234567890123456789012345678"
#define ZEROS_129                                                                              \
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" \
    "00000000000000000000000000000000000000000"

static bool read_text(struct decimal *ret, const char *text, char *digits)
{
    return decimal_read(ret, bytes_of(text), digits);
}

static char *plain_of(const struct decimal *d)
{
    AUTO(buf_release) struct buf text = {.ceiling = 1 << 22};

    decimal_plain(&text, d);
    return xstrdup(buf_cstr(&text));
}

static const struct {
    const char *text;
    const char *plain; /* NULL: no number */
} spellings[] = {
    {"0", "0"},
    {"-0", "0"},
    {"+0", "0"},
    {"-0.000E-7", "0"},
    {"0E999999", "0"},
    {"-0.0E-99999999999999999999", "0"},
    {"1", "1"},
    {"1.0", "1"},
    {"1.", "1"},
    {".5", "0.5"},
    {"-.5e1", "-5"},
    {"+7", "7"},
    {"007.700", "7.7"},
    {"1E2", "100"},
    {"1e+2", "100"},
    {"100", "100"},
    {"1200E-2", "12"},
    {"0.00012E5", "12"},
    {"-0.015", "-0.015"},
    {"1E-130", "0." ZEROS_129 "1"},
    {DIGITS_38, DIGITS_38},
    {"0." DIGITS_38, "0." DIGITS_38},
    {"-" DIGITS_38 "E-37", "-1.2345678901234567890123456789012345678"},
    {"", NULL},
    {"-", NULL},
    {"+", NULL},
    {".", NULL},
    {"e5", NULL},
    {"1e", NULL},
    {"1e+", NULL},
    {"--1", NULL},
    {"+-1", NULL},
    {"1 ", NULL},
    {" 1", NULL},
    {"1.2.3", NULL},
    {"1e5.0", NULL},
    {"0x10", NULL},
    {"NaN", NULL},
    {"Infinity", NULL},
    {"-Infinity", NULL},
    {"1e1000001", NULL},
    {"1e-99999999999999999999", NULL},
    {"\xd9\xa1", NULL}, /* a digit, but none of ours */
};

static void every_spelling_has_one_plain_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        AUTO(free_charp) char *plain = NULL;
        struct decimal d;
        char digits[256];
        bool read = read_text(&d, spellings[i].text, digits);

        if (read != (spellings[i].plain != NULL))
            fail_msg("\"%s\" was %s", spellings[i].text, read ? "taken" : "refused");
        if (!read)
            continue;
        plain = plain_of(&d);
        assert_string_equal(plain, spellings[i].plain);
    }
}

static void the_largest_number_has_all_its_places(void **state)
{
    AUTO(free_charp) char *plain = NULL;
    struct decimal d;
    char digits[32];

    (void)state;
    assert_true(read_text(&d, "9.99E+125", digits));
    plain = plain_of(&d);
    assert_int_equal(strlen(plain), 126);
    assert_memory_equal(plain, "9990", 4);
    assert_int_equal(strspn(plain + 3, "0"), 123);
}

/* All differ from each other, by little. */
static const char *const apart[] = {
    "0",
    "1",
    "-1",
    "10",
    "0.1",
    "1E-130",
    "-1E-130",
    "1E-129",
    "9.99E+125",
    "9.98E+125",
    DIGITS_38,
    "12345678901234567890123456789012345677",
    "1234567890123456789012345678901234567",
    "123456789012345678901234567890123456780",
    "-" DIGITS_38,
    "0." DIGITS_38,
    "9007199254740993",
    "9007199254740992",
};

static void what_differs_in_the_38th_digit_or_the_sign_differs(void **state)
{
    char digits[2][64];
    struct decimal a, b;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(apart); i++)
        for (size_t j = 0; j < ARRAY_LEN(apart); j++) {
            assert_true(read_text(&a, apart[i], digits[0]));
            assert_true(read_text(&b, apart[j], digits[1]));
            assert_int_equal(decimal_equal(&a, &b), i == j);
        }
}

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void the_order_is_total_and_equal_only_for_equal_numbers(void **state)
{
    static char digits[ARRAY_LEN(apart)][64];
    struct decimal d[ARRAY_LEN(apart)];
    const size_t n = ARRAY_LEN(apart);

    (void)state;
    for (size_t i = 0; i < n; i++)
        assert_true(read_text(&d[i], apart[i], digits[i]));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            int ij = sign(decimal_order(&d[i], &d[j]));

            assert_int_equal(ij == 0, i == j);
            assert_int_equal(ij, -sign(decimal_order(&d[j], &d[i])));
            for (size_t k = 0; k < n; k++)
                if (ij < 0 && decimal_order(&d[j], &d[k]) < 0)
                    assert_true(decimal_order(&d[i], &d[k]) < 0);
        }
}

static const struct {
    double value;
    const char *plain; /* NULL: compared with printf alone */
} doubles[] = {
    {0.0, "0"},
    {-0.0, "0"},
    {1.0, "1"},
    {-2.5, "-2.5"},
    {0.1, "0.1000000000000000055511151231257827021181583404541015625"},
    {1e22, "10000000000000000000000"},
    {1e23, "99999999999999991611392"},
    {9007199254740993.0, "9007199254740992"},
    {5e-324, NULL},
    {-5e-324, NULL},
    {DBL_MIN, NULL},
    {DBL_MAX, NULL},
    {-DBL_MAX, NULL},
    {0x1.fffffffffffffp-1022, NULL},
    {0x1.fffffffffffffp0, NULL},
    {0x1.fffffffffffffp52, NULL},
    {0x1.fffffffffffffp53, NULL},
};

/* printf's own exact digits, without the zeros at the end. */
static void printed(double value, char text[2048])
{
    size_t len = (size_t)snprintf(text, 2048, "%.1100f", value);

    while (text[len - 1] == '0')
        text[--len] = '\0';
    if (text[len - 1] == '.')
        text[--len] = '\0';
    if (strcmp(text, "-0") == 0)
        strcpy(text, "0");
}

static void assert_exact(double value)
{
    char digits[DECIMAL_OF_DOUBLE_BYTES], wanted[2048];
    AUTO(free_charp) char *plain = NULL;
    struct decimal d;

    assert_true(decimal_of_double(&d, value, digits));
    plain = plain_of(&d);
    printed(value, wanted);
    assert_string_equal(plain, wanted);
    assert_true(decimal_to_double(&d) == value);
}

static void a_double_is_the_number_that_its_bits_say(void **state)
{
    char digits[DECIMAL_OF_DOUBLE_BYTES];
    struct decimal d;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(doubles); i++) {
        assert_exact(doubles[i].value);
        if (doubles[i].plain) {
            AUTO(free_charp) char *plain = NULL;

            assert_true(decimal_of_double(&d, doubles[i].value, digits));
            plain = plain_of(&d);
            assert_string_equal(plain, doubles[i].plain);
        }
    }
    assert_false(decimal_of_double(&d, NAN, digits));
    assert_false(decimal_of_double(&d, INFINITY, digits));
    assert_false(decimal_of_double(&d, -INFINITY, digits));
}

static uint64_t any(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void any_double_comes_back_from_its_digits(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        uint64_t bits = any();
        double value;

        memcpy(&value, &bits, sizeof(value));
        if (isfinite(value))
            assert_exact(value);
    }
}

static void the_nearest_double_is_found_from_any_spelling(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0},
        {"0.1", 0.1},
        {"-0.1", -0.1},
        {"9007199254740993", 9007199254740992.0}, /* a tie goes to the even one */
        {"9007199254740995", 9007199254740996.0},
        {"9007199254740993.0000000000000000001", 9007199254740994.0},
        {"1E-130", 1e-130},
        {"9.99E+125", 9.99e125},
        {DIGITS_38, 12345678901234567890123456789012345678.0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct decimal d;
        char digits[64];

        assert_true(read_text(&d, cases[i].text, digits));
        assert_true(decimal_to_double(&d) == cases[i].value);
    }
}

/* A number of up to 34 digits in any spelling. */
static void random_text(char text[80])
{
    int len = 0, digits = (int)(any() % 34) + 1, point = (int)(any() % 40) - 3;

    if (any() % 2)
        text[len++] = '-';
    for (int i = 0; i < digits; i++) {
        if (i == point)
            text[len++] = '.';
        text[len++] = (char)('0' + (any() % 3 ? any() % 10 : 0));
    }
    text[len] = '\0';
    if (any() % 2)
        sprintf(text + len, "%c%s%d", any() % 2 ? 'e' : 'E', any() % 2 ? "+" : "-",
                (int)(any() % 90));
}

static void the_drivers_decimal128_of_a_number_is_the_same_number(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[80], drivers[BSON_DECIMAL128_STRING], digits[2][128];
        bson_decimal128_t value;
        struct decimal a, b;

        random_text(text);
        assert_true(read_text(&a, text, digits[0]));
        assert_true(bson_decimal128_from_string(text, &value));
        bson_decimal128_to_string(&value, drivers);
        assert_true(read_text(&b, drivers, digits[1]));
        if (!decimal_equal(&a, &b))
            fail_msg("%s is not %s", text, drivers);
    }
}

static void the_plain_form_is_the_number_again(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        AUTO(free_charp) char *plain = NULL;
        char text[80], digits[2][256];
        struct decimal a, b;

        random_text(text);
        assert_true(read_text(&a, text, digits[0]));
        plain = plain_of(&a);
        assert_true(read_text(&b, plain, digits[1]));
        assert_true(decimal_equal(&a, &b));
        assert_int_equal(decimal_order(&a, &b), 0);
        assert_true(decimal_to_double(&a) == strtod(text, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_has_one_plain_form),
        cmocka_unit_test(the_largest_number_has_all_its_places),
        cmocka_unit_test(what_differs_in_the_38th_digit_or_the_sign_differs),
        cmocka_unit_test(the_order_is_total_and_equal_only_for_equal_numbers),
        cmocka_unit_test(a_double_is_the_number_that_its_bits_say),
        cmocka_unit_test(any_double_comes_back_from_its_digits),
        cmocka_unit_test(the_nearest_double_is_found_from_any_spelling),
        cmocka_unit_test(the_drivers_decimal128_of_a_number_is_the_same_number),
        cmocka_unit_test(the_plain_form_is_the_number_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
