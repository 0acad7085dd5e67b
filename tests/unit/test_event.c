/* The envelope: what is encoded is the checked-in example byte for byte, what is decoded is
 * what was encoded, and nothing else is taken. */
#include "common/messages/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_vector.h"

#define PK_SK_7 "{\"pk\":{\"S\":\"u1\"},\"sk\":{\"N\":\"7\"}}"
#define PK_SK_8 "{\"pk\":{\"S\":\"u1\"},\"sk\":{\"N\":\"8\"}}"
#define SCHEMA                                                                                 \
    "[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\",\"AttributeType\":\"S\"},"                \
    "{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\",\"AttributeType\":\"N\"}]"
#define TOO_LARGE "a message of 9437184 bytes is larger than topic.max.message.bytes"
#define SOURCE(is_row, time)                                                                   \
    {                                                                                          \
        .name = BYTES_LIT("dynaferry"), .table = BYTES_LIT("orders"), .snapshot = (is_row),    \
        .generation = 1760000000000, .ts_ms = (time),                                          \
    }

static const struct {
    const char *example; /* tests/vectors/messages/<example>.json */
    struct event ev;
} examples[] = {
    {"event-row",
     {.op = EVENT_ROW,
      .ts_ms = 1760000000123,
      .source = SOURCE(true, -1),
      .keys = BYTES_LIT(PK_SK_7),
      .after = BYTES_LIT("{\"pk\":{\"S\":\"u1\"},\"sk\":{\"N\":\"7.0\"},\"total\":{\"N\":"
                         "\"12345678901234567890123456789012345678\"}}")}},
    {"event-create",
     {.op = EVENT_CREATE,
      .ts_ms = 1760000001500,
      .source = SOURCE(false, 1760000001000),
      .keys = BYTES_LIT(PK_SK_8),
      .after = BYTES_LIT("{\"sk\":{\"N\":\"8\"},\"pk\":{\"S\":\"u1\"},\"tags\":{\"SS\":"
                         "[\"new\"]},\"empty\":{}}")}},
    {"event-update",
     {.op = EVENT_UPDATE,
      .ts_ms = 1760000002500,
      .source = SOURCE(false, 1760000002000),
      .keys = BYTES_LIT(PK_SK_8),
      .after =
          BYTES_LIT("{\"pk\":{\"S\":\"u1\"},\"sk\":{\"N\":\"8\"},\"paid\":{\"BOOL\":true}}"),
      .before = BYTES_LIT(PK_SK_8)}},
    {"event-delete",
     {.op = EVENT_DELETE,
      .ts_ms = 1760000003500,
      .source = {.name = BYTES_LIT("dynaferry"),
                 .table = BYTES_LIT("orders"),
                 .generation = 1760000000000,
                 .ts_ms = 1760000003000,
                 .ttl = true},
      .keys = BYTES_LIT(PK_SK_8)}},
    {"event-snapshot-begin",
     {.op = EVENT_CONTROL,
      .ts_ms = 1760000000000,
      .source = SOURCE(true, -1),
      .control = {.type = CONTROL_SNAPSHOT_BEGIN,
                  .key_schema = BYTES_LIT(SCHEMA),
                  .log_id = BYTES_LIT("9f86d081884c7d65"),
                  .rows = true}}},
    {"event-snapshot-end",
     {.op = EVENT_CONTROL,
      .ts_ms = 1760000900000,
      .source = SOURCE(true, -1),
      .control = {.type = CONTROL_SNAPSHOT_END,
                  .key_schema = BYTES_LIT(SCHEMA),
                  .log_id = BYTES_LIT("9f86d081884c7d65"),
                  .rows = true}}},
    {"event-skipped",
     {.op = EVENT_CONTROL,
      .ts_ms = 1760000004500,
      .source = SOURCE(false, 1760000004000),
      .keys = BYTES_LIT("{\"pk\":{\"S\":\"u2\"},\"sk\":{\"N\":\"1\"}}"),
      .control = {.type = CONTROL_SKIPPED, .reason = BYTES_LIT(TOO_LARGE)}}},
};

