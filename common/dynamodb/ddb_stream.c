#include "common/dynamodb/ddb_stream.h"

#include <stdlib.h>

#include "common/base/backoff.h"
#include "common/dynamodb/ddb_read.h"
#include "common/json/json_text.h"
#include "common/run/stop.h"

#define PAGES_AT_MOST 10000 /* a million shards: a service that never ends its list */
#define THROTTLED_TRIES                                                                        \
    8 /* per page: ten calls per second are allowed, a large list takes more */

static void shard_release(struct ddb_shard *shard)
{
    free(shard->id);
    free(shard->parent);
    free(shard->starting);
    free(shard->ending);
}

void ddb_stream_free(struct ddb_stream *stream)
{
    if (!stream)
        return;
    for (size_t i = 0; i < stream->shard_count; i++)
        shard_release(&stream->shards[i]);
    free(stream->shards);
    free(stream->arn);
    free(stream->status);
    free(stream->view);
    free(stream);
}

/* ---- DescribeStream ---- */

static int read_range(struct json_reader *r, void *at, struct error *err)
{
    static const struct json_field list[] = {
        JSON_OPTIONAL("StartingSequenceNumber", struct ddb_shard, starting,
                      &json_fields_text_or_null),
        JSON_OPTIONAL("EndingSequenceNumber", struct ddb_shard, ending,
                      &json_fields_text_or_null),
    };
    static const struct json_fields fields =
        JSON_FIELDS("SequenceNumberRange", struct ddb_shard, list);

    return ddb_read_nested(at, &fields, r, err);
}

static const struct json_kind range_kind = {.read = read_range};

static int read_shard(struct ddb_shard *shard, struct json_reader *r, struct error *err)
{
    static const struct json_field list[] = {
        JSON_FIELD("ShardId", struct ddb_shard, id, &json_fields_text),
        {BYTES_LIT("SequenceNumberRange"), &range_kind, .optional = true},
        JSON_OPTIONAL("ParentShardId", struct ddb_shard, parent, &json_fields_text_or_null),
    };
    static const struct json_fields fields = JSON_FIELDS("a shard", struct ddb_shard, list);

    if (json_fields_read(shard, NULL, &fields, r, err) < 0)
        return -1;
    if (!*shard->id)
        return error_set(err, ERR_DATA, "a shard without a name");
    ddb_read_default(&shard->parent);
    ddb_read_default(&shard->starting);
    ddb_read_default(&shard->ending);
    return 0;
}

/* There may be tens of thousands. */
static void add_shard(struct ddb_stream *stream, const struct ddb_shard *shard)
{
    if (stream->shard_count == stream->shard_room) {
        stream->shard_room = stream->shard_room ? stream->shard_room * 2 : 128;
        stream->shards = xrealloc(stream->shards, stream->shard_room * sizeof(*stream->shards));
    }
    stream->shards[stream->shard_count++] = *shard;
}

static int read_shards(struct json_reader *r, void *at, struct error *err)
{
    if (json_peek(r) == JSON_NULL)
        return json_null(r) ? 0 : -1;
    json_array_begin(r);
    while (json_array_next(r)) {
        struct ddb_shard shard = {0};

        if (read_shard(&shard, r, err) < 0) {
            shard_release(&shard);
            return -1;
        }
        add_shard(at, &shard);
    }
    return json_failed(r) ? -1 : 0;
}

static const struct json_kind shards_kind = {.read = read_shards};

struct page {
    struct ddb_stream stream;
    char *last;
};

static int read_description(struct json_reader *r, void *at, struct error *err)
{
    static const struct json_field list[] = {
        JSON_FIELD("StreamArn", struct page, stream.arn, &json_fields_text),
        JSON_FIELD("StreamStatus", struct page, stream.status, &json_fields_text),
        JSON_OPTIONAL("StreamViewType", struct page, stream.view, &json_fields_text_or_null),
        JSON_OPTIONAL("Shards", struct page, stream, &shards_kind),
        JSON_OPTIONAL("LastEvaluatedShardId", struct page, last, &json_fields_text_or_null),
    };
    static const struct json_fields fields =
        JSON_FIELDS("StreamDescription", struct page, list);

    return json_fields_read(at, NULL, &fields, r, err);
}

static const struct json_kind description_kind = {.read = read_description};

int ddb_stream_read_page(struct ddb_stream *stream, char **ret_last, struct bytes answer,
                         struct error *err)
{
    static const struct json_field list[] = {
        {BYTES_LIT("StreamDescription"), &description_kind}};
    static const struct json_fields fields = JSON_FIELDS("DescribeStream", struct page, list);
    struct page page = {.stream = *stream};
    int result = ddb_read_answer(&page, &fields, answer, err);

    *stream = page.stream;
    if (result < 0) {
        free(page.last);
        return -1;
    }
    ddb_read_default(&stream->view);
    *ret_last = page.last;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct ddb_shard *)a)->id, ((const struct ddb_shard *)b)->id);
}

/* A shard may have been closed between two pages. */
static void merge_shard(struct ddb_shard *kept, struct ddb_shard *again)
{
    if (!*kept->ending && *again->ending) {
        free(kept->ending);
        kept->ending = TAKE(again->ending);
    }
    shard_release(again);
}

