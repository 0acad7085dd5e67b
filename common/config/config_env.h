/* common/config/config_env.h - values from the environment: DYNAFERRY_<KEY>, and for secrets
 * DYNAFERRY_<KEY>_FILE, the path of a file that holds one. */
#pragma once

#include "common/config/config.h"

/* ERR_FATAL 78, also for a variable of ours that stands for no key. */
int config_env_read(struct config *c, char **environment, struct error *err);
/* DYNAFERRY_...; the caller frees. */
char *config_env_name(const char *key);
