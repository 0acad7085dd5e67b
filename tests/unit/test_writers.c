/* tests/unit/test_writers.c - the consumer's pool: one thread a partition, and letting go when
 * asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/check.h"
#include "common/clock.h"
#include "consumer/pool.h"

#define PARTITIONS 8
#define STEPS 200

static atomic_int inside[PARTITIONS], steps[PARTITIONS];

/* Without Kafka: only what the pool itself looks at. */
struct partition *partition_new(struct pool *pool, struct fetch *f, const char *topic,
                                int32_t number)
{
    struct partition *p = xcalloc(1, sizeof(*p));

    (void)f;
    p->topic = xstrdup(topic);
    p->number = number;
    p->pool = pool;
    p->parked = true;
    p->due = INT64_MAX;
    return p;
}

void partition_free(struct partition *p)
{
    free(p->topic);
    free(p);
}

static int64_t step(void *context, struct partition *p)
{
    unsigned assignments;

    CHECK(context && atomic_fetch_add(&inside[p->number], 1) == 0);
    atomic_fetch_add(&steps[p->number], 1);
    if (pool_request(p->pool, p, &assignments) == POOL_LET_GO)
        pool_parked(p->pool, p);
    CHECK(atomic_fetch_sub(&inside[p->number], 1) == 1);
    return atomic_load(&steps[p->number]) % 3 ? POOL_AT_ONCE : clock_mono_ms() + 1;
}

static void *context_open(void *arg)
{
    (void)arg;
    return xmalloc(1);
}

static struct pool *start(struct partition **partitions)
{
    const struct pool_work work = {.step = step, .open = context_open, .close = free};
    struct pool *pool = pool_new(3, &work);

    for (int32_t i = 0; i < PARTITIONS; i++) {
        atomic_store(&steps[i], 0);
        partitions[i] = pool_partition(pool, NULL, "t", i);
        pool_assign(pool, partitions[i]);
    }
    return pool;
}

static void every_partition_has_its_turn_on_one_thread_at_a_time(void **state)
{
    struct partition *partitions[PARTITIONS];
    struct pool *pool = start(partitions);

    (void)state;
    for (int32_t i = 0; i < PARTITIONS; i++)
        while (atomic_load(&steps[i]) < STEPS)
            pool_wake(pool, partitions[i]);
    assert_true(pool_stop(pool, 60000));
    pool_free(pool);
}

static void partitions_let_go_when_asked(void **state)
{
    struct partition *partitions[PARTITIONS];
    struct pool *pool = start(partitions);

    (void)state;
    for (int32_t i = 0; i < PARTITIONS; i++)
        pool_revoke(pool, partitions[i]);
    assert_true(pool_wait_parked(pool, 60000));
    assert_ptr_equal(pool_find(pool, "t", 3), partitions[3]);
    assert_null(pool_find(pool, "u", 3));
    assert_true(pool_stop(pool, 60000));
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_partition_has_its_turn_on_one_thread_at_a_time),
        cmocka_unit_test(partitions_let_go_when_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
