/* tests/unit/test_metrics.c - the exposition is what Prometheus reads, numbers are right under
 * many threads, and health tells what is stuck. */
#include "common/run/health.h"
#include "common/run/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/run/stop.h"

enum {
    THREADS = 4,
    ROUNDS = 2000,
};

static char *exposition(void)
{
    AUTO(buf_release) struct buf b;

    buf_init(&b, 1 << 20);
    metrics_write(&b);
    assert_false(b.overflow);
    return bytes_dup(buf_slice(&b));
}

static void help_and_type_stand_once_above_their_label_sets(void **state)
{
    AUTO(free_charp) char *a = metric_labels("table", "a", "shard", "s1", NULL);
    AUTO(free_charp) char *b = metric_labels("table", "b\"\\\nc", NULL);
    AUTO(free_charp) char *text = NULL;
    struct metric *first = metric_get(METRIC_COUNTER, "t_rows_total", "Rows \\ read.\nAll.", a);
    struct metric *other = metric_get(METRIC_GAUGE, "t_lag_seconds", "Lag.", "");
    struct metric *second = metric_get(METRIC_COUNTER, "t_rows_total", "Rows.", b);

    (void)state;
    metric_add(first, 5);
    metric_add(first, 2);
    metric_set(other, -3);
    metric_add(second, INT64_C(9007199254740993));
    text = exposition();
    assert_string_equal(text, "# HELP t_rows_total Rows \\\\ read.\\nAll.\n"
                              "# TYPE t_rows_total counter\n"
                              "t_rows_total{table=\"a\",shard=\"s1\"} 7\n"
                              "t_rows_total{table=\"b\\\"\\\\\\nc\"} 9007199254740993\n"
                              "# HELP t_lag_seconds Lag.\n"
                              "# TYPE t_lag_seconds gauge\n"
                              "t_lag_seconds -3\n");
    assert_ptr_equal(first, metric_get(METRIC_COUNTER, "t_rows_total", "Rows.", a));
    assert_int_equal(metric_value(first), 7);
    metric_remove(first);
    metric_remove(first);
    metric_remove(second);
    metric_remove(other);
}

static void a_removed_label_set_is_not_printed_and_its_memory_is_used_again(void **state)
{
    struct metric *a = metric_get(METRIC_GAUGE, "r", "R.", "x=\"1\"");
    struct metric *b = metric_get(METRIC_GAUGE, "r", "R.", "x=\"2\"");
    struct metric *c = metric_get(METRIC_GAUGE, "r", "R.", "x=\"3\""), *d;
    AUTO(free_charp) char *two = NULL;
    AUTO(free_charp) char *one = NULL;
    AUTO(free_charp) char *none = NULL;

    (void)state;
    metric_set(c, 3);
    metric_remove(c);
    metric_remove(c);
    metric_add(c, 1); /* late: harmless */
    d = metric_get(METRIC_GAUGE, "r", "R.", "x=\"4\"");
    assert_ptr_equal(c, d);
    two = exposition();
    assert_string_equal(two, "# HELP r R.\n# TYPE r gauge\n"
                             "r{x=\"1\"} 0\nr{x=\"2\"} 0\nr{x=\"4\"} 0\n");
    metric_remove(a);
    metric_remove(d);
    one = exposition();
    assert_string_equal(one, "# HELP r R.\n# TYPE r gauge\nr{x=\"2\"} 0\n");
    metric_remove(b);
    metric_remove(NULL);
    none = exposition();
    assert_string_equal(none, "");
}

static void a_series_goes_with_its_last_reference(void **state)
{
    struct metric *old = metric_get(METRIC_GAUGE, "ref", "R.", "table=\"a\"");
    struct metric *successor = metric_get(METRIC_GAUGE, "ref", "R.", "table=\"a\"");
    AUTO(free_charp) char *kept = NULL;
    AUTO(free_charp) char *none = NULL;

    (void)state;
    metric_set(old, 2);
    metric_remove(old);
    kept = exposition();
    assert_string_equal(kept, "# HELP ref R.\n# TYPE ref gauge\nref{table=\"a\"} 2\n");
    metric_remove(successor);
    none = exposition();
    assert_string_equal(none, "");
}

static void *work(void *arg)
{
    struct metric *shared = arg;

    for (int i = 0; i < ROUNDS; i++) {
        AUTO(free_charp) char *value = xasprintf("%d-%p", i % 7, (void *)&i);
        AUTO(free_charp) char *labels = metric_labels("of", value, NULL);
        struct metric *own = metric_get(METRIC_COUNTER, "m_own_total", "Own.", labels);
        struct health *h = health_get(value, 1000000);
        struct health *own_part = health_new(value, 1000000);

        metric_add(own, 1);
        metric_add(shared, 1);
        health_alive(h);
        assert_int_equal(metric_value(own), 1);
        health_say(own_part, value);
        metric_remove(own);
        health_remove(own_part);
        health_remove(h);
    }
    return NULL;
}