static void assert_bytes_equal(struct bytes a, struct bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len)
        assert_memory_equal(a.p, b.p, a.len);
}

static void assert_event_equal(const struct event *a, const struct event *b)
{
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->ts_ms, b->ts_ms);
    assert_bytes_equal(a->source.name, b->source.name);
    assert_bytes_equal(a->source.table, b->source.table);
    assert_int_equal(a->source.snapshot, b->source.snapshot);
    assert_int_equal(a->source.generation, b->source.generation);
    assert_int_equal(a->source.ts_ms, b->source.ts_ms);
    assert_int_equal(a->source.ttl, b->source.ttl);
    assert_bytes_equal(a->keys, b->keys);
    assert_bytes_equal(a->after, b->after);
    assert_bytes_equal(a->before, b->before);
    assert_int_equal(a->control.type, b->control.type);
    assert_bytes_equal(a->control.key_schema, b->control.key_schema);
    assert_bytes_equal(a->control.log_id, b->control.log_id);
    assert_int_equal(a->control.rows, b->control.rows);
    assert_bytes_equal(a->control.reason, b->control.reason);
}

static void an_event_is_encoded_as_its_example(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct buf wanted, out;

        vector_read_message(&wanted, examples[i].example);
        buf_init(&out, 65536);
        event_encode(&out, &examples[i].ev);
        assert_bytes_equal(buf_slice(&out), buf_slice(&wanted));
        buf_release(&out);
        buf_release(&wanted);
    }
}

static void an_example_is_decoded_to_its_event(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct buf text;
        struct event ev;
        struct error err;

        vector_read_message(&text, examples[i].example);
        assert_int_equal(event_decode(&ev, buf_slice(&text), &err), 0);
        assert_event_equal(&ev, &examples[i].ev);
        assert_true(ev.source.table.p > text.p && ev.source.table.p < text.p + text.len);
        buf_release(&text);
    }
}

static void members_in_any_order_and_unknown_ones_change_nothing(void **state)
{
    static const char text[] =
        " { \"after\" : {\"pk\":{\"S\":\"\\u0061\"}}, \"new\":[1,{\"op\":\"d\"}], \"source\":"
        "{\"ts_ms\":5,\"ttl\":false,\"generation\":7,\"snapshot\":false,\"x\":null,"
        "\"t\\u0061ble\":\"abc\",\"name\":\"p\",\"connector\":\"dynamodb\"}, \"keys\":"
        "{\"pk\":{\"S\":\"a\"}},\"ts_ms\":6,\"before\":null,\"op\":\"u\"}\n";
    struct event ev;
    struct error err;

    (void)state;
    assert_int_equal(event_decode(&ev, BYTES_LIT(text), &err), 0);
    assert_int_equal(ev.op, EVENT_UPDATE);
    assert_int_equal(ev.ts_ms, 6);
    assert_int_equal(ev.source.ts_ms, 5);
    assert_int_equal(ev.source.generation, 7);
    assert_true(bytes_is(ev.source.table, "abc"));
    assert_true(bytes_is(ev.after, "{\"pk\":{\"S\":\"\\u0061\"}}"));
    assert_int_equal(ev.before.len, 0);
}

#define SRC                                                                                    \
    "\"source\":{\"connector\":\"dynamodb\",\"name\":\"p\",\"table\":\"abc\",\"snapshot\":"    \
    "false,\"generation\":7,\"ts_ms\":5}"
#define KEYS ",\"keys\":{\"pk\":{\"S\":\"a\"}}"
#define AFTER ",\"after\":{\"pk\":{\"S\":\"a\"}}"
#define GOOD "{\"op\":\"u\",\"ts_ms\":6," SRC KEYS AFTER
#define BEGIN_OF(members)                                                                      \
    "{\"op\":\"m\",\"ts_ms\":6," SRC ",\"keys\":null,\"after\":null,\"control\":{" members "}" \
    "}"

