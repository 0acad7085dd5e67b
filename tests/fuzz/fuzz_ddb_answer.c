/* tests/fuzz/fuzz_ddb_answer.c - any bytes as an answer of DynamoDB or its Streams: every
 * reader gives slices of it or asks again, and leaves its outputs alone when it fails. */
#include <stdlib.h>

#include "common/base/check.h"
#include "common/dynamodb/ddb_error.h"
#include "common/dynamodb/ddb_items.h"
#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_records.h"
#include "common/dynamodb/ddb_stream.h"
#include "common/dynamodb/ddb_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key_schema schema = {.hash = {"pk", 2, 'S'}, .range = {"sk", 2, 'N'}};
static const struct bytes before = {"before", 6};

static void is_within(struct bytes answer, struct bytes slice)
{
    CHECK(slice.len == 0 ||
          (slice.p >= answer.p && slice.p + slice.len <= answer.p + answer.len));
}

static void is_object_within(struct bytes answer, struct bytes slice)
{
    is_within(answer, slice);
    CHECK(slice.len == 0 || (slice.p[0] == '{' && slice.p[slice.len - 1] == '}'));
}

static void is_item_within(struct bytes answer, const struct ddb_item *item)
{
    CHECK(item->json.len > 0);
    is_object_within(answer, item->json);
    is_within(item->json, item->hash);
    is_within(item->json, item->range);
}

static int on_item(void *arg, const struct ddb_item *item, struct error *err)
{
    (void)err;
    is_item_within(*(struct bytes *)arg, item);
    return 0;
}

static int on_record(void *arg, const struct ddb_record *rec, struct error *err)
{
    struct bytes answer = *(struct bytes *)arg;

    (void)err;
    is_item_within(answer, &rec->keys);
    is_object_within(answer, rec->new_image);
    is_object_within(answer, rec->old_image);
    is_within(answer, rec->sequence);
    CHECK(rec->sequence.len > 0 && rec->sequence.p[0] >= '0' && rec->sequence.p[0] <= '9');
    CHECK(rec->event == 'I' || rec->event == 'M' || rec->event == 'R');
    CHECK(rec->created_ms >= -1 && (!rec->ttl || rec->event == 'R'));
    return 0;
}

/* Failed: the output is as it was, and the caller may ask again. */
static void ended(int rc, struct bytes answer, struct bytes output, const struct error *err)
{
    if (rc == 0)
        is_within(answer, output);
    else
        CHECK(err->kind == ERR_RETRY && err->message[0] && output.p == before.p);
}

static void pages(struct bytes answer)
{
    const struct ddb_items_calls calls = {on_item, on_item, &answer};
    struct ddb_scan_end end = {.last = before};
    struct bytes next = before;
    struct error err = {0};

    ended(ddb_scan_read(answer, &schema, on_item, &answer, &end, &err), answer, end.last, &err);
    CHECK(end.consumed_milli >= -1);
    CHECK(ddb_items_read(answer, &schema, &calls, &err) == 0 || err.kind == ERR_RETRY);
    ended(ddb_records_each(answer, &schema, on_record, &answer, &next, &err), answer, next,
          &err);
}

static void tables(struct bytes answer)
{
    struct ddb_names names = {0};
    struct ddb_table *t = NULL;
    struct error err = {0};

    if (ddb_table_read(&t, answer, &err) == 0)
        CHECK(t->name && t->arn && t->id && t->status && t->stream_arn && t->stream_view &&
              t->read_capacity >= 0);
    else
        CHECK(err.kind == ERR_RETRY && !t);
    ddb_table_free(t);
    CHECK(ddb_names_read_page(&names, answer, &err) == 0 || err.kind == ERR_RETRY);
    ddb_names_release(&names);
}

static void streams(struct bytes answer)
{
    struct ddb_stream *s = xcalloc(1, sizeof(*s));
    char *last = NULL, *iterator = NULL;
    struct error err = {0};

    CHECK(ddb_stream_read_page(s, &last, answer, &err) == 0 ||
          (err.kind == ERR_RETRY && !last));
    ddb_stream_merge(s);
    for (size_t i = 0; i < s->shard_count; i++)
        CHECK(s->shards[i].id[0] && s->shards[i].parent && s->shards[i].starting &&
              s->shards[i].ending);
    ddb_stream_free(s);
    free(last);
    CHECK(ddb_stream_iterator_read(&iterator, answer, &err) == 0 || err.kind == ERR_RETRY);
    free(iterator);
}

static void refusals(struct bytes answer)
{
    static const long statuses[] = {400, 403, 429, 500};
    struct error err;

    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct ddb_error_answer r = ddb_error_read(statuses[i], answer, "Scan", &err);

        CHECK(r.error != DDB_OK && err.kind == ddb_error_kind(r.error));
        CHECK(strncmp(err.message, "Scan: ", 6) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes answer = {(const char *)data, size};

    pages(answer);
    tables(answer);
    streams(answer);
    refusals(answer);
    return 0;
}
