/* producer/topic_writer_core.h - the state of a topic writer. For the writer's own files:
 *
 *   topic_writer          opening, closing, members, appending
 *   topic_writer_commit   the committer's thread: commits and aborts
 *   topic_writer_outcome  who is told of a commit or abort, and who is at fault
 *   topic_writer_reports  delivery reports and the thread that serves them
 *   topic_writer_gate     who may append when
 *   topic_writer_core     this, at the bottom */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/run/metrics.h"
#include "common/run/step_pool.h"
#include "producer/commit_pace.h"
#include "producer/poison.h"
#include "producer/topic_writer_types.h"
#include "producer/trust.h"

enum record_kind {
    RECORD_DATA, /* of the member's own topic */
    RECORD_DEAD_LETTER,
    RECORD_LEDGER,
    RECORD_KINDS
};

struct receipt { /* librdkafka hands it back with the record's delivery report */
    struct writer_account *account;
    enum record_kind kind;
    int64_t *offset; /* where the offset goes; not NULL: this receipt is the record's own */
};

struct delivered_end { /* of one partition */
    int64_t before;    /* the highest offset of earlier transactions; -1: none */
    int64_t now;       /* likewise, of the open one */
    uint64_t transaction;
};

struct writer_fault { /* what a report said of a topic */
    bool is_set;
    char topic[256];
    char reason[256];
};

struct writer_loss { /* an offset that was given out before */
    bool is_set;
    int32_t partition;
    int64_t offset;
    int64_t before;
};

/* What the writer knows of a member. Freed once the member is removed and all its records are
 * reported, or with the writer. */
struct writer_account {
    /* set once */
    struct topic_writer *writer;
    struct trust_member *trusted; /* NULL: records of no member */
    struct receipt receipts[RECORD_KINDS];

    /* of the open transaction */
    atomic_long appended[RECORD_KINDS];
    atomic_long delivered[RECORD_KINDS];
    atomic_long unreported; /* of all transactions */

    /* under ends_lock */
    struct delivered_end *ends; /* one per partition of the member's own topic */
    int32_t ends_count;

    /* under the writer's lock */
    struct topic_writer_member *member; /* NULL: it was removed */
    struct step_queue steps;            /* they wait for the member's turn */
    bool is_present;                    /* it entered since the last commit or abort */
    struct writer_account *next_present;
    struct writer_account *next; /* of all accounts */
    struct writer_fault named;   /* its topic takes nothing */
    struct writer_loss loss;

    /* of the committer */
    bool numbers_lost; /* the handle numbered records of it that the brokers did not take */
};

struct trouble { /* of the open transaction */
    bool must_abort;
    bool kafka_failed;  /* not only a caller's request */
    bool stalled;       /* nothing is delivered any more */
    bool purged;        /* by ourselves: reports of purged records mean nothing */
    bool ledger_failed; /* a record of the ledger's topic failed */
    bool has_loss;
    bool refused;      /* the broker refused a batch: the handle has to be opened anew */
    bool out_of_order; /* the handle and the brokers disagree on the next record's number */

    /* the first cause; one that halts a table replaces one that does not */
    bool is_set;
    bool halts; /* the topic's table */
    char topic[256];
    char reason[256];
};

struct topic_writer {
    /* set once */
    rd_kafka_t *rk;
    int32_t ledger_partition;
    struct poison *poison;
    struct trust *trust; /* of poison */
    struct step_pool *pool;
    int64_t stall_ms;   /* without a delivery: then none is expected any more */
    bool alone;         /* each record is a batch of its own */
    size_t queue_bytes; /* nobody is let in above these; see has_room */
    size_t queue_records;
    char *ledger_topic;
    char *dead_letter_topic;
    struct writer_account *nobody; /* for records of no member */
    pthread_t committer;
    pthread_t reporter;
    struct metric *commits;
    struct metric *aborts;

    atomic_bool began;        /* a transaction is open; set under lock */
    atomic_ulong transaction; /* its number */
    atomic_long bytes;        /* appended to it */
    atomic_long records;
    atomic_long waiting_bytes; /* not reported yet */
    atomic_long waiting_records;
    atomic_ulong reports;
    atomic_bool wants_room; /* somebody waits for it */
    atomic_bool was_of_use;
    atomic_bool outdated;
    atomic_bool reporter_stops;

    pthread_mutex_t ends_lock; /* of all accounts' ends; taken last */

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    enum topic_writer_state state;

    /* the gate */
    int holders;
    int closing; /* threads that wait to have it alone */
    bool closed;
    int64_t closed_ms; /* since when */
    struct step_queue waiting;
    bool telling;     /* callbacks are running */
    pthread_t teller; /* on this thread */

    struct commit_pace pace;
    int64_t oldest_ms; /* first append of the transaction; 0: none */
    int64_t last_commit_ms;
    bool commit_soon;
    struct trouble trouble;
    bool stopping; /* the committer ends */
    struct writer_account *accounts;
    struct writer_account *present;
};

/* From open to broken, fenced or closed; the first of these stays. */
void topic_writer_core_set_state(struct topic_writer *writer, enum topic_writer_state state);
/* Under lock: the transaction will be aborted. topic "": of none in particular. */
void topic_writer_core_fail_transaction(struct topic_writer *writer, const char *topic,
                                        bool halts, const char *reason);
/* Kafka takes no records any more: the transaction will be aborted. topic: likewise. */
void topic_writer_core_note_stall(struct topic_writer *writer, const char *topic);
/* Is there room for a batch in the handle's queue? */
bool topic_writer_core_has_room(struct topic_writer *writer);