static const struct {
    const char *text;
    const char *message; /* a part of it */
} refused[] = {
    {"", "an object was expected"},
    {"[]", "an object was expected"},
    {"null", "an object was expected"},
    {GOOD, "was expected at byte"},
    {GOOD "} x", "more text behind the value"},
    {GOOD ",\"op\":\"u\"}", "\"op\" twice"},
    {GOOD ",\"\\u006fp\":\"d\"}", "\"op\" twice"},
    {GOOD ",\"before\":{},\"before\":{}}", "\"before\" twice"},
    {GOOD ",\"before\":\"x\"}", "an object was expected"},
    {GOOD ",\"control\":{\"type\":\"skipped\",\"reason\":\"r\"}}", "with \"control\""},
    {"{\"ts_ms\":6," SRC KEYS AFTER "}", "no \"op\""},
    {"{\"op\":\"u\"," SRC KEYS AFTER "}", "no \"ts_ms\""},
    {"{\"op\":\"u\",\"ts_ms\":6" KEYS AFTER "}", "no \"source\""},
    {"{\"op\":\"u\",\"ts_ms\":6," SRC AFTER "}", "no \"keys\""},
    {"{\"op\":\"u\",\"ts_ms\":6," SRC KEYS "}", "no \"after\""},
    {"{\"op\":\"x\",\"ts_ms\":6," SRC KEYS AFTER "}", "unknown op"},
    {"{\"op\":\"\",\"ts_ms\":6," SRC KEYS AFTER "}", "unknown op"},
    {"{\"op\":\"uu\",\"ts_ms\":6," SRC KEYS AFTER "}", "unknown op"},
    {"{\"op\":1,\"ts_ms\":6," SRC KEYS AFTER "}", "a string was expected"},
    {"{\"op\":\"u\",\"ts_ms\":6.5," SRC KEYS AFTER "}", "an integer was expected"},
    {"{\"op\":\"u\",\"ts_ms\":9223372036854775808," SRC KEYS AFTER "}", "does not fit"},
    {"{\"op\":\"d\",\"ts_ms\":6," SRC KEYS AFTER "}", "op \"d\" with an image"},
    {"{\"op\":\"u\",\"ts_ms\":6," SRC KEYS ",\"after\":null}", "op \"u\" without an image"},
    {"{\"op\":\"u\",\"ts_ms\":6," SRC ",\"keys\":null" AFTER "}", "op \"u\" without keys"},
    {"{\"op\":\"m\",\"ts_ms\":6," SRC ",\"keys\":null,\"after\":null}", "without \"control\""},
    {"{\"op\":\"u\",\"ts_ms\":6,\"source\":{}" KEYS AFTER "}", "source has no \"connector\""},
    {"{\"op\":\"u\",\"ts_ms\":6,\"source\":null" KEYS AFTER "}", "an object was expected"},
    {"{\"op\":\"u\",\"ts_ms\":6,\"source\":{\"connector\":\"mysql\",\"name\":\"p\",\"table\":"
     "\"abc\",\"snapshot\":false,\"generation\":7,\"ts_ms\":5}" KEYS AFTER "}",
     "connector"},
    {"{\"op\":\"u\",\"ts_ms\":6,\"source\":{\"connector\":\"dynamodb\",\"name\":\"p\","
     "\"table\":\"abc\",\"snapshot\":false,\"generation\":7,\"ts_ms\":-5}" KEYS AFTER "}",
     "negative time"},
    {"{\"op\":\"u\",\"ts_ms\":6,\"source\":{\"connector\":\"dynamodb\",\"name\":\"p\","
     "\"table\":\"abc\",\"snapshot\":false,\"generation\":-7,\"ts_ms\":5}" KEYS AFTER "}",
     "negative generation"},
    {"{\"op\":\"u\",\"ts_ms\":6,\"source\":{\"connector\":\"dynamodb\",\"name\":\"p\","
     "\"table\":\"\",\"snapshot\":false,\"generation\":7,\"ts_ms\":5}" KEYS AFTER "}",
     "no table"},
    {BEGIN_OF(""), "control has no \"type\""},
    {BEGIN_OF("\"type\":\"other\""), "unknown type"},
    {BEGIN_OF("\"type\":\"snapshot-begin\""), "control has no \"key_schema\""},
    {BEGIN_OF("\"type\":\"snapshot-begin\",\"key_schema\":" SCHEMA ",\"log_id\":\"x\""),
     "control has no \"rows\""},
    {BEGIN_OF("\"type\":\"skipped\""), "control has no \"reason\""},
    {BEGIN_OF("\"type\":\"skipped\",\"reason\":\"r\""), "without keys"},
};

