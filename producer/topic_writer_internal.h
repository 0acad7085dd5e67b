/* producer/topic_writer_internal.h - shared by the files of the writer alone: topic_writer.c
 * (life, appending), topic_writer_gate.c (members, entering), topic_writer_reports.c (delivery
 * reports), topic_writer_commit.c (the committer). */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "producer/commit_pace.h"
#include "producer/topic_writer.h"
#include "producer/trust.h"

enum record_kind {
    RECORD_DATA, /* of the member's own topic */
    RECORD_DEAD_LETTER,
    RECORD_LEDGER,
    RECORD_KINDS
};

struct receipt { /* what librdkafka hands back with a record's report */
    struct writer_account *account;
    enum record_kind kind;
    int64_t *offset; /* wanted: then this receipt is the record's own */
};

struct delivered_end { /* of one partition */
    int64_t before;    /* the highest offset of transactions before; -1: none */
    int64_t now;       /* of the open one */
    uint64_t transaction;
};

struct writer_fault { /* said by a report */
    bool is_set;
    char topic[256];
    char reason[256];
};

struct writer_loss {
    bool is_set;
    int32_t partition;
    int64_t offset;
    int64_t before;
};

/* What the writer knows of a member. Freed when the member has left and all its records are
 * reported, or with the writer. */
struct writer_account {
    /* set once */
    struct topic_writer *writer;
    struct trust_member *trust; /* NULL: of nobody */
    struct receipt receipts[RECORD_KINDS];

    /* of the open transaction */
    atomic_long appended[RECORD_KINDS];
    atomic_long delivered[RECORD_KINDS];
    atomic_long unreported; /* of all transactions */

    /* under ends_lock */
    struct delivered_end *ends; /* one a partition of the member's own topic */
    int32_t ends_count;

    /* under the writer's lock */
    struct topic_writer_member *member; /* NULL: it has left */
    struct step_queue steps;            /* wait for the member's turn */
    bool is_present;                    /* entered since the last commit or abort */
    struct writer_account *next_present;
    struct writer_account *next; /* of all */
    struct writer_fault named;   /* its topic takes nothing */
    struct writer_loss loss;

    /* of the committer */
    bool numbers_lost; /* the handle counted records of it that the brokers did not take */
};

struct trouble { /* of the open transaction */
    bool must_abort;
    bool kafka_failed;  /* not only a caller's own failure */
    bool stalled;       /* nothing is delivered any more */
    bool purged;        /* by ourselves: what is reported so says nothing */
    bool ledger_failed; /* a report says so of the ledger's topic */
    bool has_loss;
    bool refused; /* the broker refused a batch: the handle has to be opened anew */

    bool out_of_order; /* the handle's count of records is not the brokers' */

    /* the first cause that was told; one that stops a table goes before others */
    bool is_set;
    bool stops; /* the topic's table */
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
    int64_t stall_ms;   /* without a delivery: then none is to be expected */
    bool alone;         /* each record is a batch of its own */
    size_t queue_bytes; /* more are not let in; see has_room */
    size_t queue_records;
    char *ledger_topic;
    char *dead_letter_topic;
    struct writer_account *nobody; /* has the records of no member */
    pthread_t committer;
    pthread_t reporter;
    struct metric *commits;
    struct metric *aborts;

    atomic_bool began;        /* a transaction: set under lock */
    atomic_ulong transaction; /* its number */
    atomic_long bytes;        /* appended to it */
    atomic_long records;
    atomic_long waiting_bytes; /* not reported yet */
    atomic_long waiting_records;
    atomic_ulong reports;
    atomic_bool wants_room; /* somebody waits for it */
    atomic_bool was_of_use;
    atomic_bool reporter_stops;

    pthread_mutex_t ends_lock; /* of all accounts' ends; none is taken inside */

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    enum topic_writer_state state;

    /* the gate */
    int holders;
    int closing; /* threads that wait to have it alone */
    bool closed;
    bool telling;      /* callbacks are under way */
    pthread_t teller;  /* on this thread */
    int64_t closed_ms; /* since when */
    struct step_queue waiting;

    struct commit_pace pace;
    int64_t oldest_ms; /* first append of the transaction; 0: none */
    int64_t last_commit_ms;
    bool hurry;
    struct trouble trouble;
    bool stopping; /* the committer's end */
    struct writer_account *accounts;
    struct writer_account *present;
};

/* From open to broken, fenced or closed; the first one stays. */
void writer_set_state(struct topic_writer *w, enum topic_writer_state state);

/* ---- topic_writer_reports.c ---- */

/* Under lock: the transaction will be aborted. topic "": of none. */
void writer_note(struct topic_writer *w, const char *topic, bool stops, const char *reason);
/* An answer of Kafka's, to an append or in a report. */
void writer_note_code(struct topic_writer *w, struct writer_account *a, enum record_kind kind,
                      rd_kafka_resp_err_t code, const char *topic);
void writer_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque);
void *writer_reporter_loop(void *arg);

/* ---- topic_writer_gate.c ---- */

struct writer_account *writer_account_new(struct topic_writer *w,
                                          struct topic_writer_member *m);
void writer_account_free(struct writer_account *a);
/* Is there room for a batch? */
bool writer_has_room(struct topic_writer *w);
/* Exclusively, before later appenders. */
void writer_gate_close(struct topic_writer *w);
/* What follows has another composition: who comes next is woken. */
void writer_gate_open(struct topic_writer *w);
/* Under lock: a suspect that did not show up loses its turn. */
void writer_turn_over(struct topic_writer *w);

/* ---- topic_writer_commit.c ---- */

/* Commits or aborts what is open. Under the exclusive gate. */
void writer_finish_transaction(struct topic_writer *w);
/* The committer's thread, until stopping. */
void *writer_committer_loop(void *arg);
