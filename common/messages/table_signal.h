/* common/messages/table_signal.h - a request to the producer that owns a table: the message of
 * <prefix>-signal.
 *
 * schemas/signal.schema.json describes it; the message key is the table's name. Pure. */
#pragma once

#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "common/base/error.h"

#define TABLE_SIGNAL_KEYS_AT_MOST 100 /* one BatchGetItem */
/* Of a message: 100 keys of 3 KB, each byte escaped, fit. A sender's message.max.bytes must
 * allow it. */
#define TABLE_SIGNAL_BYTES_AT_MOST ((size_t)2 << 20)

enum table_signal_type {
    TABLE_SIGNAL_SNAPSHOT, /* "snapshot": begin a new generation */
    TABLE_SIGNAL_REPAIR,   /* "repair": read these keys again and append what is there */
    TABLE_SIGNAL_PAUSE,    /* "pause" */
    TABLE_SIGNAL_RESUME,   /* "resume" */
    TABLE_SIGNAL_FORGET,   /* "forget": the table is gone for good */
    TABLE_SIGNAL_REPORT,   /* "report": write how far each shard is read, as soon as that is
                              past the time of the request */
};

struct table_signal {
    char *id;
    enum table_signal_type type;
    char *table;
    char *sender;
    int64_t ts_ms;
    char *reason;       /* NULL: none */
    int64_t generation; /* of snapshot: the one to be replaced; else 0 */
    char **keys;        /* of repair: objects of canonical DynamoDB JSON, as they stand in the
                           message; whether they are canonical is for the owner to see */
    size_t key_count;
};

void table_signal_release(struct table_signal *signal);

/* out's ceiling: TABLE_SIGNAL_BYTES_AT_MOST; a longer one leaves out->overflow. */
void table_signal_encode(struct buf *out, const struct table_signal *signal);

/* ERR_DATA for anything that is no such message. Unknown members are ignored. */
int table_signal_decode(struct table_signal *ret, struct bytes message, struct error *err);

const char *table_signal_type_name(enum table_signal_type type);
