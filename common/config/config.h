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
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/error.h"
#include "common/config/config_program.h"

struct config_setting {
    char *name; /* of a kafka.* setting, without "kafka."; NULL: in the table of options */
    char *value;
    char *origin; /* "conf/a.conf:12", "--set", "DYNAFERRY_ID"; NULL: the default */
    int line;     /* of the file, when it was set there */
};

struct config { /* its members are for common/config alone */
    enum config_program program;
    struct config_setting *settings; /* as config_options */
    struct config_setting *kafka;    /* in the order they came */
    size_t kafka_count;
    char **notices;
    size_t notice_count;
};

/* Defaults alone. */
struct config *config_new(enum config_program program);
void config_free(struct config *c);
DEFINE_FREEP(struct config, config_freep, config_free)

/* By the key's full name; a name that is not in the table is a CHECK. Strings are never NULL
 * ("" when unset) and live as long as the config. */
const char *config_string(const struct config *c, const char *key);
int64_t config_int(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
/* By anything but the default. */
bool config_is_set(const struct config *c, const char *key);

/* Is name in a ';' list (filter.collection.white and the like)? */
bool config_list_has(const struct config *c, const char *key, const char *name);
/* The same of a list's text. */
bool config_text_has(const char *list, const char *name);
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

/* What was read and has no effect (keys of NimoShake), for the caller to log once. */
void config_each_notice(const struct config *c, void (*each)(void *arg, const char *notice),
                        void *arg);

/* For those who read values in; a name that is not in the table is a CHECK. */
struct config_setting *config_setting_of(const struct config *c, const char *key);
/* Of the files read so far: the next one may set the same keys. */
void config_forget_lines(struct config *c);
void config_store(struct config_setting *s, const char *value, const char *origin, int line);
