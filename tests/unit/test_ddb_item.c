/* tests/unit/test_ddb_item.c - one spelling of every key: vectors made by JSON.stringify, and
 * the cases at the limits. */
#include "common/item/ddb_item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/json/json_text.h"
#include "support_vector.h"

#define HASH_S ((struct key_schema){.hash = {(char *)"pk", 2, 'S'}})
#define HASH_N ((struct key_schema){.hash = {(char *)"pk", 2, 'N'}})
#define HASH_B ((struct key_schema){.hash = {(char *)"pk", 2, 'B'}})
#define HASH_RANGE                                                                             \
    ((struct key_schema){.hash = {(char *)"pk", 2, 'S'}, .range = {(char *)"sk", 2, 'N'}})

#define DIGITS_38 "12345678901234567890123456789012345678"

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
    vector_read(&text, "canonical_keys.json");
    json_reader_init(&r, buf_slice(&text));
    assert_true(json_array_begin(&r));
    for (; json_array_next(&r); vectors++)
        check_vector(&r);
    assert_true(json_end(&r));
    assert_int_equal(vectors, 400);
    buf_release(&text);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_written_as_javascript_writes_it),
        cmocka_unit_test(the_cases_that_two_services_may_spell_differently_are_one_key),
        cmocka_unit_test(a_name_may_hold_any_character),
        cmocka_unit_test(a_key_that_is_none_is_a_data_error_and_appends_nothing),
        cmocka_unit_test(either_key_may_be_left_out_and_both_are_appended),
        cmocka_unit_test(an_item_is_read_out_of_the_middle_of_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
