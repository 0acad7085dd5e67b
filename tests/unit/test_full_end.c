/* tests/unit/test_full_end.c - which records say that a table is finished in this run. */
#include "producer/full_end.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STARTED 1000

static const struct {
    const char *what;
    enum ledger_phase phase;
    int64_t finished_ms;
    bool is_elsewhere, is_stable, wanted;
} cases[] = {
    {"ours, of this run", PHASE_TAIL, STARTED, false, false, true},
    {"ours, of a former run", PHASE_TAIL, STARTED - 1, false, true, false},
    {"elsewhere, of this run", PHASE_TAIL, STARTED, true, false, true},
    {"elsewhere, older; its owner may not have begun, or be dead", PHASE_TAIL, STARTED - 1,
     true, false, false},
    {"elsewhere, older; its owner leaves it alone", PHASE_TAIL, STARTED - 1, true, true, true},
    {"elsewhere, being repeated", PHASE_SNAPSHOT, 0, true, true, false},
    {"a snapshot that was never finished", PHASE_TAIL, 0, true, true, false},
    {"a gap behind a snapshot", PHASE_GAP, STARTED, false, true, false},
};

static void a_former_runs_record_is_not_taken_for_this_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct ledger_table t = {.phase = cases[i].phase,
                                       .finished_ms = cases[i].finished_ms};

        if (full_end_is_finished(&t, STARTED, cases[i].is_elsewhere, cases[i].is_stable) !=
            cases[i].wanted)
            fail_msg("%s", cases[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_former_runs_record_is_not_taken_for_this_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
