/* The batch: applying its entries in any order is applying all events in theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/batch.h"

static void put(struct batch *b, const char *keys, const char *after, int64_t offset)
{
    struct event ev = {.op = after ? EVENT_UPDATE : EVENT_DELETE,
                       .keys = bytes_of(keys),
                       .after = after ? bytes_of(after) : (struct bytes){0}};

    batch_saw(b, offset, 10);
    batch_add(b, &ev, offset, NULL);
}

static const struct batch_entry *entry_of(const struct batch *b, const char *keys)
{
    const struct batch_entry *found = NULL;

    for (size_t i = 0; i < b->count; i++)
        if (bytes_equal(b->entries[i].keys, bytes_of(keys))) {
            assert_null(found);
            found = &b->entries[i];
        }
    assert_non_null(found);
    return found;
}

static void the_last_event_of_a_key_stays(void **state)
{
    struct batch b;

    (void)state;
    batch_init(&b);
    put(&b, "a", "1", 4);
    put(&b, "b", "2", 5);
    put(&b, "a", "3", 9);
    assert_int_equal(b.count, 2);
    assert_true(bytes_is(entry_of(&b, "a")->after, "3"));
    assert_int_equal(entry_of(&b, "a")->offset, 9);
    assert_true(bytes_is(entry_of(&b, "b")->after, "2"));
    batch_release(&b);
}

static void a_delete_replaces_and_is_replaced(void **state)
{
    struct batch b;

    (void)state;
    batch_init(&b);
    put(&b, "a", "1", 0);
    put(&b, "a", NULL, 1);
    put(&b, "b", NULL, 2);
    put(&b, "b", "2", 3);
    assert_int_equal(entry_of(&b, "a")->after.len, 0);
    assert_true(bytes_is(entry_of(&b, "b")->after, "2"));
    batch_release(&b);
}

static void every_message_counts_for_the_position(void **state)
{
    struct batch b;

    (void)state;
    batch_init(&b);
    assert_int_equal(b.next_offset, POSITION_NONE);
    put(&b, "a", "1", 7);
    batch_saw(&b, 20, 100);
    assert_int_equal(b.next_offset, 21);
    assert_int_equal(b.bytes, 110);
    batch_reset(&b);
    assert_int_equal(b.next_offset, POSITION_NONE);
    assert_int_equal(b.count + b.seen + b.bytes, 0);
    batch_release(&b);
}

static void the_last_begin_goes_into_the_position(void **state)
{
    struct batch b;

    (void)state;
    batch_init(&b);
    batch_begin(&b, 5, BYTES_LIT("log one"));
    batch_begin(&b, 7, BYTES_LIT("two"));
    assert_int_equal(b.generation, 7);
    assert_string_equal(b.log_id, "two");
    batch_release(&b);
}

static void a_batch_is_full_by_keys_by_bytes_and_by_replaced_events(void **state)
{
    struct batch b;

    (void)state;
    batch_init(&b);
    put(&b, "a", "1", 0);
    assert_false(batch_is_full(&b, 2, 100));
    put(&b, "b", "1", 1);
    assert_true(batch_is_full(&b, 2, 100));
    assert_true(batch_is_full(&b, 3, 20));
    for (int64_t i = 2; i < 24; i++)
        put(&b, "a", "1", i);
    assert_true(batch_is_full(&b, 3, 100000)); /* one hot key doesn't hold messages for ever */
    batch_release(&b);
}

/* Random events on few keys, compared with a plain array that applies each. */
static void many_keys_end_as_if_applied_one_by_one(void **state)
{
    enum {
        KEYS = 700,
        EVENTS = 5000
    };
    char(*keys)[24] = calloc(KEYS, sizeof(*keys)), (*values)[24] = calloc(EVENTS, 24);
    int *last = malloc(KEYS * sizeof(*last));
    struct batch b;

    (void)state;
    batch_init(&b);
    srand(5);
    for (int k = 0; k < KEYS; k++) {
        snprintf(keys[k], sizeof(keys[k]), "{\"pk\":{\"N\":\"%d\"}}", k);
        last[k] = -1;
    }
    for (int i = 0; i < EVENTS; i++) {
        int k = rand() % KEYS;

        snprintf(values[i], 24, "%d", i);
        put(&b, keys[k], rand() % 4 ? values[i] : NULL, i);
        last[k] = i;
    }
    for (int k = 0; k < KEYS; k++)
        if (last[k] >= 0)
            assert_int_equal(entry_of(&b, keys[k])->offset, last[k]);
    batch_release(&b);
    free(keys);
    free(values);
    free(last);
}

