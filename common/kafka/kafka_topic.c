#include "common/kafka/kafka_topic.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define ADMIN_TIMEOUT_MS 30000

bool kafka_topic_name_is_legal(const char *name)
{
    if (!*name || strlen(name) > 249)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
            return false;
    return true;
}

int kafka_topic_partition_count(int32_t *ret, rd_kafka_t *rk, const char *topic,
                                struct error *err)
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

struct offsets_asked {
    const char *topic;
    int32_t first, count;
    int64_t time; /* or RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END */
    int64_t timeout_ms;
};

static int ask_offsets(int64_t *ret, rd_kafka_t *rk, const struct offsets_asked *asked,
                       struct error *err)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(asked->count);
    rd_kafka_resp_err_t code;

    for (int32_t i = 0; i < asked->count; i++)
        rd_kafka_topic_partition_list_add(list, asked->topic, asked->first + i)->offset =
            asked->time;
    code = rd_kafka_offsets_for_times(rk, list, (int)asked->timeout_ms);
    for (int32_t i = 0; i < asked->count && !code; i++) {
        ret[i] = list->elems[i].offset;
        code = list->elems[i].err;
        if (!code && asked->time >= 0) /* there may be no record since then */
            ret[i] = MAX(ret[i], -1);
        else if (!code && ret[i] < 0) /* it was not told */
            code = RD_KAFKA_RESP_ERR__PARTIAL;
    }
    return code ? error_set(err, ERR_RETRY, "%s of topic %s: %s",
                            asked->time == RD_KAFKA_OFFSET_END         ? "end"
                            : asked->time == RD_KAFKA_OFFSET_BEGINNING ? "begin"
                                                                       : "offsets",
                            asked->topic, rd_kafka_err2str(code))
                : 0;
}

int kafka_topic_end_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic, int32_t first,
                            int32_t count, int64_t timeout_ms, struct error *err)
{
    const struct offsets_asked asked = {topic, first, count, RD_KAFKA_OFFSET_END, timeout_ms};

    return ask_offsets(ret, rk, &asked, err);
}

int kafka_topic_begin_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic, int32_t first,
                              int32_t count, int64_t timeout_ms, struct error *err)
{
    const struct offsets_asked asked = {topic, first, count, RD_KAFKA_OFFSET_BEGINNING,
                                        timeout_ms};

    return ask_offsets(ret, rk, &asked, err);
}

int kafka_topic_time_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic, int32_t count,
                             int64_t time_ms, int64_t timeout_ms, struct error *err)
{
    const struct offsets_asked asked = {topic, 0, count, time_ms, timeout_ms};

    return ask_offsets(ret, rk, &asked, err);
}

static int create_result(bool *ret_made, rd_kafka_event_t *ev, const char *topic,
                         struct error *err)
{
    const rd_kafka_topic_result_t **results;
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
    const char *text = rd_kafka_event_error_string(ev);
    size_t n = 0;

    if (!code) {
        results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
        if (n != 1)
            return error_set(err, ERR_RETRY, "create topic %s: an answer to nothing", topic);
        code = rd_kafka_topic_result_error(results[0]);
        text = rd_kafka_topic_result_error_string(results[0]);
    }
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        *ret_made = code == RD_KAFKA_RESP_ERR_NO_ERROR;
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

static int create_call(bool *ret_made, rd_kafka_t *rk, rd_kafka_NewTopic_t *topic,
                       const char *name, struct error *err)
{
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *opt =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_event_t *ev;
    int result;

    rd_kafka_CreateTopics(rk, &topic, 1, opt, q);
    ev = rd_kafka_queue_poll(q, ADMIN_TIMEOUT_MS);
    result = ev ? create_result(ret_made, ev, name, err)
                : error_set(err, ERR_RETRY, "create topic %s: no answer", name);
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_AdminOptions_destroy(opt);
    rd_kafka_queue_destroy(q);
    return result;
}

int kafka_topic_create(bool *ret_made, rd_kafka_t *rk, const struct kafka_topic_spec *spec,
                       struct error *err)
{
    char reason[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        spec->name, spec->partitions, spec->replication, reason, sizeof(reason));
    int32_t seen = 0;
    bool made = false;
    int result;

