/* tests/bench/endpoint_calls.h - the calls of DynamoDB and its Streams that a producer makes.
 */
#pragma once

#include "tests/bench/endpoint_shards.h"

/* One call: appends the answer's body. The HTTP status. */
int calls_answer(struct source *s, struct bytes operation, struct bytes body, struct buf *out);

/* A member of a JSON object: calls and refusals by operation since the reset. */
void calls_stats(struct buf *out);
void calls_reset(void);
