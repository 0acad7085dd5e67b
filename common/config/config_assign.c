/* common/config/config_assign.c - judges one value and stores it.
 *
 * Whatever is wrong is said with where it stands and what is allowed; the value of a secret or
 * of an unknown key (it may be a misspelt secret) is never said. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/config/config_internal.h"

enum {
    SHOWN_BYTES = 120, /* of a value in an error */
    TABLE_NAME_BYTES = 255,
    NAME_BYTES = 64, /* longer names are not compared for suggestions */
};

static bool matches(const char *pattern, const char *text)
{
    regex_t re;
    bool found;

    CHECK(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    found = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return found;
}

static bool table_name_is_good(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.p[i]) && (!name.p[i] || !strchr("_.-", name.p[i])))
            return false;
    return name.len > 0 && name.len <= TABLE_NAME_BYTES;
}

/* --- what is allowed --- */

static char *choices_in_words(const char *choices)
{
    AUTO(buf_release) struct buf b;
    const char *p = *choices == '|' ? choices + 1 : choices;

    buf_init(&b, 4096);
    while (*p) {
        size_t n = strcspn(p, "|");

        buf_append(&b, p, n);
        p += n + (p[n] == '|');
        if (*p)
            buf_lit(&b, ", ");
    }
    if (*choices == '|')
        buf_lit(&b, " or empty");
    return bytes_dup(buf_slice(&b));
}

char *config_allowed(const struct config_option *o)
{
    switch (o->type) {
    case CONFIG_NUMBER:
        if (o->max >= INT64_MAX / 2)
            return xasprintf("%" PRId64 " and more%s%s", o->min, o->also ? ", or " : "",
                             o->also ? o->also : "");
        return xasprintf("%" PRId64 " to %" PRId64 "%s%s", o->min, o->max,
                         o->also ? ", or " : "", o->also ? o->also : "");
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

static bool number_is_good(const struct config_option *o, const char *value)
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

static bool choice_is_good(const char *choices, const char *value)
{
    for (const char *p = choices;; p++) {
        size_t n = strcspn(p, "|");

        if (strlen(value) == n && memcmp(p, value, n) == 0)
            return true;
        p += n;
        if (!*p)
            return false;
    }
}

static bool list_is_good(const char *value)
{
    struct bytes rest = bytes_of(value), item;

    while (config_next_item(&rest, &item))
        if (!table_name_is_good(item))
            return false;
    return true;
}

static bool pair_stands_once(const char *value, struct bytes table, struct bytes name)
{
    struct bytes rest = bytes_of(value), item, left, right;
    int tables = 0, names = 0;

    while (config_next_item(&rest, &item)) {
        if (!config_split_pair(item, &left, &right))
            return false;
        tables += bytes_equal(left, table);
        names += bytes_equal(right, name);
    }
    return tables == 1 && names == 1;
}

static bool map_is_good(const char *value)
{
    struct bytes rest = bytes_of(value), item, left, right;

    while (config_next_item(&rest, &item))
        if (!config_split_pair(item, &left, &right) || !table_name_is_good(left) ||
            !table_name_is_good(right) || !pair_stands_once(value, left, right))
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

bool config_value_is_good(const struct config_option *o, const char *value)
{
    if (has_control_characters(value))
        return false;
    switch (o->type) {
    case CONFIG_NUMBER:
        return number_is_good(o, value);
    case CONFIG_BOOLEAN:
        return choice_is_good("true|false", value);
    case CONFIG_CHOICE:
        return choice_is_good(o->choices, value);
    case CONFIG_LIST:
        return list_is_good(value);
    case CONFIG_MAP:
        return map_is_good(value);
    case CONFIG_TEXT:
        break;
    }
    return !o->pattern || matches(o->pattern, value);
}

/* --- suggestions --- */

/* Insertions, deletions, replacements and swaps of neighbours that make b out of a. */
static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), d[NAME_BYTES + 1][NAME_BYTES + 1];

    if (la > NAME_BYTES || lb > NAME_BYTES)
        return SIZE_MAX;
    for (size_t i = 0; i <= la; i++)
        for (size_t j = 0; j <= lb; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = MIN(MIN(d[i - 1][j], d[i][j - 1]) + 1,
                          d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[la][lb];
}

char *config_suggestion(const char *name, const char *const *candidates, size_t n)
{
    size_t least = MAX(strlen(name) / 3, 1) + 1;
    const char *best = NULL;

    for (size_t i = 0; i < n; i++) {
        size_t away = distance(name, candidates[i]);

        if (away < least) {
            least = away;
            best = candidates[i];
        }
    }
    return best ? xasprintf(" (did you mean %s?)", best) : xstrdup("");
}

/* --- storing --- */

char *config_shown_text(const char *value)
{
    char *text = xstrndup(value, strnlen(value, SHOWN_BYTES));

    for (char *p = text; *p; p++)
        if (iscntrl((unsigned char)*p))
            *p = '?';
    return text;
}

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

    if (config_value_is_good(o, value))
        return store_once(&c->settings[o - config_options], from, o->name, value, err);
    allowed = config_allowed(o);
    if (o->secrecy != CONFIG_PUBLIC)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s: allowed is %s", from.origin,
                           o->name, allowed);
    text = config_shown_text(value);
    return error_fatal(err, EXIT_CONFIGURATION, "%s: %s = %s: allowed %s %s", from.origin,
                       o->name, text, o->type == CONFIG_TEXT ? "is" : "are", allowed);
}

bool config_kafka_is_secret(const char *name)
{
    static const char *const parts[] = {"password",           "secret", "key.pem", "ssl_key",
                                        "oauthbearer.config", "jaas",   "token"};

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcasestr(name, parts[i]))
            return !strcasestr(name, "endpoint.url");
    return false;
}