void ddb_stream_merge(struct ddb_stream *stream)
{
    size_t kept = 0;

    if (stream->shard_count == 0)
        return;
    qsort(stream->shards, stream->shard_count, sizeof(*stream->shards), by_id);
    for (size_t i = 1; i < stream->shard_count; i++) {
        if (strcmp(stream->shards[kept].id, stream->shards[i].id) == 0)
            merge_shard(&stream->shards[kept], &stream->shards[i]);
        else
            stream->shards[++kept] = stream->shards[i];
    }
    stream->shard_count = kept + 1;
}

static void append_member(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%c\"%s\":", out->len ? ',' : '{', name);
    json_stringify(out, bytes_of(value));
}

/* parent: NULL for the whole list. *last: NULL for the first page; then where to go on, NULL at
 * the end. */
static int describe_page(struct ddb_stream *stream, char **last, struct ddb_client *client,
                         const char *arn, const char *parent, struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = DDB_CLIENT_REQUEST_AT_MOST};
    AUTO(http_answer_release) struct http_answer answer = {0};
    char *next = NULL;

    append_member(&body, "StreamArn", arn);
    if (*last)
        append_member(&body, "ExclusiveStartShardId", *last);
    if (parent) {
        buf_lit(&body, ",\"ShardFilter\":{\"Type\":\"CHILD_SHARDS\",\"ShardId\":");
        json_stringify(&body, bytes_of(parent));
        buf_char(&body, '}');
    }
    buf_char(&body, '}');
    if (ddb_client_call(client, DDB_STREAMS, "DescribeStream", buf_slice(&body), &answer, err) <
        0)
        return -1;
    if (ddb_stream_read_page(stream, &next, buf_slice(&answer.body), err) < 0)
        return ddb_client_broken(client, "DescribeStream", err);
    free(*last);
    *last = next;
    return 0;
}

int ddb_stream_describe_page(struct ddb_stream *stream, char **last, struct ddb_client *client,
                             const char *arn, struct error *err)
{
    return describe_page(stream, last, client, arn, NULL, err);
}

bool ddb_stream_is_of_parent(const struct ddb_stream *stream, const char *parent)
{
    for (size_t i = 0; i < stream->shard_count; i++)
        if (strcmp(stream->shards[i].parent, parent) != 0)
            return false;
    return true;
}

int ddb_stream_children(struct ddb_stream **ret, bool *ret_filtered, struct ddb_client *client,
                        const char *arn, const char *parent, struct error *err)
{
    AUTO(ddb_stream_freep) struct ddb_stream *stream = xcalloc(1, sizeof(*stream));
    AUTO(free_charp) char *last = NULL;

    if (describe_page(stream, &last, client, arn, parent, err) < 0)
        return -1;
    ddb_stream_merge(stream);
    *ret_filtered = !last && ddb_stream_is_of_parent(stream, parent);
    *ret = TAKE(stream);
    return 0;
}

static int page_patiently(struct ddb_stream *stream, char **last, struct ddb_client *client,
                          const char *arn, struct error *err)
{
    struct backoff delay;

    backoff_init(&delay, 100, 2000, NULL, NULL);
    for (int tries = 1;; tries++) {
        if (describe_page(stream, last, client, arn, NULL, err) == 0)
            return 0;
        if (ddb_client_error(client) != DDB_THROTTLED || tries == THROTTLED_TRIES ||
            stop_wait_ms(backoff_next_ms(&delay)))
            return -1;
    }
}

int ddb_stream_describe(struct ddb_stream **ret, struct ddb_client *client, const char *arn,
                        struct error *err)
{
    AUTO(ddb_stream_freep) struct ddb_stream *stream = xcalloc(1, sizeof(*stream));
    AUTO(free_charp) char *last = NULL;
    int pages = 0;

    do {
        if (page_patiently(stream, &last, client, arn, err) < 0)
            return -1;
        if (++pages > PAGES_AT_MOST) {
            ddb_read_lacks("end of the list", err);
            return ddb_client_broken(client, "DescribeStream", err);
        }
    } while (last);
    ddb_stream_merge(stream);
    *ret = TAKE(stream);
    return 0;
}

/* ---- iterators ---- */

int ddb_stream_iterator_read(char **ret, struct bytes answer, struct error *err)
{
    static const struct json_field list[] = {{BYTES_LIT("ShardIterator"), &json_fields_text}};
    static const struct json_fields fields = JSON_FIELDS("GetShardIterator", char *, list);
    AUTO(free_charp) char *iterator = NULL;

    if (ddb_read_answer(&iterator, &fields, answer, err) < 0)
        return -1;
    *ret = TAKE(iterator);
    return 0;
}

int ddb_stream_iterator(char **ret, struct ddb_client *client, const char *arn,
                        const char *shard, const char *after, struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = DDB_CLIENT_REQUEST_AT_MOST};
    AUTO(http_answer_release) struct http_answer answer = {0};

    append_member(&body, "StreamArn", arn);
    append_member(&body, "ShardId", shard);
    append_member(&body, "ShardIteratorType", after ? "AFTER_SEQUENCE_NUMBER" : "TRIM_HORIZON");
    if (after)
        append_member(&body, "SequenceNumber", after);
    buf_char(&body, '}');
    if (ddb_client_call(client, DDB_STREAMS, "GetShardIterator", buf_slice(&body), &answer,
                        err) < 0)
        return -1;
    if (ddb_stream_iterator_read(ret, buf_slice(&answer.body), err) < 0)
        return ddb_client_broken(client, "GetShardIterator", err);
    return 0;
}
