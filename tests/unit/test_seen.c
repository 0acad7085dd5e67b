/* The notes of a pass as commands: what is sent, and what an answer allows. mongo_write and
 * mongo_read are wrapped by the linker: they keep the commands and give the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/seen.h"

#define COMMANDS_MAX 8

static struct {
    const char *answers[COMMANDS_MAX]; /* one after another; "": none came */
    char *commands[COMMANDS_MAX];      /* as relaxed JSON */
    int count;
} server;

enum mongo_result __wrap_mongo_write(struct mongo *m, const char *database,
                                     const bson_t *command, bson_t *reply, struct error *err);
enum mongo_result __wrap_mongo_read(struct mongo *m, const char *database,
                                    const bson_t *command, bson_t *reply, struct error *err);

enum mongo_result __wrap_mongo_write(struct mongo *m, const char *database,
                                     const bson_t *command, bson_t *reply, struct error *err)
{
    bson_error_t why = {.domain = MONGOC_ERROR_STREAM, .message = "why"};
    int at = server.count++;
    char *json = bson_as_relaxed_extended_json(command, NULL);

    (void)m;
    assert_string_equal(database, "db");
    assert_true(at < COMMANDS_MAX && server.answers[at]);
    server.commands[at] = strdup(json);
    bson_free(json);
    if (*server.answers[at])
        assert_true(bson_init_from_json(reply, server.answers[at], -1, NULL));
    else
        bson_init(reply);
    return mongo_reply_result(reply, &why, err);
}

enum mongo_result __wrap_mongo_read(struct mongo *m, const char *database,
                                    const bson_t *command, bson_t *reply, struct error *err)
{
    return __wrap_mongo_write(m, database, command, reply, err);
}

static const struct mongo_target target = {.database = (char *)"db", .max_time_ms = 5};
static struct mongo mongo = {.target = &target};
static struct error err;

static int forget(void **state)
{
    (void)state;
    for (int i = 0; i < COMMANDS_MAX; i++)
        free(server.commands[i]);
    memset(&server, 0, sizeof(server));
    err = (struct error){0};
    return 0;
}

static void sent(int at, const char *part)
{
    assert_true(at < server.count);
    if (!strstr(server.commands[at], part))
        fail_msg("%s is not in %s", part, server.commands[at]);
}

/* Hashes of one byte each, over and over: "AAAA..." is base64 of zeros. */
static void hashes_of(unsigned char (*ret)[SEEN_HASH_BYTES], size_t count)
{
    for (size_t i = 0; i < count; i++)
        memset(ret[i], (int)i, SEEN_HASH_BYTES);
}

#define HASH_0 "{\"$binary\":{\"base64\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"subType\":\"00\"}}"
#define HASH_1 "{\"$binary\":{\"base64\":\"AQEBAQEBAQEBAQEBAQEBAQ==\",\"subType\":\"00\"}}"
#define HASH_2 "{\"$binary\":{\"base64\":\"AgICAgICAgICAgICAgICAg==\",\"subType\":\"00\"}}"
#define BATCH(docs) "{\"ok\":1,\"cursor\":{\"id\":0,\"firstBatch\":[" docs "]}}"

static void a_hash_is_the_begin_of_sha_256(void **state)
{
    static const unsigned char expected[SEEN_HASH_BYTES] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01,
                                                            0xcf, 0xea, 0x41, 0x41, 0x40, 0xde,
                                                            0x5d, 0xae, 0x22, 0x23};
    unsigned char hash[SEEN_HASH_BYTES];

    (void)state;
    seen_hash(hash, BYTES_LIT("abc"));
    assert_memory_equal(hash, expected, sizeof(hash));
}

static void a_pass_begins_with_its_sentinel(void **state)
{
    (void)state;
    server.answers[0] = "{\"ok\":1,\"n\":1}";
    assert_int_equal(seen_begin(&mongo, "p1", "ddb.t", 3, 9, &err), MONGO_DONE);
    sent(0, "{ \"update\" : \"dynaferry:seen:p1\"");
    sent(0, "\"q\" : { \"_id\" : \"pass\" }");
    sent(0, "{ \"topic\" : \"ddb.t\", \"partition\" : 3, \"generation\" : 9 }");
    sent(0, "\"upsert\" : true");
    sent(0, "\"maxTimeMS\" : 5");
}

