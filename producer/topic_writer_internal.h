/* producer/topic_writer_internal.h - shared by topic_writer.c (opening, appending, delivery
 * reports) and topic_writer_commit.c (the committer) alone. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "producer/topic_writer.h"

struct failure { /* the first one of a transaction; one that stops a table goes before others */
    bool is_set;
    bool stops; /* the topic's table */
    char topic[256];
    char reason[256];
};

struct topic_writer {
    /* set once */
    rd_kafka_t *rk;
    int32_t ledger_partition;
    int64_t interval_ms;
    struct refusals *refusals;
    bool alone; /* each record is a batch of its own */
    char *dead_letter_topic;
    pthread_t committer;
    pthread_t reporter;
    struct metric *commits;
    struct metric *aborts;

    pthread_rwlock_t gate; /* shared: appenders; exclusive: commit, abort, close */

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    enum topic_writer_state state;
    bool in_transaction;
    int64_t oldest_ms; /* first append of the transaction; 0: none */
    int64_t last_commit_ms;
    bool hurry;
    bool must_abort;
    bool refused; /* the broker refused a batch: the handle has to be opened anew */
    struct failure failure;
    bool stopping; /* the committer's end */
    struct topic_writer_member *members;

    atomic_bool reporter_stops;
};

/* From open to broken, fenced or closed; the first one stays. */
void writer_set_state(struct topic_writer *w, enum topic_writer_state state);
/* Commits or aborts what is open. Under the exclusive gate. */
void writer_finish_transaction(struct topic_writer *w);
/* The committer's thread, until stopping. */
void *writer_committer_loop(void *arg);
