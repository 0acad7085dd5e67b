#include "consumer/sweeper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/kafka/kafka.h"
#include "common/mongo/mongo_find.h"
#include "common/run/log.h"
#include "consumer/collection.h"
#include "consumer/document_key.h"
#include "consumer/position_store.h"
#include "consumer/seen.h"

#define THREADS 2
#define PAGE SEEN_MANY_MAX
#define LOOK_EVERY 1000  /* documents: is it still wanted? */
#define TOGETHER_MS 2000 /* the partitions of a table come to the end one after another */
#define COLLECT_MS 600000
#define COLLECT_SOON_MS 5000
#define KEY_CEILING (64 * 1024)

struct sweeper {
    const struct mongo_target *target;
    const char *me;
    void (*ended)(void *owner);
    pthread_t threads[THREADS];
    int started;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    struct sweeper_ask *waiting;
    const char *topics[THREADS]; /* being swept */
    int64_t collect_at;          /* monotonic */
    int running;
    bool stopping;
};

struct candidate { /* a document whose key may have no note */
    struct sweeper_ask *ask;
    unsigned char hash[SEEN_HASH_BYTES];
    bson_value_t id;
    bool orphan;
};

struct sweep { /* of one collection */
    struct sweeper *sweeper;
    struct mongo *m;
    struct sweeper_ask *asks; /* that have no outcome yet */
    struct sweeper_ask **of;  /* by partition */
    struct table_view *view;  /* a reference */
    const struct table *table;
    struct buf keys, message_key;
    struct candidate page[PAGE];
    size_t count;
    int64_t documents, foreign, deleted;
};

/* ---- outcomes ---- */

static void tell(struct sweeper *sweeper, struct sweeper_ask *ask, enum sweeper_outcome outcome)
{
    void *owner = ask->owner;

    {
        AUTO_LOCK(&sweeper->lock);
        ask->outcome = outcome;
        ask->stage = SWEEPER_ASK_ENDED;
        sweeper->collect_at = MIN(sweeper->collect_at, clock_mono_ms() + COLLECT_SOON_MS);
    }
    sweeper->ended(owner);
}

/* Takes it out of the sweep. */
static void end_ask(struct sweep *sweep, struct sweeper_ask *ask, enum sweeper_outcome outcome,
                    const struct error *err)
{
    struct sweeper_ask **at = &sweep->asks;

    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    sweep->of[ask->number] = NULL;
    if (err)
        ask->err = *err;
    tell(sweep->sweeper, ask, outcome);
}

static void end_all(struct sweep *sweep, enum sweeper_outcome outcome, const struct error *err)
{
    while (sweep->asks)
        end_ask(sweep, sweep->asks, outcome, err);
}

static void end_unwanted(struct sweep *sweep)
{
    struct sweeper *sweeper = sweep->sweeper;
    struct sweeper_ask *ask = sweep->asks, *next;

    for (; ask; ask = next) {
        bool unwanted;

        next = ask->next;
        pthread_mutex_lock(&sweeper->lock);
        unwanted = ask->unwanted || sweeper->stopping;
        pthread_mutex_unlock(&sweeper->lock);
        if (unwanted)
            end_ask(sweep, ask, SWEEPER_STALE, NULL);
    }
}

/* ---- a page ---- */

/* Which of the ask's documents have no note? */
static int find_orphans(struct sweep *sweep, struct sweeper_ask *ask, size_t *ret,
                        struct error *err)
{
    unsigned char hashes[PAGE][SEEN_HASH_BYTES];
    bool missing[PAGE];
    size_t n = 0;

    for (size_t i = 0; i < sweep->count; i++)
        if (sweep->page[i].ask == ask)
            memcpy(hashes[n++], sweep->page[i].hash, SEEN_HASH_BYTES);
    *ret = 0;
    if (n == 0)
        return 0;
    if (seen_missing(sweep->m, ask->position.pass, hashes, n, missing, err) != MONGO_DONE)
        return -1;
    n = 0;
    for (size_t i = 0; i < sweep->count; i++)
        if (sweep->page[i].ask == ask) {
            sweep->page[i].orphan = missing[n++];
            *ret += sweep->page[i].orphan;
        }
    return 0;
}

