/* tests/unit/test_step_pool.c - steps run when due, one thread at a time, and end once. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/run/step_pool.h"

struct work {
    struct step step;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int runs, limit, ended, inside;
    int64_t delay_ms;
};

static int64_t work_run(void *arg, void *local)
{
    struct work *w = arg;
    int64_t delay;

    (void)local;
    pthread_mutex_lock(&w->lock);
    CHECK(w->inside++ == 0);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_lock(&w->lock);
    w->inside--;
    w->runs++;
    delay = w->runs >= w->limit ? STEP_END : w->delay_ms;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return delay;
}

static void work_ended(void *arg)
{
    struct work *w = arg;

    AUTO_LOCK(&w->lock);
    w->ended++;
    pthread_cond_broadcast(&w->changed);
}

static void work_init(struct work *w, int limit, int64_t delay_ms)
{
    *w = (struct work){.limit = limit, .delay_ms = delay_ms};
    w->step = (struct step){.run = work_run, .ended = work_ended, .arg = w};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
}

static void wait_runs(struct work *w, int runs)
{
    AUTO_LOCK(&w->lock);
    while (w->runs < runs)
        pthread_cond_wait(&w->changed, &w->lock);
}

static void wait_end(struct work *w)
{
    AUTO_LOCK(&w->lock);
    while (!w->ended)
        pthread_cond_wait(&w->changed, &w->lock);
}

static void many_steps_run_to_their_end_on_few_threads(void **state)
{
    AUTO(step_pool_freep) struct step_pool *p = step_pool_new(3, (struct step_pool_hooks){0});
    struct work works[50];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        work_init(&works[i], (int)i + 1, i % 3);
        assert_true(step_schedule(p, &works[i].step, (int64_t)(i % 5)));
    }
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        wait_end(&works[i]);
        assert_int_equal(works[i].runs, i + 1);
        assert_int_equal(works[i].ended, 1);
    }
}

static void a_wake_makes_a_waiting_step_due(void **state)
{
    AUTO(step_pool_freep) struct step_pool *p = step_pool_new(1, (struct step_pool_hooks){0});
    struct work w;

    (void)state;
    work_init(&w, 3, 3600 * 1000);
    step_schedule(p, &w.step, 0);
    for (int runs = 1; runs < 3; runs++) {
        wait_runs(&w, runs);
        step_wake(p, &w.step); /* while it runs or after: either way it comes again at once */
    }
    wait_end(&w);
}

struct waiter {
    struct step step;
    struct step_pool *pool;
    struct step_queue *queue;
    struct turns *turns;
    int number;
    bool waits;
};

struct turns { /* in which they came */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting;
    int came;
    int order[3];
};

static int64_t wait_then_come(void *arg, void *local)
{
    struct waiter *w = arg;

    (void)local;
    AUTO_LOCK(&w->turns->lock);
    pthread_cond_broadcast(&w->turns->changed);
    if (!w->waits) {
        w->waits = true;
        step_wait(w->pool, w->queue, &w->step);
        w->turns->waiting++;
        return 3600000;
    }
    w->turns->order[w->turns->came++] = w->number;
    return STEP_END;
}

static void turns_wait(struct turns *t, const int *count, int until)
{
    AUTO_LOCK(&t->lock);
    while (*count < until)
        pthread_cond_wait(&t->changed, &t->lock);
}

static void the_first_ones_of_a_queue_are_woken(void **state)
{
    AUTO(step_pool_freep) struct step_pool *p = step_pool_new(1, (struct step_pool_hooks){0});
    struct turns turns = {.lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
    struct step_queue queue = {0};
    struct waiter waiters[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct waiter){.pool = p, .queue = &queue, .turns = &turns, .number = i};
        waiters[i].step = (struct step){.run = wait_then_come, .arg = &waiters[i]};
        assert_true(step_schedule(p, &waiters[i].step, 0));
        turns_wait(&turns, &turns.waiting, i + 1);
    }
    assert_true(step_queue_wake_first(p, &queue, 2));
    turns_wait(&turns, &turns.came, 2);
    assert_ptr_equal(queue.first, &waiters[2].step);
    assert_false(step_queue_wake_first(p, &queue, 2));
    turns_wait(&turns, &turns.came, 3);
    assert_int_equal(turns.order[2], 2);
}

