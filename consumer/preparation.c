#include "consumer/preparation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"
#include "consumer/bson_read.h"
#include "consumer/collection.h"
#include "consumer/position_store.h"
#include "consumer/prepare_decision.h"
#include "consumer/table_doc.h"

#define STEPS_MAX 20 /* of one look; more means that another preparer undoes them */
#define LOG_TIMEOUT_MS 10000

struct run {
    const struct preparation *p;
    struct mongo *m;
    struct table_view *view; /* as it will be; its uuid is filled at the end */
    struct table_doc doc;
    struct buf schema; /* of the newest generation */
    char form[POSITION_TEXT_MAX];
    struct collection_found found;
    struct prepare_facts facts;
};

/* ---- how the documents are to look ---- */

/* What can't be mixed in one collection. */
static void write_form(char *ret, const struct converter *v)
{
    bool raw = v->type == CONVERT_RAW;

    snprintf(ret, POSITION_TEXT_MAX, "%s%s %s %s", raw ? "raw" : "change",
             raw || v->number == CONVERT_EXACT ? "" : "/double",
             v->identity == IDENTITY_KEY ? "key" : "objectid", v->id_prefix);
}

static struct table_view *view_new(const struct preparation *p)
{
    struct table_view *v = xcalloc(1, sizeof(*v));
    const char *type = config_string(p->config, "convert.type");
    bool key = strcmp(config_string(p->config, "target.id"), "key") == 0;
    bool to_double = strcmp(type, "mchange") == 0 ||
                     strcmp(config_string(p->config, "convert.number"), "double") == 0;

    atomic_init(&v->refs, 1);
    key_schema_copy(&v->schema, &p->ledger->key_schema);
    v->collection = xstrdup(p->table->collection);
    v->log_id = xstrdup(p->ledger->log_id);
    v->converter = (struct converter){
        .type = strcmp(type, "raw") == 0 ? CONVERT_RAW : CONVERT_CHANGE,
        .number = to_double ? CONVERT_DOUBLE : CONVERT_EXACT,
        .identity = key ? IDENTITY_KEY : IDENTITY_OBJECTID,
        .id_prefix = config_string(p->config, "convert._id"),
        .schema = &v->schema,
    };
    if (!convert_key_indexable(&v->schema))
        v->converter.identity = IDENTITY_KEY;
    return v;
}

static struct collection collection_of(const struct run *r)
{
    return (struct collection){.name = r->view->collection,
                               .converter = &r->view->converter,
                               .want_index =
                                   config_bool(r->p->config, "full.enable_index.primary")};
}

/* ---- the table's document ---- */

static int doc_update(struct run *r, const bson_t *set, bool *matched, struct error *err)
{
    return table_doc_update(&r->doc, r->m, r->p->table->topic, set, matched, err);
}

static int doc_claim(struct run *r, enum table_clear clear, struct error *err)
{
    const char *state =
        table_doc_state_name(clear == CLEAR_NOTHING ? TABLE_DOC_BUILDING : TABLE_DOC_CLEARING);
    AUTO(mongo_bsonp)
    bson_t *set =
        BCON_NEW("state", BCON_UTF8(state), "clear", BCON_UTF8(table_clear_name(clear)),
                 "generation", BCON_INT64(r->p->ledger->generation), "uuid", BCON_NULL,
                 "key_schema", BCON_UTF8(buf_cstr(&r->schema)), "form", BCON_UTF8(r->form),
                 "doubled", BCON_BOOL(false));
    bson_t with_epoch = BSON_INITIALIZER;
    int result;

    log_info("table is prepared", "table=%s collection=%s generation=%" PRId64 " clear=%s",
             r->p->table->name, r->view->collection, r->p->ledger->generation,
             table_clear_name(clear));
    bson_concat(&with_epoch, set);
    if (r->doc.state != TABLE_DOC_NONE) /* an upsert takes its epoch from the query */
        BSON_APPEND_INT64(&with_epoch, "epoch", r->doc.epoch + 1);
    result = doc_update(r, &with_epoch, NULL, err);
    bson_destroy(&with_epoch);
    return result;
}

