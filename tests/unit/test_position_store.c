/* Positions as commands: what each change compares and sets, and what an answer allows.
 * mongo_write and mongo_read are wrapped by the linker: they keep the command and give the
 * answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/position_store.h"

static struct {
    char *command; /* as relaxed JSON */
    const char *answer;
} server;

enum mongo_result __wrap_mongo_write(struct mongo *m, const char *database,
                                     const bson_t *command, bson_t *reply, struct error *err);
enum mongo_result __wrap_mongo_read(struct mongo *m, const char *database,
                                    const bson_t *command, bson_t *reply, struct error *err);

enum mongo_result __wrap_mongo_write(struct mongo *m, const char *database,
                                     const bson_t *command, bson_t *reply, struct error *err)
{
    bson_error_t why = {.message = "why"};
    char *json = bson_as_relaxed_extended_json(command, NULL);

    (void)m;
    assert_string_equal(database, "db");
    free(server.command);
    server.command = strdup(json);
    bson_free(json);
    assert_true(bson_init_from_json(reply, server.answer, -1, NULL));
    return mongo_reply_result(reply, &why, err);
}

enum mongo_result __wrap_mongo_read(struct mongo *m, const char *database,
                                    const bson_t *command, bson_t *reply, struct error *err)
{
    return __wrap_mongo_write(m, database, command, reply, err);
}

static const struct mongo_target target = {.database = (char *)"db", .max_time_ms = 5};
static struct mongo mongo = {.target = &target};

static const struct position_source source = {
    .log_id = "log", .uuid = {.known = true}, .generation = 9, .begin = 100};

static enum mongo_result change_one(const struct position_change *c, const char *answer,
                                    bool *all)
{
    const char *id = "t/0";
    struct error err;

    server.answer = answer;
    return position_store_change(&mongo, &id, &c, 1, all, &err);
}

static void sent(const char *part)
{
    if (!strstr(server.command, part))
        fail_msg("%s is not in %s", part, server.command);
}

static void not_sent(const char *part)
{
    if (strstr(server.command, part))
        fail_msg("%s is in %s", part, server.command);
}

static struct position_doc standing(void)
{
    return (struct position_doc){.found = true,
                                 .offset = 500,
                                 .generation = 9,
                                 .begin = 100,
                                 .rows_begin = 90,
                                 .pass = "p",
                                 .log_id = "log",
                                 .uuid = source.uuid,
                                 .epoch = 4,
                                 .owner = "other",
                                 .rewind = 300,
                                 .again = POSITION_NONE};
}

static struct position taken(void)
{
    struct position_doc doc = standing();
    struct position p;

    position_taken(&p, &doc, 0, 10);
    position_sending(&p, 510);
    position_written(&p, 510);
    return p;
}

static void taking_over_compares_all_that_was_read(void **state)
{
    struct position_doc old = standing();
    struct position_change c;
    bool all = false;

    (void)state;
    position_take(&c, &old, &source, "me");
    assert_int_equal(change_one(&c, "{\"ok\":1,\"n\":1}", &all), MONGO_DONE);
    assert_true(all);
    sent("\"q\" : { \"_id\" : \"t/0\", \"epoch\" : 4, \"owner\" : \"other\", \"rewind\" : 300, "
         "\"again\" : null, \"offset\" : 500, \"pass\" : \"p\" }");
    sent("\"offset\" : 300");
    sent("\"epoch\" : 5");
    not_sent("upsert");
}

/* A document of before there were passes has no such field. */
static void taking_over_without_a_pass_finds_documents_that_have_none(void **state)
{
    struct position_doc old = standing();
    struct position_change c;
    bool all;

    (void)state;
    old.pass[0] = '\0';
    position_take(&c, &old, &source, "me");
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"pass\" : { \"$in\" : [ \"\", null ] }");
}

static void the_first_one_makes_the_document_only_where_there_is_none(void **state)
{
    struct position_doc old = {
        .offset = POSITION_NONE, .rewind = POSITION_NONE, .again = POSITION_NONE};
    struct position_change c;
    bool all = true;

    (void)state;
    position_take(&c, &old, &source, "me");
    assert_int_equal(change_one(&c,
                                "{\"ok\":1,\"n\":0,\"writeErrors\":[{\"index\":0,"
                                "\"code\":11000,\"errmsg\":\"twice\"}]}",
                                &all),
                     MONGO_DONE);
    assert_false(all); /* another one made it: it is read */
    sent("\"epoch\" : { \"$exists\" : false }");
    sent("\"upsert\" : true");
}

static void owners_changes_compare_the_owner(void **state)
{
    struct position p = taken();
    struct position_change c;
    bool all;

    (void)state;
    position_move(&c, &p, "me");
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"q\" : { \"_id\" : \"t/0\", \"epoch\" : 4, \"owner\" : \"me\", \"rewind\" : null }");
    sent("\"offset\" : 510");
    position_goodbye(&c, &p, "me");
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"q\" : { \"_id\" : \"t/0\", \"epoch\" : 4, \"owner\" : \"me\" }");
    sent("\"owner\" : \"\", \"offset\" : 510");
}

