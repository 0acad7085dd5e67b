/* consumer/consumer_options.h - the command line of dynaferry-consumer beside the
 * configuration: when it ends by itself, and what it does by hand in place of carrying tables.
 * Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config_extra.h"
#include "consumer/replay_point.h"

/* For config_load. */
extern struct config_extra consumer_options_extras[];

enum consumer_task {
    CONSUMER_APPLIES, /* what it does else */
    CONSUMER_REPLAYS,
    CONSUMER_REPLAYS_LETTERS,
    CONSUMER_ADOPTS_RESTORED,
};

struct consumer_options { /* borrows from the command line */
    enum consumer_task task;
    const char *table;        /* NULL: of CONSUMER_REPLAYS_LETTERS, all tables */
    struct replay_point from; /* of CONSUMER_REPLAYS, like the next */
    bool wait;                /* until it is applied again, not only set */
    int64_t until_idle_ms;    /* of CONSUMER_APPLIES; -1: not given */
};

/* ERR_FATAL 64. */
int consumer_options_read(struct consumer_options *ret, const struct config_extra *extras,
                          struct error *err);
