/* common/mongo/mongo.h - one command to MongoDB, and what its answer allows.
 *
 * A struct mongo is one connection of one thread. */
#pragma once

#include <bson/bson.h>
#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/error.h"
#include "common/mongo/mongo_reply.h"
#include "common/mongo/mongo_target.h"

struct mongo {
    mongoc_client_t *client; /* NULL: mongo_open is due */
    const struct mongo_target *target;
    bool patient;
    bool answered_no;       /* the last command was answered, and the answer was no */
    size_t max_write_count; /* 0: not asked yet */
    size_t max_bytes;
};

struct mongo *mongo_new(const struct mongo_target *t);
/* The same for commands that may take hours: its answers are waited for without a limit. */
struct mongo *mongo_patient_new(const struct mongo_target *t);
void mongo_free(struct mongo *m);
DEFINE_FREEP(struct mongo, mongo_freep, mongo_free)
/* Makes the client, if there is none yet; the commands below do it by themselves. ERR_RETRY:
 * the address can't be looked up now. */
int mongo_open(struct mongo *m, struct error *err);

/* reply is initialised in every case; the caller destroys it. Write concern majority. */
enum mongo_result mongo_write(struct mongo *m, const char *database, const bson_t *command,
                              bson_t *reply, struct error *err);
/* What a reply that was got otherwise (a cursor's) means, as the next two say it. */
enum mongo_result mongo_judge(struct mongo *m, const bson_t *reply, const bson_error_t *why,
                              struct error *err);
/* From the primary. */
enum mongo_result mongo_read(struct mongo *m, const char *database, const bson_t *command,
                             bson_t *reply, struct error *err);
/* 0; ERR_RETRY, or ERR_FATAL 77 for a refused login. */
int mongo_ping(struct mongo *m, struct error *err);
/* Fills max_write_count and max_bytes once. */
int mongo_limits(struct mongo *m, struct error *err);
/* Tries until MongoDB answers a ping. ERR_FATAL: 69 after timeout_ms, 77 for a refused login.
 * A requested stop ends it with 0. */
int mongo_wait(const struct mongo_target *t, int64_t timeout_ms, struct error *err);

/* Destroys its command at the end of the scope: AUTO(mongo_bsonp) bson_t *command =
 * BCON_NEW(..) */
DEFINE_FREEP(bson_t, mongo_bsonp, bson_destroy)