    if (!topic)
        return error_fatal(err, EXIT_CONFIGURATION, "topic %s: %s", spec->name, reason);
    for (const struct kafka_setting *s = spec->configs; s && s->name; s++)
        rd_kafka_NewTopic_set_config(topic, s->name, s->value);
    result = create_call(&made, rk, topic, spec->name, err);
    rd_kafka_NewTopic_destroy(topic);
    for (int tries = 0; result == 0 && seen < (made ? spec->partitions : 1); tries++) {
        if (tries > 0 && (tries > 100 || stop_wait_ms(100)))
            return error_set(err, ERR_RETRY, "topic %s was created but does not show up",
                             spec->name);
        result = kafka_topic_partition_count(&seen, rk, spec->name, err);
    }
    if (result == 0)
        *ret_made = made;
    return result;
}

static int setting_refused(rd_kafka_resp_err_t code, const char *text, const char *topic,
                           struct error *err)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return error_fatal(err, EXIT_NO_RIGHT, "no right to describe the settings of topic %s",
                           topic);
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        return error_set(err, ERR_DATA, "the brokers tell no settings of topic %s: %s", topic,
                         text);
    default:
        return error_set(err, ERR_RETRY, "settings of topic %s: %s", topic, text);
    }
}

static char *setting_value(const rd_kafka_ConfigEntry_t *const *entries, size_t count,
                           const char *name)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]); /* NULL: it is a secret */

        if (value && strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return xstrdup(value);
    }
    return NULL;
}

static int settings_result(char **ret, rd_kafka_event_t *ev, const char *topic,
                           const char *const *names, size_t count, struct error *err)
{
    const rd_kafka_ConfigResource_t **resources;
    const rd_kafka_ConfigEntry_t **entries;
    rd_kafka_resp_err_t code;
    size_t n;

    if (rd_kafka_event_error(ev))
        return setting_refused(rd_kafka_event_error(ev), rd_kafka_event_error_string(ev), topic,
                               err);
    resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(ev), &n);
    if (n != 1)
        return error_set(err, ERR_RETRY, "settings of topic %s: an answer to nothing", topic);
    code = rd_kafka_ConfigResource_error(resources[0]);
    if (code)
        return setting_refused(code, rd_kafka_err2str(code), topic, err);
    entries = rd_kafka_ConfigResource_configs(resources[0], &n);
    for (size_t i = 0; i < count; i++)
        ret[i] = setting_value(entries, n, names[i]);
    return 0;
}

int kafka_topic_settings(char **ret, rd_kafka_t *rk, const char *topic,
                         const char *const *names, size_t count, int timeout_ms,
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
    ev = rd_kafka_queue_poll(q, timeout_ms);
    result = ev ? settings_result(ret, ev, topic, names, count, err)
                : error_set(err, ERR_RETRY, "settings of topic %s: no answer", topic);
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(q);
    rd_kafka_AdminOptions_destroy(opt);
    rd_kafka_ConfigResource_destroy(resource);
    return result;
}

int kafka_topic_setting(char **ret, rd_kafka_t *rk, const char *topic, const char *name,
                        struct error *err)
{
    char *value = NULL;

    if (kafka_topic_settings(&value, rk, topic, &name, 1, ADMIN_TIMEOUT_MS, err) < 0)
        return -1;
    *ret = value;
    if (value)
        return 0;
    error_set(err, ERR_DATA, "topic %s: the brokers tell no %s", topic, name);
    return -1;
}

