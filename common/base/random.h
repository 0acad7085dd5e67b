/* common/base/random.h - bytes that nobody else has: names, ids, jitter. Any thread.
 *
 * Never fails: where the system has no getrandom (an old kernel, a filter of calls) they come
 * from /dev/urandom, and at worst from the time and the process, which is enough for what they
 * are for. Not for secrets. */
#pragma once

#include <stddef.h>

void random_bytes(void *ret, size_t n);
