/* tests/unit/test_trust.c - whose records share a transaction, who is found at fault, and for
 * how long who waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "producer/trust.h"

#define MEMBERS 6

/* Members who append to one transaction after another, some of whose topics take nothing. */
struct crowd {
    struct trust *trust;
    struct trust_member *members[MEMBERS];
    bool bad[MEMBERS]; /* the transaction fails */
    int held[MEMBERS]; /* how often they were found */
    int told[MEMBERS];
    int freed[MEMBERS];
    bool in[MEMBERS];
    int64_t now_ms;
};

static void crowd_init(struct crowd *c)
{
    static const char *const names[MEMBERS] = {"p.a", "p.b", "p.c", "p.d", "p.e", "p.f"};

    *c = (struct crowd){.trust = trust_new(), .now_ms = 1000};
    for (int i = 0; i < MEMBERS; i++) {
        c->members[i] = trust_member(c->trust, names[i]);
        trust_member_set(c->trust, c->members[i], &c->members[i]);
    }
}

static bool enter(struct crowd *c, int i)
{
    if (!trust_may_enter(c->trust, c->members[i], c->now_ms))
        return false;
    trust_entered(c->trust, c->members[i]);
    c->in[i] = true;
    return true;
}

/* What is known of the transaction: nothing but that it failed (undelivered all), or more. */
static bool end_with(struct crowd *c, bool fails, const struct trust_evidence *known)
{
    struct trust_evidence e[MEMBERS];
    struct trust_verdict verdicts[MEMBERS];
    int who[MEMBERS];
    size_t n = 0;

    for (int i = 0; i < MEMBERS; i++) {
        if (!c->in[i])
            continue;
        c->in[i] = false;
        who[n] = i;
        if (!fails)
            c->freed[i] += trust_committed(c->trust, c->members[i]);
        e[n] = known ? known[i] : (struct trust_evidence){.undelivered = true};
        e[n].member = c->members[i];
        e[n].topic = "p.x";
        e[n++].reason = "why";
    }
    if (n == 0) /* there was none */
        return true;
    if (fails)
        trust_aborted(c->trust, e, n, verdicts, 0, c->now_ms);
    else
        trust_all_committed(c->trust);
    for (size_t k = 0; fails && k < n; k++) {
        c->held[who[k]] += verdicts[k].held;
        c->told[who[k]] += verdicts[k].is_news;
    }
    trust_next(c->trust, c->now_ms);
    return !fails;
}

static bool end(struct crowd *c)
{
    bool fails = false;

    for (int i = 0; i < MEMBERS; i++)
        fails = fails || (c->in[i] && c->bad[i]);
    return end_with(c, fails, NULL);
}

/* All try to enter, the transaction ends; who was refused is woken as the writer does it. */
static void round_of_all(struct crowd *c)
{
    for (int i = 0; i < MEMBERS; i++)
        enter(c, i);
    end(c);
    c->now_ms += 50;
}

static void the_trusted_share_a_transaction(void **state)
{
    struct crowd c;

    (void)state;
    crowd_init(&c);
    for (int i = 0; i < MEMBERS; i++)
        assert_true(enter(&c, i));
    assert_false(trust_is_alone(c.trust));
    assert_true(end(&c));
    trust_free(c.trust);
}

/* Whatever the number of those whose topics take nothing: they are found, each is told once,
 * nobody else is held, and from then on the others share transactions. */
static void who_fails_alone_is_found_and_nobody_else(void **state)
{
    (void)state;
    for (unsigned set = 1; set + 1 < 1u << MEMBERS; set++) {
        struct crowd c;
        int shared = 0;

        crowd_init(&c);
        for (int i = 0; i < MEMBERS; i++)
            c.bad[i] = set >> i & 1;
        for (int n = 0; n < 60; n++)
            round_of_all(&c);
        for (int i = 0; i < MEMBERS; i++) {
            assert_int_equal(c.told[i], c.bad[i]);
            assert_true(c.bad[i] || c.held[i] == 0);
            shared += !c.bad[i] && enter(&c, i);
        }
        for (int i = 0; i < MEMBERS; i++)
            assert_true(c.bad[i] || c.in[i]);
        assert_true(shared > 0);
        assert_true(end(&c));
        trust_free(c.trust);
    }
}

