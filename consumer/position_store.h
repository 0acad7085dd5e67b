/* consumer/position_store.h - reads and changes positions in the target, many at a time.
 *
 * Each function is one command with a time limit; changes have write concern majority. All
 * decisions are in position.h. Of one thread with a struct mongo of its own. */
#pragma once

#include "common/mongo/mongo.h"
#include "consumer/position.h"

/* At most so many in one command: every server takes as many. */
#define POSITION_MANY_MAX 1000

/* ids: "<topic>/<partition>", all different. ret: a document for each, in their order. */
enum mongo_result position_store_read(struct mongo *m, const char *const *ids, size_t count,
                                      struct position_doc *ret, struct error *err);
/* MONGO_DONE: each was compared, and set where that matched; *all: all of them were. Any other
 * result: nobody knows what was done, the documents have to be read. */
enum mongo_result position_store_change(struct mongo *m, const char *const *ids,
                                        const struct position_change *const *changes,
                                        size_t count, bool *all, struct error *err);

/* $min rewind: whoever owns the partition applies again from offset. */
int position_store_rewind(struct mongo *m, const char *id, int64_t offset, struct error *err);
/* Did this database ever hold a position of the topic? */
int position_store_any(bool *ret, struct mongo *m, const char *topic, struct error *err);
/* Writes and removes a document, as the positions will be: a ping needs no right. ERR_FATAL 77
 * without the right to, ERR_RETRY when that can't be told now. Two consumers that start at once
 * may find each other's document removed: ERR_RETRY, too. */
int position_store_prove_rights(struct mongo *m, struct error *err);
