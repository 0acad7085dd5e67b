/* producer/table_look.h - looks at one table's source while it is carried: is it still the same
 * table, and which shards does its stream have.
 *
 * It looks when there is cause (a shard was closed, an answer was doubtful, a listing left
 * something open), and now and then without one. One request a step; descriptions of streams
 * wait for their slot among those of all tables (throttle.h). */
#pragma once

#include "producer/table_worker.h"

/* Does ListTables name it? 1, 0, or -1: err. Any step of the table. */
int table_look_is_listed(const struct table_worker *w, struct pool_local *local,
                         struct error *err);

void table_look_start(struct table_worker *w); /* a second one does nothing */
void table_look_init(struct table_worker *w);
void table_look_release(struct table_worker *w);

/* One page of a whole listing of the stream, when its slot has come. 0: *ret_done tells whether
 * that was the last page, which stands in w->look.listing; else when to come again. -1: err,
 * the listing begins anew. Of the look's step, or of the control step before there is one. */
int64_t table_look_list(struct table_worker *w, struct pool_local *local, const char *arn,
                        bool *ret_done, struct error *err);
void table_look_drop_listing(struct table_worker *w);
