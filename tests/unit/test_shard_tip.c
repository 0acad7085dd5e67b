/* tests/unit/test_shard_tip.c - what proves that a shard is read to its tip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "producer/shard_tip.h"

#define SERVICE 1700000000000LL
#define MONO 1000000LL
#define SECOND 1000LL
#define MINUTE (60 * SECOND)

struct answer { /* one after another */
    int64_t after_ms;
    int64_t records;
    int64_t age_ms; /* of the newest record, when it was asked for */
    bool chain_ends;
    bool proven;
};

static void check(const struct answer *answers, size_t count)
{
    struct shard_tip t = {0};
    int64_t passed = 0;

    for (size_t i = 0; i < count; i++) {
        const struct answer *a = &answers[i];

        passed += a->after_ms;
        if (a->chain_ends)
            shard_tip_chain_ends(&t);
        shard_tip_answer(&t, a->records, SERVICE + passed - a->age_ms, SERVICE + passed,
                         MONO + passed);
        if (t.proven != a->proven)
            fail_msg("answer %zu: proven is %d", i, t.proven);
    }
}
#define CHECK_ANSWERS(...)                                                                     \
    check((struct answer[]){__VA_ARGS__},                                                      \
          sizeof((struct answer[]){__VA_ARGS__}) / sizeof(struct answer))

static void a_few_empty_answers_prove_nothing(void **state)
{
    (void)state;
    CHECK_ANSWERS({.after_ms = 0}, {.after_ms = SECOND}, {.after_ms = SECOND},
                  {.after_ms = MINUTE}, {.after_ms = 2 * MINUTE});
}

static void minutes_of_nothing_but_empty_answers_do(void **state)
{
    (void)state;
    CHECK_ANSWERS({.after_ms = 0}, {.after_ms = 5 * MINUTE - 1},
                  {.after_ms = 1, .proven = true}, {.after_ms = 200, .proven = true});
}

static void another_iterator_begins_anew(void **state)
{
    (void)state;
    CHECK_ANSWERS({.after_ms = 0}, {.after_ms = 4 * MINUTE},
                  {.after_ms = 2 * MINUTE, .chain_ends = true}, {.after_ms = 4 * MINUTE},
                  {.after_ms = MINUTE, .proven = true});
    CHECK_ANSWERS({.records = 1, .age_ms = SECOND}, {.chain_ends = true});
}

static void a_young_record_and_then_nothing_do(void **state)
{
    (void)state;
    CHECK_ANSWERS({.records = 3, .age_ms = SECOND}, {.after_ms = 20, .proven = true},
                  {.after_ms = 200, .proven = true});
    CHECK_ANSWERS({.records = 1, .age_ms = TIP_RECORD_MS}, {.after_ms = 20, .proven = true});
}

static void an_old_record_and_then_nothing_prove_nothing(void **state)
{
    (void)state;
    CHECK_ANSWERS({.records = 1000, .age_ms = 20 * 60 * MINUTE}, {.after_ms = 20},
                  {.after_ms = 20}, {.after_ms = 4 * MINUTE},
                  {.after_ms = MINUTE, .proven = true});
    CHECK_ANSWERS({.records = 1, .age_ms = TIP_RECORD_MS + 1}, {.after_ms = 20});
}

/* Old ones behind a horizon are records too. */
static void an_old_record_after_a_young_one_takes_the_proof_back(void **state)
{
    (void)state;
    CHECK_ANSWERS({.records = 1, .age_ms = SECOND}, {.proven = true},
                  {.records = 1, .age_ms = 20 * 60 * MINUTE}, {.after_ms = SECOND});
}

/* What was written a moment before it was asked may show a moment later. */
static void it_is_complete_to_a_moment_before_it_was_asked(void **state)
{
    (void)state;
    assert_int_equal(shard_tip_complete_to(INT64_C(1760000000000)),
                     INT64_C(1760000000000) - TIP_DELAY_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_empty_answers_prove_nothing),
        cmocka_unit_test(minutes_of_nothing_but_empty_answers_do),
        cmocka_unit_test(another_iterator_begins_anew),
        cmocka_unit_test(a_young_record_and_then_nothing_do),
        cmocka_unit_test(an_old_record_and_then_nothing_prove_nothing),
        cmocka_unit_test(an_old_record_after_a_young_one_takes_the_proof_back),
        cmocka_unit_test(it_is_complete_to_a_moment_before_it_was_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
