/* tests/unit/test_commit_pace.c - when a transaction is committed, by what commits cost and by
 * what it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "producer/commit_pace.h"

#define FULL (256 * 1024)

static void a_transaction_is_due_by_its_first_record_and_the_commit_before_it(void **state)
{
    static const struct {
        const char *what;
        int64_t interval_ms, cost_us, first_ms, last_ms, bytes, records, due_ms;
    } cases[] = {
        {"alone: what comes together goes together", 0, 10000, 5000, 1000, 500, 1, 5003},
        {"the next one waits for four times the cost", 0, 10000, 1001, 1000, 500, 1, 1040},
        {"that is never below the first record's few ms", 0, 500, 1001, 1000, 500, 1, 1004},
        {"nothing is measured yet", 0, 0, 1001, 1000, 500, 1, 1004},
        {"commits that cost a lot", 0, 2000000, 1001, 1000, 500, 1, 1250},
        {"a transaction that has filled up may take longer", 0, 10000, 1001, 1000, FULL, 1,
         1250},
        {"in proportion", 0, 10000, 1001, 1000, FULL / 2, 1, 1125},
        {"many small records, too", 0, 10000, 1001, 1000, 500, 500, 1250},
        {"also in proportion", 0, 10000, 1001, 1000, 500, 100, 1050},
        {"and no longer than that", 0, 10000, 1001, 1000, 100 * FULL, 9000, 1250},
        {"a fixed interval", 5000, 10000, 1001, 1000, 500, 1, 6000},
        {"a fixed interval, however full", 100, 10000, 1001, 1000, FULL, 500, 1100},
        {"a fixed interval that is over", 100, 10000, 5000, 1000, 500, 1, 5003},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct commit_pace p = {.interval_ms = cases[i].interval_ms,
                                      .cost_us = cases[i].cost_us};
        int64_t due = commit_pace_due_ms(&p, cases[i].first_ms, cases[i].last_ms,
                                         cases[i].bytes, cases[i].records);

        if (due != cases[i].due_ms)
            fail_msg("%s: due at %jd, not %jd", cases[i].what, (intmax_t)due,
                     (intmax_t)cases[i].due_ms);
    }
}

/* A steady trickle: a fifth of the time is in commits. */
static void commits_take_a_fifth_of_the_time_of_a_trickle(void **state)
{
    static const int64_t costs_ms[] = {5, 20, 40, 60};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(costs_ms); i++) {
        struct commit_pace p = {0};
        int64_t now = 1000, last = 0, in_commits = 0, began;

        for (int n = 0; n < 20; n++) {
            now = commit_pace_due_ms(&p, MAX(now, last + 1), last, 500, 1);
            commit_pace_measured(&p, costs_ms[i] * 1000);
            in_commits += n >= 10 ? costs_ms[i] : 0;
            last = now += costs_ms[i];
            if (n == 9)
                began = now;
        }
        assert_in_range(in_commits * 100 / (now - began), 18, 21);
    }
}

static void one_slow_commit_does_not_set_the_pace(void **state)
{
    struct commit_pace p = {0};

    (void)state;
    for (int i = 0; i < 10; i++)
        commit_pace_measured(&p, 10000);
    commit_pace_measured(&p, 110000);
    assert_int_equal(p.cost_us, 30000);
    for (int i = 0; i < 20; i++)
        commit_pace_measured(&p, 10000);
    assert_in_range(p.cost_us, 10000, 10500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_is_due_by_its_first_record_and_the_commit_before_it),
        cmocka_unit_test(commits_take_a_fifth_of_the_time_of_a_trickle),
        cmocka_unit_test(one_slow_commit_does_not_set_the_pace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
