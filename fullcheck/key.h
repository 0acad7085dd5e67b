/* fullcheck/key.h - the primary key on both ends: as canonical text, as an _id, as a filter.
 *
 * Set once for a table; any thread may read. */
#pragma once

#include <bson/bson.h>

#include "common/item/key_schema.h"
#include "fullcheck/canon.h"

struct key_form {
    const struct canon_form *form;
    const struct key_schema *schema;
    bool is_id;       /* target.id = key, or a table whose key names have no path */
    bool has_paths;   /* the stored names can be used in projections and filters */
    char *hash_name;  /* stored names */
    char *range_name; /* NULL: there is none */
    char *hash_path;  /* where an index and a filter find the value: pk.S or pk */
    char *range_path;
};

void key_form_init(struct key_form *k, const struct canon_form *form,
                   const struct key_schema *schema, bool is_id);
void key_form_release(struct key_form *k);

/* Appends {"pk":{"S":"u1"},"sk":{"N":"7"}} of an item's map, in the spelling of the messages;
 * false (and nothing appended) without valid key attributes. */
bool key_text(struct buf *out, const struct key_form *k, const struct canon *map);
/* Is it a key attribute? */
bool key_has(const struct key_form *k, struct bytes stored_name);

/* What the _id of the document of this map must be (is_id). */
struct canon *key_id(struct canon_arena *a, const struct key_form *k, const struct canon *map);
/* The document's _id. */
struct canon *key_id_found(struct canon_arena *a, const struct key_form *k,
                           const bson_t *document);

enum key_place {
    KEY_NONE,      /* no key that DynamoDB could have: it is the user's own */
    KEY_RIGHT,     /* of its key attributes */
    KEY_MISPLACED, /* of its key attributes, but its _id (is_id) is another one */
    KEY_OF_ID,     /* of its _id alone (is_id): an item's whose key attributes were damaged, or
                      the user's own */
};

/* Appends the key of a document; nothing for KEY_NONE. */
enum key_place key_of_document(struct buf *out, struct canon_arena *a, const struct key_form *k,
                               const bson_t *document, const struct canon *map);

/* A filter for all documents of some keys, which come as maps (canon_item of their texts). A
 * key that MongoDB can't hold is left out. ret is initialised here. */
void key_filter(bson_t *ret, const struct key_form *k, const struct canon *const *keys,
                size_t count);
/* The fields that key_text and key_id_found read. */
void key_projection(bson_t *ret, const struct key_form *k);
