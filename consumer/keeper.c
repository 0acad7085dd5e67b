#include "consumer/keeper.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "consumer/position_store.h"

/* One of them may wait for an answer that does not come: the other one goes on. */
#define THREADS 2

struct keeper {
    /* set once */
    const struct mongo_target *target;
    void (*answered)(void *owner);
    pthread_t threads[THREADS];

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t asked;
    pthread_cond_t ended;
    struct position_ask *waiting;
    int running;
    bool stopping;
};

struct round { /* one command, of one thread */
    struct mongo *mongo;
    struct position_ask *asks[POSITION_MANY_MAX];
    const char *ids[POSITION_MANY_MAX];
    size_t count;
    bool reads;
    struct position_doc *docs; /* POSITION_MANY_MAX */
};

/* ---- under the lock ---- */

static struct position_ask **first_due(struct keeper *k, int64_t now, int64_t *next)
{
    struct position_ask **due = NULL;

    *next = now + 1000;
    for (struct position_ask **ask = &k->waiting; *ask; ask = &(*ask)->next) {
        if ((*ask)->at <= now && !due)
            due = ask;
        *next = MIN(*next, (*ask)->at);
    }
    return due;
}

/* All of one kind that are due, the longest waiting first. */
static void collect(struct round *round, struct position_ask **from, int64_t now)
{
    round->count = 0;
    round->reads = (*from)->reads;
    while (*from && round->count < POSITION_MANY_MAX) {
        struct position_ask *ask = *from;

        if (ask->reads != round->reads || ask->at > now) {
            from = &ask->next;
            continue;
        }
        *from = ask->next;
        ask->stage = ASK_OUT;
        round->ids[round->count] = ask->id;
        round->asks[round->count++] = ask;
    }
}

static bool wait_for_asks(struct keeper *k, struct round *round)
{
    while (!k->stopping) {
        int64_t now = clock_mono_ms(), next;
        struct position_ask **due = first_due(k, now, &next);

        if (due) {
            collect(round, due, now);
            return true;
        }
        clock_cond_wait(&k->asked, &k->lock, next);
    }
    return false;
}

static void put(struct keeper *k, struct position_ask *ask, int64_t at)
{
    struct position_ask **last = &k->waiting;

    CHECK(ask->stage == ASK_FREE);
    while (*last)
        last = &(*last)->next;
    ask->next = NULL;
    ask->at = at;
    ask->stage = ASK_WAITS;
    *last = ask;
    pthread_cond_signal(&k->asked);
}

/* ---- a round ---- */

static void answer_all(struct keeper *k, struct round *round, enum position_answer answer)
{
    AUTO_LOCK(&k->lock);
    for (size_t i = 0; i < round->count; i++) {
        round->asks[i]->answer = answer;
        round->asks[i]->stage = ASK_ANSWERED;
    }
}

static void fail_all(struct keeper *k, struct round *round, enum mongo_result result,
                     const struct error *err)
{
    for (size_t i = 0; i < round->count; i++) {
        round->asks[i]->result = result;
        round->asks[i]->err = *err;
    }
    answer_all(k, round, ANSWER_FAILED);
}

static void read_round(struct keeper *k, struct round *round)
{
    struct error err;
    enum mongo_result result =
        position_store_read(round->mongo, round->ids, round->count, round->docs, &err);

    if (result != MONGO_DONE) {
        fail_all(k, round, MONGO_AGAIN, &err); /* reading changes nothing */
        return;
    }
    for (size_t i = 0; i < round->count; i++)
        round->asks[i]->doc = round->docs[i];
    answer_all(k, round, ANSWER_DOCUMENT);
}

static void change_round(struct keeper *k, struct round *round)
{
    const struct position_change *changes[POSITION_MANY_MAX];
    struct error err;
    enum mongo_result result;
    bool all = false;

    for (size_t i = 0; i < round->count; i++)
        changes[i] = &round->asks[i]->change;
    result = position_store_change(round->mongo, round->ids, changes, round->count, &all, &err);
    if (result == MONGO_DONE && all)
        answer_all(k, round, ANSWER_CHANGED);
    else if (result == MONGO_DONE)
        read_round(k, round);
    else
        fail_all(k, round, result == MONGO_UNKNOWN ? MONGO_UNKNOWN : MONGO_AGAIN, &err);
}

static void do_round(struct keeper *k, struct round *round)
{
    if (round->reads)
        read_round(k, round);
    else
        change_round(k, round);
    for (size_t i = 0; i < round->count; i++)
        k->answered(round->asks[i]->owner);
}

static void *keeper_loop(void *arg)
{
    struct keeper *k = arg;
    struct round *round = xcalloc(1, sizeof(*round));

    round->mongo = mongo_new(k->target);
    round->docs = xcalloc(POSITION_MANY_MAX, sizeof(*round->docs));
    pthread_mutex_lock(&k->lock);
    while (wait_for_asks(k, round)) {
        pthread_mutex_unlock(&k->lock);
        do_round(k, round);
        pthread_mutex_lock(&k->lock);
    }
    k->running--;
    pthread_cond_broadcast(&k->ended);
    pthread_mutex_unlock(&k->lock);
    mongo_free(round->mongo);
    free(round->docs);
    free(round);
    return NULL;
}

/* ---- the keeper ---- */

struct keeper *keeper_new(const struct mongo_target *target, void (*answered)(void *owner))
{
    struct keeper *k = xcalloc(1, sizeof(*k));

    k->target = target;
    k->answered = answered;
    k->running = THREADS;
    pthread_mutex_init(&k->lock, NULL);
    clock_cond_init(&k->asked);
    clock_cond_init(&k->ended);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&k->threads[i], NULL, keeper_loop, k) == 0);
    return k;
}

bool keeper_stop(struct keeper *k, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    {
        AUTO_LOCK(&k->lock);
        k->stopping = true;
        pthread_cond_broadcast(&k->asked);
        if (!clock_cond_wait_zero(&k->ended, &k->lock, &k->running, until))
            return false;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(k->threads[i], NULL);
    return true;
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    pthread_cond_destroy(&k->asked);
    pthread_cond_destroy(&k->ended);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* ---- asking ---- */

void keeper_ask_read(struct keeper *k, struct position_ask *ask, int64_t at)
{
    AUTO_LOCK(&k->lock);
    ask->reads = true;
    put(k, ask, at);
}

void keeper_ask_change(struct keeper *k, struct position_ask *ask,
                       const struct position_change *change, int64_t at)
{
    AUTO_LOCK(&k->lock);
    ask->reads = false;
    ask->change = *change;
    put(k, ask, at);
}

enum position_answer keeper_answer(struct keeper *k, struct position_ask *ask)
{
    AUTO_LOCK(&k->lock);
    if (ask->stage != ASK_ANSWERED)
        return ANSWER_NONE;
    ask->stage = ASK_FREE;
    return ask->answer;
}

bool keeper_is_asked(struct keeper *k, const struct position_ask *ask)
{
    AUTO_LOCK(&k->lock);
    return ask->stage != ASK_FREE;
}

bool keeper_take_back(struct keeper *k, struct position_ask *ask)
{
    AUTO_LOCK(&k->lock);
    if (ask->stage == ASK_OUT)
        return false;
    if (ask->stage == ASK_WAITS) {
        struct position_ask **at = &k->waiting;

        while (*at != ask)
            at = &(*at)->next;
        *at = ask->next;
    }
    ask->stage = ASK_FREE;
    return true;
}
