/* consumer/replay.h - has a table's log applied again: tells the owners of its partitions, by
 * `rewind` in the positions, how far back to go.
 *
 * Nothing is applied from here, so that there is one writer per partition as ever. Owners see
 * it within seconds; without one it is kept for the next. Of the main thread; nothing else of
 * the consumer runs beside it. */
#pragma once

#include "common/config/config.h"
#include "consumer/consumer_options.h"

/* 0; ERR_FATAL with the exit code when it was not set or, with wait, not applied again. That
 * the log lacks what one of the partitions needs is said before anything is set. */
int replay_run(const struct consumer_options *options, const struct config *config,
               struct error *err);
