#include "consumer/dispatcher.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/clock.h"

#define SLOW_MS 1000 /* a step that takes longer holds its table's other partitions back */
#define LOOK_MS 1000

/* The partitions of one topic: a table. */
struct dispatcher_topic {
    char *name;
    int partitions;
    int running;    /* steps */
    bool timed_out; /* its last command */
    UT_hash_handle hh;
};

struct writer_thread {
    struct dispatcher *dispatcher;
    pthread_t id;
    void *context;
    struct partition *at; /* under the dispatcher's lock, like since */
    int64_t since;
};

struct dispatcher {
    /* set once */
    struct dispatcher_work work;
    struct writer_thread *threads;
    int thread_count;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t work_there;
    pthread_cond_t changed; /* a partition was released, or a thread ended */
    struct partition *all;  /* by id */
    struct dispatcher_topic *topics;
    struct partition *ready_head, *ready_tail;
    int64_t next_due; /* no partition is due before */
    int running;
    bool stopping;
};

/* ---- under the lock ---- */

static void make_ready(struct dispatcher *d, struct partition *p)
{
    if (p->ready)
        return;
    p->ready = true;
    if (p->busy)
        return; /* its holder queues it when it is done */
    p->next_ready = NULL;
    if (d->ready_tail)
        d->ready_tail->next_ready = p;
    else
        d->ready_head = p;
    d->ready_tail = p;
    pthread_cond_signal(&d->work_there);
}

static bool is_slow(const struct dispatcher *d, const struct dispatcher_topic *t, int64_t now)
{
    for (int i = 0; i < d->thread_count; i++) {
        const struct writer_thread *w = &d->threads[i];

        if (w->at && w->at->dispatched == t && now - w->since > SLOW_MS)
            return true;
    }
    return false;
}

static int timed_out_running(const struct dispatcher *d)
{
    int n = 0;

    for (const struct dispatcher_topic *t = d->topics; t; t = t->hh.next)
        if (t->timed_out)
            n += t->running;
    return n;
}

static bool may_run(const struct dispatcher *d, const struct dispatcher_topic *t, int64_t now)
{
    int most = MAX(d->thread_count - 1, 1);

    if (HASH_COUNT(d->topics) == 1)
        return true;
    if (t->running == 0)
        return !t->timed_out || timed_out_running(d) < most;
    return !t->timed_out && t->running < most && !is_slow(d, t, now);
}

static struct partition *take_ready(struct dispatcher *d, struct writer_thread *w)
{
    int64_t now = clock_mono_ms();
    struct partition *before = NULL, *p = d->ready_head;

    while (p && !p->revoked && !may_run(d, p->dispatched, now)) { /* leaving writes nothing */
        before = p;
        p = p->next_ready;
    }
    if (!p)
        return NULL;
    if (before)
        before->next_ready = p->next_ready;
    else
        d->ready_head = p->next_ready;
    if (d->ready_tail == p)
        d->ready_tail = before;
    p->ready = false;
    p->busy = true;
    p->due = DISPATCH_ON_EVENT; /* its holder says when */
    p->dispatched->running++;
    w->at = p;
    w->since = now;
    return p;
}

static void queue_due(struct dispatcher *d)
{
    int64_t now = clock_mono_ms();

    if (now < d->next_due)
        return;
    d->next_due = DISPATCH_ON_EVENT;
    for (struct partition *p = d->all; p; p = p->hh.next) {
        if (p->due <= now)
            make_ready(d, p);
        else
            d->next_due = MIN(d->next_due, p->due);
    }
}

static struct partition *wait_for_work(struct dispatcher *d, struct writer_thread *w)
{
    while (!d->stopping) {
        struct partition *p;

        queue_due(d);
        p = take_ready(d, w);
        if (p)
            return p;
        clock_cond_wait(&d->work_there, &d->lock, MIN(d->next_due, clock_mono_ms() + LOOK_MS));
    }
    return NULL;
}

static void give_back(struct dispatcher *d, struct writer_thread *w, struct partition *p,
                      int64_t due)
{
    bool asked = p->ready;

    w->at = NULL;
    p->busy = p->ready = false;
    p->due = due;
    p->dispatched->running--;
    if (due != DISPATCH_AT_ONCE && due < d->next_due) {
        d->next_due = due;
        pthread_cond_signal(&d->work_there); /* somebody has to wait for that time */
    }
    if (p->revoked && partition_is_released(p))
        pthread_cond_broadcast(&d->changed);
    if (asked || due == DISPATCH_AT_ONCE)
        make_ready(d, p);
    else if (d->ready_head) /* another one of its table may run now */
        pthread_cond_signal(&d->work_there);
}

/* ---- the threads ---- */

