/* common/mongo/mongo_target.h - where the documents are: the checked connection string, the
 * database, the time limits.
 *
 * Set once by mongo_target_new; any thread may read. Write concern is majority always. */
#pragma once

#include <mongoc/mongoc.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/error.h"
#include "common/config/config.h"

struct mongo_target {
    mongoc_uri_t *uri;
    char *database;
    int64_t max_time_ms;
    int64_t grace_ms; /* how long a write of unknown outcome may still come */
    bool sharded;     /* target.mongodb.type = sharding */
};

/* application: the name that the server's logs and lists of operations show. ERR_FATAL 78: no
 * or a malformed target.address, or one whose write concern asks for less than majority. */
int mongo_target_new(struct mongo_target **ret, const struct config *c, const char *application,
                     struct error *err);
/* The same server, and the same limits, for another database. */
struct mongo_target *mongo_target_beside(const struct mongo_target *t, const char *database);
void mongo_target_free(struct mongo_target *t);
DEFINE_FREEP(struct mongo_target, mongo_target_freep, mongo_target_free)

/* A client of one thread. patient: answers are waited for without a limit. ERR_RETRY: the
 * address of kind mongodb+srv can't be looked up, which is done here. */
int mongo_target_client_new(mongoc_client_t **ret, const struct mongo_target *t, bool patient,
                            struct error *err);
