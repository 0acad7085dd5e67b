/* producer/signal_queue.h - the requests of one table that were read and not forgotten yet, in
 * order, within a ceiling of bytes.
 *
 * One reader reads the topic for many tables. A request that does not fit into its table's
 * queue is left out, and so are all later ones of that table. Once there is room again, the
 * reader goes back to the first of them, and the queues of other tables ignore what they have
 * seen. So no table holds up another, and each gets all of its requests, in order.
 *
 * Pure: no clock, no I/O, no lock. */
#pragma once

#include <stdbool.h>

#include "common/messages/table_signal.h"

#define SIGNAL_QUEUE_BYTES ((size_t)256 << 10) /* or one request, if that is larger */

struct pending_signal {
    int64_t offset;
    size_t bytes;
    struct table_signal signal;
    struct pending_signal *next;
};

struct signal_queue {
    int64_t next;        /* the first offset not seen yet; -1: it is not known where to begin */
    bool missed;         /* the reader may be past it: nothing is taken before it comes back */
    size_t missed_bytes; /* of the request there, if it did not fit */
    size_t bytes;
    struct pending_signal *first;
    struct pending_signal *last;
};

void signal_queue_init(struct signal_queue *q, int64_t next);
void signal_queue_release(struct signal_queue *q);

/* Requests before this offset are not for the table, or have left the topic. */
void signal_queue_begin(struct signal_queue *q, int64_t first);

/* The reader is at this offset, with a request of so many bytes for this table: does the queue
 * take it? Then it is put. */
bool signal_queue_takes(struct signal_queue *q, int64_t offset, size_t bytes);
/* Moves the content of *signal into the queue. */
void signal_queue_put(struct signal_queue *q, int64_t offset, size_t bytes,
                      struct table_signal *signal);

/* Where the reader, whose next offset is position (-1: it reads nothing), has to go back to for
 * this table; -1: nowhere. */
int64_t signal_queue_wants(const struct signal_queue *q, int64_t position);
/* The reader's next offset is position. Called before it reads on. */
void signal_queue_moved(struct signal_queue *q, int64_t position);

/* The first request from an offset on; NULL: none was read. It stays until it is forgotten. */
const struct pending_signal *signal_queue_from(const struct signal_queue *q, int64_t offset);
/* The requests below an offset are handled for good. */
void signal_queue_forget(struct signal_queue *q, int64_t below);
