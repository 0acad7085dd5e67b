/* fullcheck/canon.h - an item and a document in one form, so that they can be compared by
 * value.
 *
 * A tree of nodes in an arena; texts are slices of what was read or copies in the arena. An
 * item's tree says all that DynamoDB says. A document's tree says what its BSON says: written
 * with convert.type = change it has lists where the item may have sets, and texts where it may
 * have long numbers; compare.h knows what stands for what. canon_item.h builds from DynamoDB
 * JSON, canon_document.h from BSON; no code is shared with what the consumer converts by.
 *
 * Of one thread. */
#pragma once

#include <obstack.h>
#include <stdbool.h>

#include "common/base/bytes.h"
#include "fullcheck/decimal.h"

enum canon_type {
    CANON_STRING,
    CANON_NUMBER,
    CANON_BINARY,
    CANON_BOOL,
    CANON_NULL,
    CANON_SET,
    CANON_LIST,
    CANON_MAP,
    CANON_OTHER, /* a BSON value that stands for nothing in DynamoDB */
};

struct canon {
    enum canon_type type;
    char element;      /* of a set: 'S', 'N' or 'B' */
    bool renamed;      /* a map's member: called _id at the source */
    bool is_double;    /* of a number: `approximate` is where it came from */
    struct bytes name; /* a map's member: under which it is stored */
    union {
        struct bytes text; /* string and binary: the bytes; other: extended JSON */
        struct {           /* number */
            struct decimal number;
            double approximate;
        };
        struct { /* set, list, map */
            struct canon *first;
            size_t count;
        };
        bool truth; /* bool */
    };
    struct canon *next; /* in its container */
};

struct canon_arena {
    struct obstack memory;
    void *bottom;
    struct buf text; /* for a while */
};

void canon_arena_init(struct canon_arena *a);
/* All nodes go. */
void canon_arena_reset(struct canon_arena *a);
void canon_arena_release(struct canon_arena *a);
/* What is allocated after the mark goes; what was before stays. */
void *canon_arena_mark(struct canon_arena *a);
void canon_arena_back(struct canon_arena *a, void *mark);

/* How documents are written. */
struct canon_form {
    bool change;           /* convert.type */
    bool as_double;        /* convert.number = double */
    const char *id_prefix; /* convert._id: an attribute _id is stored as this and _id */
};

/* NULL: absent. */
const struct canon *canon_member(const struct canon *map, struct bytes name);

/* A digest for "is it still the same item?": equal trees have equal digests. */
uint64_t canon_digest(const struct canon *c);

/* The report's names and texts; text is cut to about `at_most` bytes, between characters. */
const char *canon_type_name(const struct canon *c);
void canon_text(struct buf *out, const struct canon *c, size_t at_most);

/* For those who build nodes. */
struct canon *canon_new(struct canon_arena *a, enum canon_type type);
void canon_append(struct canon *container, struct canon **last, struct canon *child);
struct bytes canon_copy(struct canon_arena *a, struct bytes text);
/* A number from its text; CANON_OTHER's job is the caller's: false when it is none. */
bool canon_number(struct canon_arena *a, struct canon *c, struct bytes text);
