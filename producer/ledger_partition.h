/* producer/ledger_partition.h - one owned partition of the ledger: its fenced handle and the
 * tables placed in it.
 *
 * Opening fences every predecessor, then reads the partition to its high watermark, then starts
 * the tables: so nothing that another owner committed can be missed, and nothing of it can come
 * later. Threads: the owner's, but for ref and unref. */
#pragma once

#include "producer/producer.h"
#include "producer/topic_writer.h"

struct ledger_partition;

int ledger_partition_open(struct ledger_partition **ret, struct producer *p, int32_t partition,
                          struct error *err);
/* Commits, stops the tables; requests under way end by themselves. Lets go of the owner's
 * reference. */
void ledger_partition_close(struct ledger_partition *lp);

/* Waits until the cache has all that was appended here before the call. ERR_RETRY. */
int ledger_partition_sync(struct ledger_partition *lp, struct error *err);

void ledger_partition_ref(struct ledger_partition *lp);
void ledger_partition_unref(struct ledger_partition *lp);

/* Starts the tables that are placed here (by the cache) and not started yet. */
void ledger_partition_start_tables(struct ledger_partition *lp);
struct topic_writer *ledger_partition_writer(struct ledger_partition *lp);
void ledger_partition_add_progress(struct ledger_partition *lp, int64_t *rows, int64_t *left);
/* Every table started here is over (sync_mode full) or stands still. */
bool ledger_partition_is_over(struct ledger_partition *lp);

/* The tables placed in a partition that pass the filters, by the cache; the caller frees each
 * and the array. */
char **ledger_places(struct producer *p, int32_t partition, size_t *ret_count);