static void each_change_of_the_offset_sets_the_pass(void **state)
{
    struct position_doc doc = standing();
    struct position p = taken();
    struct position_change c;
    bool all;

    (void)state;
    position_move(&c, &p, "me");
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"begin\" : 100, \"rows_begin\" : 90, \"log_id\" : \"log\", \"pass\" : \"p\" }");
    position_set_back(&c, &doc, 101);
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"$set\" : { \"offset\" : 101, \"rows_begin\" : 90, \"pass\" : \"p\" }, "
         "\"$unset\" : { \"rewind\" : true }");
    position_set_back(&c, &doc, 100);
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"$set\" : { \"offset\" : 100, \"rows_begin\" : -1, \"pass\" : \"\" }");
    p.again = 100;
    position_begin_again(&c, &p, "me");
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"$set\" : { \"offset\" : 100, \"rows_begin\" : -1, \"pass\" : \"\" }, "
         "\"$unset\" : { \"again\" : true }");
    position_swept(&p, 510);
    position_goodbye(&c, &p, "me");
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"owner\" : \"\", \"offset\" : 510");
    sent("\"pass\" : \"\" }");
}

static void a_goodbye_in_doubt_leaves_the_offset(void **state)
{
    struct position p = taken();
    struct position_change c;
    bool all;

    (void)state;
    position_doubt(&p);
    position_goodbye(&c, &p, "me");
    change_one(&c, "{\"ok\":1,\"n\":1}", &all);
    sent("\"$set\" : { \"owner\" : \"\" }");
    not_sent("offset");
}

static void a_refused_statement_is_no_mismatch(void **state)
{
    struct position p = taken();
    struct position_change c;
    bool all;

    (void)state;
    position_move(&c, &p, "me");
    assert_int_equal(change_one(&c,
                                "{\"ok\":1,\"n\":0,\"writeErrors\":[{\"index\":0,"
                                "\"code\":121,\"errmsg\":\"a validator\"}]}",
                                &all),
                     MONGO_AGAIN);
    assert_int_equal(change_one(&c,
                                "{\"ok\":1,\"n\":1,\"writeConcernError\":{\"code\":64,"
                                "\"errmsg\":\"late\"}}",
                                &all),
                     MONGO_AGAIN);
}

/* 11601: interrupted, which may only mean that nobody waits for it any more. */
static void a_statement_that_was_broken_off_may_still_come(void **state)
{
    struct position_doc doc = {.found = true, .offset = 7, .rewind = 3, .again = POSITION_NONE};
    struct position_change change;
    bool all = false;

    (void)state;
    position_set_back(&change, &doc, 3);
    assert_int_equal(change_one(&change,
                                "{\"ok\":1,\"n\":0,\"writeErrors\":[{\"index\":0,\"code\":"
                                "11601,\"errmsg\":\"interrupted\"}]}",
                                &all),
                     MONGO_UNKNOWN);
    assert_false(all);
}

static void documents_come_in_any_order(void **state)
{
    const char *ids[] = {"t/1", "t/0", "t/2"};
    struct position_doc docs[3];
    struct error err;

    (void)state;
    server.answer = "{\"ok\":1,\"cursor\":{\"firstBatch\":["
                    "{\"_id\":\"t/0\",\"epoch\":7,\"offset\":5,\"owner\":\"a\","
                    "\"rows_begin\":3,\"pass\":\"p\"},"
                    "{\"_id\":\"t/1\",\"epoch\":8,\"rewind\":2}]}}";
    assert_int_equal(position_store_read(&mongo, ids, 3, docs, &err), MONGO_DONE);
    assert_int_equal(docs[0].epoch, 8);
    assert_int_equal(docs[0].rewind, 2);
    assert_int_equal(docs[0].offset, POSITION_NONE);
    assert_int_equal(docs[1].epoch, 7);
    assert_string_equal(docs[1].owner, "a");
    assert_int_equal(docs[1].rows_begin, 3);
    assert_string_equal(docs[1].pass, "p");
    assert_int_equal(docs[0].rows_begin, POSITION_NONE);
    assert_string_equal(docs[0].pass, "");
    assert_false(docs[2].found);
    assert_int_equal(docs[2].offset, POSITION_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taking_over_compares_all_that_was_read),
        cmocka_unit_test(taking_over_without_a_pass_finds_documents_that_have_none),
        cmocka_unit_test(each_change_of_the_offset_sets_the_pass),
        cmocka_unit_test(the_first_one_makes_the_document_only_where_there_is_none),
        cmocka_unit_test(owners_changes_compare_the_owner),
        cmocka_unit_test(a_goodbye_in_doubt_leaves_the_offset),
        cmocka_unit_test(a_refused_statement_is_no_mismatch),
        cmocka_unit_test(a_statement_that_was_broken_off_may_still_come),
        cmocka_unit_test(documents_come_in_any_order),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(server.command);
    return failed;
}