static enum mongo_result add_two(const char *answer)
{
    unsigned char hashes[2][SEEN_HASH_BYTES];

    hashes_of(hashes, 2);
    server.count = 0;
    free(server.commands[0]);
    server.answers[0] = answer;
    return seen_add(&mongo, "p1", hashes, 2, &err);
}

static void notes_are_added_whatever_is_there_already(void **state)
{
    (void)state;
    assert_int_equal(add_two("{\"ok\":1,\"n\":2}"), MONGO_DONE);
    sent(0, "{ \"insert\" : \"dynaferry:seen:p1\", \"ordered\" : false, \"maxTimeMS\" : 5");
    sent(0, "\"documents\" : [ { \"_id\" : { \"$binary\"");
    sent(0, "AQEBAQEBAQEBAQEBAQEBAQ==");
    assert_int_equal(add_two("{\"ok\":1,\"n\":1,\"writeErrors\":[{\"index\":1,"
                             "\"code\":11000,\"errmsg\":\"twice\"}]}"),
                     MONGO_DONE);
}

static void a_note_that_was_not_written_is_a_failure(void **state)
{
    (void)state;
    assert_int_equal(add_two("{\"ok\":1,\"n\":0,\"writeErrors\":["
                             "{\"index\":0,\"code\":11000,\"errmsg\":\"twice\"},"
                             "{\"index\":1,\"code\":121,\"errmsg\":\"a validator\"}]}"),
                     MONGO_AGAIN);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_non_null(strstr(err.message, "a validator (code 121)"));
    assert_true(mongo.answered_no);
    assert_int_equal(add_two("{\"ok\":1,\"n\":1}"), MONGO_AGAIN);
    assert_non_null(strstr(err.message, "1 of 2 notes"));
    assert_int_equal(add_two("{\"ok\":1,\"n\":2,\"writeConcernError\":{\"code\":64,"
                             "\"errmsg\":\"late\"}}"),
                     MONGO_AGAIN);
    assert_int_not_equal(add_two(""), MONGO_DONE);
}

static void without_its_sentinel_a_pass_has_not_begun(void **state)
{
    bool begun = false;

    (void)state;
    server.answers[0] = BATCH("{\"_id\":\"pass\"}");
    server.answers[1] = BATCH("");
    server.answers[2] = "";
    assert_int_equal(seen_has_begun(&mongo, "p1", &begun, &err), MONGO_DONE);
    assert_true(begun);
    sent(0, "\"filter\" : { \"_id\" : \"pass\" }");
    assert_int_equal(seen_has_begun(&mongo, "p1", &begun, &err), MONGO_DONE);
    assert_false(begun);
    assert_int_not_equal(seen_has_begun(&mongo, "p1", &begun, &err), MONGO_DONE);
}

static enum mongo_result missing_of_three(bool missing[3], const char *answer)
{
    unsigned char hashes[3][SEEN_HASH_BYTES];

    hashes_of(hashes, 3);
    server.count = 0;
    free(server.commands[0]);
    server.answers[0] = answer;
    for (int i = 0; i < 3; i++)
        missing[i] = false;
    return seen_missing(&mongo, "p1", hashes, 3, missing, &err);
}

static void a_key_without_a_note_is_missing(void **state)
{
    bool missing[3];

    (void)state;
    assert_int_equal(missing_of_three(missing, BATCH("{\"_id\":" HASH_2 "},{\"_id\":\"pass\"},"
                                                     "{\"_id\":" HASH_0 "}")),
                     MONGO_DONE);
    assert_false(missing[0]);
    assert_true(missing[1]);
    assert_false(missing[2]);
    sent(0, "{ \"find\" : \"dynaferry:seen:p1\", \"filter\" : { \"_id\" : { \"$in\" : [");
    sent(0, "\"pass\" ] } }");
    sent(0, "\"batchSize\" : 5"); /* more than can be found, so that the answer is the last */
    assert_int_equal(missing_of_three(missing, BATCH("{\"_id\":\"pass\"}")), MONGO_DONE);
    assert_true(missing[0] && missing[1] && missing[2]);
}

