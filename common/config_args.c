/* common/config_args.c - the command line, and config_load itself. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/config_internal.h"
#include "common/exit_code.h"

struct args {
    int argc;
    char **argv;
    int at;
    struct config_extra *extras;

    const char *file;
    const char **sets; /* in their order, "key=value" */
    size_t set_count;
    bool print_values;
    bool done; /* a text was printed: nothing more to do */
};

static void args_release(struct args *a)
{
    free(a->sets);
}

static const char *const own_names[] = {"--conf", "--set", "--print-config", "--help",
                                        "--version"};

static const char *own_name(size_t i)
{
    return i < ARRAY_LEN(own_names) ? own_names[i] : NULL;
}

static int usage(struct error *err, const char *what, const char *arg)
{
    return error_fatal(err, EXIT_USAGE_ERROR, "%s: %.100s (--help shows all)", what, arg);
}

/* Is the argument at hand --name? Then *inner is what follows its "=", or NULL. */
static bool arg_is(const char *arg, const char *name, const char **inner)
{
    size_t n = strlen(name);

    if (strncmp(arg, name, n) != 0 || (arg[n] && arg[n] != '='))
        return false;
    *inner = arg[n] ? arg + n + 1 : NULL;
    return true;
}

static int take_value(struct args *a, const char *name, const char *inner, const char **ret,
                      struct error *err)
{
    if (!inner && a->at + 1 >= a->argc)
        return usage(err, "a value is missing", name);
    *ret = inner ? inner : a->argv[++a->at];
    return 0;
}

static int take_set(struct args *a, const char *inner, struct error *err)
{
    const char *pair = NULL;

    if (take_value(a, "--set", inner, &pair, err) < 0)
        return -1;
    if (!strchr(pair, '=') || *pair == '=')
        return usage(err, "what is wanted", "--set key=value");
    a->sets = xrealloc(a->sets, (a->set_count + 1) * sizeof(*a->sets));
    a->sets[a->set_count++] = pair;
    return 0;
}

/* The texts that end the program. */
static bool print_text(struct args *a, enum config_program program, const char *arg)
{
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
        config_print_help(stdout, program, a->extras);
    else if (strcmp(arg, "--version") == 0)
        printf("%s %s\n", config_program_name(program), DYNAFERRY_VERSION);
    else if (strcmp(arg, "--print-default-conf") == 0)
        config_print_file(stdout);
    else if (strcmp(arg, "--print-config-docs") == 0)
        config_print_markdown(stdout);
    else
        return false;
    return a->done = true;
}

static int take_extra(struct args *a, struct config_extra *x, const char *inner,
                      struct error *err)
{
    if (!x->flag)
        return take_value(a, a->argv[a->at], inner, &x->value, err);
    if (inner)
        return usage(err, "no value is wanted", a->argv[a->at]);
    x->value = "";
    return 0;
}

static int refuse_argument(const char *arg, struct error *err)
{
    AUTO(free_charp) char *name = xstrndup(arg, strcspn(arg, "="));
    AUTO(free_charp) char *meant = config_suggestion(name, own_name);
    AUTO(free_charp) char *what = xasprintf("there is no such argument%s", meant);

    return usage(err, what, name);
}

static int take_argument(struct args *a, struct error *err)
{
    const char *arg = a->argv[a->at], *inner = NULL;

    if (arg_is(arg, "--conf", &inner))
        return take_value(a, "--conf", inner, &a->file, err);
    if (arg_is(arg, "--set", &inner))
        return take_set(a, inner, err);
    if (strcmp(arg, "--print-config") == 0) {
        a->print_values = true;
        return 0;
    }
    for (struct config_extra *x = a->extras; x && x->name; x++) {
        AUTO(free_charp) char *name = xasprintf("--%s", x->name);

        if (arg_is(arg, name, &inner))
            return take_extra(a, x, inner, err);
    }
    return refuse_argument(arg, err);
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
        const char *equals = strchr(a->sets[i], '=');
        AUTO(free_charp) char *key = xstrndup(a->sets[i], (size_t)(equals - a->sets[i]));

        if (config_assign(c, (struct config_source){"--set", 0}, key, equals + 1, err) < 0) {
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