int kafka_topic_check_partitions(const char *topic, int32_t found, int32_t wanted,
                                 struct error *err)
{
    if (found == 0 || found == wanted)
        return 0;
    return error_fatal(err, EXIT_CONFIGURATION,
                       "topic %s has %" PRId32 " partitions, %" PRId32 " are configured", topic,
                       found, wanted);
}

static int ensure_topic(rd_kafka_t *rk, const struct kafka_topic_spec *spec, struct error *err)
{
    bool made = false;
    int32_t seen;

    if (kafka_topic_partition_count(&seen, rk, spec->name, err) < 0)
        return -1;
    if (seen == 0 && (kafka_topic_create(&made, rk, spec, err) < 0 ||
                      kafka_topic_partition_count(&seen, rk, spec->name, err) < 0))
        return -1;
    return made ? 0 : kafka_topic_check_partitions(spec->name, seen, spec->partitions, err);
}

static const struct kafka_setting ledger_settings[] = {{"cleanup.policy", "compact"},
                                                       {"segment.bytes", "16777216"},
                                                       {"min.cleanable.dirty.ratio", "0.1"},
                                                       {"max.compaction.lag.ms", "3600000"},
                                                       {NULL, NULL}};

int kafka_topic_ensure_own(rd_kafka_t *rk, const struct config *c, struct error *err)
{
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
        {ledger, (int32_t)config_int(c, "ledger.partitions"), replication, ledger_settings},
        {signal, 1, replication, kept},
        {dead, 1, replication, kept},
    };

    for (size_t i = 0; i < ARRAY_LEN(specs); i++)
        if (ensure_topic(rk, &specs[i], err) < 0)
            return -1;
    return 0;
}

/* ---- a ledger topic that somebody else made ---- */

/* 1: it is told, and fits; 0: it is not told (the reason is in err). */
static int check_policy(rd_kafka_t *rk, const char *topic, struct error *err)
{
    AUTO(free_charp) char *policy = NULL;

    if (kafka_topic_setting(&policy, rk, topic, "cleanup.policy", err) < 0)
        return err->kind == ERR_DATA || (err->kind == ERR_FATAL && err->code == EXIT_NO_RIGHT)
                   ? 0
                   : -1;
    if (strcmp(policy, "compact") == 0)
        return 1;
    return error_fatal(err, EXIT_CONFIGURATION,
                       "topic %s has cleanup.policy=%s, which drops records that are needed: "
                       "set it to compact",
                       topic, policy);
}

/* In *untold the name, when these brokers (older ones, or of another make) don't tell it. */
static int warn_if_slow(rd_kafka_t *rk, const char *topic, const struct kafka_setting *ours,
                        const char **untold, struct error *err)
{
    AUTO(free_charp) char *value = NULL;

    if (kafka_topic_setting(&value, rk, topic, ours->name, err) < 0) {
        if (err->kind != ERR_DATA)
            return -1;
        *untold = ours->name;
        return 0;
    }
    if (strtod(value, NULL) > strtod(ours->value, NULL))
        log_warn("ledger topic is compacted late, so that starts take longer",
                 "topic=%s setting=%s value=%s better=%s", topic, ours->name, value,
                 ours->value);
    return 0;
}

int kafka_topic_check_ledger(rd_kafka_t *rk, const struct config *c, struct error *err)
{
    AUTO(free_charp) char *ledger = kafka_ledger_topic(c);
    const char *untold = NULL;
    int told = check_policy(rk, ledger, err);

    if (told < 0)
        return -1;
    if (told == 0) {
        log_warn("ledger topic can't be checked", "reason=%s", err->message);
        return 0;
    }
    for (const struct kafka_setting *s = ledger_settings + 1; s->name; s++)
        if (warn_if_slow(rk, ledger, s, &untold, err) < 0)
            return -1;
    if (untold)
        log_info("ledger topic can't be checked as a whole: the brokers don't tell a setting",
                 "topic=%s setting=%s", ledger, untold);
    return 0;
}