static int doc_building(struct run *r, struct error *err)
{
    bson_t set = BSON_INITIALIZER;
    int result;

    BSON_APPEND_UTF8(&set, "state", table_doc_state_name(TABLE_DOC_BUILDING));
    result = doc_update(r, &set, NULL, err);
    bson_destroy(&set);
    return result;
}

static int doc_ready(struct run *r, struct error *err)
{
    bson_t set = BSON_INITIALIZER;
    int result;

    BSON_APPEND_UTF8(&set, "state", table_doc_state_name(TABLE_DOC_READY));
    BSON_APPEND_BOOL(&set, "doubled", false);
    append_uuid(&set, "uuid", &r->found.uuid);
    result = doc_update(r, &set, NULL, err);
    bson_destroy(&set);
    return result;
}

/* ---- looking ---- */

static int look_at_collection(struct run *r, struct error *err)
{
    struct prepare_facts *f = &r->facts;
    struct collection c = collection_of(r);

    if (collection_look(r->m, c.name, &r->found, err) < 0)
        return -1;
    f->collection.exists = r->found.exists;
    f->collection.unfit = r->found.unfit;
    f->collection.uuid = r->found.uuid;
    f->collection.indexed = false;
    if (!r->found.exists || r->found.unfit)
        return 0;
    return collection_indexed(r->m, &c, &f->collection.indexed, err);
}

static int look(struct run *r, struct error *err)
{
    struct prepare_facts *f = &r->facts;

    if (table_doc_read(&r->doc, r->m, r->p->table->topic, err) < 0)
        return -1;
    f->preparer = r->p->preparer;
    f->exist = table_clear_of(config_string(r->p->config, "target.mongodb.exist"));
    f->doc.state = r->doc.state;
    f->doc.clear = r->doc.clear;
    f->doc.uuid = r->doc.uuid;
    f->doc.doubled = r->doc.doubled;
    f->doc.same_schema = bytes_equal(buf_slice(&r->doc.schema), buf_slice(&r->schema));
    f->doc.same_form = strcmp(r->doc.form, r->form) == 0;
    if (look_at_collection(r, err) < 0)
        return -1;
    if (r->doc.state == TABLE_DOC_NONE &&
        position_any(r->m, r->p->table->topic, &f->had_position, err) != MONGO_DONE)
        return error_prefix(err, "positions");
    return 0;
}

/* ---- the steps ---- */

static int clear(struct run *r, struct error *err)
{
    if (r->doc.clear == CLEAR_DROP)
        return collection_drop(r->m, r->view->collection, err);
    if (r->doc.clear != CLEAR_RENAME)
        return doc_building(r, err);
    if (!r->found.can_be_renamed)
        return error_fatal(err, 0,
                           "%s can't be renamed, since %s: drop it, or give the table another "
                           "name with map.collection",
                           r->view->collection, r->found.unfit);
    return collection_rename(r->m, r->view->collection, r->p->ledger->generation, err);
}

static void free_offsets(int64_t **offsets)
{
    free(*offsets);
}

/* Does the log still hold a value of each key? Only then may copies be deleted, of which the
 * one that stays may be the older. */
