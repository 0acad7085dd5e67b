/* common/config/config.h - one configuration for all programs, from one table of options.
 *
 * Precedence: --set key=value (or a flag that sets a key), then DYNAFERRY_<KEY> (dots to
 * underscores, upper case), DYNAFERRY_<KEY>_FILE for secrets, then the file, then the default.
 * Unknown keys and bad values are errors that name file, line and what is allowed. --help,
 * --print-config, conf/dynaferry.conf and docs/configuration.md come from the same table.
 * Read-only after config_load, so any thread may read.
 *
 * A default that follows from other values is filled in, and still counts as not set:
 * instance.id, consumer.group, checkpoint.db, target.id, topic.max.message.bytes. Readers never
 * see convert.type = mchange: it has become change with convert.number = double. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/error.h"

enum config_program {
    CONFIG_PRODUCER = 1,
    CONFIG_CONSUMER = 2,
    CONFIG_FULLCHECK = 4,
};

struct config;

enum config_form {
    CONFIG_TAKES_VALUE, /* --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -n=VALUE */
    CONFIG_FLAG,        /* --name, -n */
    CONFIG_SWITCH,      /* --name, -n; --name=on, off, true or false */
};

/* A command line option of one program alone, taken out of argv. Given twice, the last one
 * counts. */
struct config_extra {
    const char *name; /* "until-idle" */
    char letter;      /* 'u' for -u; 0: none */
    enum config_form form;
    const char *key;      /* it sets this key, as --set does; NULL: the program asks for it */
    const char *scheme;   /* "mongodb://": is put before a value without "://" */
    const char *wanted;   /* what --help calls the value; NULL: VALUE */
    const char *fallback; /* the default as --help says it; NULL: none, or the key's */
    const char *help;     /* NULL: the key's */

    /* Out. value: NULL when absent or with a key; "" of a flag, "on" or "off" of a switch.
     * typed: "-u" or "--until-idle", as it was given. */
    const char *value;
    char typed[32];
};

/* Reads argv, environment and file. *ret stays NULL with result 0 when the call was --help,
 * --version or --print-config and its text has been printed: the program ends well. On failure
 * err->code is 64 for the command line and 78 for the configuration. extras ends with a {0}
 * element; NULL for none. Secrets and addresses in argv are overwritten, so that the list of
 * processes does not show them. */
int config_load(struct config **ret, enum config_program program, int argc, char **argv,
                struct config_extra *extras, struct error *err);
void config_free(struct config *c);

/* By the extra's name, which must be in the table. NULL, false or an untouched *ret when it was
 * not given; ERR_FATAL 64 with the flag as it was typed and what is allowed. */
const char *config_extra_value(const struct config_extra *extras, const char *name);
int config_extra_int(const struct config_extra *extras, const char *name, int64_t min,
                     int64_t max, int64_t *ret, struct error *err);
/* Seconds, decimals allowed, as milliseconds. */
int config_extra_ms(const struct config_extra *extras, const char *name, int64_t max_seconds,
                    int64_t *ret, struct error *err);
/* choices: "a|b|c"; *ret is the place among them, from 0. */
int config_extra_choice(const struct config_extra *extras, const char *name,
                        const char *choices, int *ret, struct error *err);
/* For a value that none of these can judge. */
int config_extra_refuse(const struct config_extra *extras, const char *name,
                        const char *allowed, struct error *err);

/* By the key's full name; a name that is not in the table is a CHECK. Strings are never NULL
 * ("" when unset) and live as long as the config. */
const char *config_string(const struct config *c, const char *key);
int64_t config_int(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
bool config_is_set(const struct config *c, const char *key); /* by anything but the default */

/* Is name in a ';' list (filter.collection.white and the like)? */
bool config_list_has(const struct config *c, const char *key, const char *name);
bool config_text_has(const char *list, const char *name); /* the same of a list's text */
/* Calls each for every name of such a list; the name is borrowed until each returns. */
void config_list_each(const struct config *c, const char *key,
                      void (*each)(void *arg, const char *name), void *arg);
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
