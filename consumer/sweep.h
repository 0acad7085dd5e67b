/* consumer/sweep.h - one sweep: deletes what is left over when a generation has ended in place,
 * the documents of items that it has not named.
 *
 * One read of all keys of the collection serves all partitions of it that wait. Page by page:
 * the documents' keys are read, then their notes (seen.h), then the positions again, and only
 * then what had no note is deleted. In this order, since another owner may have begun anew
 * meanwhile: then its pass is another one, and what it has seen is noted elsewhere. Documents
 * without valid key attributes are the user's own; they stay.
 *
 * A sweep that was cut off is done again from the start. Of one thread. */
#pragma once

#include <stdatomic.h>

#include "common/base/error.h"
#include "common/mongo/mongo.h"
#include "consumer/position.h"
#include "consumer/table.h"

enum sweep_outcome {
    SWEEP_UNDER_WAY,
    SWEEP_DONE,
    SWEEP_STALE,   /* the position says something else: it has to be read */
    SWEEP_FAILED,  /* nothing of it can come late */
    SWEEP_UNKNOWN, /* a delete may come late */
};

struct sweep_ask {
    /* set once */
    const char *id; /* of the position document */
    int32_t number; /* of the partition */
    void *owner;

    /* the asker's, and the sweeper's until it has ended */
    const struct table *table;
    struct table_view *view;
    struct position position; /* a copy */
    int64_t deleted;          /* of its documents */
    atomic_llong reached;     /* documents of the collection that were read so far */
    struct error err;

    /* under the sweeper's lock */
    enum {
        SWEEP_ASK_FREE,
        SWEEP_ASK_WAITS,
        SWEEP_ASK_SWEPT, /* is being */
        SWEEP_ASK_ENDED
    } stage;
    bool unwanted;
    int64_t since_ms; /* monotonic */
    enum sweep_outcome outcome;
    struct sweep_ask *next;
};

struct sweep_calls {
    const char *me; /* the owner's name in the positions */
    bool (*is_unwanted)(void *arg, const struct sweep_ask *ask);
    /* It has its outcome, and is not looked at any more. */
    void (*ended)(void *arg, struct sweep_ask *ask, enum sweep_outcome outcome);
    void *arg;
};

/* asks: by `next`, of one view, each of another partition. Each has ended when it returns. */
void sweep_run(const struct sweep_calls *calls, struct mongo *m, struct sweep_ask *asks);
