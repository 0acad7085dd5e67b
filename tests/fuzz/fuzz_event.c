/* tests/fuzz/fuzz_event.c - any bytes: what is decoded lies within the message, and is the same
 * after encoding and decoding it again. */
#include "common/base/check.h"
#include "common/messages/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct bytes slice, struct bytes message)
{
    CHECK(!slice.len || (slice.p >= message.p && slice.len <= message.len &&
                         slice.p + slice.len <= message.p + message.len));
}

static void check_slices(const struct event *ev, struct bytes message)
{
    const struct bytes slices[] = {
        ev->source.name, ev->source.table,       ev->keys,           ev->after,
        ev->before,      ev->control.key_schema, ev->control.log_id, ev->control.reason,
    };

    for (size_t i = 0; i < ARRAY_LEN(slices); i++)
        check_within(slices[i], message);
}

static void check_same(const struct event *a, const struct event *b)
{
    CHECK(a->op == b->op && a->ts_ms == b->ts_ms);
    CHECK(bytes_equal(a->source.name, b->source.name));
    CHECK(bytes_equal(a->source.table, b->source.table));
    CHECK(a->source.snapshot == b->source.snapshot && a->source.ttl == b->source.ttl);
    CHECK(a->source.generation == b->source.generation && a->source.ts_ms == b->source.ts_ms);
    CHECK(bytes_equal(a->keys, b->keys) && bytes_equal(a->after, b->after));
    CHECK(bytes_equal(a->before, b->before) && a->control.type == b->control.type);
    if (a->control.type == CONTROL_SKIPPED) {
        CHECK(bytes_equal(a->control.reason, b->control.reason));
    } else if (a->control.type) {
        CHECK(bytes_equal(a->control.key_schema, b->control.key_schema));
        CHECK(bytes_equal(a->control.log_id, b->control.log_id));
        CHECK(a->control.rows == b->control.rows);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes message = {(const char *)data, size};
    struct event ev, again;
    struct error err;
    struct buf out;

    if (event_decode(&ev, message, &err) < 0) {
        CHECK(err.kind == ERR_DATA);
        return 0;
    }
    check_slices(&ev, message);
    buf_init(&out, size + 1024);
    event_encode(&out, &ev);
    CHECK(!out.overflow && event_decode(&again, buf_slice(&out), &err) == 0);
    check_same(&ev, &again);
    buf_release(&out);
    return 0;
}
