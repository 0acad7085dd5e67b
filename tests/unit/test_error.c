/* tests/unit/test_error.c - an error keeps its kind under prefixes and never overruns. */
#include "common/base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void an_error_has_kind_code_and_text(void **state)
{
    struct error err = {.code = 5};

    (void)state;
    assert_int_equal(error_set(&err, ERR_DATA, "item %d", 7), -1);
    assert_int_equal(err.kind, ERR_DATA);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.message, "item 7");
    assert_int_equal(error_fatal(&err, 77, "no right on %s", "t"), -1);
    assert_int_equal(err.kind, ERR_FATAL);
    assert_int_equal(err.code, 77);
    assert_string_equal(err.message, "no right on t");
}

static void prefixes_stand_before_and_keep_the_kind(void **state)
{
    struct error err = {0};

    (void)state;
    error_fatal(&err, 78, "bad value");
    assert_int_equal(error_prefix(&err, "line %d", 3), -1);
    error_prefix(&err, "a.conf");
    assert_string_equal(err.message, "a.conf: line 3: bad value");
    assert_int_equal(err.kind, ERR_FATAL);
    assert_int_equal(err.code, 78);
}

static void a_long_text_is_cut_and_ends_with_a_zero(void **state)
{
    char text[2 * sizeof(((struct error *)0)->message)];
    struct error err = {0};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    error_set(&err, ERR_RETRY, "%s", text);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    error_prefix(&err, "before");
    assert_memory_equal(err.message, "before: xxx", 11);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    error_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    assert_int_equal(err.kind, ERR_RETRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_kind_code_and_text),
        cmocka_unit_test(prefixes_stand_before_and_keep_the_kind),
        cmocka_unit_test(a_long_text_is_cut_and_ends_with_a_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
