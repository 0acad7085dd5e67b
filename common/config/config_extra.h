/* common/config/config_extra.h - the command line options of one program alone.
 *
 * A program gives its table to config_load, which fills it in, and then asks for the values. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

enum config_form {
    CONFIG_TAKES_VALUE,    /* --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -n=VALUE */
    CONFIG_FLAG,           /* --name, -n */
    CONFIG_SWITCH,         /* --name, -n; --name=on, off, true or false */
    CONFIG_MAY_TAKE_VALUE, /* --name, -n, or as CONFIG_TAKES_VALUE */
};

/* Taken out of argv. Given twice, the last one counts. A table ends with a {0} element. */
struct config_extra {
    const char *name; /* "until-idle" */
    char letter;      /* 'u' for -u; 0: none */
    enum config_form form;
    const char *key;      /* it sets this key, as --set does; NULL: the program asks for it */
    const char *scheme;   /* "mongodb://": is put before a value without "://" */
    const char *wanted;   /* what --help calls the value; NULL: VALUE */
    const char *fallback; /* the default as --help says it; NULL: none, or the key's */
    const char *help;     /* NULL: the key's */

    /* Out. value: NULL when absent or with a key; "" of a flag and of a value left out, "on" or
     * "off" of a switch. typed: "-u" or "--until-idle", as it was given. */
    const char *value;
    char typed[32];
};

#define CONFIG_EXTRAS_EACH(x, extras) for (__auto_type x = extras; x && x->name; x++)

/* By the extra's name, which must be in the table. NULL, false or an untouched *ret when it was
 * not given; ERR_FATAL 64 with the flag as it was typed and what is allowed. */
bool config_extra_given(const struct config_extra *extras, const char *name);
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
