/* tests/unit/support_position_write.h - writes in the model, and an owner that runs. Each
 * function adds the states that follow. */
#pragma once

#include "support_position_state.h"

void write_step(struct model *m, const struct state *s, int i);
void write_run_on(struct model *m, const struct state *s, int i);
