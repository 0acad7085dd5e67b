/* tests/unit/test_table_repair.c - a repair and its table: the one waits for the other, and
 * nothing is appended twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_table_bench.h"

static struct pending_signal request_to_repair(void)
{
    static char key[] = "{\"pk\":{\"S\":\"u\"}}", *keys[] = {key};
    struct pending_signal repair = bench_request(TABLE_SIGNAL_REPAIR);

    repair.signal.keys = keys;
    repair.signal.key_count = 1;
    return repair;
}

static enum worker_state state_meanwhile;

static void halt_and_look_again(void)
{
    struct bench *b = world.bench;

    table_worker_halt(b->w, PHASE_GAP, "a shard vanished");
    bench_control(b);
    bench_committed(b);
    bench_control(b);
    state_meanwhile = b->w->state;
    world.last_value[0] = '\0';
}

static void a_new_generation_waits_for_the_end_of_a_repair(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct pending_signal repair = request_to_repair();
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    b.p.renews_gaps = true;
    bench_run_with_stream(&b, &known);
    world.bench = &b;
    world.meanwhile = halt_and_look_again;
    bench_take(&b, &repair);
    assert_int_equal(state_meanwhile, WORKER_HALTED); /* or the next one takes its answer */
    assert_string_equal(world.last_value, "");
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_take(&b, &repair); /* of a table that does not run there is none */
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

static void abort_twice(void)
{
    bench_aborted(world.bench);
    bench_aborted(world.bench);
    table_worker_halt(world.bench->w, PHASE_GAP, "a shard vanished");
}

/* Of a table that nothing can be appended to for a while, too. */
static void a_table_that_waits_out_its_aborts_ends_its_repair(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct pending_signal repair = request_to_repair();
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_run_with_stream(&b, &known);
    world.bench = &b;
    world.meanwhile = abort_twice;
    bench_take(&b, &repair);
    assert_int_equal(b.w->parts, 1);
    bench_take(&b, &repair);
    assert_int_equal(b.w->parts, 0);
    bench_end(&b);
}

static void a_repair_is_appended_once(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct pending_signal repair = request_to_repair();
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_run_with_stream(&b, &known);
    bench_take(&b, &repair);
    assert_int_equal(b.w->appended.now.signal_offset, 1);
    bench_take(&b, &repair);
    assert_int_equal(b.w->parts, 0);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_generation_waits_for_the_end_of_a_repair),
        cmocka_unit_test(a_table_that_waits_out_its_aborts_ends_its_repair),
        cmocka_unit_test(a_repair_is_appended_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
