/* consumer/mongo_writer.h - a batch becomes unordered update and delete commands of our own
 * making.
 *
 * The keys of a batch differ, so commands may be applied in any order, and a record's refusal
 * concerns it alone: the next older event of its key is sent in its place, until one holds.
 * What a refusal means is decided by its code (common/mongo/mongo_reply.h), and for a code that
 * nobody knows by what becomes of the record's neighbours (suspects.h). Of one thread. */
#pragma once

#include "common/mongo/mongo.h"
#include "consumer/batch.h"
#include "consumer/suspects.h"
#include "consumer/write_command.h"

struct mongo_writer {
    struct mongo *mongo;
    size_t batch_bytes; /* most in one command */
    struct write_command command;
    uint32_t *sent; /* entries of the command, in its order */
    size_t sent_count;
    bool *failed;    /* of each in sent: there is a writeError for it */
    uint32_t *round; /* entries of this round: all, then those that fell back */
    size_t round_count;
    uint32_t *todo; /* entries of the round that are to be sent */
    uint32_t *retry;
    size_t retry_count;
    uint32_t *refused; /* in this round */
    size_t refused_count;
    size_t capacity; /* of each of these arrays */

    /* of one job */
    int64_t pause_left_ms; /* for what is tried again at once */
    bool is_last_try;      /* a key that another document has is not tried again */
    bool all_refused; /* a command of which nothing was accepted, with codes that say nothing */
    struct error unclear; /* ERR_NONE, or why records are waited out */
};

void mongo_writer_init(struct mongo_writer *writer, struct mongo *m, size_t batch_bytes);
void mongo_writer_release(struct mongo_writer *writer);

struct mongo_write_job {
    struct batch *batch;
    const struct table_view *view;
    struct suspects *suspects; /* of the partition */
    int64_t now_ms;            /* clock_mono_ms */
    /* false: nothing may be sent now; the job ends with MONGO_AGAIN. */
    bool (*may_send)(void *arg);
    /* The event that this entry stands for can't be applied: its dead letter. Called before an
     * older event takes its place, and so for each that is refused. */
    void (*refused)(void *arg, struct batch_entry *e, const char *reason);
    void *arg;
    size_t written; /* out: upserts that were acknowledged */
    size_t deleted; /* out: deletes */
    bool hopeless;  /* out, with MONGO_AGAIN: the partition has to be halted, err says why */
};

/* MONGO_DONE: of every key the newest event that holds was applied, and each newer one was
 * refused. MONGO_AGAIN, MONGO_UNKNOWN: any part of the batch may have been applied; err says
 * why. The batch is spent in every case (entries may have fallen back): empty it, and on
 * failure read it again from the position. */
enum mongo_result mongo_writer_apply(struct mongo_writer *writer, struct mongo_write_job *job,
                                     struct error *err);
