/* common/config/config_args.c - the command line, and config_load itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/config/config_internal.h"

struct arg_set {  /* a key's value */
    char *origin; /* "--set", "-t" */
    char *key;
    char *value;
};

struct args {
    int argc;
    char **argv;
    int at;
    struct config_extra *extras;

    const char *file;
    struct arg_set *sets; /* in their order */
    size_t set_count;
    bool print_values;
    bool done; /* a text was printed: nothing more to do */
};

static void args_release(struct args *a)
{
    for (size_t i = 0; i < a->set_count; i++) {
        free(a->sets[i].origin);
        free(a->sets[i].key);
        free(a->sets[i].value);
    }
    free(a->sets);
}

static const char *const own_names[] = {"--conf", "--set", "--print-config", "--help",
                                        "--version"};

static int usage(struct error *err, const char *what, const char *arg)
{
    return error_fatal(err, EXIT_USAGE_ERROR, "%s: %.100s (--help shows all)", what, arg);
}

/* --- what an argument is --- */

/* Is the argument --name? Then *inner is what follows its "=", or NULL. */
static bool arg_is(char *arg, const char *name, char **inner)
{
    size_t n = strlen(name);

    if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, name, n) != 0 ||
        (arg[2 + n] && arg[2 + n] != '='))
        return false;
    *inner = arg[2 + n] ? arg + 2 + n + 1 : NULL;
    return true;
}

/* Is it -x? Then *inner is what is glued to it, with or without "=", or NULL. */
static bool arg_has_letter(char *arg, char letter, char **inner)
{
    if (!letter || arg[0] != '-' || arg[1] != letter)
        return false;
    *inner = arg[2] ? arg + 2 + (arg[2] == '=') : NULL;
    return true;
}

/* The extra that the argument is, or NULL. */
static struct config_extra *extra_of(const struct args *a, char *arg, char **inner)
{
    for (struct config_extra *x = a->extras; x && x->name; x++) {
        if (arg_has_letter(arg, x->letter, inner)) {
            snprintf(x->typed, sizeof(x->typed), "-%c", x->letter);
            return x;
        }
        if (arg_is(arg, x->name, inner)) {
            snprintf(x->typed, sizeof(x->typed), "--%s", x->name);
            return x;
        }
    }
    return NULL;
}

/* A value that begins like that must be given with "=": a forgotten one must not eat the next
 * option. */
static bool looks_like_option(const struct args *a, const char *arg)
{
    if (strncmp(arg, "--", 2) == 0)
        return true;
    for (const struct config_extra *x = a->extras; x && x->name; x++)
        if (x->letter && arg[0] == '-' && arg[1] == x->letter && !arg[2])
            return true;
    return false;
}

/* --- taking it --- */

static int take_value(struct args *a, const char *name, char *inner, char **ret,
                      struct error *err)
{
    if (!inner && (a->at + 1 >= a->argc || looks_like_option(a, a->argv[a->at + 1])))
        return usage(err, "a value is missing", name);
    *ret = inner ? inner : a->argv[++a->at];
    return 0;
}

/* Copies the value, then takes a secret out of the list of processes. */
static void keep_set(struct args *a, const char *origin, char *key, const char *scheme,
                     char *value)
{
    bool bare = scheme && *value && !strstr(value, "://");

    a->sets = xrealloc(a->sets, (a->set_count + 1) * sizeof(*a->sets));
    a->sets[a->set_count++] =
        (struct arg_set){xstrdup(origin), key, xasprintf("%s%s", bare ? scheme : "", value)};
    if (config_key_is_secret(key))
        memset(value, '*', strlen(value));
}

static int take_set(struct args *a, char *inner, struct error *err)
{
    char *pair = NULL, *equals;

    if (take_value(a, "--set", inner, &pair, err) < 0)
        return -1;
    equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return usage(err, "what is wanted", "--set key=value");
    keep_set(a, "--set", xstrndup(pair, (size_t)(equals - pair)), NULL, equals + 1);
    return 0;
}

static const char *switch_value(const char *text)
{
    if (!text || strcmp(text, "on") == 0 || strcmp(text, "true") == 0)
        return "on";
    return strcmp(text, "off") == 0 || strcmp(text, "false") == 0 ? "off" : NULL;
}

static int take_switch(struct config_extra *x, const char *inner, struct error *err)
{
    x->value = switch_value(inner);
    if (x->value)
        return 0;
    x->value = inner;
    return config_extra_refuse(x, x->name, "on, off, true, false", err);
}

