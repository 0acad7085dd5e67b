/* producer/poison.h - what the broker refused of one ledger partition's tables, and whether
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

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "producer/trust.h"

#define POISON_AT_MOST 100 /* of a topic's records, within */
#define POISON_WINDOW_MS (3600 * 1000LL)
#define POISON_ALONE_MS (60 * 1000LL) /* records are sent alone, at first */
#define POISON_ALONE_LONGEST_MS POISON_WINDOW_MS

struct poison;

struct poison_record { /* what tells it from all others of its topic */
    struct bytes topic;
    struct bytes shard; /* of a change, with sequence; else empty */
    struct bytes sequence;
    struct bytes keys; /* canonical */
};

enum poison_verdict {
    POISON_REMEMBERED, /* aborted and read again, it will not be sent once more */
    POISON_TOO_MANY,   /* the topic refuses too much: its table has to stop */
};

struct poison *poison_new(void);
void poison_free(struct poison *r);
DEFINE_FREEP(struct poison, poison_freep, poison_free)

/* Which of its members share transactions; lives as long as this. */
struct trust *poison_trust(struct poison *r);

/* A batch of several records was refused. */
void poison_suspect(struct poison *r, int64_t now_ms);
/* Records are sent alone for now: longer each time that it ended too early. */
bool poison_alone(struct poison *r, int64_t now_ms);
/* A record was refused alone. */
enum poison_verdict poison_add(struct poison *r, const struct poison_record *record,
                               const char *reason, int64_t now_ms);
/* The dead letter of a record of this topic was refused: the next ones go without its bytes. */
enum poison_verdict poison_add_dead_letter(struct poison *r, struct bytes topic);
bool poison_bare_dead_letters(struct poison *r, struct bytes topic);

/* May there be any? So that appends of topics that take all cost nothing. */
bool poison_any(struct poison *r);
/* Is this record poison? Then its dead letter is about to be appended, and the record is
 * forgotten with the commit. */
bool poison_take(struct poison *r, const struct poison_record *record, char *reason,
                 size_t size);
void poison_committed(struct poison *r, struct bytes topic);
void poison_aborted(struct poison *r, struct bytes topic);

void poison_clear(struct poison *r); /* the partition is not ours any more */
