#include "producer/append.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/base/text.h"
#include "common/kafka/kafka.h"
#include "common/run/log.h"

#define MAX_HEADERS 3
#define ORIGIN_CEILING 65536
#define KEY_SHOWN 200 /* bytes of a key in a reason */

struct number_text {
    char digits[24];
    size_t len;
};

static struct bytes number_of(struct number_text *text, int64_t n)
{
    text->len = (size_t)snprintf(text->digits, sizeof(text->digits), "%" PRId64, n);
    return (struct bytes){text->digits, text->len};
}

static void event_source(struct event *ev, const struct table_worker *w, int64_t generation)
{
    ev->source.name = bytes_of(w->p->prefix);
    ev->source.table = bytes_of(w->table);
    ev->source.generation = generation;
    ev->source.ts_ms = -1;
}

/* What stands for others can't be left out, whatever it failed for. */
static int must_abort(struct error *err, const char *what)
{
    err->kind = ERR_ABORT;
    return error_prefix(err, "%s", what);
}

/* ---- records that can't be sent ---- */

/* Where the record comes from: shard and sequence number, segment, or signal. */
static void origin_encode(struct buf *out, const struct topic_record *record)
{
    for (size_t i = 0; i < record->header_count; i++)
        dead_letter_header(out, bytes_of(record->headers[i].name), record->headers[i].value);
    if (out->len)
        buf_char(out, '}');
}

/* With the record's bytes where they fit, else without. */
static int append_letter(struct append_context *a, struct topic_record *record,
                         struct dead_letter *letter, struct error *err)
{
    for (int tries = 0; tries < 2; tries++) {
        buf_reset(&a->text);
        dead_letter_encode(&a->text, letter);
        record->value = buf_slice(&a->text);
        if (!a->text.overflow && topic_writer_append(a->w->writer, record, err) == 0)
            return 0;
        if (!a->text.overflow && err->kind != ERR_DATA)
            return -1;
        letter->value = (struct bytes){0};
    }
    return error_set(err, ERR_ABORT, "a dead letter can't be written: " BYTES_FMT,
                     BYTES_ARG(letter->reason));
}

static int append_dead_letter(struct append_context *a, const struct topic_record *refused,
                              const struct event *ev, const char *reason, struct error *err)
{
    struct topic_record record = {.member = &a->w->member,
                                  .topic = a->w->p->dead_letter_topic,
                                  .partition = 0,
                                  .key = refused->key};
    struct dead_letter letter = {
        .stage = BYTES_LIT("producer"),
        .table = bytes_of(a->w->table),
        .reason = bytes_of(reason),
        .topic = bytes_of(a->w->topic),
        .partition = refused->partition,
        .offset = -1,
        .generation = ev->source.generation,
        .keys = ev->keys,
        .value = refused->value,
        .ts_ms = ev->ts_ms,
    };
    struct buf origin;
    int result;

    buf_init(&origin, ORIGIN_CEILING);
    origin_encode(&origin, refused);
    letter.headers = origin.overflow ? (struct bytes){0} : buf_slice(&origin);
    if (poison_bare_dead_letters(a->w->poison, letter.topic))
        letter.value = (struct bytes){0};
    result = append_letter(a, &record, &letter, err);
    buf_release(&origin);
    return result;
}

static int append_skipped(struct append_context *a, const struct topic_record *refused,
                          const struct event *ev, const char *reason, struct error *err)
{
    struct event skipped = *ev;
    struct record_header headers[MAX_HEADERS + 1];
    struct topic_record record = *refused;

    CHECK(refused->header_count <= MAX_HEADERS);
    skipped.op = EVENT_CONTROL;
    skipped.after = skipped.before = (struct bytes){0};
    skipped.control.type = CONTROL_SKIPPED;
    skipped.control.reason = bytes_of(reason);
    memcpy(headers, refused->headers, refused->header_count * sizeof(*headers));
    headers[refused->header_count] = (struct record_header){
        EVENT_HEADER_CONTROL, bytes_of(event_control_name(CONTROL_SKIPPED))};
    record.headers = headers;
    record.header_count = refused->header_count + 1;
    buf_reset(&a->value);
    event_encode(&a->value, &skipped);
    record.value = buf_slice(&a->value);
    if (topic_writer_append(a->w->writer, &record, err) < 0)
        return err->kind == ERR_DATA ? error_set(err, ERR_ABORT, "a skipped record: %s", reason)
                                     : -1;
    return 0;
}

/* errors.tolerance = none. What the record was refused for may be gone when the table is looked
 * at again: then it is sent like any other. */
static int halt_for(struct append_context *a, const struct event *ev, struct error *err)
{
    size_t len = text_cut(ev->keys, KEY_SHOWN);
    AUTO(free_charp)
    char *reason = xasprintf("record " BYTES_FMT "%s can't be sent: %s",
                             BYTES_ARG(((struct bytes){ev->keys.p, len})),
                             len < ev->keys.len ? "..." : "", err->message);

    poison_forget(a->w->poison, bytes_of(a->w->topic));
    table_worker_halt(a->w, PHASE_FAILED, reason);
    return error_set(err, ERR_ABORT, "%s", reason);
}

