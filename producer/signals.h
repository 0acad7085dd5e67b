/* producer/signals.h - reads <prefix>-signal for all tables of this process and keeps each
 * one's requests for its worker.
 *
 * One thread with a consumer of its own, no member of any group. A table that does not get on
 * holds up no other (signal_list). What is no request, or for a table that nobody knows, is
 * logged once and passed over. Kafka being away, or the topic being gone, is waited out: then
 * no requests come, and nothing else is the worse for it.
 *
 * Any thread may call; `wake` is called under the lock of this module. */
#pragma once

#include "common/config.h"
#include "common/ledger_cache.h"
#include "producer/signal_list.h"

struct signals;
struct signal_queue; /* of one table's worker */

int signals_new(struct signals **ret, const struct config *c, struct ledger_cache *cache,
                struct error *err);
void signals_stop(struct signals *s); /* its thread ends; queues stay */
void signals_free(struct signals *s); /* all queues have left */

/* from: the table's handled offset; below 0: it has none, and requests from now on are for it
 * (see signal_queue_start). wake: there is something new. */
struct signal_queue *signals_join(struct signals *s, const char *table, int64_t from,
                                  void (*wake)(void *arg), void *arg);
void signals_leave(struct signal_queue *q); /* NULL is fine */

/* Where a table without a handled offset begins: the end of the topic soon after it joined; -1:
 * not known yet. */
int64_t signal_queue_start(struct signal_queue *q);
/* As signal_list_from; the request stays until the caller forgets it. */
const struct pending_signal *signal_queue_from(struct signal_queue *q, int64_t offset);
void signal_queue_forget(struct signal_queue *q, int64_t below);