static int check_log(struct run *r, struct error *err)
{
    const struct ledger_table *l = r->p->ledger;
    AUTO(free_offsets) int64_t *low = xcalloc((size_t)MAX(l->partitions, 1), sizeof(*low));
    const char *advice = "nothing was deleted: remove the copies by hand, or ask for a new "
                         "snapshot of the table";

    if (!l->rows)
        return error_fatal(err, 0,
                           "documents of %s share a key, and the log has no snapshot that "
                           "brings their values again: %s",
                           r->view->collection, advice);
    if (!l->begin_offsets)
        return error_set(err, ERR_RETRY, "where the newest generation begins is not known yet");
    if (kafka_topic_begin_offsets(low, r->p->rk, l->topic, 0, l->partitions, LOG_TIMEOUT_MS,
                                  err) < 0)
        return -1;
    for (int32_t i = 0; i < l->partitions; i++)
        if (low[i] > l->begin_offsets[i])
            return error_fatal(err, 0,
                               "documents of %s share a key, and the log does not hold all of "
                               "their values any more (partition %" PRId32 " begins at %" PRId64
                               ", the generation at %" PRId64 "): %s",
                               r->view->collection, i, low[i], l->begin_offsets[i], advice);
    return 0;
}

static int delete_doubles(struct run *r, const struct collection *c, struct error *err)
{
    bson_t set = BSON_INITIALIZER;
    bool matched = false;
    int result;

    if (check_log(r, err) < 0)
        return -1;
    BSON_APPEND_BOOL(&set, "doubled", true);
    result = doc_update(r, &set, &matched, err);
    bson_destroy(&set);
    if (result < 0 || !matched) /* another preparer: look again */
        return result;
    log_warn("documents with the same key are deleted, the log will be applied again",
             "table=%s collection=%s", r->p->table->name, c->name);
    return collection_delete_doubles(r->m, c, err);
}

static int make_indexes(struct run *r, struct error *err)
{
    struct collection c = collection_of(r);
    bool doubled = false;

    if (collection_index(r->m, &c, &doubled, err) < 0)
        return -1;
    return doubled ? delete_doubles(r, &c, err) : 0;
}

/* Which of the copies was the newest is not known: every partition begins anew. */
static int rewind_all(struct run *r, struct error *err)
{
    const struct ledger_table *l = r->p->ledger;

    if (!l->begin_offsets)
        return error_set(err, ERR_RETRY, "where the newest generation begins is not known yet");
    for (int32_t i = 0; i < l->partitions; i++) {
        AUTO(free_charp) char *id = xasprintf("%s/%" PRId32, r->p->table->topic, i);

        if (position_rewind(r->m, id, l->begin_offsets[i], err) != MONGO_DONE)
            return error_prefix(err, "rewind");
    }
    return 0;
}

/* A listed index may still be being built, by a preparer that is gone: that is waited for. */
static int finish(struct run *r, struct error *err)
{
    struct collection c = collection_of(r);
    bool doubled = false;

    if (collection_index(r->m, &c, &doubled, err) < 0)
        return -1;
    if (doubled)
        return 0; /* look again */
    if (r->m->target->sharded && collection_shard(r->m, &c, err) < 0)
        return -1;
    return doc_ready(r, err);
}

static int refuse(const struct run *r, struct error *err)
{
    return error_fatal(err, 0,
                       "collection %s was written as \"%s\", now \"%s\" is configured "
                       "(convert.type, convert.number, target.id, convert._id): use another "
                       "id, or remove the table's documents from %s and its collection",
                       r->view->collection, r->doc.form, r->form, POSITION_COLLECTION);
}

static int unfit(const struct run *r, struct error *err)
{
    return error_fatal(err, 0,
                       "%s can't be applied to, since %s: drop or rename it, or give the table "
                       "another name with map.collection",
                       r->view->collection, r->found.unfit);
}

/* The database may have been handed over to another since this program has started. */
static int check_owner(const struct run *r, struct error *err)
{
    const char *prefix = config_string(r->p->config, "topic.prefix");
    int result = database_owner_check(r->m, prefix, r->p->source, r->p->cache, err);

    if (result < 0 && err->kind == ERR_FATAL)
        err->code = 0; /* it halts the table, not the program */
    return result;
}

static bool is_long(const struct run *r, enum prepare_step step)
{
    const struct collection c = collection_of(r);

    switch (step) {
    case PREPARE_CLEAR:
    case PREPARE_INDEX:
        return true;
    case PREPARE_FINISH:
        return r->m->target->sharded || collection_wants_indexes(r->m, &c);
    default:
        return false;
    }
}

