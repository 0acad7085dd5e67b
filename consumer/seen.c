#include "consumer/seen.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/mongo/mongo_find.h"
#include "common/mongo/mongo_update.h"
#include "common/mongo/bson_read.h"
#include "consumer/position_store.h"

#define NAMES "dynaferry:seen:"
#define SENTINEL "pass"
#define NAMESPACE_NOT_FOUND 26
/* More than there are partitions; others are listed the next time. */
#define COLLECT_MAX 10000

void seen_hash(unsigned char ret[SEEN_HASH_BYTES], struct bytes keys)
{
    unsigned char sum[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)keys.p, keys.len, sum);
    memcpy(ret, sum, SEEN_HASH_BYTES);
}

static char *collection_of(const char *pass)
{
    return xasprintf(NAMES "%s", pass);
}

/* ---- notes ---- */

enum mongo_result seen_begin(struct mongo *m, const char *pass, const char *topic,
                             int32_t partition, int64_t generation, struct error *err)
{
    AUTO(free_charp) char *name = collection_of(pass);
    AUTO(mongo_bsonp) bson_t *query = BCON_NEW("_id", BCON_UTF8(SENTINEL));
    AUTO(mongo_bsonp)
    bson_t *change = BCON_NEW("$set", "{", "topic", BCON_UTF8(topic), "partition",
                              BCON_INT32(partition), "generation", BCON_INT64(generation), "}");

    return mongo_update_one(m, name, query, change, true, NULL, err);
}

static void append_hash(bson_t *list, const char *key,
                        const unsigned char hash[SEEN_HASH_BYTES])
{
    BSON_APPEND_BINARY(list, key, BSON_SUBTYPE_BINARY, hash, SEEN_HASH_BYTES);
}

static bson_t *insert_of(const struct mongo *m, const char *name,
                         const unsigned char (*hashes)[SEEN_HASH_BYTES], size_t count)
{
    bson_t *command = BCON_NEW("insert", BCON_UTF8(name), "ordered", BCON_BOOL(false),
                               "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    bson_t list, doc;

    BSON_APPEND_ARRAY_BEGIN(command, "documents", &list);
    for (size_t i = 0; i < count; i++) {
        char digits[16];
        const char *key;

        bson_uint32_to_string((uint32_t)i, &key, digits, sizeof(digits));
        BSON_APPEND_DOCUMENT_BEGIN(&list, key, &doc);
        append_hash(&doc, "_id", hashes[i]);
        bson_append_document_end(&list, &doc);
    }
    bson_append_array_end(command, &list);
    return command;
}

struct refusals {
    size_t there_already;
    struct error *err; /* of another kind */
    bool failed;
};

static void note_refusal(void *arg, const struct mongo_write_error *e)
{
    struct refusals *refusals = arg;

    if (e->code == MONGO_DUPLICATE_KEY) {
        refusals->there_already++;
    } else if (!refusals->failed) {
        refusals->failed = true;
        error_set(refusals->err, ERR_RETRY, "note: %s (code %" PRId32 ")", e->message, e->code);
    }
}

/* A note that is lost deletes a document, so each is to be accounted for. */
static enum mongo_result judge_insert(struct mongo *m, const bson_t *reply, size_t count,
                                      struct error *err)
{
    struct refusals refusals = {.err = err};

    mongo_reply_write_errors(reply, note_refusal, &refusals);
    m->answered_no = refusals.failed;
    if (refusals.failed)
        return MONGO_AGAIN;
    if ((size_t)mongo_reply_n(reply) + refusals.there_already == count)
        return MONGO_DONE;
    error_set(err, ERR_RETRY, "%" PRId64 " of %zu notes were written, %zu were there before",
              mongo_reply_n(reply), count, refusals.there_already);
    return MONGO_AGAIN;
}

enum mongo_result seen_add(struct mongo *m, const char *pass,
                           const unsigned char (*hashes)[SEEN_HASH_BYTES], size_t count,
                           struct error *err)
{
    AUTO(free_charp) char *name = collection_of(pass);
    AUTO(mongo_bsonp) bson_t *command = insert_of(m, name, hashes, count);
    enum mongo_result result;
    bson_t reply;

    CHECK(count > 0 && count <= SEEN_MANY_MAX);
    result = mongo_write(m, m->target->database, command, &reply, err);
    if (result == MONGO_DONE)
        result = judge_insert(m, &reply, count, err);
    bson_destroy(&reply);
    return result;
}

enum mongo_result seen_has_begun(struct mongo *m, const char *pass, bool *ret,
                                 struct error *err)
{
    AUTO(free_charp) char *name = collection_of(pass);
    AUTO(mongo_bsonp) bson_t *filter = BCON_NEW("_id", BCON_UTF8(SENTINEL));
    bson_t reply, doc;
    enum mongo_result result = mongo_find(m, name, filter, 1, &reply, err);

    if (result == MONGO_DONE)
        *ret = mongo_find_first(&doc, &reply);
    bson_destroy(&reply);
    return result;
}

/* ---- what is in a list ---- */

/* Documents whose field is one of count values, all of them: an answer that leaves some for a
 * second one is none, or what is missing there would be taken for absent. */
static enum mongo_result find_all(struct mongo *m, const char *collection, const char *field,
                                  const bson_t *values, size_t count, bson_t *reply,
                                  struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("find", BCON_UTF8(collection), "filter", "{", field, "{", "$in",
                               BCON_ARRAY(values), "}", "}", "projection", "{", field,
                               BCON_INT32(1), "}", "batchSize", BCON_INT32((int32_t)count + 1),
                               "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    enum mongo_result result = mongo_read(m, m->target->database, command, reply, err);

    if (result != MONGO_DONE || bson_read_int64(reply, "cursor.id", -1) == 0)
        return result;
    error_set(err, ERR_RETRY, "find in %s: the answer is not whole", collection);
    return MONGO_AGAIN;
}

struct notes { /* of an answer */
    unsigned char hashes[SEEN_MANY_MAX][SEEN_HASH_BYTES];
    size_t count;
    bool sentinel;
};

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, SEEN_HASH_BYTES);
}

