/* consumer/replay_point.h - from where a table is applied again, and what that means for each
 * of its partitions. Pure. */
#pragma once

#include <stdint.h>

#include "consumer/position.h"

enum replay_kind {
    REPLAY_FROM_BEGINNING, /* of the newest generation */
    REPLAY_FROM_TIME,
    REPLAY_FROM_OFFSET, /* of one partition */
};

struct replay_point {
    enum replay_kind kind;
    int64_t time_ms;
    int32_t partition;
    int64_t offset;
};

#define REPLAY_POINT_ALLOWED "beginning, a time such as 2026-01-31T12:00:00Z, PARTITION:OFFSET"

/* false: it is none of REPLAY_POINT_ALLOWED. */
bool replay_point_parse(struct replay_point *ret, const char *text);

/* One partition: the target's document, the newest generation, and the log. */
struct replay_place {
    int32_t partition;
    struct position_doc doc;
    const char *log_id; /* the ledger's, like begin */
    int64_t begin;      /* of the newest generation */
    int64_t low;        /* the first offset that the log still has */
    int64_t at_time; /* of REPLAY_FROM_TIME: its first record since then; POSITION_NONE: none */
};

enum replay_verdict {
    REPLAY_GO_BACK, /* to *ret */
    REPLAY_NOTHING, /* *ret_why not; NULL with another verdict */
    REPLAY_LOST,    /* the log does not reach back so far */
};

/* Never before the begin of the newest generation: what stands before it is of another one. */
enum replay_verdict replay_point_judge(const struct replay_point *point,
                                       const struct replay_place *place, int64_t *ret,
                                       const char **ret_why);

/* Is the partition back beyond where it stood, by the document of then and of now? Or is it in
 * another log, which is applied from its begin? */
bool replay_point_is_back(const struct position_doc *then, const struct position_doc *now);
