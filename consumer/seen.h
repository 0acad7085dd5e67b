/* consumer/seen.h - the notes of a pass: which keys a partition saw since the begin of its
 * generation, in a side collection of the target's database.
 *
 * A note is a document whose _id is a hash of the canonical keys. The collection's first
 * document, its sentinel, says that the notes are whole: without it somebody dropped them.
 *
 * Each function is one or a few commands with a time limit, and may be done again after any
 * result; changes have write concern majority. Of one thread with a struct mongo of its own. */
#pragma once

#include <stdbool.h>

#include "common/base/bytes.h"
#include "common/mongo/mongo.h"

#define SEEN_HASH_BYTES 16
/* In one command. */
#define SEEN_MANY_MAX 1000

/* The first bytes of SHA-256, of what ddb_item_keys writes. */
void seen_hash(unsigned char ret[SEEN_HASH_BYTES], struct bytes keys);

/* Makes the collection and its sentinel. The pass must stand in the position already, for
 * seen_collect. The rest is for who looks at it by hand. */
enum mongo_result seen_begin(struct mongo *m, const char *pass, const char *topic,
                             int32_t partition, int64_t generation, struct error *err);
/* MONGO_DONE: there is a note of each, of now or of before. */
enum mongo_result seen_add(struct mongo *m, const char *pass,
                           const unsigned char (*hashes)[SEEN_HASH_BYTES], size_t count,
                           struct error *err);
/* *ret: is the sentinel there? */
enum mongo_result seen_has_begun(struct mongo *m, const char *pass, bool *ret,
                                 struct error *err);
/* missing: of each hash, that there is no note of it. Without the sentinel none is missing, and
 * seen_has_begun, asked afterwards, tells. */
enum mongo_result seen_missing(struct mongo *m, const char *pass,
                               const unsigned char (*hashes)[SEEN_HASH_BYTES], size_t count,
                               bool *missing, struct error *err);
/* Done too when there is no such collection. */
enum mongo_result seen_drop(struct mongo *m, const char *pass, struct error *err);
/* Drops the collections of passes that no position holds any more. Those are listed before the
 * positions are read: a pass is in its position before its collection is made, so what is
 * listed and then in no position is over for good. */
enum mongo_result seen_collect(struct mongo *m, struct error *err);
