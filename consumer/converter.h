/* consumer/converter.h - how a table's items become documents: what is configured, and what
 * follows from it for the collection.
 *
 * Pure; set once per table, then any thread may read. */
#pragma once

#include <bson/bson.h>

#include "common/config/config.h"
#include "common/item/key_schema.h"

enum convert_type {
    CONVERT_RAW,
    CONVERT_CHANGE
};
enum convert_number {
    CONVERT_EXACT,
    CONVERT_DOUBLE
};
enum convert_identity {
    IDENTITY_OBJECTID,
    IDENTITY_KEY
};

struct converter {
    enum convert_type type;
    enum convert_number number; /* never touches keys */
    enum convert_identity identity;
    const char *id_prefix; /* convert._id: "pre" stores the attribute _id as pre_id */
    const struct key_schema *schema;
};

/* As configured; borrows both. A schema that can't be indexed gets IDENTITY_KEY. */
void converter_init(struct converter *ret, const struct config *config,
                    const struct key_schema *schema);

/* What can't be mixed in one collection, as text: "change/double key pre". */
#define CONVERTER_FORM_MAX 128
void converter_form(char ret[CONVERTER_FORM_MAX], const struct converter *converter);

/* false: a key attribute's name has a dot or a leading dollar, or is empty or holds a NUL. */
bool converter_can_index(const struct key_schema *schema);

/* The key pattern of an index on the schema: {"pk.S":1,"sk.N":1} (raw) or {"pk":1,"sk":1}. Only
 * of a schema that can be indexed; the caller destroys it. */
void converter_key_pattern(bson_t *ret, const struct converter *converter);
