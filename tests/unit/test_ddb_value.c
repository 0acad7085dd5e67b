/* One spelling of every key: vectors made by JSON.stringify and by Java's BigDecimal, and the
 * cases at the limits. */
#include "common/item/ddb_item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/check.h"

#define HASH_S ((struct key_schema){.hash = {(char *)"pk", 2, 'S'}})
#define HASH_N ((struct key_schema){.hash = {(char *)"pk", 2, 'N'}})
#define HASH_B ((struct key_schema){.hash = {(char *)"pk", 2, 'B'}})
#define HASH_RANGE                                                                             \
    ((struct key_schema){.hash = {(char *)"pk", 2, 'S'}, .range = {(char *)"sk", 2, 'N'}})

#define DIGITS_38 "12345678901234567890123456789012345678"

static void read_vectors(struct buf *ret, const char *name)
{
    AUTO(free_charp) char *path = xasprintf("%s/vectors/%s", TESTS_DIR, name);
    FILE *f = fopen(path, "rb");

    CHECK(f);
    buf_init(ret, 1 << 20);
    CHECK(buf_reserve(ret, 1 << 20));
    ret->len = fread(ret->p, 1, ret->cap, f);
    fclose(f);
    CHECK(ret->len > 0);
}

static void assert_text(const struct buf *found, struct bytes wanted)
{
    if (!bytes_equal(buf_slice(found), wanted))
        fail_msg("%.*s, wanted %.*s", BYTES_ARG(buf_slice(found)), BYTES_ARG(wanted));
}

/* The item, read and its keys written; the caller releases both buffers, also on failure. */
static int keys_of(struct buf *message_key, struct buf *keys, struct bytes text,
                   const struct key_schema *schema, struct error *err)
{
    struct ddb_item item;
    struct json_reader r;

    buf_init(message_key, 4096);
    buf_init(keys, 4096);
    json_reader_init(&r, text);
    if (ddb_item_read(&item, &r, schema, err) < 0)
        return -1;
    assert_true(json_end(&r));
    return ddb_item_keys(message_key, keys, &item, schema, err);
}

static void unescaped(struct buf *ret, struct json_reader *r)
{
    struct bytes raw = {0};

    assert_true(json_string(r, &raw));
    buf_init(ret, raw.len);
    json_unescape(ret, raw, NULL);
}

static void check_vector(struct json_reader *r)
{
    struct buf item, wanted_message_key, wanted_keys, message_key, keys;
    struct key_schema schema;
    struct bytes name, json;
    struct error err;

    assert_true(json_object_begin(r) && json_object_next_skip(r, &name, &json));
    assert_int_equal(key_schema_read(&schema, json, &err), 0);
    assert_true(json_object_next(r, &name) && bytes_is(name, "item"));
    unescaped(&item, r);
    assert_true(json_object_next(r, &name) && bytes_is(name, "message_key"));
    unescaped(&wanted_message_key, r);
    assert_true(json_object_next(r, &name) && bytes_is(name, "keys"));
    unescaped(&wanted_keys, r);
    assert_false(json_object_next(r, &name));
    assert_int_equal(keys_of(&message_key, &keys, buf_slice(&item), &schema, &err), 0);
    assert_text(&message_key, buf_slice(&wanted_message_key));
    assert_text(&keys, buf_slice(&wanted_keys));
    key_schema_release(&schema);
    buf_release(&item);
    buf_release(&wanted_message_key);
    buf_release(&wanted_keys);
    buf_release(&message_key);
    buf_release(&keys);
}

