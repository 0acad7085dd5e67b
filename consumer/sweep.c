#include "consumer/sweep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/kafka/kafka.h"
#include "common/mongo/mongo_find.h"
#include "common/run/log.h"
#include "consumer/collection.h"
#include "consumer/document_key.h"
#include "consumer/position_store.h"
#include "consumer/seen.h"

#define PAGE SEEN_MANY_MAX
#define LOOK_EVERY 1000 /* documents: is it still wanted? */
#define KEY_CEILING (64 * 1024)

struct candidate { /* a document whose key may have no note */
    struct sweep_ask *ask;
    unsigned char hash[SEEN_HASH_BYTES];
    bson_value_t id;
    bool orphan;
};

struct sweep { /* of one collection */
    const struct sweep_calls *calls;
    struct mongo *m;
    struct sweep_ask *asks;  /* that have no outcome yet */
    struct sweep_ask **of;   /* by partition */
    struct table_view *view; /* a reference */
    const struct table *table;
    struct buf keys, message_key;
    struct candidate page[PAGE];
    size_t count;
    int64_t documents, foreign, deleted;
};

/* ---- outcomes ---- */

/* Takes it out of the sweep. */
static void end_ask(struct sweep *sweep, struct sweep_ask *ask, enum sweep_outcome outcome,
                    const struct error *err)
{
    struct sweep_ask **at = &sweep->asks;

    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    sweep->of[ask->number] = NULL;
    if (err)
        ask->err = *err;
    sweep->calls->ended(sweep->calls->arg, ask, outcome);
}

static void end_all(struct sweep *sweep, enum sweep_outcome outcome, const struct error *err)
{
    while (sweep->asks)
        end_ask(sweep, sweep->asks, outcome, err);
}

static void end_unwanted(struct sweep *sweep)
{
    struct sweep_ask *ask = sweep->asks, *next;

    for (; ask; ask = next) {
        next = ask->next;
        atomic_store(&ask->reached, sweep->documents);
        if (sweep->calls->is_unwanted(sweep->calls->arg, ask))
            end_ask(sweep, ask, SWEEP_STALE, NULL);
    }
}

/* ---- a page ---- */