/* What is overdue has waited for longer. */
static void who_is_woken_does_not_overtake_what_is_overdue(void **state)
{
    AUTO(step_pool_freep) struct step_pool *p = step_pool_new(1, (struct step_pool_hooks){0});
    struct turns turns = {.lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
    struct step_queue queue = {0};
    struct waiter waiters[2];
    int64_t now;

    (void)state;
    for (int i = 0; i < 2; i++) {
        waiters[i] = (struct waiter){
            .pool = p, .queue = &queue, .turns = &turns, .number = i, .waits = true};
        waiters[i].step = (struct step){.run = wait_then_come, .arg = &waiters[i]};
    }
    pthread_mutex_lock(&turns.lock); /* whoever comes first holds the thread up */
    assert_true(step_schedule(p, &waiters[0].step, 0));
    assert_true(step_schedule(p, &waiters[1].step, 3600000));
    step_wake(p, &waiters[1].step);
    now = clock_mono_ms();
    assert_in_range(waiters[1].step.due_ms, now - 60000, now);
    pthread_mutex_unlock(&turns.lock);
    turns_wait(&turns, &turns.came, 2);
    assert_int_equal(turns.order[0], 0);
    assert_int_equal(turns.order[1], 1);
}

static void an_active_step_is_not_scheduled_twice(void **state)
{
    AUTO(step_pool_freep) struct step_pool *p = step_pool_new(1, (struct step_pool_hooks){0});
    struct work w;

    (void)state;
    work_init(&w, 100, 3600 * 1000);
    assert_true(step_schedule(p, &w.step, 3600 * 1000));
    assert_false(step_schedule(p, &w.step, 0));
}

static void a_step_that_only_waits_for_a_wake_holds_nothing_up(void **state)
{
    AUTO(step_pool_freep) struct step_pool *p = step_pool_new(1, (struct step_pool_hooks){0});
    struct work sleeper, other;

    (void)state;
    work_init(&sleeper, 2, STEP_ON_WAKE);
    work_init(&other, 3, 1);
    step_schedule(p, &sleeper.step, 0);
    step_schedule(p, &other.step, 0);
    wait_end(&other);
    wait_runs(&sleeper, 1);
    assert_int_equal(sleeper.ended, 0);
    step_wake(p, &sleeper.step);
    wait_end(&sleeper);
}

struct busy { /* until it is let go */
    struct step step;
    atomic_bool runs, may_go;
};

static int64_t busy_run(void *arg, void *local)
{
    struct busy *b = arg;

    (void)local;
    atomic_store(&b->runs, true);
    while (!atomic_load(&b->may_go))
        sched_yield();
    return 0;
}

static void a_stop_waits_for_running_steps_no_longer_than_told(void **state)
{
    AUTO(step_pool_freep) struct step_pool *p = step_pool_new(2, (struct step_pool_hooks){0});
    struct busy b = {.step = {.run = busy_run, .arg = &b}};

    (void)state;
    step_schedule(p, &b.step, 0);
    while (!atomic_load(&b.runs))
        sched_yield();
    assert_false(step_pool_stop(p, 10));
    atomic_store(&b.may_go, true);
    assert_true(step_pool_stop(p, 60000));
}

static void steps_left_over_are_ended_when_the_pool_goes(void **state)
{
    struct step_pool *p = step_pool_new(2, (struct step_pool_hooks){0});
    struct work w;

    (void)state;
    work_init(&w, 100, 0);
    step_schedule(p, &w.step, 3600 * 1000);
    step_pool_free(p);
    assert_int_equal(w.ended, 1);
    assert_int_equal(w.runs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_steps_run_to_their_end_on_few_threads),
        cmocka_unit_test(a_wake_makes_a_waiting_step_due),
        cmocka_unit_test(the_first_ones_of_a_queue_are_woken),
        cmocka_unit_test(who_is_woken_does_not_overtake_what_is_overdue),
        cmocka_unit_test(an_active_step_is_not_scheduled_twice),
        cmocka_unit_test(a_step_that_only_waits_for_a_wake_holds_nothing_up),
        cmocka_unit_test(a_stop_waits_for_running_steps_no_longer_than_told),
        cmocka_unit_test(steps_left_over_are_ended_when_the_pool_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
