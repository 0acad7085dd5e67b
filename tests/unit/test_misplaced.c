/* tests/unit/test_misplaced.c - documents under another _id are remembered by their key, and
 * only so many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fullcheck/misplaced.h"

DEFINE_FREEP(bson_t, bson_freep, bson_destroy)

static void each_id_of_a_key_is_remembered(void **state)
{
    AUTO(misplaced_release) struct misplaced m = {0};
    AUTO(bson_freep) bson_t *one = BCON_NEW("pk", "a", "_id", BCON_INT32(1));
    AUTO(bson_freep) bson_t *two = BCON_NEW("_id", "{", "x", "y", "}", "pk", "a");
    AUTO(bson_freep) bson_t *none = BCON_NEW("pk", "b");
    const struct misplaced_key *k;

    (void)state;
    assert_true(misplaced_add(&m, BYTES_LIT("a"), one));
    assert_true(misplaced_add(&m, BYTES_LIT("b"), none));
    assert_true(misplaced_add(&m, BYTES_LIT("a"), two));
    assert_null(misplaced_find(&m, BYTES_LIT("c")));
    k = misplaced_find(&m, BYTES_LIT("a"));
    assert_int_equal(k->count, 2);
    assert_true(bson_has_field(k->ids[0], "_id") && !bson_has_field(k->ids[0], "pk"));
    assert_true(bson_has_field(k->ids[1], "_id.x"));
    assert_int_equal(misplaced_find(&m, BYTES_LIT("b"))->count, 1);
    assert_int_equal(m.documents, 3);
}

static size_t added(const bson_t *document)
{
    AUTO(misplaced_release) struct misplaced m = {0};
    char room[32];
    size_t n = 0;

    while (n < 200000 &&
           misplaced_add(&m, (struct bytes){room, (size_t)sprintf(room, "%zu", n)}, document))
        n++;
    assert_int_equal(m.documents, n);
    return n;
}

static void there_is_a_limit_by_number_and_by_size(void **state)
{
    AUTO(bson_freep) bson_t *small = BCON_NEW("_id", BCON_INT32(1)), *large = bson_new();
    size_t len = (size_t)1 << 20;
    char *text = xcalloc(1, len);

    (void)state;
    memset(text, 'x', len);
    bson_append_utf8(large, "_id", 3, text, (int)len);
    assert_int_equal(added(small), 100000);
    assert_int_equal(added(large), 64);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_id_of_a_key_is_remembered),
        cmocka_unit_test(there_is_a_limit_by_number_and_by_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
