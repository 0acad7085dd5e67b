/* producer/ledger_handle.h - the fenced topic writer of an owned ledger partition, and the
 * proof that the cache has all of that partition.
 *
 * Opening fences every predecessor and then reads the partition to its high watermark: nothing
 * that another owner committed can be missed, and nothing of it can come later. Whoever appends
 * through the writer holds a reference. Open and close: the owner's thread. The rest: any. */
#pragma once

#include "producer/producer.h"
#include "producer/topic_writer.h"
#include "producer/transactional_handle.h"

#define LEDGER_HANDLE_CALL_MS 30000 /* the brokers tell the end; the cache reads to there */
#define LEDGER_HANDLE_OPEN_MS (TRANSACTIONAL_HANDLE_OPEN_MS + 2 * LEDGER_HANDLE_CALL_MS)

struct ledger_handle { /* set once, but for refs */
    struct producer *p;
    int32_t partition;
    struct topic_writer *writer;
    atomic_int refs;
};

int ledger_handle_open(struct ledger_handle **ret, struct producer *p, int32_t partition,
                       struct error *err);
/* Commits, and refuses appends from then on. The opener's reference stays. */
void ledger_handle_close(struct ledger_handle *handle);

void ledger_handle_ref(struct ledger_handle *handle);
void ledger_handle_unref(struct ledger_handle *handle);

/* Waits until the cache has all that was appended here before the call. ERR_RETRY. */
int ledger_handle_sync(struct ledger_handle *handle, struct error *err);
