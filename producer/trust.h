/* producer/trust.h - whose records may share a transaction, and who is to blame when one fails.
 *
 * A transaction fails as a whole, and Kafka does not always say for which topic. So a member is
 * trusted, suspected or held. The trusted share transactions; a suspect has one of its own.
 * When a transaction fails and no topic is named, all members that may be the cause become
 * suspects. A suspect that commits is trusted again. One that fails alone is held: it is kept
 * out, longer each time, and then comes back as a suspect.
 *
 * When all of Kafka is away, everybody fails alone. So a failure proves something only if Kafka
 * took other records meanwhile; what is not proven ends with the next commit of any member.
 *
 * Lives longer than a handle, but only as long as the ledger partition is owned. Pure but for
 * its mutex, which is taken last: the time is given. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"

#define TRUST_HOLD_MS 1000LL           /* the first time */
#define TRUST_HOLD_LONGEST_MS 180000LL /* when it is proven */
#define TRUST_DOUBT_LONGEST_MS 8000LL  /* when it is not */
#define TRUST_ASK_AGAIN_MS 1000LL      /* meanwhile, since it may end at any time */
#define TRUST_REST_LONGEST_MS 30000LL  /* of all members together */
#define TRUST_TURN_MS 200LL            /* in which a suspect has to use its turn */

struct trust;
struct trust_member; /* one topic; freed with trust */

struct trust *trust_new(void);
/* NULL is fine. */
void trust_free(struct trust *trust);
/* The partition is not ours any more: all are trusted. */
DEFINE_FREEP(struct trust, trust_freep, trust_free)
void trust_clear(struct trust *trust);
/* A new handle: nobody is in a transaction. */
void trust_begin(struct trust *trust);

struct trust_member *trust_member(struct trust *trust, const char *topic);
/* Whom trust_next returns when it is the member's turn. */
void trust_member_set(struct trust *trust, struct trust_member *member, void *owner);
/* Does nothing when another owner was set since. */
void trust_member_unset(struct trust *trust, struct trust_member *member, const void *owner);

/* ---- entering ---- */

/* May its records go into the transaction that is open, or into the next one? A suspect that
 * has to wait is put into the queue for a turn. */
bool trust_may_enter(struct trust *trust, struct trust_member *member, int64_t now_ms);
void trust_entered(struct trust *trust, struct trust_member *member);
/* For how long it is held yet; 0: it is not. At most TRUST_ASK_AGAIN_MS where that may end
 * sooner: ask again then. */
int64_t trust_wait_ms(struct trust *trust, struct trust_member *member, int64_t now_ms);
/* What it was held for is gone: it may try at once, as a suspect. */
void trust_try_now(struct trust *trust, struct trust_member *member);
/* It is a suspect or held, so it waits for a turn of its own. */
bool trust_is_special(struct trust *trust, struct trust_member *member);
/* The transaction is a suspect's: everybody else waits for its end. */
bool trust_is_alone(struct trust *trust);
/* Nobody is in a transaction any more. Returns the owner of the suspect whose turn it is, for
 * TRUST_TURN_MS; NULL: the trusted are next. */
void *trust_next(struct trust *trust, int64_t now_ms);
/* Likewise, when a turn was not used in time; nothing else ends such a turn. */
void *trust_turn_over(struct trust *trust, int64_t now_ms);
/* When a suspect's turn ends; INT64_MAX: it is nobody's. */
int64_t trust_turn_ends_ms(struct trust *trust);

/* ---- how a transaction ended ---- */

struct trust_evidence { /* about one member that had appended something */
    struct trust_member *member;
    bool named;         /* a delivery report says that the topic takes nothing */
    bool undelivered;   /* some of its records were not taken, or not yet */
    const char *topic;  /* of these records */
    const char *reason; /* in words for the user */
};

struct trust_verdict { /* on one member, in the order of the evidence */
    bool held;
    bool is_news; /* nobody was told yet */
};

/* Returns whether it was held, somebody was told so, and that is over. */
bool trust_committed(struct trust *trust, struct trust_member *member);
/* Once per transaction: whatever was not proven is over. */
void trust_all_committed(struct trust *trust);
/* spent_ms: for how long the failure kept everybody out. */
void trust_aborted(struct trust *trust, const struct trust_evidence *evidence, size_t count,
                   struct trust_verdict *ret, int64_t spent_ms, int64_t now_ms);
/* Nobody in particular is to blame (the ledger's topic failed): everybody waits. */
void trust_rest(struct trust *trust, int64_t now_ms);
/* It is held, and its former owner was told so. topic, reason: buffers of size bytes. */
bool trust_is_told(struct trust *trust, struct trust_member *member, char *topic, char *reason,
                   size_t size);
