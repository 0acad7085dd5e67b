#include "consumer/pool.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"

struct worker_thread {
    struct pool *pool;
    pthread_t id;
    void *context;
};

struct pool {
    /* set once */
    struct pool_work work;
    struct worker_thread *threads;
    int thread_count;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t work_there;
    pthread_cond_t changed; /* a partition was parked, or a thread ended */
    struct partition *all;
    struct partition *ready_head, *ready_tail;
    int running;
    bool stopping;
};

/* ---- under the lock ---- */

static void make_ready(struct pool *pool, struct partition *p)
{
    if (p->ready)
        return;
    p->ready = true;
    if (p->busy)
        return; /* its holder queues it when it is done */
    p->next_ready = NULL;
    if (pool->ready_tail)
        pool->ready_tail->next_ready = p;
    else
        pool->ready_head = p;
    pool->ready_tail = p;
    pthread_cond_signal(&pool->work_there);
}

static struct partition *take_ready(struct pool *pool)
{
    struct partition *p = pool->ready_head;

    if (!p)
        return NULL;
    pool->ready_head = p->next_ready;
    if (!pool->ready_head)
        pool->ready_tail = NULL;
    p->ready = false;
    p->busy = true;
    p->due = INT64_MAX; /* its holder says when */
    return p;
}

/* Queues what is due; the time of the next one. */
static int64_t queue_due(struct pool *pool)
{
    int64_t now = clock_mono_ms(), next = now + 1000;

    for (struct partition *p = pool->all; p; p = p->next) {
        if (p->due <= now)
            make_ready(pool, p);
        else
            next = MIN(next, p->due);
    }
    return next;
}

static struct partition *wait_for_work(struct pool *pool)
{
    while (!pool->stopping) {
        int64_t next = queue_due(pool);
        struct partition *p = take_ready(pool);

        if (p)
            return p;
        clock_cond_wait(&pool->work_there, &pool->lock, next);
    }
    return NULL;
}

static void give_back(struct pool *pool, struct partition *p, int64_t due)
{
    bool asked = p->ready;

    p->busy = p->ready = false;
    p->due = due;
    if (asked || due == POOL_AT_ONCE)
        make_ready(pool, p);
}

/* ---- the threads ---- */

static void *worker_loop(void *arg)
{
    struct worker_thread *t = arg;
    struct pool *pool = t->pool;
    struct partition *p;

    auto_lock(&pool->lock);
    while ((p = wait_for_work(pool))) {
        int64_t due;

        pthread_mutex_unlock(&pool->lock);
        due = pool->work.step(t->context, p);
        auto_lock(&pool->lock);
        give_back(pool, p, due);
    }
    pool->running--;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct pool *pool_new(int threads, const struct pool_work *work)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));

    pool->work = *work;
    pool->thread_count = pool->running = threads;
    pool->threads = xcalloc((size_t)threads, sizeof(*pool->threads));
    pthread_mutex_init(&pool->lock, NULL);
    clock_cond_init(&pool->work_there);
    clock_cond_init(&pool->changed);
    for (int i = 0; i < threads; i++) {
        struct worker_thread *t = &pool->threads[i];

        t->pool = pool;
        t->context = work->open(work->arg);
        CHECK(pthread_create(&t->id, NULL, worker_loop, t) == 0);
    }
    return pool;
}

bool pool_stop(struct pool *pool, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    {
        AUTO_LOCK(&pool->lock);
        pool->stopping = true;
        pthread_cond_broadcast(&pool->work_there);
        while (pool->running > 0)
            if (clock_cond_wait(&pool->changed, &pool->lock, until))
                return false;
    }
    for (int i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i].id, NULL);
    return true;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (struct partition *p = pool->all, *next; p; p = next) {
        next = p->next;
        partition_free(p);
    }
    for (int i = 0; i < pool->thread_count; i++)
        pool->work.close(pool->threads[i].context);
    pthread_cond_destroy(&pool->work_there);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}

/* ---- from other threads ---- */

struct partition *pool_find(struct pool *pool, const char *topic, int32_t number)
{
    AUTO_LOCK(&pool->lock);
    for (struct partition *p = pool->all; p; p = p->next)
        if (p->number == number && strcmp(p->topic, topic) == 0)
            return p;
    return NULL;
}

/* Only the group's thread adds partitions. */
struct partition *pool_partition(struct pool *pool, struct fetch *f, const char *topic,
                                 int32_t number)
{
    struct partition *p = pool_find(pool, topic, number);

    if (p)
        return p;
    p = partition_new(pool, f, topic, number);
    AUTO_LOCK(&pool->lock);
    p->next = pool->all;
    pool->all = p;
    return p;
}

void pool_each(struct pool *pool, void (*each)(void *arg, struct partition *p), void *arg)
{
    AUTO_LOCK(&pool->lock);
    for (struct partition *p = pool->all; p; p = p->next)
        each(arg, p);
}

void pool_wake(struct pool *pool, struct partition *p)
{
    AUTO_LOCK(&pool->lock);
    make_ready(pool, p);
}

void pool_assign(struct pool *pool, struct partition *p)
{
    AUTO_LOCK(&pool->lock);
    atomic_store(&p->assigned, true);
    p->assignments++;
    p->revoke = p->parked = false;
    make_ready(pool, p);
}

void pool_revoke(struct pool *pool, struct partition *p)
{
    AUTO_LOCK(&pool->lock);
    atomic_store(&p->assigned, false);
    if (p->parked)
        return;
    p->revoke = true;
    make_ready(pool, p);
}

enum pool_request pool_request(struct pool *pool, struct partition *p, unsigned *assignments)
{
    AUTO_LOCK(&pool->lock);
    *assignments = p->assignments;
    if (p->revoke)
        return POOL_LET_GO;
    return atomic_load(&p->assigned) ? POOL_OURS : POOL_STRAY;
}

void pool_parked(struct pool *pool, struct partition *p)
{
    AUTO_LOCK(&pool->lock);
    p->revoke = false;
    p->parked = true;
    pthread_cond_broadcast(&pool->changed);
}

void pool_wake_table(struct pool *pool, const struct table *t)
{
    AUTO_LOCK(&pool->lock);
    for (struct partition *p = pool->all; p; p = p->next)
        if (strcmp(p->topic, t->topic) == 0)
            make_ready(pool, p);
}

static bool all_parked(const struct pool *pool)
{
    for (const struct partition *p = pool->all; p; p = p->next)
        if (p->revoke)
            return false;
    return true;
}

bool pool_wait_parked(struct pool *pool, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    AUTO_LOCK(&pool->lock);
    while (!all_parked(pool))
        if (clock_cond_wait(&pool->changed, &pool->lock, until))
            return all_parked(pool);
    return true;
}
