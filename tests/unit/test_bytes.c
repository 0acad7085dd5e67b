/* tests/unit/test_bytes.c - a buffer grows to its ceiling and not a byte further. */
#include "common/base/bytes.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_compared_by_bytes),
        cmocka_unit_test(a_buffer_grows_to_its_ceiling_exactly),
        cmocka_unit_test(past_its_ceiling_a_buffer_takes_nothing_until_reset),
        cmocka_unit_test(a_formatted_text_that_does_not_fit_is_an_overflow),
        cmocka_unit_test(a_copy_ends_with_a_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
