/* common/aws_credentials.h - where the keys come from: explicit, environment, shared profile.
 *
 * Any thread may ask; refreshed before expiry. Secrets never reach an error. */
#pragma once

#include <stdint.h>

#include "common/config.h"
#include "common/error.h"

struct aws_keys {
    char access_key_id[256];
    char secret_access_key[512];
    char session_token[4096]; /* "" for none */
};

struct aws_credentials;

int aws_credentials_new(struct aws_credentials **ret, const struct config *c,
                        struct error *err);
void aws_credentials_free(struct aws_credentials *a);
/* ERR_FATAL (exit 77) when there are none anywhere, saying where it looked. */
int aws_credentials_get(struct aws_credentials *a, struct aws_keys *ret, struct error *err);
