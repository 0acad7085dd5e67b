/* producer/topic_writer_types.h - what a topic writer and its users tell each other: members,
 * records, how the writer stands. Types only. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/bytes.h"

struct topic_writer;
struct writer_account;

enum topic_writer_state {
    WRITER_OPEN,
    WRITER_FENCED, /* another owner took over: this one can't commit anything any more */
    WRITER_BROKEN, /* an outcome is unknown, the handle is dead, or a batch was refused: open a
                      new writer and read the ledger again */
    WRITER_CLOSED,
};

/* Who appends: a table, or whoever keeps the ledger's other records. The callbacks run under
 * the exclusive gate on the writer's own thread, so nothing is appended meanwhile. Only members
 * that entered the gate since the last commit or abort are called. */
struct topic_writer_member {
    void (*committed)(void *arg);
    void (*aborted)(void *arg); /* everything since the last commit is gone: go back to there */

    /* These may be NULL. */
    /* A topic refuses too many records, or one that stands for others (poison.h): somebody has
     * to act. Called before aborted. */
    void (*topic_failed)(void *arg, const char *topic, const char *reason);
    /* A topic of this member takes nothing: the member is kept out for a while, then tries
     * again by itself. Called once until free_again, before aborted; the writer logs both. Also
     * called by topic_writer_add_member, on its thread, when it was held before. */
    void (*held)(void *arg, const char *topic, const char *reason);
    void (*free_again)(void *arg); /* it has committed something; before committed */
    /* An offset was given out twice: the topic was deleted and made anew. Before aborted. */
    void (*log_lost)(void *arg, int32_t partition, int64_t offset, int64_t before);

    const char *table; /* for the log; lives as long as the member, like topic */
    const char *topic; /* its data topic */
    void *arg;
    struct writer_account *account; /* the writer's */
};

struct record_header {
    const char *name;
    struct bytes value;
};

struct topic_record {
    const struct topic_writer_member *member; /* the one in the gate; NULL: blame nobody */
    const char *topic;
    rd_kafka_topic_t *handle; /* of the member's own topic; NULL: looked up by name */
    int32_t partition;
    struct bytes key;
    struct bytes value; /* p NULL: a tombstone */
    const struct record_header *headers;
    size_t header_count;
    int64_t *ret_offset; /* receives the record's offset before `committed` is called, unless
                            the member has been removed; NULL: not wanted */
};
