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

static int timed_out_turns(const struct dispatcher *dispatcher)
{
    int n = 0;

    for (const struct dispatcher_share *share = dispatcher->shares; share;
         share = share->hh.next)
        if (share->timed_out)
            n += share->turns;
    return n;
}

static bool has_turn_left(const struct dispatcher_share *share)
{
    const struct dispatcher *dispatcher = share->dispatcher;
    int most = MAX(dispatcher->threads - 1, 1);

    if (HASH_COUNT(dispatcher->shares) == 1)
        return true;
    if (share->turns == 0)
        return !share->timed_out || timed_out_turns(dispatcher) < most;
    return !share->timed_out && share->turns < most && !is_slow(share);
}

/* A partition that comes by itself lets those that wait go first, so that none waits for ever.
 * A revoked one always may: leaving writes nothing. */
static bool take_turn(struct partition *p)
{
    struct dispatcher_share *share = p->share;

    if (p->has_turn) { /* and was counted */
        p->has_turn = false;
        if (p->revoked || !share->timed_out || share->turns == 1)
            return true;
        share->turns--; /* it has timed out since, and another of it has the turn */
        return false;
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

/* Tables that have timed out share few writers: after one of them all others have a go. */
static void give_timed_out_turns(struct dispatcher *dispatcher, struct dispatcher_share *last)
{
    struct dispatcher_share *share = last;

    do {
        share = share->hh.next ? share->hh.next : dispatcher->shares;
        if (share->timed_out)
            give_turns(share);
    } while (share != last);
}

/* ---- a step ---- */

static bool begin_step(struct dispatcher *dispatcher, struct partition *p)
{
    AUTO_LOCK(&dispatcher->lock);
    if (!take_turn(p)) {
        step_wait(dispatcher->pool, &p->share->waiting, &p->step);
        return false;
    }
    p->in_step = true;
    p->step_began_ms = clock_mono_ms();
    DL_APPEND(p->share->in_step, p);
    return true;
}

static void end_step(struct dispatcher *dispatcher, struct partition *p)
{
    AUTO_LOCK(&dispatcher->lock);
    p->in_step = false;
    DL_DELETE(p->share->in_step, p);
    p->share->turns--;
    if (p->share->timed_out)
        give_timed_out_turns(dispatcher, p->share);
    else
        give_turns(p->share);
    if (p->revoked && partition_is_released(p))
        pthread_cond_broadcast(&dispatcher->released);
}

static int64_t run_step(void *arg, void *writer)
{
    struct partition *p = arg;
    struct dispatcher *dispatcher = p->share->dispatcher;
    int64_t delay_ms;

    if (!begin_step(dispatcher, p))
        return STEP_ON_WAKE;
    delay_ms = dispatcher->work.step(writer, p);
    end_step(dispatcher, p);
    return delay_ms;
}

/* ---- the dispatcher ---- */

struct dispatcher *dispatcher_new(int threads, const struct dispatcher_work *work)
{
    struct dispatcher *dispatcher = xcalloc(1, sizeof(*dispatcher));

    dispatcher->work = *work;
    dispatcher->threads = threads;
    pthread_mutex_init(&dispatcher->lock, NULL);
    clock_cond_init(&dispatcher->released);
    dispatcher->pool =
        step_pool_new(threads, (struct step_pool_hooks){work->open, work->close, work->arg});
    return dispatcher;
}

bool dispatcher_stop(struct dispatcher *dispatcher, int64_t timeout_ms)
{
    return step_pool_stop(dispatcher->pool, timeout_ms);
}

void dispatcher_free(struct dispatcher *dispatcher)
{
    struct partition *p, *next;
    struct dispatcher_share *share, *after;

    if (!dispatcher)
        return;
    step_pool_free(dispatcher->pool);
    HASH_ITER(hh, dispatcher->partitions, p, next) {
        HASH_DEL(dispatcher->partitions, p);
        partition_free(p);
    }
    HASH_ITER(hh, dispatcher->shares, share, after) {
        HASH_DEL(dispatcher->shares, share);
        free(share->topic);
        free(share);
    }
    pthread_cond_destroy(&dispatcher->released);
    pthread_mutex_destroy(&dispatcher->lock);
    free(dispatcher);
}

/* ---- finding ---- */

struct partition *dispatcher_find(struct dispatcher *dispatcher, const char *topic,
                                  int32_t number)
{
    AUTO(free_charp) char *id = partition_id(topic, number);
    struct partition *p;

    AUTO_LOCK(&dispatcher->lock);
    HASH_FIND_STR(dispatcher->partitions, id, p);
    return p;
}

static struct dispatcher_share *share_of(struct dispatcher *dispatcher, const char *topic)
{
    struct dispatcher_share *share;

    HASH_FIND_STR(dispatcher->shares, topic, share);
    if (share)
        return share;
    share = xcalloc(1, sizeof(*share));
    share->dispatcher = dispatcher;
    share->topic = xstrdup(topic);
    HASH_ADD_KEYPTR(hh, dispatcher->shares, share->topic, strlen(share->topic), share);
    return share;
}

struct partition *dispatcher_partition(struct dispatcher *dispatcher, const char *topic,
                                       int32_t number)
{
    struct partition *p = dispatcher_find(dispatcher, topic, number);

    if (p)
        return p;
    p = partition_new(dispatcher->work.arg, topic, number);
    p->pool = dispatcher->pool;
    p->step = (struct step){.run = run_step, .arg = p};
    AUTO_LOCK(&dispatcher->lock);
    p->share = share_of(dispatcher, topic);
    HASH_ADD_KEYPTR(hh, dispatcher->partitions, p->id, strlen(p->id), p);
    step_schedule(dispatcher->pool, &p->step, STEP_ON_WAKE);
    return p;
}

void dispatcher_each(struct dispatcher *dispatcher,
                     void (*each)(void *arg, struct partition *p), void *arg)
{
    AUTO_LOCK(&dispatcher->lock);
    for (struct partition *p = dispatcher->partitions; p; p = p->hh.next)
        each(arg, p);
}

/* ---- events ---- */

void dispatcher_wake_topic(struct dispatcher *dispatcher, const char *topic)
{
    AUTO_LOCK(&dispatcher->lock);
    for (struct partition *p = dispatcher->partitions; p; p = p->hh.next)
        if (strcmp(p->topic, topic) == 0)
            partition_wake(p);
}

void dispatcher_assign(struct dispatcher *dispatcher, struct partition *p)
{
    AUTO_LOCK(&dispatcher->lock);
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

void dispatcher_revoke(struct dispatcher *dispatcher, struct partition *p)
{
    AUTO_LOCK(&dispatcher->lock);
    revoke_one(p);
}

void dispatcher_revoke_all(struct dispatcher *dispatcher)
{
    AUTO_LOCK(&dispatcher->lock);
    for (struct partition *p = dispatcher->partitions; p; p = p->hh.next)
        revoke_one(p);
}

static bool all_released(const struct dispatcher *dispatcher, bool with_marks)
{
    for (const struct partition *p = dispatcher->partitions; p; p = p->hh.next)
        if (p->revoked && (p->in_step || !partition_is_released(p) ||
                           (with_marks && p->state == PARTITION_MARKING)))
            return false;
    return true;
}

bool dispatcher_wait_released(struct dispatcher *dispatcher, bool with_marks,
                              int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    AUTO_LOCK(&dispatcher->lock);
    while (!all_released(dispatcher, with_marks))
        if (clock_cond_wait(&dispatcher->released, &dispatcher->lock, until))
            return all_released(dispatcher, with_marks);
    return true;
}

void dispatcher_timed_out(struct dispatcher *dispatcher, struct partition *p, bool timed_out)
{
    AUTO_LOCK(&dispatcher->lock);
    if (p->share->timed_out == timed_out)
        return;
    p->share->timed_out = timed_out;
    give_turns(p->share);
    give_timed_out_turns(dispatcher, p->share);
}
