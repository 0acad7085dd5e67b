#include "consumer/database_owner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/json/json_reader.h"
#include "common/json/json_text.h"
#include "common/run/log.h"
#include "consumer/bson_read.h"
#include "consumer/position_store.h"

#define DUPLICATE_KEY 11000
#define LOOKS_MAX 4 /* a look, a claim, a source, and one for who comes in between */
#define FIRST "cursor.firstBatch.0"

/* ---- pure ---- */

static bool differ(const char *a, const char *b)
{
    return *a && *b && strcmp(a, b) != 0;
}

/* What is not known (yet), "", is no difference. */
static enum database_verdict judge_source(const struct database_source *noted,
                                          const struct database_source *told)
{
    bool more =
        (told->account[0] && !noted->account[0]) || (told->region[0] && !noted->region[0]);

    if (noted->endpoint[0] || told->endpoint[0])
        return strcmp(noted->endpoint, told->endpoint) == 0 ? DATABASE_OURS : DATABASE_ASK;
    if (differ(noted->account, told->account) || differ(noted->region, told->region))
        return DATABASE_ANOTHERS;
    return more ? DATABASE_UNSIGNED : DATABASE_OURS;
}

enum database_verdict database_owner_judge(const struct database_owner *owner,
                                           const char *prefix,
                                           const struct database_source *source)
{
    if (!owner->found)
        return DATABASE_NOBODYS;
    if (strcmp(owner->prefix, prefix) != 0)
        return DATABASE_ANOTHERS;
    if (!source->known)
        return DATABASE_OURS;
    if (!owner->source.known)
        return DATABASE_UNSIGNED;
    return judge_source(&owner->source, source);
}

/* ---- the ledger's record ---- */

static void read_text(char *ret, size_t size, struct json_reader *r)
{
    AUTO(buf_release) struct buf text;
    struct bytes raw;
    bool lone;

    buf_init(&text, SIZE_MAX);
    if (!json_string(r, &raw))
        return;
    json_unescape(&text, raw, &lone);
    snprintf(ret, size, "%s", buf_cstr(&text));
}

static void read_member(struct database_source *ret, struct json_reader *r, struct bytes name)
{
    if (json_peek(r) != JSON_STRING)
        json_skip(r, NULL);
    else if (json_raw_is(name, BYTES_LIT("account")))
        read_text(ret->account, sizeof(ret->account), r);
    else if (json_raw_is(name, BYTES_LIT("region")))
        read_text(ret->region, sizeof(ret->region), r);
    else if (json_raw_is(name, BYTES_LIT("endpoint")))
        read_text(ret->endpoint, sizeof(ret->endpoint), r);
    else
        json_skip(r, NULL);
}

static bool names_something(const struct database_source *s)
{
    return s->account[0] || s->region[0] || s->endpoint[0];
}

int database_source_decode(struct database_source *ret, struct bytes json, struct error *err)
{
    struct database_source source = {0};
    struct json_reader r;
    struct bytes name;

    json_reader_init(&r, json);
    if (json_object_begin(&r))
        while (json_object_next(&r, &name))
            read_member(&source, &r, name);
    if (!json_end(&r))
        return json_reader_error(&r, err);
    source.known = names_something(&source);
    *ret = source;
    return 0;
}

struct source_record {
    struct database_source source;
    struct error err;
    int result;
};

static void take_record(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct source_record *record = arg;

    (void)partition;
    if (rest.len == 0)
        record->result = database_source_decode(&record->source, value, &record->err);
}

int database_source_read(struct database_source *ret, struct ledger_cache *l, struct error *err)
{
    struct source_record record = {.result = 0};

    ledger_cache_each(l, "source", take_record, &record);
    if (record.result < 0)
        return error_fatal(err, EXIT_CONFIGURATION, "the ledger's record \"source\": %s",
                           record.err.message);
    *ret = record.source;
    return 0;
}

/* ---- the document ---- */

static void text_member(char *ret, size_t size, const bson_t *doc, const char *path)
{
    bson_iter_t it, at;

    if (bson_iter_init(&it, doc) && bson_iter_find_descendant(&it, path, &at) &&
        BSON_ITER_HOLDS_UTF8(&at))
        snprintf(ret, size, "%s", bson_iter_utf8(&at, NULL));
}

