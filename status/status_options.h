/* status/status_options.h - the command line of dynaferry-status. Of the main thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/config/config_extra.h"

struct status_options { /* texts of argv */
    const char *table;  /* NULL: all */
    bool shards;
    bool json;
    int64_t watch_ms;   /* 0: one look */
    int64_t max_lag_ms; /* -1: none */
    bool waits;         /* --wait-for */
    int64_t before_ms;  /* of it; -1: now, by the source's clock */
    int64_t timeout_ms; /* of it; 0: none */
};

/* For struct program. */
extern struct config_extra status_options_extras[];

/* extras as config_load has filled them. ERR_FATAL 64 with the flag and what is allowed. */
int status_options_read(struct status_options *ret, const struct config_extra *extras,
                        struct error *err);
