/* tests/unit/test_dead_letter.c - dead letters are their examples byte for byte, and legal
 * JSON whatever they hold. */
#include "common/messages/dead_letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/json/json_reader.h"
#include "common/json/json_text.h"
#include "support_vector.h"

static void assert_dead_letter_is(const struct dead_letter *d, const char *example)
{
    AUTO(buf_release) struct buf file, out = {.ceiling = 65536};
    struct bytes wanted = vector_read(&file, example);

    dead_letter_encode(&out, d);
    buf_char(&out, '\n');
    assert_true(bytes_equal(buf_slice(&out), wanted));
}

static void a_dead_letter_is_encoded_as_its_example(void **state)
{
    struct dead_letter producer = {
        .stage = BYTES_LIT("producer"),
        .table = BYTES_LIT("orders"),
        .reason =
            BYTES_LIT("a message of 9437184 bytes is larger than topic.max.message.bytes"),
        .topic = BYTES_LIT("dynaferry.orders"),
        .partition = 3,
        .offset = -1,
        .generation = 1760000000000,
        .keys = BYTES_LIT("{\"pk\":{\"S\":\"u2\"},\"sk\":{\"N\":\"1\"}}"),
        .headers = BYTES_LIT("{\"shard\":\"shardId-00000001760000000000-0a1b2c3d\",\"sequence\""
                             ":\"100000000000000000042\",\"generation\":\"1760000000000\"}"),
        .ts_ms = 1760000004500,
    };
    struct dead_letter consumer = {
        .stage = BYTES_LIT("consumer"),
        .table = BYTES_LIT("orders"),
        .reason = BYTES_LIT("MongoDB takes no field name with a leading \"$\": \"$é\""),
        .topic = BYTES_LIT("dynaferry.orders"),
        .partition = 3,
        .offset = 4711,
        .generation = 1760000000000,
        .keys = BYTES_LIT("{\"pk\":{\"S\":\"u3\"},\"sk\":{\"N\":\"2\"}}"),
        .headers = BYTES_LIT("{\"segment\":\"0\",\"generation\":\"1760000000000\"}"),
        .value = BYTES_LIT("{\"op\":\"r\"}"),
        .ts_ms = 1760000005500,
        .old_document_stays = true,
    };

    (void)state;
    assert_dead_letter_is(&producer, "messages/dead-letter-producer.json");
    assert_dead_letter_is(&consumer, "messages/dead-letter-consumer.json");
}

static void a_dead_letter_of_bytes_that_are_no_text_is_legal_json(void **state)
{
    struct dead_letter d = {.stage = BYTES_LIT("consumer"),
                            .reason = BYTES_LIT("cut: \xc3"),
                            .table = BYTES_LIT("\xff\"\x01"),
                            .topic = BYTES_LIT("t"),
                            .value = BYTES_LIT("\0\xff")};
    struct json_reader r;
    struct bytes value;
    struct buf out;

    (void)state;
    buf_init(&out, 65536);
    dead_letter_encode(&out, &d);
    json_reader_init(&r, buf_slice(&out));
    assert_true(json_skip(&r, NULL));
    assert_true(json_end(&r));
    assert_true(json_member(buf_slice(&out), "value", &value));
    assert_true(bytes_is(value, "\"AP8=\""));
    assert_true(json_member(buf_slice(&out), "table", &value));
    assert_true(bytes_is(value, "\"\xef\xbf\xbd\\\"\\u0001\""));
    buf_release(&out);
}

static void of_a_header_that_is_not_ascii_question_marks_are_left(void **state)
{
    AUTO(buf_release) struct buf out = {.ceiling = 1000};

    (void)state;
    dead_letter_header(&out, BYTES_LIT("shard"), BYTES_LIT("a\"\n\0"));
    dead_letter_header(&out, BYTES_LIT("\xc3\xa9"), BYTES_LIT("\x7f\xff~"));
    assert_true(bytes_is(buf_slice(&out), "{\"shard\":\"a\\\"\\n\\u0000\",\"??\":\"??~\""));
}

