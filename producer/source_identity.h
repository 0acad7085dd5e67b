/* producer/source_identity.h - whose ledger it is: one account and region, or one endpoint, and
 * one prefix.
 *
 * The owner of ledger partition 0 writes the record `source` before the first place. So whoever
 * sees a place sees the record too, and carries nothing before it knows that its own source is
 * the same. If it is another one the program ends with 78, since the tables of both would go
 * into the same topics. Threads: the owner's checks, steps of the pool compare and write. */
#pragma once

#include "producer/producer.h"

struct source_identity;

enum source_match {
    SOURCE_SAME,
    SOURCE_OTHER,
    SOURCE_ASK /* two endpoints may be one source: look there for tables of the ledger */
};

struct source_answers { /* about tables whose ids the ledger knows: how many of them ... */
    size_t same;        /* have that id */
    size_t other;       /* have another one */
    size_t absent;      /* are proven not to be there */
    size_t silent;      /* could not be described */
};

/* Pure. An unknown value ("") is no difference. */
enum source_match source_identity_compare(const struct ledger_source *mine,
                                          const struct ledger_source *theirs);

/* Pure. A table that can't be described proves nothing; nor does a ledger that knows no ids. */
enum source_match source_identity_judge(const struct source_answers *answers);

/* At the start, once the ledger is read. names: tables of the source, for one of them to tell
 * the account. ERR_FATAL 78: the ledger is another source's. If that is not known yet,
 * source_identity_check finds out. */
int source_identity_new(struct source_identity **ret, struct producer *p,
                        struct ddb_client *client, char *const *names, size_t count,
                        struct error *err);
/* After the pool; NULL is fine. */
void source_identity_free(struct source_identity *identity);

/* May tables be started? 1: the record is ours, or there is none. 0: it is being compared (the
 * part "source" of /healthz is stuck when that takes health.limit.ms). -1, ERR_FATAL 78: it is
 * another source's. The owner's thread. */
int source_identity_check(struct source_identity *identity, struct error *err);

/* For the plan, once the cache is synced and the check said 1: writes the record's value to
 * out; false: the ledger has it already. Any thread. */
bool source_identity_to_write(struct source_identity *identity, struct buf *out);
