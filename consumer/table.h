/* consumer/table.h - a table as all its partitions see it: prepared or not, and how to convert.
 *
 * Partitions of a table are worked on by several threads. They share a view: an immutable,
 * counted description of the prepared collection. When the collection turns out to be another
 * one (dropped, restored, of a new key schema), the view is withdrawn and a new one made; a
 * partition that holds another version than the table's starts over. The preparer makes and
 * withdraws views; a halted table has none. Any thread may call. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/messages/ledger.h"
#include "common/run/metrics.h"
#include "consumer/converter.h"
#include "consumer/position.h"

#define TABLE_REASON_MAX 512

struct table_view { /* set once */
    atomic_uint refs;
    uint64_t version;
    struct key_schema schema;
    struct converter converter; /* borrows schema */
    char *collection;
    struct uuid uuid;
    char *log_id;       /* of the newest generation, like the next one */
    int32_t partitions; /* of the topic */
    int64_t first; /* the generation that need not be swept, since nothing was there before it;
                      0: none */
};

struct table_metrics { /* all NULL for a table that the filter leaves out */
    struct metric *applied;
    struct metric *deleted;
    struct metric *swept;
    struct metric *dead_letters;
    struct metric *batches;
    struct metric *lag;
    struct metric *progressed; /* wall clock, seconds */
    struct metric *failed;     /* 1: halted, the table or a partition of it */
};

struct table_asked {    /* of snapshot_request.c: a new generation was asked for */
    int64_t generation; /* in place of this one */
    int64_t again_at;   /* monotonic */
    int64_t pause_ms;
};

struct table {
    /* set once */
    char *name;
    char *topic;
    char *collection;
    bool filtered; /* left out by filter.collection.* */
    struct table_metrics metrics;

    /* under lock */
    pthread_mutex_t lock;
    struct table_view *view; /* NULL: not ready */
    uint64_t version;
    char halted[TABLE_REASON_MAX]; /* why it can't be applied; "" else */
    int partitions_halted;
    struct table_asked asked;
};

/* Where the table is applied to, as map.collection says; the caller frees. */
char *table_collection_name(const struct config *config, const char *name);

struct table *table_new(const struct config *config, const char *name, const char *topic);
void table_free(struct table *t);

/* A reference to give back, or NULL when the table is not ready. */
struct table_view *table_view_get(struct table *t);
/* One more reference to a view that the caller has one of. */
struct table_view *table_view_ref(struct table_view *view);
void table_view_put(struct table_view *view);
DEFINE_FREEP(struct table_view, table_view_putp, table_view_put)
bool table_is_current(struct table *t, const struct table_view *view);

bool table_is_halted(struct table *t);
/* One partition of it; logged once, and shown by the metric until it is over. */
void table_partition_halted(struct table *t, int32_t partition, const char *reason);
void table_partition_halt_ended(struct table *t, int32_t partition);

/* The preparer's. Each says whether something has changed; the first two end a halt. */
/* Ready as view says; a view equal to the present one changes nothing. Takes view. */
bool table_ready(struct table *t, struct table_view **view);
/* Not ready (yet). */
bool table_waits(struct table *t);
/* Can't be applied until someone acts: logged once, and shown by the metric until it is over.
 */
bool table_halt(struct table *t, const char *reason);
