/* consumer/database_source.h - whose tables a database holds copies of: the source, as the
 * ledger tells it and as the target notes it.
 *
 * In the ledger's record `source` and in the target it is an object with account and region, or
 * endpoint. Pure but for the ledger's cache. */
#pragma once

#include <bson/bson.h>

#include "common/messages/ledger_cache.h"

struct database_source { /* "": not there */
    bool known;
    char account[64];
    char region[64];
    char endpoint[384];
};

/* ERR_DATA: no object. */
int database_source_decode(struct database_source *ret, struct bytes json, struct error *err);
/* Not known while the ledger has no such record. ERR_FATAL 78: it can't be read. */
int database_source_read(struct database_source *ret, struct ledger_cache *cache,
                         struct error *err);

/* Not known when the document has no such member. */
void database_source_from_bson(struct database_source *ret, const bson_t *doc);
/* The caller destroys it. */
bson_t *database_source_to_bson(const struct database_source *source);
/* " with source ...", for messages; the caller frees. "" when not known. */
char *database_source_text(const struct database_source *source);
