/* consumer/sweeper.h - deletes what is left over when a generation has ended in place: the
 * documents of items that it has not named.
 *
 * Threads of its own read all keys of a collection, once for all partitions of it that wait.
 * Page by page: the documents' keys are read, then their notes (seen.h), then the positions
 * again, and only then what had no note is deleted. In this order, since another owner may have
 * begun anew meanwhile: then its pass is another one, and what it has seen is noted elsewhere.
 * Documents without valid key attributes are the user's own; they stay.
 *
 * The asker applies nothing until it has the outcome. A sweep that was cut off is done again
 * from the start. Any thread may call. */
#pragma once

#include "common/base/error.h"
#include "common/mongo/mongo_target.h"
#include "consumer/position.h"
#include "consumer/table.h"

enum sweeper_outcome {
    SWEEPER_UNDER_WAY,
    SWEEPER_DONE,
    SWEEPER_STALE,   /* the position says something else: it has to be read */
    SWEEPER_FAILED,  /* nothing of it can come late */
    SWEEPER_UNKNOWN, /* a delete may come late */
};

struct sweeper_ask {
    /* set once */
    const char *id; /* of the position document */
    int32_t number; /* of the partition */
    void *owner;

    /* the asker's, and the sweeper's until it has ended */
    const struct table *table;
    struct table_view *view;
    struct position position; /* a copy */
    int64_t deleted;          /* of its documents */
    struct error err;

    /* under the sweeper's lock */
    enum {
        SWEEPER_ASK_FREE,
        SWEEPER_ASK_WAITS,
        SWEEPER_ASK_SWEPT, /* is being */
        SWEEPER_ASK_ENDED
    } stage;
    bool unwanted;
    int64_t since_ms; /* monotonic */
    enum sweeper_outcome outcome;
    struct sweeper_ask *next;
};

struct sweeper;

/* me: the owner's name in the positions. ended: called without a lock when an ask has its
 * outcome. */
struct sweeper *sweeper_new(const struct mongo_target *target, const char *me,
                            void (*ended)(void *owner));
/* false: a thread still was in a command after timeout_ms: nothing may be freed. */
bool sweeper_stop(struct sweeper *sweeper, int64_t timeout_ms);
/* After sweeper_stop; NULL is fine. */
void sweeper_free(struct sweeper *sweeper);

void sweeper_ask(struct sweeper *sweeper, struct sweeper_ask *ask);
/* An outcome is told once; then the ask is free again. */
enum sweeper_outcome sweeper_outcome(struct sweeper *sweeper, struct sweeper_ask *ask);
/* The asker does not want it any more. false: it is being swept, and `ended` follows. Else
 * *ret is its outcome, SWEEPER_DONE when nothing was asked for or begun. */
bool sweeper_take_back(struct sweeper *sweeper, struct sweeper_ask *ask,
                       enum sweeper_outcome *ret);
