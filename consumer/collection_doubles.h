/* consumer/collection_doubles.h - documents that share a key: found with one aggregation,
 * however many there are. As collection.h says. */
#pragma once

#include "consumer/collection.h"

/* Deletes all but one document of each key: those with the lower _id, so that two who do it at
 * once never delete both. Documents without the whole key are the user's own and stay.
 * ERR_FATAL without a code: there are none, so it is not for them that the unique index is
 * refused. Long. */
int collection_doubles_delete(struct mongo *m, const struct collection *coll,
                              struct error *err);
