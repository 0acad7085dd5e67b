/* consumer/database_owner.h - whose the target database is.
 *
 * Two prefixes may carry tables of one name, and would write into one collection. So a document
 * among the positions says to which topic.prefix the database belongs and, once the ledger
 * tells it, whose source that is: {"_id": "belongs to", "prefix": .., "source": {"account": ..,
 * "region": ..} or {"endpoint": ..}}. The first consumer writes it; nobody writes over it. A
 * database of a version without it is taken when all positions in it are of topics of this
 * prefix.
 * An endpoint has many spellings, and an emulator moves: two that differ are the same source
 * when a position in the database is of a log of the ledger.
 *
 * Of one thread with a struct mongo of its own. */
#pragma once

#include "common/mongo/mongo.h"
#include "consumer/database_source.h"

#define DATABASE_OWNER_ID "belongs to" /* no topic has a space */

struct database_owner {
    bool found;
    char prefix[256];
    struct database_source source;
};

enum database_verdict {
    DATABASE_OURS,
    DATABASE_NOBODYS,
    DATABASE_UNSIGNED, /* ours, and its source (or account) is known, but not named yet */
    DATABASE_ASK,      /* of two endpoints: ours if its positions are of the ledger's logs */
    DATABASE_ANOTHERS,
};
/* Pure. */
enum database_verdict database_owner_judge(const struct database_owner *owner,
                                           const char *prefix,
                                           const struct database_source *source);

/* Takes the database when nobody has it. The ledger may be NULL while the source is not known.
 * ERR_FATAL 78: it is another's, with the names of both; ERR_RETRY: that can't be told now. */
int database_owner_check(struct mongo *m, const char *prefix,
                         const struct database_source *source, struct ledger_cache *ledger,
                         struct error *err);
