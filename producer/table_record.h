/* producer/table_record.h - changes a table's own record of the ledger: in memory and in the
 * log in one order. */
#pragma once

#include "producer/table_worker.h"

/* Reads it from the ledger's cache: STARTING, or UNREADABLE. What can't be read is never
 * written over. */
void table_record_load(struct table_worker *w);
/* Of a table that ran before: waits until the cache has all that it committed, so that it goes
 * on from there. ERR_RETRY. */
int table_record_sync(struct table_worker *w, struct error *err);

/* Under the gate. change() is called under w->lock; an abort takes it back. It returns false
 * when there is nothing to change: nothing is appended. ERR_ABORT: leave the gate. */
int table_record_append(struct append_context *a,
                        bool (*change)(struct table_worker *w, void *arg), void *arg,
                        struct error *err);
/* The same in an append of its own, committed soon, by a step that is woken when it may come
 * again (ERR_RETRY). ERR_FENCED, ERR_ABORT. */
int table_record_change(struct append_context *a, struct step *step,
                        bool (*change)(struct table_worker *w, void *arg), void *arg,
                        struct error *err);