/* The first document that the filter finds among the positions; destroys the filter. */
static int find_first(bson_t *reply, bson_t *found, bool *any, struct mongo *m, bson_t *filter,
                      struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("find", BCON_UTF8(POSITION_COLLECTION), "filter", BCON_DOCUMENT(filter),
                 "limit", BCON_INT32(1), "singleBatch", BCON_BOOL(true), "maxTimeMS",
                 BCON_INT64(m->target->max_time_ms));
    enum mongo_result result = mongo_read(m, m->target->database, command, reply, err);

    bson_destroy(filter);
    if (result != MONGO_DONE)
        return error_prefix(err, "reading whose database %s is", m->target->database);
    *any = bson_read_document(found, reply, FIRST);
    return 0;
}

static int read_owner(struct database_owner *ret, struct mongo *m, struct error *err)
{
    struct database_source *s = &ret->source;
    bson_t reply, doc;
    int result;

    *ret = (struct database_owner){.found = false};
    result = find_first(&reply, &doc, &ret->found, m,
                        BCON_NEW("_id", BCON_UTF8(DATABASE_OWNER_ID)), err);
    if (ret->found) {
        text_member(ret->prefix, sizeof(ret->prefix), &doc, "prefix");
        text_member(s->account, sizeof(s->account), &doc, "source.account");
        text_member(s->region, sizeof(s->region), &doc, "source.region");
        text_member(s->endpoint, sizeof(s->endpoint), &doc, "source.endpoint");
        s->known = names_something(s);
    }
    bson_destroy(&reply);
    return result;
}

/* Before there was such a document, the positions alone tell who wrote here. */
static int refuse_positions_of_others(struct mongo *m, const char *prefix, struct error *err)
{
    AUTO(free_charp) char *from = xasprintf("%s.", prefix), *to = xasprintf("%s/", prefix);
    char topic[300] = "";
    bson_t reply, doc;
    bool any = false;
    int result = find_first(&reply, &doc, &any, m,
                            BCON_NEW("epoch", "{", "$exists", BCON_BOOL(true), "}", "$or", "[",
                                     "{", "_id", "{", "$lt", BCON_UTF8(from), "}", "}", "{",
                                     "_id", "{", "$gte", BCON_UTF8(to), "}", "}", "]"),
                            err);

    if (any)
        text_member(topic, sizeof(topic), &doc, "_id");
    bson_destroy(&reply);
    if (result < 0 || !any)
        return result;
    topic[strcspn(topic, "/")] = '\0';
    return error_fatal(err, EXIT_CONFIGURATION,
                       "database %s holds what was applied from topic %s, which is none of "
                       "topic.prefix %s: use another id, or hand the database over as "
                       "docs/positions.md says",
                       m->target->database, topic, prefix);
}

