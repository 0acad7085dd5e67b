/* fullcheck/recheck.h - another look at some keys, both ends anew, and what comes of it.
 *
 * One BatchGetItem, one find, then settle.h decides for each key: the same, again later, a
 * difference. With --repair a difference first goes to the producer and counts when that was
 * of no use. */
#pragma once

#include "fullcheck/check.h"

/* keys were taken from t->pending; each is given back or done, also on failure. */
int recheck_keys(struct worker *w, struct pending_key **keys, size_t count, struct error *err);
