/* What is sent to make a collection hold its documents, given what is there.
 *
 * mongo_find_all, mongo_find and mongo_write are wrapped by the linker: the collection is the
 * test's, and the commands are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/mongo/mongo_find.h"
#include "consumer/checkpoint_doc.h"
#include "consumer/checkpoint_store.h"

#define MARK "m"

static struct {
    const char *const *held; /* documents, ends with NULL */
    const char *collections; /* listCollections */
    const char *answer;      /* of what is written */
    struct buf sent;         /* commands, a line each */
} server;

static const char done[] = "{\"ok\": 1, \"n\": 1}";

/* One server for each test. */
static int setup(void **state)
{
    (void)state;
    server.answer = done;
    buf_init(&server.sent, 1 << 16);
    return 0;
}

static int release(void **state)
{
    (void)state;
    buf_release(&server.sent);
    return 0;
}

static bool was_sent(const char *text)
{
    return strstr(buf_cstr(&server.sent), text) != NULL;
}

static bson_t *from_json(const char *json)
{
    bson_t *doc = bson_new_from_json((const uint8_t *)json, -1, NULL);

    assert_non_null(doc);
    return doc;
}

enum mongo_result __wrap_mongo_find_all(struct mongo *m, const struct mongo_find_all *find,
                                        struct error *err);
enum mongo_result __wrap_mongo_find_all(struct mongo *m, const struct mongo_find_all *find,
                                        struct error *err)
{
    (void)m;
    (void)err;
    for (const char *const *held = server.held; *held; held++) {
        AUTO(mongo_bsonp) bson_t *doc = from_json(*held);

        if (!find->each(find->arg, doc))
            break;
    }
    return MONGO_DONE;
}

static enum mongo_result keep(struct mongo *m, const char *database, const bson_t *command,
                              const char *answer, bson_t *reply, struct error *err)
{
    bson_error_t why = {.message = "why"};
    char *json = bson_as_relaxed_extended_json(command, NULL);

    assert_string_equal(database, "db");
    buf_printf(&server.sent, "%s\n", json);
    bson_free(json);
    assert_true(bson_init_from_json(reply, answer, -1, NULL));
    return mongo_judge(m, reply, &why, err);
}

enum mongo_result __wrap_mongo_write(struct mongo *m, const char *database,
                                     const bson_t *command, bson_t *reply, struct error *err);
enum mongo_result __wrap_mongo_write(struct mongo *m, const char *database,
                                     const bson_t *command, bson_t *reply, struct error *err)
{
    return keep(m, database, command, server.answer, reply, err);
}

/* Lists, and finds one document of ours, or none at all (in "emptied" after the delete). */
enum mongo_result __wrap_mongo_read(struct mongo *m, const char *database,
                                    const bson_t *command, bson_t *reply, struct error *err);
enum mongo_result __wrap_mongo_read(struct mongo *m, const char *database,
                                    const bson_t *command, bson_t *reply, struct error *err)
{
    bool deleted = was_sent("\"delete\"");
    const char *answer = deleted ? "{\"ok\": 1, \"cursor\": {\"firstBatch\": []}}"
                                 : "{\"ok\": 1, \"cursor\": {\"firstBatch\": [{\"_id\": 1}]}}";

    if (bson_has_field(command, "listCollections"))
        answer = server.collections;
    return keep(m, database, command, answer, reply, err);
}

static const struct mongo_target target = {.database = (char *)"db", .max_time_ms = 5};

#define DOC(id, n)                                                                             \
    "{\"_id\": \"" id "\", \"SequenceNumber\": \"" #n "\", \"dynaferry\": \"" MARK "\"}"

/* a and b, both at 1, are wanted. */
static enum checkpoint_outcome put(const char *const *held, const char *answer,
                                   struct error *err)
{
    AUTO(mongo_bsonp) bson_t *a = from_json(DOC("a", 1));
    AUTO(mongo_bsonp) bson_t *b = from_json(DOC("b", 1));
    bson_t *const docs[] = {b, a};
    const struct checkpoint_collection c = {"t", MARK, docs, 2};
    struct mongo mongo = {.target = &target};

    server.held = held;
    server.answer = answer;
    buf_reset(&server.sent);
    return checkpoint_store_put(&mongo, &c, err);
}

