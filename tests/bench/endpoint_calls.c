#include "tests/bench/endpoint_calls.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/json/json_reader.h"
#include "common/json/json_text.h"

#define ARN "arn:aws:dynamodb:us-east-1:000000000000:table/"
#define LABEL "2026-01-01T00:00:00.001"
#define RECORDS_A_PAGE 1000
#define SHARDS_A_PAGE 100
#define TABLES_A_PAGE 100

struct call {
    struct source *s;
    struct bytes body;
    struct buf *out;
    int64_t now_ms;
};

/* ---- requests ---- */

static struct bytes text_member(struct bytes object, const char *name)
{
    struct bytes value;

    if (!json_member(object, name, &value) || value.len < 2 || value.p[0] != '"')
        return (struct bytes){"", 0};
    return (struct bytes){value.p + 1, value.len - 2};
}

static int64_t number_member(struct bytes object, const char *name, int64_t otherwise)
{
    struct bytes value;
    struct json_reader r;
    int64_t number;

    if (!json_member(object, name, &value))
        return otherwise;
    json_reader_init(&r, value);
    return json_int64(&r, &number) ? number : otherwise;
}

static int refuse(struct call *c, const char *name, const char *message)
{
    buf_reset(c->out);
    buf_printf(c->out,
               "{\"__type\":\"com.amazonaws.dynamodb.v20120810#%s\",\"message\":\"%s\"}", name,
               message);
    return 400;
}

/* The digits behind a mark, or SHARD_NONE. */
static int64_t digits_after(struct bytes text, const char *mark, int base)
{
    const char *at = memmem(text.p, text.len, mark, strlen(mark));
    AUTO(free_charp) char *rest = NULL;

    if (!at)
        return SHARD_NONE;
    at += strlen(mark);
    rest = xstrndup(at, text.len - (size_t)(at - text.p));
    return *rest ? strtoll(rest, NULL, base) : SHARD_NONE;
}

static struct table *table_of(const struct call *c, struct bytes name)
{
    int64_t number = digits_after(name, "bench-", 10);

    return number >= 0 && number < c->s->o.tables ? &c->s->tables[number] : NULL;
}

/* Its number, or SHARD_NONE. */
static int64_t shard_of(const struct call *c, struct bytes id)
{
    int64_t number = digits_after(id, "-n", 16);

    return number >= 0 && number < c->s->count ? number : SHARD_NONE;
}

static void append_shard_id(const struct source *s, int64_t number, struct buf *out)
{
    buf_printf(out, "shardId-%020" PRId64 "-n%08" PRIx64,
               source_clock_ms(s, s->shards[number].born_ms), number);
}

static void append_sequence(struct buf *out, int64_t shard, int64_t record)
{
    buf_printf(out, "1%08" PRId64 "%012" PRId64, shard, record);
}

/* ---- tables ---- */

static int list_tables(struct call *c)
{
    int64_t first =
        digits_after(text_member(c->body, "ExclusiveStartTableName"), "bench-", 10) + 1;
    int64_t end = MIN(first + TABLES_A_PAGE, c->s->o.tables);

    buf_lit(c->out, "{\"TableNames\":[");
    for (int64_t i = first; i < end; i++)
        buf_printf(c->out, "%s\"bench-%05" PRId64 "\"", i > first ? "," : "", i);
    buf_char(c->out, ']');
    if (end < c->s->o.tables)
        buf_printf(c->out, ",\"LastEvaluatedTableName\":\"bench-%05" PRId64 "\"", end - 1);
    buf_char(c->out, '}');
    return 200;
}

static int describe_table(struct call *c)
{
    const struct table *t = table_of(c, text_member(c->body, "TableName"));
    int64_t number;

    if (!t)
        return refuse(c, "ResourceNotFoundException", "Requested resource not found");
    number = t - c->s->tables;
    buf_printf(c->out,
               "{\"Table\":{\"TableName\":\"bench-%05" PRId64 "\",\"TableStatus\":\"ACTIVE\","
               "\"TableId\":\"00000000-0000-4000-8000-%012" PRId64 "\","
               "\"TableArn\":\"" ARN "bench-%05" PRId64 "\",\"ItemCount\":%" PRId64 ","
               "\"CreationDateTime\":%" PRId64 ","
               "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}],"
               "\"AttributeDefinitions\":"
               "[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"}]",
               number, number, number, c->s->o.items, c->s->began_wall_ms / 1000);
    if (t->has_stream)
        buf_printf(c->out,
                   ",\"LatestStreamArn\":\"" ARN "bench-%05" PRId64 "/stream/" LABEL "\","
                   "\"LatestStreamLabel\":\"" LABEL "\",\"StreamSpecification\":"
                   "{\"StreamEnabled\":true,\"StreamViewType\":\"NEW_IMAGE\"}",
                   number);
    buf_lit(c->out, "}}");
    return 200;
}