static void take_note(struct notes *notes, const bson_t *doc)
{
    const uint8_t *data;
    bson_iter_t id;
    uint32_t len;

    if (!bson_iter_init_find(&id, doc, "_id"))
        return;
    if (BSON_ITER_HOLDS_UTF8(&id))
        notes->sentinel |= strcmp(bson_iter_utf8(&id, NULL), SENTINEL) == 0;
    if (!BSON_ITER_HOLDS_BINARY(&id))
        return;
    bson_iter_binary(&id, NULL, &len, &data);
    if (len == SEEN_HASH_BYTES && notes->count < SEEN_MANY_MAX)
        memcpy(notes->hashes[notes->count++], data, SEEN_HASH_BYTES);
}

/* Sorted. */
static void take_notes(struct notes *notes, const bson_t *reply)
{
    bson_iter_t it;
    bson_t doc;

    notes->count = 0;
    notes->sentinel = false;
    if (mongo_find_begin(&it, reply))
        while (mongo_find_next(&it, &doc))
            take_note(notes, &doc);
    qsort(notes->hashes, notes->count, SEEN_HASH_BYTES, compare_hashes);
}

static bool is_missing(const struct notes *notes, const unsigned char hash[SEEN_HASH_BYTES])
{
    return notes->sentinel &&
           !bsearch(hash, notes->hashes, notes->count, SEEN_HASH_BYTES, compare_hashes);
}

/* The sentinel is asked for with the same command: no drop gets between. */
static void list_wanted(bson_t *ret, const unsigned char (*hashes)[SEEN_HASH_BYTES],
                        size_t count)
{
    char digits[16];
    const char *key;

    bson_init(ret);
    for (size_t i = 0; i < count; i++) {
        bson_uint32_to_string((uint32_t)i, &key, digits, sizeof(digits));
        append_hash(ret, key, hashes[i]);
    }
    bson_uint32_to_string((uint32_t)count, &key, digits, sizeof(digits));
    BSON_APPEND_UTF8(ret, key, SENTINEL);
}

