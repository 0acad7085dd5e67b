/* tests/unit/test_stop.c - a stop wakes every waiter at once, by a call or by a signal. */
#include "common/run/stop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/base/clock.h"

enum {
    WAITERS = 4,
    LONG_MS = 60000,
    SOON_MS = 30000, /* generous: the machine may be busy */
};

static int reset(void **state)
{
    (void)state;
    stop_reset();
    return 0;
}

static void a_wait_without_a_stop_lasts_its_time(void **state)
{
    int64_t start = clock_mono_ms();

    (void)state;
    assert_false(stop_wait_ms(30));
    assert_true(clock_mono_ms() - start >= 30);
    assert_false(stop_wait_ms(0));
    assert_false(stop_wait_ms(-1));
    assert_false(stop_requested());
}

static void *wait_long(void *arg)
{
    *(bool *)arg = stop_wait_ms(LONG_MS);
    return NULL;
}

static void a_stop_wakes_all_waiters(void **state)
{
    pthread_t threads[WAITERS];
    bool stopped[WAITERS] = {false};
    int64_t start = clock_mono_ms();

    (void)state;
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_long, &stopped[i]), 0);
    usleep(20000);
    stop_request();
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(stopped[i]);
    }
    assert_true(clock_mono_ms() - start < SOON_MS);
    stop_request();
    assert_true(stop_requested());
    assert_true(stop_wait_ms(LONG_MS)); /* stays requested */
}

static void a_signal_requests_the_stop(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};

    (void)state;
    stop_install_signals();
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        assert_false(stop_requested());
        assert_int_equal(raise(signals[i]), 0);
        assert_true(stop_requested());
        assert_true(stop_wait_ms(LONG_MS));
        stop_reset();
    }
}

static void a_broken_pipe_is_an_error_and_no_signal(void **state)
{
    int fds[2];

    (void)state;
    stop_install_signals();
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), -1);
    close(fds[1]);
    assert_false(stop_requested());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wait_without_a_stop_lasts_its_time, reset, reset),
        cmocka_unit_test_setup_teardown(a_stop_wakes_all_waiters, reset, reset),
        cmocka_unit_test_setup_teardown(a_signal_requests_the_stop, reset, reset),
        cmocka_unit_test_setup_teardown(a_broken_pipe_is_an_error_and_no_signal, reset, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
