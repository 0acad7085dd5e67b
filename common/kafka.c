#include "common/kafka.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/exit_code.h"
#include "common/log.h"
#include "common/stop.h"

#define ADMIN_TIMEOUT_MS 30000

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

int kafka_given_up(const struct config *c, struct error *err)
{
    char reason[sizeof(err->message)];

    if (err->kind != ERR_RETRY)
        return -1;
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

static bool name_is_legal(const char *name)
{
    if (!*name || strlen(name) > 249)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
            return false;
    return true;
}

static bool names_collide(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a == '.' ? '_' : *a) != (*b == '.' ? '_' : *b))
            return false;
    return *a == *b;
}

int kafka_check_topic_names(const struct config *c, char *const *tables, size_t count,
                            struct error *err)
{
    char **topics = xcalloc(count, sizeof(*topics));
    int result = 0;

    for (size_t i = 0; i < count && !result; i++) {
        topics[i] = kafka_data_topic(c, tables[i]);
        if (!name_is_legal(topics[i]))
            result =
                error_fatal(err, EXIT_CONFIGURATION,
                            "table %s: Kafka refuses the topic name \"%s\" (at most 249 of "
                            "letters, digits, '.', '_', '-'): rename it with map.topic",
                            tables[i], topics[i]);
        for (size_t j = 0; j < i && !result; j++)
            if (names_collide(topics[i], topics[j]))
                result =
                    error_fatal(err, EXIT_CONFIGURATION,
                                "tables %s and %s: topics \"%s\" and \"%s\" collide in Kafka: "
                                "rename one with map.topic",
                                tables[j], tables[i], topics[j], topics[i]);
    }
    for (size_t i = 0; i < count; i++)
        free(topics[i]);
    free(topics);
    return result;
}

/* ---- topics ---- */

int kafka_partition_count(int32_t *ret, rd_kafka_t *rk, const char *topic, struct error *err)
{
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t code;

    if (!rkt)
        return error_set(err, ERR_RETRY, "topic %s: %s", topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    code = rd_kafka_metadata(rk, 0, rkt, &md, 10000);
    rd_kafka_topic_destroy(rkt);
    if (code)
        return error_set(err, ERR_RETRY, "metadata of topic %s: %s", topic,
                         rd_kafka_err2str(code));
    code = md->topic_cnt == 1 ? md->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    *ret = code ? 0 : md->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(md);
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return 0;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return error_fatal(err, EXIT_NO_RIGHT, "no right to describe topic %s", topic);
    default:
        return error_set(err, ERR_RETRY, "metadata of topic %s: %s", topic,
                         rd_kafka_err2str(code));
    }
}

int kafka_end_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic, int32_t first,
                      int32_t count, int64_t timeout_ms, struct error *err)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    rd_kafka_resp_err_t code;

    for (int32_t i = 0; i < count; i++) /* the "time" that stands for the end */
        rd_kafka_topic_partition_list_add(list, topic, first + i)->offset = RD_KAFKA_OFFSET_END;
    code = rd_kafka_offsets_for_times(rk, list, (int)timeout_ms);
    for (int32_t i = 0; i < count && !code; i++) {
        ret[i] = list->elems[i].offset;
        code = list->elems[i].err;
        if (!code && ret[i] < 0) /* it was not told */
            code = RD_KAFKA_RESP_ERR__PARTIAL;
    }
    return code
               ? error_set(err, ERR_RETRY, "end of topic %s: %s", topic, rd_kafka_err2str(code))
               : 0;
}

static int create_result(rd_kafka_event_t *ev, const char *topic, struct error *err)
{
    const rd_kafka_topic_result_t **results;
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
    const char *text = rd_kafka_event_error_string(ev);
    size_t n = 0;

    if (!code) {
        results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
        CHECK(n == 1);
        code = rd_kafka_topic_result_error(results[0]);
        text = rd_kafka_topic_result_error_string(results[0]);
    }
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return 0;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return error_fatal(err, EXIT_NO_RIGHT, "no right to create topic %s", topic);
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return error_fatal(err, EXIT_CONFIGURATION, "Kafka refuses to create topic %s: %s",
                           topic, text ? text : rd_kafka_err2str(code));
    default:
        return error_set(err, ERR_RETRY, "create topic %s: %s", topic,
                         text ? text : rd_kafka_err2str(code));
    }
}

static int create_call(rd_kafka_t *rk, rd_kafka_NewTopic_t *topic, const char *name,
                       struct error *err)
{
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *opt =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_event_t *ev;
    int result;

    rd_kafka_CreateTopics(rk, &topic, 1, opt, q);
    ev = rd_kafka_queue_poll(q, ADMIN_TIMEOUT_MS);
    result = ev ? create_result(ev, name, err)
                : error_set(err, ERR_RETRY, "create topic %s: no answer", name);
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_AdminOptions_destroy(opt);
    rd_kafka_queue_destroy(q);
    return result;
}

