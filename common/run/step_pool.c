#include "common/run/step_pool.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"

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

static void heap_put(struct step_pool *p, int32_t i, struct step *s)
{
    p->heap[i] = s;
    s->slot = i;
}

static void heap_up(struct step_pool *p, int32_t i, struct step *s)
{
    for (; i > 0 && p->heap[(i - 1) / 2]->due_ms > s->due_ms; i = (i - 1) / 2)
        heap_put(p, i, p->heap[(i - 1) / 2]);
    heap_put(p, i, s);
}

static void heap_down(struct step_pool *p, int32_t i, struct step *s)
{
    for (int32_t child; (child = 2 * i + 1) < p->count; i = child) {
        if (child + 1 < p->count && p->heap[child + 1]->due_ms < p->heap[child]->due_ms)
            child++;
        if (p->heap[child]->due_ms >= s->due_ms)
            break;
        heap_put(p, i, p->heap[child]);
    }
    heap_put(p, i, s);
}

static void heap_add(struct step_pool *p, struct step *s)
{
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->heap = xrealloc(p->heap, (size_t)p->cap * sizeof(*p->heap));
    }
    heap_up(p, p->count++, s);
    pthread_cond_signal(&p->changed);
}

static struct step *heap_pop(struct step_pool *p)
{
    struct step *top = p->heap[0], *last = p->heap[--p->count];

    if (last != top)
        heap_down(p, 0, last);
    top->slot = -1;
    return top;
}

/* ---- the threads ---- */

static void wait_due(struct step_pool *p)
{
    if (p->count == 0 || p->heap[0]->due_ms == STEP_ON_WAKE)
        pthread_cond_wait(&p->changed, &p->lock);
    else
        clock_cond_wait(&p->changed, &p->lock, p->heap[0]->due_ms);
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

static void step_end(struct step_pool *p, struct step *s)
{
    s->active = false;
    queue_leave(s);
    pthread_mutex_unlock(&p->lock);
    if (s->ended)
        s->ended(s->arg);
    pthread_mutex_lock(&p->lock);
}

static int64_t due_in(int64_t delay_ms)
{
    return delay_ms == STEP_ON_WAKE ? STEP_ON_WAKE : clock_mono_ms() + delay_ms;
}

static void run_one(struct step_pool *p, void *local)
{
    struct step *s = heap_pop(p);
    int64_t delay;

    s->woken = false;
    pthread_mutex_unlock(&p->lock);
    delay = s->run(s->arg, local);
    pthread_mutex_lock(&p->lock);
    if (delay < 0) {
        step_end(p, s);
        return;
    }
    s->due_ms = due_in(s->woken ? 0 : delay);
    heap_add(p, s);
}

static void *pool_loop(void *arg)
{
    struct step_pool *p = arg;
    void *local = p->hooks.begin ? p->hooks.begin(p->hooks.arg) : NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        if (p->count > 0 && p->heap[0]->due_ms <= clock_mono_ms())
            run_one(p, local);
        else
            wait_due(p);
    }
    pthread_mutex_unlock(&p->lock);
    if (p->hooks.end)
        p->hooks.end(local);
    AUTO_LOCK(&p->lock);
    p->running--;
    pthread_cond_signal(&p->ended);
    return NULL;
}

struct step_pool *step_pool_new(int threads, struct step_pool_hooks hooks)
{
    struct step_pool *p = xcalloc(1, sizeof(*p));

    p->hooks = hooks;
    pthread_mutex_init(&p->lock, NULL);
    clock_cond_init(&p->changed);
    clock_cond_init(&p->ended);
    p->threads = xcalloc((size_t)threads, sizeof(*p->threads));
    p->thread_count = p->running = threads;
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&p->threads[i], NULL, pool_loop, p) == 0);
    return p;
}

static void request_stop(struct step_pool *p)
{
    AUTO_LOCK(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->changed);
}

static void join(struct step_pool *p)
{
    for (; p->thread_count > 0; p->thread_count--)
        pthread_join(p->threads[p->thread_count - 1], NULL);
}

static bool wait_ended(struct step_pool *p, int64_t until_ms)
{
    AUTO_LOCK(&p->lock);
    return clock_cond_wait_zero(&p->ended, &p->lock, &p->running, until_ms);
}

bool step_pool_stop(struct step_pool *p, int64_t timeout_ms)
{
    request_stop(p);
    if (!wait_ended(p, clock_mono_ms() + timeout_ms))
        return false;
    join(p);
    return true;
}

void step_pool_free(struct step_pool *p)
{
    if (!p)
        return;
    request_stop(p);
    join(p);
    pthread_mutex_lock(&p->lock);
    while (p->count > 0)
        step_end(p, heap_pop(p));
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&p->changed);
    pthread_cond_destroy(&p->ended);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p->heap);
    free(p);
}

bool step_schedule(struct step_pool *p, struct step *s, int64_t delay_ms)
{
    AUTO_LOCK(&p->lock);
    if (s->active || p->stopping)
        return false;
    s->active = true;
    s->woken = false;
    s->due_ms = due_in(delay_ms);
    heap_add(p, s);
    return true;
}

/* Under lock. */
static void wake(struct step_pool *p, struct step *s)
{
    if (!s->active)
        return;
    if (s->slot < 0) { /* it runs */
        s->woken = true;
        return;
    }
    s->due_ms = MIN(s->due_ms, clock_mono_ms()); /* behind what is overdue */
    heap_up(p, s->slot, s);
    pthread_cond_signal(&p->changed);
}

void step_wake(struct step_pool *p, struct step *s)
{
    AUTO_LOCK(&p->lock);
    wake(p, s);
}

void step_wait(struct step_pool *p, struct step_queue *q, struct step *s)
{
    AUTO_LOCK(&p->lock);
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

void step_queue_wake(struct step_pool *p, struct step_queue *q)
{
    step_queue_wake_first(p, q, SIZE_MAX);
}

bool step_queue_wake_first(struct step_pool *p, struct step_queue *q, size_t count)
{
    AUTO_LOCK(&p->lock);
    for (size_t n = 0; q->first && n < count; n++) {
        struct step *s = q->first;

        queue_leave(s);
        wake(p, s);
    }
    return q->first != NULL;
}