/* The position has to say the same after the notes were read as before. */
static int check_position(struct sweep *sweep, struct sweeper_ask *ask, struct error *err)
{
    struct position_doc doc;

    if (position_store_read(sweep->m, &ask->id, 1, &doc, err) != MONGO_DONE)
        return -1;
    if (!position_may_sweep(&ask->position, &doc, sweep->sweeper->me))
        end_ask(sweep, ask, SWEEPER_STALE, NULL);
    return 0;
}

static int judge_page(struct sweep *sweep, struct error *err)
{
    struct sweeper_ask *ask = sweep->asks, *next;
    size_t orphans;

    for (; ask; ask = next) {
        next = ask->next;
        if (find_orphans(sweep, ask, &orphans, err) < 0 ||
            (orphans > 0 && check_position(sweep, ask, err) < 0))
            return -1;
    }
    return 0;
}

static bool is_to_go(const struct sweep *sweep, const struct candidate *candidate)
{
    return candidate->orphan && sweep->of[candidate->ask->number] == candidate->ask;
}

/* {delete: .., deletes: [{q: {_id: ..}, limit: 1}, ..]}; NULL: there is nothing to delete. */
static bson_t *delete_command(const struct sweep *sweep)
{
    bson_t list = BSON_INITIALIZER, *command = NULL;
    uint32_t n = 0;

    for (size_t i = 0; i < sweep->count; i++) {
        const struct candidate *candidate = &sweep->page[i];
        bson_t statement, q;
        char digits[16];
        const char *key;

        if (!is_to_go(sweep, candidate))
            continue;
        bson_uint32_to_string(n++, &key, digits, sizeof(digits));
        BSON_APPEND_DOCUMENT_BEGIN(&list, key, &statement);
        BSON_APPEND_DOCUMENT_BEGIN(&statement, "q", &q);
        BSON_APPEND_VALUE(&q, "_id", &candidate->id);
        bson_append_document_end(&statement, &q);
        BSON_APPEND_INT32(&statement, "limit", 1);
        bson_append_document_end(&list, &statement);
    }
    if (n > 0)
        command = BCON_NEW("delete", BCON_UTF8(sweep->view->collection), "deletes",
                           BCON_ARRAY(&list), "ordered", BCON_BOOL(false), "maxTimeMS",
                           BCON_INT64(sweep->m->target->max_time_ms));
    bson_destroy(&list);
    return command;
}

static void take_write_error(void *arg, const struct mongo_write_error *e)
{
    error_set(arg, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

/* Who has a document in the command does not know what became of it. */
static void deletes_failed(struct sweep *sweep, enum mongo_result result,
                           const struct error *err)
{
    for (size_t i = 0; result == MONGO_UNKNOWN && i < sweep->count; i++)
        if (is_to_go(sweep, &sweep->page[i]))
            end_ask(sweep, sweep->page[i].ask, SWEEPER_UNKNOWN, err);
}

static void count_deleted(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++)
        if (is_to_go(sweep, &sweep->page[i])) {
            sweep->page[i].ask->deleted++;
            sweep->deleted++;
        }
}

static int delete_orphans(struct sweep *sweep, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *command = delete_command(sweep);
    struct error refused = {0};
    enum mongo_result result;
    bson_t reply;

    if (!command)
        return 0;
    result = mongo_write(sweep->m, sweep->m->target->database, command, &reply, err);
    if (result == MONGO_DONE)
        mongo_reply_write_errors(&reply, take_write_error, &refused);
    bson_destroy(&reply);
    if (result == MONGO_DONE && refused.kind == ERR_NONE) {
        count_deleted(sweep);
        return 0;
    }
    if (result == MONGO_DONE)
        *err = refused;
    deletes_failed(sweep, result, err);
    return -1;
}

static void empty_page(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++)
        bson_value_destroy(&sweep->page[i].id);
    sweep->count = 0;
}

static int sweep_page(struct sweep *sweep, struct error *err)
{
    int result = judge_page(sweep, err);

    end_unwanted(sweep);
    if (result == 0)
        result = delete_orphans(sweep, err);
    empty_page(sweep);
    return result;
}

/* ---- a collection ---- */

