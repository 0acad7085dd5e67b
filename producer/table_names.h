/* producer/table_names.h - which tables can't be carried because of their topics' names. Pure;
 * of one thread.
 *
 * In Kafka's metrics "a.b" and "a_b" are one name, so it refuses the second of the two. The
 * table that comes first keeps the name: the one placed earlier; of new ones, the first by
 * name. */
#pragma once

#include "common/base/auto.h"
#include "common/config/config.h"

struct table_names;

struct table_names *table_names_new(const struct config *c);
void table_names_free(struct table_names *names);
DEFINE_FREEP(struct table_names, table_names_freep, table_names_free)

/* NULL: the topic's name is this table's from now on, or was already. Else why it can't be, in
 * words for the user; the caller frees. */
char *table_names_take(struct table_names *names, const char *table);
