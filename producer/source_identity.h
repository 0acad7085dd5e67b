/* producer/source_identity.h - whose ledger it is: one account and region, or one endpoint, and
 * one prefix.
 *
 * The owner of ledger partition 0 writes the record `source` before the first place, so whoever
 * sees a place sees the record too, and carries nothing before it knows that both are the same.
 * A stranger ends with 78: its tables would go into the other's topics. Threads: the owner's
 * looks, steps of the pool compare and write. */
#pragma once

#include "producer/producer.h"

struct source_identity;

enum source_match {
    SOURCE_SAME,
    SOURCE_OTHER,
    SOURCE_ASK /* it can't be told: of two endpoints, until tables of the ledger are found there
                */
};

struct source_answers { /* about tables of which the ledger knows the id */
    size_t same;        /* described with that id */
    size_t other;       /* with another one */
    size_t absent;      /* proven not to be there */
    size_t silent;      /* denied, failed */
};

/* Pure. What is not known ("") is no difference. */
enum source_match source_identity_compare(const struct ledger_source *mine,
                                          const struct ledger_source *theirs);

/* Pure. What may not be described proves nothing, and neither does a ledger that knows no id.
 */
enum source_match source_identity_judge(const struct source_answers *a);

/* At the start, when the ledger is read: names are tables of the source, one of which tells the
 * account. ERR_FATAL 78: the ledger is another source's. What can't be told yet is asked again
 * by source_identity_check. */
int source_identity_new(struct source_identity **ret, struct producer *p,
                        struct ddb_client *client, char *const *names, size_t count,
                        struct error *err);
void source_identity_free(struct source_identity *i); /* after the pool; NULL is fine */

/* May tables be started? 1: the record is ours, or there is none; 0: it is being compared (the
 * part "source" of /healthz is stuck when that takes health.limit.ms). -1, ERR_FATAL 78: it has
 * become another's. The owner's thread. */
int source_identity_check(struct source_identity *i, struct error *err);

/* By who places tables, when the cache is read to the end and check said yes: the record's
 * value, when it has to be written; false: it stands there. Any thread. */
bool source_identity_to_write(struct source_identity *i, struct buf *out);