struct scanning {
    struct sweep *sweep;
    struct error *err;
    int result;
};

static void add_candidate(struct sweep *sweep, struct sweeper_ask *ask, const bson_t *document)
{
    struct candidate *candidate = &sweep->page[sweep->count];
    bson_iter_t it;

    if (!bson_iter_init_find(&it, document, "_id"))
        return;
    *candidate = (struct candidate){.ask = ask};
    bson_value_copy(bson_iter_value(&it), &candidate->id);
    seen_hash(candidate->hash, buf_slice(&sweep->keys));
    sweep->count++;
}

static bool take_document(void *arg, const bson_t *document)
{
    struct scanning *scanning = arg;
    struct sweep *sweep = scanning->sweep;
    struct sweeper_ask *ask;

    if (++sweep->documents % LOOK_EVERY == 0) /* a page may take long to fill */
        end_unwanted(sweep);
    buf_reset(&sweep->keys);
    buf_reset(&sweep->message_key);
    if (document_key_read(&sweep->keys, &sweep->message_key, &sweep->view->converter,
                          document) == DOCUMENT_KEY_FOREIGN) {
        sweep->foreign++;
        return sweep->asks;
    }
    ask =
        sweep->of[kafka_partition_of(buf_slice(&sweep->message_key), sweep->view->partitions)];
    if (ask)
        add_candidate(sweep, ask, document);
    if (sweep->count == PAGE)
        scanning->result = sweep_page(sweep, scanning->err);
    return scanning->result == 0 && sweep->asks;
}

static int scan(struct sweep *sweep, struct error *err)
{
    struct scanning scanning = {.sweep = sweep, .err = err};
    struct mongo_find_all find = {.collection = sweep->view->collection,
                                  .batch = PAGE,
                                  .each = take_document,
                                  .arg = &scanning};
    enum mongo_result result;
    bson_t projection;

    document_key_projection(&projection, &sweep->view->converter);
    find.projection = &projection;
    result = mongo_find_all(sweep->m, &find, err);
    bson_destroy(&projection);
    if (scanning.result == 0 && result == MONGO_DONE)
        scanning.result = sweep_page(sweep, err);
    empty_page(sweep);
    return result == MONGO_DONE ? scanning.result : -1;
}

static int check_collection(struct sweep *sweep, struct error *err)
{
    struct collection_found found;

    if (collection_look(&found, sweep->m, sweep->view->collection, err) < 0)
        return -1;
    if (!found.exists || !uuid_equal(&found.uuid, &sweep->view->uuid))
        return error_set(err, ERR_RETRY, "the collection is another one");
    return 0;
}

/* Somebody may have dropped the notes (seen_missing then misses nothing): nobody knows any more
 * what was seen, so the generation is applied again from its begin. */
static int check_notes(struct sweep *sweep, struct error *err)
{
    struct sweeper_ask *ask = sweep->asks, *next;
    bool begun;

    for (; ask; ask = next) {
        next = ask->next;
        if (seen_has_begun(sweep->m, ask->position.pass, &begun, err) != MONGO_DONE)
            return -1;
        if (begun)
            continue;
        if (position_store_rewind(sweep->m, ask->id, ask->position.begin, err) < 0)
            return -1;
        log_warn("notes of a generation are gone, it is applied again",
                 "position=%s generation=%" PRId64 " begin=%" PRId64, ask->id,
                 ask->position.generation, ask->position.begin);
        end_ask(sweep, ask, SWEEPER_STALE, NULL);
    }
    return 0;
}