int kafka_topic_create(rd_kafka_t *rk, const struct kafka_topic_spec *spec, struct error *err)
{
    char reason[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        spec->name, spec->partitions, spec->replication, reason, sizeof(reason));
    int result = 0;
    int32_t seen = 0;

    if (!topic)
        return error_fatal(err, EXIT_CONFIGURATION, "topic %s: %s", spec->name, reason);
    for (const struct kafka_setting *s = spec->configs; s && s->name; s++)
        rd_kafka_NewTopic_set_config(topic, s->name, s->value);
    result = create_call(rk, topic, spec->name, err);
    rd_kafka_NewTopic_destroy(topic);
    for (int tries = 0; result == 0 && seen == 0; tries++) {
        if (tries > 0 && (tries > 100 || stop_wait_ms(100)))
            return error_set(err, ERR_RETRY, "topic %s was created but does not show up",
                             spec->name);
        result = kafka_partition_count(&seen, rk, spec->name, err);
    }
    return result;
}

static int setting_of(char **ret, const rd_kafka_ConfigResource_t *resource, const char *topic,
                      const char *name, struct error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    const rd_kafka_ConfigEntry_t **entries;
    size_t n;

    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        return error_fatal(err, EXIT_NO_RIGHT, "no right to describe the settings of topic %s",
                           topic);
    if (code)
        return error_set(err, ERR_RETRY, "settings of topic %s: %s", topic,
                         rd_kafka_err2str(code));
    entries = rd_kafka_ConfigResource_configs(resource, &n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0) {
            *ret = xstrdup(rd_kafka_ConfigEntry_value(entries[i]));
            return 0;
        }
    }
    return error_set(err, ERR_RETRY, "topic %s: the brokers tell no %s", topic, name);
}

static int setting_result(char **ret, rd_kafka_event_t *ev, const char *topic, const char *name,
                          struct error *err)
{
    const rd_kafka_ConfigResource_t **resources;
    size_t n;

    if (rd_kafka_event_error(ev))
        return error_set(err, ERR_RETRY, "settings of topic %s: %s", topic,
                         rd_kafka_event_error_string(ev));
    resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(ev), &n);
    CHECK(n == 1);
    return setting_of(ret, resources[0], topic, name, err);
}

int kafka_topic_setting(char **ret, rd_kafka_t *rk, const char *topic, const char *name,
                        struct error *err)
{
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_AdminOptions_t *opt =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_event_t *ev;
    int result;

    rd_kafka_DescribeConfigs(rk, &resource, 1, opt, q);
    ev = rd_kafka_queue_poll(q, ADMIN_TIMEOUT_MS);
    result = ev ? setting_result(ret, ev, topic, name, err)
                : error_set(err, ERR_RETRY, "settings of topic %s: no answer", topic);
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(q);
    rd_kafka_AdminOptions_destroy(opt);
    rd_kafka_ConfigResource_destroy(resource);
    return result;
}

static int ensure_topic(rd_kafka_t *rk, const struct kafka_topic_spec *spec, struct error *err)
{
    int32_t seen;

    if (kafka_partition_count(&seen, rk, spec->name, err) < 0)
        return -1;
    if (seen == 0)
        return kafka_topic_create(rk, spec, err);
    if (spec->partitions != seen)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "topic %s has %d partitions, %d are configured", spec->name, seen,
                           spec->partitions);
    return 0;
}

int kafka_ensure_own_topics(rd_kafka_t *rk, const struct config *c, struct error *err)
{
    static const struct kafka_setting compacted[] = {{"cleanup.policy", "compact"},
                                                     {"segment.bytes", "16777216"},
                                                     {"min.cleanable.dirty.ratio", "0.1"},
                                                     {"max.compaction.lag.ms", "3600000"},
                                                     {NULL, NULL}};
    AUTO(free_charp)
    char *bytes = xasprintf("%" PRId64, config_int(c, "topic.max.message.bytes"));
    const struct kafka_setting kept[] = {{"cleanup.policy", "delete"},
                                         {"retention.ms", "2592000000"},
                                         {"max.message.bytes", bytes},
                                         {NULL, NULL}};
    AUTO(free_charp) char *ledger = kafka_ledger_topic(c), *signal = kafka_signal_topic(c);
    AUTO(free_charp) char *dead = kafka_dead_letter_topic(c);
    int16_t replication = (int16_t)config_int(c, "topic.replication.factor");
    const struct kafka_topic_spec specs[] = {
        {ledger, (int32_t)config_int(c, "ledger.partitions"), replication, compacted},
        {signal, 1, replication, kept},
        {dead, 1, replication, kept},
    };

    for (size_t i = 0; i < ARRAY_LEN(specs); i++)
        if (ensure_topic(rk, &specs[i], err) < 0)
            return -1;
    return 0;
}

/* ---- the partitioner of Java's client ---- */

uint32_t kafka_murmur2(struct bytes key)
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
    return (int32_t)((kafka_murmur2(key) & 0x7fffffff) % (uint32_t)partitions);
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
