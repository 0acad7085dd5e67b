/* producer/signal_topic.h - reads <prefix>-signal for all tables of this process and keeps each
 * one's requests for its worker.
 *
 * One thread with a consumer of its own, no member of any group. A table that does not get on
 * holds up no other (signal_queue). What is no request, or for a table that nobody knows, is
 * logged once and passed over. Kafka being away, or the topic being gone, is waited out: then
 * no requests come, and nothing else is the worse for it.
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
void signal_topic_stop(struct signal_topic *s); /* its thread ends; queues stay */
void signal_topic_free(struct signal_topic *s); /* all queues have left */

/* from: the table's handled offset; below 0: it has none, and requests from now on are for it
 * (see signal_topic_start_of). wake: there is something new. */
struct signal_subscription *signal_topic_join(struct signal_topic *s, const char *table,
                                              int64_t from, void (*wake)(void *arg), void *arg);
void signal_topic_leave(struct signal_subscription *q); /* NULL is fine */

/* Where a table without a handled offset begins: the end of the topic soon after it joined; -1:
 * not known yet. */
int64_t signal_topic_start_of(struct signal_subscription *q);
/* As signal_queue_from; the request stays until the caller forgets it. */
const struct pending_signal *signal_topic_from(struct signal_subscription *q, int64_t offset);
void signal_topic_forget(struct signal_subscription *q, int64_t below);
