#include "producer/table_topic.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "producer/topic_search.h"

static int create_topic(struct table_worker *w, struct error *err)
{
    const struct config *c = w->p->config;
    AUTO(free_charp)
    char *retention = xasprintf("%" PRId64, config_int(c, "topic.retention.ms"));
    AUTO(free_charp)
    char *bytes = xasprintf("%" PRId64, config_int(c, "topic.max.message.bytes"));
    const struct kafka_setting settings[] = {{"cleanup.policy", "delete"},
                                             {"retention.ms", retention},
                                             {"max.message.bytes", bytes},
                                             {NULL, NULL}};
    const struct kafka_topic_spec spec = {
        .name = w->topic,
        .partitions = (int32_t)config_int(c, "topic.partitions"),
        .replication = (int16_t)config_int(c, "topic.replication.factor"),
        .configs = settings,
    };

    if (kafka_topic_create(w->p->admin, &spec, err) < 0)
        return -1;
    w->partitions = spec.partitions;
    return 0;
}

static char *random_id(void)
{
    uint64_t r[2];

    random_bytes(r, sizeof(r));
    return xasprintf("%016" PRIx64 "%016" PRIx64, r[0], r[1]);
}

/* The message key is the item's only without a sort key: compaction would drop its siblings. */
static bool policy_suffices(struct table_worker *w, const char *policy, struct error *err)
{
    if (!w->schema.range.name || !strstr(policy, "compact"))
        return true;
    error_fatal(
        err, 0,
        "topic %s has cleanup.policy=%s, which would drop items of a table with a sort key: "
        "set it to delete",
        w->topic, policy);
    return false;
}

static bool ceiling_suffices(struct table_worker *w, const char *bytes, struct error *err)
{
    int64_t wanted = config_int(w->p->config, "topic.max.message.bytes");

    if (strtoll(bytes, NULL, 10) >= wanted)
        return true;
    error_fatal(err, 0,
                "topic %s has max.message.bytes=%s, less than topic.max.message.bytes=%" PRId64
                ": raise the one or lower the other",
                w->topic, bytes, wanted);
    return false;
}

/* NULL: these brokers don't tell it. */
static int setting_if_told(char **ret, struct table_worker *w, const char *name,
                           struct error *err)
{
    if (kafka_topic_setting(ret, w->p->admin, w->topic, name, err) == 0)
        return 0;
    return err->kind == ERR_DATA ? 0 : -1;
}

/* A topic that is there may have been made by somebody else. */
static int check_topic(struct table_worker *w, struct error *err)
{
    AUTO(free_charp) char *policy = NULL;
    AUTO(free_charp) char *bytes = NULL;

    if (setting_if_told(&policy, w, "cleanup.policy", err) < 0 ||
        setting_if_told(&bytes, w, "max.message.bytes", err) < 0)
        return -1;
    return (!policy || policy_suffices(w, policy, err)) &&
                   (!bytes || ceiling_suffices(w, bytes, err))
               ? 0
               : -1;
}

/* Is what stands in the topic what the ledger's last generation wrote? */
static int same_log(struct table_worker *w, bool *ret, struct error *err)
{
    const struct ledger_table *t = &w->known;
    bool is_same = false;

    if (t->generation > 0 && w->partitions == t->partitions && t->begin_offsets &&
        topic_search_is_same(&is_same, w->p->config, w->topic, t->partitions, t->begin_offsets,
                             t->generation, t->log_id, err) < 0)
        return -1;
    *ret = is_same;
    return 0;
}

int table_topic_prepare(struct table_worker *w, struct ledger_table *t, struct error *err)
{
    int64_t newest = w->known.generation, in_log = 0;
    bool missing = w->partitions == 0, known = false;

    if (missing ? create_topic(w, err) < 0 : check_topic(w, err) < 0)
        return -1;
    if (!missing && same_log(w, &known, err) < 0)
        return -1;
    if (!known && !missing &&
        kafka_topic_check_partitions(w->topic, w->partitions,
                                     (int32_t)config_int(w->p->config, "topic.partitions"),
                                     err) < 0)
        return -1;
    if (!known && !missing &&
        topic_search_generation(&in_log, w->p->config, w->topic, w->partitions, err) < 0)
        return -1;
    newest = MAX(newest, in_log);
    t->generation = MAX(clock_wall_ms(), newest + 1);
    t->log_id = known ? xstrdup(w->known.log_id) : random_id();
    t->partitions = w->partitions;
    return 0;
}