static void a_key_is_written_as_javascript_writes_it(void **state)
{
    struct json_reader r;
    struct buf text;
    int vectors = 0;

    (void)state;
    read_vectors(&text, "canonical_keys.json");
    json_reader_init(&r, buf_slice(&text));
    assert_true(json_array_begin(&r));
    for (; json_array_next(&r); vectors++)
        check_vector(&r);
    assert_true(json_end(&r));
    assert_int_equal(vectors, 400);
    buf_release(&text);
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
    read_vectors(&text, "canonical_numbers.json");
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

static void assert_keys(const char *item, struct key_schema schema, const char *wanted)
{
    struct buf message_key, keys;
    struct error err;

    if (keys_of(&message_key, &keys, bytes_of(item), &schema, &err) < 0)
        fail_msg("%s: %s", item, err.message);
    assert_text(&keys, bytes_of(wanted));
    buf_release(&message_key);
    buf_release(&keys);
}

static void the_cases_that_two_services_may_spell_differently_are_one_key(void **state)
{
    (void)state;
    assert_keys("{\"pk\":{\"S\":\"u1\"}}", HASH_S, "{\"pk\":{\"S\":\"u1\"}}");
    assert_keys("{ \"pk\" : { \"S\" : \"u1\" } }", HASH_S, "{\"pk\":{\"S\":\"u1\"}}");
    assert_keys("{\"p\\u006b\":{\"\\u0053\":\"\\u00751\"}}", HASH_S, "{\"pk\":{\"S\":\"u1\"}}");
    assert_keys("{\"pk\":{\"S\":\"\\uD83D\\uDE00\"}}", HASH_S,
                "{\"pk\":{\"S\":\"\xf0\x9f\x98\x80\"}}");
    assert_keys("{\"pk\":{\"S\":\"a\\/b\"}}", HASH_S, "{\"pk\":{\"S\":\"a/b\"}}");
    assert_keys("{\"pk\":{\"S\":\"\\uD83D\"}}", HASH_S, "{\"pk\":{\"S\":\"\\ud83d\"}}");
    assert_keys("{\"pk\":{\"S\":\"\\u0000\"}}", HASH_S, "{\"pk\":{\"S\":\"\\u0000\"}}");
    assert_keys("{\"pk\":{\"S\":\"\"}}", HASH_S, "{\"pk\":{\"S\":\"\"}}");
    assert_keys("{\"pk\":{\"N\":\"-0\"}}", HASH_N, "{\"pk\":{\"N\":\"0\"}}");
    assert_keys("{\"pk\":{\"N\":\"\\u0031\"}}", HASH_N, "{\"pk\":{\"N\":\"1\"}}");
    assert_keys("{\"pk\":{\"N\":\"1.50E1\"}}", HASH_N, "{\"pk\":{\"N\":\"15\"}}");
    assert_keys("{\"pk\":{\"B\":\"\"}}", HASH_B, "{\"pk\":{\"B\":\"\"}}");
    assert_keys("{\"pk\":{\"B\":\"+\\/8=\"}}", HASH_B, "{\"pk\":{\"B\":\"+/8=\"}}");
    assert_keys("{\"sk\":{\"N\":\"1.0\"},\"x\":{},\"pk\":{\"S\":\"a\"}}", HASH_RANGE,
                "{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"1\"}}");
}

static void a_name_may_hold_any_character(void **state)
{
    struct key_schema nul = {.hash = {(char *)"p\0k", 3, 'S'}};
    struct key_schema lone = {.hash = {(char *)"\xed\xa0\xbd", 3, 'S'}};

    (void)state;
    assert_keys("{\"p\\u0000k\":{\"S\":\"a\"}}", nul, "{\"p\\u0000k\":{\"S\":\"a\"}}");
    assert_keys("{\"\\uD83D\":{\"S\":\"a\"}}", lone, "{\"\\ud83d\":{\"S\":\"a\"}}");
}

static const struct {
    const char *item;
    struct key_schema schema;
    const char *message; /* a part of it */
} refused[] = {
    {"[]", HASH_S, "no object"},
    {"", HASH_S, "no object"},
    {"{\"pk\":{\"S\":\"a\"", HASH_S, "was expected"},
    {"{\"pk\":{\"S\":\"\xed\xa0\x80\"}}", HASH_S, "UTF-8"},
    {"{}", HASH_S, "no key attribute \"pk\""},
    {"{\"x\":{\"pk\":{\"S\":\"a\"}}}", HASH_S, "no key attribute \"pk\""},
    {"{\"pk\":{\"S\":\"a\"}}", HASH_RANGE, "no key attribute \"sk\""},
    {"{\"pk\":{\"S\":\"a\"},\"\\u0070k\":{\"S\":\"b\"}}", HASH_S, "twice"},
    {"{\"pk\":{\"N\":\"1\"}}", HASH_S, "no value of type S"},
    {"{\"pk\":{}}", HASH_S, "no value of type S"},
    {"{\"pk\":{\"S\":1}}", HASH_S, "a string was expected"},
    {"{\"pk\":\"a\"}", HASH_S, "an object was expected"},
    {"{\"pk\":null}", HASH_S, "an object was expected"},
    {"{\"pk\":{\"S\":\"a\",\"N\":\"1\"}}", HASH_S, "two types"},
    {"{\"pk\":{\"S\":\"a\",\"S\":\"a\"}}", HASH_S, "two types"},
    {"{\"pk\":{\"N\":\"\"}}", HASH_N, "not a number"},
    {"{\"pk\":{\"N\":\"abc\"}}", HASH_N, "not a number"},
    {"{\"pk\":{\"N\":\"" DIGITS_38 "9\"}}", HASH_N, "38 digits"},
    {"{\"pk\":{\"N\":\"1E126\"}}", HASH_N, "range"},
    {"{\"pk\":{\"B\":\"A\"}}", HASH_B, "base64"},
    {"{\"pk\":{\"B\":\"AB==\"}}", HASH_B, "no canonical base64"},
    {"{\"pk\":{\"B\":\"AAB=\"}}", HASH_B, "no canonical base64"},
    {"{\"pk\":{\"B\":\"A===\"}}", HASH_B, "no canonical base64"},
    {"{\"pk\":{\"B\":\"AA==AA==\"}}", HASH_B, "no canonical base64"},
    {"{\"pk\":{\"B\":\"AA-_\"}}", HASH_B, "no canonical base64"},
    {"{\"pk\":{\"B\":\"AA \\n\"}}", HASH_B, "no canonical base64"},
};

static void a_key_that_is_none_is_a_data_error_and_appends_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct buf message_key, keys;
        struct error err = {0};

        if (keys_of(&message_key, &keys, bytes_of(refused[i].item), &refused[i].schema, &err) ==
            0)
            fail_msg("taken: %s", refused[i].item);
        if (!strstr(err.message, refused[i].message))
            fail_msg("\"%s\" for %s", err.message, refused[i].item);
        assert_int_equal(err.kind, ERR_DATA);
        assert_true(message_key.len == 0 && keys.len == 0);
        buf_release(&message_key);
        buf_release(&keys);
    }
}

