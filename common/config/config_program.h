/* common/config/config_program.h - the programs that share the configuration. */
#pragma once

#include <stdbool.h>

enum config_program { /* or-ed where several are meant */
    CONFIG_PRODUCER = 1,
    CONFIG_CONSUMER = 2,
    CONFIG_FULLCHECK = 4,
    CONFIG_STATUS = 8,
};

/* "dynaferry-producer". */
const char *config_program_name(enum config_program program);
/* What it does, in a line and in a few sentences; examples, each a line. */
struct config_about {
    const char *line;
    const char *text;
    const char *const *examples; /* ends with NULL */
};
const struct config_about *config_program_about(enum config_program program);