bool config_key_is_secret(const char *key)
{
    const struct config_option *o = config_option_find(key);

    if (o)
        return o->secrecy != CONFIG_PUBLIC;
    return strncmp(key, "kafka.", 6) == 0 && config_kafka_is_secret(key + 6);
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
    if (config_kafka_is_secret(name))
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

    for (size_t i = 0; i < config_reserved_count; i++)
        if (strcmp(config_reserved[i].name, name) == 0)
            return error_fatal(err, EXIT_CONFIGURATION, "%s: %s can't be set: %s", from.origin,
                               key, config_reserved[i].instead);
    if (kafka_check(from, name, value, err) < 0)
        return -1;
    return store_once(kafka_setting(c, name), from, key, value, err);
}

static int note_replaced(struct config *c, struct config_source from,
                         const struct config_replaced *r, const char *value, struct error *err)
{
    if (r->harmless && !choice_is_good(r->harmless, value))
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s is a key of NimoShake: %s",
                           from.origin, r->name, r->instead);
    c->notices = xrealloc(c->notices, (c->notice_count + 1) * sizeof(*c->notices));
    c->notices[c->notice_count++] =
        xasprintf("%s: %s is ignored: %s", from.origin, r->name, r->instead);
    return 0;
}

static int refuse_unknown(struct config_source from, const char *key, struct error *err)
{
    const char **names = xcalloc(config_option_count, sizeof(*names));
    AUTO(free_charp) char *name = config_shown_text(key);
    AUTO(free_charp) char *meant = NULL;

    for (size_t i = 0; i < config_option_count; i++)
        names[i] = config_options[i].name;
    meant = config_suggestion(key, names, config_option_count);
    free(names);

    return error_fatal(err, EXIT_CONFIGURATION, "%s: there is no key %s%s", from.origin, name,
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
    for (size_t i = 0; i < config_replaced_count; i++)
        if (strcmp(config_replaced[i].name, key) == 0)
            return note_replaced(c, from, &config_replaced[i], value, err);
    return refuse_unknown(from, key, err);
}