static int append_refused(struct append_context *a, const struct topic_record *record,
                          const struct event *ev, struct error *err)
{
    char reason[sizeof(err->message)];

    if (a->w->p->errors_halt)
        return halt_for(a, ev, err);
    memcpy(reason, err->message, sizeof(reason));
    metric_add(a->w->metrics.dead_letters, 1);
    log_warn("record goes to the dead letters", "table=%s partition=%" PRId32 " reason=%s",
             a->w->table, record->partition, reason);
    if (MUTATED(skipped))
        return 0;
    if (append_dead_letter(a, record, ev, reason, err) < 0)
        return -1;
    return append_skipped(a, record, ev, reason, err);
}

static struct bytes header_of(const struct topic_record *record, const char *name)
{
    for (size_t i = 0; i < record->header_count; i++)
        if (strcmp(record->headers[i].name, name) == 0)
            return record->headers[i].value;
    return (struct bytes){0};
}

/* ERR_DATA: the broker has refused this record alone. */
static int check_poison(struct table_worker *w, const struct topic_record *record,
                        const struct event *ev, struct error *err)
{
    const struct poison_record poison = {.topic = bytes_of(w->topic),
                                         .shard = header_of(record, EVENT_HEADER_SHARD),
                                         .sequence = header_of(record, EVENT_HEADER_SEQUENCE),
                                         .keys = ev->keys};
    char reason[128];

    if (!poison_take(w->poison, &poison, reason, sizeof(reason)))
        return 0;
    return error_set(err, ERR_DATA, "refused by Kafka: %s", reason);
}

/* ---- rows and changes ---- */

/* Keys, partition and value of an event whose images are set; then it is appended. */
static int append_event(struct append_context *a, struct event *ev, const struct ddb_item *item,
                        const struct record_header *headers, size_t header_count,
                        struct error *err)
{
    struct topic_record record = {.member = &a->w->member,
                                  .topic = a->w->topic,
                                  .handle = a->w->topic_handle,
                                  .headers = headers,
                                  .header_count = header_count};

    buf_reset(&a->message_key);
    buf_reset(&a->keys);
    buf_reset(&a->value);
    if (ddb_item_keys(&a->message_key, &a->keys, item, &a->w->schema, err) < 0)
        return -1;
    record.key = buf_slice(&a->message_key);
    ev->keys = buf_slice(&a->keys);
    if (MUTATED(canonical_key))
        record.key = item->hash;
    record.partition = kafka_partition_of(record.key, a->w->partitions);
    event_encode(&a->value, ev);
    record.value = buf_slice(&a->value);
    if (a->value.overflow)
        error_set(err, ERR_DATA, "larger than topic.max.message.bytes");
    else if ((!poison_any(a->w->poison) || check_poison(a->w, &record, ev, err) == 0) &&
             topic_writer_append(a->w->writer, &record, err) == 0)
        return 0;
    return err->kind == ERR_DATA ? append_refused(a, &record, ev, err) : -1;
}

int append_row(struct append_context *a, const struct append_origin *origin,
               const struct ddb_item *item, struct error *err)
{
    struct number_text segment, generation;
    const struct record_header headers[] = {
        {EVENT_HEADER_SEGMENT, number_of(&segment, origin->segment)},
        {EVENT_HEADER_GENERATION, number_of(&generation, origin->generation)}};
    struct event ev = {.op = EVENT_ROW, .ts_ms = origin->read_ms, .after = item->json};

    event_source(&ev, a->w, origin->generation);
    ev.source.snapshot = true;
    return append_event(a, &ev, item, headers, ARRAY_LEN(headers), err);
}

static enum event_op op_of(const struct ddb_record *rec)
{
    switch (rec->event) {
    case 'I':
        return EVENT_CREATE;
    case 'M':
        return EVENT_UPDATE;
    default:
        return EVENT_DELETE;
    }
}

int append_change(struct append_context *a, const struct append_origin *origin,
                  const struct ddb_record *rec, struct error *err)
{
    struct number_text generation;
    const struct record_header headers[] = {
        {EVENT_HEADER_SHARD, origin->shard},
        {EVENT_HEADER_SEQUENCE, rec->sequence},
        {EVENT_HEADER_GENERATION, number_of(&generation, origin->generation)}};
    struct event ev = {.op = op_of(rec), .ts_ms = origin->read_ms};

    event_source(&ev, a->w, origin->generation);
    ev.source.ts_ms = rec->created_ms;
    ev.source.ttl = rec->ttl;
    if (ev.op != EVENT_DELETE && rec->new_image.len == 0)
        return error_set(err, ERR_RETRY, "record " BYTES_FMT " has no new image",
                         BYTES_ARG(rec->sequence));
    if (ev.op != EVENT_DELETE)
        ev.after = rec->new_image;
    if (a->w->p->event_before)
        ev.before = rec->old_image;
    return append_event(a, &ev, &rec->keys, headers, ARRAY_LEN(headers), err);
}

