/* fullcheck/fullcheck_options.h - the command line of dynaferry-fullcheck.
 *
 * Names and letters are those that users of NimoShake's full-check know. Flags that set a key
 * of the configuration are not seen here: they are in the config. Of the main thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/config/config_extra.h"

struct fullcheck_options {
    const char *diff_file; /* of argv */
    int threads;
    int64_t sample; /* items of a table; 0: all */
    uint64_t seed;  /* random when it was not given */
    bool seed_given;
    int64_t settle_ms; /* age at which a difference counts */
    enum {
        OUTLINE_GO,   /* look at it, go on */
        OUTLINE_STOP, /* a table whose outline differs is not checked further */
        OUTLINE_ONLY, /* nothing else is checked */
    } outline;
    bool reverse; /* look for documents without an item */
    bool repair;
    bool json;
};

/* For struct program. */
extern struct config_extra fullcheck_options_extras[];

/* extras as config_load has filled them. ERR_FATAL 64 with the flag and what is allowed. */
int fullcheck_options_read(struct fullcheck_options *ret, const struct config_extra *extras,
                           struct error *err);
