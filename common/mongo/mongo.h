/* common/mongo/mongo.h - one command to MongoDB, and what its answer allows.
 *
 * The answer's meaning is pure (mongo_reply.c), so that tests can try every kind. A struct
 * mongo is one connection of one thread. */
#pragma once

#include <bson/bson.h>
#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/error.h"
#include "common/mongo/mongo_target.h"

enum mongo_result {
    MONGO_DONE,    /* executed and acknowledged; writeErrors of single records may be inside */
    MONGO_REFUSED, /* answered no, with a code that is a record's own: ERR_DATA */
    MONGO_AGAIN,   /* ended without being acknowledged: try again later: ERR_RETRY */
    MONGO_UNKNOWN, /* it may have been executed, or still will be: ERR_RETRY */
};

/* Whose fault a code tells of. The server's troubles are many and new versions and other makers
 * add more, so only a code that is known to be a record's own blames the record. */
enum mongo_fault {
    MONGO_FAULT_RECORD,  /* this record can't be stored */
    MONGO_FAULT_OUTCOME, /* it may have been executed, or still will be */
    MONGO_FAULT_SERVER,  /* known trouble of the server: waited out however long it takes */
    MONGO_FAULT_UNCLEAR, /* any other code, and 0: none was given */
};
enum mongo_fault mongo_reply_fault(int32_t code);

/* From a reply (empty: none came) and the driver's error. Writes err unless MONGO_DONE. */
enum mongo_result mongo_reply_result(const bson_t *reply, const bson_error_t *why,
                                     struct error *err);
int32_t mongo_reply_code(const bson_t *reply); /* 0: none */
/* An answer came, and it says no ({ok: 0}) to the command as a whole. */
bool mongo_reply_is_no(const bson_t *reply);
/* The reply's n (matched) or 0. */
int64_t mongo_reply_n(const bson_t *reply);

struct mongo_write_error {
    int32_t index; /* of the record in the command */
    int32_t code;  /* 0: the server gave none */
    const char *message;
};
/* Calls each for every member of writeErrors. */
void mongo_reply_write_errors(const bson_t *reply,
                              void (*each)(void *arg, const struct mongo_write_error *e),
                              void *arg);

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

/* Destroys its command at the end of the scope: AUTO(mongo_bsonp) bson_t *command =
 * BCON_NEW(..) */
DEFINE_FREEP(bson_t, mongo_bsonp, bson_destroy)
