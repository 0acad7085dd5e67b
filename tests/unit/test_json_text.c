/* tests/unit/test_json_text.c - what stands between quotes: unescaped, compared, and written in
 * one spelling. */
#include "common/json/json_text.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/check.h"

static const struct {
    struct bytes raw;
    struct bytes text;    /* WTF-8 */
    struct bytes written; /* by json_stringify */
    bool lone;
} strings[] = {
    {BYTES_LIT(""), BYTES_LIT(""), BYTES_LIT("\"\""), false},
    {BYTES_LIT("abc"), BYTES_LIT("abc"), BYTES_LIT("\"abc\""), false},
    {BYTES_LIT("\\u0061\\/b"), BYTES_LIT("a/b"), BYTES_LIT("\"a/b\""), false},
    {BYTES_LIT("\\\"\\\\\\b\\f\\n\\r\\t"), BYTES_LIT("\"\\\b\f\n\r\t"),
     BYTES_LIT("\"\\\"\\\\\\b\\f\\n\\r\\t\""), false},
    {BYTES_LIT("\\u0000\\u001F\\u007f"), BYTES_LIT("\0\x1f\x7f"),
     BYTES_LIT("\"\\u0000\\u001f\x7f\""), false},
    {BYTES_LIT("\\u00E9\\u20ac"), BYTES_LIT("\xc3\xa9\xe2\x82\xac"),
     BYTES_LIT("\"\xc3\xa9\xe2\x82\xac\""), false},
    {BYTES_LIT("\\uD83D\\uDE00"), BYTES_LIT("\xf0\x9f\x98\x80"),
     BYTES_LIT("\"\xf0\x9f\x98\x80\""), false},
    {BYTES_LIT("\xf0\x9f\x98\x80\\udbff\\udfff"), BYTES_LIT("\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"),
     BYTES_LIT("\"\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\""), false},
    {BYTES_LIT("\\uD83D"), BYTES_LIT("\xed\xa0\xbd"), BYTES_LIT("\"\\ud83d\""), true},
    {BYTES_LIT("x\\uDE00\\uD83Dy"), BYTES_LIT("x\xed\xb8\x80\xed\xa0\xbdy"),
     BYTES_LIT("\"x\\ude00\\ud83dy\""), true},
    {BYTES_LIT("\\uD83D\\uD83D\\uDE00"), BYTES_LIT("\xed\xa0\xbd\xf0\x9f\x98\x80"),
     BYTES_LIT("\"\\ud83d\xf0\x9f\x98\x80\""), true},
    {BYTES_LIT("\\uD83D\\n"), BYTES_LIT("\xed\xa0\xbd\n"), BYTES_LIT("\"\\ud83d\\n\""), true},
    {BYTES_LIT("\\u2028\\uFEFF"), BYTES_LIT("\xe2\x80\xa8\xef\xbb\xbf"),
     BYTES_LIT("\"\xe2\x80\xa8\xef\xbb\xbf\""), false},
    {BYTES_LIT("\\ud7ff\\ue000"), BYTES_LIT("\xed\x9f\xbf\xee\x80\x80"),
     BYTES_LIT("\"\xed\x9f\xbf\xee\x80\x80\""), false},
};

static void strings_are_unescaped_and_written_in_one_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        struct buf out;
        bool lone = false;

        buf_init(&out, 256);
        json_unescape(&out, strings[i].raw, &lone);
        assert_true(bytes_equal(buf_slice(&out), strings[i].text));
        assert_int_equal(lone, strings[i].lone);
        assert_true(json_raw_is(strings[i].raw, strings[i].text));
        assert_false(json_raw_is(strings[i].raw, BYTES_LIT("other")));
        buf_reset(&out);
        json_stringify(&out, strings[i].text);
        assert_true(bytes_equal(buf_slice(&out), strings[i].written));
        buf_release(&out);
    }
}

