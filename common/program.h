/* common/program.h - what every program does before and after its work: configuration, signals,
 * log, metrics, exit code. */
#pragma once

#include "common/config.h"
#include "common/error.h"

struct program {
    enum config_program which;
    const char *name;
    struct config_extra *extras; /* NULL for none; filled before run */
    /* On the main thread, with log and metrics up. ERR_RETRY during a stop counts as a good
     * end. */
    int (*run)(const struct config *c, const struct config_extra *extras, struct error *err);
};

/* For main: the exit code. */
int program_main(const struct program *p, int argc, char **argv);
