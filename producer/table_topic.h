/* producer/table_topic.h - a table's data topic when a generation begins: made, or looked at.
 */
#pragma once

#include "producer/table_worker.h"

/* Makes the topic, when it is missing (w->partitions 0), or checks what somebody else may have
 * made; then sets generation, log id and partitions of a new begin in t. The generation is
 * greater than the ledger's (w->known) and than any in the topic; the log id is a new one
 * unless the topic still is the log that the ledger knows. A topic that was made anew in the
 * place of a lost one may have any number of partitions. ERR_RETRY, or ERR_FATAL: a person
 * has to change the topic or the settings (77: a right is missing). Of the control step. */
int table_topic_prepare(struct table_worker *w, struct ledger_table *t, struct error *err);

/* Is the topic, which has w->partitions partitions, the log that the last generation is in?
 * False, too, when there is no such topic or no last generation. One that has more partitions
 * than before still is. *ret_begin, unless NULL: the generation's begin in each partition,
 * where the ledger does not know it; the caller frees. ERR_RETRY. */
int table_topic_is_same_log(struct table_worker *w, bool *ret, int64_t **ret_begin,
                            struct error *err);