static void a_raw_string_is_no_prefix_and_not_its_own_escapes(void **state)
{
    (void)state;
    assert_false(json_raw_is(BYTES_LIT("abc"), BYTES_LIT("ab")));
    assert_false(json_raw_is(BYTES_LIT("ab"), BYTES_LIT("abc")));
    assert_false(json_raw_is(BYTES_LIT("\\n"), BYTES_LIT("\\n")));
    assert_false(json_raw_is(BYTES_LIT("\\u0061b"), BYTES_LIT("a")));
    assert_false(json_raw_is(BYTES_LIT("a\\u0062"), BYTES_LIT("ac")));
    assert_true(json_raw_is(BYTES_LIT(""), BYTES_LIT("")));
    assert_false(json_raw_is(BYTES_LIT("a"), BYTES_LIT("")));
    assert_true(json_raw_is(BYTES_LIT("\\u0000"), BYTES_LIT("\0")));
}

static void a_flag_for_lone_surrogates_is_never_lowered(void **state)
{
    bool lone = true;
    struct buf out;

    (void)state;
    buf_init(&out, 16);
    json_unescape(&out, BYTES_LIT("plain"), &lone);
    assert_true(lone);
    buf_release(&out);
}

static void bytes_that_are_no_character_are_written_as_its_replacement(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 64);
    json_stringify(&out, BYTES_LIT("a\xff\xc3z\xed\xa0"));
    assert_true(
        bytes_is(buf_slice(&out), "\"a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\""));
    buf_release(&out);
}

static void a_member_is_found_by_name_at_the_top_level_alone(void **state)
{
    static const struct bytes text =
        BYTES_LIT("{\"x\":{\"b\":0},\"\\u0062\":[2],\"b\":3,\"c\":!}");
    struct bytes value = BYTES_LIT("untouched");

    (void)state;
    assert_true(json_member(text, "b", &value) && bytes_is(value, "[2]"));
    value = BYTES_LIT("untouched");
    assert_false(json_member(text, "d", &value));
    assert_false(json_member(BYTES_LIT("[\"b\"]"), "b", &value));
    assert_false(json_member(BYTES_LIT(""), "b", &value));
    assert_false(json_member(text, "c", &value));
    assert_true(bytes_is(value, "untouched"));
}

static void an_unescaped_copy_ends_with_a_zero_and_tells_its_length(void **state)
{
    AUTO(free_charp) char *text = NULL, *empty = NULL;
    size_t len = 7;

    (void)state;
    text = json_unescape_dup(BYTES_LIT("a\\u0000\\n"), &len);
    assert_int_equal(len, 3);
    assert_memory_equal(text, "a\0\n", 4);
    empty = json_unescape_dup(BYTES_LIT(""), NULL);
    assert_string_equal(empty, "");
}

static void a_written_string_is_read_back_the_same_by_another_reader(void **state)
{
    static const char utf8[] = "\xc3\xa4\xf0\x9f\x98\x80/\"\\";
    char all[0x80 + sizeof(utf8)];
    AUTO(buf_release) struct buf b;
    json_t *back;

    (void)state;
    for (int i = 0; i < 0x80; i++)
        all[i] = (char)i;
    memcpy(all + 0x80, utf8, sizeof(utf8));
    buf_init(&b, 10000);
    json_stringify(&b, (struct bytes){all, sizeof(all)});
    back = json_loadb(b.p, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(back);
    assert_int_equal(json_string_length(back), sizeof(all));
    assert_memory_equal(json_string_value(back), all, sizeof(all));
    json_decref(back);
}

static void control_characters_have_the_spelling_of_json_stringify(void **state)
{
    AUTO(buf_release) struct buf b;

    (void)state;
    buf_init(&b, 1000);
    json_stringify(&b, BYTES_LIT("\b\f\n\r\t\"\\/\x01\x1f\x7f\0z"));
    assert_true(
        bytes_is(buf_slice(&b), "\"\\b\\f\\n\\r\\t\\\"\\\\/\\u0001\\u001f\x7f\\u0000z\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_unescaped_and_written_in_one_spelling),
        cmocka_unit_test(a_raw_string_is_no_prefix_and_not_its_own_escapes),
        cmocka_unit_test(a_flag_for_lone_surrogates_is_never_lowered),
        cmocka_unit_test(bytes_that_are_no_character_are_written_as_its_replacement),
        cmocka_unit_test(a_member_is_found_by_name_at_the_top_level_alone),
        cmocka_unit_test(an_unescaped_copy_ends_with_a_zero_and_tells_its_length),
        cmocka_unit_test(a_written_string_is_read_back_the_same_by_another_reader),
        cmocka_unit_test(control_characters_have_the_spelling_of_json_stringify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
