#include "common/config/config_env.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/base/text.h"
#include "common/config/config_assign.h"
#include "common/config/config_option.h"
#include "common/config/config_suggestion.h"

#define ENV_PREFIX "DYNAFERRY_"
#define SECRET_BYTES (64 * 1024)

char *config_env_name(const char *key)
{
    char *name = xasprintf(ENV_PREFIX "%s", key);

    for (char *p = name; *p; p++)
        *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
    return name;
}

static bool belongs_to_tests(const char *name)
{
    static const char *const names[] = {"DYNAFERRY_BIN", "DYNAFERRY_MUTATION",
                                        "DYNAFERRY_SEEDS", "DYNAFERRY_KILLS"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return strncmp(name, "DYNAFERRY_TEST_", 15) == 0;
}

static bool env_is(const char *name, const char *key)
{
    AUTO(free_charp) char *own = config_env_name(key);

    return strcmp(own, name) == 0;
}

/* The key a variable stands for, or NULL. No two keys share a variable. */
static char *key_of_env(const char *name)
{
    static const char kafka[] = ENV_PREFIX "KAFKA_";

    CONFIG_OPTIONS_EACH(o)
        if (env_is(name, o->name))
            return xstrdup(o->name);
    for (const struct config_replaced *r = config_options_replaced; r->name; r++)
        if (env_is(name, r->name))
            return xstrdup(r->name);
    if (strncmp(name, kafka, sizeof(kafka) - 1) == 0 && name[sizeof(kafka) - 1]) {
        char *key = xstrdup(name + sizeof(ENV_PREFIX) - 1);

        for (char *p = key; *p; p++)
            *p = *p == '_' ? '.' : (char)tolower((unsigned char)*p);
        return key;
    }
    return NULL;
}

/* The key of DYNAFERRY_<KEY>_FILE when that is what name is, or NULL. */
static char *key_of_env_file(const char *name)
{
    size_t n = strlen(name);
    AUTO(free_charp) char *stem = NULL;
    AUTO(free_charp) char *key = NULL;

    if (n < 6 || strcmp(name + n - 5, "_FILE") != 0)
        return NULL;
    stem = xstrndup(name, n - 5);
    key = key_of_env(stem);
    return key && config_option_is_secret(key) ? TAKE(key) : NULL;
}

static int read_secret_file(struct config *c, const char *name, const char *key,
                            const char *path, struct error *err)
{
    AUTO(buf_release) struct buf text = {0};
    AUTO(free_charp) char *value = NULL;

    if (text_slurp(&text, path, SECRET_BYTES, err) < 0)
        return error_prefix(err, "%s", name);
    if (text.len && text.p[text.len - 1] == '\n')
        text.len--;
    if (text.len && text.p[text.len - 1] == '\r')
        text.len--;
    if (!text.len || memchr(text.p, '\0', text.len))
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s: %s", name, path,
                           text.len ? "a zero byte" : "the file is empty");
    value = bytes_dup(buf_slice(&text));
    return config_assign(c, (struct config_source){name, 0}, key, value, err);
}

static int refuse_env(const char *name, struct error *err)
{
    AUTO(free_charp) char *meant = NULL;
    struct config_suggestion s;

    config_suggestion_init(&s, name);
    CONFIG_OPTIONS_EACH(o) {
        AUTO(free_charp) char *variable = config_env_name(o->name);

        config_suggestion_try(&s, variable);
    }
    meant = config_suggestion_text(&s);
    return error_fatal(err, EXIT_CONFIGURATION, "environment: %s stands for no key%s", name,
                       meant);
}

static const char *env_value(char **environment, const char *name)
{
    size_t n = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return *environment + n + 1;
    return NULL;
}

static int read_variable(struct config *c, char **environment, const char *name,
                         const char *value, struct error *err)
{
    AUTO(free_charp) char *file_key = key_of_env_file(name);
    AUTO(free_charp) char *key = NULL;
    AUTO(free_charp) char *direct = NULL;

    if (file_key) { /* the variable itself comes before the file it could be read from */
        direct = xstrndup(name, strlen(name) - 5);
        if (env_value(environment, direct))
            return 0;
        return read_secret_file(c, name, file_key, value, err);
    }
    key = key_of_env(name);
    if (!key)
        return refuse_env(name, err);
    return config_assign(c, (struct config_source){name, 0}, key, value, err);
}

int config_env_read(struct config *c, char **environment, struct error *err)
{
    for (char **e = environment; *e; e++) {
        const char *equals = strchr(*e, '=');
        AUTO(free_charp) char *name = NULL;

        if (!equals || strncmp(*e, ENV_PREFIX, sizeof(ENV_PREFIX) - 1) != 0)
            continue;
        name = xstrndup(*e, (size_t)(equals - *e));
        if (!belongs_to_tests(name) && read_variable(c, environment, name, equals + 1, err) < 0)
            return -1;
    }
    return 0;
}
