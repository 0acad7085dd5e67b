#include "consumer/preparation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "consumer/bson_member.h"
#include "consumer/collection.h"
#include "consumer/position_store.h"

#define STEPS_MAX 20 /* of one look; more means that another preparer undoes them */

struct table_doc { /* `<topic>` in the collection of positions */
    enum table_doc_state state;
    enum table_clear clear;
    int64_t epoch;
    char form[POSITION_TEXT_MAX];
    struct uuid uuid;
    struct buf schema; /* as key_schema_write writes it */
};

struct run {
    const struct preparation *p;
    struct mongo *m;
    struct table_view *view; /* as it will be; its uuid is filled at the end */
    struct table_doc doc;
    struct buf schema; /* of the newest generation */
    char form[POSITION_TEXT_MAX];
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

static void doc_read_members(struct run *r, const bson_t *doc)
{
    char text[POSITION_TEXT_MAX];
    bson_iter_t it;

    member_text(text, doc, "state");
    r->doc.state = table_doc_state_of(text);
    member_text(text, doc, "clear");
    r->doc.clear = table_clear_of(text);
    member_text(r->doc.form, doc, "form");
    r->doc.epoch = member_int64(doc, "epoch", 0);
    member_uuid(&r->doc.uuid, doc, "uuid");
    buf_reset(&r->doc.schema);
    if (bson_iter_init_find(&it, doc, "key_schema") && BSON_ITER_HOLDS_UTF8(&it))
        buf_bytes(&r->doc.schema, bytes_of(bson_iter_utf8(&it, NULL)));
}

static int failed(enum mongo_result result, const char *what, struct error *err)
{
    (void)result;
    if (err->kind == ERR_DATA)
        err->kind = ERR_FATAL;
    return error_prefix(err, "%s", what);
}

static int doc_read(struct run *r, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("find", BCON_UTF8(POSITION_COLLECTION), "filter", "{", "_id",
                 BCON_UTF8(r->p->table->topic), "}", "limit", BCON_INT32(1), "singleBatch",
                 BCON_BOOL(true), "maxTimeMS", BCON_INT64(r->m->target->max_time_ms));
    bson_t reply, doc;
    enum mongo_result result = mongo_read(r->m, r->m->target->database, command, &reply, err);

    r->doc.state = TABLE_DOC_NONE;
    r->doc.epoch = 0;
    if (result == MONGO_DONE && member_document(&doc, &reply, "cursor.firstBatch.0"))
        doc_read_members(r, &doc);
    bson_destroy(&reply);
    return result == MONGO_DONE ? 0 : failed(result, "table document", err);
}

/* By compare-and-set on the epoch; another preparer's change shows at the next look. */
static int doc_update(struct run *r, const bson_t *set, bool upsert, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("update", BCON_UTF8(POSITION_COLLECTION), "updates", "[", "{", "q", "{", "_id",
                 BCON_UTF8(r->p->table->topic), "epoch", BCON_INT64(r->doc.epoch), "}", "u",
                 "{", "$set", BCON_DOCUMENT(set), "}", "upsert", BCON_BOOL(upsert), "}", "]",
                 "maxTimeMS", BCON_INT64(r->m->target->max_time_ms));
    bson_t reply;
    enum mongo_result result = mongo_write(r->m, r->m->target->database, command, &reply, err);

    bson_destroy(&reply);
    return result == MONGO_DONE ? 0 : failed(result, "table document", err);
}

static int doc_claim(struct run *r, enum table_clear clear, struct error *err)
{
    const char *state =
        table_doc_state_name(clear == CLEAR_NOTHING ? TABLE_DOC_BUILDING : TABLE_DOC_CLEARING);
    AUTO(mongo_bsonp)
    bson_t *set =
        BCON_NEW("state", BCON_UTF8(state), "clear", BCON_UTF8(table_clear_name(clear)),
                 "generation", BCON_INT64(r->p->ledger->generation), "uuid", BCON_NULL,
                 "key_schema", BCON_UTF8(buf_cstr(&r->schema)), "form", BCON_UTF8(r->form));
    bson_t with_epoch = BSON_INITIALIZER;
    int result;

    log_info("table is prepared", "table=%s collection=%s generation=%" PRId64 " clear=%s",
             r->p->table->name, r->view->collection, r->p->ledger->generation,
             table_clear_name(clear));
    bson_concat(&with_epoch, set);
    if (r->doc.state == TABLE_DOC_NONE) { /* an upsert takes its epoch from the query */
        result = doc_update(r, &with_epoch, true, err);
    } else {
        BSON_APPEND_INT64(&with_epoch, "epoch", r->doc.epoch + 1);
        result = doc_update(r, &with_epoch, false, err);
    }
    bson_destroy(&with_epoch);
    return result;
}

static int doc_state(struct run *r, enum table_doc_state state, struct error *err)
{
    bson_t set = BSON_INITIALIZER;
    int result;

    BSON_APPEND_UTF8(&set, "state", table_doc_state_name(state));
    if (state == TABLE_DOC_READY)
        append_uuid(&set, "uuid", &r->facts.collection.uuid);
    result = doc_update(r, &set, false, err);
    bson_destroy(&set);
    return result;
}

/* ---- the steps ---- */

static int look(struct run *r, struct error *err)
{
    struct prepare_facts *f = &r->facts;
    struct collection c = collection_of(r);

    if (doc_read(r, err) < 0)
        return -1;
    f->preparer = r->p->preparer;
    f->exist = table_clear_of(config_string(r->p->config, "target.mongodb.exist"));
    f->doc.state = r->doc.state;
    f->doc.clear = r->doc.clear;
    f->doc.uuid = r->doc.uuid;
    f->doc.same_schema = bytes_equal(buf_slice(&r->doc.schema), buf_slice(&r->schema));
    f->doc.same_form = strcmp(r->doc.form, r->form) == 0;
    if (collection_look(r->m, c.name, &f->collection.exists, &f->collection.uuid, err) < 0)
        return -1;
    f->collection.indexed = false;
    if (f->collection.exists && collection_indexed(r->m, &c, &f->collection.indexed, err) < 0)
        return -1;
    if (r->doc.state == TABLE_DOC_NONE &&
        position_any(r->m, r->p->table->topic, &f->had_position, err) != MONGO_DONE)
        return failed(MONGO_AGAIN, "positions", err);
    return 0;
}

static int clear(struct run *r, struct error *err)
{
    if (r->doc.clear == CLEAR_DROP)
        return collection_drop(r->m, r->view->collection, err);
    if (r->doc.clear == CLEAR_RENAME)
        return collection_rename(r->m, r->view->collection, r->p->ledger->generation, err);
    return doc_state(r, TABLE_DOC_BUILDING, err);
}

/* Which of the copies was the newest is not known: every partition begins anew. */
static int rewind_all(struct run *r, struct error *err)
{
    const struct ledger_table *l = r->p->ledger;

    for (int32_t i = 0; l->begin_offsets && i < l->partitions; i++) {
        AUTO(free_charp) char *id = xasprintf("%s/%" PRId32, r->p->table->topic, i);

        if (position_mark(r->m, id, l->begin_offsets[i], err) != MONGO_DONE)
            return failed(MONGO_AGAIN, "rewind", err);
    }
    return 0;
}

static int make_indexes(struct run *r, struct error *err)
{
    struct collection c = collection_of(r);
    bool doubled = false;

    if (collection_index(r->m, &c, &doubled, err) < 0)
        return -1;
    if (!doubled)
        return 0;
    log_warn("documents with the same key were deleted, the log is applied again", "table=%s",
             r->p->table->name);
    return rewind_all(r, err);
}

static int finish(struct run *r, struct error *err)
{
    struct collection c = collection_of(r);

    if (r->m->target->sharded && collection_shard(r->m, &c, err) < 0)
        return -1;
    return doc_state(r, TABLE_DOC_READY, err);
}

static int refuse(const struct run *r, struct error *err)
{
    return error_fatal(err, 0,
                       "collection %s was written as \"%s\", now \"%s\" is configured "
                       "(convert.type, convert.number, target.id, convert._id): use another "
                       "id, or remove the table's documents from %s and its collection",
                       r->view->collection, r->doc.form, r->form, POSITION_COLLECTION);
}

/* 2: one step further, look again. */
static int step(struct run *r, struct error *err)
{
    enum table_clear what = CLEAR_NOTHING;
    int result = 0;

    if (look(r, err) < 0)
        return -1;
    switch (prepare_next(&r->facts, &what)) {
    case PREPARE_WAIT:
        return 0;
    case PREPARE_USE:
        return 1;
    case PREPARE_REFUSE:
        return refuse(r, err);
    case PREPARE_CLAIM:
        result = doc_claim(r, what, err);
        break;
    case PREPARE_CLEAR:
        result = clear(r, err);
        break;
    case PREPARE_CLEARED:
        result = doc_state(r, TABLE_DOC_BUILDING, err);
        break;
    case PREPARE_CREATE:
        result = collection_create(r->m, r->view->collection, err);
        break;
    case PREPARE_INDEX:
        result = make_indexes(r, err);
        break;
    case PREPARE_FINISH:
        result = finish(r, err);
        break;
    }
    return result < 0 ? -1 : 2;
}

int preparation_run(struct table_view **ret, const struct preparation *p, struct error *err)
{
    AUTO(table_view_putp) struct table_view *view = view_new(p);
    struct run r = {.p = p, .m = p->mongo, .view = view};
    int result = 2;

    buf_init(&r.schema, 1 << 16);
    buf_init(&r.doc.schema, 1 << 16);
    key_schema_write(&r.schema, &view->schema);
    write_form(r.form, &view->converter);
    for (int i = 0; i < STEPS_MAX && result == 2; i++)
        result = step(&r, err);
    view->uuid = r.facts.collection.uuid;
    buf_release(&r.schema);
    buf_release(&r.doc.schema);
    if (result == 1)
        *ret = TAKE(view);
    return result == 2 ? 0 : result;
}
