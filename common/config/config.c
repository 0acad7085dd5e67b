#include "common/config/config.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/config/config_internal.h"

const char *config_program_name(enum config_program program)
{
    switch (program) {
    case CONFIG_PRODUCER:
        return "dynaferry-producer";
    case CONFIG_CONSUMER:
        return "dynaferry-consumer";
    case CONFIG_FULLCHECK:
        return "dynaferry-fullcheck";
    }
    return "dynaferry";
}

bool config_short_version(enum config_program program)
{
    return program == CONFIG_FULLCHECK; /* as its users know it */
}

struct config *config_new(enum config_program program)
{
    struct config *c = xcalloc(1, sizeof(*c));

    c->program = program;
    c->settings = xcalloc(config_option_count, sizeof(*c->settings));
    for (size_t i = 0; i < config_option_count; i++)
        c->settings[i].value = xstrdup(config_options[i].fallback);
    return c;
}

static void setting_release(struct config_setting *s)
{
    free(s->name);
    free(s->value);
    free(s->origin);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < config_option_count; i++)
        setting_release(&c->settings[i]);
    for (size_t i = 0; i < c->kafka_count; i++)
        setting_release(&c->kafka[i]);
    for (size_t i = 0; i < c->notice_count; i++)
        free(c->notices[i]);
    free(c->settings);
    free(c->kafka);
    free(c->notices);
    free(c);
}

const struct config_option *config_option_find(const char *key)
{
    for (size_t i = 0; i < config_option_count; i++)
        if (strcmp(config_options[i].name, key) == 0)
            return &config_options[i];
    return NULL;
}

struct config_setting *config_setting_of(const struct config *c, const char *key)
{
    const struct config_option *o = config_option_find(key);

    CHECK(o);
    return &c->settings[o - config_options];
}

void config_store(struct config_setting *s, const char *value, const char *origin, int line)
{
    free(s->value);
    free(s->origin);
    s->value = xstrdup(value);
    s->origin = origin ? xstrdup(origin) : NULL;
    s->line = line;
}

const char *config_string(const struct config *c, const char *key)
{
    return config_setting_of(c, key)->value;
}

int64_t config_int(const struct config *c, const char *key)
{
    CHECK(config_option_find(key)->type == CONFIG_NUMBER);
    return strtoll(config_string(c, key), NULL, 10);
}

bool config_bool(const struct config *c, const char *key)
{
    CHECK(config_option_find(key)->type == CONFIG_BOOLEAN);
    return strcmp(config_string(c, key), "true") == 0;
}

bool config_is_set(const struct config *c, const char *key)
{
    return config_setting_of(c, key)->origin != NULL;
}

static struct bytes trimmed(struct bytes s)
{
    while (s.len && (*s.p == ' ' || *s.p == '\t'))
        s.p++, s.len--;
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool config_next_item(struct bytes *rest, struct bytes *ret)
{
    while (rest->len) {
        const char *end = memchr(rest->p, ';', rest->len);
        size_t n = end ? (size_t)(end - rest->p) : rest->len;
        struct bytes item = trimmed((struct bytes){rest->p, n});

        n += end != NULL;
        *rest = (struct bytes){rest->p + n, rest->len - n};
        if (item.len) {
            *ret = item;
            return true;
        }
    }
    return false;
}

bool config_split_pair(struct bytes item, struct bytes *name, struct bytes *value)
{
    const char *equals = memchr(item.p, '=', item.len);

    if (!equals)
        return false;
    *name = trimmed((struct bytes){item.p, (size_t)(equals - item.p)});
    *value = trimmed((struct bytes){equals + 1, (size_t)(item.p + item.len - equals - 1)});
    return true;
}

void config_list_each(const struct config *c, const char *key,
                      void (*each)(void *arg, const char *name), void *arg)
{
    struct bytes rest = bytes_of(config_string(c, key)), item;

    CHECK(config_option_find(key)->type == CONFIG_LIST);
    while (config_next_item(&rest, &item)) {
        AUTO(free_charp) char *name = bytes_dup(item);

        each(arg, name);
    }
}

bool config_text_has(const char *list, const char *name)
{
    struct bytes rest = bytes_of(list), item;

    while (config_next_item(&rest, &item))
        if (bytes_equal(item, bytes_of(name)))
            return true;
    return false;
}

bool config_list_has(const struct config *c, const char *key, const char *name)
{
    CHECK(config_option_find(key)->type == CONFIG_LIST);
    return config_text_has(config_string(c, key), name);
}

bool config_wants_table(const struct config *c, const char *table)
{
    if (*config_string(c, "filter.collection.white") &&
        !config_list_has(c, "filter.collection.white", table))
        return false;
    return !config_list_has(c, "filter.collection.black", table);
}

char *config_map_get(const struct config *c, const char *key, const char *name)
{
    struct bytes rest = bytes_of(config_string(c, key)), item, left, right;

    CHECK(config_option_find(key)->type == CONFIG_MAP);
    while (config_next_item(&rest, &item))
        if (config_split_pair(item, &left, &right) && bytes_equal(left, bytes_of(name)))
            return bytes_dup(right);
    return NULL;
}

void config_each_kafka(const struct config *c,
                       void (*each)(void *arg, const char *name, const char *value), void *arg)
{
    each(arg, "bootstrap.servers", config_string(c, "kafka.bootstrap.servers"));
    for (size_t i = 0; i < c->kafka_count; i++)
        each(arg, c->kafka[i].name, c->kafka[i].value);
}

void config_each_notice(const struct config *c, void (*each)(void *arg, const char *notice),
                        void *arg)
{
    for (size_t i = 0; i < c->notice_count; i++)
        each(arg, c->notices[i]);
}

char *config_shown(const struct config *c, const char *key)
{
    const char *value = config_string(c, key);

    switch (config_option_find(key)->secrecy) {
    case CONFIG_SECRET:
        return xstrdup(*value ? "***" : "");
    case CONFIG_ADDRESS:
        return config_address_redacted(value);
    case CONFIG_PUBLIC:
        break;
    }
    return xstrdup(value);
}
