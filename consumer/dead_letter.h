/* consumer/dead_letter.h - what can't be applied goes to <prefix>-dead-letter, before the
 * position moves past it.
 *
 * The message key is <topic>/<partition>/<offset>, so that a second try is told from a second
 * record. One idempotent producer for all threads. */
#pragma once

#include "common/config.h"
#include "common/error.h"
#include "common/event.h"
#include "common/kafka.h"

struct dead_letters;

int dead_letters_new(struct dead_letters **ret, const struct config *c, struct error *err);
void dead_letters_free(struct dead_letters *d);
DEFINE_FREEP(struct dead_letters, dead_letters_freep, dead_letters_free)

/* The letters of one batch, on the caller's stack, of one thread; wait before it goes. */
struct dead_letter_round {
    struct dead_letters *to;
    int pending;
    int failed;
};
void dead_letter_round_init(struct dead_letter_round *r, struct dead_letters *d);
/* ev NULL: a message that is no event. ERR_RETRY: Kafka does not take it now. */
int dead_letter_send(struct dead_letter_round *r, const rd_kafka_message_t *m,
                     const struct event *ev, const char *table, const char *reason,
                     struct error *err);
/* Until every letter sent is acknowledged: 0, or ERR_RETRY when one was not. */
int dead_letter_wait(struct dead_letter_round *r, struct error *err);
