#include "consumer/database_owner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/mongo/mongo_find.h"
#include "common/mongo/mongo_update.h"
#include "common/run/log.h"
#include "common/mongo/bson_read.h"
#include "consumer/position_store.h"

#define LOOKS_MAX 4 /* a look, a claim, a source, and one for who comes in between */

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

/* ---- the document ---- */

/* Among the positions. */
static int find_one(bson_t **ret, struct mongo *m, const bson_t *filter, struct error *err)
{
    return mongo_find_one(ret, m, POSITION_COLLECTION, filter, err) < 0
               ? error_prefix(err, "reading whose database %s is", m->target->database)
               : 0;
}

static int read_owner(struct database_owner *ret, struct mongo *m, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *filter = BCON_NEW("_id", BCON_UTF8(DATABASE_OWNER_ID));
    AUTO(mongo_bsonp) bson_t *doc = NULL;

    if (find_one(&doc, m, filter, err) < 0)
        return -1;
    *ret = (struct database_owner){.found = doc};
    if (doc) {
        bson_read_text(ret->prefix, sizeof(ret->prefix), doc, "prefix");
        database_source_from_bson(&ret->source, doc);
    }
    return 0;
}

/* Before there was such a document, the positions alone tell who wrote here. */
static int refuse_positions_of_others(struct mongo *m, const char *prefix, struct error *err)
{
    AUTO(free_charp) char *from = xasprintf("%s.", prefix), *to = xasprintf("%s/", prefix);
    AUTO(mongo_bsonp)
    bson_t *filter = BCON_NEW("epoch", "{", "$exists", BCON_BOOL(true), "}", "$or", "[", "{",
                              "_id", "{", "$lt", BCON_UTF8(from), "}", "}", "{", "_id", "{",
                              "$gte", BCON_UTF8(to), "}", "}", "]");
    AUTO(mongo_bsonp) bson_t *doc = NULL;
    char topic[300];

    if (find_one(&doc, m, filter, err) < 0)
        return -1;
    if (!doc)
        return 0;
    bson_read_text(topic, sizeof(topic), doc, "_id");
    topic[strcspn(topic, "/")] = '\0';
    return error_fatal(err, EXIT_CONFIGURATION,
                       "database %s holds what was applied from topic %s, which is none of "
                       "topic.prefix %s: use another id, or hand the database over as "
                       "docs/positions.md says",
                       m->target->database, topic, prefix);
}

static int update(struct mongo *m, const bson_t *query, const bson_t *change, bool upsert,
                  struct error *err)
{
    enum mongo_result result =
        mongo_update_one(m, POSITION_COLLECTION, query, change, upsert, NULL, err);

    return result == MONGO_DONE
               ? 0
               : error_prefix(err, "writing in database %s", m->target->database);
}

/* The source comes after it, so that there is one way in which it comes. */
static int claim(struct mongo *m, const char *prefix, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = BCON_NEW("_id", BCON_UTF8(DATABASE_OWNER_ID));
    AUTO(mongo_bsonp)
    bson_t *change = BCON_NEW("$setOnInsert", "{", "prefix", BCON_UTF8(prefix), "}");

    if (refuse_positions_of_others(m, prefix, err) < 0)
        return -1;
    log_info("database taken", "database=%s prefix=%s", m->target->database, prefix);
    return update(m, query, change, true, err);
}

/* Over what was read, and nothing else. */
static int name_source(struct mongo *m, const struct database_owner *owner,
                       const struct database_source *source, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *doc = database_source_to_bson(source);
    AUTO(mongo_bsonp) bson_t *was = database_source_to_bson(&owner->source);
    AUTO(mongo_bsonp)
    bson_t *query =
        BCON_NEW("_id", BCON_UTF8(DATABASE_OWNER_ID), "prefix", BCON_UTF8(owner->prefix));
    AUTO(mongo_bsonp)
    bson_t *change = BCON_NEW("$set", "{", "source", BCON_DOCUMENT(doc), "}");

    if (owner->source.known)
        BSON_APPEND_DOCUMENT(query, "source", was);
    else
        BCON_APPEND(query, "source", "{", "$exists", BCON_BOOL(false), "}");
    return update(m, query, change, false, err);
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

/* Is what was applied of the ledger's logs? True too when nothing was applied yet. */
static int is_of_ledger(bool *ret, struct mongo *m, struct ledger_cache *ledger,
                        struct error *err)
{
    AUTO(mongo_bsonp) bson_t *ids = bson_new();
    AUTO(mongo_bsonp)
    bson_t *any = BCON_NEW("epoch", "{", "$exists", BCON_BOOL(true), "}");
    AUTO(mongo_bsonp) bson_t *ours = bson_copy(any);
    AUTO(mongo_bsonp) bson_t *found = NULL;
    struct logs logs = {.ids = ids};

    ledger_cache_each(ledger, "table/", note_log, &logs);
    BCON_APPEND(ours, "log_id", "{", "$in", BCON_ARRAY(ids), "}");
    if (find_one(&found, m, ours, err) < 0)
        return -1;
    if (found) {
        *ret = true;
        return 0;
    }
    if (find_one(&found, m, any, err) < 0)
        return -1;
    *ret = !found;
    return 0;
}

/* ---- the check ---- */

static int refuse(const struct database_owner *owner, const struct mongo *m, const char *prefix,
                  const struct database_source *source, struct error *err)
{
    AUTO(free_charp)
    char *its = database_source_text(&owner->source), *ours = database_source_text(source);

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
    AUTO(free_charp)
    char *was = database_source_text(&owner->source), *now = database_source_text(source);
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
