/* tests/unit/test_fingerprint.c - both ends' keys as sums: equal for equal keys, in any order
 * and from any thread, and unequal where one is missing or doubled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "fullcheck/fingerprint.h"

#define KEYS 40000
#define THREADS 4

static struct bytes key_of(char room[64], size_t i)
{
    return (struct bytes){room, (size_t)sprintf(room, "{\"pk\":{\"S\":\"%zu\"}}", i)};
}

static void add(struct fingerprint *f, size_t from, size_t to, size_t step)
{
    char room[64];

    for (size_t i = from; i < to; i += step)
        fingerprint_add(f, key_of(room, i));
}

struct part {
    struct fingerprint *f;
    size_t from;
};

static void *add_part(void *arg)
{
    struct part *p = arg;

    add(p->f, p->from, KEYS, THREADS);
    return NULL;
}

static void add_from_threads(struct fingerprint *f)
{
    struct part parts[THREADS];
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        parts[i] = (struct part){f, i};
        CHECK(pthread_create(&threads[i], NULL, add_part, &parts[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void the_same_keys_from_many_threads_have_the_same_sums(void **state)
{
    AUTO(fingerprint_freep) struct fingerprint *a = fingerprint_new(), *b = fingerprint_new();

    (void)state;
    assert_true(fingerprint_equal(a, b));
    add(a, 0, KEYS, 1);
    assert_false(fingerprint_equal(a, b));
    add_from_threads(b);
    assert_true(fingerprint_equal(a, b));
}

static void only_the_place_of_a_missing_or_doubled_key_is_doubtful(void **state)
{
    static const size_t odd[] = {17, 39999};
    char room[64];

    (void)state;
    for (int doubled = 0; doubled < 2; doubled++) {
        AUTO(fingerprint_freep)
        struct fingerprint *a = fingerprint_new(), *b = fingerprint_new();
        size_t doubtful = 0;

        add(a, 0, KEYS, 1);
        for (size_t i = 0; i < KEYS; i++)
            for (int n = i == odd[0] || i == odd[1] ? 2 * doubled : 1; n > 0; n--)
                fingerprint_add(b, key_of(room, i));
        assert_false(fingerprint_equal(a, b));
        for (size_t i = 0; i < KEYS; i++)
            doubtful += !fingerprint_agree(a, b, key_of(room, i));
        for (size_t i = 0; i < ARRAY_LEN(odd); i++)
            assert_false(fingerprint_agree(a, b, key_of(room, odd[i])));
        assert_in_range(doubtful, 2, 20); /* few share a place */
    }
}

static void a_reset_begins_anew(void **state)
{
    AUTO(fingerprint_freep) struct fingerprint *a = fingerprint_new(), *b = fingerprint_new();

    (void)state;
    add(a, 0, 100, 1);
    fingerprint_reset(a);
    assert_true(fingerprint_equal(a, b));
    add(a, 0, 100, 1);
    add(b, 0, 100, 1);
    assert_true(fingerprint_equal(a, b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_keys_from_many_threads_have_the_same_sums),
        cmocka_unit_test(only_the_place_of_a_missing_or_doubled_key_is_doubtful),
        cmocka_unit_test(a_reset_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
