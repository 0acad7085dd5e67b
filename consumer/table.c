#include "consumer/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/run/log.h"

static void metrics_register(struct table_metrics *metrics, const char *table)
{
    AUTO(free_charp) char *labels = metric_labels("table", table, NULL);

    metrics->applied = metric_get(METRIC_COUNTER, "dynaferry_consumer_applied_total",
                                  "Documents written.", labels);
    metrics->deleted = metric_get(METRIC_COUNTER, "dynaferry_consumer_deleted_total",
                                  "Deletes applied.", labels);
    metrics->swept = metric_get(METRIC_COUNTER, "dynaferry_consumer_swept_total",
                                "Documents removed at the end of a generation, since their "
                                "items are not there any more.",
                                labels);
    metrics->dead_letters = metric_get(METRIC_COUNTER, "dynaferry_consumer_dead_letters_total",
                                       "Records that could not be applied.", labels);
    metrics->batches = metric_get(METRIC_COUNTER, "dynaferry_consumer_batches_total",
                                  "Batches acknowledged by the target.", labels);
    metrics->lag = metric_get(METRIC_GAUGE, "dynaferry_consumer_lag",
                              "Offsets between the position and the end, over this instance's "
                              "partitions.",
                              labels);
    metrics->progressed =
        metric_get(METRIC_GAUGE, "dynaferry_consumer_progress_timestamp_seconds",
                   "When a position was last moved, or found at the end.", labels);
    metrics->failed =
        metric_get(METRIC_GAUGE, "dynaferry_consumer_table_halted",
                   "1: the table, or a partition of it, is halted: see the log.", labels);
}

char *table_collection_name(const struct config *config, const char *name)
{
    char *renamed = config_map_get(config, "map.collection", name);

    return renamed ? renamed : xstrdup(name);
}

struct table *table_new(const struct config *config, const char *name, const char *topic)
{
    struct table *t = xcalloc(1, sizeof(*t));

    t->name = xstrdup(name);
    t->topic = xstrdup(topic);
    t->collection = table_collection_name(config, name);
    pthread_mutex_init(&t->lock, NULL);
    t->filtered = !config_wants_table(config, name);
    if (!t->filtered)
        metrics_register(&t->metrics, name);
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    table_view_put(t->view);
    pthread_mutex_destroy(&t->lock);
    free(t->name);
    free(t->topic);
    free(t->collection);
    free(t);
}

struct table_view *table_view_get(struct table *t)
{
    AUTO_LOCK(&t->lock);
    if (t->view)
        atomic_fetch_add(&t->view->refs, 1);
    return t->view;
}

struct table_view *table_view_ref(struct table_view *view)
{
    atomic_fetch_add(&view->refs, 1);
    return view;
}

void table_view_put(struct table_view *view)
{
    if (!view || atomic_fetch_sub(&view->refs, 1) > 1)
        return;
    key_schema_release(&view->schema);
    free(view->collection);
    free(view->log_id);
    free(view);
}

bool table_is_current(struct table *t, const struct table_view *view)
{
    AUTO_LOCK(&t->lock);
    return t->view && view && t->version == view->version;
}

static bool same_view(const struct table_view *view, const struct table_view *b)
{
    return view && uuid_equal(&view->uuid, &b->uuid) &&
           key_schema_equal(&view->schema, &b->schema) &&
           view->converter.identity == b->converter.identity && view->first == b->first &&
           view->partitions == b->partitions && strcmp(view->log_id, b->log_id) == 0;
}

/* Worth a line only when it is not what was configured. */
static void tell_identity(const struct table *t, const struct table_view *view)
{
    if (!converter_can_index(&view->schema))
        log_warn("key can't be indexed by its name: _id is the key",
                 "table=%s hash_key=%s range_key=%s", t->name, view->schema.hash.name,
                 view->schema.range.name ? view->schema.range.name : "");
}

static void show_halts(const struct table *t)
{
    metric_set(t->metrics.failed, t->halted[0] || t->partitions_halted > 0);
}

/* Under the lock. Was there a halt to end? */
static bool end_halt(struct table *t)
{
    if (!t->halted[0])
        return false;
    t->halted[0] = '\0';
    show_halts(t);
    log_info("table no longer halted", "table=%s topic=%s", t->name, t->topic);
    return true;
}

bool table_ready(struct table *t, struct table_view **view)
{
    struct table_view *new = TAKE(*view), *old = new;
    bool changed;

    {
        AUTO_LOCK(&t->lock);
        changed = end_halt(t);
        if (!same_view(t->view, new)) {
            old = t->view;
            new->version = ++t->version;
            t->view = new;
            tell_identity(t, new);
            changed = true;
        }
    }
    table_view_put(old);
    return changed;
}

bool table_waits(struct table *t)
{
    struct table_view *old;
    bool was_halted;

    {
        AUTO_LOCK(&t->lock);
        was_halted = end_halt(t);
        old = TAKE(t->view);
    }
    table_view_put(old);
    return was_halted || old;
}

bool table_halt(struct table *t, const char *reason)
{
    struct table_view *old;
    bool another;

    {
        AUTO_LOCK(&t->lock);
        another = strcmp(t->halted, reason) != 0;
        snprintf(t->halted, sizeof(t->halted), "%s", reason);
        show_halts(t);
        old = TAKE(t->view);
    }
    if (another)
        log_error("table halted", "table=%s topic=%s reason=%s", t->name, t->topic, reason);
    table_view_put(old);
    return another || old;
}

void table_partition_halted(struct table *t, int32_t partition, const char *reason)
{
    AUTO_LOCK(&t->lock);
    t->partitions_halted++;
    show_halts(t);
    log_error("partition halted", "table=%s topic=%s partition=%" PRId32 " reason=%s", t->name,
              t->topic, partition, reason);
}

void table_partition_halt_ended(struct table *t, int32_t partition)
{
    AUTO_LOCK(&t->lock);
    t->partitions_halted--;
    show_halts(t);
    log_info("partition no longer halted", "table=%s topic=%s partition=%" PRId32, t->name,
             t->topic, partition);
}

bool table_is_halted(struct table *t)
{
    AUTO_LOCK(&t->lock);
    return t->halted[0] != '\0';
}
