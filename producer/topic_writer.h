/* producer/topic_writer.h - appends to Kafka through the one fenced transactional handle of a
 * ledger partition.
 *
 * Promise: what a member appends between topic_writer_gate_enter and _exit goes into one
 * transaction, and nobody commits or aborts that meanwhile. When an append fails with
 * ERR_ABORT, or the member calls topic_writer_request_abort, all of the transaction is aborted,
 * everything other members appended to it included. Appends to a partition are in its log in
 * their order. Opening fences every predecessor with the same transactional id for good.
 *
 * Members (tables) share a handle, but not their troubles: when a topic takes nothing, only its
 * own member is held back, and tries again by itself, less and less often (trust.h).
 *
 * Threads: any thread appends. One thread of the writer's own commits and aborts
 * (topic_writer_commit.h); another serves delivery reports (topic_writer_reports.h). */
#pragma once

#include <stdbool.h>

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/run/step_pool.h"
#include "producer/poison.h"
#include "producer/topic_writer_commit.h"
#include "producer/topic_writer_gate.h"
#include "producer/topic_writer_types.h"

/* Fences predecessors (init_transactions): ERR_RETRY when Kafka can't now, ERR_FATAL for a
 * missing right. poison says whether records are sent alone or in batches. pool: of the steps
 * that wait for the gate; NULL: there are none. */
int topic_writer_open(struct topic_writer **ret, const struct config *c,
                      int32_t ledger_partition, struct poison *poison, struct step_pool *pool,
                      struct error *err);
/* Waits for appenders, commits what is appended (unless fenced or broken), refuses appends from
 * then on. */
void topic_writer_close(struct topic_writer *writer);
/* Closed before; nobody uses it any more. */
void topic_writer_free(struct topic_writer *writer);
DEFINE_FREEP(struct topic_writer, topic_writer_freep, topic_writer_free)
enum topic_writer_state topic_writer_state(const struct topic_writer *writer);
/* A topic was made anew that it has written to: its handle has numbers and partitions of the
 * old one. */
void topic_writer_outdate(struct topic_writer *writer, const char *topic);
/* Open a new one: that was called, or it sends each record alone, which is slow and no longer
 * necessary. */
bool topic_writer_is_outdated(const struct topic_writer *writer);
/* It has committed something, or found what the broker refuses: then the next writer need not
 * wait longer than this one did. */
bool topic_writer_was_of_use(const struct topic_writer *writer);

void topic_writer_add_member(struct topic_writer *writer, struct topic_writer_member *m);
/* Waits for running callbacks, but not for the gate. May be called in a callback. */
void topic_writer_remove_member(struct topic_writer *writer, struct topic_writer_member *m);

/* The member's topic gave these offsets out to an earlier handle, one per partition: it is
 * another topic (log_lost) when a record gets none above them. */
void topic_writer_note_ends(struct topic_writer *writer, struct topic_writer_member *m,
                            const int64_t *offsets, int32_t count);

/* A topic's handle, which saves appends the lookup of its name; the caller destroys it before
 * the writer is freed. */
rd_kafka_topic_t *topic_writer_topic(struct topic_writer *writer, const char *name);

/* Inside the gate; the first append begins the transaction. Waits for room in the queue while
 * records are delivered. ERR_DATA: this record alone is too large and was not appended.
 * ERR_ABORT: the transaction will be aborted; leave the gate. */
int topic_writer_append(struct topic_writer *writer, const struct topic_record *record,
                        struct error *err);
/* For a caller that appended only some of what belongs together. */
void topic_writer_request_abort(struct topic_writer *writer, const char *why);
