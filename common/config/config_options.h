/* common/config/config_options.h - the table of every key: the one source of parsing, help, the
 * default file and the documentation. Constant; each table ends with a {0} element. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/config/config_program.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_NUMBER,
    CONFIG_BOOLEAN,
    CONFIG_CHOICE,
    CONFIG_LIST, /* table;table */
    CONFIG_MAP,  /* table=name;table=name */
};

enum config_secrecy {
    CONFIG_PUBLIC,
    CONFIG_SECRET,  /* never shown */
    CONFIG_ADDRESS, /* shown without its password */
};

struct config_option {
    const char *section; /* begins one: its title */
    const char *name;
    unsigned programs; /* who reads it: enum config_program, or-ed */
    enum config_type type;
    enum config_secrecy secrecy;
    const char *fallback; /* the default */
    const char *derived;  /* how the default comes about when it is not a constant */
    int64_t min, max;     /* CONFIG_NUMBER */
    const char *also;     /* CONFIG_NUMBER: one more value, outside min..max */
    const char *choices;  /* CONFIG_CHOICE: "a|b", with an empty one where "" is allowed */
    const char *pattern;  /* CONFIG_TEXT: POSIX extended */
    const char *allowed;  /* the pattern in words */
    unsigned required_by; /* programs that can't do without */
    const char *help;     /* one or more sentences */
};

extern const struct config_option config_options[];

#define CONFIG_OPTIONS_EACH(o)                                                                 \
    for (const struct config_option *o = config_options; o->name; o++)

/* A key of NimoShake without meaning here. */
struct config_replaced {
    const char *name;
    const char *harmless; /* "a|b": the values that may be ignored; NULL: every value */
    const char *instead;  /* what does the work here */
};

extern const struct config_replaced config_options_replaced[];

/* Settings of librdkafka that dynaferry's promises need to make by themselves. */
struct config_reserved {
    const char *name; /* without "kafka." */
    const char *instead;
};

extern const struct config_reserved config_options_reserved[];
