/* tests/unit/support_generation_command.h - position commands in the model: what asks for them,
 * and what a consumer makes of their answers. Each function adds the states that follow. */
#pragma once

#include "support_generation_state.h"

void generation_take(struct model *m, struct state s, int i);
void generation_goodbye(struct model *m, struct state s, int i, bool in_doubt);
void generation_mark(struct model *m, struct state s, int i);
void generation_ask(struct model *m, struct state s, int i, bool again);
void generation_read_held(struct model *m, struct state s, int i);
void generation_command_step(struct model *m, const struct state *s, int i);
