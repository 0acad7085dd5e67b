#include "common/config/config_derive.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/exit_code.h"
#include "common/base/random.h"
#include "common/config/config_address.h"
#include "common/config/config_option.h"

/* Of the hosts alone, so that a new password or option makes no new group. */
static char *group_of(const struct config *c)
{
    AUTO(free_charp)
    char *hosts = config_address_hosts_sorted(config_string(c, "target.address"));
    unsigned char sum[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)hosts, strlen(hosts), sum);
    return xasprintf("%s-%s-%02x%02x%02x%02x", config_string(c, "topic.prefix"),
                     config_string(c, "id"), sum[0], sum[1], sum[2], sum[3]);
}

static char *random_instance(void)
{
    char host[HOST_NAME_MAX + 1] = "";
    uint32_t random;

    random_bytes(&random, sizeof(random));
    gethostname(host, sizeof(host) - 1);
    return xasprintf("%s-%08" PRIx32, *host ? host : "host", random);
}

/* A derived default: the key still counts as not set. */
static void derive(struct config *c, const char *key, char *value)
{
    struct config_setting *s = config_setting_of(c, key);

    free(s->value);
    s->value = value;
}

static bool is_open(const struct config *c, const char *key)
{
    return !config_is_set(c, key) || !*config_string(c, key);
}

static void fill_in(struct config *c)
{
    if (is_open(c, "instance.id"))
        derive(c, "instance.id", random_instance());
    if (!config_is_set(c, "checkpoint.db"))
        derive(c, "checkpoint.db", xasprintf("%s-checkpoint", config_string(c, "id")));
    if (is_open(c, "consumer.group") && *config_string(c, "target.address"))
        derive(c, "consumer.group", group_of(c));
    if (is_open(c, "target.id") &&
        strcmp(config_string(c, "target.mongodb.type"), "sharding") == 0)
        derive(c, "target.id", xstrdup("key"));
    if (is_open(c, "on_gap") && strcmp(config_string(c, "sync_mode"), "incr") == 0)
        derive(c, "on_gap", xstrdup("fail"));
    if (is_open(c, "topic.max.message.bytes") && config_bool(c, "event.before"))
        derive(c, "topic.max.message.bytes", xstrdup("16777216"));
}

/* mchange is another word for two settings; readers see only those. */
static int resolve_mchange(struct config *c, struct error *err)
{
    const struct config_setting *type;

    if (strcmp(config_string(c, "convert.type"), "mchange") != 0)
        return 0;
    if (config_is_set(c, "convert.number") &&
        strcmp(config_string(c, "convert.number"), "double") != 0)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "convert.type = mchange means convert.number = double, but %s sets "
                           "it to %s: use convert.type = change",
                           config_setting_of(c, "convert.number")->origin,
                           config_string(c, "convert.number"));
    type = config_setting_of(c, "convert.type");
    derive(c, "convert.type", xstrdup("change"));
    config_store(config_setting_of(c, "convert.number"), "double", type->origin, type->line);
    return 0;
}

static int check_together(const struct config *c, struct error *err)
{
    CONFIG_OPTIONS_EACH(o)
        if ((o->required_by & (unsigned)c->program) && !*config_string(c, o->name))
            return error_fatal(err, EXIT_CONFIGURATION, "%s is not set: %s", o->name, o->help);
    if (*config_string(c, "filter.collection.white") &&
        *config_string(c, "filter.collection.black"))
        return error_fatal(err, EXIT_CONFIGURATION,
                           "filter.collection.white and filter.collection.black: at most one "
                           "of them may be given");
    if (strcasecmp(config_string(c, "checkpoint.db"), config_string(c, "id")) == 0)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "checkpoint.db and id are both %s: the checkpoints have collections "
                           "of the tables' names, and need a database of their own",
                           config_string(c, "id"));
    if (strlen(config_string(c, "checkpoint.db")) > 63)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "checkpoint.db = %s: allowed are 63 bytes; set it, or a shorter id",
                           config_string(c, "checkpoint.db"));
    return 0;
}

int config_derive(struct config *c, struct error *err)
{
    fill_in(c);
    if (resolve_mchange(c, err) < 0)
        return -1;
    return check_together(c, err);
}

void config_derive_from_nimoshake(struct config *c)
{
    if (!*config_string(c, "checkpoint.db"))
        config_store(config_setting_of(c, "checkpoint.db"), "", NULL, 0);
}
