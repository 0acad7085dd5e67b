#include "consumer/preparation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"
#include "consumer/collection_doubles.h"
#include "consumer/collection_index.h"
#include "consumer/collection_shard.h"
#include "consumer/position_store.h"
#include "consumer/prepare_decision.h"
#include "consumer/table_doc.h"

#define STEPS_MAX 20 /* of one look; more means that another preparer undoes them */
#define LOG_TIMEOUT_MS 10000

struct attempt { /* one look, and the steps that follow from it */
    const struct preparation *prep;
    struct mongo *m;
    struct table_view *view; /* as it will be; its uuid is filled at the end */
    struct table_doc doc;
    struct buf schema; /* of the newest generation */
    char form[CONVERTER_FORM_MAX];
    struct collection_found found;
    struct prepare_facts facts;
};

/* ---- how the documents are to look ---- */

static struct table_view *view_new(const struct preparation *prep)
{
    struct table_view *view = xcalloc(1, sizeof(*view));

    atomic_init(&view->refs, 1);
    key_schema_copy(&view->schema, &prep->ledger->key_schema);
    view->collection = xstrdup(prep->table->collection);
    view->log_id = xstrdup(prep->ledger->log_id);
    view->partitions = prep->ledger->partitions;
    converter_init(&view->converter, prep->config, &view->schema);
    return view;
}

static struct collection collection_of(const struct attempt *try)
{
    return (struct collection){.name = try->view->collection,
                               .converter = &try->view->converter,
                               .want_index =
                                   config_bool(try->prep->config, "full.enable_index.primary")};
}

/* ---- the table's document ---- */

static int doc_update(struct attempt *try, const bson_t *set, bool *matched, struct error *err)
{
    return table_doc_update(&try->doc, try->m, try->prep->table->topic, set, matched, err);
}

/* Which generation is known to find nothing of an earlier one? Documents under an identity that
 * nobody else gives them, or under our index, are an earlier one's, whose positions were lost.
 */
static int64_t first_generation(const struct attempt *try, enum table_doc_clear clear)
{
    const struct prepare_facts *facts = &try->facts;
    const struct collection coll = collection_of(try);
    bool looks_ours = try->view->converter.identity == IDENTITY_KEY ||
                      (collection_index_is_wanted(try->m, &coll) && facts->collection.indexed);

    if (clear != CLEAR_NOTHING)
        return try->prep->ledger->generation;
    if (facts->doc.state != TABLE_DOC_NONE || facts->had_position ||
        (facts->collection.exists && looks_ours))
        return 0;
    return try->prep->ledger->generation;
}

static int doc_claim(struct attempt *try, enum table_doc_clear clear, struct error *err)
{
    const struct preparation *prep = try->prep;
    enum table_doc_state state =
        clear == CLEAR_NOTHING ? TABLE_DOC_BUILDING : TABLE_DOC_CLEARING;
    AUTO(mongo_bsonp)
    bson_t *set =
        BCON_NEW("state", BCON_UTF8(table_doc_state_name(state)), "clear",
                 BCON_UTF8(table_doc_clear_name(clear)), "generation",
                 BCON_INT64(prep->ledger->generation), "collection",
                 BCON_UTF8(try->view->collection), "uuid", BCON_NULL, "key_schema",
                 BCON_UTF8(buf_cstr(&try->schema)), "form", BCON_UTF8(try->form), "doubled",
                 BCON_BOOL(false), "first", BCON_INT64(first_generation(try, clear)));

    if (try->doc.state != TABLE_DOC_NONE) /* an upsert takes its epoch from the query */
        BSON_APPEND_INT64(set, "epoch", try->doc.epoch + 1);
    log_info("table preparation started",
             "table=%s collection=%s generation=%" PRId64 " clear=%s", prep->table->name,
             try->view->collection, prep->ledger->generation, table_doc_clear_name(clear));
    return doc_update(try, set, NULL, err);
}

