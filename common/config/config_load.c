/* common/config/config_load.c - finds the values: file, then environment, then --set, each over
 * the one before.
 *
 * Every value is judged where it stands, also one that a later source replaces. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/config/config_internal.h"

enum {
    FILE_BYTES = 1024 * 1024,
    SECRET_BYTES = 64 * 1024,
};

#define ENV_PREFIX "DYNAFERRY_"

/* --- the file --- */

/* All of a file of at most limit bytes. */
static int slurp(struct buf *ret, const char *path, size_t limit, struct error *err)
{
    FILE *f = fopen(path, "rbe");
    size_t n;
    bool failed;

    if (!f)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s", path, strerror(errno));
    buf_init(ret, limit + 2);
    CHECK(buf_reserve(ret, limit + 1));
    errno = 0;
    n = fread(ret->p, 1, limit + 1, f);
    failed = ferror(f);
    fclose(f);
    ret->len = n;
    if (failed)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s", path, strerror(errno));
    if (n > limit)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: larger than %zu bytes", path, limit);
    return 0;
}

static struct bytes without_blanks(struct bytes s)
{
    while (s.len && isspace((unsigned char)*s.p))
        s.p++, s.len--;
    while (s.len && isspace((unsigned char)s.p[s.len - 1]))
        s.len--;
    return s;
}

static bool key_is_well_formed(struct bytes key)
{
    for (size_t i = 0; i < key.len; i++)
        if (!isgraph((unsigned char)key.p[i]))
            return false;
    return key.len > 0;
}

/* The line itself is never said: it may be a secret that lost its key. */
static int read_line(struct config *c, struct config_source from, struct bytes line,
                     struct error *err)
{
    const char *equals = memchr(line.p, '=', line.len);
    AUTO(free_charp) char *key = NULL;
    AUTO(free_charp) char *value = NULL;
    struct bytes left;

    if (line.p[0] == '[')
        return error_fatal(err, EXIT_CONFIGURATION, "%s: there are no sections", from.origin);
    if (memchr(line.p, '\0', line.len))
        return error_fatal(err, EXIT_CONFIGURATION, "%s: a zero byte", from.origin);
    left = without_blanks((struct bytes){line.p, equals ? (size_t)(equals - line.p) : 0});
    if (!equals || !key_is_well_formed(left))
        return error_fatal(err, EXIT_CONFIGURATION, "%s: a line is \"key = value\"",
                           from.origin);
    key = bytes_dup(left);
    value = bytes_dup(
        without_blanks((struct bytes){equals + 1, line.len - (size_t)(equals + 1 - line.p)}));
    return config_assign(c, from, key, value, err);
}

int config_read_text(struct config *c, const char *path, struct bytes text, struct error *err)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";

    if (text.len >= 3 && memcmp(text.p, byte_order_mark, 3) == 0)
        text = (struct bytes){text.p + 3, text.len - 3};
    for (int number = 1; text.len; number++) {
        const char *end = memchr(text.p, '\n', text.len);
        size_t n = end ? (size_t)(end - text.p) : text.len;
        struct bytes line = without_blanks((struct bytes){text.p, n});
        AUTO(free_charp) char *origin = NULL;

        n += end != NULL;
        text = (struct bytes){text.p + n, text.len - n};
        if (!line.len || line.p[0] == '#')
            continue;
        origin = xasprintf("%s:%d", path, number);
        if (read_line(c, (struct config_source){origin, number}, line, err) < 0)
            return -1;
    }
    return 0;
}

int config_read_file(struct config *c, const char *path, struct error *err)
{
    AUTO(buf_release) struct buf text = {0};

    if (slurp(&text, path, FILE_BYTES, err) < 0)
        return -1;
    return config_read_text(c, path, buf_slice(&text), err);
}

/* --- the environment --- */

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

    for (size_t i = 0; i < config_option_count; i++)
        if (env_is(name, config_options[i].name))
            return xstrdup(config_options[i].name);
    for (size_t i = 0; i < config_replaced_count; i++)
        if (env_is(name, config_replaced[i].name))
            return xstrdup(config_replaced[i].name);
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
    return key && config_key_is_secret(key) ? TAKE(key) : NULL;
}

static int read_secret_file(struct config *c, const char *name, const char *key,
                            const char *path, struct error *err)
{
    AUTO(buf_release) struct buf text = {0};
    AUTO(free_charp) char *value = NULL;

    if (slurp(&text, path, SECRET_BYTES, err) < 0)
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
    char **names = xcalloc(config_option_count, sizeof(*names));
    AUTO(free_charp) char *meant = NULL;

    for (size_t i = 0; i < config_option_count; i++)
        names[i] = config_env_name(config_options[i].name);
    meant = config_suggestion(name, (const char *const *)names, config_option_count);
    for (size_t i = 0; i < config_option_count; i++)
        free(names[i]);
    free(names);
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

int config_read_environment(struct config *c, char **environment, struct error *err)
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
