/* A table in use is a watch: when it is looked at next, what its last looks said, who is at it.
 *
 * A look ends in one of four ways (look_ended), and there alone the table, its health and the
 * time of the next look are set. A look that finds something long to do leaves it to the
 * builder (to_build), whose own look then does it. The user's secondary indexes have a thread
 * of their own, or the building of one would hold up the tables that can't be applied yet. */
#include "consumer/preparer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/backoff.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "consumer/preparation.h"
#include "consumer/secondary_index.h"

#define WAIT_MS 500 /* for the producer's records, or another preparer */
#define AGAIN_MS                                                                               \
    10000 /* whether the collection is still the same; whether someone mended it               \
           */
#define FAILED_MAX_MS 10000
#define REBUILD_MAX_MS 600000 /* after a long command was refused */
#define NOES_TO_HALT 5        /* and over so long: an election is over by then */
#define NOES_OVER_MS 15000
#define NOT_READY_MAX_MS 120000
#define SECONDARY_MIN_MS 30000 /* a refused index of the user's */
#define SECONDARY_MAX_MS 3600000
#define TICK_MS 1000
#define TELL_MS 60000 /* how often a long command is told of */

enum role {
    ROLE_LOOKS,
    ROLE_BUILDS,  /* what takes long */
    ROLE_INDEXES, /* the user's secondary indexes */
};
static const enum role roles[] = {ROLE_LOOKS, ROLE_LOOKS, ROLE_BUILDS, ROLE_INDEXES};
#define THREADS ARRAY_LEN(roles)

/* What the health part says: it is made anew only when that changes. */
enum shown {
    SHOWN_NOTHING,
    SHOWN_HALTED,  /* red */
    SHOWN_WAITING, /* red after a while */
    SHOWN_WELL,    /* the same, but each look makes it alive */
};

struct long_work { /* on one table */
    const char *what;
    int64_t since; /* 0: there is none */
    int64_t told_at;
};

struct watch {
    struct table *table; /* set once */
    struct watch *next;

    /* under the preparer's lock */
    int uses; /* partitions of this consumer */
    int64_t unused_since;
    bool busy; /* a thread looks at it or prepares it */
    int64_t due;
    bool to_build;
    int64_t build_due;
    bool failing; /* due is the delay of a failure */
    struct backoff backoff;
    int noes;
    int64_t noes_since;
    struct health *health;
    enum shown shown;
    struct long_work building;

    bool to_index;
    int64_t index_due;
    struct backoff index_backoff;
    struct long_work indexing;
};