/* Which of the ask's documents have no note? */
static int find_orphans(struct sweep *sweep, struct sweep_ask *ask, size_t *ret,
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
static int check_position(struct sweep *sweep, struct sweep_ask *ask, struct error *err)
{
    struct position_doc doc;

    if (position_store_read(sweep->m, &ask->id, 1, &doc, err) != MONGO_DONE)
        return -1;
    if (!position_may_sweep(&ask->position, &doc, sweep->calls->me))
        end_ask(sweep, ask, SWEEP_STALE, NULL);
    return 0;
}

static int judge(struct sweep *sweep, struct sweep_ask *ask, struct error *err)
{
    size_t orphans;

    if (MUTATED(sweep_order) && check_position(sweep, ask, err) < 0)
        return -1;
    if (find_orphans(sweep, ask, &orphans, err) < 0)
        return -1;
    return orphans > 0 && !MUTATED(sweep_order) ? check_position(sweep, ask, err) : 0;
}

static int judge_page(struct sweep *sweep, struct error *err)
{
    struct sweep_ask *ask = sweep->asks, *next;

    for (; ask; ask = next) {
        next = ask->next;
        if (judge(sweep, ask, err) < 0)
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

struct refused_deletes {
    enum mongo_result result; /* MONGO_DONE: none was */
    struct error *err;
};

/* A delete that was broken off may still come. */
static void take_write_error(void *arg, const struct mongo_write_error *e)
{
    struct refused_deletes *refused = arg;

    if (refused->result == MONGO_UNKNOWN)
        return;
    refused->result =
        mongo_reply_fault(e->code) == MONGO_FAULT_OUTCOME ? MONGO_UNKNOWN : MONGO_AGAIN;
    error_set(refused->err, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

/* Who has a document in the command does not know what became of it. */
static void deletes_failed(struct sweep *sweep, enum mongo_result result,
                           const struct error *err)
{
    for (size_t i = 0; result == MONGO_UNKNOWN && i < sweep->count; i++)
        if (is_to_go(sweep, &sweep->page[i]))
            end_ask(sweep, sweep->page[i].ask, SWEEP_UNKNOWN, err);
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
    struct refused_deletes refused = {MONGO_DONE, err};
    enum mongo_result result;
    bson_t reply;

    if (!command)
        return 0;
    result = mongo_write(sweep->m, sweep->m->target->database, command, &reply, err);
    if (result == MONGO_DONE) {
        mongo_reply_write_errors(&reply, take_write_error, &refused);
        result = refused.result;
    }
    bson_destroy(&reply);
    if (result != MONGO_DONE) {
        deletes_failed(sweep, result, err);
        return -1;
    }
    count_deleted(sweep);
    return 0;
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

static void add_candidate(struct sweep *sweep, struct sweep_ask *ask, const bson_t *document)
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
    struct sweep_ask *ask;

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

/* To the begin, if the position is still this owner's and of this pass: another one may have
 * swept it meanwhile, and dropped the notes. */
static int go_back(struct sweep *sweep, const struct sweep_ask *ask, struct error *err)
{
    int64_t begin = ask->position.begin;
    struct position_change change;
    const struct position_change *const changes = &change;
    struct position_doc doc;
    bool all = false;

    if (position_store_read(sweep->m, &ask->id, 1, &doc, err) != MONGO_DONE)
        return -1;
    if (!position_may_sweep(&ask->position, &doc, sweep->calls->me))
        return 0;
    position_set_back(&change, &doc,
                      doc.rewind == POSITION_NONE ? begin : MIN(doc.rewind, begin));
    if (position_store_change(sweep->m, &ask->id, &changes, 1, &all, err) != MONGO_DONE)
        return -1;
    if (all)
        log_warn("notes of a generation are gone, it is applied again",
                 "position=%s generation=%" PRId64 " begin=%" PRId64, ask->id,
                 ask->position.generation, begin);
    return 0;
}

/* Somebody may have dropped the notes (seen_missing then misses nothing): nobody knows any more
 * what was seen, so the generation is applied again from its begin. */
static int check_notes(struct sweep *sweep, struct error *err)
{
    struct sweep_ask *ask = sweep->asks, *next;
    bool begun;

    for (; ask; ask = next) {
        next = ask->next;
        if (seen_has_begun(sweep->m, ask->position.pass, &begun, err) != MONGO_DONE)
            return -1;
        if (begun)
            continue;
        if (go_back(sweep, ask, err) < 0)
            return -1;
        end_ask(sweep, ask, SWEEP_STALE, NULL);
    }
    return 0;
}

static void run(struct sweep *sweep)
{
    int64_t began = clock_mono_ms();
    struct error err = {0};

    log_info("sweep started", "table=%s collection=%s", sweep->table->name,
             sweep->view->collection);
    if (check_collection(sweep, &err) < 0 || check_notes(sweep, &err) < 0 ||
        (sweep->asks && scan(sweep, &err) < 0) || check_notes(sweep, &err) < 0) {
        log_warn("sweep failed, will be repeated", "table=%s deleted=%" PRId64 " reason=%s",
                 sweep->table->name, sweep->deleted, err.message);
        end_all(sweep, SWEEP_FAILED, &err);
        return;
    }
    log_info(sweep->asks ? "sweep ended" : "sweep given up",
             "table=%s documents=%" PRId64 " deleted=%" PRId64 " foreign=%" PRId64
             " took_ms=%" PRId64,
             sweep->table->name, sweep->documents, sweep->deleted, sweep->foreign,
             clock_mono_ms() - began);
    end_all(sweep, SWEEP_DONE, NULL);
}

static struct sweep *open_sweep(const struct sweep_calls *calls, struct mongo *m,
                                struct sweep_ask *group)
{
    struct sweep *sweep = xcalloc(1, sizeof(*sweep));
    int32_t partitions = group->view->partitions;

    sweep->calls = calls;
    sweep->m = m;
    sweep->asks = group;
    sweep->view = table_view_ref(group->view);
    sweep->table = group->table;
    for (struct sweep_ask *ask = group; ask; ask = ask->next)
        partitions = MAX(partitions, ask->number + 1);
    sweep->of = xcalloc((size_t)partitions, sizeof(struct sweep_ask *));
    for (struct sweep_ask *ask = group; ask; ask = ask->next)
        sweep->of[ask->number] = ask;
    buf_init(&sweep->keys, KEY_CEILING);
    buf_init(&sweep->message_key, KEY_CEILING);
    return sweep;
}

static void close_sweep(struct sweep *sweep)
{
    table_view_put(sweep->view);
    buf_release(&sweep->keys);
    buf_release(&sweep->message_key);
    free(sweep->of);
    free(sweep);
}

void sweep_run(const struct sweep_calls *calls, struct mongo *m, struct sweep_ask *asks)
{
    struct sweep *sweep = open_sweep(calls, m, asks);

    run(sweep);
    close_sweep(sweep);
}
