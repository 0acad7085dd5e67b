/* tests/unit/test_dispatcher.c - one thread per partition, leaving when asked, and no table
 * that keeps all threads. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "consumer/dispatcher.h"

#define PARTITIONS 8
#define STEPS 200

static atomic_int inside[PARTITIONS], steps[PARTITIONS];

/* Without Kafka: only what the dispatcher itself looks at. */
char *partition_id(const char *topic, int32_t number)
{
    return xasprintf("%s/%d", topic, (int)number);
}

struct partition *partition_new(struct consumer *c, const char *topic, int32_t number)
{
    struct partition *p = xcalloc(1, sizeof(*p));

    p->consumer = c;
    p->topic = xstrdup(topic);
    p->number = number;
    p->id = partition_id(topic, number);
    return p;
}

void partition_free(struct partition *p)
{
    free(p->topic);
    free(p->id);
    free(p);
}

bool partition_is_released(const struct partition *p)
{
    return p->state == PARTITION_RESTING;
}

static int64_t step(void *context, struct partition *p)
{
    CHECK(context && atomic_fetch_add(&inside[p->number], 1) == 0);
    atomic_fetch_add(&steps[p->number], 1);
    p->state = atomic_load(&p->assigned) ? PARTITION_RUNNING : PARTITION_RESTING;
    CHECK(atomic_fetch_sub(&inside[p->number], 1) == 1);
    return atomic_load(&steps[p->number]) % 3 ? 0 : 1;
}

static void *context_open(void *arg)
{
    (void)arg;
    return xmalloc(1);
}

static struct dispatcher *start(struct partition **partitions)
{
    const struct dispatcher_work work = {.step = step, .open = context_open, .close = free};
    struct dispatcher *d = dispatcher_new(3, &work);

    for (int32_t i = 0; i < PARTITIONS; i++) {
        atomic_store(&steps[i], 0);
        partitions[i] = dispatcher_partition(d, "t", i);
        dispatcher_assign(d, partitions[i]);
    }
    return d;
}

static void every_partition_has_its_turn_on_one_thread_at_a_time(void **state)
{
    struct partition *partitions[PARTITIONS];
    struct dispatcher *d = start(partitions);

    (void)state;
    for (int32_t i = 0; i < PARTITIONS; i++)
        while (atomic_load(&steps[i]) < STEPS)
            partition_wake(partitions[i]);
    assert_true(dispatcher_stop(d, 60000));
    dispatcher_free(d);
}

static void partitions_are_released_when_revoked(void **state)
{
    struct partition *partitions[PARTITIONS];
    struct dispatcher *d = start(partitions);

    (void)state;
    for (int32_t i = 0; i < PARTITIONS; i++)
        dispatcher_revoke(d, partitions[i]);
    assert_true(dispatcher_wait_released(d, true, 60000));
    assert_ptr_equal(dispatcher_find(d, "t", 3), partitions[3]);
    assert_null(dispatcher_find(d, "u", 3));
    assert_true(dispatcher_stop(d, 60000));
    dispatcher_free(d);
}

/* ---- a table that hangs ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open; /* the gate */
    int hanging, most_hanging, others;
} scene = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int64_t hang_or_count(void *context, struct partition *p)
{
    (void)context;
    AUTO_LOCK(&scene.lock);
    if (strcmp(p->topic, "hangs") == 0) {
        scene.hanging++;
        scene.most_hanging = MAX(scene.most_hanging, scene.hanging);
        pthread_cond_broadcast(&scene.changed);
        while (!scene.open)
            pthread_cond_wait(&scene.changed, &scene.lock);
        scene.hanging--;
        return STEP_ON_WAKE;
    }
    scene.others++;
    pthread_cond_broadcast(&scene.changed);
    return STEP_ON_WAKE;
}

static struct dispatcher *hanging_start(struct partition **hanging, struct partition **other)
{
    const struct dispatcher_work work = {
        .step = hang_or_count, .open = context_open, .close = free};
    struct dispatcher *d = dispatcher_new(3, &work);

    scene.open = false;
    scene.hanging = scene.most_hanging = scene.others = 0;
    *other = dispatcher_partition(d, "works", 0);
    for (int32_t i = 0; i < PARTITIONS; i++)
        hanging[i] = dispatcher_partition(d, "hangs", i);
    return d;
}

static void hanging_end(struct dispatcher *d)
{
    auto_lock(&scene.lock);
    scene.open = true;
    pthread_cond_broadcast(&scene.changed);
    pthread_mutex_unlock(&scene.lock);
    assert_true(dispatcher_stop(d, 60000));
    dispatcher_free(d);
}

static void wait_for(int *what, int count)
{
    AUTO_LOCK(&scene.lock);
    while (*what < count)
        pthread_cond_wait(&scene.changed, &scene.lock);
}