/* ---- reading ---- */

static void what_is_written_is_read(void **state)
{
    AUTO(buf_release) struct buf producer = {0}, consumer = {0}, handled = {0};
    struct dead_letter_seen seen;
    struct error err = {0};

    (void)state;
    assert_int_equal(
        dead_letter_see(&seen, vector_read(&producer, "messages/dead-letter-producer.json"),
                        &err),
        0);
    assert_false(seen.is_mark);
    assert_true(bytes_is(seen.table, "orders"));
    assert_true(bytes_is(seen.keys, "{\"pk\":{\"S\":\"u2\"},\"sk\":{\"N\":\"1\"}}"));
    assert_int_equal(
        dead_letter_see(&seen, vector_read(&consumer, "messages/dead-letter-consumer.json"),
                        &err),
        0);
    assert_false(seen.is_mark);
    assert_int_equal(dead_letter_see(&seen,
                                     vector_read(&handled, "messages/dead-letter-handled.json"),
                                     &err),
                     0);
    assert_true(seen.is_mark);
    assert_true(bytes_is(seen.table, "orders"));
    assert_int_equal(seen.partition, 0);
    assert_int_equal(seen.offset, 17);
}

static void a_mark_is_encoded_as_its_example(void **state)
{
    const struct dead_letter_mark mark = {
        .table = BYTES_LIT("orders"), .partition = 0, .offset = 17, .ts_ms = 1760000012000};
    AUTO(buf_release) struct buf file, out = {.ceiling = 65536};
    struct bytes wanted = vector_read(&file, "messages/dead-letter-handled.json");

    (void)state;
    dead_letter_mark_encode(&out, &mark);
    buf_char(&out, '\n');
    assert_true(bytes_equal(buf_slice(&out), wanted));
}

static void a_letter_of_what_is_no_event_has_no_keys(void **state)
{
    const struct dead_letter letter = {.stage = BYTES_LIT("consumer"),
                                       .reason = BYTES_LIT("no JSON"),
                                       .topic = BYTES_LIT("dynaferry.orders")};
    AUTO(buf_release) struct buf out = {.ceiling = 65536};
    struct dead_letter_seen seen;
    struct error err = {0};

    (void)state;
    dead_letter_encode(&out, &letter);
    assert_int_equal(dead_letter_see(&seen, buf_slice(&out), &err), 0);
    assert_int_equal(seen.keys.len, 0);
}

static void what_is_neither_letter_nor_mark_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"stage\":\"handled\",\"table\":\"t\"}",
        "{\"stage\":\"handled\",\"table\":\"t\",\"letter\":{\"partition\":0}}",
        "{\"stage\":\"handled\",\"table\":\"t\",\"letter\":{\"partition\":0,\"offset\":-1}}",
        "{\"stage\":\"consumer\",\"table\":\"t\"}",
        "{\"stage\":\"consumer\",\"keys\":{}}",
        "{\"stage\":\"consumer\",\"table\":\"t\",\"keys\":\"x\"}",
        "{\"stage\":\"consumer\",\"table\":\"t\",\"keys\":null} x",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct dead_letter_seen seen;
        struct error err = {0};

        if (dead_letter_see(&seen, bytes_of(wrong[i]), &err) == 0)
            fail_msg("%s was taken", wrong[i]);
        assert_int_equal(err.kind, ERR_DATA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_letter_is_encoded_as_its_example),
        cmocka_unit_test(a_dead_letter_of_bytes_that_are_no_text_is_legal_json),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_mark_is_encoded_as_its_example),
        cmocka_unit_test(a_letter_of_what_is_no_event_has_no_keys),
        cmocka_unit_test(what_is_neither_letter_nor_mark_is_refused),
        cmocka_unit_test(of_a_header_that_is_not_ascii_question_marks_are_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
