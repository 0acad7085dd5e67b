/* fullcheck/recheck.h - some keys read anew from both ends, and what comes of it.
 *
 * One BatchGetItem, one find, then settle.h decides for each key: the same, again later, a
 * difference. With --repair a difference first goes to the producer, and counts when that had
 * no effect. */
#pragma once

#include "fullcheck/table_check.h"

/* keys were taken from t->pending; unless this fails each is given back or done. */
int recheck_keys(struct worker *w, struct pending_key **keys, size_t count, struct error *err);