static void either_key_may_be_left_out_and_both_are_appended(void **state)
{
    static const char text[] = "{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"2\"}}";
    struct ddb_item item;
    struct json_reader r;
    struct error err;
    struct buf out;

    (void)state;
    buf_init(&out, 256);
    json_reader_init(&r, BYTES_LIT(text));
    assert_int_equal(ddb_item_read(&item, &r, &HASH_RANGE, &err), 0);
    assert_true(bytes_is(item.json, text) && bytes_is(item.hash, "{\"S\":\"a\"}"));
    assert_true(bytes_is(item.range, "{\"N\":\"2\"}"));
    buf_lit(&out, "x");
    assert_int_equal(ddb_item_keys(&out, NULL, &item, &HASH_RANGE, &err), 0);
    assert_text(&out, BYTES_LIT("x{\"pk\":{\"S\":\"a\"}}"));
    buf_reset(&out);
    assert_int_equal(ddb_item_keys(NULL, &out, &item, &HASH_RANGE, &err), 0);
    assert_text(&out, BYTES_LIT(text));
    buf_release(&out);
}

static void an_item_is_read_out_of_the_middle_of_an_answer(void **state)
{
    struct json_reader r;
    struct ddb_item item;
    struct error err;

    (void)state;
    json_reader_init(&r, BYTES_LIT("[ {\"pk\":{\"S\":\"1\"}} ,{\"x\":{}}]"));
    assert_true(json_array_begin(&r) && json_array_next(&r));
    assert_int_equal(ddb_item_read(&item, &r, &HASH_S, &err), 0);
    assert_true(bytes_is(item.json, "{\"pk\":{\"S\":\"1\"}}") && item.hash.p && !item.range.p);
    assert_true(json_array_next(&r));
    assert_int_equal(ddb_item_read(&item, &r, &HASH_S, &err), 0);
    assert_true(bytes_is(item.json, "{\"x\":{}}") && !item.hash.p);
    assert_true(!json_array_next(&r) && json_end(&r));
}

