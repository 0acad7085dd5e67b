/* What an answer of MongoDB allows: go on, give the record up, wait, or wait for the grace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/exit_code.h"
#include "common/mongo.h"

static enum mongo_result result_of(bson_t *reply, uint32_t domain, uint32_t code,
                                   struct error *err)
{
    bson_error_t why = {.domain = domain, .code = code, .message = "why"};
    enum mongo_result result;

    *err = (struct error){0};
    result = mongo_reply_result(reply, &why, err);
    bson_destroy(reply);
    return result;
}

static void answers_sort_into_four(void **state)
{
    static const struct {
        int32_t code;
        enum mongo_result result;
    } cases[] = {
        {10107, MONGO_AGAIN},   {189, MONGO_AGAIN},    {11602, MONGO_AGAIN},
        {50, MONGO_AGAIN},      {112, MONGO_AGAIN},    {8, MONGO_AGAIN},
        {89, MONGO_UNKNOWN},    {9001, MONGO_UNKNOWN}, {2, MONGO_REFUSED},
        {11000, MONGO_REFUSED}, {121, MONGO_REFUSED},
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bson_t *reply = BCON_NEW("ok", BCON_DOUBLE(0), "code", BCON_INT32(cases[i].code));

        assert_int_equal(result_of(reply, 0, 0, &err), cases[i].result);
        assert_int_equal(err.kind, cases[i].result == MONGO_REFUSED ? ERR_DATA : ERR_RETRY);
    }
    assert_int_equal(result_of(BCON_NEW("ok", BCON_DOUBLE(1)), 0, 0, &err), MONGO_DONE);
}

static void an_answer_without_a_majority_is_no_acknowledgement(void **state)
{
    struct error err;
    bson_t *reply = BCON_NEW("ok", BCON_DOUBLE(1), "n", BCON_INT32(1), "writeConcernError", "{",
                             "code", BCON_INT32(64), "errmsg", "timed out", "}");

    (void)state;
    assert_int_equal(result_of(reply, 0, 0, &err), MONGO_AGAIN);
    assert_non_null(strstr(err.message, "timed out"));
}

/* Sent or not is the difference between waiting a moment and waiting for the grace. */
static void only_what_was_surely_not_sent_needs_no_grace(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(result_of(bson_new(), MONGOC_ERROR_SERVER_SELECTION, 13053, &err),
                     MONGO_AGAIN);
    assert_int_equal(
        result_of(bson_new(), MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT, &err),
        MONGO_AGAIN);
    assert_int_equal(
        result_of(bson_new(), MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET, &err),
        MONGO_UNKNOWN);
    assert_int_equal(result_of(bson_new(), 0, 0, &err), MONGO_UNKNOWN);
}

static void a_refused_login_is_a_missing_right(void **state)
{
    struct error err;

    (void)state;
    result_of(bson_new(), MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_AUTHENTICATE, &err);
    assert_int_equal(err.kind, ERR_FATAL);
    assert_int_equal(err.code, EXIT_NO_RIGHT);
    result_of(BCON_NEW("ok", BCON_DOUBLE(0), "code", BCON_INT32(13)), 0, 0, &err);
    assert_int_equal(err.code, EXIT_NO_RIGHT);
}

static void a_command_is_only_split_for_what_a_record_can_cause(void **state)
{
    (void)state;
    assert_true(mongo_may_be_a_records_fault(2));
    assert_true(mongo_may_be_a_records_fault(10334));
    assert_false(mongo_may_be_a_records_fault(59));
    assert_false(mongo_may_be_a_records_fault(0));
}

struct seen {
    struct mongo_write_error errors[4];
    size_t count;
};

static void collect(void *arg, const struct mongo_write_error *e)
{
    struct seen *s = arg;

    assert_true(s->count < ARRAY_LEN(s->errors));
    s->errors[s->count++] = *e;
}

static void write_errors_may_lack_their_code(void **state)
{
    struct seen s = {.count = 0};
    bson_t *reply = BCON_NEW("ok", BCON_DOUBLE(1), "writeErrors", "[", "{", "index",
                             BCON_INT32(3), "code", BCON_INT32(11000), "errmsg", "twice", "}",
                             "{", "index", BCON_INT32(5), "}", "]");

    (void)state;
    mongo_reply_write_errors(reply, collect, &s);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.errors[0].index, 3);
    assert_int_equal(s.errors[0].code, 11000);
    assert_string_equal(s.errors[0].message, "twice");
    assert_int_equal(s.errors[1].index, 5);
    assert_int_equal(s.errors[1].code, 0);
    assert_true(*s.errors[1].message);
    assert_int_equal(mongo_write_error_result(0), MONGO_REFUSED);
    bson_destroy(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_sort_into_four),
        cmocka_unit_test(an_answer_without_a_majority_is_no_acknowledgement),
        cmocka_unit_test(only_what_was_surely_not_sent_needs_no_grace),
        cmocka_unit_test(a_refused_login_is_a_missing_right),
        cmocka_unit_test(a_command_is_only_split_for_what_a_record_can_cause),
        cmocka_unit_test(write_errors_may_lack_their_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