static int take_extra(struct args *a, struct config_extra *x, char *inner, struct error *err)
{
    char *value = NULL;

    if (x->form == CONFIG_SWITCH)
        return take_switch(x, inner, err);
    if (x->form == CONFIG_FLAG && inner)
        return usage(err, "no value is wanted", x->typed);
    if (x->form == CONFIG_FLAG) {
        x->value = "";
        return 0;
    }
    if (take_value(a, x->typed, inner, &value, err) < 0)
        return -1;
    if (x->key)
        keep_set(a, x->typed, xstrdup(x->key), x->scheme, value);
    else
        x->value = value;
    return 0;
}

/* The texts that end the program. */
static bool print_text(struct args *a, enum config_program program, const char *arg)
{
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
        config_print_help(stdout, program, a->extras);
    else if (strcmp(arg, "--version") == 0 ||
             (config_short_version(program) && strcmp(arg, "-v") == 0))
        printf("%s %s\n", config_program_name(program), DYNAFERRY_VERSION);
    else if (strcmp(arg, "--print-default-conf") == 0)
        config_print_file(stdout);
    else if (strcmp(arg, "--print-config-docs") == 0)
        config_print_markdown(stdout);
    else
        return false;
    return a->done = true;
}

/* Of all long names. */
static char *suggestion(const struct args *a, const char *name)
{
    size_t n = ARRAY_LEN(own_names), count = n;
    char **names, *meant;

    for (const struct config_extra *x = a->extras; x && x->name; x++)
        count++;
    names = xcalloc(count, sizeof(*names));
    for (size_t i = 0; i < count; i++)
        names[i] = i < n ? xstrdup(own_names[i]) : xasprintf("--%s", a->extras[i - n].name);
    meant = config_suggestion(name, (const char *const *)names, count);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return meant;
}

static int refuse_argument(const struct args *a, const char *arg, struct error *err)
{
    AUTO(free_charp) char *name = xstrndup(arg, strcspn(arg, "="));
    AUTO(free_charp) char *shown = config_address_redacted(name);
    AUTO(free_charp) char *meant = suggestion(a, name);
    AUTO(free_charp) char *what = xasprintf("there is no such argument%s", meant);

    return usage(err, what, shown);
}

static int take_argument(struct args *a, struct error *err)
{
    char *arg = a->argv[a->at], *inner = NULL, *file = NULL;
    struct config_extra *x;

    if (arg_is(arg, "conf", &inner)) {
        if (take_value(a, "--conf", inner, &file, err) < 0)
            return -1;
        a->file = file;
        return 0;
    }
    if (arg_is(arg, "set", &inner))
        return take_set(a, inner, err);
    if (strcmp(arg, "--print-config") == 0) {
        a->print_values = true;
        return 0;
    }
    x = extra_of(a, arg, &inner);
    return x ? take_extra(a, x, inner, err) : refuse_argument(a, arg, err);
}

static int read_args(struct args *a, enum config_program program, struct error *err)
{
    for (struct config_extra *x = a->extras; x && x->name; x++)
        x->value = NULL;
    for (a->at = 1; a->at < a->argc; a->at++) {
        if (print_text(a, program, a->argv[a->at]))
            return 0;
        if (take_argument(a, err) < 0)
            return -1;
    }
    return 0;
}

static int apply_sets(struct config *c, const struct args *a, struct error *err)
{
    for (size_t i = 0; i < a->set_count; i++) {
        const struct arg_set *s = &a->sets[i];

        if (config_assign(c, (struct config_source){s->origin, 0}, s->key, s->value, err) < 0) {
            err->code = EXIT_USAGE_ERROR;
            return -1;
        }
    }
    return 0;
}

static int finish_printing(struct error *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_fatal(err, EXIT_FATAL, "standard output can't be written");
    return 0;
}

int config_load(struct config **ret, enum config_program program, int argc, char **argv,
                struct config_extra *extras, struct error *err)
{
    AUTO(args_release) struct args a = {.argc = argc, .argv = argv, .extras = extras};
    AUTO(config_freep) struct config *c = config_new(program);

    if (read_args(&a, program, err) < 0)
        return -1;
    if (a.done)
        return finish_printing(err);
    if ((a.file && config_read_file(c, a.file, err) < 0) ||
        config_read_environment(c, environ, err) < 0 || apply_sets(c, &a, err) < 0 ||
        config_derive(c, err) < 0)
        return -1;
    if (a.print_values) {
        config_print_values(stdout, c);
        return finish_printing(err);
    }
    *ret = TAKE(c);
    return 0;
}
