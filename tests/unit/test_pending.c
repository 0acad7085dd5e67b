/* tests/unit/test_pending.c - the keys to be looked at: each once, the due ones first, within
 * their memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "fullcheck/pending.h"

#define LIMIT_MS 30000

static struct bytes key_of(char room[64], size_t i)
{
    return (struct bytes){room, (size_t)sprintf(room, "{\"pk\":{\"N\":\"%zu\"}}", i)};
}

static void add(struct pending *p, size_t i, enum pending_origin origin)
{
    char room[64];

    pending_add(p, key_of(room, i), origin);
}

static bool is_key(const struct pending_key *k, size_t i)
{
    char room[64];

    return bytes_equal((struct bytes){k->text, k->len}, key_of(room, i));
}

static struct pending_key *take_one(struct pending *p, int64_t now_ms)
{
    struct pending_key *k = NULL;

    pending_take(p, &k, 1, now_ms);
    return k;
}

static void a_key_is_there_once_with_its_first_origin(void **state)
{
    AUTO(pending_release) struct pending p;
    struct pending_key *taken[4];

    (void)state;
    pending_init(&p, LIMIT_MS);
    add(&p, 1, PENDING_ITEM);
    add(&p, 1, PENDING_DOCUMENT);
    add(&p, 2, PENDING_DOCUMENT);
    assert_int_equal(pending_take(&p, taken, 4, 0), 2);
    assert_true(is_key(taken[0], 1) && taken[0]->origin == PENDING_ITEM);
    assert_true(is_key(taken[1], 2) && taken[1]->origin == PENDING_DOCUMENT);
}

static void a_key_that_is_being_looked_at_is_neither_taken_nor_added_again(void **state)
{
    AUTO(pending_release) struct pending p;
    struct pending_key *k;

    (void)state;
    pending_init(&p, LIMIT_MS);
    add(&p, 1, PENDING_ITEM);
    k = take_one(&p, 0);
    assert_non_null(k);
    add(&p, 1, PENDING_ITEM);
    assert_null(take_one(&p, INT64_MAX));
    assert_false(pending_is_empty(&p)); /* or the check would end too early */
    assert_int_equal(pending_due_ms(&p), INT64_MAX);
    pending_done(&p, k);
    assert_true(pending_is_empty(&p));
}

static void a_key_that_was_the_same_may_come_again_a_told_one_may_not(void **state)
{
    AUTO(pending_release) struct pending p;

    (void)state;
    pending_init(&p, LIMIT_MS);
    add(&p, 1, PENDING_ITEM);
    pending_done(&p, take_one(&p, 0));
    add(&p, 1, PENDING_DOCUMENT);
    pending_reported(&p, take_one(&p, 0));
    add(&p, 1, PENDING_DOCUMENT);
    assert_true(pending_is_empty(&p));
    add(&p, 2, PENDING_DOCUMENT);
    assert_false(pending_is_empty(&p));
}

static void told_keys_are_remembered_up_to_a_ceiling_and_none_is_mixed_up(void **state)
{
    struct key_set s = {0};
    char room[64];

    (void)state;
    for (size_t i = 0; i < KEY_SET_AT_MOST + 10; i++) {
        if (i % 64 == 0)
            assert_false(key_set_has(&s, key_of(room, i)));
        key_set_add(&s, key_of(room, i));
        key_set_add(&s, key_of(room, i / 2));
    }
    assert_int_equal(s.count, KEY_SET_AT_MOST);
    assert_true(s.capacity <= 2 * KEY_SET_AT_MOST);
    for (size_t i = 0; i < KEY_SET_AT_MOST + 10; i += 5)
        assert_int_equal(key_set_has(&s, key_of(room, i)), i < KEY_SET_AT_MOST);
    key_set_release(&s);
}

/* Each key is given back at its level; they come back by their due times, at most `most`. */
static void keys_come_back_after_their_pause_and_not_before(void **state)
{
    AUTO(pending_release) struct pending p;

    (void)state;
    pending_init(&p, LIMIT_MS);
    for (unsigned level = 0; level < SETTLE_LEVELS; level++) {
        struct pending_key *k;

        add(&p, level, PENDING_ITEM);
        k = take_one(&p, 1000);
        assert_true(is_key(k, level));
        k->settle.level = level;
        pending_again(&p, k, 1000);
        assert_int_equal(k->due_ms, 1000 + settle_pause_ms(level, LIMIT_MS));
    }
    for (unsigned level = 0; level < SETTLE_LEVELS; level++) {
        int64_t due = 1000 + settle_pause_ms(level, LIMIT_MS);
        struct pending_key *k;

        assert_true(pending_due_ms(&p) <= due);
        assert_null(take_one(&p, pending_due_ms(&p) - 1));
        k = take_one(&p, due);
        assert_non_null(k);
        assert_true(k->due_ms <= due);
        pending_done(&p, k);
    }
    assert_true(pending_is_empty(&p));
}