struct hand { /* one thread's */
    struct preparer *p;
    enum role role;
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

struct look { /* what came of one */
    enum preparation_result result;
    struct table_view *view;
    struct error err;
    bool answered_no;
    bool producers; /* waits for the producer: nothing is wrong here */
    bool index_missing;
    int64_t took_ms;
};

/* ---- one look, without the lock ---- */

static bool wants_secondary(const struct preparer *p)
{
    return config_bool(p->setup.config, "full.enable_index.user");
}

static bool has_no_rival(struct preparer *p, const struct table *t, struct error *err)
{
    AUTO(free_charp) char *rival = tables_rival(p->setup.tables, t);

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
    const struct preparer_setup *s = &h->p->setup;
    struct preparation work = {.config = s->config,
                               .mongo = h->mongo,
                               .ledger = ledger,
                               .table = t,
                               .rk = s->rk,
                               .preparer = s->owns_first(s->arg, t->topic),
                               .patient = h->role == ROLE_BUILDS};

    ret->result = preparation_run(&ret->view, &work, &ret->err);
    ret->answered_no = h->mongo->answered_no;
    if (ret->result == PREPARATION_READY && work.preparer && wants_secondary(h->p))
        secondary_index_missing(&ret->index_missing, h->mongo, ret->view, ledger, &ret->err);
}

static void look_at(struct hand *h, struct table *t, struct look *ret)
{
    struct ledger_table ledger = {0};
    int64_t began = clock_mono_ms();
    int found;

    *ret = (struct look){.result = PREPARATION_FAILED};
    if (!has_no_rival(h->p, t, &ret->err))
        return;
    found = ledger_cache_table(h->p->setup.ledger, t->name, &ledger, &ret->err);
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

/* ---- what a look means, under the lock ---- */

static void show(struct watch *w, enum shown what)
{
    AUTO(free_charp) char *name = xasprintf("table %s", w->table->name);

    if (what == SHOWN_NOTHING)
        health_remove(TAKE(w->health));
    else if (what != w->shown)
        w->health = health_get(name, what == SHOWN_HALTED ? 0 : NOT_READY_MAX_MS);
    else if (what == SHOWN_WELL)
        health_alive(w->health);
    w->shown = what;
}

static void forget_failures(struct watch *w)
{
    w->failing = false;
    w->noes = 0;
    w->build_due = 0;
    backoff_reset(&w->backoff);
}

static bool halt(struct watch *w, const struct look *l, int64_t now)
{
    w->due = now + AGAIN_MS;
    w->build_due = now + MAX(AGAIN_MS, MIN(l->took_ms * 10, REBUILD_MAX_MS));
    show(w, SHOWN_HALTED);
    return table_halt(w->table, l->err.message);
}

/* A no is a reason to halt only when it stays one: an election may be going on. */
static bool is_for_good(struct watch *w, const struct look *l, int64_t now)
{
    if (l->err.kind == ERR_FATAL && !l->err.code)
        return true;
    if (!l->answered_no && l->err.kind != ERR_FATAL)
        return false;
    if (w->noes++ == 0)
        w->noes_since = now;
    return w->noes >= NOES_TO_HALT && now - w->noes_since >= NOES_OVER_MS;
}

static bool look_failed(struct watch *w, const struct look *l, int64_t now)
{
    int64_t delay = WAIT_MS + backoff_next_ms(&w->backoff);

    w->failing = true;
    if (is_for_good(w, l, now))
        return halt(w, l, now);
    log_warn("table can't be looked at", "table=%s for_ms=%" PRId64 " reason=%s",
             w->table->name, delay, l->err.message);
    w->due = now + (w->shown == SHOWN_HALTED ? AGAIN_MS : delay);
    if (w->shown != SHOWN_HALTED && !(w->shown == SHOWN_WELL && w->noes == 0))
        show(w, SHOWN_WAITING);
    return false;
}

static bool look_ready(struct watch *w, struct look *l, int64_t now)
{
    forget_failures(w);
    w->due = now + AGAIN_MS;
    w->to_index = l->index_missing;
    show(w, SHOWN_WELL);
    return table_ready(w->table, &l->view);
}

static bool look_waits(struct watch *w, const struct look *l, int64_t now)
{
    forget_failures(w);
    w->due = now + WAIT_MS;
    show(w, l->producers ? SHOWN_WELL : SHOWN_WAITING);
    return table_waits(w->table);
}

/* A halted table stays so until the long work was done. */
static bool look_wants_building(struct watch *w, int64_t now)
{
    w->to_build = true;
    w->due = now + AGAIN_MS;
    if (w->shown == SHOWN_HALTED)
        return false;
    show(w, SHOWN_WAITING);
    return table_waits(w->table);
}

/* Has the table changed for its partitions? */
static bool look_ended(struct watch *w, struct look *l)
{
    int64_t now = clock_mono_ms();

    w->busy = false;
    if (w->uses == 0) { /* taken away meanwhile */
        table_view_put(TAKE(l->view));
        return table_waits(w->table);
    }
    switch (l->result) {
    case PREPARATION_READY:
        return look_ready(w, l, now);
    case PREPARATION_WAITS:
        return look_waits(w, l, now);
    case PREPARATION_LONG:
        return look_wants_building(w, now);
    case PREPARATION_FAILED:
        break;
    }
    return look_failed(w, l, now);
}

/* ---- long work ---- */

static void long_begins(const struct watch *w, struct long_work *l, const char *what)
{
    *l = (struct long_work){what, clock_mono_ms(), clock_mono_ms()};
    log_info("work on a table begins", "table=%s what=%s", w->table->name, what);
}

static void long_ends(const struct watch *w, struct long_work *l)
{
    log_info("work on a table ended", "table=%s what=%s took_ms=%" PRId64, w->table->name,
             l->what, clock_mono_ms() - l->since);
    l->since = 0;
}

static void tell(const struct watch *w, struct long_work *l, int64_t now)
{
    if (!l->since || now < l->told_at + TELL_MS)
        return;
    l->told_at = now;
    log_info("work on a table goes on", "table=%s what=%s for_s=%" PRId64, w->table->name,
             l->what, (now - l->since) / 1000);
}

/* By those that look, since those that work can't. */
static void tick(struct preparer *p)
{
    int64_t now = clock_mono_ms();

    for (struct watch *w = p->watches; w; w = w->next) {
        if (w->building.since && w->shown != SHOWN_HALTED && w->uses > 0)
            show(w, SHOWN_WELL);
        tell(w, &w->building, now);
        tell(w, &w->indexing, now);
    }
}

/* ---- what each thread does ---- */

static bool is_due(const struct watch *w, enum role role, int64_t now, int64_t *due)
{
    if (w->uses == 0)
        return false;
    switch (role) {
    case ROLE_LOOKS:
        *due = w->due;
        return !w->busy && w->due <= now;
    case ROLE_BUILDS:
        *due = w->build_due;
        return !w->busy && w->to_build && w->build_due <= now;
    case ROLE_INDEXES:
        *due = w->index_due;
        return w->to_index && w->index_due <= now;
    }
    return false;
}

/* The one that has been due the longest. */
static struct watch *next_due(struct preparer *p, enum role role)
{
    int64_t now = clock_mono_ms(), due, first = INT64_MAX;
    struct watch *found = NULL;

    for (struct watch *w = p->watches; w; w = w->next)
        if (is_due(w, role, now, &due) && due < first) {
            first = due;
            found = w;
        }
    return found;
}

static int64_t next_time(const struct preparer *p)
{
    int64_t next = clock_mono_ms() + TICK_MS;

    for (const struct watch *w = p->watches; w; w = w->next)
        if (w->uses > 0 && !w->busy)
            next = MIN(next, w->due);
    return next;
}

static struct watch *wait_for_work(struct hand *h)
{
    struct preparer *p = h->p;

    while (!p->stopping) {
        struct watch *w;

        if (h->role == ROLE_LOOKS)
            tick(p);
        w = next_due(p, h->role);
        if (w)
            return w;
        clock_cond_wait(&p->changed, &p->lock, next_time(p));
    }
    return NULL;
}

/* The lock is held before and after each. */
static void look(struct hand *h, struct watch *w)
{
    struct preparer *p = h->p;
    struct look l;
    bool changed;

    w->busy = true;
    if (h->role == ROLE_BUILDS) {
        w->to_build = false;
        long_begins(w, &w->building, "preparation");
    }
    pthread_mutex_unlock(&p->lock);
    look_at(h, w->table, &l);
    auto_lock(&p->lock);
    if (h->role == ROLE_BUILDS)
        long_ends(w, &w->building);
    changed = look_ended(w, &l);
    pthread_cond_broadcast(&p->changed);
    if (!changed)
        return;
    pthread_mutex_unlock(&p->lock);
    p->setup.changed(p->setup.arg, w->table);
    auto_lock(&p->lock);
}

static int build_secondary(struct hand *h, struct table *t)
{
    AUTO(table_view_putp) struct table_view *view = table_view_get(t);
    struct ledger_table ledger = {0};
    struct error err;
    int result;

    if (!view || ledger_cache_table(h->p->setup.ledger, t->name, &ledger, &err) <= 0)
        return 0;
    result = secondary_index_build(h->mongo, view, &ledger);
    ledger_table_release(&ledger);
    return result;
}

static void index_secondary(struct hand *h, struct watch *w)
{
    struct preparer *p = h->p;
    int result;

    w->to_index = false;
    w->index_due = INT64_MAX; /* one at a time */
    long_begins(w, &w->indexing, "secondary indexes");
    pthread_mutex_unlock(&p->lock);
    result = build_secondary(h, w->table);
    auto_lock(&p->lock);
    long_ends(w, &w->indexing);
    w->index_due = 0;
    if (result == 0)
        backoff_reset(&w->index_backoff);
    else
        w->index_due = clock_mono_ms() + SECONDARY_MIN_MS + backoff_next_ms(&w->index_backoff);
}

static void *hand_loop(void *arg)
{
    struct hand *h = arg;
    struct preparer *p = h->p;
    struct watch *w;

    auto_lock(&p->lock);
    while ((w = wait_for_work(h))) {
        if (h->role == ROLE_INDEXES)
            index_secondary(h, w);
        else
            look(h, w);
    }
    p->running--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- from other threads ---- */

struct preparer *preparer_new(const struct preparer_setup *s)
{
    struct preparer *p = xcalloc(1, sizeof(*p));

    p->setup = *s;
    p->running = THREADS;
    pthread_mutex_init(&p->lock, NULL);
    clock_cond_init(&p->changed);
    for (size_t i = 0; i < THREADS; i++) {
        struct hand *h = &p->hands[i];

        h->p = p;
        h->role = roles[i];
        h->mongo = h->role == ROLE_LOOKS ? mongo_new(s->target) : mongo_patient_new(s->target);
        CHECK(pthread_create(&h->thread, NULL, hand_loop, h) == 0);
    }
    return p;
}

bool preparer_stop(struct preparer *p, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    {
        AUTO_LOCK(&p->lock);
        p->stopping = true;
        pthread_cond_broadcast(&p->changed);
        while (p->running > 0)
            if (clock_cond_wait(&p->changed, &p->lock, until) && p->running > 0)
                return false;
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(p->hands[i].thread, NULL);
    return true;
}

void preparer_free(struct preparer *p)
{
    if (!p)
        return;
    for (struct watch *w = p->watches, *next; w; w = next) {
        next = w->next;
        health_remove(w->health);
        free(w);
    }
    for (size_t i = 0; i < THREADS; i++)
        mongo_free(p->hands[i].mongo);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static struct watch *watch_of(struct preparer *p, struct table *t)
{
    struct watch *w = p->watches;

    while (w && w->table != t)
        w = w->next;
    if (w)
        return w;
    w = xcalloc(1, sizeof(*w));
    w->table = t;
    w->next = p->watches;
    backoff_init(&w->backoff, WAIT_MS, FAILED_MAX_MS, NULL, NULL);
    backoff_init(&w->index_backoff, SECONDARY_MIN_MS, SECONDARY_MAX_MS, NULL, NULL);
    p->watches = w;
    return w;
}

/* A view is good for as long as it would have been between two looks: partitions that come back
 * within that time go on from memory. */
static void use_again(struct watch *w, int64_t now)
{
    if (now - w->unused_since > AGAIN_MS)
        table_waits(w->table);
    show(w, SHOWN_WAITING);
}

static void unused(struct watch *w, int64_t now)
{
    w->unused_since = now;
    w->to_build = w->to_index = false;
    if (w->shown == SHOWN_HALTED)
        table_waits(w->table);
    forget_failures(w);
    show(w, SHOWN_NOTHING);
}

void preparer_use(struct preparer *p, struct table *t, bool used)
{
    int64_t now = clock_mono_ms();
    struct watch *w;

    CHECK(!t->filtered);
    AUTO_LOCK(&p->lock);
    w = watch_of(p, t);
    w->uses += used ? 1 : -1;
    CHECK(w->uses >= 0);
    if (used && w->uses == 1)
        use_again(w, now);
    else if (w->uses == 0)
        unused(w, now);
    if (!w->failing)
        w->due = MIN(w->due, now);
    pthread_cond_broadcast(&p->changed);
}

void preparer_look_soon(struct preparer *p, struct table *t)
{
    AUTO_LOCK(&p->lock);
    struct watch *w = watch_of(p, t);

    if (!w->failing)
        w->due = MIN(w->due, clock_mono_ms());
    pthread_cond_broadcast(&p->changed);
}
