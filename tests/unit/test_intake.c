/* Messages become a partition's batch. The stream is the test's own: fetch_stream_pull and
 * fetch_stream_release are wrapped by the linker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consumer/intake.h"

#define SCHEMA(name)                                                                           \
    "[{\"AttributeName\":\"" name "\",\"KeyType\":\"HASH\",\"AttributeType\":\"S\"}]"
#define SOURCE                                                                                 \
    "\"source\":{\"connector\":\"dynamodb\",\"name\":\"p\",\"table\":\"t\",\"snapshot\":true," \
    "\"generation\":7,\"ts_ms\":null}"
#define CONTROL(type, name, rows)                                                              \
    "{\"op\":\"m\",\"ts_ms\":1," SOURCE ",\"keys\":null,\"after\":null,\"control\":{"          \
    "\"type\":\"" type "\",\"key_schema\":" SCHEMA(name) ",\"log_id\":\"l\",\"rows\":" rows    \
                                                         "}}"
#define BEGIN(name) CONTROL("snapshot-begin", name, "true")
#define END CONTROL("snapshot-end", "pk", "true")
#define FIRST 7
#define ROW                                                                                    \
    "{\"op\":\"r\",\"ts_ms\":1," SOURCE ",\"keys\":{\"pk\":{\"S\":\"a\"}},\"after\":{\"pk\":{" \
    "\"S\":\"a\"}}}"

static rd_kafka_message_t messages[4];
static size_t message_count, pulled, released;

size_t __wrap_fetch_stream_pull(struct fetch_stream *s, rd_kafka_message_t **ret, size_t max);
void __wrap_fetch_stream_release(struct fetch_stream *s, rd_kafka_message_t **given,
                                 size_t count);

size_t __wrap_fetch_stream_pull(struct fetch_stream *s, rd_kafka_message_t **ret, size_t max)
{
    size_t n = 0;

    (void)s;
    while (pulled < message_count && n < max)
        ret[n++] = &messages[pulled++];
    return n;
}

void __wrap_fetch_stream_release(struct fetch_stream *s, rd_kafka_message_t **given,
                                 size_t count)
{
    (void)s;
    (void)given;
    released += count;
}

static void add(const char *value, rd_kafka_resp_err_t code)
{
    rd_kafka_message_t *m = &messages[message_count];

    *m = (rd_kafka_message_t){.err = code,
                              .payload = (void *)(uintptr_t)value,
                              .len = value ? strlen(value) : 0,
                              .offset = (int64_t)message_count++};
}

static struct table table = {.name = (char *)"t"};
static struct table_view view = {.first = FIRST};

/* In a generation with this pass. */
static struct partition pulling_in(const char *pass)
{
    struct partition p = {
        .topic = (char *)"p.t", .table = &table, .view = &view, .end_seen = -1};
    struct error err;

    p.position.generation = 7;
    strcpy(p.position.pass, pass);

    pulled = released = 0;
    batch_init(&p.batch);
    assert_int_equal(intake_pull(&p, 100, 100000, &err), 0);
    return p;
}

static struct partition pulling(void)
{
    return pulling_in("");
}

static void let_go_of(struct partition *p)
{
    batch_release(&p->batch);
    free(p->messages);
}

static void the_end_is_seen_behind_all_that_came(void **state)
{
    struct partition p;

    (void)state;
    message_count = 0;
    add(BEGIN("pk"), 0);
    add(ROW, 0);
    add(NULL, RD_KAFKA_RESP_ERR__PARTITION_EOF);
    p = pulling();
    assert_int_equal(p.end_seen, 2);
    assert_int_equal(p.batch.next_offset, 2);
    assert_int_equal(p.begin, 0);
    assert_true(p.begin_rows);
    assert_int_equal(released, 1);
    let_go_of(&p);
}

static void nothing_counts_behind_a_begin_of_another_key_schema(void **state)
{
    struct partition p;

    (void)state;
    message_count = 0;
    add(ROW, 0);
    add(BEGIN("other"), 0);
    add(ROW, 0);
    add(NULL, RD_KAFKA_RESP_ERR__PARTITION_EOF);
    p = pulling();
    assert_int_equal(p.stop, PARTITION_STOP_SCHEMA);
    assert_int_equal(p.batch.next_offset, 1);
    assert_int_equal(p.end_seen,
                     -1); /* else the position would move over what it did not see */
    assert_int_equal(released, 3);
    let_go_of(&p);
}

