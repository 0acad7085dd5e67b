/* tests/unit/test_bytes.c - a buffer grows to its ceiling and not a byte further, and its JSON
 * strings are read back by another reader. */
#include "common/base/bytes.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void slices_are_compared_by_bytes(void **state)
{
    (void)state;
    assert_true(bytes_equal((struct bytes){NULL, 0}, (struct bytes){"x", 0}));
    assert_true(bytes_is(((struct bytes){"a\0bc", 3}), "a\0b"));
    assert_false(bytes_is(((struct bytes){"a\0bc", 4}), "a\0b"));
    assert_int_equal(bytes_of(NULL).len, 0);
}

static void a_buffer_grows_to_its_ceiling_exactly(void **state)
{
    AUTO(buf_release) struct buf b;
    char piece[100] = {0};

    (void)state;
    buf_init(&b, 1000);
    for (int i = 0; i < 10; i++)
        buf_append(&b, piece, sizeof(piece));
    assert_int_equal(b.len, 1000);
    assert_false(b.overflow);
    buf_char(&b, 'x');
    assert_int_equal(b.len, 1000);
    assert_true(b.overflow);
    assert_true(b.cap <= 1000);
}

static void past_its_ceiling_a_buffer_takes_nothing_until_reset(void **state)
{
    AUTO(buf_release) struct buf b;

    (void)state;
    buf_init(&b, 300);
    buf_lit(&b, "abc");
    assert_false(buf_reserve(&b, SIZE_MAX));
    assert_false(buf_reserve(&b, 298));
    buf_reset(&b);
    assert_true(buf_reserve(&b, 300));
    buf_lit(&b, "abc");
    assert_true(bytes_is(buf_slice(&b), "abc"));
}

static void a_formatted_text_that_does_not_fit_is_an_overflow(void **state)
{
    AUTO(buf_release) struct buf b;

    (void)state;
    buf_init(&b, 300);
    buf_printf(&b, "%d-%s", 5, "x");
    assert_true(bytes_is(buf_slice(&b), "5-x"));
    assert_string_equal(buf_cstr(&b), "5-x");
    assert_int_equal(b.len, 3);
    buf_printf(&b, "%0400d", 0);
    assert_true(b.overflow);
    assert_int_equal(b.len, 3);
}

static void a_copy_ends_with_a_zero(void **state)
{
    AUTO(free_charp) char *none = bytes_dup((struct bytes){NULL, 0});
    AUTO(free_charp) char *some = bytes_dup((struct bytes){"abc", 2});

    (void)state;
    assert_string_equal(none, "");
    assert_string_equal(some, "ab");
}

static void a_json_string_is_read_back_the_same(void **state)
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
    buf_json_string(&b, (struct bytes){all, sizeof(all)});
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
    buf_json_string(&b, BYTES_LIT("\b\f\n\r\t\"\\/\x01\x1f\x7f\0z"));
    assert_true(
        bytes_is(buf_slice(&b), "\"\\b\\f\\n\\r\\t\\\"\\\\/\\u0001\\u001f\x7f\\u0000z\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_compared_by_bytes),
        cmocka_unit_test(a_buffer_grows_to_its_ceiling_exactly),
        cmocka_unit_test(past_its_ceiling_a_buffer_takes_nothing_until_reset),
        cmocka_unit_test(a_formatted_text_that_does_not_fit_is_an_overflow),
        cmocka_unit_test(a_copy_ends_with_a_zero),
        cmocka_unit_test(a_json_string_is_read_back_the_same),
        cmocka_unit_test(control_characters_have_the_spelling_of_json_stringify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