static void a_key_schema_survives_its_json(void **state)
{
    struct key_schema nul = {.hash = {(char *)"a\0\"", 3, 'B'},
                             .range = {(char *)"\xed\xb8\x80", 3, 'N'}},
                      back, copy;
    struct error err;
    struct buf out;

    (void)state;
    buf_init(&out, 512);
    key_schema_write(&out, &nul);
    assert_text(&out, BYTES_LIT("[{\"AttributeName\":\"a\\u0000\\\"\",\"KeyType\":\"HASH\","
                                "\"AttributeType\":\"B\"},{\"AttributeName\":\"\\ude00\","
                                "\"KeyType\":\"RANGE\",\"AttributeType\":\"N\"}]"));
    assert_int_equal(key_schema_read(&back, buf_slice(&out), &err), 0);
    assert_true(key_schema_equal(&nul, &back));
    key_schema_copy(&copy, &back);
    key_schema_release(&back);
    assert_true(key_schema_equal(&nul, &copy));
    assert_int_equal(copy.hash.name[3], '\0');
    key_schema_release(&copy);
    assert_null(copy.hash.name);
    buf_release(&out);
}

static void key_schemas_differ_by_name_type_and_range(void **state)
{
    struct key_schema s = HASH_S, n = HASH_N, both = HASH_RANGE, other = HASH_S;

    (void)state;
    other.hash.name = (char *)"pq";
    assert_true(key_schema_equal(&s, &HASH_S));
    assert_false(key_schema_equal(&s, &n));
    assert_false(key_schema_equal(&s, &both));
    assert_false(key_schema_equal(&both, &s));
    assert_false(key_schema_equal(&s, &other));
}

#define ATTRIBUTE(name, kind, type)                                                            \
    "{\"AttributeName\":\"" name "\",\"KeyType\":\"" kind "\",\"AttributeType\":\"" type "\"}"

static void what_is_no_key_schema_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "[1]",
        "[" ATTRIBUTE("a", "HASH", "S"),
        "[" ATTRIBUTE("a", "HASH", "S") "] x",
        "[" ATTRIBUTE("a", "RANGE", "S") "]",
        "[" ATTRIBUTE("a", "HASH", "M") "]",
        "[" ATTRIBUTE("a", "HASH", "") "]",
        "[" ATTRIBUTE("a", "OTHER", "S") "]",
        "[" ATTRIBUTE("a", "HASH", "S") "," ATTRIBUTE("b", "HASH", "S") "]",
        "[" ATTRIBUTE("a", "HASH", "S") "," ATTRIBUTE("b", "RANGE",
                                                      "S") "," ATTRIBUTE("c", "RANGE", "S") "]",
        "[{\"KeyType\":\"HASH\",\"AttributeType\":\"S\"}]",
        "[{\"AttributeName\":\"a\",\"AttributeType\":\"S\"}]",
        "[{\"AttributeName\":\"a\",\"KeyType\":\"HASH\"}]",
        "[{\"AttributeName\":1,\"KeyType\":\"HASH\",\"AttributeType\":\"S\"}]",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct key_schema s;
        struct error err = {0};

        if (key_schema_read(&s, bytes_of(texts[i]), &err) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(err.kind, ERR_DATA);
    }
}

