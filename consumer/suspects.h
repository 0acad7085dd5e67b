/* consumer/suspects.h - records that MongoDB refuses with a code that tells nothing of whose
 * fault it is: given up, or is it the server?
 *
 * A new version or another maker's server has codes that nobody here knows. Taking one for the
 * record's fault could turn a topic into dead letters because of a passing trouble
 * (throttling); taking it for the server's would hold a partition for ever because of one
 * record. So such a record is waited out with its whole batch, which is applied again from the
 * position, and what happens to its neighbours tells:
 *
 * - It is given up when it was refused in SUSPECT_TRIES tries over at least SUSPECT_MS, each
 *   time in a command of which other records were accepted. Five, over a time longer than the
 *   usual election or burst: one try more costs only the wait, one dead letter too many costs a
 *   value.
 * - When a record that was refused before is accepted, every count begins anew: what passes by
 *   itself is the server's. A server that refuses at random so never makes a dead letter.
 * - When nothing of a command is accepted, or more than SUSPECTS_MAX records are refused, as
 *   many tries over as long a time mean that the partition has to be halted. It may be tried
 *   again at any time: each such try says the same until one is better.
 *
 * A record is known by its offset. Pure: time is passed in; of the thread that holds the
 * partition. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUSPECT_TRIES 5
#define SUSPECT_MS 10000
#define SUSPECTS_MAX 4096

struct suspect {
    int64_t offset;
    int64_t since_ms; /* of its first refusal beside accepted neighbours */
    int64_t now_ms;   /* of the last one */
    int tries;        /* refusals beside accepted neighbours */
};

struct suspects {
    struct suspect *list; /* by offset */
    size_t count;
    size_t capacity;
    int64_t now_ms;       /* of this try */
    int64_t first_offset; /* of its batch */
    int64_t next_offset;  /* after it */
    bool overflow;        /* in this try there were more than can be known */
    int tries;            /* in which nothing of a command was accepted ... */
    int64_t since_ms;
    int64_t stuck_at; /* ... the last of them with a batch that began here */
};

void suspects_init(struct suspects *suspects);
void suspects_release(struct suspects *suspects);

/* A batch is tried: its first message's offset, and the one after its last. Records before it
 * were passed by. */
void suspects_begin(struct suspects *suspects, int64_t first_offset, int64_t next_offset,
                    int64_t now_ms);
/* These concern the records of a command of this try, each told once. */
void suspects_accepted(struct suspects *suspects, int64_t offset);
/* Refused, and other records of its command were accepted. NULL: wait. Else it is given up, now
 * and whenever it is refused again, and the answer says why; borrowed until the next call. */
const struct suspect *suspects_refused(struct suspects *suspects, int64_t offset);
/* Every command of the try was answered (all_refused: up to the one of which nothing was
 * accepted). true: the partition has to be halted; tries and since_ms say why. */
bool suspects_end(struct suspects *suspects, bool all_refused);
