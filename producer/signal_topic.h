/* producer/signal_topic.h - reads <prefix>-signal for all tables of this process and keeps each
 * table's requests for its worker.
 *
 * One thread, with a consumer of its own that is in no group. A table that does not handle its
 * requests holds up no other (signal_queue.h). What is not a request, or is for a table that
 * nobody carries, is logged once and ignored. When Kafka is away or the topic is gone, no
 * requests come until it is back, and nothing else suffers.
 *
 * Any thread may call; `wake` is called under the lock of this module. */
#pragma once

#include "common/config/config.h"
#include "common/messages/ledger_cache.h"
#include "producer/signal_queue.h"

struct signal_topic;
struct signal_subscription; /* of one table's worker */

int signal_topic_new(struct signal_topic **ret, const struct config *c,
                     struct ledger_cache *cache, struct error *err);
/* Ends its thread; NULL is fine. */
void signal_topic_stop(struct signal_topic *signals);
/* All subscriptions have left. */
void signal_topic_free(struct signal_topic *signals);

/* from: the table's handled offset; below 0: it has none, and requests from now on are for it
 * (signal_topic_start_of). wake: there is something new. */
struct signal_subscription *signal_topic_join(struct signal_topic *signals, const char *table,
                                              int64_t from, void (*wake)(void *arg), void *arg);
/* NULL is fine. */
void signal_topic_leave(struct signal_subscription *sub);

/* Where a table without a handled offset begins: the topic's end soon after it joined. -1: not
 * known yet. */
int64_t signal_topic_start_of(struct signal_subscription *sub);
/* The first request from an offset on; NULL: none was read yet. It stays until the caller
 * forgets it. */
const struct pending_signal *signal_topic_from(struct signal_subscription *sub, int64_t offset);
void signal_topic_forget(struct signal_subscription *sub, int64_t below);
