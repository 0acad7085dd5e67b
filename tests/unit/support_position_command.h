/* tests/unit/support_position_command.h - position commands in the model: what asks for them,
 * and what a consumer makes of their answers. Each function adds the states that follow. */
#pragma once

#include "support_position_state.h"

void command_take(struct model *m, struct state s, int i);
void command_say_goodbye(struct model *m, struct state s, int i, bool in_doubt);
void command_mark(struct model *m, struct state s, int i);
void command_ask(struct model *m, struct state s, int i, bool again);
void command_read_held(struct model *m, struct state s, int i);
void command_execute(struct model *m, struct state s, int i);
void command_step(struct model *m, const struct state *s, int i);
void command_step_unclear(struct model *m, struct state s, int i);