static void sweep_collection(struct sweep *sweep)
{
    int64_t began = clock_mono_ms();
    struct error err = {0};

    log_info("sweep started", "table=%s collection=%s", sweep->table->name,
             sweep->view->collection);
    if (check_collection(sweep, &err) < 0 || check_notes(sweep, &err) < 0 ||
        (sweep->asks && scan(sweep, &err) < 0) || check_notes(sweep, &err) < 0) {
        log_warn("sweep failed, will be repeated", "table=%s deleted=%" PRId64 " reason=%s",
                 sweep->table->name, sweep->deleted, err.message);
        end_all(sweep, SWEEPER_FAILED, &err);
        return;
    }
    log_info("sweep ended",
             "table=%s documents=%" PRId64 " deleted=%" PRId64 " foreign=%" PRId64
             " took_ms=%" PRId64,
             sweep->table->name, sweep->documents, sweep->deleted, sweep->foreign,
             clock_mono_ms() - began);
    end_all(sweep, SWEEPER_DONE, NULL);
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
static struct sweeper_ask *ripe_ask(const struct sweeper *sweeper, int64_t now, int64_t *ret_at)
{
    struct sweeper_ask *first = NULL;

    for (struct sweeper_ask *ask = sweeper->waiting; ask; ask = ask->next) {
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
static struct sweeper_ask *take_group(struct sweeper *sweeper, const struct table_view *view)
{
    struct sweeper_ask **at = &sweeper->waiting, *group = NULL;

    while (*at) {
        struct sweeper_ask *ask = *at;

        if (ask->view != view) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        ask->next = group;
        ask->stage = SWEEPER_ASK_SWEPT;
        group = ask;
    }
    return group;
}

static struct sweep *sweep_new(struct sweeper *sweeper, struct mongo *m,
                               struct sweeper_ask *group)
{
    struct sweep *sweep = xcalloc(1, sizeof(*sweep));
    int32_t partitions = group->view->partitions;

    sweep->sweeper = sweeper;
    sweep->m = m;
    sweep->asks = group;
    sweep->view = table_view_ref(group->view);
    sweep->table = group->table;
    for (struct sweeper_ask *ask = group; ask; ask = ask->next)
        partitions = MAX(partitions, ask->number + 1);
    sweep->of = xcalloc((size_t)partitions, sizeof(struct sweeper_ask *));
    for (struct sweeper_ask *ask = group; ask; ask = ask->next)
        sweep->of[ask->number] = ask;
    buf_init(&sweep->keys, KEY_CEILING);
    buf_init(&sweep->message_key, KEY_CEILING);
    return sweep;
}

static void sweep_free(struct sweep *sweep)
{
    table_view_put(sweep->view);
    buf_release(&sweep->keys);
    buf_release(&sweep->message_key);
    free(sweep->of);
    free(sweep);
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
    struct sweeper_ask *ripe = ripe_ask(sweeper, now, &at);
    struct sweep *sweep;

    if (ripe) {
        sweep = sweep_new(sweeper, m, take_group(sweeper, ripe->view));
        sweeper->topics[number] = sweep->table->topic;
        pthread_mutex_unlock(&sweeper->lock);
        sweep_collection(sweep);
        sweep_free(sweep);
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

void sweeper_ask(struct sweeper *sweeper, struct sweeper_ask *ask)
{
    AUTO_LOCK(&sweeper->lock);
    CHECK(ask->stage == SWEEPER_ASK_FREE);
    ask->stage = SWEEPER_ASK_WAITS;
    ask->unwanted = false;
    ask->deleted = 0;
    ask->since_ms = clock_mono_ms();
    ask->next = sweeper->waiting;
    sweeper->waiting = ask;
    pthread_cond_broadcast(&sweeper->changed);
}

enum sweeper_outcome sweeper_outcome(struct sweeper *sweeper, struct sweeper_ask *ask)
{
    AUTO_LOCK(&sweeper->lock);
    if (ask->stage != SWEEPER_ASK_ENDED)
        return SWEEPER_UNDER_WAY;
    ask->stage = SWEEPER_ASK_FREE;
    return ask->outcome;
}

bool sweeper_take_back(struct sweeper *sweeper, struct sweeper_ask *ask,
                       enum sweeper_outcome *ret)
{
    struct sweeper_ask **at = &sweeper->waiting;

    AUTO_LOCK(&sweeper->lock);
    *ret = ask->stage == SWEEPER_ASK_ENDED ? ask->outcome : SWEEPER_DONE;
    if (ask->stage == SWEEPER_ASK_SWEPT) {
        ask->unwanted = true;
        return false;
    }
    if (ask->stage == SWEEPER_ASK_WAITS) {
        while (*at != ask)
            at = &(*at)->next;
        *at = ask->next;
    }
    ask->stage = SWEEPER_ASK_FREE;
    return true;
}
