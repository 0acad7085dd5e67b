/* tests/bench/floor_scan.c - the scan floor: bare libcurl reads the same pages and throws them
 * away.
 *
 *     floor_scan url=http://127.0.0.1:8000 table=bench threads=4
 *     floor_scan url=... stream=ARN threads=4
 *
 * One thread and one kept connection for each segment (or shard). An answer is looked at only
 * for where the next page starts; a shard ends at its first empty answer. */
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "tests/bench/bench_support.h"

#define ANSWER_CEILING (64 * 1024 * 1024)
#define MAX_THREADS 64

struct reader { /* of one thread */
    const char *url;
    const char *table;  /* of a scan */
    const char *stream; /* or the ARN of a stream */
    int64_t number;     /* segment or shard */
    int64_t total;
    CURL *curl;
    struct buf answer;
    struct buf body; /* of the next request */
    int64_t pages;
    int64_t bytes;
    pthread_t thread;
};

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    buf_append(arg, data, size * count);
    return size * count;
}

static void ask(struct reader *r, const char *target)
{
    AUTO(free_charp)
    char *header = xasprintf("x-amz-target: %s", target);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    CURLcode code;
    long status = 0;

    headers = curl_slist_append(headers, "content-type: application/x-amz-json-1.0");
    headers = curl_slist_append(headers, "expect:");
    buf_reset(&r->answer);
    curl_easy_setopt(r->curl, CURLOPT_URL, r->url);
    curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, r->body.p);
    curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE, (long)r->body.len);
    curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, &r->answer);
    code = curl_easy_perform(r->curl);
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code || status != 200 || r->answer.overflow)
        bench_fail("%s: %s, HTTP %ld", target, curl_easy_strerror(code), status);
    r->pages++;
    r->bytes += (int64_t)r->answer.len;
    curl_slist_free_all(headers);
}

/* What stands between `before` and the next `after`. */
static bool between(struct bytes text, const char *before, const char *after, struct bytes *ret)
{
    const char *end = text.p + text.len, *from, *to;

    from = memmem(text.p, text.len, before, strlen(before));
    if (!from)
        return false;
    from += strlen(before);
    to = memmem(from, (size_t)(end - from), after, strlen(after));
    if (!to)
        bench_fail("an answer without %s", after);
    *ret = (struct bytes){from, (size_t)(to - from)};
    return true;
}

static void scan_body(struct reader *r, struct bytes start)
{
    buf_reset(&r->body);
    buf_printf(&r->body,
               "{\"TableName\":\"%s\",\"Segment\":%" PRId64 ",\"TotalSegments\":%" PRId64
               ",\"ConsistentRead\":true",
               r->table, r->number, r->total);
    if (start.len)
        buf_printf(&r->body, ",\"ExclusiveStartKey\":" BYTES_FMT "}}", BYTES_ARG(start));
    buf_lit(&r->body, "}");
}

/* The mark of the next page stands behind the items. */
static struct bytes tail_of(const struct buf *answer)
{
    size_t n = MIN(answer->len, 4096);

    return (struct bytes){answer->p + answer->len - n, n};
}

static void scan(struct reader *r)
{
    struct bytes mark = {0};

    do {
        scan_body(r, mark);
        ask(r, "DynamoDB_20120810.Scan");
    } while (between(tail_of(&r->answer), "\"LastEvaluatedKey\":", "}}", &mark));
}

static void shard_id(struct reader *r, char *ret, size_t size)
{
    struct bytes rest, id = {0};

    buf_reset(&r->body);
    buf_printf(&r->body, "{\"StreamArn\":\"%s\"}", r->stream);
    ask(r, "DynamoDBStreams_20120810.DescribeStream");
    rest = buf_slice(&r->answer);
    for (int64_t i = 0; i <= r->number; i++) {
        if (!between(rest, "\"ShardId\": \"", "\"", &id))
            bench_fail("fewer shards than threads");
        rest.len -= (size_t)(id.p - rest.p);
        rest.p = id.p;
    }
    snprintf(ret, size, BYTES_FMT, BYTES_ARG(id));
}

static void iterator_body(struct reader *r, const char *before, const char *after)
{
    struct bytes iterator;

    if (!between(tail_of(&r->answer), before, after, &iterator))
        bench_fail("an answer without an iterator");
    buf_reset(&r->body);
    buf_printf(&r->body, "{\"ShardIterator\":\"" BYTES_FMT "\"}", BYTES_ARG(iterator));
}

static void shard(struct reader *r)
{
    static const char empty[] = "{\"Records\":[]";
    char id[128];

    shard_id(r, id, sizeof(id));
    buf_reset(&r->body);
    buf_printf(
        &r->body,
        "{\"StreamArn\":\"%s\",\"ShardId\":\"%s\",\"ShardIteratorType\":\"TRIM_HORIZON\"}",
        r->stream, id);
    ask(r, "DynamoDBStreams_20120810.GetShardIterator");
    iterator_body(r, "\"ShardIterator\": \"", "\"");
    do {
        ask(r, "DynamoDBStreams_20120810.GetRecords");
        iterator_body(r, "\"NextShardIterator\":\"", "\"");
    } while (memcmp(r->answer.p, empty, sizeof(empty) - 1) != 0);
}

static void *run(void *arg)
{
    struct reader *r = arg;

    r->curl = curl_easy_init();
    buf_init(&r->answer, ANSWER_CEILING);
    buf_init(&r->body, 65536);
    if (r->stream)
        shard(r);
    else
        scan(r);
    curl_easy_cleanup(r->curl);
    buf_release(&r->answer);
    buf_release(&r->body);
    return NULL;
}

int main(int argc, char **argv)
{
    int64_t threads = bench_number(argc, argv, "threads", "4"), bytes = 0, pages = 0;
    const char *stream = bench_argument(argc, argv, "stream", "");
    struct reader readers[MAX_THREADS] = {0};
    struct stopwatch start;

    if (threads < 1 || threads > MAX_THREADS)
        bench_fail("threads: 1 to %d", MAX_THREADS);
    curl_global_init(CURL_GLOBAL_ALL);
    start = stopwatch_start();
    for (int64_t i = 0; i < threads; i++) {
        readers[i] = (struct reader){.url = bench_argument(argc, argv, "url", NULL),
                                     .table = bench_argument(argc, argv, "table", "bench"),
                                     .stream = *stream ? stream : NULL,
                                     .number = i,
                                     .total = threads};
        pthread_create(&readers[i].thread, NULL, run, &readers[i]);
    }
    for (int64_t i = 0; i < threads; i++) {
        pthread_join(readers[i].thread, NULL);
        bytes += readers[i].bytes;
        pages += readers[i].pages;
    }
    bench_report("scan", pages, bytes, stopwatch_since(&start));
    return 0;
}
