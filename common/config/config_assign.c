#include "common/config/config_assign.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/config/config_address.h"
#include "common/config/config_option.h"
#include "common/config/config_suggestion.h"

static int store_once(struct config_setting *s, struct config_source from, const char *key,
                      const char *value, struct error *err)
{
    if (from.line && s->line)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s stands in line %d already",
                           from.origin, key, s->line);
    config_store(s, value, from.origin, from.line);
    return 0;
}

static int assign_option(struct config *c, struct config_source from,
                         const struct config_option *o, const char *value, struct error *err)
{
    AUTO(free_charp) char *allowed = NULL;
    AUTO(free_charp) char *text = NULL;

    if (config_option_accepts(o, value)) {
        const char *problem =
            o->secrecy == CONFIG_ADDRESS && *value ? config_address_problem(value) : NULL;

        return problem ? error_fatal(err, EXIT_CONFIGURATION, "%s: %s: %s", from.origin,
                                     o->name, problem)
                       : store_once(config_setting_of(c, o->name), from, o->name, value, err);
    }
    allowed = config_option_allowed(o);
    if (o->secrecy != CONFIG_PUBLIC)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s: allowed is %s", from.origin,
                           o->name, allowed);
    text = config_option_shown(value);
    return error_fatal(err, EXIT_CONFIGURATION, "%s: %s = %s: allowed %s %s", from.origin,
                       o->name, text, o->type == CONFIG_TEXT ? "is" : "are", allowed);
}

/* librdkafka knows its own settings: a scratch conf is asked, so that a typo is found before
 * anything runs. */
static int kafka_check(struct config_source from, const char *name, const char *value,
                       struct error *err)
{
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    char text[256];
    rd_kafka_conf_res_t res = rd_kafka_conf_set(scratch, name, value, text, sizeof(text));

    rd_kafka_conf_destroy(scratch);
    if (res == RD_KAFKA_CONF_OK)
        return 0;
    if (res == RD_KAFKA_CONF_UNKNOWN)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "%s: kafka.%s: librdkafka has no setting of this name", from.origin,
                           name);
    if (config_option_kafka_is_secret(name))
        return error_fatal(err, EXIT_CONFIGURATION,
                           "%s: kafka.%s: librdkafka refuses it (its value, or in this build)",
                           from.origin, name);
    return error_fatal(err, EXIT_CONFIGURATION, "%s: kafka.%s: %s", from.origin, name, text);
}

static struct config_setting *kafka_setting(struct config *c, const char *name)
{
    for (size_t i = 0; i < c->kafka_count; i++)
        if (strcmp(c->kafka[i].name, name) == 0)
            return &c->kafka[i];
    c->kafka = xrealloc(c->kafka, (c->kafka_count + 1) * sizeof(*c->kafka));
    c->kafka[c->kafka_count] = (struct config_setting){.name = xstrdup(name)};
    return &c->kafka[c->kafka_count++];
}

static int assign_kafka(struct config *c, struct config_source from, const char *name,
                        const char *value, struct error *err)
{
    AUTO(free_charp) char *key = xasprintf("kafka.%s", name);

    for (const struct config_reserved *reserved = config_options_reserved; reserved->name;
         reserved++)
        if (strcmp(reserved->name, name) == 0)
            return error_fatal(err, EXIT_CONFIGURATION, "%s: %s can't be set: %s", from.origin,
                               key, reserved->instead);
    if (kafka_check(from, name, value, err) < 0)
        return -1;
    return store_once(kafka_setting(c, name), from, key, value, err);
}

static int note_replaced(struct config *c, struct config_source from,
                         const struct config_replaced *replaced, const char *value,
                         struct error *err)
{
    if (replaced->harmless && config_option_choice(replaced->harmless, value) < 0)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s is a key of NimoShake: %s",
                           from.origin, replaced->name, replaced->instead);
    c->notices = xrealloc(c->notices, (c->notice_count + 1) * sizeof(*c->notices));
    c->notices[c->notice_count++] =
        xasprintf("%s: %s is ignored: %s", from.origin, replaced->name, replaced->instead);
    return 0;
}

static int refuse_unknown(struct config_source from, const char *key, struct error *err)
{
    AUTO(free_charp) char *shown = config_option_shown(key);
    AUTO(free_charp) char *meant = NULL;
    struct config_suggestion suggestion;

    config_suggestion_init(&suggestion, key);
    CONFIG_OPTIONS_EACH(o)
        config_suggestion_try(&suggestion, o->name);
    meant = config_suggestion_text(&suggestion);
    return error_fatal(err, EXIT_CONFIGURATION, "%s: there is no key %s%s", from.origin, shown,
                       meant);
}

int config_assign(struct config *c, struct config_source from, const char *key,
                  const char *value, struct error *err)
{
    const struct config_option *o = config_option_find(key);

    if (o)
        return assign_option(c, from, o, value, err);
    if (strncmp(key, "kafka.", 6) == 0 && key[6])
        return assign_kafka(c, from, key + 6, value, err);
    for (const struct config_replaced *replaced = config_options_replaced; replaced->name;
         replaced++)
        if (strcmp(replaced->name, key) == 0)
            return note_replaced(c, from, replaced, value, err);
    return refuse_unknown(from, key, err);
}