static int doc_building(struct attempt *try, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *set = BCON_NEW("state", BCON_UTF8(table_doc_state_name(TABLE_DOC_BUILDING)));

    return doc_update(try, set, NULL, err);
}

static int doc_ready(struct attempt *try, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *set = BCON_NEW("state", BCON_UTF8(table_doc_state_name(TABLE_DOC_READY)), "doubled",
                           BCON_BOOL(false));

    uuid_append(set, "uuid", &try->found.uuid);
    return doc_update(try, set, NULL, err);
}

/* ---- looking ---- */

static int look_at_collection(struct attempt *try, struct error *err)
{
    struct prepare_facts *facts = &try->facts;
    struct collection coll = collection_of(try);

    if (collection_look(&try->found, try->m, coll.name, err) < 0)
        return -1;
    facts->collection.exists = try->found.exists;
    facts->collection.unfit = try->found.unfit;
    facts->collection.uuid = try->found.uuid;
    facts->collection.indexed = false;
    if (!try->found.exists || try->found.unfit)
        return 0;
    return collection_index_look(&facts->collection.indexed, try->m, &coll, err);
}

/* Without rows nothing comes in the place of what stands there; and what was taken over goes on
 * being used. */
static enum table_doc_clear exist_of(const struct preparation *prep)
{
    return prep->ledger->rows && !prep->ledger->taken_over
               ? table_doc_clear_of(config_string(prep->config, "target.mongodb.exist"))
               : CLEAR_NOTHING;
}

static int look(struct attempt *try, struct error *err)
{
    struct prepare_facts *facts = &try->facts;

    if (table_doc_read(&try->doc, try->m, try->prep->table->topic, err) < 0)
        return -1;
    facts->preparer = try->prep->preparer;
    facts->exist = exist_of(try->prep);
    facts->doc.state = try->doc.state;
    facts->doc.clear = try->doc.clear;
    facts->doc.uuid = try->doc.uuid;
    facts->doc.doubled = try->doc.doubled;
    facts->doc.same_schema = bytes_equal(buf_slice(&try->doc.schema), buf_slice(&try->schema));
    facts->doc.same_form = strcmp(try->doc.form, try->form) == 0;
    if (look_at_collection(try, err) < 0)
        return -1;
    if (try->doc.state == TABLE_DOC_NONE &&
        position_store_any(&facts->had_position, try->m, try->prep->table->topic, err) < 0)
        return -1;
    return 0;
}

/* ---- the steps ---- */

static int clear(struct attempt *try, struct error *err)
{
    if (try->doc.clear == CLEAR_DROP)
        return collection_drop(try->m, try->view->collection, err);
    if (try->doc.clear != CLEAR_RENAME)
        return doc_building(try, err);
    if (!try->found.can_be_renamed)
        return error_fatal(err, 0,
                           "%s can't be renamed, since %s: drop it, or give the table another "
                           "name with map.collection",
                           try->view->collection, try->found.unfit);
    return collection_rename(try->m, try->view->collection, try->prep->ledger->generation, err);
}

static void free_offsets(int64_t **offsets)
{
    free(*offsets);
}

/* Does the log still hold a value of each key? Only then may copies be deleted, of which the
 * one that stays may be the older. */
static int check_log(struct attempt *try, struct error *err)
{
    const struct ledger_table *ledger = try->prep->ledger;
    AUTO(free_offsets) int64_t *low = xcalloc((size_t)MAX(ledger->partitions, 1), sizeof(*low));
    const char *advice = "nothing was deleted: remove the copies by hand, or ask for a new "
                         "snapshot of the table";

    if (!ledger->rows)
        return error_fatal(err, 0,
                           "documents of %s share a key, and the log has no snapshot that "
                           "brings their values again: %s",
                           try->view->collection, advice);
    if (!ledger->begin_offsets)
        return error_set(err, ERR_RETRY, "where the newest generation begins is not known yet");
    if (kafka_topic_begin_offsets(low, try->prep->rk, ledger->topic, 0, ledger->partitions,
                                  LOG_TIMEOUT_MS, err) < 0)
        return -1;
    for (int32_t i = 0; i < ledger->partitions; i++)
        if (low[i] > ledger->begin_offsets[i])
            return error_fatal(err, 0,
                               "documents of %s share a key, and the log does not hold all of "
                               "their values any more (partition %" PRId32 " begins at %" PRId64
                               ", the generation at %" PRId64 "): %s",
                               try->view->collection, i, low[i], ledger->begin_offsets[i],
                               advice);
    return 0;
}

