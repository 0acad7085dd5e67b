/* common/config/config_file.h - values from a file: lines of "key = value", '#' begins a
 * comment line. */
#pragma once

#include "common/base/bytes.h"
#include "common/config/config.h"

/* ERR_FATAL 78, with the line. */
int config_file_read(struct config *c, const char *path, struct error *err);
/* Its text; path is for errors. */
int config_file_read_text(struct config *c, const char *path, struct bytes text,
                          struct error *err);
