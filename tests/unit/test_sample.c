/* tests/unit/test_sample.c - a sample takes each key with the same chance, whatever the order
 * and however often it is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fullcheck/sample.h"

#define KEYS 2000

static struct bytes key_of(char room[64], size_t i)
{
    return (struct bytes){room, (size_t)sprintf(room, "{\"pk\":{\"N\":\"%zu\"}}", i)};
}

/* Shows the keys first, first + step, ... (modulo their number), each `times` times. */
static void show(struct sample *s, size_t keys, size_t first, size_t step, int times)
{
    char room[64];

    for (size_t i = 0; i < keys; i++)
        for (int n = 0; n < times; n++)
            sample_show(s, key_of(room, (first + i * step) % keys));
}

static int text_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **texts_of(const struct sample *s)
{
    char **texts = xcalloc(s->count + 1, sizeof(*texts));

    for (size_t i = 0; i < s->count; i++)
        texts[i] = s->heap[i]->text;
    qsort(texts, s->count, sizeof(*texts), text_order);
    return texts;
}

static void assert_same_sample(const struct sample *a, const struct sample *b)
{
    char **x = texts_of(a), **y = texts_of(b);

    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        assert_string_equal(x[i], y[i]);
    free(x);
    free(y);
}

static void a_seed_takes_the_same_keys_in_any_order_and_however_often_shown(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 100, 1024, KEYS};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct sample forwards, mixed;

        sample_init(&forwards, sizes[i], 42);
        sample_init(&mixed, sizes[i], 42);
        show(&forwards, KEYS, 0, 1, 1);
        show(&mixed, KEYS, 77, 1999, 3); /* 1999 and 2000 have no common factor */
        assert_int_equal(forwards.count, sizes[i]);
        assert_same_sample(&forwards, &mixed);
        sample_release(&forwards);
        sample_release(&mixed);
    }
}

static void another_seed_takes_other_keys(void **state)
{
    struct sample a, b;
    char **x, **y;
    size_t common = 0;

    (void)state;
    sample_init(&a, 100, 1);
    sample_init(&b, 100, 2);
    show(&a, KEYS, 0, 1, 1);
    show(&b, KEYS, 0, 1, 1);
    x = texts_of(&a);
    y = texts_of(&b);
    for (size_t i = 0; i < a.count; i++)
        common += bsearch(&x[i], y, b.count, sizeof(*y), text_order) != NULL;
    assert_true(common < 25); /* 5 are to be expected */
    free(x);
    free(y);
    sample_release(&a);
    sample_release(&b);
}

static void a_small_table_is_taken_whole(void **state)
{
    struct sample s;

    (void)state;
    sample_init(&s, 100, 7);
    show(&s, 60, 0, 1, 2);
    assert_int_equal(s.count, 60);
    sample_release(&s);
}

/* 300 samples of 20 of 200 keys: each key is taken 30 times, +- 5.2. */
static void each_key_has_the_same_chance(void **state)
{
    enum {
        OF = 200,
        SEEDS = 300,
        MOST = 20
    };
    int taken[OF] = {0};
    double chi_square = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sample s;

        sample_init(&s, MOST, seed);
        show(&s, OF, 0, 1, 1);
        for (size_t i = 0; i < s.count; i++)
            taken[atoi(s.heap[i]->text + strlen("{\"pk\":{\"N\":\""))]++;
        sample_release(&s);
    }
    for (int i = 0; i < OF; i++) {
        double off = taken[i] - SEEDS * MOST / (double)OF;

        assert_in_range(taken[i], 5, 60);
        chi_square += off * off / (SEEDS * MOST / (double)OF);
    }
    assert_true(chi_square > 110 && chi_square < 260); /* some 180 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_takes_the_same_keys_in_any_order_and_however_often_shown),
        cmocka_unit_test(another_seed_takes_other_keys),
        cmocka_unit_test(a_small_table_is_taken_whole),
        cmocka_unit_test(each_key_has_the_same_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
