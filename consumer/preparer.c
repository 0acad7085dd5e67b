/* Each thread takes the watch that has been due for its role the longest, works without the
 * lock, and tells the watch how it ended.
 *
 * A look that finds something long to do leaves it to the builder, whose own look then does it.
 * Secondary indexes have a thread of their own, or building one would hold up the tables that
 * can't be applied yet. */
#include "consumer/preparer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "consumer/secondary_index.h"
#include "consumer/watch.h"

#define TICK_MS 1000

static const enum watch_role roles[] = {ROLE_LOOKS, ROLE_LOOKS, ROLE_BUILDS, ROLE_INDEXES};
#define THREADS ARRAY_LEN(roles)

struct hand { /* one thread's */
    struct preparer *preparer;
    enum watch_role role;
    struct mongo *mongo;
    pthread_t thread;
};

struct preparer {
    struct preparer_setup setup; /* set once */
    struct hand hands[THREADS];

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct watch *watches;
    int running;
    bool stopping;
};

/* ---- one look, without the lock ---- */

static bool wants_secondary(const struct preparer *preparer)
{
    return config_bool(preparer->setup.config, "full.enable_index.user");
}

static bool has_no_rival(struct preparer *preparer, const struct table *t, struct error *err)
{
    AUTO(free_charp) char *rival = tables_rival(preparer->setup.tables, t);

    if (rival)
        error_fatal(err, 0,
                    "tables %s and %s are mapped to one collection, %s: give one another name "
                    "with map.collection, or leave it out with filter.collection.black",
                    strcmp(t->name, rival) < 0 ? t->name : rival,
                    strcmp(t->name, rival) < 0 ? rival : t->name, t->collection);
    return !rival;
}

static void prepare(struct hand *h, struct table *t, const struct ledger_table *ledger,
                    struct look *ret)
{
    const struct preparer_setup *setup = &h->preparer->setup;
    struct database_source source;
    struct preparation work = {.config = setup->config,
                               .mongo = h->mongo,
                               .source = &source,
                               .cache = setup->ledger,
                               .ledger = ledger,
                               .table = t,
                               .rk = setup->rk,
                               .preparer = setup->owns_first(setup->arg, t->topic),
                               .patient = h->role == ROLE_BUILDS};

    if (database_source_read(&source, setup->ledger, &ret->err) < 0)
        return;
    ret->result = preparation_run(&ret->view, &work, &ret->err);
    ret->answered_no = h->mongo->answered_no;
    if (ret->result == PREPARATION_READY && work.preparer && wants_secondary(h->preparer))
        secondary_index_missing(&ret->index_missing, h->mongo, ret->view, ledger, &ret->err);
}

static void look_at(struct hand *h, struct table *t, struct look *ret)
{
    struct ledger_table ledger = {0};
    int64_t began = clock_mono_ms();
    int found;

    *ret = (struct look){.result = PREPARATION_FAILED};
    if (!has_no_rival(h->preparer, t, &ret->err))
        return;
    found = ledger_cache_table(h->preparer->setup.ledger, t->name, &ledger, &ret->err);
    if (found < 0)
        error_fatal(&ret->err, 0, "the table's ledger record can't be read");
    if (found < 0)
        return;
    if (found == 0 || ledger.generation == 0) {
        ret->result = PREPARATION_WAITS;
        ret->producers = true;
    } else {
        prepare(h, t, &ledger, ret);
    }
    if (found > 0)
        ledger_table_release(&ledger);
    ret->took_ms = clock_mono_ms() - began;
}

/* ---- what each thread does ---- */

/* By the threads that look: the others may be in a command for hours. */
static void tick(struct preparer *preparer)
{
    int64_t now = clock_mono_ms();

    for (struct watch *watch = preparer->watches; watch; watch = watch->next)
        watch_tick(watch, now);
}

/* The one that has been due the longest. */
static struct watch *next_due(struct preparer *preparer, enum watch_role role)
{
    int64_t now = clock_mono_ms(), due, first = INT64_MAX;
    struct watch *found = NULL;

    for (struct watch *watch = preparer->watches; watch; watch = watch->next)
        if (watch_is_due(watch, role, now, &due) && due < first) {
            first = due;
            found = watch;
        }
    return found;
}

/* What there is for the others is announced by those that look. */
static int64_t next_time(const struct hand *h)
{
    int64_t next = clock_mono_ms() + TICK_MS;

    for (const struct watch *watch = h->preparer->watches; h->role == ROLE_LOOKS && watch;
         watch = watch->next)
        if (watch->uses > 0 && !watch->busy)
            next = MIN(next, watch->due);
    return next;
}

static struct watch *wait_for_work(struct hand *h)
{
    struct preparer *preparer = h->preparer;

