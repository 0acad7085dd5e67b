/* common/mongo/mongo_reply.h - what an answer of MongoDB means, or that none came. Pure, so
 * that tests can try every kind. */
#pragma once

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

enum mongo_result {
    MONGO_DONE,    /* executed and acknowledged; writeErrors of single records may be inside */
    MONGO_REFUSED, /* answered no, with a code that is a record's own: ERR_DATA */
    MONGO_AGAIN,   /* ended without being acknowledged: try again later: ERR_RETRY */
    MONGO_UNKNOWN, /* it may have been executed, or still will be: ERR_RETRY */
};

#define MONGO_DUPLICATE_KEY 11000 /* a code of the server */

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
/* 0: none. */
int32_t mongo_reply_code(const bson_t *reply);
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
