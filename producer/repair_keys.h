/* producer/repair_keys.h - the keys of one repair: which are to be asked for, what an answer
 * says of each, which are appended. Pure. */
#pragma once

#include "common/dynamodb/ddb_items.h"
#include "common/messages/table_signal.h"

enum repair_state {
    REPAIR_LEFT,   /* to be asked for */
    REPAIR_ASKED,  /* a request is under way */
    REPAIR_FOUND,  /* the answer has the item */
    REPAIR_ABSENT, /* the source has no such item */
    REPAIR_DONE,   /* appended */
};

struct repair_key {
    enum repair_state state;
    struct ddb_item key;  /* slices of the signal */
    struct ddb_item item; /* slices of the answer; of a key that was found */
};

struct repair_keys {
    const struct key_schema *schema;
    struct repair_key keys[TABLE_SIGNAL_KEYS_AT_MOST];
    size_t count;
    size_t at_once; /* in one request */
};

/* A key that stands twice is taken once (the service refuses it twice). ERR_DATA: one is not a
 * whole key of this schema in canonical spelling. The signal and the schema are borrowed. */
int repair_keys_init(struct repair_keys *keys, const struct table_signal *signal,
                     const struct key_schema *schema, struct error *err);

/* Which keys to ask for now; their number. */
size_t repair_keys_ask(struct repair_keys *keys, struct bytes *ret);
/* What BatchGetItem's answer says of those asked for; unprocessed ones are left. ERR_RETRY: it
 * is not such an answer, all are left. */
int repair_keys_answer(struct repair_keys *keys, struct bytes answer, struct error *err);
/* There was no answer, or it is not to be used. */
void repair_keys_drop(struct repair_keys *keys);
/* Fewer at once: an answer that never comes whole may be too large. */
void repair_keys_ask_fewer(struct repair_keys *keys);

size_t repair_keys_count(const struct repair_keys *keys, enum repair_state state);
/* What was found or absent is done. */
void repair_keys_appended(struct repair_keys *keys);
/* What was appended is gone. */
void repair_keys_restart(struct repair_keys *keys);
