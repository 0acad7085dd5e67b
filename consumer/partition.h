/* consumer/partition.h - one partition of one table: its messages in hand, its position, its
 * phase.
 *
 * Exactly one thread holds a partition at a time (pool.h); the fields of the holder need no
 * lock. The group's thread only asks (assigned, revoke) under the pool's lock and reads the
 * atomics. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/backoff.h"
#include "common/metrics.h"
#include "consumer/batch.h"
#include "consumer/fetch.h"
#include "consumer/position.h"
#include "consumer/table.h"

enum partition_phase {
    PARTITION_PARKED, /* not ours, or lost to another owner */
    PARTITION_TABLE,  /* waits for its table to be known and prepared */
    PARTITION_TAKE,   /* is taken over */
    PARTITION_RUN,
    PARTITION_HELD, /* an outage or an unknown outcome: until its time, then reads its position
                     */
    PARTITION_MARKING, /* lost, and has to tell the new owner how far to go back */
    PARTITION_FAILED,  /* a clear state: the log no longer reaches back */
};

struct refusal { /* a message that is no event of this table */
    rd_kafka_message_t *message;
    char *reason;
};

struct partition {
    /* set once */
    char *topic;
    int32_t number;
    char *id; /* of the position document: "<topic>/<number>" */
    struct pool *pool;

    /* under the pool's lock */
    struct partition *next; /* of all */
    struct partition *next_ready;
    bool ready;           /* in the queue, or to be put there when its holder is done */
    bool busy;            /* held by a thread */
    bool revoke;          /* asked to let go */
    bool parked;          /* let go, or nothing to let go */
    int64_t due;          /* when to be looked at next */
    unsigned assignments; /* counts how often the group gave it to us */

    /* of the holder */
    enum partition_phase phase;
    unsigned seen_assignments;
    struct table *table;       /* NULL: not known yet */
    struct preparer *preparer; /* told that the table is in use; NULL: not */
    struct table_view *view;   /* a reference, in TAKE and RUN and HELD */
    struct position position;
    struct fetch_stream stream;
    struct batch batch;
    rd_kafka_message_t **messages; /* that the batch borrows from */
    size_t message_count;
    size_t message_capacity;
    struct refusal *refusals;
    size_t refusal_count;
    int64_t oldest_at; /* when the first message of the batch came */
    int64_t check_at;  /* when the position is to be read */
    struct backoff backoff;
    struct health *health; /* NULL: parked */
    bool at_end;           /* everything that the log had was seen */
    bool other_schema;     /* a begin of another key schema is next */
    bool truncated;        /* the log begins after the start */
    bool stopped;          /* in a clear state that its table shows */
    bool skip;             /* to be taken from the newest begin, because of that */

    /* any thread reads */
    atomic_bool assigned;
    atomic_bool idle;     /* at the end, all applied, nothing to be done again */
    atomic_bool failed;   /* in a clear state */
    atomic_bool left_out; /* its table is filtered */
    atomic_llong offset;  /* confirmed; -1: none yet */
    atomic_llong lag;
};

struct partition *partition_new(struct pool *pool, struct fetch *f, const char *topic,
                                int32_t number);
void partition_free(struct partition *p);

/* Keeps a message until the batch is dropped. */
void partition_keep(struct partition *p, rd_kafka_message_t *m);
void partition_refuse(struct partition *p, rd_kafka_message_t *m, const char *reason);
/* Empties the batch and gives its messages back. */
void partition_drop_batch(struct partition *p);
bool partition_has_batch(const struct partition *p);
