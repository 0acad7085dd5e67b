#include "support_position_state.h"

const struct log_event state_log[LOG_MAX] = {{0, 1}, {0, 2}, {1, 3}, {0, 4}};

void state_add(struct model *m, const struct state *s)
{
    struct state smaller = *s;

    for (int i = 0; i < CONSUMERS_MAX; i++) {
        struct owner *c = &smaller.o.w[i];

        if (c->stage == MARKING || (c->stage == HELD && !m->former->goodbye_held))
            c->applied = c->offset;
    }
    owners_forget_unused(&smaller.o);
    search_add(&m->search, &smaller);
}

bool state_change(const struct model *m, struct doc *d, const struct command *command)
{
    return owners_change(d, command, m->former->blind_take ? BLIND_OFFSET : BLIND_NOT);
}
