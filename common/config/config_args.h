/* common/config/config_args.h - the command line, taken apart.
 *
 * Secrets and addresses in argv are overwritten, so that the list of processes does not show
 * them. */
#pragma once

#include <stddef.h>

#include "common/base/error.h"
#include "common/config/config_extra.h"
#include "common/config/config_program.h"

struct config_arg { /* sets a key */
    char *origin;   /* "--set", "-t" */
    char *key;
    char *value;
};

struct config_args {
    int argc;
    char **argv; /* borrowed, as extras, which are filled in */
    struct config_extra *extras;
    int at;

    const char *file;        /* NULL: none was given */
    const char *nimoshake;   /* the same: a file of NimoShake, below the other one */
    struct config_arg *sets; /* in their order */
    size_t set_count;
    bool print_values;
    bool done; /* a text was printed: the program is over */
};

/* argc, argv and extras are set, the rest is 0. ERR_FATAL 64. */
int config_args_read(struct config_args *a, enum config_program program, struct error *err);
void config_args_release(struct config_args *a);
