/* What an answer of MongoDB allows: go on, give the record up, wait, or wait for the grace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/exit_code.h"
#include "common/mongo/mongo.h"

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
        {50, MONGO_UNKNOWN},    {112, MONGO_AGAIN},    {8, MONGO_AGAIN},
        {89, MONGO_UNKNOWN},    {9001, MONGO_UNKNOWN}, {2, MONGO_REFUSED},
        {11000, MONGO_REFUSED}, {121, MONGO_REFUSED},  {16500, MONGO_AGAIN},
        {7654321, MONGO_AGAIN}, {0, MONGO_AGAIN},
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

/* Only what is known to be a record's own may ever make a dead letter at once. */
static void a_code_is_a_records_own_only_when_it_is_known_to_be(void **state)
{
    static const struct {
        int32_t code;
        enum mongo_fault fault;
    } cases[] = {
        {2, MONGO_FAULT_RECORD},          {121, MONGO_FAULT_RECORD},
        {10334, MONGO_FAULT_RECORD},      {11000, MONGO_FAULT_RECORD},
        {171, MONGO_FAULT_RECORD},        {82, MONGO_FAULT_SERVER},
        {365, MONGO_FAULT_SERVER},        {371, MONGO_FAULT_SERVER},
        {16500, MONGO_FAULT_SERVER},      {462, MONGO_FAULT_SERVER},
        {59, MONGO_FAULT_SERVER},         {13, MONGO_FAULT_SERVER},
        {50, MONGO_FAULT_OUTCOME},        {6, MONGO_FAULT_OUTCOME},
        {384, MONGO_FAULT_OUTCOME},       {11601, MONGO_FAULT_OUTCOME},
        {0, MONGO_FAULT_UNCLEAR},         {7654321, MONGO_FAULT_UNCLEAR},
        {-1, MONGO_FAULT_UNCLEAR},        {3, MONGO_FAULT_UNCLEAR},
        {INT32_MAX, MONGO_FAULT_UNCLEAR},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(mongo_reply_fault(cases[i].code), cases[i].fault);
}

static void a_no_is_told_from_no_answer(void **state)
{
    AUTO(mongo_bsonp) bson_t *no = BCON_NEW("ok", BCON_DOUBLE(0), "code", BCON_INT32(59));
    AUTO(mongo_bsonp) bson_t *yes = BCON_NEW("ok", BCON_DOUBLE(1));
    AUTO(mongo_bsonp) bson_t *cut = BCON_NEW("errorLabels", "[", "RetryableWriteError", "]");

    (void)state;
    assert_true(mongo_reply_is_no(no));
    assert_false(mongo_reply_is_no(yes));
    assert_false(mongo_reply_is_no(cut));
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
    assert_int_equal(mongo_reply_fault(s.errors[1].code), MONGO_FAULT_UNCLEAR);
    bson_destroy(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_sort_into_four),
        cmocka_unit_test(a_code_is_a_records_own_only_when_it_is_known_to_be),
        cmocka_unit_test(a_no_is_told_from_no_answer),
        cmocka_unit_test(an_answer_without_a_majority_is_no_acknowledgement),
        cmocka_unit_test(only_what_was_surely_not_sent_needs_no_grace),
        cmocka_unit_test(a_refused_login_is_a_missing_right),
        cmocka_unit_test(write_errors_may_lack_their_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
