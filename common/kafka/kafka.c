#include "common/kafka/kafka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define START_AGAIN_MS 500

/* The newest error that any handle reported: only to explain why no broker answers. */
static struct {
    pthread_mutex_t lock;
    rd_kafka_resp_err_t code;
    char reason[256];
} last_error = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    AUTO_LOCK(&last_error.lock);
    last_error.code = code;
    snprintf(last_error.reason, sizeof(last_error.reason), "%s", reason);
}

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    enum log_level ours = level <= 3 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;

    log_event(ours, "librdkafka", "handle=%s facility=%s text=%s", rk ? rd_kafka_name(rk) : "",
              fac, text);
}

struct conf_filling {
    rd_kafka_conf_t *conf;
    struct error *err;
    bool failed;
};

static void conf_set(struct conf_filling *f, const char *name, const char *value)
{
    char reason[256];

    if (f->failed)
        return;
    if (rd_kafka_conf_set(f->conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
        return;
    f->failed = true;
    /* librdkafka's text repeats the value, which may be a secret */
    error_fatal(f->err, EXIT_CONFIGURATION,
                "kafka.%s: refused by librdkafka (unknown or bad value)", name);
}

static void conf_set_users(void *arg, const char *name, const char *value)
{
    conf_set(arg, name, value);
}

static void conf_set_ours(struct conf_filling *f, const struct kafka_setting *settings,
                          bool yielding)
{
    for (; settings && settings->name; settings++)
        if (settings->yields == yielding)
            conf_set(f, settings->name, settings->value);
}

int kafka_conf_new(rd_kafka_conf_t **ret, const struct config *c, const char *role,
                   const struct kafka_setting *settings, struct error *err)
{
    struct conf_filling f = {.conf = rd_kafka_conf_new(), .err = err};
    AUTO(free_charp) char *client = xasprintf("dynaferry-%s", role);

    conf_set(&f, "client.id", client);
    conf_set(&f, "socket.keepalive.enable", "true");
    conf_set(&f, "reconnect.backoff.max.ms", "2000");
    conf_set_ours(&f, settings, true);
    config_each_kafka(c, conf_set_users, &f);
    conf_set(&f, "allow.auto.create.topics", "false");
    conf_set_ours(&f, settings, false);
    if (f.failed) {
        rd_kafka_conf_destroy(f.conf);
        return -1;
    }
    rd_kafka_conf_set_error_cb(f.conf, on_error);
    rd_kafka_conf_set_log_cb(f.conf, on_log);
    *ret = f.conf;
    return 0;
}

int kafka_handle_new(rd_kafka_t **ret, rd_kafka_type_t type, rd_kafka_conf_t **conf,
                     struct error *err)
{
    char reason[256];
    rd_kafka_t *rk = rd_kafka_new(type, *conf, reason, sizeof(reason));

    if (!rk) {
        rd_kafka_conf_destroy(TAKE(*conf));
        return error_fatal(err, EXIT_CONFIGURATION, "Kafka client: %s", reason);
    }
    *conf = NULL;
    *ret = rk;
    return 0;
}

static int unreachable(const struct config *c, struct error *err)
{
    const char *servers = config_string(c, "kafka.bootstrap.servers");

    AUTO_LOCK(&last_error.lock);
    if (last_error.code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
        last_error.code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED)
        return error_fatal(err, EXIT_NO_RIGHT, "Kafka at %s refuses the login: %s", servers,
                           last_error.reason);
    return error_fatal(err, EXIT_UNREACHABLE, "Kafka at %s does not answer: %s", servers,
                       last_error.reason[0] ? last_error.reason : "no broker");
}

int kafka_wait_broker(rd_kafka_t *rk, const struct config *c, int64_t timeout_ms,
                      struct error *err)
{
    int64_t end = clock_mono_ms() + timeout_ms;

    do {
        const struct rd_kafka_metadata *md;

        if (!rd_kafka_metadata(rk, 0, NULL, &md, 1000)) {
            rd_kafka_metadata_destroy(md);
            return 0;
        }
        rd_kafka_poll(rk, 0);
    } while (!stop_wait_ms(200) && clock_mono_ms() < end);
    return stop_requested() ? error_set(err, ERR_RETRY, "a stop was requested")
                            : unreachable(c, err);
}

int kafka_start_again(const struct config *c, int64_t end_ms, struct error *err)
{
    char reason[sizeof(err->message)];

    if (err->kind != ERR_RETRY || stop_wait_ms(START_AGAIN_MS))
        return -1;
    if (clock_mono_ms() < end_ms)
        return 0;
    memcpy(reason, err->message, sizeof(reason));
    return error_fatal(err, EXIT_UNREACHABLE, "Kafka at %s does not answer: %s",
                       config_string(c, "kafka.bootstrap.servers"), reason);
}

/* ---- names ---- */

char *kafka_data_topic(const struct config *c, const char *table)
{
    AUTO(free_charp) char *renamed = config_map_get(c, "map.topic", table);

    return xasprintf("%s.%s", config_string(c, "topic.prefix"), renamed ? renamed : table);
}

char *kafka_ledger_topic(const struct config *c)
{
    return xasprintf("%s-ledger", config_string(c, "topic.prefix"));
}

char *kafka_signal_topic(const struct config *c)
{
    return xasprintf("%s-signal", config_string(c, "topic.prefix"));
}

char *kafka_dead_letter_topic(const struct config *c)
{
    return xasprintf("%s-dead-letter", config_string(c, "topic.prefix"));
}

char *kafka_producer_group(const struct config *c)
{
    return xasprintf("%s-producer", config_string(c, "topic.prefix"));
}

/* ---- the partitioner of Java's client ---- */

static uint32_t murmur2(struct bytes key)
{
    const uint32_t m = 0x5bd1e995;
    const unsigned char *p = (const unsigned char *)key.p;
    size_t left = key.len;
    uint32_t h = 0x9747b28c ^ (uint32_t)key.len;

    for (; left >= 4; left -= 4, p += 4) {
        uint32_t k =
            (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

        k *= m;
        k ^= k >> 24;
        k *= m;
        h = h * m ^ k;
    }
    if (left >= 3)
        h ^= (uint32_t)p[2] << 16;
    if (left >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (left >= 1) {
        h ^= p[0];
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

int32_t kafka_partition_of(struct bytes key, int32_t partitions)
{
    return (int32_t)((murmur2(key) & 0x7fffffff) % (uint32_t)partitions);
}

/* ---- headers ---- */

bool kafka_header(const rd_kafka_message_t *m, const char *name, struct bytes *ret)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;

    if (rd_kafka_message_headers(m, &headers) ||
        rd_kafka_header_get_last(headers, name, &value, &len))
        return false;
    *ret = (struct bytes){value, len};
    return true;
}

bool kafka_header_int64(const rd_kafka_message_t *m, const char *name, int64_t *ret)
{
    struct bytes text;
    char digits[24];
    char *end;

    if (!kafka_header(m, name, &text) || text.len == 0 || text.len >= sizeof(digits))
        return false;
    memcpy(digits, text.p, text.len);
    digits[text.len] = '\0';
    *ret = strtoll(digits, &end, 10);
    return *end == '\0';
}
