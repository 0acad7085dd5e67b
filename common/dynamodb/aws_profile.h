/* common/dynamodb/aws_profile.h - one profile of the files that the AWS command line keeps in
 * ~/.aws.
 *
 * The profile is AWS_PROFILE or "default"; the files are AWS_SHARED_CREDENTIALS_FILE
 * (~/.aws/credentials) and AWS_CONFIG_FILE (~/.aws/config). Keys of the first win. An ini
 * library with lines of bounded length won't do: session tokens are longer. Of one thread. */
#pragma once

#include <stdbool.h>

#include "common/base/error.h"

struct aws_profile {
    char *name;
    char *credentials_path; /* NULL: neither the variable nor HOME is set */
    char *config_path;
    char *access_key_id; /* NULL here and below: not given */
    char *secret_access_key;
    char *session_token;
    char *region;
    char *other_way; /* the first setting that gives keys in a way not read here: "role_arn" */
    bool found;      /* some section of this name is there */
};

/* A file that isn't there has no profiles; one that can't be read is ERR_FATAL. */
int aws_profile_read(struct aws_profile *ret, struct error *err);
void aws_profile_release(struct aws_profile *p);
