/* consumer/position_store.h - reads and changes a partition's position in the target.
 *
 * Each function is one command with write concern majority and a time limit. All decisions are
 * in position.h. Of the thread that holds the partition. */
#pragma once

#include "common/mongo.h"
#include "consumer/position.h"

/* Positions and table documents: a name no table can have. */
#define POSITION_COLLECTION "dynaferry:applied"

/* id: "<topic>/<partition>". Functions return MONGO_DONE when the command was executed; then
 * *matched says whether the document was as expected. */

enum mongo_result position_read(struct mongo *m, const char *id, struct position_doc *ret,
                                struct error *err);

/* Find-and-modify: epoch + 1, owner = me; *old is the document as it was before. */
enum mongo_result position_grab(struct mongo *m, const char *id, const char *me,
                                struct position_doc *old, struct error *err);
/* Stores a start decided by position_take, on {epoch, rewind: seen_rewind}; clears the mark. */
enum mongo_result position_store_start(struct mongo *m, const char *id,
                                       const struct position_doc *doc, int64_t seen_rewind,
                                       bool *matched, struct error *err);
/* On {epoch, no rewind}: the next offset, with the generation and log id that stand there. */
enum mongo_result position_move(struct mongo *m, const char *id, const struct position *p,
                                int64_t offset, int64_t generation, const char *log_id,
                                bool *matched, struct error *err);
/* On {epoch, rewind: seen_rewind}: back to offset, the mark cleared. */
enum mongo_result position_set_back(struct mongo *m, const char *id, const struct position *p,
                                    int64_t offset, int64_t seen_rewind, bool *matched,
                                    struct error *err);
/* On {epoch, no rewind}: back to position_again_from, and `again` is removed. */
enum mongo_result position_set_again(struct mongo *m, const char *id, const struct position *p,
                                     bool *matched, struct error *err);
/* $min rewind: whoever owns the partition applies again from offset. */
enum mongo_result position_mark(struct mongo *m, const char *id, int64_t offset,
                                struct error *err);
/* On {epoch}: clears the owner. */
enum mongo_result position_goodbye(struct mongo *m, const char *id, const struct position *p,
                                   bool *matched, struct error *err);
/* Did this database ever hold a position of the topic? */
enum mongo_result position_any(struct mongo *m, const char *topic, bool *any,
                               struct error *err);
