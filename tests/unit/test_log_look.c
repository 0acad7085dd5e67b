/* tests/unit/test_log_look.c - when the ends of a data topic say that it is another log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_table_bench.h"

#include "producer/log_look.h"
#include "producer/start_decision.h"

/* Of a table whose begin is at offset 3. */
static void begin(struct bench *b, const struct ledger_table *known)
{
    bench_begin(b, SYNC_ALL, known);
    bench_run_with_stream(b, known);
}

static void look(struct bench *b, int64_t end)
{
    world.topic_has = end;
    log_look_at_ends(b->w);
}

/* As if it had been so for as long as brokers may tell an old end. */
static void look_until_it_is_believed(struct bench *b, int64_t end)
{
    look(b, end);
    assert_null(b->w->halt_reason);
    b->w->look.log.doubt.since_ms -= 60000;
    look(b, end);
    look(b, end);
}

static void an_end_that_goes_on_or_stays_is_the_same_log(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    begin(&b, &known);
    look_until_it_is_believed(&b, 4); /* the begin and nothing else */
    look_until_it_is_believed(&b, 9);
    assert_null(b.w->halt_reason);
    assert_false(doubt_is_on(&b.w->look.log.doubt));
    bench_end(&b);
}

static void an_end_before_the_begin_is_another_log(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    begin(&b, &known);
    look_until_it_is_believed(&b, 3);
    assert_string_equal(b.w->halt_reason, START_OTHER_LOG);
    assert_int_equal(b.w->halt_phase, PHASE_GAP);
    bench_end(&b);
}

static void an_end_that_goes_back_is_another_log_unless_it_comes_again(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    begin(&b, &known);
    look(&b, 9);
    look(&b, 8);
    assert_true(doubt_is_on(&b.w->look.log.doubt));
    look(&b, 9);
    assert_false(doubt_is_on(&b.w->look.log.doubt));
    look_until_it_is_believed(&b, 8);
    assert_string_equal(b.w->halt_reason, START_OTHER_LOG);
    bench_end(&b);
}

static void a_new_generation_is_looked_at_from_its_own_begin(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    begin(&b, &known);
    look(&b, 900);
    b.w->appended.committed.generation = 2; /* in a topic of its own */
    look_until_it_is_believed(&b, 4);
    assert_null(b.w->halt_reason);
    bench_end(&b);
}

static void a_look_is_due_when_its_time_has_come_and_then_later(void **state)
{
    struct log_look l = {0};
    int64_t next = 1000;

    (void)state;
    log_look_begin(&l, 500);
    assert_false(log_look_is_due(&l, 499, 40, &next));
    assert_int_equal(next, 500);
    assert_true(log_look_is_due(&l, 500, 40, &next));
    assert_false(log_look_is_due(&l, 539, 40, &next));
    assert_true(log_look_is_due(&l, 540, 40, &next));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_that_goes_on_or_stays_is_the_same_log),
        cmocka_unit_test(an_end_before_the_begin_is_another_log),
        cmocka_unit_test(an_end_that_goes_back_is_another_log_unless_it_comes_again),
        cmocka_unit_test(a_new_generation_is_looked_at_from_its_own_begin),
        cmocka_unit_test(a_look_is_due_when_its_time_has_come_and_then_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
