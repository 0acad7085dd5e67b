/* producer/refusals.h - what the broker refused of one ledger partition's tables, and whether
 * their records are sent alone.
 *
 * The broker refuses a batch and does not say for which of its records. So after a refusal the
 * transaction is aborted and the handle opened anew, for a while with one record a batch; what
 * was aborted is read again. A record that is refused then was refused alone: it is poison, and
 * is remembered (a row by its key, a change by its shard and number) until its dead letter is
 * committed. Nothing else is remembered, so a record is never a dead letter for what stood
 * beside it. When a topic refuses more than a few records, or a record that only stands for
 * another, it is the topic, and its table stops.
 *
 * Outlives the handle, not the ownership: a take-over by another, or a restart, finds the
 * poison again by the same way. Pure but for its mutex: the time is given. Any thread may call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/auto.h"
#include "common/bytes.h"
#include "producer/trust.h"

#define REFUSALS_AT_MOST 100 /* of a topic's records, within */
#define REFUSALS_WINDOW_MS (3600 * 1000LL)
#define REFUSALS_ALONE_MS (60 * 1000LL) /* records are sent alone, at first */
#define REFUSALS_ALONE_LONGEST_MS REFUSALS_WINDOW_MS

struct refusals;

struct refused_record { /* what tells it from all others of its topic */
    struct bytes topic;
    struct bytes shard; /* of a change, with sequence; else empty */
    struct bytes sequence;
    struct bytes keys; /* canonical */
};

enum refusal_verdict {
    REFUSAL_REMEMBERED, /* aborted and read again, it will not be sent once more */
    REFUSAL_TOO_MANY,   /* the topic refuses too much: its table has to stop */
};

struct refusals *refusals_new(void);
void refusals_free(struct refusals *r);
DEFINE_FREEP(struct refusals, refusals_freep, refusals_free)

/* Which of its members share transactions; lives as long as this. */
struct trust *refusals_trust(struct refusals *r);

/* A batch of several records was refused. */
void refusals_suspect(struct refusals *r, int64_t now_ms);
/* Records are sent alone for now: longer each time that it ended too early. */
bool refusals_alone(struct refusals *r, int64_t now_ms);
/* A record was refused alone. */
enum refusal_verdict refusals_add(struct refusals *r, const struct refused_record *record,
                                  const char *reason, int64_t now_ms);
/* The dead letter of a record of this topic was refused: the next ones go without its bytes. */
enum refusal_verdict refusals_add_dead_letter(struct refusals *r, struct bytes topic);
bool refusals_bare_dead_letters(struct refusals *r, struct bytes topic);

/* May there be any? So that appends of topics that take all cost nothing. */
bool refusals_any(struct refusals *r);
/* Is this record poison? Then its dead letter is about to be appended, and the record is
 * forgotten with the commit. */
bool refusals_take(struct refusals *r, const struct refused_record *record, char *reason,
                   size_t size);
void refusals_committed(struct refusals *r, struct bytes topic);
void refusals_aborted(struct refusals *r, struct bytes topic);

void refusals_clear(struct refusals *r); /* the partition is not ours any more */
