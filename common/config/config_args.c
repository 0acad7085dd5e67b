#include "common/config/config_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/base/version.h"
#include "common/config/config_address.h"
#include "common/config/config_option.h"
#include "common/config/config_print.h"
#include "common/config/config_suggestion.h"

void config_args_release(struct config_args *a)
{
    for (size_t i = 0; i < a->set_count; i++) {
        free(a->sets[i].origin);
        free(a->sets[i].key);
        free(a->sets[i].value);
    }
    free(a->sets);
}

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
static struct config_extra *extra_of(const struct config_args *a, char *arg, char **inner)
{
    CONFIG_EXTRAS_EACH(x, a->extras) {
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
static bool looks_like_option(const struct config_args *a, const char *arg)
{
    if (strncmp(arg, "--", 2) == 0)
        return true;
    CONFIG_EXTRAS_EACH(x, a->extras)
        if (x->letter && arg[0] == '-' && arg[1] == x->letter && !arg[2])
            return true;
    return false;
}

/* --- taking it --- */

static bool has_value(const struct config_args *a, const char *inner)
{
    return inner || (a->at + 1 < a->argc && !looks_like_option(a, a->argv[a->at + 1]));
}

static int take_value(struct config_args *a, const char *name, char *inner, char **ret,
                      struct error *err)
{
    if (!has_value(a, inner)) {
        usage(err, "a value is missing", name);
        return -1;
    }
    *ret = inner ? inner : a->argv[++a->at];
    CHECK(*ret);
    return 0;
}

/* Copies the value, then takes a secret out of the list of processes. */
static void keep_set(struct config_args *a, const char *origin, char *key, const char *scheme,
                     char *value)
{
    bool bare = scheme && *value && !strstr(value, "://");

    a->sets = xrealloc(a->sets, (a->set_count + 1) * sizeof(*a->sets));
    a->sets[a->set_count++] =
        (struct config_arg){xstrdup(origin), key, xasprintf("%s%s", bare ? scheme : "", value)};
    if (config_option_is_secret(key))
        memset(value, '*', strlen(value));
}

static int take_set(struct config_args *a, char *inner, struct error *err)
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

static int take_extra(struct config_args *a, struct config_extra *x, char *inner,
                      struct error *err)
{
    char *value = NULL;

    if (x->form == CONFIG_SWITCH)
        return take_switch(x, inner, err);
    if (x->form == CONFIG_FLAG && inner)
        return usage(err, "no value is wanted", x->typed);
    if (x->form == CONFIG_FLAG || (x->form == CONFIG_MAY_TAKE_VALUE && !has_value(a, inner))) {
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
static bool print_text(struct config_args *a, enum config_program program, const char *arg)
{
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
        config_print_help(stdout, program, a->extras);
    else if (strcmp(arg, "--version") == 0 || strcmp(arg, "-v") == 0)
        printf("%s %s\n", config_program_name(program), version_text);
    else if (strcmp(arg, "--print-options") == 0)
        config_print_options(stdout, program, a->extras);
    else
        return false;
    return a->done = true;
}

/* Of all long names. */
static char *suggestion(const struct config_args *a, const char *name)
{
    static const char *const own_names[] = {"--conf",         "--nimoshake-conf", "--set",
                                            "--print-config", "--help",           "--version"};
    struct config_suggestion suggestion;

    config_suggestion_init(&suggestion, name);
    for (size_t i = 0; i < ARRAY_LEN(own_names); i++)
        config_suggestion_try(&suggestion, own_names[i]);
    CONFIG_EXTRAS_EACH(x, a->extras) {
        AUTO(free_charp) char *option = xasprintf("--%s", x->name);

        config_suggestion_try(&suggestion, option);
    }
    return config_suggestion_text(&suggestion);
}

static int refuse_argument(const struct config_args *a, const char *arg, struct error *err)
{
    AUTO(free_charp) char *name = xstrndup(arg, strcspn(arg, "="));
    AUTO(free_charp) char *shown = config_address_redacted(name);
    AUTO(free_charp) char *meant = suggestion(a, name);
    AUTO(free_charp) char *what = xasprintf("there is no such argument%s", meant);

    return usage(err, what, shown);
}

static int take_file(struct config_args *a, const char *name, char *inner, const char **ret,
                     struct error *err)
{
    char *file = NULL;

    if (take_value(a, name, inner, &file, err) < 0)
        return -1;
    *ret = file;
    return 0;
}

static int take_argument(struct config_args *a, struct error *err)
{
    char *arg = a->argv[a->at], *inner = NULL;
    struct config_extra *x;

    if (arg_is(arg, "conf", &inner))
        return take_file(a, "--conf", inner, &a->file, err);
    if (arg_is(arg, "nimoshake-conf", &inner))
        return take_file(a, "--nimoshake-conf", inner, &a->nimoshake, err);
    if (arg_is(arg, "set", &inner))
        return take_set(a, inner, err);
    if (strcmp(arg, "--print-config") == 0) {
        a->print_values = true;
        return 0;
    }
    x = extra_of(a, arg, &inner);
    return x ? take_extra(a, x, inner, err) : refuse_argument(a, arg, err);
}

int config_args_read(struct config_args *a, enum config_program program, struct error *err)
{
    CONFIG_EXTRAS_EACH(x, a->extras)
        x->value = NULL;
    for (a->at = 1; a->at < a->argc; a->at++) {
        if (print_text(a, program, a->argv[a->at]))
            return 0;
        if (take_argument(a, err) < 0)
            return -1;
    }
    return 0;
}