static int delete_doubles(struct attempt *try, const struct collection *coll, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *set = BCON_NEW("doubled", BCON_BOOL(true));
    bool matched = false;

    if (check_log(try, err) < 0 || doc_update(try, set, &matched, err) < 0)
        return -1;
    if (!matched) /* another preparer: look again */
        return 0;
    log_warn("deleting documents with the same key, the log will be applied again",
             "table=%s collection=%s", try->prep->table->name, coll->name);
    return collection_doubles_delete(try->m, coll, err);
}

static int make_indexes(struct attempt *try, struct error *err)
{
    struct collection coll = collection_of(try);
    bool doubled = false;

    if (collection_index_build(&doubled, try->m, &coll, err) < 0)
        return -1;
    return doubled ? delete_doubles(try, &coll, err) : 0;
}

/* Which of the copies was the newest is not known: every partition begins anew. */
static int rewind_all(struct attempt *try, struct error *err)
{
    const struct ledger_table *ledger = try->prep->ledger;

    if (!ledger->begin_offsets)
        return error_set(err, ERR_RETRY, "where the newest generation begins is not known yet");
    for (int32_t i = 0; i < ledger->partitions; i++) {
        AUTO(free_charp) char *id = xasprintf("%s/%" PRId32, try->prep->table->topic, i);

        if (position_store_rewind(try->m, id, ledger->begin_offsets[i], err) < 0)
            return -1;
    }
    return 0;
}

/* A listed index may still be being built, by a preparer that is gone: that is waited for. */
static int finish(struct attempt *try, struct error *err)
{
    struct collection coll = collection_of(try);
    bool doubled = false;

    if (collection_index_build(&doubled, try->m, &coll, err) < 0)
        return -1;
    if (doubled)
        return 0; /* look again */
    if (try->m->target->sharded && collection_shard(try->m, &coll, err) < 0)
        return -1;
    return doc_ready(try, err);
}

static int refuse(const struct attempt *try, struct error *err)
{
    return error_fatal(err, 0,
                       "collection %s was written as \"%s\", now \"%s\" is configured "
                       "(convert.type, convert.number, target.id, convert._id): use another "
                       "id, or remove the table's documents from %s and its collection",
                       try->view->collection, try->doc.form, try->form, POSITION_COLLECTION);
}

static int unfit(const struct attempt *try, struct error *err)
{
    return error_fatal(err, 0,
                       "%s can't be applied to, since %s: drop or rename it, or give the table "
                       "another name with map.collection",
                       try->view->collection, try->found.unfit);
}

/* The database may have been handed over to another since this program has started. */
static int check_owner(const struct attempt *try, struct error *err)
{
    const char *prefix = config_string(try->prep->config, "topic.prefix");
    int result = database_owner_check(try->m, prefix, try->prep->source, try->prep->cache, err);

    if (result < 0 && err->kind == ERR_FATAL)
        err->code = 0; /* it halts the table, not the program */
    return result;
}

static bool is_long(const struct attempt *try, enum prepare_step step)
{
    const struct collection coll = collection_of(try);

    switch (step) {
    case PREPARE_CLEAR:
    case PREPARE_INDEX:
        return true;
    case PREPARE_FINISH:
        return try->m->target->sharded || collection_index_is_wanted(try->m, &coll);
    default:
        return false;
    }
}

