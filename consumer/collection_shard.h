/* consumer/collection_shard.h - a collection becomes a sharded one. As collection.h says. */
#pragma once

#include "consumer/collection.h"

/* enableSharding and shardCollection: hashed on the partition key, or on _id where the key
 * can't be indexed. Long. */
int collection_shard(struct mongo *m, const struct collection *coll, struct error *err);
