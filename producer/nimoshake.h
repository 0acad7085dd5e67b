/* producer/nimoshake.h - the checkpoints of a NimoShake that was stopped, read once at the
 * start
 * (--take-over-nimoshake).
 *
 * Its collections in checkpoint.db are moved aside first, to names that begin with
 * "nimoshake:": so it can't go on beside us, the names are free for our own view of the
 * positions, and a start that was cut off finds them there. Main thread; then read by all. */
#pragma once

#include "common/base/error.h"
#include "common/config/config.h"
#include "producer/nimoshake_checkpoint.h"

#define NIMOSHAKE_ASIDE "nimoshake:"

struct nimoshake {
    struct nimoshake_table *tables;
    size_t count;
};

/* ERR_FATAL: 69 when MongoDB can't be reached within start.timeout, 77, 78 when there is
 * nothing to take over: no checkpoints, or its copy had not ended. */
int nimoshake_load(struct nimoshake **ret, const struct config *config, struct error *err);
void nimoshake_free(struct nimoshake *nimoshake);
/* NULL: it had no such table, or nimoshake is NULL. */
const struct nimoshake_table *nimoshake_find(const struct nimoshake *nimoshake,
                                             const char *table);
