#include "consumer/dispatcher.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"

#define SLOW_MS 1000 /* a step that takes longer holds its table's other partitions back */

/* What a table has of the writers. */
struct dispatcher_share {
    struct dispatcher *dispatcher;
    char *topic;
    struct partition *in_step; /* the longest first */
    int turns;                 /* of those, and of those that were woken to take one */
    bool timed_out;            /* its last command */
    struct step_queue waiting; /* for a turn; always used under the lock */
    UT_hash_handle hh;
};

struct dispatcher {
    /* set once */
    struct dispatcher_work work;
    struct step_pool *pool;
    int threads;

    /* under lock, which is taken before the pool's */
    pthread_mutex_t lock;
    pthread_cond_t released;      /* a partition that was revoked */
    struct partition *partitions; /* by id */
    struct dispatcher_share *shares;
};

/* ---- turns, under the lock ---- */

static bool is_slow(const struct dispatcher_share *share)
{
    return share->in_step && clock_mono_ms() - share->in_step->step_began_ms > SLOW_MS;
}

static int timed_out_turns(const struct dispatcher *d)
{
    int n = 0;

    for (const struct dispatcher_share *share = d->shares; share; share = share->hh.next)
        if (share->timed_out)
            n += share->turns;
    return n;
}

static bool has_turn_left(const struct dispatcher_share *share)
{
    const struct dispatcher *d = share->dispatcher;
    int most = MAX(d->threads - 1, 1);

    if (HASH_COUNT(d->shares) == 1)
        return true;
    if (share->turns == 0)
        return !share->timed_out || timed_out_turns(d) < most;
    return !share->timed_out && share->turns < most && !is_slow(share);
}

/* A partition that comes by itself lets those that wait go first, so that none waits for ever.
 * A revoked one always may: leaving writes nothing. */
static bool take_turn(struct partition *p)
{
    struct dispatcher_share *share = p->share;

    if (p->has_turn) { /* and was counted */
        p->has_turn = false;
        return true;
    }
    if (!p->revoked && (share->waiting.first || !has_turn_left(share)))
        return false;
    share->turns++;
    return true;
}

/* To those that have waited longest. */
static void give_turns(struct dispatcher_share *share)
{
    while (share->waiting.first && has_turn_left(share)) {
        struct partition *p = share->waiting.first->arg;

        p->has_turn = true;
        share->turns++;
        step_queue_wake_first(p->pool, &share->waiting, 1);
    }
}

/* One that has timed out may have to wait for others of this kind. */
static void give_timed_out_turns(struct dispatcher *d)
{
    for (struct dispatcher_share *share = d->shares; share; share = share->hh.next)
        if (share->timed_out)
            give_turns(share);
}

/* ---- a step ---- */

static bool begin_step(struct dispatcher *d, struct partition *p)
{
    AUTO_LOCK(&d->lock);
    if (!take_turn(p)) {
        step_wait(d->pool, &p->share->waiting, &p->step);
        return false;
    }
    p->in_step = true;
    p->step_began_ms = clock_mono_ms();
    DL_APPEND(p->share->in_step, p);
    return true;
}

static void end_step(struct dispatcher *d, struct partition *p)
{
    AUTO_LOCK(&d->lock);
    p->in_step = false;
    DL_DELETE(p->share->in_step, p);
    p->share->turns--;
    give_turns(p->share);
    if (p->share->timed_out)
        give_timed_out_turns(d);
    if (p->revoked && partition_is_released(p))
        pthread_cond_broadcast(&d->released);
}

static int64_t run_step(void *arg, void *writer)
{
    struct partition *p = arg;
    struct dispatcher *d = p->share->dispatcher;
    int64_t delay_ms;

    if (!begin_step(d, p))
        return STEP_ON_WAKE;
    delay_ms = d->work.step(writer, p);
    end_step(d, p);
    return delay_ms;
}

/* ---- the dispatcher ---- */

struct dispatcher *dispatcher_new(int threads, const struct dispatcher_work *work)
{
    struct dispatcher *d = xcalloc(1, sizeof(*d));

    d->work = *work;
    d->threads = threads;
    pthread_mutex_init(&d->lock, NULL);
    clock_cond_init(&d->released);
    d->pool =
        step_pool_new(threads, (struct step_pool_hooks){work->open, work->close, work->arg});
    return d;
}

