/* consumer/preparer.h - looks at the tables this consumer has partitions of, and prepares them.
 *
 * Threads of its own do all of it, so that no writer waits for a table: two that look, one that
 * builds, one for the user's secondary indexes. A table is held by one thread at a time, but
 * its secondary indexes are built while it is looked at and applied. A look is short commands
 * with a time limit. What may take long (dropping, indexes, doubled keys, sharding) is done by
 * the builder alone, one table after another, on a connection without a time limit: meanwhile
 * the table's health is alive, and the log says so once a minute.
 *
 * Such a command can't be called back. When the program ends, preparer_stop waits only as long
 * as it is told; if it answers false, its caller ends the process without freeing anything. The
 * server finishes or drops the command; the table's document still says what is to be done, and
 * the next preparer goes on from there.
 *
 * Health has one part per table in use ("table NAME"): red at once when halted; red when it is
 * not ready for 120 s, or when nobody could look for as long; else alive. A "no" from MongoDB
 * is tried again with growing delays, and halts the table after 5 tries over at least 15 s,
 * with the reason; a halted table is looked at every 10 s (later after a refused long command,
 * by how long that took) and its halt ends by itself. An outage halts nothing.
 *
 * Any thread may call; the caller must hold no lock that a callback takes. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/messages/ledger_cache.h"
#include "common/mongo/mongo_target.h"
#include "consumer/table.h"
#include "consumer/tables.h"

struct preparer;

struct preparer_setup { /* all borrowed for the preparer's life */
    const struct config *config;
    const struct mongo_target *target;
    struct ledger_cache *ledger;
    struct tables *tables;
    rd_kafka_t *rk; /* any handle: asked where a log begins */
    /* Is partition 0 of the topic assigned to this consumer? Its owner prepares. */
    bool (*owns_first)(void *arg, const char *topic);
    /* The table's view or its being halted has changed. */
    void (*changed)(void *arg, struct table *t);
    /* Of both, which are called from the preparer's threads without a lock. */
    void *arg;
};

struct preparer *preparer_new(const struct preparer_setup *setup);
/* Ends the threads. false: after timeout_ms one is still in a command, so nothing that the
 * setup names may be freed. */
bool preparer_stop(struct preparer *preparer, int64_t timeout_ms);
/* After preparer_stop; NULL is fine. */
void preparer_free(struct preparer *preparer);

/* One more partition of the table is assigned (true), or one less. Only tables in use are
 * looked at; the next look comes at once, unless a failure's delay runs. Never for a table that
 * the filter leaves out. */
void preparer_use(struct preparer *preparer, struct table *t, bool used);
/* A reason to look now (a write found the collection gone): unless a failure's delay runs. */
void preparer_look_soon(struct preparer *preparer, struct table *t);