static void take_write_error(void *arg, const struct mongo_write_error *e)
{
    struct error *err = arg;

    if (e->code != DUPLICATE_KEY) /* another's came first: it is read again */
        error_set(err, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

/* One statement; destroys both. */
static int update(struct mongo *m, bson_t *query, bson_t *change, bool upsert,
                  struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("update", BCON_UTF8(POSITION_COLLECTION), "updates", "[", "{", "q",
                 BCON_DOCUMENT(query), "u", BCON_DOCUMENT(change), "upsert", BCON_BOOL(upsert),
                 "}", "]", "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    struct error refused = {0};
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    bson_destroy(query);
    bson_destroy(change);
    if (result == MONGO_DONE)
        mongo_reply_write_errors(&reply, take_write_error, &refused);
    bson_destroy(&reply);
    if (refused.kind) {
        m->answered_no = true;
        *err = refused;
    }
    return result == MONGO_DONE && !refused.kind
               ? 0
               : error_prefix(err, "writing in database %s", m->target->database);
}

static bson_t *source_document(const struct database_source *s)
{
    bson_t *doc = bson_new();

    if (s->account[0])
        BSON_APPEND_UTF8(doc, "account", s->account);
    if (s->region[0])
        BSON_APPEND_UTF8(doc, "region", s->region);
    if (s->endpoint[0])
        BSON_APPEND_UTF8(doc, "endpoint", s->endpoint);
    return doc;
}

/* The source comes after it, so that there is one way in which it comes. */
static int claim(struct mongo *m, const char *prefix, struct error *err)
{
    if (refuse_positions_of_others(m, prefix, err) < 0)
        return -1;
    log_info("database is taken", "database=%s prefix=%s", m->target->database, prefix);
    return update(m, BCON_NEW("_id", BCON_UTF8(DATABASE_OWNER_ID)),
                  BCON_NEW("$setOnInsert", "{", "prefix", BCON_UTF8(prefix), "}"), true, err);
}

/* Over what was read, and nothing else. */
static int name_source(struct mongo *m, const struct database_owner *owner,
                       const struct database_source *source, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *doc = source_document(source);
    AUTO(mongo_bsonp) bson_t *was = source_document(&owner->source);
    bson_t *query =
        BCON_NEW("_id", BCON_UTF8(DATABASE_OWNER_ID), "prefix", BCON_UTF8(owner->prefix));

    if (owner->source.known)
        BSON_APPEND_DOCUMENT(query, "source", was);
    else
        BCON_APPEND(query, "source", "{", "$exists", BCON_BOOL(false), "}");
    return update(m, query, BCON_NEW("$set", "{", "source", BCON_DOCUMENT(doc), "}"), false,
                  err);
}

/* ---- the logs ---- */

struct logs { /* of the ledger's tables */
    bson_t *ids;
    uint32_t count;
};

static void note_log(void *arg, struct bytes table, struct bytes value, int32_t partition)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    struct logs *logs = arg;
    struct error ignored; /* who reads the record says so */
    char index[16];

    (void)table;
    (void)partition;
    if (ledger_table_decode(&t, value, &ignored) < 0 || !t.log_id || !*t.log_id)
        return;
    snprintf(index, sizeof(index), "%" PRIu32, logs->count++);
    BSON_APPEND_UTF8(logs->ids, index, t.log_id);
}

static int any_position(bool *ret, struct mongo *m, bson_t *filter, struct error *err)
{
    bson_t reply, doc;
    int result = find_first(&reply, &doc, ret, m, filter, err);

    bson_destroy(&reply);
    return result;
}

/* Is what was applied of the ledger's logs? True too when nothing was applied yet. */
static int is_of_ledger(bool *ret, struct mongo *m, struct ledger_cache *ledger,
                        struct error *err)
{
    AUTO(mongo_bsonp) bson_t *ids = bson_new();
    struct logs logs = {.ids = ids};
    bool any = false, ours = false;

    ledger_cache_each(ledger, "table/", note_log, &logs);
    if (any_position(&ours, m,
                     BCON_NEW("epoch", "{", "$exists", BCON_BOOL(true), "}", "log_id", "{",
                              "$in", BCON_ARRAY(ids), "}"),
                     err) < 0 ||
        (!ours && any_position(&any, m, BCON_NEW("epoch", "{", "$exists", BCON_BOOL(true), "}"),
                               err) < 0))
        return -1;
    *ret = ours || !any;
    return 0;
}

/* ---- the check ---- */

static char *source_text(const struct database_source *s)
{
    if (!s->known)
        return xstrdup("");
    if (s->endpoint[0])
        return xasprintf(" with source endpoint %s", s->endpoint);
    return xasprintf(" with source account %s, region %s", s->account, s->region);
}

static int refuse(const struct database_owner *owner, const struct mongo *m, const char *prefix,
                  const struct database_source *source, struct error *err)
{
    AUTO(free_charp) char *its = source_text(&owner->source), *ours = source_text(source);

    return error_fatal(
        err, EXIT_CONFIGURATION,
        "database %s belongs to topic.prefix %s%s, not to topic.prefix %s%s: use "
        "another id, or hand the database over as docs/positions.md says",
        m->target->database, owner->prefix, its, prefix, ours);
}

/* The ledger's source is followed, as the producer has proven it. */
static int follow_source(struct mongo *m, const struct database_owner *owner,
                         const struct database_source *source, struct ledger_cache *ledger,
                         struct error *err)
{
    AUTO(free_charp) char *was = source_text(&owner->source), *now = source_text(source);
    bool ours;

    if (is_of_ledger(&ours, m, ledger, err) < 0)
        return -1;
    if (!ours)
        return refuse(owner, m, owner->prefix, source, err);
    log_info("database follows the ledger's source", "database=%s was=%s now=%s",
             m->target->database, was, now);
    return name_source(m, owner, source, err);
}

int database_owner_check(struct mongo *m, const char *prefix,
                         const struct database_source *source, struct ledger_cache *ledger,
                         struct error *err)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        struct database_owner owner;

        if (read_owner(&owner, m, err) < 0)
            return -1;
        switch (database_owner_judge(&owner, prefix, source)) {
        case DATABASE_OURS:
            return 0;
        case DATABASE_ANOTHERS:
            return refuse(&owner, m, prefix, source, err);
        case DATABASE_ASK:
            if (follow_source(m, &owner, source, ledger, err) < 0)
                return -1;
            break;
        case DATABASE_NOBODYS:
            if (claim(m, prefix, err) < 0)
                return -1;
            break;
        case DATABASE_UNSIGNED:
            if (name_source(m, &owner, source, err) < 0)
                return -1;
            break;
        }
    }
    return error_set(err, ERR_RETRY, "whose database %s is changes all the time",
                     m->target->database);
}
