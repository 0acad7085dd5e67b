/* consumer/prepare_decision.h - what a table's collection needs before its partitions may be
 * applied.
 *
 * The target holds one document per table (table_doc.h). The owner of partition 0 prepares: it
 * claims the document (epoch + 1), clears what stands under the name (as target.mongodb.exist
 * says where there was no document; moves it away where the key schema is another one), builds
 * collection and indexes, and says `ready` with the collection's UUID; the others wait
 * for that. Each step leaves a state from which a successor goes on, so a preparation that a
 * crash has cut is taken up again. A collection that is not the one that was prepared (another
 * UUID, a lost index) is prepared again: that also heals a step that a paused preparer does too
 * late.
 *
 * Documents that share a key stand in the way of the unique index. If the log still holds every
 * value, all but one of each key are deleted; which one was the newest is not known, so every
 * partition then goes back to the begin. The document says `doubled` from before the first
 * delete until all of them were told. If the log holds less, nothing is deleted: the table is
 * halted.
 *
 * Pure: preparation.c reads the facts and does the steps. */
#pragma once

#include "consumer/table_doc.h"

struct prepare_facts {
    bool preparer;              /* this consumer owns partition 0 */
    bool had_position;          /* this database held a position of the table before */
    enum table_doc_clear exist; /* target.mongodb.exist */
    struct {
        enum table_doc_state state;
        bool same_schema; /* as the newest generation's */
        bool same_form;   /* converted and identified as configured now */
        bool doubled;     /* copies were deleted, the partitions are not told yet */
        struct uuid uuid;
        enum table_doc_clear clear;
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

enum prepare_step prepare_decision_next(const struct prepare_facts *facts,
                                        enum table_doc_clear *clear);
