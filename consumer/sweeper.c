#include "consumer/sweeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/run/log.h"
#include "consumer/seen.h"

#define THREADS 2
#define TOGETHER_MS 2000 /* the partitions of a table come to the end one after another */
#define COLLECT_MS 600000
#define COLLECT_SOON_MS 5000

struct sweeper {
    const struct mongo_target *target;
    const char *me;
    void (*ended)(void *owner);
    pthread_t threads[THREADS];
    int started;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    struct sweep_ask *waiting;
    const char *topics[THREADS]; /* being swept */
    int64_t collect_at;          /* monotonic */
    int running;
    bool stopping;
};

/* ---- what a sweep asks and tells ---- */

static void tell(void *arg, struct sweep_ask *ask, enum sweep_outcome outcome)
{
    struct sweeper *sweeper = arg;
    void *owner = ask->owner;

    {
        AUTO_LOCK(&sweeper->lock);
        ask->outcome = outcome;
        ask->stage = SWEEP_ASK_ENDED;
        sweeper->collect_at = MIN(sweeper->collect_at, clock_mono_ms() + COLLECT_SOON_MS);
    }
    sweeper->ended(owner);
}

static bool is_unwanted(void *arg, const struct sweep_ask *ask)
{
    struct sweeper *sweeper = arg;

    AUTO_LOCK(&sweeper->lock);
    return ask->unwanted || sweeper->stopping;
}

/* ---- threads ---- */

/* Under lock. */
static bool is_being_swept(const struct sweeper *sweeper, const char *topic)
{
    for (int i = 0; i < THREADS; i++)
        if (sweeper->topics[i] && strcmp(sweeper->topics[i], topic) == 0)
            return true;
    return false;
}

/* Under lock. The one that waits longest and may be swept now; *ret_at: when the next one may.
 */
static struct sweep_ask *ripe_ask(const struct sweeper *sweeper, int64_t now, int64_t *ret_at)
{
    struct sweep_ask *first = NULL;

    for (struct sweep_ask *ask = sweeper->waiting; ask; ask = ask->next) {
        if (is_being_swept(sweeper, ask->table->topic))
            continue;
        if (ask->since_ms + TOGETHER_MS > now)
            *ret_at = MIN(*ret_at, ask->since_ms + TOGETHER_MS);
        else if (!first || ask->since_ms < first->since_ms)
            first = ask;
    }
    return first;
}

/* Under lock. All of the same view that wait. */
static struct sweep_ask *take_group(struct sweeper *sweeper, const struct table_view *view)
{
    struct sweep_ask **at = &sweeper->waiting, *group = NULL;

    while (*at) {
        struct sweep_ask *ask = *at;

        if (ask->view != view) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        ask->next = group;
        ask->stage = SWEEP_ASK_SWEPT;
        group = ask;
    }
    return group;
}

static void collect(struct mongo *m)
{
    struct error err;

    if (seen_collect(m, &err) != MONGO_DONE)
        log_warn("old notes can't be removed now", "reason=%s", err.message);
}

/* Under lock, which it leaves meanwhile. */
static void serve_once(struct sweeper *sweeper, struct mongo *m, int number)
{
    int64_t now = clock_mono_ms(), at = sweeper->collect_at;
    struct sweep_ask *ripe = ripe_ask(sweeper, now, &at), *group;
    const struct sweep_calls calls = {sweeper->me, is_unwanted, tell, sweeper};

    if (ripe) {
        sweeper->topics[number] = ripe->table->topic;
        group = take_group(sweeper, ripe->view);
        pthread_mutex_unlock(&sweeper->lock);
        sweep_run(&calls, m, group);
        pthread_mutex_lock(&sweeper->lock);
        sweeper->topics[number] = NULL;
        pthread_cond_broadcast(&sweeper->changed);
    } else if (sweeper->collect_at <= now) {
        sweeper->collect_at = now + COLLECT_MS;
        pthread_mutex_unlock(&sweeper->lock);
        collect(m);
        pthread_mutex_lock(&sweeper->lock);
    } else {
        clock_cond_wait(&sweeper->changed, &sweeper->lock, at);
    }
}

static void *sweeper_loop(void *arg)
{
    struct sweeper *sweeper = arg;
    AUTO(mongo_freep) struct mongo *m = mongo_new(sweeper->target);
    int number;

    AUTO_LOCK(&sweeper->lock);
    number = sweeper->started++;
    while (!sweeper->stopping)
        serve_once(sweeper, m, number);
    sweeper->running--;
    pthread_cond_broadcast(&sweeper->changed);
    return NULL;
}

struct sweeper *sweeper_new(const struct mongo_target *target, const char *me,
                            void (*ended)(void *owner))
{
    struct sweeper *sweeper = xcalloc(1, sizeof(*sweeper));

    sweeper->target = target;
    sweeper->me = me;
    sweeper->ended = ended;
    sweeper->running = THREADS;
    sweeper->collect_at = clock_mono_ms() + COLLECT_SOON_MS;
    pthread_mutex_init(&sweeper->lock, NULL);
    clock_cond_init(&sweeper->changed);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&sweeper->threads[i], NULL, sweeper_loop, sweeper) == 0);
    return sweeper;
}

bool sweeper_stop(struct sweeper *sweeper, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    {
        AUTO_LOCK(&sweeper->lock);
        sweeper->stopping = true;
        pthread_cond_broadcast(&sweeper->changed);
        if (!clock_cond_wait_zero(&sweeper->changed, &sweeper->lock, &sweeper->running, until))
            return false;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(sweeper->threads[i], NULL);
    return true;
}

void sweeper_free(struct sweeper *sweeper)
{
    if (!sweeper)
        return;
    pthread_cond_destroy(&sweeper->changed);
    pthread_mutex_destroy(&sweeper->lock);
    free(sweeper);
}

/* ---- asks ---- */

void sweeper_ask(struct sweeper *sweeper, struct sweep_ask *ask)
{
    AUTO_LOCK(&sweeper->lock);
    CHECK(ask->stage == SWEEP_ASK_FREE);
    ask->stage = SWEEP_ASK_WAITS;
    ask->unwanted = false;
    ask->deleted = 0;
    atomic_store(&ask->reached, 0);
    ask->since_ms = clock_mono_ms();
    ask->next = sweeper->waiting;
    sweeper->waiting = ask;
    pthread_cond_broadcast(&sweeper->changed);
}

bool sweeper_is_sweeping(struct sweeper *sweeper, const struct sweep_ask *ask)
{
    AUTO_LOCK(&sweeper->lock);
    return ask->stage == SWEEP_ASK_SWEPT;
}

enum sweep_outcome sweeper_outcome(struct sweeper *sweeper, struct sweep_ask *ask)
{
    AUTO_LOCK(&sweeper->lock);
    if (ask->stage != SWEEP_ASK_ENDED)
        return SWEEP_UNDER_WAY;
    ask->stage = SWEEP_ASK_FREE;
    return ask->outcome;
}

bool sweeper_take_back(struct sweeper *sweeper, struct sweep_ask *ask, enum sweep_outcome *ret)
{
    struct sweep_ask **at = &sweeper->waiting;

    AUTO_LOCK(&sweeper->lock);
    *ret = ask->stage == SWEEP_ASK_ENDED ? ask->outcome : SWEEP_DONE;
    if (ask->stage == SWEEP_ASK_SWEPT) {
        ask->unwanted = true;
        return false;
    }
    if (ask->stage == SWEEP_ASK_WAITS) {
        while (*at != ask)
            at = &(*at)->next;
        *at = ask->next;
    }
    ask->stage = SWEEP_ASK_FREE;
    return true;
}