static void a_table_that_hangs_leaves_a_writer_to_the_others(void **state)
{
    struct partition *hanging[PARTITIONS], *other;
    struct dispatcher *d = hanging_start(hanging, &other);

    (void)state;
    for (int32_t i = 0; i < PARTITIONS; i++)
        partition_wake(hanging[i]);
    wait_for(&scene.hanging, 2);
    partition_wake(other);
    wait_for(&scene.others, 1);
    assert_int_equal(scene.most_hanging, 2);
    hanging_end(d);
}

static void a_table_whose_last_command_timed_out_gets_one_writer(void **state)
{
    struct partition *hanging[PARTITIONS], *other;
    struct dispatcher *d = hanging_start(hanging, &other);

    (void)state;
    dispatcher_timed_out(d, hanging[0], true);
    for (int32_t i = 0; i < PARTITIONS; i++)
        partition_wake(hanging[i]);
    wait_for(&scene.hanging, 1);
    for (int i = 1; i <= 20; i++) {
        partition_wake(other);
        wait_for(&scene.others, i);
    }
    assert_int_equal(scene.most_hanging, 1);
    hanging_end(d);
}

/* ---- turns ---- */

static atomic_int idle_steps;

static int64_t be_ready_again(void *writer, struct partition *p)
{
    (void)writer;
    if (strcmp(p->topic, "idle") == 0) {
        atomic_fetch_add(&idle_steps, 1);
        return STEP_ON_WAKE;
    }
    CHECK(atomic_fetch_add(&inside[0], 1) == 0); /* the table has one writer of the two */
    atomic_fetch_add(&steps[p->number], 1);
    CHECK(atomic_fetch_sub(&inside[0], 1) == 1);
    return 0;
}

static void who_has_to_wait_for_a_turn_gets_it_though_others_are_always_ready(void **state)
{
    const struct dispatcher_work work = {
        .step = be_ready_again, .open = context_open, .close = free};
    struct dispatcher *d = dispatcher_new(2, &work);
    struct partition *idle = dispatcher_partition(d, "idle", 0);

    (void)state;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        atomic_store(&steps[i], 0);
        partition_wake(dispatcher_partition(d, "ready", i));
    }
    for (int32_t i = 0; i < PARTITIONS; i++)
        while (atomic_load(&steps[i]) < STEPS)
            sched_yield();
    partition_wake(idle);
    while (atomic_load(&idle_steps) == 0)
        sched_yield();
    assert_true(dispatcher_stop(d, 60000));
    dispatcher_free(d);
}

enum {
    TABLES = 3,
    PARTITIONS_OF_EACH = 3,
    ALL_STEPS = 300
};
static atomic_int turns_of[TABLES], all_steps;

/* Long enough for the other thread to find that everybody else has to wait. */
static int64_t count_its_table(void *writer, struct partition *p)
{
    (void)writer;
    for (int i = 0; i < 1000; i++)
        sched_yield();
    atomic_fetch_add(&turns_of[p->topic[0] - '0'], 1);
    return atomic_fetch_add(&all_steps, 1) < ALL_STEPS ? 0 : STEP_ON_WAKE;
}

/* Or one that has recovered would never be tried. */
static void tables_that_timed_out_take_turns(void **state)
{
    const struct dispatcher_work work = {
        .step = count_its_table, .open = context_open, .close = free};
    struct dispatcher *d = dispatcher_new(2, &work);
    struct partition *p[TABLES][PARTITIONS_OF_EACH];

    (void)state;
    atomic_store(&all_steps, 0);
    for (int i = 0; i < TABLES; i++) {
        char topic[] = {(char)('0' + i), '\0'};

        atomic_store(&turns_of[i], 0);
        for (int32_t n = 0; n < PARTITIONS_OF_EACH; n++)
            p[i][n] = dispatcher_partition(d, topic, n);
    }
    for (int i = 0; i < TABLES; i++)
        dispatcher_timed_out(d, p[i][0], true);
    for (int i = 0; i < TABLES; i++)
        for (int32_t n = 0; n < PARTITIONS_OF_EACH; n++)
            partition_wake(p[i][n]);
    while (atomic_load(&all_steps) < ALL_STEPS)
        sched_yield();
    assert_true(dispatcher_stop(d, 60000));
    for (int i = 0; i < TABLES; i++)
        assert_true(atomic_load(&turns_of[i]) > ALL_STEPS / TABLES / 2);
    dispatcher_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_partition_has_its_turn_on_one_thread_at_a_time),
        cmocka_unit_test(partitions_are_released_when_revoked),
        cmocka_unit_test(a_table_that_hangs_leaves_a_writer_to_the_others),
        cmocka_unit_test(a_table_whose_last_command_timed_out_gets_one_writer),
        cmocka_unit_test(who_has_to_wait_for_a_turn_gets_it_though_others_are_always_ready),
        cmocka_unit_test(tables_that_timed_out_take_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
