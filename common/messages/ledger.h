/* common/messages/ledger.h - the records of the ledger topic.
 *
 * Keys source, place/<table>, carrier/<n>, table/<table>, segment/<table>/<n>,
 * shard/<table>/<id>; values JSON (schemas/ledger.schema.json). Written by the producer only,
 * in its transactions; read by all. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/item/ddb_indexes.h"
#include "common/item/key_schema.h"

enum ledger_phase {
    PHASE_SNAPSHOT,
    PHASE_TAIL, /* after the snapshot; a sync_mode=full table whose snapshot ended stands here
                   with no shards */
    PHASE_GAP,
    PHASE_PAUSED,
    PHASE_GONE,
    PHASE_FAILED,
};

#define LEDGER_HANDLED_MOST 8

/* A request (table_signal.h) that was handled. */
struct ledger_handled {
    int64_t offset; /* in the signal topic */
    char *id;       /* the sender's */
    char *refused;  /* why; "": it was done, or is under way */
    int64_t ts_ms;  /* when, by the source's clock; 0: an earlier version wrote it */
};

struct ledger_table {
    char *table;
    char *topic;
    enum ledger_phase phase;
    char *reason;  /* of gap, paused, gone, failed; "" else */
    bool renew;    /* of gap: a new generation begins by itself */
    bool forget;   /* of gone: its records are to be removed */
    bool lost_log; /* of gap: its topic is not the log any more that it was, or lost its end */
    bool retry;    /* of gone, failed: somebody asked, and it is looked at again */
    int64_t generation; /* 0: none has begun (a table that could not start); nothing but phase
                           and reason counts */
    char *table_id;
    char *stream_arn; /* "" in sync_mode full */
    struct key_schema key_schema;
    int64_t item_count;
    int64_t segments;   /* total, never changed within a generation; 0 for a generation without
                           rows */
    int32_t partitions; /* of the data topic */
    char *log_id;
    bool rows;       /* the generation has rows */
    bool taken_over; /* the target has documents of another tool, to go on from: so the first
                        generation may do without rows */
    /* one per partition; NULL until known (one transaction after the begin) */
    int64_t *begin_offsets;
    int64_t started_ms;
    int64_t finished_ms;        /* of the snapshot; 0: not yet */
    int64_t signal_offset;      /* the next one to handle; -1: none yet */
    struct ddb_indexes indexes; /* secondary ones, as they were when the generation began */
    int64_t listed_ms; /* all shards that a whole listing of then (the source's time) has are in
                          the ledger: told to whoever asked; 0: nobody has */
    int64_t gaps;      /* generations in a row that began because of a gap */
    struct ledger_handled handled[LEDGER_HANDLED_MOST]; /* the last ones, the newest last */
    size_t handled_count;
};

struct ledger_segment {
    int64_t generation;
    int64_t segment;
    char *last_key; /* LastEvaluatedKey as JSON text, NULL: from the start */
    int64_t rows;
    int64_t bytes;
    bool done;
};

enum shard_status {      /* NimoShake's words in the ledger */
    SHARD_NOT_PROCESS,   /* "not process" */
    SHARD_NO_NEED,       /* "no need to process" */
    SHARD_PREPARE,       /* "prepare stage" */
    SHARD_IN_PROCESSING, /* "in processing" */
    SHARD_WAIT_FATHER,   /* "wait father finish" */
    SHARD_DONE,          /* "done" */
};

/* How long a stream keeps a change. */
#define LEDGER_STREAM_KEEPS_MS (24 * 3600 * INT64_C(1000))

struct ledger_shard {
    int64_t generation; /* the adoption it belongs to */
    char *id;
    char *parent; /* "" for none */
    enum shard_status status;
    char *sequence; /* last one appended, "" for none */
    int64_t records;
    int64_t updated_ms;
    int64_t source_ms; /* source time of the last record; 0: none */
    int64_t complete_to_ms;
    bool adopted; /* it was there when the generation began */
};

/* What the ledger is the ledger of: in partition 0, by its owner, before the first place. */
struct ledger_source {
    char *account;  /* of Amazon; "": not known, or no account */
    char *region;   /* of Amazon's own endpoints; "" else */
    char *endpoint; /* URL of any other; "" for Amazon's own */
    char *prefix;   /* topic.prefix */
};

struct ledger_place {
    int32_t partition; /* of the ledger */
    bool forget; /* the table is gone for good: its owner removes its records, then whoever
                    places tables removes this one */
};

/* What the owner of a ledger partition carries of what is placed there: its filters. */
struct ledger_carrier {
    char *white; /* as configured */
    char *black;
};

void ledger_source_release(struct ledger_source *source);
void ledger_carrier_release(struct ledger_carrier *carrier);
void ledger_table_release(struct ledger_table *t);
void ledger_table_copy(struct ledger_table *ret, const struct ledger_table *t);
/* Notes a handled request, of which it keeps a copy; the oldest is forgotten. */
void ledger_table_handled(struct ledger_table *t, const struct ledger_handled *handled);
/* NULL: it was not, or so many came later. Of a request that was sent twice the first counts.
 */
const struct ledger_handled *ledger_table_find_handled(const struct ledger_table *t,
                                                       const char *id);
void ledger_segment_release(struct ledger_segment *segment);
void ledger_shard_release(struct ledger_shard *shard);
void ledger_shard_copy(struct ledger_shard *ret, const struct ledger_shard *shard);

/* Append key and value; decode: ERR_DATA for anything else than what encode writes. */
#define LEDGER_SOURCE_KEY "source"
void ledger_place_key(struct buf *out, const char *table);
void ledger_carrier_key(struct buf *out, int32_t partition);
void ledger_table_key(struct buf *out, const char *table);
void ledger_segment_key(struct buf *out, const char *table, int64_t segment);
void ledger_shard_key(struct buf *out, const char *table, const char *shard);
void ledger_source_encode(struct buf *out, const struct ledger_source *source);
void ledger_place_encode(struct buf *out, const struct ledger_place *p);
void ledger_carrier_encode(struct buf *out, const struct ledger_carrier *carrier);
void ledger_table_encode(struct buf *out, const struct ledger_table *t);
void ledger_segment_encode(struct buf *out, const struct ledger_segment *segment);
void ledger_shard_encode(struct buf *out, const struct ledger_shard *shard);
int ledger_source_decode(struct ledger_source *ret, struct bytes json, struct error *err);
int ledger_place_decode(struct ledger_place *ret, struct bytes json, struct error *err);
int ledger_carrier_decode(struct ledger_carrier *ret, struct bytes json, struct error *err);
int ledger_table_decode(struct ledger_table *ret, struct bytes json, struct error *err);
int ledger_segment_decode(struct ledger_segment *ret, struct bytes json, struct error *err);
int ledger_shard_decode(struct ledger_shard *ret, struct bytes json, struct error *err);
const char *ledger_phase_name(enum ledger_phase p);
const char *ledger_shard_status_name(enum shard_status status);
