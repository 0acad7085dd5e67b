#include "consumer/collection.h"

#include <inttypes.h>
#include <string.h>

#include "common/mongo/mongo_find.h"
#include "common/mongo/bson_read.h"

#define NAMESPACE_EXISTS 48
#define NAMESPACE_NOT_FOUND 26
#define RENAMES_MAX 9

static int outcome(enum mongo_result result, struct error *err, const char *what,
                   const char *name)
{
    return result == MONGO_DONE ? 0 : error_prefix(err, "%s %s", what, name);
}

/* Runs and frees the command; an answer with this code is as good as done. */
static int run_on(struct mongo *m, const char *database, bson_t *command, int32_t good_code,
                  const char *what, const char *name, struct error *err)
{
    bson_t reply;
    enum mongo_result result = mongo_write(m, database, command, &reply, err);

    if (result != MONGO_DONE && good_code && mongo_reply_code(&reply) == good_code)
        result = MONGO_DONE;
    bson_destroy(&reply);
    bson_destroy(command);
    return outcome(result, err, what, name);
}

/* Keys that differ must be two documents, and a document may grow, be replaced and deleted. */
static void judge_kind(struct collection_found *f, const bson_t *info)
{
    char type[16], locale[64];
    bool view, series;

    bson_read_text(type, sizeof(type), info, "type");
    bson_read_text(locale, sizeof(locale), info, "options.collation.locale");
    view = strcmp(type, "view") == 0;
    series = strcmp(type, "timeseries") == 0;
    f->can_be_renamed = !view && !series;
    if (view)
        f->unfit = "it is a view";
    else if (series)
        f->unfit = "it is a time-series collection";
    else if (bson_read_bool(info, "options.capped"))
        f->unfit = "it is capped";
    else if (*locale && strcmp(locale, "simple") != 0)
        f->unfit = "its default collation may take different keys for one";
}

int collection_look(struct collection_found *ret, struct mongo *m, const char *name,
                    struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("listCollections", BCON_INT32(1), "filter", "{", "name", BCON_UTF8(name), "}");
    bson_t reply, info;
    enum mongo_result result = mongo_read(m, m->target->database, command, &reply, err);

    if (result == MONGO_DONE) {
        *ret = (struct collection_found){.exists = mongo_find_first(&info, &reply)};
        if (ret->exists) {
            uuid_read(&ret->uuid, &info, "info.uuid");
            judge_kind(ret, &info);
        }
    }
    bson_destroy(&reply);
    return outcome(result, err, "look at collection", name);
}

int collection_create(struct mongo *m, const char *name, struct error *err)
{
    return run_on(m, m->target->database, BCON_NEW("create", BCON_UTF8(name)), NAMESPACE_EXISTS,
                  "create collection", name, err);
}

int collection_drop(struct mongo *m, const char *name, struct error *err)
{
    return run_on(m, m->target->database, BCON_NEW("drop", BCON_UTF8(name)),
                  NAMESPACE_NOT_FOUND, "drop collection", name, err);
}

/* 1: something stands under the new name. */
static int rename_once(struct mongo *m, const char *name, const char *to, struct error *err)
{
    AUTO(free_charp) char *from_ns = xasprintf("%s.%s", m->target->database, name);
    AUTO(free_charp) char *to_ns = xasprintf("%s.%s", m->target->database, to);
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("renameCollection", BCON_UTF8(from_ns), "to", BCON_UTF8(to_ns));
    struct collection_found taken;
    bson_t reply;
    enum mongo_result result;
    int32_t code;

    if (collection_look(&taken, m, to, err) < 0)
        return -1;
    if (taken.exists)
        return 1;
    result = mongo_write(m, "admin", command, &reply, err);
    code = mongo_reply_code(&reply);
    bson_destroy(&reply);
    if (code == NAMESPACE_EXISTS)
        return 1;
    return code == NAMESPACE_NOT_FOUND ? 0 : outcome(result, err, "rename collection", name);
}

int collection_rename(struct mongo *m, const char *name, int64_t generation, struct error *err)
{
    for (int i = 1; i <= RENAMES_MAX; i++) {
        AUTO(free_charp)
        char *to = i == 1 ? xasprintf("%s:before:%" PRId64, name, generation)
                          : xasprintf("%s:before:%" PRId64 ":%d", name, generation, i);
        int result = rename_once(m, name, to, err);

        if (result != 1)
            return result;
    }
    return error_fatal(err, 0, "rename collection %s: %s:before:%" PRId64 " is taken", name,
                       name, generation);
}
