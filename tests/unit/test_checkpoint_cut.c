/* When a cut of the ledger is true of the target, and what all tables together are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/checkpoint_cut.h"

static const struct ledger_table record = {.phase = PHASE_TAIL,
                                           .generation = 5,
                                           .log_id = (char *)"log",
                                           .partitions = 2,
                                           .rows = true,
                                           .finished_ms = 1};

static struct checkpoint_cut *cut_of(const char *sequence)
{
    struct checkpoint_cut *cut = checkpoint_cut_new(&record);
    const struct ledger_shard shard = {.id = (char *)"s",
                                       .parent = (char *)"",
                                       .status = SHARD_IN_PROCESSING,
                                       .sequence = (char *)sequence};

    checkpoint_cut_add(cut, &shard, "mark");
    return cut;
}

#define AT(number)                                                                             \
    {                                                                                          \
        .found = true, .offset = number, .log_id = "log", .rewind = POSITION_NONE,             \
        .again = POSITION_NONE                                                                 \
    }

static void a_cut_is_applied_when_each_partition_is_past_its_end(void **state)
{
    static const struct {
        struct position_doc positions[2];
        bool applied;
    } cases[] = {
        {{AT(10), AT(20)}, true},
        {{AT(11), AT(2000)}, true},
        {{AT(9), AT(20)}, false},
        {{AT(10), AT(19)}, false},
        {{{.found = true, .offset = 10, .log_id = "log", .rewind = 9, .again = POSITION_NONE},
          AT(20)},
         false},
        {{{.found = true, .offset = 10, .log_id = "log", .rewind = POSITION_NONE, .again = 9},
          AT(20)},
         false},
        {{{.found = true,
           .offset = 30,
           .log_id = "another",
           .rewind = POSITION_NONE,
           .again = POSITION_NONE},
          AT(20)},
         false},
        {{{.found = false, .offset = POSITION_NONE}, AT(20)}, false},
    };
    AUTO(checkpoint_cut_freep) struct checkpoint_cut *cut = cut_of("1");

    (void)state;
    cut->ends = xcalloc(2, sizeof(*cut->ends));
    cut->ends[0] = 10;
    cut->ends[1] = 20;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(checkpoint_cut_is_applied(cut, cases[i].positions), cases[i].applied);
}

static void cuts_are_equal_when_they_say_the_same(void **state)
{
    AUTO(checkpoint_cut_freep) struct checkpoint_cut *a = cut_of("1");
    AUTO(checkpoint_cut_freep) struct checkpoint_cut *b = cut_of("1");
    AUTO(checkpoint_cut_freep) struct checkpoint_cut *later = cut_of("2");
    AUTO(checkpoint_cut_freep) struct checkpoint_cut *empty = checkpoint_cut_new(&record);

    (void)state;
    a->ends = xcalloc(2, sizeof(*a->ends));
    assert_true(checkpoint_cut_equal(a, b));
    assert_false(checkpoint_cut_equal(a, later));
    assert_false(checkpoint_cut_equal(a, empty));
    b->copied = false;
    assert_false(checkpoint_cut_equal(a, b));
}

static void a_cut_is_of_its_generation_and_its_log_alone(void **state)
{
    AUTO(checkpoint_cut_freep) struct checkpoint_cut *cut = cut_of("1");
    struct ledger_table other = record;

    (void)state;
    other.phase = PHASE_GAP;
    assert_true(checkpoint_cut_is_of(cut, &other));
    other.generation = 6;
    assert_false(checkpoint_cut_is_of(cut, &other));
    other = record;
    other.log_id = (char *)"another";
    assert_false(checkpoint_cut_is_of(cut, &other));
}

static void a_table_is_copied_when_its_snapshot_has_ended_and_no_gap_follows(void **state)
{
    static const struct {
        enum ledger_phase phase;
        int64_t generation, finished_ms;
        bool rows, renew;
        bool copied;
    } cases[] = {
        {PHASE_SNAPSHOT, 5, 0, true, false, false}, {PHASE_TAIL, 5, 1, true, false, true},
        {PHASE_TAIL, 5, 0, false, false, true},     {PHASE_GAP, 5, 1, true, false, false},
        {PHASE_PAUSED, 5, 0, true, false, false},   {PHASE_PAUSED, 5, 1, true, false, true},
        {PHASE_PAUSED, 5, 0, false, false, true},   {PHASE_PAUSED, 5, 1, true, true, false},
        {PHASE_FAILED, 0, 0, false, false, false},  {PHASE_FAILED, 5, 1, true, false, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct ledger_table t = {.phase = cases[i].phase,
                                       .generation = cases[i].generation,
                                       .finished_ms = cases[i].finished_ms,
                                       .rows = cases[i].rows,
                                       .renew = cases[i].renew};

        assert_int_equal(checkpoint_cut_is_copied(&t), cases[i].copied);
    }
}

static void a_table_that_does_not_exist_any_more_does_not_count(void **state)
{
    struct ledger_table t = record;

    (void)state;
    assert_true(checkpoint_cut_counts(&t));
    t.phase = PHASE_GONE;
    assert_false(checkpoint_cut_counts(&t));
}

static void all_tables_together_have_one_status(void **state)
{
    static const struct {
        struct checkpoint_census census; /* tables, uncopied, unknown */
        const char *status;
    } cases[] = {
        {{0, 0, 0}, ""},          {{3, 3, 0}, "full_sync"}, {{3, 1, 0}, "full_sync"},
        {{3, 0, 0}, "incr_sync"}, {{3, 1, 2}, "full_sync"}, {{3, 0, 1}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *status = checkpoint_cut_status(&cases[i].census);

        assert_int_equal(!status, !cases[i].status);
        if (status)
            assert_string_equal(status, cases[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_is_applied_when_each_partition_is_past_its_end),
        cmocka_unit_test(cuts_are_equal_when_they_say_the_same),
        cmocka_unit_test(a_cut_is_of_its_generation_and_its_log_alone),
        cmocka_unit_test(a_table_is_copied_when_its_snapshot_has_ended_and_no_gap_follows),
        cmocka_unit_test(a_table_that_does_not_exist_any_more_does_not_count),
        cmocka_unit_test(all_tables_together_have_one_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
