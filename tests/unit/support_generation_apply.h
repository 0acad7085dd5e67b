/* tests/unit/support_generation_apply.h - an owner that runs: events, notes, sweeps. Each
 * function adds the states that follow. */
#pragma once

#include "support_generation_state.h"

void generation_write_step(struct model *m, const struct state *s, int i);
void generation_run_on(struct model *m, const struct state *s, int i);
