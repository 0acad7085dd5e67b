/* producer/table_names.h - which tables can't be carried for the names of their topics. Pure;
 * of one thread.
 *
 * Kafka takes "a.b" and "a_b" for one name in its metrics and refuses the second, so the table
 * that comes first keeps it: the one placed earlier, of new ones the first by name. */
#pragma once

#include "common/base/auto.h"
#include "common/config/config.h"

struct table_names;

struct table_names *table_names_new(const struct config *c);
void table_names_free(struct table_names *n);
DEFINE_FREEP(struct table_names, table_names_freep, table_names_free)

/* NULL: the topic's name is the table's from now on (or was already). Else why it can't be; the
 * caller frees. */
char *table_names_take(struct table_names *n, const char *table);
