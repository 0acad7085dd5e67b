/* producer/append.h - builds the messages of a table and appends them through its writer.
 *
 * All between topic_writer_gate_enter and _exit. A record that is too large, or that the
 * broker refused alone, goes to the dead letters, with a `skipped` in its place, in the same
 * transaction; with errors.tolerance = none it halts its table instead. Errors: ERR_ABORT
 * (leave the gate), ERR_RETRY and ERR_DATA (the answer is not what the service promises:
 * nothing of this record was appended). */
#pragma once

#include "common/dynamodb/ddb_records.h"
#include "common/messages/dead_letter.h"
#include "producer/table_worker.h"

struct append_origin {
    int64_t read_ms; /* wall clock: when the answer came */
    int64_t generation;
    struct bytes shard; /* of a change */
    int64_t segment;    /* of a row */
    int64_t signal;     /* of a repair: the request's offset */
};

int append_row(struct append_context *a, const struct append_origin *origin,
               const struct ddb_item *item, struct error *err);
int append_change(struct append_context *a, const struct append_origin *origin,
                  const struct ddb_record *rec, struct error *err);
/* What a repair found: the item, or that it does not exist. */
int append_repaired_row(struct append_context *a, const struct append_origin *origin,
                        const struct ddb_item *item, struct error *err);
int append_repaired_delete(struct append_context *a, const struct append_origin *origin,
                           const struct ddb_item *key, struct error *err);
/* snapshot-begin or snapshot-end in every partition; ret_offsets: one per partition, or NULL.
 */
int append_control(struct append_context *a, enum event_control type,
                   const struct ledger_table *t, int64_t *ret_offsets, struct error *err);

int append_ledger_table(struct append_context *a, const struct ledger_table *t,
                        struct error *err);
int append_ledger_segment(struct append_context *a, const struct ledger_segment *segment_record,
                          struct error *err);
int append_ledger_shard(struct append_context *a, const struct ledger_shard *shard_record,
                        struct error *err);
int append_ledger_shard_tombstone(struct append_context *a, const char *shard,
                                  struct error *err);
int append_ledger_segment_tombstone(struct append_context *a, int64_t segment,
                                    struct error *err);
