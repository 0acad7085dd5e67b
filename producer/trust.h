/* producer/trust.h - whose records a transaction may hold together, and who is at fault when
 * one fails.
 *
 * A transaction fails as a whole, and Kafka does not always say for which topic. So a member is
 * trusted or suspected: the trusted share transactions, a suspect has one of its own. When one
 * fails and no topic is named, all that may be the cause are suspected. Who commits is trusted
 * again; who fails alone is held: it waits, longer each time, and comes back as a suspect.
 *
 * When Kafka is away as a whole, everybody fails alone. So a failure proves something only when
 * Kafka took other records meanwhile; what is not proven ends with the first commit of anybody.
 *
 * Outlives the handle, not the ownership of its ledger partition. Decides only: the time is
 * given. Any thread may call; its lock is taken last. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"

#define TRUST_HOLD_MS 1000LL           /* the first time */
#define TRUST_HOLD_LONGEST_MS 180000LL /* of a proven fault */
#define TRUST_DOUBT_LONGEST_MS 8000LL  /* of one that is not proven */
#define TRUST_ASK_AGAIN_MS 1000LL      /* within it: what is not proven may end at any time */
#define TRUST_REST_LONGEST_MS 30000LL  /* of all together */
#define TRUST_TURN_MS 200LL            /* a suspect whose turn has come has to show up */

struct trust;
struct trust_member; /* one topic: remembered as long as the trust */

struct trust *trust_new(void);
void trust_free(struct trust *t);
DEFINE_FREEP(struct trust, trust_freep, trust_free)
void trust_clear(struct trust *t); /* the partition is not ours any more: all are trusted */
void trust_begin(struct trust *t); /* a new handle: nobody is in a transaction */

struct trust_member *trust_member(struct trust *t, const char *topic);
/* Whom trust_next names when the member's turn has come; NULL: it is gone. */
void trust_member_set(struct trust *t, struct trust_member *m, void *owner);
void trust_member_unset(struct trust *t, struct trust_member *m, const void *owner);

/* ---- entering ---- */

/* May its records come into the transaction that is open or begun next? A suspect that may not
 * is remembered for its turn. */
bool trust_may_enter(struct trust *t, struct trust_member *m, int64_t now_ms);
void trust_entered(struct trust *t, struct trust_member *m);
/* How long it is held for yet; 0: it is not. Where that may end before its time, it is to be
 * asked again within TRUST_ASK_AGAIN_MS. */
int64_t trust_wait_ms(struct trust *t, struct trust_member *m, int64_t now_ms);
/* It is suspected or held: it waits for its own turn. */
bool trust_is_special(struct trust *t, struct trust_member *m);
/* The transaction holds one suspect: others wait for its end. */
bool trust_is_alone(struct trust *t);
/* Nobody is in the transaction any more: who comes next? A suspect's owner, for TRUST_TURN_MS,
 * or NULL: everybody that is trusted. */
void *trust_next(struct trust *t, int64_t now_ms);
/* When the time below is over: likewise. Nothing else ends a turn that nobody takes. */
void *trust_turn_over(struct trust *t, int64_t now_ms);
/* Until when a suspect's turn is kept for it; INT64_MAX: for nobody. */
int64_t trust_turn_ends_ms(struct trust *t);

/* ---- how a transaction ended ---- */

struct trust_evidence { /* of one member that had appended to it */
    struct trust_member *member;
    bool named;         /* a delivery report says that the topic takes nothing */
    bool undelivered;   /* records that were not taken, or not yet */
    const char *topic;  /* the one they were for */
    const char *reason; /* in words a user understands */
};

struct trust_verdict { /* of one member, in the order of the evidence */
    bool held;
    bool is_news; /* and nobody was told yet */
};

/* Returns whether its having been held, which somebody was told, is over. */
bool trust_committed(struct trust *t, struct trust_member *m);
/* Once a transaction: what was not proven is over. */
void trust_all_committed(struct trust *t);
/* spent_ms: what the failure cost all others. */
void trust_aborted(struct trust *t, const struct trust_evidence *e, size_t count,
                   struct trust_verdict *ret, int64_t spent_ms, int64_t now_ms);
/* Nobody in particular is at fault (the ledger's topic): everybody waits. */
void trust_rest(struct trust *t, int64_t now_ms);
/* It is held, and was told so: for who comes in its place. topic, reason: of size bytes. */
bool trust_is_told(struct trust *t, struct trust_member *m, char *topic, char *reason,
                   size_t size);