static void who_is_held_waits_longer_each_time_and_is_free_with_its_commit(void **state)
{
    static const int64_t waits_ms[] = {1000,  1000,  2000,   4000,   8000,  16000,
                                       32000, 64000, 128000, 180000, 180000};
    int64_t wait = 0;
    struct crowd c;

    (void)state;
    crowd_init(&c);
    c.bad[0] = true;
    for (size_t n = 0; n < ARRAY_LEN(waits_ms); n++) {
        assert_true(enter(&c, 0));
        assert_false(enter(&c, 1) && n > 0);
        c.in[1] = false;
        assert_false(end(&c));
        wait = trust_wait_ms(c.trust, c.members[0], c.now_ms);
        assert_int_equal(wait, n == 1 ? 2000 : waits_ms[n]);
        c.now_ms += wait;
        assert_true(enter(&c, 1)); /* Kafka takes others' */
        assert_true(end(&c));
        if (n == 1)
            n++;
    }
    assert_int_equal(c.told[0], 1);
    c.bad[0] = false;
    assert_true(enter(&c, 0));
    assert_true(trust_is_alone(c.trust));
    assert_true(end(&c));
    assert_int_equal(c.freed[0], 1);
    assert_int_equal(trust_wait_ms(c.trust, c.members[0], c.now_ms), 0);
    assert_true(enter(&c, 1));
    assert_true(enter(&c, 0));
    trust_free(c.trust);
}

/* The topic that it was held for is no more. */
static void who_is_held_may_be_told_to_try_at_once(void **state)
{
    struct crowd c;

    (void)state;
    crowd_init(&c);
    c.bad[0] = true;
    for (int n = 0; n < 3; n++) {
        c.now_ms += 10000;
        assert_true(enter(&c, 0));
        assert_false(end(&c));
        assert_true(enter(&c, 1));
        assert_true(end(&c));
    }
    c.bad[0] = false;
    assert_false(enter(&c, 0));
    trust_try_now(c.trust, c.members[0]);
    assert_int_equal(trust_wait_ms(c.trust, c.members[0], c.now_ms), 0);
    assert_true(enter(&c, 0));
    assert_true(trust_is_alone(c.trust));
    assert_true(end(&c));
    trust_free(c.trust);
}

/* Kafka is away for an hour: everybody fails alone. */
static void an_outage_of_all_holds_nobody_for_long(void **state)
{
    struct crowd c;

    (void)state;
    crowd_init(&c);
    for (int i = 0; i < MEMBERS; i++)
        c.bad[i] = true;
    for (int64_t end_ms = c.now_ms + 3600000; c.now_ms < end_ms;)
        round_of_all(&c);
    for (int i = 0; i < MEMBERS; i++) {
        assert_in_range(trust_wait_ms(c.trust, c.members[i], c.now_ms), 0,
                        TRUST_DOUBT_LONGEST_MS);
        c.bad[i] = false;
    }
    c.now_ms += TRUST_DOUBT_LONGEST_MS;
    for (int n = 0; n < 2 * MEMBERS; n++) /* one after another, the trusted between */
        round_of_all(&c);
    for (int i = 0; i < MEMBERS; i++)
        assert_true(enter(&c, i));
    trust_free(c.trust);
}

/* It cost a lot, as an outage does: when it is over, nobody goes on waiting for that. */
static void what_is_not_proven_may_end_at_any_time(void **state)
{
    const struct trust_evidence e = {.undelivered = true, .topic = "p.x", .reason = "why"};
    struct trust_evidence one;
    struct trust_verdict verdict;
    struct crowd c;

    (void)state;
    crowd_init(&c);
    one = e;
    one.member = c.members[0];
    trust_aborted(c.trust, &one, 1, &verdict, 20000, c.now_ms);
    assert_true(verdict.held);
    assert_int_equal(trust_wait_ms(c.trust, c.members[0], c.now_ms), TRUST_ASK_AGAIN_MS);
    assert_false(enter(&c, 0));
    assert_true(enter(&c, 1));
    assert_true(end(&c));
    assert_int_equal(trust_wait_ms(c.trust, c.members[0], c.now_ms), 0);
    assert_true(enter(&c, 0));
    trust_begin(c.trust);
    c.in[0] = false;

    trust_aborted(c.trust, &one, 1, &verdict, 20000, c.now_ms); /* it is proven by the one */
    assert_int_equal(trust_wait_ms(c.trust, c.members[0], c.now_ms), 40000);

    one.member = c.members[2];
    trust_aborted(c.trust, &one, 1, &verdict, 20000, c.now_ms);
    c.now_ms += TRUST_DOUBT_LONGEST_MS; /* nobody has committed */
    assert_true(enter(&c, 2));
    trust_free(c.trust);
}

static void a_topic_that_is_named_is_held_at_once_and_its_neighbours_go_on(void **state)
{
    const struct trust_evidence known[MEMBERS] = {
        [1] = {.named = true, .undelivered = true}, [2] = {.undelivered = true}};
    struct crowd c;

    (void)state;
    crowd_init(&c);
    for (int i = 0; i < MEMBERS; i++)
        enter(&c, i);
    end_with(&c, true, known);
    assert_int_equal(c.told[1], 1);
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(enter(&c, i), i != 1);
    trust_free(c.trust);
}