/* The longest waiting first: new keys can't keep them waiting for ever. */
static void no_more_are_taken_than_asked_for_and_the_long_waiting_first(void **state)
{
    AUTO(pending_release) struct pending p;
    struct pending_key *k, *taken[3];

    (void)state;
    pending_init(&p, LIMIT_MS);
    add(&p, 0, PENDING_ITEM);
    k = take_one(&p, 0);
    k->settle.level = 3;
    pending_again(&p, k, 0);
    for (size_t i = 1; i < 10; i++)
        add(&p, i, PENDING_ITEM);
    assert_int_equal(pending_take(&p, taken, 3, 100000), 3);
    assert_true(is_key(taken[0], 0) && is_key(taken[1], 1) && is_key(taken[2], 2));
}

static void there_is_room_for_so_many_keys_only(void **state)
{
    AUTO(pending_release) struct pending p;
    size_t n = 0;

    (void)state;
    pending_init(&p, LIMIT_MS);
    while (pending_has_room(&p) && n < 1000000)
        add(&p, n++, PENDING_ITEM);
    assert_int_equal(n, 100000);
    pending_done(&p, take_one(&p, 0));
    assert_true(pending_has_room(&p));
}

static void the_newest_images_stay(void **state)
{
    AUTO(pending_release) struct pending p;
    struct pending_key *k;

    (void)state;
    pending_init(&p, LIMIT_MS);
    add(&p, 1, PENDING_ITEM);
    k = take_one(&p, 0);
    for (int i = 0; i < 20; i++) {
        char image[32];

        pending_remember(&p, k, (struct bytes){image, (size_t)sprintf(image, "{\"n\":%d}", i)});
    }
    assert_int_equal(k->image_count, PENDING_IMAGES);
    assert_string_equal(k->images[0], "{\"n\":19}");
    assert_string_equal(k->images[PENDING_IMAGES - 1], "{\"n\":12}");
    pending_remember(&p, k, BYTES_LIT(""));
    assert_string_equal(k->images[0], "");
    pending_done(&p, k);
    assert_int_equal(p.image_bytes, 0);
}

static size_t bytes_of_images(const struct pending *p)
{
    size_t bytes = 0;

    for (const struct pending_key *k = p->by_text; k; k = k->hh.next)
        for (size_t i = 0; i < k->image_count; i++)
            bytes += strlen(k->images[i]);
    return bytes;
}

static void images_stay_within_their_memory_and_a_key_gives_up_its_own_first(void **state)
{
    enum {
        IMAGE = 3 << 20,
        KEYS = 20,
        BUDGET = 32 << 20
    };
    AUTO(pending_release) struct pending p;
    struct pending_key *keys[KEYS];
    char *image = xcalloc(1, IMAGE);

    (void)state;
    memset(image, 'x', IMAGE);
    pending_init(&p, LIMIT_MS);
    for (size_t i = 0; i < KEYS; i++)
        add(&p, i, PENDING_ITEM);
    assert_int_equal(pending_take(&p, keys, KEYS, 0), KEYS);
    for (size_t i = 0; i < 3 * KEYS; i++) {
        pending_remember(&p, keys[i % KEYS], (struct bytes){image, IMAGE});
        assert_true(p.image_bytes <= BUDGET);
        assert_int_equal(p.image_bytes, bytes_of_images(&p));
    }
    assert_true(p.image_bytes > BUDGET / 2);
    for (size_t i = 0; i < KEYS; i++)
        pending_done(&p, keys[i]);
    assert_int_equal(p.image_bytes, 0);
    free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_there_once_with_its_first_origin),
        cmocka_unit_test(a_key_that_is_being_looked_at_is_neither_taken_nor_added_again),
        cmocka_unit_test(a_key_that_was_the_same_may_come_again_a_told_one_may_not),
        cmocka_unit_test(told_keys_are_remembered_up_to_a_ceiling_and_none_is_mixed_up),
        cmocka_unit_test(keys_come_back_after_their_pause_and_not_before),
        cmocka_unit_test(no_more_are_taken_than_asked_for_and_the_long_waiting_first),
        cmocka_unit_test(there_is_room_for_so_many_keys_only),
        cmocka_unit_test(the_newest_images_stay),
        cmocka_unit_test(images_stay_within_their_memory_and_a_key_gives_up_its_own_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
