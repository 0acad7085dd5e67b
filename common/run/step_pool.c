#include "common/run/step_pool.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"

#define LOOK_MS 1000

struct step_pool {
    /* set once */
    struct step_pool_hooks hooks;
    pthread_t *threads;
    int thread_count;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* what is due, or stopping */
    pthread_cond_t ended;   /* a thread */
    struct step **heap;     /* by due_ms */
    int32_t count;
    int32_t cap;
    int running; /* threads */
    bool stopping;
};

/* ---- the heap ---- */

static void heap_put(struct step_pool *pool, int32_t i, struct step *s)
{
    pool->heap[i] = s;
    s->slot = i;
}

static void heap_up(struct step_pool *pool, int32_t i, struct step *s)
{
    for (; i > 0 && pool->heap[(i - 1) / 2]->due_ms > s->due_ms; i = (i - 1) / 2)
        heap_put(pool, i, pool->heap[(i - 1) / 2]);
    heap_put(pool, i, s);
}

static void heap_down(struct step_pool *pool, int32_t i, struct step *s)
{
    for (int32_t child; (child = 2 * i + 1) < pool->count; i = child) {
        if (child + 1 < pool->count &&
            pool->heap[child + 1]->due_ms < pool->heap[child]->due_ms)
            child++;
        if (pool->heap[child]->due_ms >= s->due_ms)
            break;
        heap_put(pool, i, pool->heap[child]);
    }
    heap_put(pool, i, s);
}

static void heap_add(struct step_pool *pool, struct step *s)
{
    if (pool->count == pool->cap) {
        pool->cap = pool->cap ? pool->cap * 2 : 64;
        pool->heap = xrealloc(pool->heap, (size_t)pool->cap * sizeof(*pool->heap));
    }
    heap_up(pool, pool->count++, s);
    if (s->due_ms != STEP_ON_WAKE)
        pthread_cond_signal(&pool->changed);
}

static struct step *heap_pop(struct step_pool *pool)
{
    struct step *top = pool->heap[0], *last = pool->heap[--pool->count];

    if (last != top)
        heap_down(pool, 0, last);
    top->slot = -1;
    return top;
}

/* ---- the threads ---- */

/* What a signal was for may fall due while the thread that got it is at another step: so nobody
 * waits for long without looking. */
static void wait_due(struct step_pool *pool)
{
    int64_t look_ms = clock_mono_ms() + LOOK_MS;

    if (pool->count > 0)
        look_ms = MIN(look_ms, pool->heap[0]->due_ms);
    clock_cond_wait(&pool->changed, &pool->lock, look_ms);
}

/* Under lock. */
static void queue_leave(struct step *s)
{
    struct step_queue *q = s->waits_in;
    struct step **at;

    if (!q)
        return;
    for (at = &q->first; *at != s; at = &(*at)->next_waiting)
        ;
    *at = s->next_waiting;
    if (q->last == &s->next_waiting)
        q->last = at;
    s->waits_in = NULL;
}

static void step_end(struct step_pool *pool, struct step *s)
{
    s->active = false;
    queue_leave(s);
    pthread_mutex_unlock(&pool->lock);
    if (s->ended)
        s->ended(s->arg);
    pthread_mutex_lock(&pool->lock);
}

static int64_t due_in(int64_t delay_ms)
{
    return delay_ms == STEP_ON_WAKE ? STEP_ON_WAKE : clock_mono_ms() + delay_ms;
}

static void run_one(struct step_pool *pool, void *local)
{
    struct step *s = heap_pop(pool);
    int64_t delay;

    s->woken = false;
    pthread_mutex_unlock(&pool->lock);
    delay = s->run(s->arg, local);
    pthread_mutex_lock(&pool->lock);
    if (delay < 0) {
        step_end(pool, s);
        return;
    }
    s->due_ms = due_in(s->woken ? 0 : delay);
    heap_add(pool, s);
}

