/* common/dynamodb/aws_credentials.h - where the keys come from: the first of explicit
 * configuration, environment and shared profile that has any.
 *
 * A half pair in one place is an error, not a reason to look in the next. A profile is read
 * again every half minute, since tools renew temporary keys there. Any thread may ask. Secrets
 * never reach an error. */
#pragma once

#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/error.h"
#include "common/config/config.h"

struct aws_keys {
    char access_key_id[256];
    char secret_access_key[512];
    char session_token[4096]; /* "" for none */
};

struct aws_credentials;

/* ERR_FATAL (exit 78) for a half pair in the configuration or the environment. */
int aws_credentials_new(struct aws_credentials **ret, const struct config *c,
                        struct error *err);
void aws_credentials_free(struct aws_credentials *credentials);
DEFINE_FREEP(struct aws_credentials, aws_credentials_freep, aws_credentials_free)
/* ERR_FATAL (exit 77) when there are none anywhere, saying where it looked. */
int aws_credentials_get(struct aws_credentials *credentials, struct aws_keys *ret,
                        struct error *err);

/* source.region, AWS_REGION, AWS_DEFAULT_REGION or the profile's; NULL when none names one. The
 * caller frees. ERR_FATAL (exit 78) for one that can't be part of a host name. */
int aws_credentials_region(char **ret, const struct config *c, struct error *err);