static int do_step(struct attempt *try, enum prepare_step step, enum table_doc_clear what,
                   struct error *err)
{
    switch (step) {
    case PREPARE_REFUSE:
        return refuse(try, err);
    case PREPARE_UNFIT:
        return unfit(try, err);
    case PREPARE_CLAIM:
        return doc_claim(try, what, err);
    case PREPARE_CLEAR:
        return clear(try, err);
    case PREPARE_CLEARED:
        return doc_building(try, err);
    case PREPARE_CREATE:
        return collection_create(try->m, try->view->collection, err);
    case PREPARE_INDEX:
        return make_indexes(try, err);
    case PREPARE_REWIND:
        return rewind_all(try, err) < 0 ? -1 : finish(try, err);
    case PREPARE_FINISH:
        return finish(try, err);
    case PREPARE_WAIT:
    case PREPARE_USE:
        break;
    }
    return 0;
}

/* ---- what can never be applied as configured ---- */

static int check_key_name(const struct key_attribute *key, struct error *err)
{
    if (!key->name)
        return 0;
    if (key->name[0] == '$')
        return error_fatal(err, 0,
                           "key attribute %s: MongoDB holds no field whose name begins with $ "
                           "at the top of a document: leave the table out with "
                           "filter.collection.black",
                           key->name);
    if (memchr(key->name, '\0', key->name_len))
        return error_fatal(
            err, 0,
            "a key attribute's name has a zero byte, which no field's name in "
            "MongoDB may have: leave the table out with filter.collection.black");
    return 0;
}

static int check_names(const struct preparation *prep, struct error *err)
{
    const struct key_schema *schema = &prep->ledger->key_schema;

    if (strncmp(prep->table->collection, "system.", 7) == 0)
        return error_fatal(err, 0,
                           "MongoDB keeps collections named system.* for itself: give %s "
                           "another name with map.collection",
                           prep->table->name);
    return check_key_name(&schema->hash, err) < 0 ? -1 : check_key_name(&schema->range, err);
}

/* ---- a look ---- */

static enum preparation_result go_through_steps(struct attempt *try, struct error *err)
{
    bool checked = false;

    for (int i = 0; i < STEPS_MAX; i++) {
        enum table_doc_clear what = CLEAR_NOTHING;
        enum prepare_step step;

        if (look(try, err) < 0)
            return PREPARATION_FAILED;
        step = prepare_decision_next(&try->facts, &what);
        if (step == PREPARE_USE)
            return PREPARATION_READY;
        if (step == PREPARE_WAIT)
            return PREPARATION_WAITS;
        if (is_long(try, step) && !try->prep->patient)
            return PREPARATION_LONG;
        if (!checked && check_owner(try, err) < 0)
            return PREPARATION_FAILED;
        checked = true;
        if (do_step(try, step, what, err) < 0)
            return PREPARATION_FAILED;
    }
    try->m->answered_no = true; /* it does not show what it said was done */
    error_set(err, ERR_RETRY, "it is never ready: what is made is not there at the next look");
    return PREPARATION_FAILED;
}

enum preparation_result preparation_run(struct table_view **ret, const struct preparation *prep,
                                        struct error *err)
{
    AUTO(table_view_putp) struct table_view *view = view_new(prep);
    struct attempt try = {.prep = prep, .m = prep->mongo, .view = view};
    enum preparation_result result = PREPARATION_FAILED;

    try.m->answered_no = false;
    if (check_names(prep, err) < 0)
        return PREPARATION_FAILED;
    buf_init(&try.schema, 1 << 16);
    table_doc_init(&try.doc);
    key_schema_write(&try.schema, &view->schema);
    converter_form(try.form, &view->converter);
    result = go_through_steps(&try, err);
    view->uuid = try.found.uuid;
    view->first = try.doc.first;
    buf_release(&try.schema);
    table_doc_release(&try.doc);
    if (result == PREPARATION_READY)
        *ret = TAKE(view);
    return result;
}
