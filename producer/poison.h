/* producer/poison.h - the records that the broker refused, of one ledger partition's tables,
 * and whether records are sent alone.
 *
 * The broker refuses a batch and does not say for which of its records. So after a refusal the
 * transaction is aborted, the handle opened anew, and for a while each record is sent alone, as
 * a batch of its own; what was aborted is read and sent again. A record that is refused alone
 * is poison. It is remembered (a row by its key, a change by its shard and sequence number)
 * until its dead letter is committed, and nothing else is: no record becomes a dead letter for
 * another one of its batch. When a topic refuses more than a few records, or a record that
 * stands for others, the cause is the topic, and its table is halted.
 *
 * Lives longer than a handle, but only as long as the ledger partition is owned: the next
 * owner, or the next start, finds the poison in the same way. Pure but for its mutex: the time
 * is given. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "producer/trust.h"

#define POISON_AT_MOST 100 /* records of a topic, per window */
#define POISON_WINDOW_MS (3600 * 1000LL)
/* For how long records are sent alone, the first time. */
#define POISON_ALONE_MS (60 * 1000LL)
#define POISON_ALONE_LONGEST_MS POISON_WINDOW_MS

struct poison;

struct poison_record { /* what tells a record from all others of its topic */
    struct bytes topic;
    struct bytes shard; /* of a change, with sequence; else empty */
    struct bytes sequence;
    struct bytes keys; /* canonical */
};

enum poison_verdict {
    POISON_REMEMBERED, /* when it is read again, it is not sent again */
    POISON_TOO_MANY,   /* the topic refuses too much: its table has to be halted */
};

struct poison *poison_new(void);
/* NULL is fine. */
void poison_free(struct poison *poison);
DEFINE_FREEP(struct poison, poison_freep, poison_free)
/* The partition is not ours any more: everything is forgotten. */
void poison_clear(struct poison *poison);

/* Which members share transactions; freed with poison. */
struct trust *poison_trust(struct poison *poison);

/* ---- what the broker refused ---- */

/* A batch of several records: they are sent alone from now on. */
void poison_batch_refused(struct poison *poison, int64_t now_ms);
/* Are records sent alone for now? Longer each time that it ended too early. */
bool poison_sends_alone(struct poison *poison, int64_t now_ms);
/* A record that was sent alone. */
enum poison_verdict poison_add(struct poison *poison, const struct poison_record *record,
                               const char *reason, int64_t now_ms);
/* The dead letter of a record of this topic: the next ones go without the record's bytes. */
enum poison_verdict poison_add_dead_letter(struct poison *poison, struct bytes topic);
bool poison_bare_dead_letters(struct poison *poison, struct bytes topic);

/* ---- while records are appended ---- */

/* May there be any poison? Cheap: without, appends need not ask further. */
bool poison_any(struct poison *poison);
/* Is this record poison? Then its dead letter is about to be appended; once that is committed,
 * the record is forgotten. */
bool poison_take(struct poison *poison, const struct poison_record *record, char *reason,
                 size_t size);
/* The table was halted instead: all that its topic has refused is sent again. */
void poison_forget(struct poison *poison, struct bytes topic);
/* The transaction with the topic's dead letters was committed, or aborted. */
void poison_committed(struct poison *poison, struct bytes topic);
void poison_aborted(struct poison *poison, struct bytes topic);
