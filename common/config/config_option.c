#include "common/config/config_option.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"

enum {
    SHOWN_BYTES = 120, /* of a value in an error */
    TABLE_NAME_BYTES = 255,
};

const struct config_option *config_option_find(const char *key)
{
    CONFIG_OPTIONS_EACH(o)
        if (strcmp(o->name, key) == 0)
            return o;
    return NULL;
}

/* --- in words --- */

static char *choices_in_words(const char *choices)
{
    AUTO(buf_release) struct buf b;
    struct bytes rest = bytes_of(choices), choice;

    buf_init(&b, 4096);
    while (text_next_item(&rest, '|', &choice))
        buf_printf(&b, "%s" BYTES_FMT, b.len ? ", " : "", BYTES_ARG(choice));
    if (config_option_choice(choices, "") >= 0)
        buf_lit(&b, " or empty");
    return bytes_dup(buf_slice(&b));
}

static char *number_in_words(const struct config_option *o)
{
    bool open = o->max >= INT64_MAX / 2;
    AUTO(free_charp) char *max = xasprintf("to %" PRId64, o->max);

    return xasprintf("%" PRId64 " %s%s%s", o->min, open ? "and more" : max,
                     o->also ? ", or " : "", o->also ? o->also : "");
}

char *config_option_allowed(const struct config_option *o)
{
    switch (o->type) {
    case CONFIG_NUMBER:
        return number_in_words(o);
    case CONFIG_BOOLEAN:
        return xstrdup("true, false");
    case CONFIG_CHOICE:
        return choices_in_words(o->choices);
    case CONFIG_LIST:
        return xstrdup("names of tables with ; between them");
    case CONFIG_MAP:
        return xstrdup("table=name pairs with ; between them, each table and name once");
    case CONFIG_TEXT:
        break;
    }
    return xstrdup(o->allowed ? o->allowed : "text without control characters");
}

/* --- what is accepted --- */

static bool matches(const char *pattern, const char *text)
{
    regex_t re;
    bool found;

    CHECK(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    found = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return found;
}

static bool is_number(const struct config_option *o, const char *value)
{
    char *end;
    int64_t n;

    if (o->also && strcmp(value, o->also) == 0)
        return true;
    if (!matches("^-?[0-9]{1,19}$", value))
        return false;
    errno = 0;
    n = strtoll(value, &end, 10);
    return !errno && !*end && n >= o->min && n <= o->max;
}

int config_option_choice(const char *choices, const char *value)
{
    struct bytes rest = bytes_of(choices), choice;

    for (int place = 0; text_next(&rest, '|', &choice); place++)
        if (bytes_equal(choice, bytes_of(value)))
            return place;
    return -1;
}

static bool is_table_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.p[i]) && (!name.p[i] || !strchr("_.-", name.p[i])))
            return false;
    return name.len > 0 && name.len <= TABLE_NAME_BYTES;
}

static bool is_list(const char *value)
{
    struct bytes rest = bytes_of(value), item;

    while (text_next_item(&rest, ';', &item))
        if (!is_table_name(item))
            return false;
    return true;
}

static bool pair_stands_once(const char *value, struct bytes table, struct bytes name)
{
    struct bytes rest = bytes_of(value), item, left, right;
    int tables = 0, names = 0;

    while (text_next_item(&rest, ';', &item)) {
        if (!text_split(item, '=', &left, &right))
            return false;
        tables += bytes_equal(left, table);
        names += bytes_equal(right, name);
    }
    return tables == 1 && names == 1;
}

static bool is_map(const char *value)
{
    struct bytes rest = bytes_of(value), item, left, right;

    while (text_next_item(&rest, ';', &item))
        if (!text_split(item, '=', &left, &right) || !is_table_name(left) ||
            !is_table_name(right) || !pair_stands_once(value, left, right))
            return false;
    return true;
}

static bool has_control_characters(const char *value)
{
    for (; *value; value++)
        if (iscntrl((unsigned char)*value))
            return true;
    return false;
}

bool config_option_accepts(const struct config_option *o, const char *value)
{
    if (has_control_characters(value))
        return false;
    switch (o->type) {
    case CONFIG_NUMBER:
        return is_number(o, value);
    case CONFIG_BOOLEAN:
        return config_option_choice("true|false", value) >= 0;
    case CONFIG_CHOICE:
        return config_option_choice(o->choices, value) >= 0;
    case CONFIG_LIST:
        return is_list(value);
    case CONFIG_MAP:
        return is_map(value);
    case CONFIG_TEXT:
        break;
    }
    return !o->pattern || matches(o->pattern, value);
}

/* --- what is shown --- */

bool config_option_kafka_is_secret(const char *name)
{
    static const char *const parts[] = {"password",           "secret", "key.pem", "ssl_key",
                                        "oauthbearer.config", "jaas",   "token"};

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcasestr(name, parts[i]))
            return !strcasestr(name, "endpoint.url");
    return false;
}

bool config_option_is_secret(const char *key)
{
    const struct config_option *o = config_option_find(key);

    if (o)
        return o->secrecy != CONFIG_PUBLIC;
    return strncmp(key, "kafka.", 6) == 0 && config_option_kafka_is_secret(key + 6);
}

char *config_option_shown(const char *value)
{
    char *text = xstrndup(value, text_cut(bytes_of(value), SHOWN_BYTES));

    for (char *p = text; *p; p++)
        if (iscntrl((unsigned char)*p))
            *p = '?';
    return text;
}
