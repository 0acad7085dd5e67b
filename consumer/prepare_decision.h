/* consumer/prepare_decision.h - what a table's collection needs before its partitions may be
 * applied.
 *
 * The target holds a document a table. Whoever owns partition 0 prepares: it claims the
 * document (epoch + 1), clears what stood there before, builds collection and indexes, and says
 * `ready` with the collection's UUID; the others wait for that. Each step leaves a state from
 * which a successor goes on, so a preparation that was cut by a crash is taken up again, and a
 * step done twice does no harm. A collection that is not the one that was prepared (another
 * UUID, a lost index) is prepared again.
 *
 * Copies of a doubled key are deleted so that the unique index can be made. Which was the
 * newest is not known, so every partition then goes back to the begin: the document says
 * `doubled` from before the first delete until all of them were told.
 *
 * Pure: preparation.c reads the facts and does the steps. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "consumer/position.h"

enum table_doc_state {
    TABLE_DOC_NONE,     /* there is no document */
    TABLE_DOC_CLEARING, /* `clear` is to be done to what stands under the name */
    TABLE_DOC_BUILDING, /* collection and indexes are to be made */
    TABLE_DOC_READY,
};

enum table_clear {
    CLEAR_NOTHING, /* write into what is there */
    CLEAR_DROP,
    CLEAR_RENAME,
};

struct prepare_facts {
    bool preparer;          /* this consumer owns partition 0 */
    bool had_position;      /* this database held a position of the table before */
    enum table_clear exist; /* target.mongodb.exist */
    struct {
        enum table_doc_state state;
        bool same_schema; /* as the newest generation's */
        bool same_form;   /* converted and identified as configured now */
        bool doubled;     /* copies were deleted, the partitions are not told yet */
        struct uuid uuid;
        enum table_clear clear;
    } doc;
    struct {
        bool exists;
        bool unfit; /* a view, capped ...: can't be applied to */
        struct uuid uuid;
        bool indexed; /* all wanted indexes are there */
    } collection;
};

enum prepare_step {
    PREPARE_WAIT,    /* for the owner of partition 0 */
    PREPARE_USE,     /* ready: apply */
    PREPARE_REFUSE,  /* written in another form: the user must decide */
    PREPARE_UNFIT,   /* what stands there can't be applied to: likewise */
    PREPARE_CLAIM,   /* write the document anew: clearing with *clear, or building */
    PREPARE_CLEAR,   /* do what the document's `clear` says */
    PREPARE_CLEARED, /* the name is free: building */
    PREPARE_CREATE,  /* make the collection */
    PREPARE_INDEX,   /* make the missing indexes */
    PREPARE_REWIND,  /* send every partition back to the begin */
    PREPARE_FINISH,  /* ready, with the collection's UUID */
};

enum prepare_step prepare_decision_next(const struct prepare_facts *f, enum table_clear *clear);

const char *table_doc_state_name(enum table_doc_state s);
enum table_doc_state table_doc_state_of(const char *name);
const char *table_clear_name(enum table_clear c); /* "" | "drop" | "rename" */
enum table_clear table_clear_of(const char *name);