static void *pool_loop(void *arg)
{
    struct step_pool *pool = arg;
    void *local = pool->hooks.begin ? pool->hooks.begin(pool->hooks.arg) : NULL;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (pool->count > 0 && pool->heap[0]->due_ms <= clock_mono_ms())
            run_one(pool, local);
        else
            wait_due(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    if (pool->hooks.end)
        pool->hooks.end(local);
    AUTO_LOCK(&pool->lock);
    pool->running--;
    pthread_cond_signal(&pool->ended);
    return NULL;
}

struct step_pool *step_pool_new(int threads, struct step_pool_hooks hooks)
{
    struct step_pool *pool = xcalloc(1, sizeof(*pool));

    pool->hooks = hooks;
    pthread_mutex_init(&pool->lock, NULL);
    clock_cond_init(&pool->changed);
    clock_cond_init(&pool->ended);
    pool->threads = xcalloc((size_t)threads, sizeof(*pool->threads));
    pool->thread_count = pool->running = threads;
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&pool->threads[i], NULL, pool_loop, pool) == 0);
    return pool;
}

static void request_stop(struct step_pool *pool)
{
    AUTO_LOCK(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->changed);
}

static void join(struct step_pool *pool)
{
    for (; pool->thread_count > 0; pool->thread_count--)
        pthread_join(pool->threads[pool->thread_count - 1], NULL);
}

static bool wait_ended(struct step_pool *pool, int64_t until_ms)
{
    AUTO_LOCK(&pool->lock);
    return clock_cond_wait_zero(&pool->ended, &pool->lock, &pool->running, until_ms);
}

bool step_pool_stop(struct step_pool *pool, int64_t timeout_ms)
{
    request_stop(pool);
    if (!wait_ended(pool, clock_mono_ms() + timeout_ms))
        return false;
    join(pool);
    return true;
}

void step_pool_free(struct step_pool *pool)
{
    if (!pool)
        return;
    request_stop(pool);
    join(pool);
    pthread_mutex_lock(&pool->lock);
    while (pool->count > 0)
        step_end(pool, heap_pop(pool));
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&pool->changed);
    pthread_cond_destroy(&pool->ended);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool->heap);
    free(pool);
}

bool step_schedule(struct step_pool *pool, struct step *s, int64_t delay_ms)
{
    AUTO_LOCK(&pool->lock);
    if (s->active || pool->stopping)
        return false;
    s->active = true;
    s->woken = false;
    s->due_ms = due_in(delay_ms);
    heap_add(pool, s);
    return true;
}

/* Under lock. */
static void wake(struct step_pool *pool, struct step *s)
{
    if (!s->active)
        return;
    if (s->slot < 0) { /* it runs */
        s->woken = true;
        return;
    }
    s->due_ms = MIN(s->due_ms, clock_mono_ms()); /* behind what is overdue */
    heap_up(pool, s->slot, s);
    pthread_cond_signal(&pool->changed);
}

void step_wake(struct step_pool *pool, struct step *s)
{
    AUTO_LOCK(&pool->lock);
    wake(pool, s);
}

void step_wait(struct step_pool *pool, struct step_queue *q, struct step *s)
{
    AUTO_LOCK(&pool->lock);
    if (s->waits_in == q)
        return;
    queue_leave(s);
    if (!q->first)
        q->last = &q->first;
    *q->last = s;
    q->last = &s->next_waiting;
    s->next_waiting = NULL;
    s->waits_in = q;
}

void step_queue_wake(struct step_pool *pool, struct step_queue *q)
{
    step_queue_wake_first(pool, q, SIZE_MAX);
}

bool step_queue_wake_first(struct step_pool *pool, struct step_queue *q, size_t count)
{
    AUTO_LOCK(&pool->lock);
    for (size_t n = 0; q->first && n < count; n++) {
        struct step *s = q->first;

        queue_leave(s);
        wake(pool, s);
    }
    return q->first != NULL;
}
