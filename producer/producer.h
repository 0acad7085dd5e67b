/* producer/producer.h - what all modules of the producer share, and what each thread of the
 * pool has. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "common/config/config.h"
#include "common/dynamodb/ddb_client.h"
#include "common/messages/ledger_cache.h"
#include "common/run/step_pool.h"
#include "common/run/throttle.h"

struct signal_topic;
struct table_worker;
struct poison;
struct source_identity;

enum sync_mode {
    SYNC_ALL,
    SYNC_FULL,
    SYNC_INCR
};

struct producer { /* set once, before any thread starts, but for atomics */
    const struct config *config;
    enum sync_mode mode;
    bool event_before;
    bool errors_halt;   /* errors.tolerance = none */
    bool renews_gaps;   /* on_gap = resnapshot */
    const char *prefix; /* topic.prefix */
    char *ledger_topic;
    char *dead_letter_topic;
    atomic_int tables;  /* that are carried now */
    int64_t started_ms; /* the service's time: a full table finished before it is repeated */
    struct ddb_source *source;
    struct ledger_cache *cache;
    struct step_pool *pool;
    struct step_queue room; /* steps that wait for bytes of the budget */
    struct throttle *throttle;
    struct signal_topic *signals;
    struct source_identity *identity;
    struct nimoshake
        *nimoshake; /* whose positions tables without a generation go on from; NULL */
    char **listed;  /* the source's tables that pass the filters, at the start */
    size_t listed_count;
    struct poison **poison; /* one a ledger partition */
    int32_t poison_count;
    rd_kafka_t *admin; /* for metadata, topics, watermarks (read_uncommitted) */
};

/* throttle_reserve for a step. False: it comes again in ROOM_MS, or sooner, when it is woken.
 */
#define ROOM_MS 1000
bool producer_reserve(struct producer *p, enum throttle_use use, size_t bytes,
                      struct step *step);
/* Wakes the first ones that wait for it: of throttle_on_room. */
bool producer_room_came(void *producer);

/* What a step reads and appends with: its thread's connection and buffers, and the table it is
 * for. A step of a table sets `w` as it begins; no two threads have the same context. */
struct append_context {
    struct table_worker *w; /* in steps of a table; in others it is whatever it was */
    struct ddb_client *client;
    struct buf message_key;
    struct buf keys;
    struct buf value;
    struct buf text; /* ledger values, dead letters */
};
