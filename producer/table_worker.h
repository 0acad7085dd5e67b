/* producer/table_worker.h - one table while it is carried: its state, and what a commit and an
 * abort do to it.
 *
 * All that happens to a table is a step on the pool: one control step (table_control.c: its
 * life), one that looks at the source (table_look.c: doubts, shards), one per segment
 * (segment_reader.c), one per shard (shard_reader.c), one for requests (table_requests.c). They
 * share this struct and know nothing of each other; carried_table.c makes the worker and wires
 * them up. Appends go through the topic writer of the table's ledger partition, together with
 * the ledger records that they belong to. What was appended and what was committed is
 * table_state's.
 *
 * Locks: `lock` guards the state below it and is never held over a request or an append; the
 * writer's gate comes before it. A worker lives until its owner and all its steps let go of it.
 */
#pragma once

#include <stdatomic.h>

#include "common/messages/event.h"
#include "common/run/health.h"
#include "common/run/progress_tables.h"
#include "producer/barrier.h"
#include "producer/doubt.h"
#include "producer/producer.h"
#include "producer/scan_pace.h"
#include "producer/shard_listing.h"
#include "producer/table_metrics.h"
#include "producer/table_state.h"
#include "producer/topic_writer.h"

struct segment_reader;
struct table_repair;
struct table_trim;
struct signal_subscription;

/* The life of a table in this program; table_control.c has a function for each, which returns
 * the next one. What stands behind a name may follow. */
enum worker_state {
    WORKER_STARTING,      /* looks at source, topic and ledger: ADOPTING, RUNNING, HALTING */
    WORKER_ADOPTING,      /* a begin was appended; nothing runs before it is committed: RUNNING,
                             STARTING when an abort took it back */
    WORKER_RUNNING,       /* HALTING, HALT_APPENDED */
    WORKER_HALTING,       /* a proven phase is to be written: HALTED */
    WORKER_HALT_APPENDED, /* a request halts it, nothing runs: HALTED with the commit, RUNNING
                             when an abort took it back */
    WORKER_HALTED, /* gap, gone, failed, paused: STARTING, when it may be well again, or when a
                      gap is committed from which it goes on by itself; START_APPENDED */
    WORKER_START_APPENDED, /* a request ends its halt: STARTING with the commit, HALTED when an
                              abort took it back */
    WORKER_UNREADABLE, /* its record in the ledger can't be read, so nothing is written over it:
                          STARTING, when it can be */
    WORKER_STATES
};

struct worker_requests {
    struct signal_subscription *subscription; /* set once, before the step is scheduled */
    struct step step;
    struct table_repair *repair; /* of the step: the one under way, NULL for none */
};

struct log_look { /* log_look.h */
    int64_t
        *ends; /* one per partition: the greatest that was seen, at least behind the begin */
    int32_t count;      /* partitions */
    int64_t generation; /* whose they are; 0: none */
    struct doubt doubt;
    int64_t at_ms; /* the next look; monotonic. Under the worker's lock */
};

struct worker_look { /* of its step, but for what `lock` guards */
    struct step step;
    struct ddb_stream *listing; /* a whole listing under way, page by page */
    char *last;                 /* where it goes on */
    int64_t slot_at_ms;         /* its turn among all descriptions; monotonic, 0: none */
    bool listed;                /* it is whole */
    unsigned tries;             /* of the stream's description */
    unsigned table_tries;
    bool filter_unknown;   /* the endpoint does not know ShardFilter */
    int64_t list_began_ms; /* the last listing; the service's time */
    struct log_look log;

    /* under the worker's lock */
    struct doubt table;  /* what a description of the table says against it */
    struct doubt shards; /* orphans, strays */
    bool wants_table;    /* a cause to describe the table at once */
    bool wants_list;     /* a cause to list all shards */
    int64_t table_at_ms; /* not before, as the next two; monotonic */
    int64_t stream_at_ms;
    int64_t list_at_ms;
    int64_t routine_at_ms;   /* the next look without a cause */
    int64_t stream_seen_ms;  /* when a description of the stream last came; monotonic */
    int64_t table_seen_ms;   /* when a description of the table last spoke for it */
    int64_t listed_since_ms; /* the last whole listing began then (table_report.h); the
                                service's time, 0: there was none */
};

struct table_worker {
    /* set once */
    struct producer *p;
    void (*destroy)(struct table_worker *w); /* with the last reference */
    void (*reader_free)(void *reader);       /* a shard's */
    void (*released)(void *home);            /* after destroy: the owner's */
    void *home;
    struct topic_writer *writer;
    struct topic_writer_member member;
    struct poison *poison; /* of the ledger partition */
    int32_t ledger_partition;
    char *table;
    char *topic;
    struct barrier *barrier;
    struct step_queue behind_pages; /* changes that the barrier holds back */
    struct step control;
    struct worker_requests requests;
    struct table_metrics metrics;
    struct health *health;
    atomic_int refs;
    atomic_bool stopping;
    atomic_llong report_ms; /* each shard that is read past it says so in the ledger; the
                               service's time */

    /* of the control step until WORKER_RUNNING; then read by all, not changed within a
     * generation */
    rd_kafka_topic_t *topic_handle; /* of the writer; made after the topic */
    int64_t topic_handle_since; /* the ledger's generation when it was made for the log of the
                                   next one; 0: it was made for a log that went on */
    struct key_schema schema;
    int32_t partitions;
    struct ledger_table known; /* the ledger's record, as table_start found it */
    int64_t read_capacity;     /* of the table, provisioned; 0: on demand */
    struct doubt start;        /* of the control step */
    unsigned start_tries;