static void what_is_no_envelope_is_a_data_error_that_says_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct event ev = {.ts_ms = 42};
        struct error err = {0};

        if (event_decode(&ev, bytes_of(refused[i].text), &err) == 0)
            fail_msg("taken: %s", refused[i].text);
        assert_int_equal(err.kind, ERR_DATA);
        if (!strstr(err.message, refused[i].message))
            fail_msg("\"%s\" for: %s", err.message, refused[i].text);
        assert_int_equal(ev.ts_ms, 42);
    }
}

static void every_cut_of_a_message_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct buf text;
        struct event ev;
        struct error err;

        vector_read_message(&text, examples[i].example);
        for (size_t len = 0; len < text.len; len++)
            assert_int_equal(event_decode(&ev, (struct bytes){text.p, len}, &err), -1);
        buf_release(&text);
    }
}

static void a_control_name_is_its_own_inverse(void **state)
{
    (void)state;
    for (enum event_control c = CONTROL_SNAPSHOT_BEGIN; c <= CONTROL_SKIPPED; c++)
        assert_int_equal(event_control_of(bytes_of(event_control_name(c))), c);
    assert_int_equal(event_control_of(BYTES_LIT("")), CONTROL_NONE);
    assert_int_equal(event_control_of(BYTES_LIT("snapshot")), CONTROL_NONE);
}

static void the_buffers_ceiling_is_noticed(void **state)
{
    struct buf text;

    (void)state;
    vector_read_message(&text, examples[1].example);
    for (size_t ceiling = 0; ceiling <= text.len; ceiling++) {
        struct buf out;

        buf_init(&out, ceiling);
        event_encode(&out, &examples[1].ev);
        assert_int_equal(out.overflow, ceiling < text.len);
        assert_true(out.len <= ceiling);
        buf_release(&out);
    }
    buf_release(&text);
}

static void extreme_integers_survive(void **state)
{
    struct event ev = examples[0].ev, back;
    struct error err;
    struct buf out;

    (void)state;
    ev.ts_ms = INT64_MIN;
    ev.source.generation = INT64_MAX;
    ev.source.ts_ms = 0;
    buf_init(&out, 65536);
    event_encode(&out, &ev);
    assert_int_equal(event_decode(&back, buf_slice(&out), &err), 0);
    assert_event_equal(&back, &ev);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_encoded_as_its_example),
        cmocka_unit_test(an_example_is_decoded_to_its_event),
        cmocka_unit_test(members_in_any_order_and_unknown_ones_change_nothing),
        cmocka_unit_test(what_is_no_envelope_is_a_data_error_that_says_why),
        cmocka_unit_test(every_cut_of_a_message_is_refused),
        cmocka_unit_test(a_control_name_is_its_own_inverse),
        cmocka_unit_test(the_buffers_ceiling_is_noticed),
        cmocka_unit_test(extreme_integers_survive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
