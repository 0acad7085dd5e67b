/* common/config/config_print.h - the table of options, or a configuration, written out. */
#pragma once

#include <stdio.h>

#include "common/config/config.h"
#include "common/config/config_extra.h"

void config_print_help(FILE *out, enum config_program program,
                       const struct config_extra *extras);
/* What holds, without secrets; taken as a file, it sets just what is set now. */
void config_print_values(FILE *out, const struct config *c);
/* The program, its flags and the table of options for scripts/manual: one field per line, its
 * name, a tab and its value; "program", "flag", "option", "reserved" and "replaced" begin a
 * record. */
void config_print_options(FILE *out, enum config_program program,
                          const struct config_extra *extras);