static void nothing_is_missing_where_notes_were_dropped(void **state)
{
    bool missing[3];

    (void)state;
    assert_int_equal(missing_of_three(missing, BATCH("{\"_id\":" HASH_1 "}")), MONGO_DONE);
    assert_false(missing[0] || missing[1] || missing[2]);
    assert_int_equal(missing_of_three(missing, BATCH("")), MONGO_DONE);
    assert_false(missing[0] || missing[1] || missing[2]);
}

static void half_an_answer_is_none(void **state)
{
    bool missing[3];

    (void)state;
    assert_int_equal(missing_of_three(missing, "{\"ok\":1,\"cursor\":{\"id\":7,\"firstBatch\":"
                                               "[{\"_id\":\"pass\"}]}}"),
                     MONGO_AGAIN);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_int_equal(missing_of_three(missing, "{\"ok\":1}"), MONGO_AGAIN);
    assert_int_not_equal(missing_of_three(missing, ""), MONGO_DONE);
    assert_false(missing[0] || missing[1] || missing[2]);
}

static void what_is_dropped_already_is_dropped(void **state)
{
    (void)state;
    server.answers[0] = "{\"ok\":1}";
    server.answers[1] = "{\"ok\":0,\"code\":26,\"errmsg\":\"ns not found\"}";
    server.answers[2] = "{\"ok\":0,\"code\":13,\"errmsg\":\"not allowed\"}";
    assert_int_equal(seen_drop(&mongo, "p1", &err), MONGO_DONE);
    sent(0, "{ \"drop\" : \"dynaferry:seen:p1\"");
    assert_int_equal(seen_drop(&mongo, "p1", &err), MONGO_DONE);
    assert_int_not_equal(seen_drop(&mongo, "p1", &err), MONGO_DONE);
}

#define LISTED                                                                                 \
    BATCH("{\"name\":\"dynaferry:seen:p1\"},{\"name\":\"dynaferry:seen:p2\"},"                 \
          "{\"name\":\"dynaferry:seen:p3\"},{\"name\":\"of a user\"}")

static void only_passes_that_no_position_holds_are_collected(void **state)
{
    (void)state;
    server.answers[0] = LISTED;
    server.answers[1] = BATCH("{\"_id\":\"t/0\",\"pass\":\"p2\"}");
    server.answers[2] = server.answers[3] = "{\"ok\":1}";
    assert_int_equal(seen_collect(&mongo, &err), MONGO_DONE);
    sent(0, "listCollections"); /* before the positions */
    sent(0, "\"nameOnly\" : true");
    sent(1, "{ \"find\" : \"dynaferry:applied\"");
    sent(1, "{ \"pass\" : { \"$in\" : [ \"p1\", \"p2\", \"p3\" ] } }");
    sent(2, "{ \"drop\" : \"dynaferry:seen:p1\"");
    sent(3, "{ \"drop\" : \"dynaferry:seen:p3\"");
    assert_int_equal(server.count, 4);
}

static void nothing_is_collected_while_the_positions_are_not_known(void **state)
{
    (void)state;
    server.answers[0] = LISTED;
    server.answers[1] = "";
    assert_int_not_equal(seen_collect(&mongo, &err), MONGO_DONE);
    assert_int_equal(server.count, 2);
    forget(state);
    server.answers[0] = LISTED;
    server.answers[1] = "{\"ok\":1,\"cursor\":{\"id\":7,\"firstBatch\":[]}}";
    assert_int_equal(seen_collect(&mongo, &err), MONGO_AGAIN);
    assert_int_equal(server.count, 2);
    forget(state);
    server.answers[0] = BATCH("");
    assert_int_equal(seen_collect(&mongo, &err), MONGO_DONE);
    assert_int_equal(server.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, forget, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hash_is_the_begin_of_sha_256),
        TEST(a_pass_begins_with_its_sentinel),
        TEST(notes_are_added_whatever_is_there_already),
        TEST(a_note_that_was_not_written_is_a_failure),
        TEST(without_its_sentinel_a_pass_has_not_begun),
        TEST(a_key_without_a_note_is_missing),
        TEST(nothing_is_missing_where_notes_were_dropped),
        TEST(half_an_answer_is_none),
        TEST(what_is_dropped_already_is_dropped),
        TEST(only_passes_that_no_position_holds_are_collected),
        TEST(nothing_is_collected_while_the_positions_are_not_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