static void only_what_was_not_delivered_is_suspected(void **state)
{
    const struct trust_evidence two[MEMBERS] = {
        [1] = {.undelivered = true}, [2] = {.undelivered = true}};
    const struct trust_evidence one[MEMBERS] = {[1] = {.undelivered = true}};
    struct crowd c;

    (void)state;
    crowd_init(&c);
    for (int i = 0; i < MEMBERS; i++)
        enter(&c, i);
    end_with(&c, true, two);
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(enter(&c, i), i != 1 && i != 2);
    trust_free(c.trust);

    crowd_init(&c); /* all others were taken beside it: that proves it */
    for (int i = 0; i < MEMBERS; i++)
        enter(&c, i);
    end_with(&c, true, one);
    assert_int_equal(c.told[1], 1);
    trust_free(c.trust);
}

/* Suspects and the trusted take turns. */
static void a_turn_goes_to_who_has_waited_and_not_to_who_does_not_come(void **state)
{
    const struct trust_evidence two[MEMBERS] = {
        [1] = {.undelivered = true}, [2] = {.undelivered = true}};
    struct crowd c;

    (void)state;
    crowd_init(&c);
    for (int i = 0; i < MEMBERS; i++)
        enter(&c, i);
    end_with(&c, true, two);
    assert_true(enter(&c, 0));
    assert_false(enter(&c, 1)); /* not beside others */
    assert_false(enter(&c, 2));
    assert_true(trust_committed(c.trust, c.members[0]) == false);
    c.in[0] = false;
    assert_ptr_equal(trust_next(c.trust, c.now_ms), &c.members[1]);
    assert_int_equal(trust_turn_ends_ms(c.trust), c.now_ms + TRUST_TURN_MS);
    assert_false(enter(&c, 0)); /* it is kept */
    assert_false(enter(&c, 2));
    c.now_ms += TRUST_TURN_MS;
    assert_false(enter(&c, 0));                      /* nobody could be woken by that */
    assert_null(trust_turn_over(c.trust, c.now_ms)); /* the trusted wait, too */
    assert_true(enter(&c, 0));
    c.in[0] = false;
    assert_ptr_equal(trust_next(c.trust, c.now_ms), &c.members[2]);
    trust_member_unset(c.trust, c.members[2], &c.members[2]); /* it leaves */
    assert_true(enter(&c, 0));
    trust_free(c.trust);
}

static void a_new_handle_and_a_new_owner(void **state)
{
    char topic[256], reason[256];
    struct crowd c;

    (void)state;
    crowd_init(&c);
    c.bad[0] = true;
    for (int n = 0; n < 20; n++)
        round_of_all(&c);
    assert_int_equal(c.told[0], 1);
    enter(&c, 1);
    trust_begin(c.trust); /* who is held stays held; nobody is in a transaction */
    assert_true(trust_is_told(c.trust, c.members[0], topic, reason, sizeof(topic)));
    assert_string_equal(topic, "p.x");
    assert_string_equal(reason, "why");
    assert_false(enter(&c, 0));
    trust_clear(c.trust);
    assert_false(trust_is_told(c.trust, c.members[0], topic, reason, sizeof(topic)));
    assert_true(enter(&c, 0));
    trust_free(c.trust);
}

static void all_rest_when_nobody_in_particular_is_at_fault(void **state)
{
    struct crowd c;

    (void)state;
    crowd_init(&c);
    trust_rest(c.trust, c.now_ms);
    assert_false(enter(&c, 0));
    assert_int_equal(trust_wait_ms(c.trust, c.members[0], c.now_ms), 1000);
    c.now_ms += 1000;
    assert_true(enter(&c, 0));
    trust_rest(c.trust, c.now_ms);
    assert_int_equal(trust_wait_ms(c.trust, c.members[1], c.now_ms), 2000);
    trust_all_committed(c.trust);
    trust_rest(c.trust, c.now_ms);
    assert_int_equal(trust_wait_ms(c.trust, c.members[1], c.now_ms), 1000);
    trust_free(c.trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trusted_share_a_transaction),
        cmocka_unit_test(who_fails_alone_is_found_and_nobody_else),
        cmocka_unit_test(who_is_held_waits_longer_each_time_and_is_free_with_its_commit),
        cmocka_unit_test(who_is_held_may_be_told_to_try_at_once),
        cmocka_unit_test(an_outage_of_all_holds_nobody_for_long),
        cmocka_unit_test(what_is_not_proven_may_end_at_any_time),
        cmocka_unit_test(a_topic_that_is_named_is_held_at_once_and_its_neighbours_go_on),
        cmocka_unit_test(only_what_was_not_delivered_is_suspected),
        cmocka_unit_test(a_turn_goes_to_who_has_waited_and_not_to_who_does_not_come),
        cmocka_unit_test(a_new_handle_and_a_new_owner),
        cmocka_unit_test(all_rest_when_nobody_in_particular_is_at_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
