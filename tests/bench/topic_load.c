#include "tests/bench/topic_load.h"

#include <stdlib.h>

#include "common/base/auto.h"
#include "tests/bench/bench_support.h"

struct source {
    rd_kafka_t *rk;
    int32_t partitions;
    int32_t ended; /* partitions whose end was seen */
};

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[256];

    if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK)
        bench_fail("%s: %s", name, reason);
}

static int32_t partition_count(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    int32_t n = 0;

    if (rd_kafka_metadata(rk, 0, rkt, &metadata, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        metadata->topic_cnt == 1)
        n = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(rkt);
    if (!n)
        bench_fail("no topic %s", topic);
    return n;
}

static struct source source_open(const char *brokers, const char *topic)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *all;
    struct source s = {0};
    char reason[256];

    set(conf, "bootstrap.servers", brokers);
    set(conf, "group.id", "bench-floor");
    set(conf, "isolation.level", "read_committed");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.partition.eof", "true");
    set(conf, "queued.max.messages.kbytes", "65536");
    s.rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    if (!s.rk)
        bench_fail("%s", reason);
    rd_kafka_poll_set_consumer(s.rk);
    s.partitions = partition_count(s.rk, topic);
    all = rd_kafka_topic_partition_list_new(s.partitions);
    for (int32_t p = 0; p < s.partitions; p++)
        rd_kafka_topic_partition_list_add(all, topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(s.rk, all);
    rd_kafka_topic_partition_list_destroy(all);
    return s;
}

static void source_close(struct source *s)
{
    rd_kafka_consumer_close(s->rk);
    rd_kafka_destroy(s->rk);
}

/* NULL: nothing now, or a partition's end. */
static rd_kafka_message_t *source_next(struct source *s)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(s->rk, 1000);

    if (!m || !m->err)
        return m;
    if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        bench_fail("reading: %s", rd_kafka_message_errstr(m));
    s->ended++;
    rd_kafka_message_destroy(m);
    return NULL;
}

static struct bytes copy(const void *p, size_t n)
{
    return (struct bytes){xstrndup(p ? p : "", n), n};
}

static void keep(struct topic_load *load, const rd_kafka_message_t *m,
                 rd_kafka_headers_t *headers)
{
    struct loaded *l = &load->messages[load->count++];
    const char *name;
    const void *value;
    size_t n;

    *l = (struct loaded){.partition = m->partition,
                         .key = copy(m->key, m->key_len),
                         .value = copy(m->payload, m->len)};
    while (l->header_count < LOADED_MAX_HEADERS &&
           !rd_kafka_header_get_all(headers, l->header_count, &name, &value, &n)) {
        l->headers[l->header_count].name = xstrdup(name);
        l->headers[l->header_count++].value = copy(value, n);
    }
    load->bytes += (int64_t)(m->key_len + m->len);
}

struct topic_load topic_load(const char *brokers, const char *topic, const char *header,
                             size_t most)
{
    struct source s = source_open(brokers, topic);
    struct topic_load load = {.messages = xcalloc(most, sizeof(*load.messages)),
                              .partitions = s.partitions};

    while (load.count < most && s.ended < s.partitions) {
        rd_kafka_message_t *m = source_next(&s);
        rd_kafka_headers_t *headers;
        const void *value;
        size_t n;

        if (m && !rd_kafka_message_headers(m, &headers) &&
            !rd_kafka_header_get_last(headers, header, &value, &n))
            keep(&load, m, headers);
        if (m)
            rd_kafka_message_destroy(m);
    }
    source_close(&s);
    if (!load.count)
        bench_fail("%s has no message with the header %s", topic, header);
    return load;
}

void topic_read(const char *brokers, const char *topic)
{
    struct source s = source_open(brokers, topic);
    struct stopwatch start = stopwatch_start();
    int64_t count = 0, bytes = 0;

    while (s.ended < s.partitions) {
        rd_kafka_message_t *m = source_next(&s);

        if (!m)
            continue;
        count++;
        bytes += (int64_t)(m->key_len + m->len);
        rd_kafka_message_destroy(m);
    }
    bench_report("read", count, bytes, stopwatch_since(&start));
    source_close(&s);
}
