/* tests/bench/floor_log.c - the log floor: bare librdkafka transactions of the same bytes.
 *
 *     floor_log brokers=HOST:PORT from=TOPIC header=segment to=TOPIC count=N [interval_ms=250]
 *               [kafka.NAME=VALUE ...]
 *     floor_log brokers=HOST:PORT read=TOPIC
 *
 * Messages that the producer wrote are loaded first and then sent again to another topic: same
 * keys, values, headers and partitions, the producer's own settings given as kafka.*, a
 * transaction each interval. `read` is the read floor: the topic read and thrown away. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/auto.h"
#include "tests/bench/bench_support.h"
#include "tests/bench/topic_load.h"

#define LOADED_MESSAGES 100000

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[256];

    if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK)
        bench_fail("%s: %s", name, reason);
}

static void set_users(rd_kafka_conf_t *conf, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        AUTO(free_charp) char *name = NULL;
        char *equals;

        if (strncmp(argv[i], "kafka.", 6) != 0)
            continue;
        name = xstrdup(argv[i] + 6);
        equals = strchr(name, '=');
        if (!equals)
            bench_fail("kafka.NAME=VALUE, not %s", argv[i]);
        *equals = '\0';
        set(conf, name, equals + 1);
    }
}

static void check(rd_kafka_error_t *error)
{
    if (error)
        bench_fail("%s", rd_kafka_error_string(error));
}

static rd_kafka_t *producer_open(int argc, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    AUTO(free_charp) char *id = xasprintf("bench-floor-%d", (int)getpid());
    char reason[256];
    rd_kafka_t *rk;

    set(conf, "bootstrap.servers", bench_argument(argc, argv, "brokers", NULL));
    set(conf, "transactional.id", id);
    rd_kafka_conf_set_log_cb(conf, NULL);
    set_users(conf, argc, argv);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    if (!rk)
        bench_fail("%s", reason);
    check(rd_kafka_init_transactions(rk, 30000));
    return rk;
}

static void produce(rd_kafka_t *rk, const char *topic, const struct loaded *l)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(l->header_count);
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < l->header_count; i++)
        rd_kafka_header_add(headers, l->headers[i].name, -1, l->headers[i].value.p,
                            (ssize_t)l->headers[i].value.len);
    while ((code = rd_kafka_producev(
                rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(l->partition),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(l->key.p, l->key.len),
                RD_KAFKA_V_VALUE((void *)l->value.p, l->value.len), RD_KAFKA_V_HEADERS(headers),
                RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(rk, 5);
    if (code)
        bench_fail("produce: %s", rd_kafka_err2str(code));
}

static void commit(rd_kafka_t *rk)
{
    if (rd_kafka_flush(rk, 30000))
        bench_fail("flush took too long");
    check(rd_kafka_commit_transaction(rk, 30000));
}

/* What is loaded, round and round, until count were sent. */
static int64_t send_all(rd_kafka_t *rk, const char *topic, const struct topic_load *load,
                        int64_t count, double interval)
{
    struct stopwatch transaction = stopwatch_start();
    int64_t bytes = 0;

    check(rd_kafka_begin_transaction(rk));
    for (int64_t i = 0; i < count; i++) {
        const struct loaded *l = &load->messages[(size_t)i % load->count];

        produce(rk, topic, l);
        bytes += (int64_t)(l->key.len + l->value.len);
        if (i % 1000)
            continue;
        rd_kafka_poll(rk, 0);
        if (stopwatch_since(&transaction).wall < interval)
            continue;
        commit(rk);
        check(rd_kafka_begin_transaction(rk));
        transaction = stopwatch_start();
    }
    commit(rk);
    return bytes;
}

int main(int argc, char **argv)
{
    const char *brokers = bench_argument(argc, argv, "brokers", NULL);
    const char *read = bench_argument(argc, argv, "read", "");
    struct topic_load load;
    struct stopwatch start;
    int64_t count, bytes;
    rd_kafka_t *rk;

    if (*read) {
        topic_read(brokers, read);
        return 0;
    }
    load = topic_load(brokers, bench_argument(argc, argv, "from", NULL),
                      bench_argument(argc, argv, "header", NULL), LOADED_MESSAGES);
    count = bench_number(argc, argv, "count", NULL);
    rk = producer_open(argc, argv);
    start = stopwatch_start();
    bytes = send_all(rk, bench_argument(argc, argv, "to", NULL), &load, count,
                     (double)bench_number(argc, argv, "interval_ms", "250") / 1e3);
    bench_report("log", count, bytes, stopwatch_since(&start));
    rd_kafka_destroy(rk);
    return 0;
}
