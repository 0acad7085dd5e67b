/* consumer/letters_replay.h - has the items of dead letters carried again.
 *
 * Each letter's key becomes part of a repair: the producer that owns the table reads the item
 * and appends it as it is now, so that the newest value wins, never the one in the letter. Then
 * a mark behind the letter says that it was handled; nothing is removed. A run that was cut
 * short leaves letters unmarked that were handled: they are handled again, which does no harm.
 * Of the main thread; nothing else of the consumer runs beside it. */
#pragma once

#include "common/config/config.h"
#include "consumer/consumer_options.h"

/* 0: none is left; ERR_FATAL with the exit code. */
int letters_replay_run(const struct consumer_options *options, const struct config *config,
                       struct error *err);
