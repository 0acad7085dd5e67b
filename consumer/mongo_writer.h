/* consumer/mongo_writer.h - a batch becomes unordered update and delete commands of our own
 * making.
 *
 * The whole command is built as BSON in one buffer: the driver's bulk takes no maxTimeMS and
 * splits itself. The keys of a batch differ, so commands may be applied in any order, and a
 * record's refusal concerns it alone. Of one thread. */
#pragma once

#include "common/mongo.h"
#include "consumer/batch.h"
#include "consumer/convert.h"
#include "consumer/table.h"

struct mongo_writer {
    struct mongo *mongo;
    size_t batch_bytes; /* most in one command */
    struct buf command;
    struct buf scratch; /* of a filter */
    uint32_t *sent;     /* entries of the command, in its order */
    size_t sent_count;
    uint32_t *todo; /* entries to be sent */
    uint32_t *retry;
    size_t retry_count;
    size_t capacity; /* of the three */
};

void mongo_writer_init(struct mongo_writer *w, struct mongo *m, size_t batch_bytes);
void mongo_writer_release(struct mongo_writer *w);

struct mongo_write_job {
    struct batch *batch;
    const struct table_view *view;
    /* false: nothing may be sent now; the job ends with MONGO_AGAIN. */
    bool (*may_send)(void *arg);
    /* This entry can't be applied: its dead letter. */
    void (*refused)(void *arg, struct batch_entry *e, const char *reason);
    void *arg;
    size_t written; /* out: upserts and deletes acknowledged */
    size_t deleted;
};

/* MONGO_DONE: every entry was applied or refused. MONGO_AGAIN, MONGO_UNKNOWN: any part of the
 * batch may have been applied; err says why. */
enum mongo_result mongo_writer_apply(struct mongo_writer *w, struct mongo_write_job *job,
                                     struct error *err);
