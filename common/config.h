/* common/config.h - one configuration for all programs, from one table of options.
 *
 * Precedence: --set key=value, then DYNAFERRY_<KEY> (dots to underscores, upper case),
 * DYNAFERRY_<KEY>_FILE for secrets, then the file, then the default. Unknown keys and bad
 * values are errors that name file, line and what is allowed. --help, --print-config,
 * conf/dynaferry.conf and docs/configuration.md come from the same table. Read-only after
 * config_load, so any thread may read.
 *
 * A default that follows from other values is filled in, and still counts as not set:
 * instance.id, consumer.group, checkpoint.db, target.id, topic.max.message.bytes. Readers never
 * see convert.type = mchange: it has become change with convert.number = double. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

enum config_program {
    CONFIG_PRODUCER = 1,
    CONFIG_CONSUMER = 2,
    CONFIG_FULLCHECK = 4,
    CONFIG_STATUS = 8,
};

struct config;

/* A command line option of one program alone, taken out of argv: --name VALUE, or --name for a
 * flag. */
struct config_extra {
    const char *name;  /* "until-idle" */
    const char *value; /* out: NULL when absent; "" for a flag that was given */
    bool flag;
    const char *help;
};

/* Reads argv, environment and file. *ret stays NULL with result 0 when the call was --help,
 * --version or
 * --print-config and its text has been printed: the program ends well. On failure err->code is
 * 64 for the command line and 78 for the configuration. extras ends with a {0} element; NULL
 * for none. */
int config_load(struct config **ret, enum config_program program, int argc, char **argv,
                struct config_extra *extras, struct error *err);
void config_free(struct config *c);

/* By the key's full name; a name that is not in the table is a CHECK. Strings are never NULL
 * ("" when unset) and live as long as the config. */
const char *config_string(const struct config *c, const char *key);
int64_t config_int(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
bool config_is_set(const struct config *c, const char *key); /* by anything but the default */

/* Is name in a ';' list (filter.collection.white and the like)? */
bool config_list_has(const struct config *c, const char *key, const char *name);
/* Does the table pass filter.collection.white and .black? */
bool config_wants_table(const struct config *c, const char *table);
/* The right side of "name=value;..." (map.topic, map.collection), or NULL. Caller frees. */
char *config_map_get(const struct config *c, const char *key, const char *name);

/* Every kafka.* setting, kafka.bootstrap.servers included; name without "kafka.". */
void config_each_kafka(const struct config *c,
                       void (*each)(void *arg, const char *name, const char *value), void *arg);

/* A value as a log or a report may show it: a secret as ***, an address without its password.
 * Caller frees. */
char *config_shown(const struct config *c, const char *key);
/* What was read and has no effect (keys of NimoShake), for the caller to log once. */
void config_each_notice(const struct config *c, void (*each)(void *arg, const char *notice),
                        void *arg);

/* For the generated documents. */
void config_print_file(FILE *out);     /* conf/dynaferry.conf */
void config_print_markdown(FILE *out); /* docs/configuration.md */