static int update_table(struct call *c)
{
    struct table *t = table_of(c, text_member(c->body, "TableName"));

    if (t)
        t->has_stream = true;
    return describe_table(c);
}

static void append_item(struct buf *out, int64_t key, int64_t version)
{
    buf_printf(out, "{\"pk\":{\"S\":\"k%" PRId64 "\"},\"v\":{\"N\":\"%" PRId64 "\"}}", key,
               version);
}

/* Each segment is one page: every so many-th item. */
static int scan(struct call *c)
{
    int64_t segments = MAX(number_member(c->body, "TotalSegments", 1), 1), count = 0;

    if (!table_of(c, text_member(c->body, "TableName")))
        return refuse(c, "ResourceNotFoundException", "Requested resource not found");
    buf_lit(c->out, "{\"Items\":[");
    for (int64_t i = number_member(c->body, "Segment", 0); i < c->s->o.items; i += segments) {
        if (count++)
            buf_char(c->out, ',');
        append_item(c->out, i, 0);
    }
    buf_printf(c->out, "],\"Count\":%" PRId64 ",\"ScannedCount\":%" PRId64 "}", count, count);
    return 200;
}

/* ---- streams ---- */

static void append_shard(struct call *c, int64_t number)
{
    const struct shard *shard = &c->s->shards[number];

    buf_lit(c->out, "{\"ShardId\":\"");
    append_shard_id(c->s, number, c->out);
    if (shard->parent != SHARD_NONE) {
        buf_lit(c->out, "\",\"ParentShardId\":\"");
        append_shard_id(c->s, shard->parent, c->out);
    }
    buf_lit(c->out, "\",\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"");
    append_sequence(c->out, number, 0);
    if (shard->closed_ms) {
        buf_lit(c->out, "\",\"EndingSequenceNumber\":\"");
        append_sequence(c->out, number, source_records(c->s, number, c->now_ms));
    }
    buf_lit(c->out, "\"}}");
}

/* Those behind `after`, of one parent if there is one; the last of a full page, or SHARD_NONE.
 */
static int64_t append_shards(struct call *c, struct table *t, int64_t after, int64_t parent)
{
    int64_t first = source_list_after(c->s, t, after, c->now_ms), count = 0;

    for (int64_t i = first; i < t->count; i++) {
        const struct shard *shard = &c->s->shards[t->shards[i]];

        if ((parent != SHARD_NONE && shard->parent != parent) ||
            (shard->parent != SHARD_NONE && c->now_ms - shard->born_ms < c->s->o.list_ms))
            continue;
        if (count++)
            buf_char(c->out, ',');
        append_shard(c, t->shards[i]);
        if (count == SHARDS_A_PAGE && i + 1 < t->count)
            return t->shards[i];
    }
    return SHARD_NONE;
}

static int describe_stream(struct call *c)
{
    struct bytes arn = text_member(c->body, "StreamArn"), filter;
    struct table *t = table_of(c, arn);
    int64_t after = SHARD_NONE, parent = SHARD_NONE, last;

    if (!source_may_describe(c->s, c->now_ms))
        return refuse(c, "LimitExceededException", "Subscriber limit exceeded");
    if (!t || !t->has_stream)
        return refuse(c, "ResourceNotFoundException", "Requested resource not found");
    if (json_member(c->body, "ShardFilter", &filter) && c->s->o.knows_filter)
        parent = shard_of(c, text_member(filter, "ShardId"));
    after = shard_of(c, text_member(c->body, "ExclusiveStartShardId"));
    buf_printf(c->out,
               "{\"StreamDescription\":{\"StreamArn\":\"" BYTES_FMT
               "\",\"StreamLabel\":\"" LABEL
               "\",\"StreamStatus\":\"ENABLED\",\"StreamViewType\":\"NEW_IMAGE\","
               "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}],\"Shards\":[",
               BYTES_ARG(arn));
    last = append_shards(c, t, after, parent);
    buf_char(c->out, ']');
    if (last != SHARD_NONE) {
        buf_lit(c->out, ",\"LastEvaluatedShardId\":\"");
        append_shard_id(c->s, last, c->out);
        buf_char(c->out, '"');
    }
    buf_lit(c->out, "}}");
    return 200;
}

static void append_iterator(struct buf *out, int64_t shard, int64_t record)
{
    buf_printf(out, "\"%" PRId64 ".%" PRId64 "\"", shard, record);
}

/* The record's place in a sequence number: its last twelve digits. */
static int64_t place_of(struct bytes sequence)
{
    if (sequence.len < 12)
        return 0;
    return digits_after((struct bytes){sequence.p + sequence.len - 12, 12}, "", 10);
}

static int get_shard_iterator(struct call *c)
{
    int64_t shard = shard_of(c, text_member(c->body, "ShardId")), at = 0;
    struct bytes type = text_member(c->body, "ShardIteratorType");

    if (shard == SHARD_NONE || source_is_gone(c->s, shard, c->now_ms))
        return refuse(c, "ResourceNotFoundException", "Requested resource not found");
    if (bytes_is(type, "LATEST"))
        at = source_records(c->s, shard, c->now_ms);
    else if (!bytes_is(type, "TRIM_HORIZON"))
        at = place_of(text_member(c->body, "SequenceNumber")) +
             bytes_is(type, "AFTER_SEQUENCE_NUMBER");
    buf_lit(c->out, "{\"ShardIterator\":");
    append_iterator(c->out, shard, at);
    buf_char(c->out, '}');
    return 200;
}

static void append_record(struct call *c, int64_t shard, int64_t record)
{
    double made_ms = (double)c->s->shards[shard].born_ms + (double)record / c->s->rate;

    buf_printf(c->out,
               "{\"eventID\":\"%" PRId64 ".%" PRId64 "\",\"eventName\":\"MODIFY\","
               "\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\","
               "\"awsRegion\":\"us-east-1\",\"dynamodb\":{"
               "\"ApproximateCreationDateTime\":%" PRId64 ",\"Keys\":{\"pk\":{\"S\":\"k%" PRId64
               "\"}},\"NewImage\":",
               shard, record, source_clock_ms(c->s, (int64_t)made_ms) / 1000, shard);
    append_item(c->out, shard, record);
    buf_lit(c->out, ",\"SequenceNumber\":\"");
    append_sequence(c->out, shard, record);
    buf_lit(c->out, "\",\"SizeBytes\":20,\"StreamViewType\":\"NEW_IMAGE\"}}");
}

static int get_records(struct call *c)
{
    struct bytes iterator = text_member(c->body, "ShardIterator");
    int64_t number = digits_after(iterator, "", 10), at = digits_after(iterator, ".", 10);
    int64_t end, last;

    if (number < 0 || number >= c->s->count || at < 0)
        return refuse(c, "ValidationException", "Invalid ShardIterator");
    end = source_records(c->s, number, c->now_ms);
    last = MIN(end, at + number_member(c->body, "Limit", RECORDS_A_PAGE));
    source_note_read(c->s, number, c->now_ms);
    buf_lit(c->out, "{\"Records\":[");
    for (int64_t i = at; i < last; i++) {
        if (i > at)
            buf_char(c->out, ',');
        append_record(c, number, i);
    }
    buf_char(c->out, ']');
    if (last >= end && c->s->shards[number].closed_ms) {
        c->s->shards[number].drained = true;
    } else {
        buf_lit(c->out, ",\"NextShardIterator\":");
        append_iterator(c->out, number, MAX(at, last));
    }
    buf_char(c->out, '}');
    return 200;
}

/* ---- one call ---- */

static struct operation {
    const char *name;
    int (*answer)(struct call *c);
    int64_t count, refused; /* since the reset */
} operations[] = {
    {"GetRecords", get_records},         {"GetShardIterator", get_shard_iterator},
    {"DescribeStream", describe_stream}, {"DescribeTable", describe_table},
    {"ListTables", list_tables},         {"Scan", scan},
    {"UpdateTable", update_table},
};

int calls_answer(struct source *s, struct bytes operation, struct bytes body, struct buf *out)
{
    struct call c = {.s = s, .body = body, .out = out, .now_ms = clock_mono_ms()};
    int status;

    source_roll(s, c.now_ms);
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        if (!bytes_equal(operation, bytes_of(operations[i].name)))
            continue;
        status = operations[i].answer(&c);
        operations[i].count++;
        operations[i].refused += status != 200;
        return status;
    }
    return refuse(&c, "UnknownOperationException", "not in this endpoint");
}

void calls_stats(struct buf *out)
{
    buf_lit(out, "\"operations\":{");
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        buf_printf(out, "%s\"%s\":{\"count\":%" PRId64 ",\"refused\":%" PRId64 "}",
                   i ? "," : "", operations[i].name, operations[i].count,
                   operations[i].refused);
    buf_char(out, '}');
}

void calls_reset(void)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        operations[i].count = operations[i].refused = 0;
}
