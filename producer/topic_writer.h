/* producer/topic_writer.h - one fenced transactional handle: appends under a gate, commits
 * spaced by what they cost.
 *
 * Promise: what is appended between enter and exit is in one transaction, whole or not at all;
 * the order of appends of a partition is the order of the log. Appenders share the gate; the
 * commit (flush .. commit) and the abort take it exclusively, before later appenders. Opening
 * fences every predecessor of the same transactional id for good.
 *
 * Members (tables) share a handle, not their troubles: a topic that takes nothing holds its own
 * member alone, which tries again by itself, ever more rarely (trust.h).
 *
 * Threads: any thread appends. One thread of the writer's own commits and aborts, another
 * serves delivery reports and never takes the gate, so that an appender may wait for room in
 * the queue inside it. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/config/config.h"
#include "common/messages/event.h"
#include "common/run/step_pool.h"
#include "producer/poison.h"

struct topic_writer;
struct writer_account;

/* Told under the exclusive gate, on the writer's thread: nothing is being appended meanwhile.
 * Only who entered since the last commit or abort is told of the next one. */
struct topic_writer_member {
    void (*committed)(void *arg);
    void (*aborted)(void *arg); /* all appended since the last commit is gone: back to there */
    /* A topic refuses too many records, or what only stands for others (poison.h): a person
     * has to decide. Comes before aborted. */
    void (*topic_failed)(void *arg, const char *topic, const char *reason);

    /* NULL: not wanted */
    /* A topic of this member takes nothing: it may not enter for a while, then tries again by
     * itself. Once, until free_again; before aborted. The writer logs both. Also told on
     * joining, on the thread that joins, when that was found before. */
    void (*held)(void *arg, const char *topic, const char *reason);
    void (*free_again)(void *arg); /* it has committed; before committed */
    /* A record got an offset that was given out before: the log was made anew. Before aborted.
     */
    void (*log_lost)(void *arg, int32_t partition, int64_t offset, int64_t before);

    const char *table; /* for the log */
    const char *topic; /* its data topic; lives as long as the member */
    void *arg;
    struct writer_account *account; /* the writer's */
};

enum topic_writer_state {
    WRITER_OPEN,
    WRITER_FENCED, /* another owner took over: nothing of this one can be committed any more */
    WRITER_BROKEN, /* the outcome is unknown, the handle is dead, or a batch was refused: open
                      a new one, read the ledger again */
    WRITER_CLOSED,
};

/* Fences predecessors (init_transactions): ERR_RETRY when Kafka can't now, ERR_FATAL for a
 * missing right. Records are sent as poison says: alone, or in batches. pool: of the steps
 * that wait to enter. */
int topic_writer_open(struct topic_writer **ret, const struct config *c,
                      int32_t ledger_partition, struct poison *poison, struct step_pool *pool,
                      struct error *err);
/* Commits what is appended (unless fenced or broken), then refuses appends. Waits for
 * appenders. */
void topic_writer_close(struct topic_writer *w);
void topic_writer_free(struct topic_writer *w); /* closed before; nobody uses it any more */
DEFINE_FREEP(struct topic_writer, topic_writer_freep, topic_writer_free)
enum topic_writer_state topic_writer_state(const struct topic_writer *w);
/* Each record is sent alone, which is slow and not needed any more: open a new one. */
bool topic_writer_is_outdated(const struct topic_writer *w);
/* It has committed, or found what the broker refuses: who opens one after another without that
 * waits longer each time. */
bool topic_writer_was_of_use(const struct topic_writer *w);

void topic_writer_add_member(struct topic_writer *w, struct topic_writer_member *m);
/* Waits for callbacks under way, not for the gate. Also in a callback. */
void topic_writer_remove_member(struct topic_writer *w, struct topic_writer_member *m);

/* The gate, shared, for one member's appends. ERR_FENCED when it is open no more: drop
 * everything. ERR_RETRY: not now (a commit or an abort is under way, the queue is full, or the
 * member has to wait for its turn): the step returns TOPIC_WRITER_WAIT_MS and is woken when it
 * may; s NULL: waits, not longer than about TOPIC_WRITER_WAIT_MS. */
#define TOPIC_WRITER_WAIT_MS 1000
int topic_writer_gate_enter(struct topic_writer *w, struct topic_writer_member *m,
                            struct step *s, struct error *err);
/* How long this member's transactions have to wait, after it failed alone; 0: not at all. Asked
 * before a request whose answer could not be appended. */
int64_t topic_writer_gate_wait_ms(struct topic_writer *w, struct topic_writer_member *m);
void topic_writer_gate_exit(struct topic_writer *w);

/* A topic's handle, for appends without looking its name up; the caller destroys it before the
 * writer goes. */
rd_kafka_topic_t *topic_writer_topic(struct topic_writer *w, const char *name);

struct topic_record {
    const struct topic_writer_member *member; /* who is in the gate; NULL: nobody is at fault */
    const char *topic;
    rd_kafka_topic_t *handle; /* of the member's own topic; NULL: looked up by its name */
    int32_t partition;
    struct bytes key;
    struct bytes value; /* p NULL: a tombstone */
    const struct record_header *headers;
    size_t header_count;
    int64_t *ret_offset; /* where its offset is put before `committed`, unless the member has
                            left; NULL: not wanted */
};

struct record_header {
    const char *name;
    struct bytes value;
};

/* Between enter and exit; the first one begins the transaction. Waits for room while records
 * are delivered. ERR_DATA: this record alone is too large, nothing was appended. ERR_ABORT: the
 * transaction will be aborted; leave the gate. */
int topic_writer_append(struct topic_writer *w, const struct topic_record *r,
                        struct error *err);
/* For a caller that appended half of what belongs together: the transaction will be aborted. */
void topic_writer_request_abort(struct topic_writer *w, const char *why);
/* Commit without waiting for the interval (a state that others wait for). */
void topic_writer_commit_soon(struct topic_writer *w);