static void *writer_loop(void *arg)
{
    struct writer_thread *w = arg;
    struct dispatcher *d = w->dispatcher;
    struct partition *p;

    auto_lock(&d->lock);
    while ((p = wait_for_work(d, w))) {
        int64_t due;

        pthread_mutex_unlock(&d->lock);
        due = d->work.step(w->context, p);
        auto_lock(&d->lock);
        give_back(d, w, p, due);
    }
    d->running--;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

struct dispatcher *dispatcher_new(int threads, const struct dispatcher_work *work)
{
    struct dispatcher *d = xcalloc(1, sizeof(*d));

    d->work = *work;
    d->thread_count = d->running = threads;
    d->threads = xcalloc((size_t)threads, sizeof(*d->threads));
    pthread_mutex_init(&d->lock, NULL);
    clock_cond_init(&d->work_there);
    clock_cond_init(&d->changed);
    for (int i = 0; i < threads; i++) {
        struct writer_thread *w = &d->threads[i];

        w->dispatcher = d;
        w->context = work->open(work->arg);
        CHECK(pthread_create(&w->id, NULL, writer_loop, w) == 0);
    }
    return d;
}

bool dispatcher_stop(struct dispatcher *d, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    {
        AUTO_LOCK(&d->lock);
        d->stopping = true;
        pthread_cond_broadcast(&d->work_there);
        if (!clock_cond_wait_zero(&d->changed, &d->lock, &d->running, until))
            return false;
    }
    for (int i = 0; i < d->thread_count; i++)
        pthread_join(d->threads[i].id, NULL);
    return true;
}

void dispatcher_free(struct dispatcher *d)
{
    struct partition *p, *next;
    struct dispatcher_topic *t, *after;

    if (!d)
        return;
    HASH_ITER(hh, d->all, p, next)
    {
        HASH_DEL(d->all, p);
        partition_free(p);
    }
    HASH_ITER(hh, d->topics, t, after)
    {
        HASH_DEL(d->topics, t);
        free(t->name);
        free(t);
    }
    for (int i = 0; i < d->thread_count; i++)
        d->work.close(d->threads[i].context);
    pthread_cond_destroy(&d->work_there);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d->threads);
    free(d);
}

/* ---- finding ---- */

struct partition *dispatcher_find(struct dispatcher *d, const char *topic, int32_t number)
{
    AUTO(free_charp) char *id = partition_id(topic, number);
    struct partition *p;

    AUTO_LOCK(&d->lock);
    HASH_FIND_STR(d->all, id, p);
    return p;
}

static struct dispatcher_topic *topic_of(struct dispatcher *d, const char *name)
{
    struct dispatcher_topic *t;

    HASH_FIND_STR(d->topics, name, t);
    if (t)
        return t;
    t = xcalloc(1, sizeof(*t));
    t->name = xstrdup(name);
    HASH_ADD_KEYPTR(hh, d->topics, t->name, strlen(t->name), t);
    return t;
}

struct partition *dispatcher_partition(struct dispatcher *d, const char *topic, int32_t number)
{
    struct partition *p = dispatcher_find(d, topic, number);

    if (p)
        return p;
    p = partition_new(d->work.arg, topic, number);
    AUTO_LOCK(&d->lock);
    p->due = DISPATCH_ON_EVENT;
    p->dispatched = topic_of(d, topic);
    HASH_ADD_KEYPTR(hh, d->all, p->id, strlen(p->id), p);
    return p;
}

void dispatcher_each(struct dispatcher *d, void (*each)(void *arg, struct partition *p),
                     void *arg)
{
    AUTO_LOCK(&d->lock);
    for (struct partition *p = d->all; p; p = p->hh.next)
        each(arg, p);
}

/* ---- events ---- */

void dispatcher_wake(struct dispatcher *d, struct partition *p)
{
    AUTO_LOCK(&d->lock);
    make_ready(d, p);
}

void dispatcher_wake_topic(struct dispatcher *d, const char *topic)
{
    AUTO_LOCK(&d->lock);
    for (struct partition *p = d->all; p; p = p->hh.next)
        if (strcmp(p->topic, topic) == 0)
            make_ready(d, p);
}

void dispatcher_assign(struct dispatcher *d, struct partition *p)
{
    AUTO_LOCK(&d->lock);
    atomic_store(&p->assigned, true);
    p->revoked = false;
    make_ready(d, p);
}

void dispatcher_revoke(struct dispatcher *d, struct partition *p)
{
    AUTO_LOCK(&d->lock);
    atomic_store(&p->assigned, false);
    p->revoked = true;
    make_ready(d, p);
}

void dispatcher_revoke_all(struct dispatcher *d)
{
    AUTO_LOCK(&d->lock);
    for (struct partition *p = d->all; p; p = p->hh.next) {
        atomic_store(&p->assigned, false);
        p->revoked = true;
        make_ready(d, p);
    }
}

static bool all_released(const struct dispatcher *d, bool all)
{
    for (const struct partition *p = d->all; p; p = p->hh.next)
        if (p->revoked &&
            (p->busy || !partition_is_released(p) || (all && p->state == PARTITION_MARKING)))
            return false;
    return true;
}

bool dispatcher_wait_released(struct dispatcher *d, bool all, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    AUTO_LOCK(&d->lock);
    while (!all_released(d, all))
        if (clock_cond_wait(&d->changed, &d->lock, until))
            return all_released(d, all);
    return true;
}

void dispatcher_timed_out(struct dispatcher *d, struct partition *p, bool timed_out)
{
    AUTO_LOCK(&d->lock);
    p->dispatched->timed_out = timed_out;
}