bool dispatcher_stop(struct dispatcher *d, int64_t timeout_ms)
{
    return step_pool_stop(d->pool, timeout_ms);
}

void dispatcher_free(struct dispatcher *d)
{
    struct partition *p, *next;
    struct dispatcher_share *share, *after;

    if (!d)
        return;
    step_pool_free(d->pool);
    HASH_ITER(hh, d->partitions, p, next)
    {
        HASH_DEL(d->partitions, p);
        partition_free(p);
    }
    HASH_ITER(hh, d->shares, share, after)
    {
        HASH_DEL(d->shares, share);
        free(share->topic);
        free(share);
    }
    pthread_cond_destroy(&d->released);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- finding ---- */

struct partition *dispatcher_find(struct dispatcher *d, const char *topic, int32_t number)
{
    AUTO(free_charp) char *id = partition_id(topic, number);
    struct partition *p;

    AUTO_LOCK(&d->lock);
    HASH_FIND_STR(d->partitions, id, p);
    return p;
}

static struct dispatcher_share *share_of(struct dispatcher *d, const char *topic)
{
    struct dispatcher_share *share;

    HASH_FIND_STR(d->shares, topic, share);
    if (share)
        return share;
    share = xcalloc(1, sizeof(*share));
    share->dispatcher = d;
    share->topic = xstrdup(topic);
    HASH_ADD_KEYPTR(hh, d->shares, share->topic, strlen(share->topic), share);
    return share;
}

struct partition *dispatcher_partition(struct dispatcher *d, const char *topic, int32_t number)
{
    struct partition *p = dispatcher_find(d, topic, number);

    if (p)
        return p;
    p = partition_new(d->work.arg, topic, number);
    p->pool = d->pool;
    p->step = (struct step){.run = run_step, .arg = p};
    AUTO_LOCK(&d->lock);
    p->share = share_of(d, topic);
    HASH_ADD_KEYPTR(hh, d->partitions, p->id, strlen(p->id), p);
    step_schedule(d->pool, &p->step, STEP_ON_WAKE);
    return p;
}

void dispatcher_each(struct dispatcher *d, void (*each)(void *arg, struct partition *p),
                     void *arg)
{
    AUTO_LOCK(&d->lock);
    for (struct partition *p = d->partitions; p; p = p->hh.next)
        each(arg, p);
}

/* ---- events ---- */

void dispatcher_wake_topic(struct dispatcher *d, const char *topic)
{
    AUTO_LOCK(&d->lock);
    for (struct partition *p = d->partitions; p; p = p->hh.next)
        if (strcmp(p->topic, topic) == 0)
            partition_wake(p);
}

void dispatcher_assign(struct dispatcher *d, struct partition *p)
{
    AUTO_LOCK(&d->lock);
    atomic_store(&p->assigned, true);
    p->revoked = false;
    partition_wake(p);
}

static void revoke_one(struct partition *p)
{
    atomic_store(&p->assigned, false);
    p->revoked = true;
    partition_wake(p);
}

void dispatcher_revoke(struct dispatcher *d, struct partition *p)
{
    AUTO_LOCK(&d->lock);
    revoke_one(p);
}

void dispatcher_revoke_all(struct dispatcher *d)
{
    AUTO_LOCK(&d->lock);
    for (struct partition *p = d->partitions; p; p = p->hh.next)
        revoke_one(p);
}

static bool all_released(const struct dispatcher *d, bool with_marks)
{
    for (const struct partition *p = d->partitions; p; p = p->hh.next)
        if (p->revoked && (p->in_step || !partition_is_released(p) ||
                           (with_marks && p->state == PARTITION_MARKING)))
            return false;
    return true;
}

bool dispatcher_wait_released(struct dispatcher *d, bool with_marks, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    AUTO_LOCK(&d->lock);
    while (!all_released(d, with_marks))
        if (clock_cond_wait(&d->released, &d->lock, until))
            return all_released(d, with_marks);
    return true;
}

void dispatcher_timed_out(struct dispatcher *d, struct partition *p, bool timed_out)
{
    AUTO_LOCK(&d->lock);
    if (p->share->timed_out == timed_out)
        return;
    p->share->timed_out = timed_out;
    give_turns(p->share);
    give_timed_out_turns(d);
}