static void what_is_there_is_not_written_again(void **state)
{
    static const char *const all[] = {DOC("a", 1), DOC("b", 1), NULL};
    struct error err;

    (void)state;
    assert_int_equal(put(all, done, &err), CHECKPOINT_HELD);
    assert_int_equal(server.sent.len, 0);
}

static void what_differs_or_is_missing_is_written(void **state)
{
    static const char *const one[] = {DOC("b", 0), NULL};
    struct error err;

    (void)state;
    assert_int_equal(put(one, done, &err), CHECKPOINT_HELD);
    assert_true(was_sent("\"q\" : { \"dynaferry\" : \"m\", \"_id\" : \"a\" }"));
    assert_true(was_sent("\"q\" : { \"dynaferry\" : \"m\", \"_id\" : \"b\" }"));
    assert_true(was_sent("\"u\" : { \"_id\" : \"b\", \"SequenceNumber\" : \"1\""));
    assert_false(was_sent("\"delete\""));
}

static void only_our_own_surplus_is_removed(void **state)
{
    static const char *const more[] = {DOC("a", 1), DOC("b", 1), DOC("c", 1), NULL};
    struct error err;

    (void)state;
    assert_int_equal(put(more, done, &err), CHECKPOINT_HELD);
    assert_false(was_sent("\"update\""));
    assert_true(
        was_sent("{ \"dynaferry\" : \"m\", \"_id\" : { \"$nin\" : [ \"b\", \"a\" ] } }"));
}

static void beside_anothers_document_nothing_is_written(void **state)
{
    static const char *const theirs[] = {"{\"_id\": 1, \"ShardId\": \"a\"}", NULL};
    static const char *const marked[] = {"{\"_id\": \"a\", \"dynaferry\": \"else\"}", NULL};
    static const char *const both[] = {DOC("a", 1), "{\"_id\": 1}", NULL};
    struct error err;

    (void)state;
    assert_int_equal(put(theirs, done, &err), CHECKPOINT_FOREIGN);
    assert_int_equal(server.sent.len, 0);
    assert_int_equal(put(marked, done, &err), CHECKPOINT_FOREIGN);
    assert_int_equal(server.sent.len, 0);
    assert_int_equal(put(both, done, &err), CHECKPOINT_FOREIGN);
    assert_false(was_sent("\"update\""));
    assert_true(was_sent("\"q\" : { \"dynaferry\" : \"m\" }"));
}

static void a_refusal_is_told_and_that_it_is_one(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const more[] = {DOC("a", 1), DOC("b", 1), DOC("c", 1), NULL};
    static const char *const answers[] = {
        "{\"ok\": 0, \"code\": 13, \"errmsg\": \"not authorized\"}",
        "{\"ok\": 1, \"n\": 0, \"writeErrors\": [{\"index\": 0, \"code\": 13, \"errmsg\": "
        "\"not authorized\"}]}"};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        assert_int_equal(put(none, answers[i], &err), CHECKPOINT_FAILED);
        assert_int_equal(put(more, answers[i], &err), CHECKPOINT_FAILED);
    }
    assert_non_null(strstr(err.message, "not authorized"));
}

static bool is_wanted(void *arg, const char *collection)
{
    (void)arg;
    return strcmp(collection, "kept") == 0;
}

static void what_is_not_wanted_any_more_is_emptied_of_ours_and_dropped_when_empty(void **state)
{
    struct mongo mongo = {.target = &target};
    struct error err;

    (void)state;
    server.collections = "{\"ok\": 1, \"cursor\": {\"firstBatch\": [{\"name\": \"kept\"}, "
                         "{\"name\": \"emptied\"}]}}";
    assert_int_equal(checkpoint_store_clean(&mongo, MARK, is_wanted, NULL, &err), 0);
    assert_true(was_sent("{ \"delete\" : \"emptied\", \"deletes\" : [ { \"q\" : { "
                         "\"dynaferry\" : \"m\" }, \"limit\" : 0 } ]"));
    assert_true(was_sent("{ \"drop\" : \"emptied\" }"));
    assert_false(was_sent("\"kept\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, release)
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_is_not_written_again),
        TEST(what_differs_or_is_missing_is_written),
        TEST(only_our_own_surplus_is_removed),
        TEST(beside_anothers_document_nothing_is_written),
        TEST(a_refusal_is_told_and_that_it_is_one),
        TEST(what_is_not_wanted_any_more_is_emptied_of_ours_and_dropped_when_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
