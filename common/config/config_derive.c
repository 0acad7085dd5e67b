/* common/config/config_derive.c - defaults that follow from other values, and what must hold
 * between values. */
#include <ctype.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <limits.h>
#include <unistd.h>

#include "common/base/exit_code.h"
#include "common/base/random.h"
#include "common/config/config_internal.h"

#define HOSTS_MAX 256

static struct bytes option_value(const char *option)
{
    size_t whole = strcspn(option, "&;");
    const char *equals = memchr(option, '=', whole);

    if (!equals)
        return (struct bytes){option, 0};
    return (struct bytes){equals + 1, whole - (size_t)(equals + 1 - option)};
}

static bool option_is_secret(const char *option)
{
    AUTO(free_charp) char *name = xstrndup(option, strcspn(option, "=&;"));

    return strcasestr(name, "password") || strcasestr(name, "authmechanismproperties");
}

static void redact_options(struct buf *b, const char *options)
{
    while (*options) {
        size_t whole = strcspn(options, "&;");
        struct bytes value = option_value(options);

        if (value.len && option_is_secret(options)) {
            buf_append(b, options, (size_t)(value.p - options));
            buf_lit(b, "***");
        } else {
            buf_append(b, options, whole);
        }
        options += whole;
        if (*options)
            buf_char(b, *options++);
    }
}

/* Without the password, and without options that hold one. Cuts too much rather than too
 * little when the address is malformed. */
char *config_address_redacted(const char *address)
{
    AUTO(buf_release) struct buf b;
    const char *scheme = strstr(address, "://"), *start = scheme ? scheme + 3 : address;
    const char *at = strrchr(start, '@');
    const char *colon = at ? memchr(start, ':', (size_t)(at - start)) : NULL;

    buf_init(&b, 2 * strlen(address) + 4096);
    if (colon) {
        buf_append(&b, address, (size_t)(colon + 1 - address));
        buf_lit(&b, "***");
        start = at;
    } else {
        start = address;
    }
    buf_append(&b, start, strcspn(start, "?"));
    redact_options(&b, start + strcspn(start, "?"));
    return bytes_dup(buf_slice(&b));
}

/* The hosts alone, so that a new password or option makes no new group. */
static char *address_hosts(const char *address)
{
    const char *scheme = strstr(address, "://"), *start = scheme ? scheme + 3 : address;
    struct bytes authority = {start, strcspn(start, "/?")};
    const char *at = memrchr(authority.p, '@', authority.len);

    if (at)
        authority = (struct bytes){at + 1, authority.len - (size_t)(at + 1 - authority.p)};
    return bytes_dup(authority);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In small letters, and with the usual port when it has none. */
static char *host_spelled_out(const char *host, size_t len)
{
    AUTO(free_charp) char *copy = xstrndup(host, len);
    const char *bracket = strrchr(copy, ']'); /* of an IPv6 address */

    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return xasprintf("%s%s", copy, strchr(bracket ? bracket : copy, ':') ? "" : ":27017");
}

/* One spelling of a list of hosts, whatever the order they were given in. */
static char *hosts_spelled_out(const char *hosts)
{
    AUTO(buf_release) struct buf out;
    char *names[HOSTS_MAX];
    size_t count = 0, len;

    buf_init(&out, HOSTS_MAX * 1024);
    for (; *hosts && count < HOSTS_MAX; hosts += len + (hosts[len] == ',')) {
        len = strcspn(hosts, ",");
        names[count++] = host_spelled_out(hosts, len);
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            buf_printf(&out, "%s,", names[i]);
    }
    while (count > 0)
        free(names[--count]);
    return xstrdup(buf_cstr(&out));
}

static char *group_of(const struct config *c)
{
    AUTO(free_charp) char *given = address_hosts(config_string(c, "target.address"));
    AUTO(free_charp) char *hosts = hosts_spelled_out(given);
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
    if (is_open(c, "checkpoint.db"))
        derive(c, "checkpoint.db", xasprintf("%s-checkpoint", config_string(c, "id")));
    if (is_open(c, "consumer.group") && *config_string(c, "target.address"))
        derive(c, "consumer.group", group_of(c));
    if (is_open(c, "target.id") &&
        strcmp(config_string(c, "target.mongodb.type"), "sharding") == 0)
        derive(c, "target.id", xstrdup("key"));
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
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];

        if ((o->required_by & (unsigned)c->program) && !*c->settings[i].value)
            return error_fatal(err, EXIT_CONFIGURATION, "%s is not set: %s", o->name, o->help);
    }
    if (*config_string(c, "filter.collection.white") &&
        *config_string(c, "filter.collection.black"))
        return error_fatal(err, EXIT_CONFIGURATION,
                           "filter.collection.white and filter.collection.black: at most one "
                           "of them may be given");
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