static int do_step(struct run *r, enum prepare_step step, enum table_clear what,
                   struct error *err)
{
    switch (step) {
    case PREPARE_REFUSE:
        return refuse(r, err);
    case PREPARE_UNFIT:
        return unfit(r, err);
    case PREPARE_CLAIM:
        return doc_claim(r, what, err);
    case PREPARE_CLEAR:
        return clear(r, err);
    case PREPARE_CLEARED:
        return doc_building(r, err);
    case PREPARE_CREATE:
        return collection_create(r->m, r->view->collection, err);
    case PREPARE_INDEX:
        return make_indexes(r, err);
    case PREPARE_REWIND:
        return rewind_all(r, err) < 0 ? -1 : finish(r, err);
    case PREPARE_FINISH:
        return finish(r, err);
    case PREPARE_WAIT:
    case PREPARE_USE:
        break;
    }
    return 0;
}

/* ---- what can never be applied as configured ---- */

static int check_key_name(const struct key_attribute *a, struct error *err)
{
    if (!a->name)
        return 0;
    if (a->name[0] == '$')
        return error_fatal(err, 0,
                           "key attribute %s: MongoDB holds no field whose name begins with $ "
                           "at the top of a document: leave the table out with "
                           "filter.collection.black",
                           a->name);
    if (memchr(a->name, '\0', a->name_len))
        return error_fatal(
            err, 0,
            "a key attribute's name has a zero byte, which no field's name in "
            "MongoDB may have: leave the table out with filter.collection.black");
    return 0;
}

static int check_names(const struct preparation *p, struct error *err)
{
    const struct key_schema *s = &p->ledger->key_schema;

    if (strncmp(p->table->collection, "system.", 7) == 0)
        return error_fatal(err, 0,
                           "MongoDB keeps collections named system.* for itself: give %s "
                           "another name with map.collection",
                           p->table->name);
    return check_key_name(&s->hash, err) < 0 ? -1 : check_key_name(&s->range, err);
}

/* ---- a look ---- */

static enum preparation_result go_through_steps(struct run *r, struct error *err)
{
    bool checked = false;

    for (int i = 0; i < STEPS_MAX; i++) {
        enum table_clear what = CLEAR_NOTHING;
        enum prepare_step step;

        if (look(r, err) < 0)
            return PREPARATION_FAILED;
        step = prepare_decision_next(&r->facts, &what);
        if (step == PREPARE_USE)
            return PREPARATION_READY;
        if (step == PREPARE_WAIT)
            return PREPARATION_WAITS;
        if (is_long(r, step) && !r->p->patient)
            return PREPARATION_LONG;
        if (!checked && check_owner(r, err) < 0)
            return PREPARATION_FAILED;
        checked = true;
        if (do_step(r, step, what, err) < 0)
            return PREPARATION_FAILED;
    }
    r->m->answered_no = true; /* it does not show what it said was done */
    error_set(err, ERR_RETRY, "it is never ready: what is made is not there at the next look");
    return PREPARATION_FAILED;
}

enum preparation_result preparation_run(struct table_view **ret, const struct preparation *p,
                                        struct error *err)
{
    AUTO(table_view_putp) struct table_view *view = view_new(p);
    struct run r = {.p = p, .m = p->mongo, .view = view};
    enum preparation_result result = PREPARATION_FAILED;

    r.m->answered_no = false;
    if (check_names(p, err) < 0)
        return PREPARATION_FAILED;
    buf_init(&r.schema, 1 << 16);
    table_doc_init(&r.doc);
    key_schema_write(&r.schema, &view->schema);
    write_form(r.form, &view->converter);
    result = go_through_steps(&r, err);
    view->uuid = r.found.uuid;
    buf_release(&r.schema);
    table_doc_release(&r.doc);
    if (result == PREPARATION_READY)
        *ret = TAKE(view);
    return result;
}