static bool fall_back(struct batch *b, const char *keys)
{
    return batch_fall_back(b, (struct batch_entry *)entry_of(b, keys));
}

static void a_refused_event_gives_its_place_to_the_next_older_one(void **state)
{
    struct batch b;
    int message;

    (void)state;
    batch_init(&b);
    put(&b, "a", "1", 4);
    b.entries[0].message = &message;
    b.entries[0].generation = 3;
    put(&b, "b", "x", 5);
    put(&b, "a", NULL, 6);
    put(&b, "a", "3", 9);
    assert_true(fall_back(&b, "a"));
    assert_int_equal(entry_of(&b, "a")->after.len, 0); /* a delete is an event like others */
    assert_int_equal(entry_of(&b, "a")->offset, 6);
    assert_true(fall_back(&b, "a"));
    assert_true(bytes_is(entry_of(&b, "a")->after, "1"));
    assert_int_equal(entry_of(&b, "a")->offset, 4);
    assert_int_equal(entry_of(&b, "a")->generation, 3);
    assert_ptr_equal(entry_of(&b, "a")->message, &message);
    assert_false(fall_back(&b, "a"));
    assert_int_equal(entry_of(&b, "a")->offset, 4);
    assert_false(fall_back(&b, "b"));
    assert_int_equal(b.count, 2);
    batch_release(&b);
}

static void an_emptied_batch_holds_no_older_events(void **state)
{
    struct batch b;

    (void)state;
    batch_init(&b);
    put(&b, "a", "1", 4);
    put(&b, "a", "2", 5);
    assert_int_equal(b.first_offset, 4);
    batch_reset(&b);
    put(&b, "a", "3", 6);
    assert_int_equal(b.first_offset, 6);
    assert_false(fall_back(&b, "a"));
    batch_release(&b);
}

/* Random events of which some are refused whenever they are tried: in batches that begin and
 * end anywhere, and in any order within a batch, the documents end as if each was applied
 * alone. */
static void refusals_end_as_if_applied_one_by_one(void **state)
{
    enum {
        KEYS = 12,
        EVENTS = 400,
        ROUNDS = 300
    };
    static const char *const keys[KEYS] = {"a", "b", "c", "d", "e", "f",
                                           "g", "h", "i", "j", "k", "l"};
    char values[EVENTS][8];
    struct batch b;

    (void)state;
    batch_init(&b);
    srand(7);
    for (int i = 0; i < EVENTS; i++)
        snprintf(values[i], sizeof(values[i]), "%d", i);
    for (int round = 0; round < ROUNDS; round++) {
        int one_by_one[KEYS], batched[KEYS],
            refused_percent = rand() % 101; /* -1: no document */
        bool refused[EVENTS];

        for (int k = 0; k < KEYS; k++)
            one_by_one[k] = batched[k] = -1;
        for (int i = 0; i < EVENTS; i++) {
            int k = rand() % KEYS;
            bool deletes = rand() % 4 == 0;

            refused[i] = rand() % 100 < refused_percent;
            put(&b, keys[k], deletes ? NULL : values[i], i);
            if (!refused[i])
                one_by_one[k] = deletes ? -1 : i;
            if (rand() % 40 && i < EVENTS - 1)
                continue;
            for (size_t e = b.count; e-- > 0;) {
                bool holds = true;

                while (refused[b.entries[e].offset] && holds)
                    holds = batch_fall_back(&b, &b.entries[e]);
                if (holds)
                    batched[b.entries[e].keys.p[0] - 'a'] =
                        b.entries[e].after.len ? (int)b.entries[e].offset : -1;
            }
            batch_reset(&b);
        }
        assert_memory_equal(batched, one_by_one, sizeof(batched));
    }
    batch_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_event_of_a_key_stays),
        cmocka_unit_test(a_delete_replaces_and_is_replaced),
        cmocka_unit_test(every_message_counts_for_the_position),
        cmocka_unit_test(the_last_begin_goes_into_the_position),
        cmocka_unit_test(a_batch_is_full_by_keys_by_bytes_and_by_replaced_events),
        cmocka_unit_test(many_keys_end_as_if_applied_one_by_one),
        cmocka_unit_test(a_refused_event_gives_its_place_to_the_next_older_one),
        cmocka_unit_test(an_emptied_batch_holds_no_older_events),
        cmocka_unit_test(refusals_end_as_if_applied_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
