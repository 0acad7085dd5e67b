#include "common/config/config_program.h"

const char *config_program_name(enum config_program program)
{
    switch (program) {
    case CONFIG_PRODUCER:
        return "dynaferry-producer";
    case CONFIG_CONSUMER:
        return "dynaferry-consumer";
    case CONFIG_FULLCHECK:
        return "dynaferry-fullcheck";
    case CONFIG_STATUS:
        return "dynaferry-status";
    }
    return "dynaferry";
}

bool config_program_takes_v(enum config_program program)
{
    return program == CONFIG_FULLCHECK; /* as its users know it */
}