static int append_repaired(struct append_context *a, const struct append_origin *origin,
                           enum event_op op, const struct ddb_item *item, struct error *err)
{
    struct number_text offset, generation;
    const struct record_header headers[] = {
        {EVENT_HEADER_SIGNAL, number_of(&offset, origin->signal)},
        {EVENT_HEADER_GENERATION, number_of(&generation, origin->generation)}};
    struct event ev = {.op = op, .ts_ms = origin->read_ms};

    event_source(&ev, a->w, origin->generation);
    if (op == EVENT_ROW)
        ev.after = item->json;
    return append_event(a, &ev, item, headers, ARRAY_LEN(headers), err);
}

int append_repaired_row(struct append_context *a, const struct append_origin *origin,
                        const struct ddb_item *item, struct error *err)
{
    return append_repaired(a, origin, EVENT_ROW, item, err);
}

int append_repaired_delete(struct append_context *a, const struct append_origin *origin,
                           const struct ddb_item *key, struct error *err)
{
    return append_repaired(a, origin, EVENT_DELETE, key, err);
}

int append_control(struct append_context *a, enum event_control type,
                   const struct ledger_table *t, int64_t *ret_offsets, struct error *err)
{
    struct number_text generation;
    const struct record_header headers[] = {
        {EVENT_HEADER_CONTROL, bytes_of(event_control_name(type))},
        {EVENT_HEADER_GENERATION, number_of(&generation, t->generation)}};
    struct event ev = {.op = EVENT_CONTROL, .ts_ms = clock_wall_ms()};
    struct topic_record record = {.member = &a->w->member,
                                  .topic = a->w->topic,
                                  .handle = a->w->topic_handle,
                                  .headers = headers,
                                  .header_count = ARRAY_LEN(headers)};

    buf_reset(&a->message_key);
    buf_printf(&a->message_key, "{\"control\":\"%s\"}", event_control_name(type));
    record.key = buf_slice(&a->message_key); /* a compacted topic takes no record without one */
    event_source(&ev, a->w, t->generation);
    ev.source.snapshot = t->rows;
    buf_reset(&a->text);
    key_schema_write(&a->text, &t->key_schema);
    ev.control.type = type;
    ev.control.key_schema = buf_slice(&a->text);
    ev.control.log_id = bytes_of(t->log_id);
    ev.control.rows = t->rows;
    buf_reset(&a->value);
    event_encode(&a->value, &ev);
    record.value = buf_slice(&a->value);
    for (record.partition = 0; record.partition < t->partitions; record.partition++) {
        record.ret_offset = ret_offsets ? &ret_offsets[record.partition] : NULL;
        if (topic_writer_append(a->w->writer, &record, err) < 0)
            return must_abort(err, event_control_name(type));
    }
    return 0;
}

/* ---- the ledger ---- */

/* The key is in a->keys, the value in a->text. */
static int append_ledger(struct append_context *a, bool tombstone, struct error *err)
{
    struct topic_record record = {
        .member = &a->w->member,
        .topic = a->w->p->ledger_topic,
        .partition = a->w->ledger_partition,
        .key = buf_slice(&a->keys),
        .value = tombstone ? (struct bytes){0} : buf_slice(&a->text),
    };

    if (topic_writer_append(a->w->writer, &record, err) < 0)
        return must_abort(err, "ledger");
    return 0;
}

static void ledger_bufs(struct append_context *a)
{
    buf_reset(&a->keys);
    buf_reset(&a->text);
}

int append_ledger_table(struct append_context *a, const struct ledger_table *t,
                        struct error *err)
{
    ledger_bufs(a);
    ledger_table_key(&a->keys, a->w->table);
    ledger_table_encode(&a->text, t);
    return append_ledger(a, false, err);
}

int append_ledger_segment(struct append_context *a, const struct ledger_segment *segment_record,
                          struct error *err)
{
    ledger_bufs(a);
    ledger_segment_key(&a->keys, a->w->table, segment_record->segment);
    ledger_segment_encode(&a->text, segment_record);
    return append_ledger(a, false, err);
}

int append_ledger_shard(struct append_context *a, const struct ledger_shard *shard_record,
                        struct error *err)
{
    ledger_bufs(a);
    ledger_shard_key(&a->keys, a->w->table, shard_record->id);
    ledger_shard_encode(&a->text, shard_record);
    return append_ledger(a, false, err);
}

int append_ledger_shard_tombstone(struct append_context *a, const char *shard,
                                  struct error *err)
{
    ledger_bufs(a);
    ledger_shard_key(&a->keys, a->w->table, shard);
    return append_ledger(a, true, err);
}

int append_ledger_segment_tombstone(struct append_context *a, int64_t segment,
                                    struct error *err)
{
    ledger_bufs(a);
    ledger_segment_key(&a->keys, a->w->table, segment);
    return append_ledger(a, true, err);
}
