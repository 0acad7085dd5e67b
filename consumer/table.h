/* consumer/table.h - a table as all its partitions see it: prepared or not, and how to convert.
 *
 * Partitions of a table are worked on by several threads. They share a view: an immutable,
 * counted description of the prepared collection. When the collection turns out to be another
 * one (dropped, restored, of a new key schema), the view is withdrawn and a new one made; a
 * partition that holds another version than the table's starts over. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/ledger.h"
#include "common/metrics.h"
#include "common/mongo.h"
#include "consumer/convert.h"
#include "consumer/generation.h"

struct table_view { /* set once */
    atomic_uint refs;
    uint64_t version;
    struct key_schema schema;
    struct converter converter; /* borrows schema */
    char *collection;
    struct uuid uuid;
    char *log_id; /* of the newest generation */
};

struct table_metrics {
    struct metric *applied;
    struct metric *deleted;
    struct metric *dead_letters;
    struct metric *batches;
    struct metric *lag;
    struct metric *progressed; /* wall clock, seconds */
    struct metric *failed;     /* 1: stopped in a clear state */
};

struct table {
    /* set once */
    char *name;
    char *topic;
    char *collection;
    bool filtered; /* left out by filter.collection.* */
    char *refused; /* why it can never be applied as configured; NULL else */
    struct table_metrics metrics;

    /* under lock */
    pthread_mutex_t lock;
    struct table_view *view; /* NULL: not ready */
    uint64_t version;
    bool looking;     /* a thread reads or prepares */
    int64_t look_at;  /* when to look again; 0: at once */
    char failed[512]; /* why it can't be prepared; "" else */
    int stopped;      /* partitions in a clear state */
};

struct table *table_new(const struct config *c, const char *name, const char *topic);
void table_free(struct table *t);
/* Before other threads know the table. */
void table_refuse_name(struct table *t, const char *why);

/* A reference to give back, or NULL when the table is not ready. */
struct table_view *table_view_get(struct table *t);
void table_view_put(struct table_view *v);
DEFINE_FREEP(struct table_view, table_view_putp, table_view_put)
bool table_is_current(struct table *t, const struct table_view *v);

/* Is it time, and nobody else at it? Then the caller looks and reports by one of the three
 * below. */
bool table_look_begin(struct table *t, int64_t now_ms);
/* Ready as view says. A view equal to the present one changes nothing. Takes view. */
void table_look_ready(struct table *t, struct table_view **view, int64_t again_at);
/* Not ready (yet): the present view is withdrawn. */
void table_look_waits(struct table *t, int64_t again_at);
/* Can't be told now: all stays as it is. */
void table_look_unknown(struct table *t, int64_t again_at);

/* Clear states: logged once, and shown by the metric until they are over. The whole table: */
void table_fail(struct table *t, const char *reason);
void table_clear_failure(struct table *t);
bool table_has_failed(struct table *t);
/* One partition of it: */
void table_partition_stopped(struct table *t, int32_t partition, const char *reason);
void table_partition_goes_on(struct table *t, int32_t partition);
/* Look again at once. */
void table_look_soon(struct table *t);
