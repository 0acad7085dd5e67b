/* common/config/config_internal.h - what the parts of the configuration share; for
 * common/config*.c and their tests alone.
 *
 * config_assign.c judges and stores one value, config_load.c finds the values, config_args.c
 * those of the command line, config_extra.c reads the options of one program, config_derive.c
 * fills in what follows from others, config_print.c writes all of it out. */
#pragma once

#include <stdio.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "common/config/config.h"
#include "common/config/config_options.h"

struct config_setting {
    char *name; /* of a kafka.* setting, without "kafka."; NULL: in the table at this index */
    char *value;
    char *origin; /* "conf/a.conf:12", "--set", "DYNAFERRY_ID"; NULL: the default */
    int line;     /* of the file, when it was set there */
};

struct config {
    enum config_program program;
    struct config_setting *settings; /* as config_options */
    struct config_setting *kafka;    /* sorted by nothing: in the order they came */
    size_t kafka_count;
    char **notices;
    size_t notice_count;
};

DEFINE_FREEP(struct config, config_freep, config_free)

/* Where a value comes from. */
struct config_source {
    const char *origin;
    int line; /* 0: not from a file; else a second value in the same file is an error */
};

struct config *config_new(enum config_program program); /* defaults alone */
const char *config_program_name(enum config_program program);
const struct config_option *config_option_find(const char *key); /* or NULL */
struct config_setting *config_setting_of(const struct config *c, const char *key);
void config_store(struct config_setting *s, const char *value, const char *origin, int line);

/* The next name of a ';' list, without spaces around it; false at the end. */
bool config_next_item(struct bytes *rest, struct bytes *ret);
bool config_split_pair(struct bytes item, struct bytes *name, struct bytes *value);

int config_assign(struct config *c, struct config_source from, const char *key,
                  const char *value, struct error *err);
/* " (did you mean x?)" or "", for any name and any list of names; the caller frees. */
char *config_suggestion(const char *name, const char *const *candidates, size_t n);
bool config_kafka_is_secret(const char *name);
bool config_key_is_secret(const char *key); /* an address too */
char *config_shown_text(const char *value); /* as an error may show it; the caller frees */
bool config_value_is_good(const struct config_option *o, const char *value);
bool config_short_version(enum config_program);      /* does it know -v? */
char *config_allowed(const struct config_option *o); /* in words; the caller frees */
char *config_address_redacted(const char *address);  /* the caller frees */

/* The text of a file; path is for errors. */
int config_read_text(struct config *c, const char *path, struct bytes text, struct error *err);
int config_read_file(struct config *c, const char *path, struct error *err);
int config_read_environment(struct config *c, char **environment, struct error *err);
char *config_env_name(const char *key); /* DYNAFERRY_...; the caller frees */

/* Defaults that follow from other values, then what must hold between values. */
int config_derive(struct config *c, struct error *err);

void config_print_help(FILE *out, enum config_program program,
                       const struct config_extra *extras);
void config_print_values(FILE *out, const struct config *c);
