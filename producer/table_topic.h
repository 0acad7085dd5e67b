/* producer/table_topic.h - a table's data topic when a generation begins: made, or looked at.
 */
#pragma once

#include "producer/table_worker.h"

/* Makes the topic, when it is missing (w->partitions 0), or checks what somebody else may have
 * made; then sets generation, log id and partitions of a new begin in t. The generation is
 * greater than the ledger's (w->known) and than any in the topic; the log id is a new one
 * unless the topic still is the log that the ledger knows. ERR_RETRY, or ERR_FATAL: a person
 * has to change the topic or the settings (77: a right is missing). Of the control step. */
int table_topic_prepare(struct table_worker *w, struct ledger_table *t, struct error *err);
