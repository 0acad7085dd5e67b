/* common/config/config_assign.h - judges one value and stores it. */
#pragma once

#include "common/config/config.h"

struct config_source { /* where a value comes from */
    const char *origin;
    int line; /* 0: not from a file; else a second value in the same file is an error */
};

/* Of any key, kafka.* and those of NimoShake included. ERR_FATAL 78 says what is wrong, where
 * it stands and what is allowed; the value of a secret or of an unknown key (it may be a
 * misspelt secret) is never said. */
int config_assign(struct config *c, struct config_source from, const char *key,
                  const char *value, struct error *err);