static void nothing_counts_behind_a_begin_that_is_applied_in_place(void **state)
{
    struct partition p;

    (void)state;
    view.first = 0;
    message_count = 0;
    add(ROW, 0);
    add(BEGIN("pk"), 0);
    add(ROW, 0);
    p = pulling();
    assert_int_equal(p.stop, PARTITION_STOP_BEGIN);
    assert_int_equal(p.batch.next_offset, 1);
    assert_int_equal(p.next_begin.offset, 1);
    assert_int_equal(p.next_begin.generation, 7);
    assert_string_equal(p.next_begin.log_id, "l");
    let_go_of(&p);
    view.first = FIRST;
}

/* Somebody replays what stands before it. */
static void the_first_generation_is_applied_in_place_behind_other_records(void **state)
{
    struct partition p;

    (void)state;
    message_count = 0;
    add(ROW, 0);
    add(BEGIN("pk"), 0);
    p = pulling();
    assert_int_equal(p.stop, PARTITION_STOP_BEGIN);
    assert_int_equal(p.next_begin.offset, 1);
    let_go_of(&p);
}

static void a_begin_without_rows_is_not_applied_in_place(void **state)
{
    struct partition p;

    (void)state;
    view.first = 0;
    message_count = 0;
    add(CONTROL("snapshot-begin", "pk", "false"), 0);
    add(ROW, 0);
    p = pulling();
    assert_int_equal(p.stop, PARTITION_STOP_NOT);
    assert_false(p.begin_rows);
    assert_int_equal(p.batch.next_offset, 2);
    let_go_of(&p);
    view.first = FIRST;
}

static void nothing_counts_behind_the_end_of_a_pass(void **state)
{
    struct partition p;

    (void)state;
    message_count = 0;
    add(ROW, 0);
    add(END, 0);
    add(ROW, 0);
    p = pulling_in("a1");
    assert_int_equal(p.stop, PARTITION_STOP_END);
    assert_int_equal(p.batch.next_offset, 1);
    assert_int_equal(p.end_at, 1);
    let_go_of(&p);
    message_count = 0;
    add(END, 0);
    add(ROW, 0);
    p = pulling();
    assert_int_equal(p.stop, PARTITION_STOP_NOT);
    assert_int_equal(p.batch.next_offset, 2);
    let_go_of(&p);
}

/* Offsets of one log only grow: what goes back is of another one. */
static void a_message_or_an_end_that_goes_back_stops_the_reading(void **state)
{
    static const rd_kafka_resp_err_t codes[] = {0, RD_KAFKA_RESP_ERR__PARTITION_EOF};
    struct partition p;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        message_count = 0;
        add(ROW, 0);
        add(ROW, 0);
        add(codes[i] ? NULL : ROW, codes[i]);
        add(ROW, 0);
        messages[2].offset = 1;
        p = pulling();
        assert_int_equal(p.stop, PARTITION_STOP_LOG);
        assert_int_equal(p.batch.next_offset, 2);
        assert_int_equal(p.end_seen, -1);
        assert_int_equal(released, 2);
        let_go_of(&p);
    }
}

static void an_offset_that_the_log_does_not_have_stops_the_reading(void **state)
{
    static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
                                                RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE};
    struct partition p;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        message_count = 0;
        add(NULL, codes[i]);
        p = pulling();
        assert_int_equal(p.stop, PARTITION_STOP_LOG);
        let_go_of(&p);
    }
}

static int prepare(void **state)
{
    struct error err;

    (void)state;
    return key_schema_read(&view.schema, bytes_of(SCHEMA("pk")), &err);
}

static int clean_up(void **state)
{
    (void)state;
    key_schema_release(&view.schema);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_is_seen_behind_all_that_came),
        cmocka_unit_test(a_message_or_an_end_that_goes_back_stops_the_reading),
        cmocka_unit_test(an_offset_that_the_log_does_not_have_stops_the_reading),
        cmocka_unit_test(nothing_counts_behind_a_begin_of_another_key_schema),
        cmocka_unit_test(nothing_counts_behind_a_begin_that_is_applied_in_place),
        cmocka_unit_test(the_first_generation_is_applied_in_place_behind_other_records),
        cmocka_unit_test(a_begin_without_rows_is_not_applied_in_place),
        cmocka_unit_test(nothing_counts_behind_the_end_of_a_pass),
    };

    return cmocka_run_group_tests(tests, prepare, clean_up);
}
