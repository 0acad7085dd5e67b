/* tests/unit/test_letter_list.c - which dead letters are replayed together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consumer/letter_list.h"

#define KEYS BYTES_LIT("{\"pk\":{\"S\":\"a\"}}")
#define NO_KEYS ((struct bytes){0})

static void add(struct letter_list *letters, int64_t offset, const char *table,
                struct bytes keys)
{
    assert_true(letter_list_add(letters, offset, bytes_of(table), keys, BYTES_LIT("k\0k")));
}

static void letters_go_by_table_and_those_without_keys_by_themselves(void **state)
{
    AUTO(letter_list_release) struct letter_list letters = {.ceiling = 10000};

    (void)state;
    add(&letters, 1, "b", KEYS);
    add(&letters, 2, "a", NO_KEYS);
    add(&letters, 5, "a", KEYS);
    add(&letters, 6, "b", KEYS);
    add(&letters, 9, "a", KEYS);
    letter_list_sort(&letters);
    assert_int_equal(letter_list_run(&letters, 0, 100), 2); /* a: 5, 9 */
    assert_int_equal(letters.list[0].offset, 5);
    assert_int_equal(letters.list[1].offset, 9);
    assert_int_equal(letters.list[0].key_len, 3);
    assert_int_equal(letter_list_run(&letters, 2, 100), 1); /* a: 2 */
    assert_null(letters.list[2].keys);
    assert_int_equal(letter_list_run(&letters, 3, 100), 2); /* b: 1, 6 */
    assert_int_equal(letter_list_run(&letters, 3, 1), 1);
}

static void a_letter_that_was_marked_is_left_out(void **state)
{
    AUTO(letter_list_release) struct letter_list letters = {.ceiling = 10000};

    (void)state;
    letter_list_mark(&letters, 1);
    add(&letters, 1, "a", KEYS);
    add(&letters, 4, "a", KEYS);
    add(&letters, 7, "a", KEYS);
    letter_list_mark(&letters, 4);
    letter_list_mark(&letters, 4);
    letter_list_mark(&letters, 5);
    letter_list_sort(&letters);
    assert_int_equal(letters.count, 2);
    assert_int_equal(letters.list[0].offset, 1);
    assert_int_equal(letters.list[1].offset, 7);
    letter_list_mark(&letters, 1);
    letter_list_mark(&letters, 7);
    letter_list_sort(&letters);
    assert_int_equal(letters.count, 0);
}

static void what_does_not_fit_is_left_for_another_list(void **state)
{
    AUTO(letter_list_release)
    struct letter_list letters = {.ceiling = 2 * (sizeof(struct letter) + 30)};

    (void)state;
    add(&letters, 1, "a", KEYS);
    add(&letters, 2, "a", KEYS);
    assert_false(letter_list_add(&letters, 3, BYTES_LIT("a"), KEYS, BYTES_LIT("k")));
    assert_int_equal(letters.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_go_by_table_and_those_without_keys_by_themselves),
        cmocka_unit_test(a_letter_that_was_marked_is_left_out),
        cmocka_unit_test(what_does_not_fit_is_left_for_another_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
