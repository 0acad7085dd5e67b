/* A table that is looked at: what its looks mean for the table, its health, and the next look.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/run/log.h"
#include "consumer/watch.h"
#include "support_config.h"

#define SECONDS 1000

struct bench {
    struct config *config;
    struct table *table;
    struct watch *w;
    int64_t now;
    int looks;
};

static void bench_begin(struct bench *b)
{
    *b = (struct bench){.now = 1000 * SECONDS};
    b->config = config_new(CONFIG_CONSUMER);
    b->table = table_new(b->config, "orders", "prefix.orders");
    b->w = watch_new(b->table);
    watch_use(b->w, true, b->now);
}

static void bench_end(struct bench *b)
{
    watch_free(b->w);
    table_free(b->table);
    config_free(b->config);
}

static struct look a_look(enum preparation_result result)
{
    struct look l = {.result = result};

    if (result == PREPARATION_READY) {
        l.view = xcalloc(1, sizeof(*l.view));
        atomic_init(&l.view->refs, 1);
        l.view->log_id = xstrdup("log");
        l.view->schema.hash.name = xstrdup("pk");
        l.view->schema.hash.name_len = 2;
    }
    return l;
}

static struct look an_outage(void)
{
    struct look l = a_look(PREPARATION_FAILED);

    error_set(&l.err, ERR_RETRY, "no answer");
    return l;
}

static struct look a_no(void)
{
    struct look l = an_outage();

    l.answered_no = true;
    return l;
}

static struct look a_clear_state(void)
{
    struct look l = a_look(PREPARATION_FAILED);

    error_fatal(&l.err, 0, "it is a view");
    return l;
}

/* Waits until the role's turn has come, and looks. The time that was waited. */
static int64_t look_next(struct bench *b, enum watch_role role, struct look l)
{
    int64_t before = b->now, due;

    while (!watch_is_due(b->w, role, b->now, &due))
        if ((b->now += 50) > before + 3600 * SECONDS)
            fail_msg("it is never due");
    watch_look_begins(b->w, role, b->now);
    watch_look_ended(b->w, role, &l, b->now);
    b->looks++;
    return b->now - before;
}

static bool is_ready(struct bench *b)
{
    struct table_view *v = table_view_get(b->table);

    table_view_put(v);
    return v;
}

static void a_no_is_tried_again_before_the_table_is_halted(void **state)
{
    struct bench b;
    int64_t began;

    (void)state;
    bench_begin(&b);
    began = b.now;
    while (!table_is_halted(b.table))
        look_next(&b, ROLE_LOOKS, a_no());
    assert_true(b.looks >= 5);
    assert_true(b.now - began >= 15 * SECONDS);
    assert_true(b.now - began <= 60 * SECONDS);
    assert_true(look_next(&b, ROLE_LOOKS, a_no()) >= 10 * SECONDS - 50);
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_READY));
    assert_false(table_is_halted(b.table));
    assert_true(is_ready(&b));
    bench_end(&b);
}

static void a_ready_table_stays_so_over_some_noes(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b);
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_READY));
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++)
            look_next(&b, ROLE_LOOKS, a_no());
        assert_true(is_ready(&b));
        look_next(&b, ROLE_LOOKS, a_look(PREPARATION_READY));
    }
    assert_false(table_is_halted(b.table));
    bench_end(&b);
}

static void an_outage_halts_nothing_and_withdraws_nothing(void **state)
{
    struct bench b;
    int64_t longest = 0;

    (void)state;
    bench_begin(&b);
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_READY));
    for (int i = 0; i < 200; i++) {
        int64_t waited = look_next(&b, ROLE_LOOKS, an_outage());

        longest = MAX(longest, waited);
    }
    assert_true(is_ready(&b));
    assert_false(table_is_halted(b.table));
    assert_in_range(longest, 5 * SECONDS, 11 * SECONDS);
    bench_end(&b);
}

/* Partitions that ask do not shorten it. */
static void the_delay_after_a_failure_is_kept_to(void **state)
{
    struct bench b;
    int64_t due;

    (void)state;
    bench_begin(&b);
    look_next(&b, ROLE_LOOKS, an_outage());
    watch_look_soon(b.w, b.now);
    watch_use(b.w, true, b.now);
    assert_false(watch_is_due(b.w, ROLE_LOOKS, b.now, &due));
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_READY));
    watch_look_soon(b.w, b.now);
    assert_true(watch_is_due(b.w, ROLE_LOOKS, b.now, &due));
    bench_end(&b);
}

