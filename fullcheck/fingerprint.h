/* fullcheck/fingerprint.h - which keys both ends have, in two megabytes for each end.
 *
 * A sum over the hashes of the keys in each of many buckets. Ends with the same keys have the
 * same sums; a bucket whose sums differ has a key that one end lacks or has twice. (Two
 * different sets with one sum: 1 in 2^64.) Any thread may add. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"

struct fingerprint;

struct fingerprint *fingerprint_new(void);
void fingerprint_free(struct fingerprint *f);
DEFINE_FREEP(struct fingerprint, fingerprint_freep, fingerprint_free)
void fingerprint_reset(struct fingerprint *f);

void fingerprint_add(struct fingerprint *f, struct bytes key);
/* Do both have the same sum where this key belongs? */
bool fingerprint_agree(const struct fingerprint *a, const struct fingerprint *b,
                       struct bytes key);
bool fingerprint_equal(const struct fingerprint *a, const struct fingerprint *b);
