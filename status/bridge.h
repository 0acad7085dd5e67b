/* status/bridge.h - where a bridge stands: what the ledger, the topics, the consumer group and
 * the target say, table by table, at one moment.
 *
 * What could not be read is not known (-1, NULL), and bridge.unread says why. Plain data: read
 * by bridge_reader.h, judged by totals.h and proof.h, shown by view_text.h and view_json.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/messages/ledger.h"
#include "common/mongo/position_doc.h"

#define NOT_KNOWN (-1)

struct bridge_partition { /* of a data topic */
    int64_t low;          /* the first offset that the log still has */
    int64_t end;          /* behind its last committed record */
    int64_t high;         /* behind the last one of all, open transactions included */
    struct position_doc position;
    bool position_known; /* the target was asked; .found: it has one */
    char *consumer;      /* who has it in the group; NULL: nobody, or not known */
    int64_t first;       /* the first record that is not applied; `end`: there is none, whatever
                            the position says */
    int64_t waits_ms;    /* its time at the source; 0: there is none */
};

struct bridge_letters { /* unhandled dead letters of one stage and reason */
    char *stage;
    char *reason;
    int64_t count;
};

struct bridge_table {
    char *name;
    int32_t place;              /* ledger partition */
    bool has_record;            /* else it was placed, and nobody has begun it */
    struct ledger_table record; /* zero without one */
    char *producer;             /* who owns the ledger partition; NULL: nobody, or not known */
    bool is_wanted;             /* it passes the filters of this configuration */

    int64_t segments_done, rows, bytes; /* of the snapshot */
    struct ledger_shard *shards;
    size_t shard_count;
    struct bridge_partition *partitions; /* record.partitions */
    struct bridge_letters *letters;
    size_t letters_count;
};

struct bridge_unread {
    char *part; /* "Kafka", "MongoDB", ... */
    char *reason;
};

struct bridge_member { /* of one of both groups */
    const char *role;  /* "producer" | "consumer" */
    char *name;        /* of the member */
    char *host;
};

struct bridge {
    const char *prefix; /* topic.prefix */
    int64_t at_ms;      /* wall time of this look */
    struct bridge_table *tables;
    size_t count; /* by name */
    struct bridge_member *members;
    size_t member_count;
    bool producers_known, consumers_known; /* the groups were asked */
    bool letters_known;
    struct bridge_unread *unread;
    size_t unread_count;
};

/* "in processing" and everything before it: changes may come from it. */
bool bridge_shard_is_open(const struct ledger_shard *shard);
/* Everything older is read from it; until then is left before what is not read may be trimmed
 * (below 0: it may be already). */
int64_t bridge_shard_read_lag_ms(const struct bridge *bridge, const struct ledger_shard *shard);
int64_t bridge_shard_trim_ms(const struct bridge *bridge, const struct ledger_shard *shard);
/* Of all stages and reasons. */
int64_t bridge_table_letters(const struct bridge_table *table);
/* NULL: no such table. */
struct bridge_table *bridge_find(const struct bridge *bridge, const char *table);
/* part: once, with the first reason. */
void bridge_not_read(struct bridge *bridge, const char *part, const char *reason);
void bridge_table_release(struct bridge_table *table);
void bridge_release(struct bridge *bridge);
