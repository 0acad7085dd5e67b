/* tests/tsan/sample.c - proves that TSan reports a race of ours in one of librdkafka's threads,
 * and nothing else.
 *
 *   tsan_sample locked|race
 *
 * Messages go through librdkafka and its mock cluster while its threads call count_line. With
 * its lock, nothing may be reported (exit 0); without it, a race must be (exit 66). */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"

enum {
    MESSAGES = 200
};

static bool locked; /* set once */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int lines; /* under lock */

static void count_line(const rd_kafka_t *rk, int level, const char *facility, const char *line)
{
    (void)rk, (void)level, (void)facility, (void)line;
    if (locked)
        pthread_mutex_lock(&lock);
    lines++;
    if (locked)
        pthread_mutex_unlock(&lock);
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char reason[200];

    CHECK(rd_kafka_conf_set(conf, key, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK);
}

static rd_kafka_t *open_handle(rd_kafka_type_t type, const char *key, const char *value)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char reason[200];
    rd_kafka_t *rk;

    set(conf, key, value);
    set(conf, "debug", "broker,topic,msg,fetch");
    rd_kafka_conf_set_log_cb(conf, count_line);
    rk = rd_kafka_new(type, conf, reason, sizeof(reason));
    CHECK(rk);
    return rk;
}

static void produce(rd_kafka_t *producer)
{
    for (int i = 0; i < MESSAGES; i++)
        CHECK(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("sample"), RD_KAFKA_V_PARTITION(0),
                                RD_KAFKA_V_VALUE(&i, sizeof(i)),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(rd_kafka_flush(producer, 60000) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* Each message's bytes are read here: librdkafka has received them in another thread, and frees
 * them there. */
static void consume(rd_kafka_t *consumer)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, "sample", NULL);
    int next = 0;

    CHECK(rd_kafka_consume_start(topic, 0, 0) == 0);
    while (next < MESSAGES) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, 0, 60000);
        int value;

        CHECK(message && message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
        memcpy(&value, message->payload, sizeof(value));
        CHECK(value == next++);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
}

int main(int argc, char **argv)
{
    rd_kafka_t *producer, *consumer;
    const char *servers;

    CHECK(argc == 2);
    locked = strcmp(argv[1], "locked") == 0;
    producer = open_handle(RD_KAFKA_PRODUCER, "test.mock.num.brokers", "1");
    servers = rd_kafka_mock_cluster_bootstraps(rd_kafka_handle_mock_cluster(producer));
    consumer = open_handle(RD_KAFKA_CONSUMER, "bootstrap.servers", servers);
    produce(producer);
    consume(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
    return 0;
}
