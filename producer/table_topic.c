#include "producer/table_topic.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "producer/topic_search.h"

/* *ret_made false: somebody else has made it at the same moment. */
static int create_topic(struct table_worker *w, bool *ret_made, struct error *err)
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

    if (kafka_topic_create(ret_made, w->p->admin, &spec, err) < 0)
        return -1;
    return kafka_topic_partition_count(&w->partitions, w->p->admin, w->topic, err);
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

/* ---- is it the log that the ledger knows? ---- */

static void free_offsets(int64_t **offsets)
{
    free(*offsets);
}

/* A crash right after the begin: its offsets are in the log only. */
static int find_begin(struct table_worker *w, bool *ret, int64_t **ret_begin, struct error *err)
{
    const struct ledger_table *t = &w->known;
    AUTO(free_offsets) int64_t *offsets = xcalloc((size_t)t->partitions, sizeof(*offsets));

    *ret = topic_search_begin(offsets, w->p->config, w->topic, t->partitions, t->generation,
                              t->started_ms - 60000, err) == 0;
    if (!*ret)
        return err->kind == ERR_DATA ? 0 : -1;
    if (ret_begin)
        *ret_begin = TAKE(offsets);
    return 0;
}

int table_topic_is_same_log(struct table_worker *w, bool *ret, int64_t **ret_begin,
                            struct error *err)
{
    const struct ledger_table *t = &w->known;

    *ret = false;
    if (t->generation == 0 || w->partitions < t->partitions)
        return 0;
    if (!t->begin_offsets)
        return find_begin(w, ret, ret_begin, err);
    return topic_search_is_same(ret, w->p->config, w->topic, t->partitions, t->begin_offsets,
                                t->generation, t->log_id, err);
}

/* ---- what a generation begins in ---- */

/* Items would change their partitions in the middle of a log. */
static int has_grown(const struct table_worker *w, struct error *err)
{
    return error_fatal(err, 0,
                       "topic %s has %" PRId32 " partitions, and had %" PRId32
                       ": delete it, then the table is copied anew",
                       w->topic, w->partitions, w->known.partitions);
}

/* It takes the place of one that is lost, or of none. */
static int check_other_log(struct table_worker *w, int64_t *ret_newest, struct error *err)
{
    int32_t wanted = w->known.lost_log ? w->known.partitions
                                       : (int32_t)config_int(w->p->config, "topic.partitions");

    if (topic_search_generation(ret_newest, w->p->config, w->topic, w->partitions, err) < 0)
        return -1;
    if (w->known.generation > 0 && *ret_newest == 0)
        return 0;
    return kafka_topic_check_partitions(w->topic, w->partitions, wanted, err);
}

/* *ret_newest: the newest generation that it is known to hold. One that lost its end begins as
 * another log, though the begin of the last generation still stands there: positions that are
 * behind that end, the target's and the shards', mean nothing. */
static int look_at_topic(struct table_worker *w, bool *ret_same, int64_t *ret_newest,
                         struct error *err)
{
    if (check_topic(w, err) < 0 || table_topic_is_same_log(w, ret_same, NULL, err) < 0)
        return -1;
    *ret_same = *ret_same && !w->known.lost_log;
    if (!*ret_same)
        return check_other_log(w, ret_newest, err);
    return w->partitions == w->known.partitions ? 0 : has_grown(w, err);
}

int table_topic_prepare(struct table_worker *w, struct ledger_table *t, struct error *err)
{
    int64_t in_log = 0;
    bool same = false, made = false;

    if ((w->partitions == 0 && create_topic(w, &made, err) < 0) ||
        (!made && look_at_topic(w, &same, &in_log, err) < 0))
        return -1;
    t->generation = MAX(clock_wall_ms(), MAX(w->known.generation, in_log) + 1);
    t->log_id = same ? xstrdup(w->known.log_id) : random_id();
    t->partitions = w->partitions;
    return 0;
}
