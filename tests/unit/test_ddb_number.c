/* tests/unit/test_ddb_number.c - one spelling of every number: vectors made by Java's
 * BigDecimal, and the cases at the limits. */
#include "common/item/ddb_number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/json/json_reader.h"
#include "support_vector.h"

#define DIGITS_38 "12345678901234567890123456789012345678"

static void assert_text(const struct buf *found, struct bytes wanted)
{
    if (!bytes_equal(buf_slice(found), wanted))
        fail_msg("%.*s, wanted %.*s", BYTES_ARG(buf_slice(found)), BYTES_ARG(wanted));
}

static void assert_number(struct bytes text, struct bytes wanted)
{
    struct error err;
    struct buf out;

    buf_init(&out, 256);
    if (ddb_number_canonical(&out, text, &err) < 0)
        fail_msg("%s", err.message);
    assert_text(&out, wanted);
    buf_reset(&out); /* canonical is canonical */
    assert_int_equal(ddb_number_canonical(&out, wanted, &err), 0);
    assert_text(&out, wanted);
    buf_release(&out);
}

static void a_number_is_written_as_big_decimal_writes_it(void **state)
{
    struct bytes number, wanted;
    struct json_reader r;
    struct buf text;
    int vectors = 0;

    (void)state;
    vector_read(&text, "canonical_numbers.json");
    json_reader_init(&r, buf_slice(&text));
    assert_true(json_array_begin(&r));
    for (; json_array_next(&r); vectors++) {
        assert_true(json_array_begin(&r) && json_array_next(&r) && json_string(&r, &number));
        assert_true(json_array_next(&r) && json_string(&r, &wanted) && !json_array_next(&r));
        assert_number(number, wanted);
    }
    assert_true(json_end(&r));
    assert_int_equal(vectors, 1000);
    buf_release(&text);
}

static void numbers_far_from_their_point_are_exact(void **state)
{
    (void)state;
    assert_number(BYTES_LIT("0000000000000000000000000000000000000000000001E-1"),
                  BYTES_LIT("0.1"));
    assert_number(BYTES_LIT("0.0000000000000000000000000000000000000000000001E+46"),
                  BYTES_LIT("1"));
    assert_number(BYTES_LIT("0E99999999999999999999999"), BYTES_LIT("0"));
    assert_number(BYTES_LIT("-0E-99999999999999999999999"), BYTES_LIT("0"));
    assert_number(BYTES_LIT(DIGITS_38 "."
                                      "000"),
                  BYTES_LIT(DIGITS_38));
    assert_number(BYTES_LIT("00" DIGITS_38), BYTES_LIT(DIGITS_38));
    assert_number(BYTES_LIT("1e000000000000000000002"), BYTES_LIT("100"));
}

static void what_is_no_number_of_dynamodb_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "-",
        "+",
        ".",
        "-.",
        "e5",
        ".e5",
        "1e",
        "1e+",
        "1e5.",
        "1.2.3",
        "--1",
        "+-1",
        " 1",
        "1 ",
        "1,5",
        "0x1",
        "NaN",
        "Infinity",
        "1_000",
        "1e5e5",
        "\xd9\xa1",
        DIGITS_38 "9",
        "-" DIGITS_38 "9",
        "0." DIGITS_38 "9",
        "1"
        "0000000000" DIGITS_38,
        "1E126",
        "-1E126",
        "10E125",
        "1E-131",
        "0.1E-130",
        "1E99999999999999999999",
        "1E-99999999999999999999",
        "1E9223372036854775807",
        "1E-9223372036854775808",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct error err = {0};
        struct buf out;

        buf_init(&out, 256);
        if (ddb_number_canonical(&out, bytes_of(texts[i]), &err) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(err.kind, ERR_DATA);
        assert_int_equal(out.len, 0);
        buf_release(&out);
    }
    assert_int_equal(-1, ddb_number_canonical(&(struct buf){.ceiling = 9},
                                              (struct bytes){"1\0", 2}, &(struct error){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_written_as_big_decimal_writes_it),
        cmocka_unit_test(numbers_far_from_their_point_are_exact),
        cmocka_unit_test(what_is_no_number_of_dynamodb_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