static void sequence_numbers_are_compared_as_numbers(void **state)
{
    static const char *const rising[] = {
        "0",
        "1",
        "9",
        "10",
        "99",
        "100000000000000000001",
        "100000000000000000002",
        "999999999999999999999",
        "1000000000000000000000",
        "1111111111111111111111111111111111111111",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rising); i++) {
        for (size_t j = 0; j < ARRAY_LEN(rising); j++) {
            AUTO(free_charp) char *padded = xasprintf("000%s", rising[i]);
            int order = ddb_sequence_compare(bytes_of(padded), bytes_of(rising[j]));

            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    assert_int_equal(ddb_sequence_compare(BYTES_LIT("00"), BYTES_LIT("")), 0);
}

static void base64_comes_back(void **state)
{
    (void)state;
    for (size_t len = 0; len < 100; len++) {
        struct buf text, back;
        struct error err;
        char data[100];

        for (size_t i = 0; i < len; i++)
            data[i] = (char)(i * 151 + len * 37);
        buf_init(&text, 200);
        buf_init(&back, 100);
        base64_encode(&text, (struct bytes){data, len});
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_int_equal(base64_decode(&back, buf_slice(&text), &err), 0);
        assert_true(bytes_equal(buf_slice(&back), (struct bytes){data, len}));
        if (text.len) {
            text.p[text.len / 2] = '*';
            assert_int_equal(base64_decode(&back, buf_slice(&text), &err), -1);
            assert_int_equal(back.len, len);
        }
        buf_release(&text);
        buf_release(&back);
    }
}

static void base64_has_the_letters_of_the_standard(void **state)
{
    static const struct {
        struct bytes data;
        const char *text;
    } cases[] = {{BYTES_LIT(""), ""},
                 {BYTES_LIT("f"), "Zg=="},
                 {BYTES_LIT("fo"), "Zm8="},
                 {BYTES_LIT("foo"), "Zm9v"},
                 {BYTES_LIT("foob"), "Zm9vYg=="},
                 {BYTES_LIT("\xfb\xff\xfe"), "+//+"},
                 {BYTES_LIT("\0\0\0"), "AAAA"},
                 {BYTES_LIT("\x69\xb7\x1d\x79\xf8\x21"), "abcdefgh"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;

        buf_init(&out, 64);
        base64_encode(&out, cases[i].data);
        assert_text(&out, bytes_of(cases[i].text));
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_written_as_javascript_writes_it),
        cmocka_unit_test(a_number_is_written_as_big_decimal_writes_it),
        cmocka_unit_test(numbers_far_from_their_point_are_exact),
        cmocka_unit_test(what_is_no_number_of_dynamodb_is_refused),
        cmocka_unit_test(the_cases_that_two_services_may_spell_differently_are_one_key),
        cmocka_unit_test(a_name_may_hold_any_character),
        cmocka_unit_test(a_key_that_is_none_is_a_data_error_and_appends_nothing),
        cmocka_unit_test(either_key_may_be_left_out_and_both_are_appended),
        cmocka_unit_test(an_item_is_read_out_of_the_middle_of_an_answer),
        cmocka_unit_test(a_key_schema_survives_its_json),
        cmocka_unit_test(key_schemas_differ_by_name_type_and_range),
        cmocka_unit_test(what_is_no_key_schema_is_refused),
        cmocka_unit_test(sequence_numbers_are_compared_as_numbers),
        cmocka_unit_test(base64_comes_back),
        cmocka_unit_test(base64_has_the_letters_of_the_standard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