static void a_clear_state_halts_at_once(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b);
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_READY));
    look_next(&b, ROLE_LOOKS, a_clear_state());
    assert_true(table_is_halted(b.table));
    assert_false(is_ready(&b));
    bench_end(&b);
}

/* Looks see only that something long is to be done, the builder knows that it was refused. */
static void long_work_that_was_refused_keeps_the_table_halted(void **state)
{
    struct bench b;
    struct look refused = a_clear_state();
    int64_t due;

    (void)state;
    bench_begin(&b);
    refused.took_ms = 20 * SECONDS;
    assert_false(watch_is_due(b.w, ROLE_BUILDS, b.now, &due));
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_LONG));
    assert_int_equal(look_next(&b, ROLE_BUILDS, refused), 0);
    for (int i = 0; i < 3; i++) {
        look_next(&b, ROLE_LOOKS, a_look(PREPARATION_LONG));
        assert_true(table_is_halted(b.table));
    }
    assert_false(watch_is_due(b.w, ROLE_BUILDS, b.now, &due)); /* that would cost too much */
    look_next(&b, ROLE_BUILDS, a_look(PREPARATION_READY));
    assert_false(table_is_halted(b.table));
    bench_end(&b);
}

static void looks_that_succeed_end_the_halt_that_looks_began(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b);
    look_next(&b, ROLE_LOOKS, a_clear_state());
    assert_true(table_is_halted(b.table));
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_LONG));
    assert_false(table_is_halted(b.table));
    bench_end(&b);
}

static void a_table_comes_back_from_a_rebalance_as_it_was(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b);
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_READY));
    watch_use(b.w, false, b.now);
    watch_tick(b.w, b.now += 2 * SECONDS);
    watch_use(b.w, true, b.now);
    assert_true(is_ready(&b));
    watch_use(b.w, false, b.now);
    watch_tick(b.w, b.now += 60 * SECONDS);
    assert_false(is_ready(&b));
    bench_end(&b);
}

static void one_thread_at_a_time_but_for_the_users_indexes(void **state)
{
    struct bench b;
    struct look l = a_look(PREPARATION_READY);
    int64_t due;

    (void)state;
    bench_begin(&b);
    look_next(&b, ROLE_LOOKS, a_look(PREPARATION_LONG));
    watch_look_begins(b.w, ROLE_BUILDS, b.now);
    b.now += 60 * SECONDS;
    assert_false(watch_is_due(b.w, ROLE_LOOKS, b.now, &due));
    l.index_missing = true;
    watch_look_ended(b.w, ROLE_BUILDS, &l, b.now);
    assert_true(watch_is_due(b.w, ROLE_INDEXES, b.now, &due));
    watch_index_begins(b.w, b.now);
    b.now += 60 * SECONDS;
    assert_true(watch_is_due(b.w, ROLE_LOOKS, b.now, &due));
    assert_false(watch_is_due(b.w, ROLE_INDEXES, b.now, &due));
    watch_index_ended(b.w, false, b.now);
    l = a_look(PREPARATION_READY);
    l.index_missing = true;
    look_next(&b, ROLE_LOOKS, l);
    assert_false(watch_is_due(b.w, ROLE_INDEXES, b.now, &due)); /* refused: slowly */
    assert_false(table_is_halted(b.table));
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_no_is_tried_again_before_the_table_is_halted),
        cmocka_unit_test(a_ready_table_stays_so_over_some_noes),
        cmocka_unit_test(an_outage_halts_nothing_and_withdraws_nothing),
        cmocka_unit_test(the_delay_after_a_failure_is_kept_to),
        cmocka_unit_test(a_clear_state_halts_at_once),
        cmocka_unit_test(long_work_that_was_refused_keeps_the_table_halted),
        cmocka_unit_test(looks_that_succeed_end_the_halt_that_looks_began),
        cmocka_unit_test(a_table_comes_back_from_a_rebalance_as_it_was),
        cmocka_unit_test(one_thread_at_a_time_but_for_the_users_indexes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
