/* tests/unit/test_poison.c - what is poison, when it is forgotten, when a topic refuses too
 * much, and for how long records are sent alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "producer/poison.h"

#define TOPIC BYTES_LIT("p.t")

static struct poison_record row(const char *keys)
{
    return (struct poison_record){.topic = TOPIC, .keys = bytes_of(keys)};
}

static struct poison_record change(const char *shard, const char *sequence)
{
    return (struct poison_record){.topic = TOPIC,
                                  .shard = bytes_of(shard),
                                  .sequence = bytes_of(sequence),
                                  .keys = BYTES_LIT("{\"k\":1}")};
}

static bool take(struct poison *r, struct poison_record record)
{
    char reason[32] = "";
    bool taken = poison_take(r, &record, reason, sizeof(reason));

    if (taken)
        assert_string_equal(reason, "why");
    return taken;
}

static void add(struct poison *r, struct poison_record record)
{
    assert_int_equal(poison_add(r, &record, "why", 1), POISON_REMEMBERED);
}

static void a_row_is_told_by_its_key_a_change_by_shard_and_number(void **state)
{
    AUTO(poison_freep) struct poison *r = poison_new();
    struct poison_record elsewhere = row("{\"k\":1}");

    (void)state;
    elsewhere.topic = BYTES_LIT("p.other");
    assert_false(poison_any(r));
    add(r, row("{\"k\":1}"));
    add(r, change("s1", "12"));
    assert_true(poison_any(r));
    assert_true(take(r, row("{\"k\":1}")));
    assert_false(take(r, row("{\"k\":2}")));
    assert_false(take(r, elsewhere));
    assert_true(take(r, change("s1", "12")));
    assert_false(take(r, change("s1", "13"))); /* of the same item */
    assert_false(take(r, change("s2", "12")));
}

static void only_what_is_committed_is_forgotten(void **state)
{
    AUTO(poison_freep) struct poison *r = poison_new();

    (void)state;
    add(r, row("{\"k\":1}"));
    add(r, row("{\"k\":2}"));
    assert_true(take(r, row("{\"k\":1}")));
    poison_aborted(r, TOPIC);
    poison_committed(r, TOPIC); /* of a transaction without them */
    assert_true(take(r, row("{\"k\":1}")));
    poison_committed(r, BYTES_LIT("p.other"));
    poison_committed(r, TOPIC);
    assert_false(take(r, row("{\"k\":1}")));
    assert_true(take(r, row("{\"k\":2}")));
    poison_clear(r);
    assert_false(take(r, row("{\"k\":2}")));
    assert_false(poison_any(r));
}

static enum poison_verdict add_number(struct poison *r, int n, int64_t now_ms)
{
    char sequence[16];
    struct poison_record record;

    snprintf(sequence, sizeof(sequence), "%d", n);
    record = change("s", sequence);
    return poison_add(r, &record, "why", now_ms);
}

/* Also when each was committed as a dead letter meanwhile; but not over days. */
static void one_too_many_within_an_hour_is_the_topics_fault(void **state)
{
    AUTO(poison_freep) struct poison *r = poison_new();
    const int64_t later = 7 + POISON_WINDOW_MS + 1;

    (void)state;
    for (int i = 0; i < POISON_AT_MOST; i++) {
        assert_int_equal(add_number(r, i, 7), POISON_REMEMBERED);
        assert_true(take(r, change("s", "0")) == (i == 0));
        poison_committed(r, TOPIC);
    }
    assert_int_equal(add_number(r, 5, 8), POISON_REMEMBERED); /* is known */
    assert_int_equal(add_number(r, 1000, later - 1), POISON_TOO_MANY);
    assert_int_equal(add_number(r, 1000, later), POISON_REMEMBERED);
    assert_int_equal(add_number(r, 1001, later), POISON_REMEMBERED);
}

static void a_refused_dead_letter_goes_without_its_bytes_once(void **state)
{
    AUTO(poison_freep) struct poison *r = poison_new();

    (void)state;
    assert_false(poison_bare_dead_letters(r, TOPIC));
    assert_int_equal(poison_add_dead_letter(r, TOPIC), POISON_REMEMBERED);
    assert_true(poison_bare_dead_letters(r, TOPIC));
    assert_false(poison_bare_dead_letters(r, BYTES_LIT("p.other")));
    assert_int_equal(poison_add_dead_letter(r, TOPIC), POISON_TOO_MANY);
}

static void records_are_alone_for_a_while_and_longer_when_that_was_too_short(void **state)
{
    AUTO(poison_freep) struct poison *r = poison_new();
    int64_t now = 1000, length = POISON_ALONE_MS;
    struct poison_record one = row("{}");

    (void)state;
    assert_false(poison_sends_alone(r, now));
    for (int i = 0; i < 20; i++) {
        poison_batch_refused(r, now);
        poison_batch_refused(r, now + 1); /* the same transaction */
        assert_true(poison_sends_alone(r, now + length - 1));
        assert_false(poison_sends_alone(r, now + length));
        now += length + 1;
        length = MIN(2 * length, POISON_ALONE_LONGEST_MS);
    }
    now += 2 * POISON_ALONE_LONGEST_MS; /* a trouble of its own */
    poison_batch_refused(r, now);
    assert_false(poison_sends_alone(r, now + POISON_ALONE_MS));
    poison_batch_refused(r, now + 3 * POISON_ALONE_MS);
    poison_add(r, &one, "why", now + 4 * POISON_ALONE_MS - 1);
    assert_true(poison_sends_alone(r, now + 4 * POISON_ALONE_MS));
}

/* Its table was halted, so no dead letter was made: when the topic takes it, it is sent. */
static void what_is_forgotten_may_be_sent_again(void **state)
{
    AUTO(poison_freep) struct poison *r = poison_new();

    (void)state;
    for (int i = 0; i < POISON_AT_MOST; i++)
        add_number(r, i, 7);
    assert_true(take(r, change("s", "0")));
    poison_forget(r, TOPIC);
    poison_forget(r, BYTES_LIT("p.other"));
    assert_false(take(r, change("s", "0")));
    assert_false(take(r, change("s", "1")));
    assert_int_equal(add_number(r, 1000, 8), POISON_REMEMBERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_told_by_its_key_a_change_by_shard_and_number),
        cmocka_unit_test(only_what_is_committed_is_forgotten),
        cmocka_unit_test(one_too_many_within_an_hour_is_the_topics_fault),
        cmocka_unit_test(what_is_forgotten_may_be_sent_again),
        cmocka_unit_test(a_refused_dead_letter_goes_without_its_bytes_once),
        cmocka_unit_test(records_are_alone_for_a_while_and_longer_when_that_was_too_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
