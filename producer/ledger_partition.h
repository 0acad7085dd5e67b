/* producer/ledger_partition.h - one owned partition of the ledger: its fenced handle and the
 * tables placed in it.
 *
 * Opening fences every predecessor, then reads the partition to its high watermark, then starts
 * the tables: so nothing that another owner committed can be missed, and nothing of it can come
 * later. Threads: the owner's, but for ref and unref. */
#pragma once

#include "producer/producer.h"
#include "producer/topic_writer.h"
#include "producer/transactional_handle.h"

struct ledger_partition;
struct table_worker;

#define LEDGER_PARTITION_CALL_MS 30000 /* the brokers tell the end; it is read to there */
#define LEDGER_PARTITION_OPEN_MS                                                               \
    (TRANSACTIONAL_HANDLE_OPEN_MS + 2 * LEDGER_PARTITION_CALL_MS) /* the longest */

int ledger_partition_open(struct ledger_partition **ret, struct producer *p, int32_t partition,
                          struct error *err);
/* Commits, stops the tables; requests under way end by themselves. Lets go of the owner's
 * reference. */
void ledger_partition_close(struct ledger_partition *lp);

/* Waits until the cache has all that was appended here before the call. ERR_RETRY. */
int ledger_partition_sync(struct ledger_partition *lp, struct error *err);

void ledger_partition_ref(struct ledger_partition *lp);
void ledger_partition_unref(struct ledger_partition *lp);

/* Says what is carried here. From now on tables may be started. */
void ledger_partition_start(struct ledger_partition *lp);
void ledger_partition_start_tables(struct ledger_partition *lp, char *const *tables,
                                   size_t count); /* those that are not started yet */
/* The table is not carried any more, and then its records go from the ledger. */
void ledger_partition_forget(struct ledger_partition *lp, const char *table);
void ledger_partition_tend(struct ledger_partition *lp); /* now and then */
/* NULL: not started here. */
struct table_worker *ledger_partition_table(struct ledger_partition *lp, const char *table);
bool ledger_partition_is_idle(const struct ledger_partition *lp); /* it has no tables */
struct topic_writer *ledger_partition_writer(struct ledger_partition *lp);
void ledger_partition_add_progress(struct ledger_partition *lp, int64_t *rows, int64_t *left);
