/* common/config/config_load.h - the configuration of a program, from all that may set a value.
 *
 * Each over the one before: the default, the file, the environment, the command line. Every
 * value is judged where it stands, also one that a later source replaces. */
#pragma once

#include "common/config/config.h"
#include "common/config/config_extra.h"

/* *ret stays NULL with result 0 when the call was --help, --version, --print-config or
 * --print-options and its text has been printed: the program ends well. On failure err->code is
 * 64 for the command line and 78 for the configuration. extras: NULL for none. Secrets and
 * addresses in argv are overwritten, so that the list of processes does not show them. */
int config_load(struct config **ret, enum config_program program, int argc, char **argv,
                struct config_extra *extras, struct error *err);