enum mongo_result seen_missing(struct mongo *m, const char *pass,
                               const unsigned char (*hashes)[SEEN_HASH_BYTES], size_t count,
                               bool *missing, struct error *err)
{
    AUTO(free_charp) char *name = collection_of(pass);
    enum mongo_result result;
    struct notes notes;
    bson_t list, reply;

    CHECK(count > 0 && count <= SEEN_MANY_MAX);
    list_wanted(&list, hashes, count);
    result = find_all(m, name, "_id", &list, count + 1, &reply, err);
    if (result == MONGO_DONE) {
        take_notes(&notes, &reply);
        for (size_t i = 0; i < count; i++)
            missing[i] = is_missing(&notes, hashes[i]);
    }
    bson_destroy(&list);
    bson_destroy(&reply);
    return result;
}

/* ---- the end ---- */

enum mongo_result seen_drop(struct mongo *m, const char *pass, struct error *err)
{
    AUTO(free_charp) char *name = collection_of(pass);
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("drop", BCON_UTF8(name), "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    if (mongo_reply_code(&reply) == NAMESPACE_NOT_FOUND)
        result = MONGO_DONE;
    bson_destroy(&reply);
    return result;
}

static enum mongo_result list_collections(struct mongo *m, bson_t *reply, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW(
        "listCollections", BCON_INT32(1), "filter", "{", "name", "{", "$regex",
        BCON_UTF8("^" NAMES), "}", "}", "nameOnly", BCON_BOOL(true), "cursor", "{", "batchSize",
        BCON_INT32(COLLECT_MAX), "}", "maxTimeMS", BCON_INT64(m->target->max_time_ms));

    return mongo_read(m, m->target->database, command, reply, err);
}

/* The passes of the listed collections; each element is a string. */
static size_t passes_of(bson_t *ret, const bson_t *listed)
{
    bson_iter_t it;
    size_t n = 0;
    bson_t info;

    bson_init(ret);
    if (!mongo_find_begin(&it, listed))
        return 0;
    while (n < COLLECT_MAX && mongo_find_next(&it, &info)) {
        char digits[16], name[256];
        const char *key;

        bson_read_text(name, sizeof(name), &info, "name");
        if (strncmp(name, NAMES, strlen(NAMES)) != 0)
            continue;
        bson_uint32_to_string((uint32_t)n++, &key, digits, sizeof(digits));
        BSON_APPEND_UTF8(ret, key, name + strlen(NAMES));
    }
    return n;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The passes of the positions in an answer, sorted; views of it. At most count. */
static size_t held_passes(const char **ret, size_t count, const bson_t *positions)
{
    bson_iter_t it, pass;
    size_t n = 0;
    bson_t doc;

    if (!mongo_find_begin(&it, positions))
        return 0;
    while (n < count && mongo_find_next(&it, &doc))
        if (bson_iter_init_find(&pass, &doc, "pass") && BSON_ITER_HOLDS_UTF8(&pass))
            ret[n++] = bson_iter_utf8(&pass, NULL);
    qsort(ret, n, sizeof(*ret), compare_texts);
    return n;
}

static enum mongo_result drop_unheld(struct mongo *m, const bson_t *passes, size_t count,
                                     const bson_t *positions, struct error *err)
{
    const char **held = xcalloc(count, sizeof(*held));
    size_t held_count = held_passes(held, count, positions);
    enum mongo_result result = MONGO_DONE;
    bson_iter_t it;

    bson_iter_init(&it, passes);
    while (result == MONGO_DONE && bson_iter_next(&it)) {
        const char *pass = bson_iter_utf8(&it, NULL);

        if (!bsearch(&pass, held, held_count, sizeof(*held), compare_texts))
            result = seen_drop(m, pass, err);
    }
    free(held);
    return result;
}

enum mongo_result seen_collect(struct mongo *m, struct error *err)
{
    bson_t listed, passes, positions;
    enum mongo_result result = list_collections(m, &listed, err);
    size_t count = passes_of(&passes, &listed);

    if (result == MONGO_DONE && count > 0) {
        result = find_all(m, POSITION_COLLECTION, "pass", &passes, count, &positions, err);
        if (result == MONGO_DONE)
            result = drop_unheld(m, &passes, count, &positions, err);
        bson_destroy(&positions);
    }
    bson_destroy(&listed);
    bson_destroy(&passes);
    return result;
}
