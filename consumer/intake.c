#include "consumer/intake.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/json/json_text.h"
#include "common/run/log.h"
#include "consumer/pass.h"

#define PULL_MAX 256

/* ---- control records ---- */

static bool schema_is_ours(const struct partition *p, const struct event *ev)
{
    struct key_schema schema = {0};
    struct error ignored;
    bool same;

    if (key_schema_read(&schema, ev->control.key_schema, &ignored) < 0)
        return false;
    same = key_schema_equal(&schema, &p->view->schema);
    key_schema_release(&schema);
    return same;
}

/* What it begins is applied in place, and begins only when all before it is applied. */
static void stop_at_begin(struct partition *p, const struct event *ev, int64_t offset)
{
    struct pass_begin *next = &p->next_begin;

    p->stop = PARTITION_STOP_BEGIN;
    *next = (struct pass_begin){.offset = offset, .generation = ev->source.generation};
    memcpy(next->log_id, ev->control.log_id.p, ev->control.log_id.len);
}

static void stop_at_end(struct partition *p, int64_t offset)
{
    p->stop = PARTITION_STOP_END;
    p->end_at = offset;
}

static void take_begin(struct partition *p, const struct event *ev, int64_t offset)
{
    p->begin = offset;
    p->begin_rows = ev->control.rows;
    batch_begin(&p->batch, ev->source.generation, ev->control.log_id);
    log_info("generation began",
             "table=%s topic=%s partition=%" PRId32 " generation=%" PRId64 " rows=%s",
             p->table->name, p->topic, p->number, ev->source.generation,
             ev->control.rows ? "true" : "false");
}

static void take_control(struct partition *p, const struct event *ev, int64_t offset)
{
    switch (ev->control.type) {
    case CONTROL_SNAPSHOT_BEGIN:
        take_begin(p, ev, offset);
        break;
    case CONTROL_SNAPSHOT_END:
        log_info("generation's rows ended",
                 "table=%s topic=%s partition=%" PRId32 " generation=%" PRId64, p->table->name,
                 p->topic, p->number, ev->source.generation);
        break;
    case CONTROL_SKIPPED:
        pass_see_skipped(p, ev->keys);
        break;
    case CONTROL_NONE:
        break;
    }
}

/* ---- events ---- */

/* NULL: an event of this table. */
static const char *wrong_with(const struct partition *p, const struct event *ev)
{
    if (!json_raw_is(ev->source.table, bytes_of(p->table->name)))
        return "an event of another table";
    if (ev->op == EVENT_CONTROL) {
        if (ev->control.type == CONTROL_SNAPSHOT_BEGIN &&
            ev->control.log_id.len >= sizeof(p->batch.log_id))
            return "a begin with an absurd log id";
        return NULL;
    }
    if (!ev->keys.len)
        return "an event without keys";
    if (ev->op != EVENT_DELETE && !ev->after.len)
        return "an event without an image";
    return NULL;
}

/* A begin of another key schema ends what this view can convert: it is read again when the
 * table was prepared anew. */
static bool begins_other_schema(const struct partition *p, const struct event *ev)
{
    return ev->op == EVENT_CONTROL && ev->control.type == CONTROL_SNAPSHOT_BEGIN &&
           !schema_is_ours(p, ev);
}

/* A record that is not taken in before everything in hand is applied. */
static bool stops(struct partition *p, const struct event *ev, int64_t offset)
{
    if (begins_other_schema(p, ev))
        p->stop = PARTITION_STOP_SCHEMA;
    else if (pass_is_wanted(p, ev, offset))
        stop_at_begin(p, ev, offset);
    else if (pass_is_at_end(p, ev))
        stop_at_end(p, offset);
    return p->stop != PARTITION_STOP_NOT;
}

static void saw(struct partition *p, const rd_kafka_message_t *m)
{
    if (!partition_has_batch(p))
        p->oldest_at = clock_mono_ms();
    batch_saw(&p->batch, m->offset, m->len + m->key_len);
}

/* Which key it is about can't be told (ev NULL), or only that. */
static void refuse(struct partition *p, rd_kafka_message_t *m, const struct event *ev,
                   const char *reason)
{
    if (ev && ev->keys.len)
        pass_see_skipped(p, ev->keys);
    else
        pass_see_unreadable(p);
    saw(p, m);
    partition_keep(p, m);
    partition_refuse(p, m, reason);
}

/* Into the batch, or put aside. */
static void take_message(struct partition *p, rd_kafka_message_t *m)
{
    struct error err;
    struct event ev;
    const char *wrong;

    if (!m->payload || event_decode(&ev, (struct bytes){m->payload, m->len}, &err) < 0) {
        refuse(p, m, NULL, m->payload ? err.message : "a message without a value");
        return;
    }
    if ((wrong = wrong_with(p, &ev))) {
        refuse(p, m, &ev, wrong);
        return;
    }
    if (stops(p, &ev, m->offset)) {
        fetch_stream_release(p->stream, &m, 1);
        return;
    }
    saw(p, m);
    partition_keep(p, m);
    if (ev.op == EVENT_CONTROL)
        take_control(p, &ev, m->offset);
    else
        batch_add(&p->batch, &ev, m->offset, m);
}

/* ---- the stream ---- */

/* Behind what was taken in: a log never goes back. */
static int64_t next_offset(const struct partition *p)
{
    return partition_has_batch(p) ? p->batch.next_offset : p->position.applied;
}

static int take_error(struct partition *p, const rd_kafka_message_t *m, struct error *err)
{
    switch (m->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (m->offset < next_offset(p))
            p->stop = PARTITION_STOP_LOG;
        else
            p->end_seen = m->offset;
        return 0;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        p->stop = PARTITION_STOP_LOG;
        return 0;
    default:
        return error_set(err, ERR_RETRY, "%s", rd_kafka_message_errstr(m));
    }
}

static int take(struct partition *p, rd_kafka_message_t *m, struct error *err)
{
    int result = 0;

    if (!m->err && p->stop == PARTITION_STOP_NOT && m->offset < next_offset(p))
        p->stop = PARTITION_STOP_LOG;
    if (!m->err && p->stop == PARTITION_STOP_NOT) {
        p->end_seen = -1;
        take_message(p, m);
        return 0;
    }
    if (p->stop == PARTITION_STOP_NOT) /* behind a stop nothing counts, not even the end */
        result = m->err ? take_error(p, m, err) : 0;
    fetch_stream_release(p->stream, &m, 1);
    return result;
}

int intake_pull(struct partition *p, size_t max_count, size_t max_bytes, struct error *err)
{
    rd_kafka_message_t *messages[PULL_MAX];
    int result = 0;

    while (p->stop == PARTITION_STOP_NOT && result == 0 &&
           !batch_is_full(&p->batch, max_count, max_bytes)) {
        size_t room = max_count - p->batch.count;
        size_t n = fetch_stream_pull(p->stream, messages, MIN(room, PULL_MAX));

        if (n == 0)
            break;
        for (size_t i = 0; i < n; i++)
            if (take(p, messages[i], err) < 0)
                result = -1;
    }
    return result;
}