static void threads_add_remove_and_read_at_once(void **state)
{
    struct metric *shared = metric_get(METRIC_COUNTER, "m_shared_total", "Shared.", "");
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, shared), 0);
    for (int i = 0; i < 50; i++) {
        AUTO(free_charp) char *text = exposition();
        AUTO(buf_release) struct buf b;

        assert_non_null(strstr(text, "m_shared_total "));
        buf_init(&b, 1 << 20);
        assert_true(health_write(&b));
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_value(shared), THREADS * ROUNDS);
    metric_remove(shared);
}

static bool healthy(char **text)
{
    AUTO(buf_release) struct buf b;
    bool well;

    buf_init(&b, 10000);
    well = health_write(&b);
    *text = bytes_dup(buf_slice(&b));
    return well;
}

static void a_part_without_progress_is_named(void **state)
{
    struct health *fast = health_get("shard t/1", 3000), *slow = health_get("commit", 600000);
    struct health *never;
    AUTO(free_charp) char *well = NULL;
    AUTO(free_charp) char *stuck = NULL;
    AUTO(free_charp) char *again = NULL;
    AUTO(free_charp) char *stopped = NULL;
    AUTO(free_charp) char *gone = NULL;

    (void)state;
    assert_ptr_equal(slow, health_get("commit", 600000));
    health_alive(fast);
    assert_true(healthy(&well));
    assert_string_equal(well, "ok\n");
    stop_wait_ms(3010);
    assert_false(healthy(&stuck));
    assert_non_null(strstr(stuck, "stuck: shard t/1: no progress for "));
    assert_null(strstr(stuck, "commit"));
    health_alive(fast);
    assert_true(healthy(&again));
    health_remove(fast);
    never = health_get("table t", 0);
    assert_false(healthy(&stopped));
    health_remove(never);
    assert_true(healthy(&gone));
    health_remove(slow);
}

static void the_end_of_an_old_part_leaves_its_successors(void **state)
{
    struct health *old = health_new("shard t/1", 600000);
    struct health *successor = health_new("shard t/1", 0);
    struct health *shared = health_get("shard t/1", 600000);
    AUTO(free_charp) char *stuck = NULL;
    AUTO(free_charp) char *well = NULL;

    (void)state;
    assert_ptr_not_equal(old, successor);
    assert_ptr_not_equal(shared, old);
    assert_ptr_not_equal(shared, successor);
    health_remove(old);
    assert_false(healthy(&stuck));
    assert_string_equal(stuck, "stuck: shard t/1: no progress for 0 ms (limit 0 ms)\n");
    health_remove(successor);
    assert_true(healthy(&well));
    health_remove(shared);
}

static void a_stuck_part_says_why_and_a_well_one_what_is_noteworthy(void **state)
{
    struct health *table = health_new("table t", 600000);
    AUTO(free_charp) char *well = NULL;
    AUTO(free_charp) char *stuck = NULL;
    AUTO(free_charp) char *silent = NULL;

    (void)state;
    health_say(table, "denied\nby the service");
    health_note(table, "gone");
    assert_true(healthy(&well));
    assert_string_equal(well, "ok\nnote: table t: gone\n");
    health_set_limit(table, 0);
    assert_false(healthy(&stuck));
    assert_string_equal(stuck, "stuck: table t: denied by the service\nnote: table t: gone\n");
    health_say(table, "");
    health_note(table, "");
    health_set_limit(table, 600000);
    assert_true(healthy(&silent));
    assert_string_equal(silent, "ok\n");
    health_remove(table);
}

static void what_a_part_says_is_cut_between_characters(void **state)
{
    struct health *part = health_new("p", 0);
    AUTO(free_charp) char *text = NULL;
    char why[4 * HEALTH_TEXT_BYTES] = "x"; /* so that a character lies across the limit */

    (void)state;
    while (strlen(why) < 2 * HEALTH_TEXT_BYTES)
        strcat(why, "\xc3\xa4");
    health_say(part, why);
    assert_false(healthy(&text));
    assert_int_equal(strlen(text), strlen("stuck: p: \n") + HEALTH_TEXT_BYTES - 1);
    health_remove(part);
}

static void nothing_is_ready_once_a_stop_was_requested(void **state)
{
    (void)state;
    health_ready(true);
    stop_request();
    assert_false(health_is_ready());
    stop_reset();
    health_ready(false);
}

static void readiness_is_what_was_said_last(void **state)
{
    (void)state;
    assert_false(health_is_ready());
    health_ready(true);
    assert_true(health_is_ready());
    health_ready(false);
    assert_false(health_is_ready());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_type_stand_once_above_their_label_sets),
        cmocka_unit_test(a_removed_label_set_is_not_printed_and_its_memory_is_used_again),
        cmocka_unit_test(a_series_goes_with_its_last_reference),
        cmocka_unit_test(threads_add_remove_and_read_at_once),
        cmocka_unit_test(a_part_without_progress_is_named),
        cmocka_unit_test(the_end_of_an_old_part_leaves_its_successors),
        cmocka_unit_test(a_stuck_part_says_why_and_a_well_one_what_is_noteworthy),
        cmocka_unit_test(what_a_part_says_is_cut_between_characters),
        cmocka_unit_test(readiness_is_what_was_said_last),
        cmocka_unit_test(nothing_is_ready_once_a_stop_was_requested),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
