/* consumer/letter_reader.h - reads the dead-letter topic, which has one partition, for letters
 * that were not handled. Of the main thread. */
#pragma once

#include "common/config/config.h"
#include "common/kafka/kafka.h"
#include "consumer/letter_list.h"

#define LETTER_READER_PARTITION 0

struct letter_reader;

/* Waits for a broker up to start.timeout. */
int letter_reader_new(struct letter_reader **ret, const struct config *config,
                      struct error *err);
void letter_reader_free(struct letter_reader *reader);
DEFINE_FREEP(struct letter_reader, letter_reader_freep, letter_reader_free)

/* Adds the letters from offset `from` on, of the table (NULL: of all), up to the present end.
 * 1: some did not fit, and *ret_next is the first of them; 0: all did; -1: ERR_FATAL 69 when no
 * broker answers for start.timeout, ERR_RETRY at a stop. */
int letter_reader_read(struct letter_reader *reader, struct letter_list *letters,
                       const char *table, int64_t from, int64_t *ret_next, struct error *err);
