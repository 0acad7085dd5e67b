/* producer/table_look.h - looks at one table's source while it is carried: is it still the same
 * table, and which shards does its stream have.
 *
 * It looks when there is cause (a shard was closed, an answer was doubtful, a listing left
 * something open), and now and then without one. One request per step; descriptions of streams
 * wait for their slot among those of all tables (throttle.h). */
#pragma once

#include "producer/table_worker.h"

/* Does ListTables name it? 1, 0, or -1: err. Any step of the table. */
int table_look_is_listed(struct append_context *a, struct error *err);

/* A second one does nothing. */
void table_look_start(struct table_worker *w);
void table_look_init(struct table_worker *w);
void table_look_release(struct table_worker *w);
