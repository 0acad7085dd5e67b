#include "common/config/config.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/config/config_option.h"

struct config *config_new(enum config_program program)
{
    struct config *c = xcalloc(1, sizeof(*c));
    size_t count = 0;

    CONFIG_OPTIONS_EACH(o)
        count++;
    c->program = program;
    c->settings = xcalloc(count, sizeof(*c->settings));
    CONFIG_OPTIONS_EACH(o)
        config_setting_of(c, o->name)->value = xstrdup(o->fallback);
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
    CONFIG_OPTIONS_EACH(o)
        setting_release(config_setting_of(c, o->name));
    for (size_t i = 0; i < c->kafka_count; i++)
        setting_release(&c->kafka[i]);
    for (size_t i = 0; i < c->notice_count; i++)
        free(c->notices[i]);
    free(c->settings);
    free(c->kafka);
    free(c->notices);
    free(c);
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

void config_forget_lines(struct config *c)
{
    CONFIG_OPTIONS_EACH(o)
        config_setting_of(c, o->name)->line = 0;
    for (size_t i = 0; i < c->kafka_count; i++)
        c->kafka[i].line = 0;
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

void config_list_each(const struct config *c, const char *key,
                      void (*each)(void *arg, const char *name), void *arg)
{
    struct bytes rest = bytes_of(config_string(c, key)), item;

    CHECK(config_option_find(key)->type == CONFIG_LIST);
    while (text_next_item(&rest, ';', &item)) {
        AUTO(free_charp) char *name = bytes_dup(item);

        each(arg, name);
    }
}

bool config_text_has(const char *list, const char *name)
{
    struct bytes rest = bytes_of(list), item;

    while (text_next_item(&rest, ';', &item))
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
    while (text_next_item(&rest, ';', &item))
        if (text_split(item, '=', &left, &right) && bytes_equal(left, bytes_of(name)))
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