    while (!preparer->stopping) {
        struct watch *watch;

        if (h->role == ROLE_LOOKS)
            tick(preparer);
        watch = next_due(preparer, h->role);
        if (watch)
            return watch;
        clock_cond_wait(&preparer->changed, &preparer->lock, next_time(h));
    }
    return NULL;
}

/* The lock is held before and after each. */
static void look(struct hand *h, struct watch *watch)
{
    struct preparer *preparer = h->preparer;
    struct look result;
    bool changed;

    watch_look_begins(watch, h->role, clock_mono_ms());
    pthread_mutex_unlock(&preparer->lock);
    look_at(h, watch->table, &result);
    pthread_mutex_lock(&preparer->lock);
    changed = watch_look_ended(watch, h->role, &result, clock_mono_ms());
    pthread_cond_broadcast(&preparer->changed);
    if (!changed)
        return;
    pthread_mutex_unlock(&preparer->lock);
    preparer->setup.changed(preparer->setup.arg, watch->table);
    pthread_mutex_lock(&preparer->lock);
}

static int build_secondary(struct hand *h, struct table *t)
{
    AUTO(table_view_putp) struct table_view *view = table_view_get(t);
    struct ledger_table ledger = {0};
    struct error err;
    int result;

    if (!view || ledger_cache_table(h->preparer->setup.ledger, t->name, &ledger, &err) <= 0)
        return 0;
    result = secondary_index_build(h->mongo, view, &ledger);
    ledger_table_release(&ledger);
    return result;
}

static void index_secondary(struct hand *h, struct watch *watch)
{
    struct preparer *preparer = h->preparer;
    int result;

    watch_index_begins(watch, clock_mono_ms());
    pthread_mutex_unlock(&preparer->lock);
    result = build_secondary(h, watch->table);
    pthread_mutex_lock(&preparer->lock);
    watch_index_ended(watch, result == 0, clock_mono_ms());
}

static void *hand_loop(void *arg)
{
    struct hand *h = arg;
    struct preparer *preparer = h->preparer;
    struct watch *watch;

    AUTO_LOCK(&preparer->lock);
    while ((watch = wait_for_work(h))) {
        if (h->role == ROLE_INDEXES)
            index_secondary(h, watch);
        else
            look(h, watch);
    }
    preparer->running--;
    pthread_cond_broadcast(&preparer->changed);
    return NULL;
}

/* ---- from other threads ---- */

struct preparer *preparer_new(const struct preparer_setup *setup)
{
    struct preparer *preparer = xcalloc(1, sizeof(*preparer));

    preparer->setup = *setup;
    preparer->running = THREADS;
    pthread_mutex_init(&preparer->lock, NULL);
    clock_cond_init(&preparer->changed);
    for (size_t i = 0; i < THREADS; i++) {
        struct hand *h = &preparer->hands[i];

        h->preparer = preparer;
        h->role = roles[i];
        h->mongo =
            h->role == ROLE_LOOKS ? mongo_new(setup->target) : mongo_patient_new(setup->target);
        CHECK(pthread_create(&h->thread, NULL, hand_loop, h) == 0);
    }
    return preparer;
}

bool preparer_stop(struct preparer *preparer, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    {
        AUTO_LOCK(&preparer->lock);
        preparer->stopping = true;
        pthread_cond_broadcast(&preparer->changed);
        if (!clock_cond_wait_zero(&preparer->changed, &preparer->lock, &preparer->running,
                                  until))
            return false;
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(preparer->hands[i].thread, NULL);
    return true;
}

void preparer_free(struct preparer *preparer)
{
    if (!preparer)
        return;
    for (struct watch *watch = preparer->watches, *next; watch; watch = next) {
        next = watch->next;
        watch_free(watch);
    }
    for (size_t i = 0; i < THREADS; i++)
        mongo_free(preparer->hands[i].mongo);
    pthread_cond_destroy(&preparer->changed);
    pthread_mutex_destroy(&preparer->lock);
    free(preparer);
}

static struct watch *watch_of(struct preparer *preparer, struct table *t)
{
    struct watch *watch = preparer->watches;

    while (watch && watch->table != t)
        watch = watch->next;
    if (watch)
        return watch;
    watch = watch_new(t);
    watch->next = preparer->watches;
    preparer->watches = watch;
    return watch;
}

void preparer_use(struct preparer *preparer, struct table *t, bool used)
{
    CHECK(!t->filtered);
    AUTO_LOCK(&preparer->lock);
    watch_use(watch_of(preparer, t), used, clock_mono_ms());
    pthread_cond_broadcast(&preparer->changed);
}

void preparer_look_soon(struct preparer *preparer, struct table *t)
{
    AUTO_LOCK(&preparer->lock);
    watch_look_soon(watch_of(preparer, t), clock_mono_ms());
    pthread_cond_broadcast(&preparer->changed);
}
