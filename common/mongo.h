/* common/mongo.h - one command to MongoDB, and what its answer allows.
 *
 * The answer's meaning is pure (mongo_reply.c), so that tests can try every kind. A struct
 * mongo is one connection of one thread. */
#pragma once

#include <bson/bson.h>
#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/auto.h"
#include "common/error.h"
#include "common/target.h"

enum mongo_result {
    MONGO_DONE,    /* executed and acknowledged; writeErrors of single records may be inside */
    MONGO_REFUSED, /* answered no, because of what was sent: ERR_DATA */
    MONGO_AGAIN,   /* ended without being acknowledged: try again later: ERR_RETRY */
    MONGO_UNKNOWN, /* no answer: it may have been executed, or still will be: ERR_RETRY */
};

/* From a reply (empty: none came) and the driver's error. Writes err unless MONGO_DONE. */
enum mongo_result mongo_reply_result(const bson_t *reply, const bson_error_t *why,
                                     struct error *err);
int32_t mongo_reply_code(const bson_t *reply); /* 0: none */
/* The reply's n (matched) or 0. */
int64_t mongo_reply_n(const bson_t *reply);

struct mongo_write_error {
    int32_t index; /* of the record in the command */
    int32_t code;  /* 0: the server gave none */
    const char *message;
};
/* What a record's refusal means: MONGO_REFUSED (the record's own fault), MONGO_AGAIN or
 * MONGO_UNKNOWN. A duplicate key is code 11000 and MONGO_REFUSED. */
enum mongo_result mongo_write_error_result(int32_t code);
/* A whole command was refused with this code: may one of its records be the reason? */
bool mongo_may_be_a_records_fault(int32_t code);
/* Calls each for every member of writeErrors. */
void mongo_reply_write_errors(const bson_t *reply,
                              void (*each)(void *arg, const struct mongo_write_error *e),
                              void *arg);

struct mongo {
    mongoc_client_t *client;
    const struct target *target;
    bool answered_no;       /* the last command was answered, and the answer was no */
    size_t max_write_count; /* 0: not asked yet */
    size_t max_bytes;
};

struct mongo *mongo_new(const struct target *t);
/* The same for commands that may take hours: its answers are waited for without a limit. */
struct mongo *mongo_patient_new(const struct target *t);
void mongo_free(struct mongo *m);
DEFINE_FREEP(struct mongo, mongo_freep, mongo_free)

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

/* Destroys its command at the end of the scope: AUTO(mongo_bsonp) bson_t *command =
 * BCON_NEW(..) */
DEFINE_FREEP(bson_t, mongo_bsonp, bson_destroy)
