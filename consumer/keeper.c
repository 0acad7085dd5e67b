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
    for (struct position_ask **a = &k->waiting; *a; a = &(*a)->next) {
        if ((*a)->at <= now && !due)
            due = a;
        *next = MIN(*next, (*a)->at);
    }
    return due;
}

/* All of one kind that are due, the longest waiting first. */
static void collect(struct round *r, struct position_ask **from, int64_t now)
{
    r->count = 0;
    r->reads = (*from)->reads;
    while (*from && r->count < POSITION_MANY_MAX) {
        struct position_ask *a = *from;

        if (a->reads != r->reads || a->at > now) {
            from = &a->next;
            continue;
        }
        *from = a->next;
        a->stage = ASK_OUT;
        r->ids[r->count] = a->id;
        r->asks[r->count++] = a;
    }
}

static bool wait_for_asks(struct keeper *k, struct round *r)
{
    while (!k->stopping) {
        int64_t now = clock_mono_ms(), next;
        struct position_ask **due = first_due(k, now, &next);

        if (due) {
            collect(r, due, now);
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

static void answer_all(struct keeper *k, struct round *r, enum position_answer answer)
{
    AUTO_LOCK(&k->lock);
    for (size_t i = 0; i < r->count; i++) {
        r->asks[i]->answer = answer;
        r->asks[i]->stage = ASK_ANSWERED;
    }
}

static void fail_all(struct keeper *k, struct round *r, enum mongo_result result,
                     const struct error *err)
{
    for (size_t i = 0; i < r->count; i++) {
        r->asks[i]->result = result;
        r->asks[i]->err = *err;
    }
    answer_all(k, r, ANSWER_FAILED);
}

static void read_round(struct keeper *k, struct round *r)
{
    struct error err;
    enum mongo_result result = position_store_read(r->mongo, r->ids, r->count, r->docs, &err);

    if (result != MONGO_DONE) {
        fail_all(k, r, MONGO_AGAIN, &err); /* reading changes nothing */
        return;
    }
    for (size_t i = 0; i < r->count; i++)
        r->asks[i]->doc = r->docs[i];
    answer_all(k, r, ANSWER_DOCUMENT);
}

static void change_round(struct keeper *k, struct round *r)
{
    const struct position_change *changes[POSITION_MANY_MAX];
    struct error err;
    enum mongo_result result;
    bool all = false;

    for (size_t i = 0; i < r->count; i++)
        changes[i] = &r->asks[i]->change;
    result = position_store_change(r->mongo, r->ids, changes, r->count, &all, &err);
    if (result == MONGO_DONE && all)
        answer_all(k, r, ANSWER_CHANGED);
    else if (result == MONGO_DONE)
        read_round(k, r);
    else
        fail_all(k, r, result == MONGO_UNKNOWN ? MONGO_UNKNOWN : MONGO_AGAIN, &err);
}

static void do_round(struct keeper *k, struct round *r)
{
    if (r->reads)
        read_round(k, r);
    else
        change_round(k, r);
    for (size_t i = 0; i < r->count; i++)
        k->answered(r->asks[i]->owner);
}

static void *keeper_loop(void *arg)
{
    struct keeper *k = arg;
    struct round *r = xcalloc(1, sizeof(*r));

    r->mongo = mongo_new(k->target);
    r->docs = xcalloc(POSITION_MANY_MAX, sizeof(*r->docs));
    pthread_mutex_lock(&k->lock);
    while (wait_for_asks(k, r)) {
        pthread_mutex_unlock(&k->lock);
        do_round(k, r);
        pthread_mutex_lock(&k->lock);
    }
    k->running--;
    pthread_cond_broadcast(&k->ended);
    pthread_mutex_unlock(&k->lock);
    mongo_free(r->mongo);
    free(r->docs);
    free(r);
    return NULL;
}

/* ---- the keeper ---- */

struct keeper *keeper_new(const struct mongo_target *t, void (*answered)(void *owner))
{
    struct keeper *k = xcalloc(1, sizeof(*k));

    k->target = t;
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
        struct position_ask **a = &k->waiting;

        while (*a != ask)
            a = &(*a)->next;
        *a = ask->next;
    }
    ask->stage = ASK_FREE;
    return true;
}
