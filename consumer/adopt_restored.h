/* consumer/adopt_restored.h - positions that came with a restored dump are made to hold for the
 * restored collections.
 *
 * A position names the collection that it is about. A restored one has another UUID, so that
 * the consumer would apply everything from the newest begin. Only whoever restored it knows
 * that positions and documents are of one moment (a dump taken with its oplog); then the
 * consumer may go on from there. No consumer of this target may run meanwhile. Of the main
 * thread; nothing else of the consumer runs beside it. */
#pragma once

#include "common/config/config.h"

/* 0; ERR_FATAL with the exit code when something was not adopted, saying what. */
int adopt_restored_run(const struct config *config, struct error *err);
