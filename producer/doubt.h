/* producer/doubt.h - when an answer that can't be taken back is believed.
 *
 * The one policy of errors of a table:
 * - retriable: no answer, throttled, denied, or anything that a person or time can mend. It is
 *   waited out with growing delays (ddb_error_retry_ms); the table makes no progress meanwhile,
 *   so its health turns red. It never becomes a phase.
 * - doubtful: an answer that would end something for good (there is no such table or shard, the
 *   table is another one, its stream is disabled, a parent is not there). DynamoDB's answers
 *   lag, so it has to say the same for source.doubt.ms, at least three times, and another call
 *   has to confirm it.
 * - proven: a doubt that held and was confirmed. Only this becomes a phase.
 *
 * Pure: the time is given, monotonic. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DOUBT_TIMES 3

struct doubt { /* zeroed: none */
    char what[160];
    int64_t since_ms;
    unsigned times;
};

/* It was said (again). True: it was said for so long, and so often, that it is to be believed
 * once it is confirmed. Another text begins anew. */
bool doubt_said(struct doubt *d, const char *what, int64_t now_ms, int64_t doubt_ms);
/* Something else was answered. */
void doubt_clear(struct doubt *d);
bool doubt_is_on(const struct doubt *d);
/* How soon to ask again. */
int64_t doubt_again_ms(const struct doubt *d, int64_t doubt_ms);