    struct worker_look look;
    struct table_trim *trim; /* of the control step */

    pthread_mutex_t record_lock; /* held over a change of the table's own record and its append:
                                    they keep one order */

    pthread_mutex_t lock; /* all below */
    enum worker_state state;
    int64_t state_ms;   /* since when; monotonic. Of starting, adopting and halting in turn: the
                           first */
    bool ledger_unseen; /* it ran: the cache may not have all that it committed */
    int parts; /* steps of segments and shards that have not ended, and a repair under way */
    struct table_state appended;
    struct segment_reader *segments; /* steps; as many as appended.segments */
    int64_t segment_count;
    uint64_t aborts_ever;
    unsigned aborts;   /* in a row, without a commit that held anything of this table */
    int64_t resume_ms; /* after the second of them nothing is asked for before; monotonic */
    bool adoption_committed;
    int64_t *begin_offsets; /* of this generation, by delivery reports, known with its commit */
    bool begin_delivered;
    bool scan_slot;           /* holds a place of full.concurrency */
    unsigned scan_pauses;     /* that it made in a row, since no page came */
    int64_t scan_again_ms;    /* its scan failed: not before; 0: it did not. Monotonic */
    bool scan_confirmed;      /* the table was described after its last page: the same */
    size_t page_bytes;        /* what the last page of any segment needed; 0: none came yet */
    struct scan_pace pace;    /* of the scan, by the table's capacity */
    bool held;                /* the writer lets nothing of the table in, but to try */
    struct doubt topic_doubt; /* while it is held: is its topic gone? */
    int64_t topic_at_ms;
    char *halt_reason; /* the control step halts the table */
    enum ledger_phase halt_phase;
    bool halt_is_final; /* only a restart or a request ends it */
    char trouble[256];  /* why nothing goes on at the moment; "" */
    int64_t trouble_ms; /* since when there was no progress; 0: none */
    int64_t logged_ms;  /* when it was last logged */
    int64_t forget_ms;  /* when tombstones were last looked for */
};

/* A reference; the last one that goes frees the worker (`destroy`). */
void table_worker_ref(struct table_worker *w);
void table_worker_unref(struct table_worker *w);

/* ---- its steps ---- */

/* What a step appends and asks with: its thread's context, for this table. */
struct append_context *table_worker_context(struct table_worker *w, void *context);
/* Schedules a step that holds a reference; its `ended` lets go of it (table_worker_unref).
 * False: it was scheduled already. */
bool table_worker_schedule(struct table_worker *w, struct step *step, int64_t delay_ms);
/* A step that has to end before the table can start again: begins under lock, false when it
 * goes on already; its `ended` lets go of it. */
bool table_worker_part_begins(struct table_worker *w, struct step *step);
void table_worker_part_ended(struct table_worker *w);
/* The same for what is no step of its own: the table stays in its generation, with its key
 * schema, until it is released. False: it does not run. */
bool table_worker_hold_generation(struct table_worker *w);
void table_worker_release_generation(struct table_worker *w);

/* ---- its life ---- */

/* WORKER_RUNNING and not stopping. */
bool table_worker_runs(struct table_worker *w);
/* Under lock: the one place that sets the state. */
void table_worker_set_state(struct table_worker *w, enum worker_state state);
/* Under lock: a request halts it or ends its halt, which is appended in the same hold of it. */
void table_worker_halt_appended(struct table_worker *w);
void table_worker_start_appended(struct table_worker *w);
/* Under lock: other tables may scan. */
void table_worker_end_scan(struct table_worker *w);
/* Halts the table in a phase that was proven: the control step writes it into the ledger.
 * Nothing is done to one that is halted, about to be, or about to go on from that. */
void table_worker_halt(struct table_worker *w, enum ledger_phase phase, const char *reason);
/* Under lock: the same. */
void table_worker_halt_locked(struct table_worker *w, enum ledger_phase phase,
                              const char *reason);
/* Under lock: what it was halted for is over. */
void table_worker_forget_halt(struct table_worker *w);
/* Under lock: it has a gap, and a new generation is to begin by itself. */
bool table_worker_renews(const struct table_worker *w);
/* How long nothing is to be asked for, since nothing of the table could be appended: after
 * several aborts in a row, or one that it was to blame for. 0: go on. */
int64_t table_worker_pause_ms(struct table_worker *w);
/* Its member of the topic writer, whose commits and aborts it takes part in. */
void table_worker_member_init(struct table_worker *w);

/* ---- trouble that is waited out ---- */

/* Why nothing goes on (retriable): shown with the health, and logged, once a minute at most. */
void table_worker_trouble(struct table_worker *w, const char *what, const struct error *err);
/* Under lock: it answers, and is the table that it was: what it was in trouble for is over,
 * unless more is wrong. */
void table_worker_source_is_well(struct table_worker *w);
/* The source says that there is no such table: looked at again until it is clear. */
void table_worker_doubt(struct table_worker *w);
/* It has made no progress for so long; reason: why, "" when nothing was said. */
bool table_worker_stuck(struct table_worker *w, int64_t for_ms, char *reason, size_t size);

/* ---- how far it is ---- */

/* Its snapshot: rows appended in this generation, and about how many are to come. */
void table_worker_work(struct table_worker *w, struct progress_work *ret);
/* sync_mode full: the snapshot is committed; or the table is halted, for more than the time
 * until a new generation begins. */
bool table_worker_is_over(struct table_worker *w);
