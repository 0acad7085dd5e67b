/* producer/table_worker.h - carries one table: its generation, its scan segments and its
 * stream's shards, and the requests that are sent to it.
 *
 * Everything it does is a step on the pool: one control step (start, adoption, the end of the
 * snapshot, the shard tree), a step a segment (snapshot.c), a step a shard (shard_reader.c),
 * one for its requests (table_signals.c). Appends go through the writer of the table's ledger
 * partition together with the ledger records they came from. What was appended (now) and what
 * was committed are kept apart: an abort goes back to the committed state and asks again.
 *
 * Locks: `lock` guards the state below it and is never held over a request or an append; the
 * writer's gate comes before it. A worker lives until its owner and all its steps let go of it.
 */
#pragma once

#include <stdatomic.h>

#include "common/event.h"
#include "common/metrics.h"
#include "producer/barrier.h"
#include "producer/producer.h"
#include "producer/shard_tree.h"
#include "producer/topic_writer.h"

struct ledger_partition;
struct table_repair;
struct signal_queue;

enum worker_state {
    WORKER_START,   /* describe the table, compare with the ledger, adopt or go on */
    WORKER_ADOPTED, /* the begin was appended; nothing runs before it is committed */
    WORKER_RUN,
    WORKER_STOPPED, /* gap, gone, failed: see the phase; looked at again when the program
                       restarts */
};

struct segment {
    struct table_worker *worker;
    struct step step;
    struct health *health; /* while the step is active */
    struct ledger_segment now;
    struct ledger_segment committed;
    bool dirty;
    bool distrust;       /* the service's last answer was no whole JSON: check the next before
                            appending */
    size_t answer_bytes; /* what its pages need, for the budget */
    unsigned tries;
};

struct worker_metrics {
    struct metric *rows;
    struct metric *changes;
    struct metric *dead_letters;
    struct metric *phase;
    struct metric *trim_seconds; /* until the oldest position becomes a gap */
    struct metric *repaired;
    struct metric *signals_refused;
};

struct worker_signals {
    struct signal_queue *queue; /* set once */
    struct step step;
    struct table_repair *repair; /* of the step: the one under way, NULL for none */
};

struct table_worker {
    /* set once */
    struct producer *p;
    struct ledger_partition *home;
    struct topic_writer *writer;
    struct topic_writer_member member;
    struct refusals *refusals; /* of the ledger partition */
    int32_t ledger_partition;
    char *table;
    char *topic;
    rd_kafka_topic_t *topic_handle; /* of the writer */
    struct barrier *barrier;
    struct step control;
    struct worker_signals signals;
    struct worker_metrics metrics;
    struct health *standstill; /* of the control step: set when only a person can help */
    atomic_int refs;
    atomic_bool stopping;

    /* of the control step until WORKER_RUN; then read by all, not changed within a generation
     */
    struct key_schema schema;
    int32_t partitions;
    int topic_misses; /* how often a known table's topic was not there */

    pthread_mutex_t record_lock; /* held over a change of the table's own record and its append:
                                    they keep one order */

    pthread_mutex_t lock; /* all below */
    enum worker_state state;
    struct ledger_table now; /* generation 0: none yet */
    struct ledger_table committed;
    bool dirty;
    unsigned aborts;   /* in a row, without a commit that held anything of this table */
    int64_t resume_ms; /* after the second of them nothing is asked for before; monotonic */
    bool adoption_committed;
    int64_t *begin_offsets; /* filled by delivery reports before `committed` */
    bool begin_offsets_recorded;
    bool scan_slot; /* holds a place of full.concurrency */
    struct segment *segments;
    int64_t segment_count;
    int64_t segments_done;
    struct shard_tree tree;
    int child_asks;       /* descriptions in a row that showed no child of a closed shard */
    int orphan_asks;      /* how often an unknown parent was looked for */
    int64_t described_ms; /* when table and stream were last described; monotonic */
    char *stop_reason;    /* set by topic_failed: the control step stops the table */
    enum ledger_phase stop_phase;
};

struct table_worker *table_worker_new(struct producer *p, struct ledger_partition *home,
                                      struct topic_writer *writer, int32_t ledger_partition,
                                      const char *table);
void table_worker_start(struct table_worker *w);
/* No step starts a request any more; returns at once. The owner's reference goes with it. */
void table_worker_stop(struct table_worker *w);
/* Rows appended in this generation, and about how many are to come; nothing once its snapshot
 * has ended. */
void table_worker_add_progress(struct table_worker *w, int64_t *rows, int64_t *left);
/* sync_mode full: the snapshot is committed; or the table stopped. */
bool table_worker_is_over(struct table_worker *w);
/* It makes no progress since its calls are refused or fail: why, in words. */
bool table_worker_stuck(struct table_worker *w, char *reason, size_t size);

/* ---- for snapshot.c and shard_reader.c ---- */

void table_worker_ref(struct table_worker *w);
void table_worker_unref(struct table_worker *w);
/* Schedules a step that holds a reference; its `ended` lets go of it (table_worker_unref). */
void table_worker_schedule(struct table_worker *w, struct step *s, int64_t delay_ms);
void table_worker_release_segments(
    struct table_worker *w);                    /* under lock, or by the last reference */
bool table_worker_runs(struct table_worker *w); /* WORKER_RUN and not stopping */
/* How long nothing is to be asked for, after several aborts in a row; 0: go on. */
int64_t table_worker_pause_ms(struct table_worker *w);
/* Stops the table in a clear state: the control step writes it into the ledger. */
void table_worker_fail(struct table_worker *w, enum ledger_phase phase, const char *reason);
