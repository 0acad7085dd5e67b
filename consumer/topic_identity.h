/* consumer/topic_identity.h - is the log that is there the one that a position is about?
 *
 * A topic that was deleted and made again has the same name and the same number of partitions,
 * but its offsets mean something else: who goes on at the old offset never applies what stands
 * before it. The log itself tells: where the position's generation began, its begin stands,
 * with its number and the log's id. Retention may have taken it, and so may compaction when a
 * later begin has the same key: then a later begin, or the oldest record that is left, must
 * fit.
 *
 * Pure. The caller looks where it is told to and asks again (topic_check.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "consumer/position.h"

enum log_place {
    LOG_AT_BEGIN,    /* of the position's generation */
    LOG_AT_NEWEST,   /* the begin of a later generation of the same log */
    LOG_AT_POSITION, /* where it is to go on */
    LOG_AT_OLDEST,   /* the oldest record that is left */
    LOG_PLACES
};

/* What comes first when the log is read from a place on. */
struct log_sight {
    enum {
        SIGHT_NONE, /* nobody looked */
        SIGHT_RECORD,
        SIGHT_END,    /* no record; offset is the log's end */
        SIGHT_OUTSIDE /* the log does not have that offset (any more, or yet) */
    } kind;
    int64_t offset;
    bool begins;                    /* a record that begins a generation ... */
    int64_t generation;             /* of any record; 0: it does not say */
    char log_id[POSITION_TEXT_MAX]; /* of a begin or end; "" else */
};

/* Looking at one place after the other. */
struct log_look {
    struct log_sight sights[LOG_PLACES];
    enum log_place place; /* being looked at */
    bool looking;
};

struct log_claim {
    const char *log_id;
    int64_t generation;
    int64_t begin;  /* POSITION_NONE: not known */
    int64_t newest; /* begin of a later generation of this log; POSITION_NONE: there is none */
    int64_t newest_generation;
    int64_t position;
    bool doubted; /* the position itself did not seem to be in the log */
};

enum log_verdict {
    LOG_LOOK, /* at *ret */
    LOG_SAME,
    LOG_OTHER,     /* or one that lost its end: either way offsets mean nothing */
    LOG_TRUNCATED, /* the same, but its beginning is gone, and the position with it */
};

/* *ret is touched with LOG_LOOK only. */
enum log_verdict topic_identity_judge(enum log_place *ret, const struct log_claim *claim,
                                      const struct log_sight sights[LOG_PLACES]);
