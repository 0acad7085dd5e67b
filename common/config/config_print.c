/* common/config/config_print.c - the table written out: help, values, the file, the
 * documentation. */
#include <stdlib.h>
#include <string.h>

#include "common/config/config_internal.h"

enum {
    COLUMNS = 90,
};

/* Words of text, each line after the lead. */
static void print_wrapped(FILE *out, const char *lead, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t n = strcspn(text, " ");

        if (column && column + 1 + n > COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, column ? " %s%.*s" : "%s%.*s", column ? "" : lead,
                                  (int)n, text);
        text += n + (text[n] == ' ');
    }
    fputc('\n', out);
}

static char *readers(const struct config_option *o)
{
    static const struct {
        unsigned program;
        const char *name;
    } names[] = {{CONFIG_PRODUCER, "producer"},
                 {CONFIG_CONSUMER, "consumer"},
                 {CONFIG_FULLCHECK, "fullcheck"}};
    AUTO(buf_release) struct buf b;

    buf_init(&b, 256);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (o->programs & names[i].program)
            buf_printf(&b, "%s%s", b.len ? ", " : "", names[i].name);
    return bytes_dup(buf_slice(&b));
}

static const char *default_words(const struct config_option *o)
{
    return o->derived ? o->derived : *o->fallback ? o->fallback : "empty";
}

/* --- help --- */

static void print_extra_head(FILE *out, const struct config_extra *x)
{
    static const char *const words[] = {
        [CONFIG_TAKES_VALUE] = " VALUE", [CONFIG_FLAG] = "", [CONFIG_SWITCH] = "[=on|off]"};

    fputs("  ", out);
    if (x->letter)
        fprintf(out, "-%c, ", x->letter);
    fprintf(out, "--%s%s%s\n", x->name, x->wanted ? " " : words[x->form],
            x->wanted ? x->wanted : "");
}

static void print_extras(FILE *out, const struct config_extra *extras)
{
    for (const struct config_extra *x = extras; x && x->name; x++) {
        const struct config_option *o = x->key ? config_option_find(x->key) : NULL;
        const char *fallback = x->fallback || !o ? x->fallback : default_words(o);
        AUTO(buf_release) struct buf text;

        buf_init(&text, 4096);
        if (o)
            buf_printf(&text, "Sets %s. ", o->name);
        buf_printf(&text, "%s", x->help ? x->help : o->help);
        if (x->scheme)
            buf_printf(&text, " Without ://, %s is put before it.", x->scheme);
        if (fallback)
            buf_printf(&text, " Default: %s.", fallback);
        print_extra_head(out, x);
        print_wrapped(out, "      ", buf_cstr(&text));
    }
}

static void print_arguments(FILE *out, enum config_program program,
                            const struct config_extra *extras)
{
    print_extras(out, extras);
    fprintf(out,
            "  --conf FILE\n      The configuration.\n"
            "  --set KEY=VALUE\n      One value, over all others. May be repeated.\n"
            "  --print-config\n      Show the values that would hold, without secrets, and "
            "end.\n"
            "  -h, --help\n  %s--version\n\n",
            config_short_version(program) ? "-v, " : "");
}

void config_print_help(FILE *out, enum config_program program,
                       const struct config_extra *extras)
{
    AUTO(free_charp) char *title = NULL;

    fprintf(out, "Usage: %s %s[--conf FILE] [--set KEY=VALUE ...]\n\n",
            config_program_name(program), extras && extras->name ? "[OPTION ...] " : "");
    print_arguments(out, program, extras);
    print_wrapped(out, "",
                  "Keys. A value is taken from the command line, else from the environment "
                  "(DYNAFERRY_ID for id, DYNAFERRY_TOPIC_PREFIX for topic.prefix; for a secret "
                  "also DYNAFERRY_..._FILE, the path of a file that holds it), else from the "
                  "file, else it is the default.");
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        AUTO(free_charp) char *allowed = config_allowed(o);
        AUTO(free_charp) char *more = NULL;

        if (!(o->programs & (unsigned)program))
            continue;
        fprintf(out, "\n  %s\n", o->name);
        print_wrapped(out, "      ", o->help);
        more = xasprintf("Allowed: %s. Default: %s.", allowed, default_words(o));
        print_wrapped(out, "      ", more);
    }
}

/* --- --print-config --- */

/* Defaults and what can't be read back as it is shown are comments: so the whole, taken as a
 * file, sets just what is set now. */
static void print_value(FILE *out, const char *key, const char *value, const char *shown,
                        const char *origin)
{
    if (origin)
        fprintf(out, "# from %s\n", origin);
    fprintf(out, "%s%s =%s%s\n", origin && strcmp(value, shown) == 0 ? "" : "# ", key,
            *shown ? " " : "", shown);
}

void config_print_values(FILE *out, const struct config *c)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        AUTO(free_charp) char *shown = config_shown(c, o->name);

        if (o->section)
            fprintf(out, "%s# %s\n", i ? "\n" : "", o->section);
        print_value(out, o->name, c->settings[i].value, shown, c->settings[i].origin);
    }
    for (size_t i = 0; i < c->kafka_count; i++) {
        const struct config_setting *s = &c->kafka[i];
        AUTO(free_charp) char *key = xasprintf("kafka.%s", s->name);
        bool hidden = config_kafka_is_secret(s->name) || strchr(s->value, '\n');

        if (!i)
            fputs("\n# librdkafka\n", out);
        print_value(out, key, s->value, hidden ? "***" : s->value, s->origin);
    }
}

/* --- conf/dynaferry.conf --- */

void config_print_file(FILE *out)
{
    fputs(
        "# dynaferry.conf - one file for all programs: key = value, # begins a comment line.\n"
        "# Every key stands here with its default; take the # away to change one. Values come\n"
        "# from --set, else the environment (DYNAFERRY_TOPIC_PREFIX for topic.prefix), else\n"
        "# this file. Made from the table of options: dynaferry-producer "
        "--print-default-conf.\n",
        out);
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        AUTO(free_charp) char *allowed = config_allowed(o);
        AUTO(free_charp) char *who = readers(o);
        AUTO(free_charp) char *more = NULL;

        if (o->section)
            fprintf(out, "\n#### %s\n", o->section);
        fputc('\n', out);
        print_wrapped(out, "# ", o->help);
        more = xasprintf("Allowed: %s.%s%s%s Read by: %s.", allowed,
                         o->derived ? " Default: " : "", o->derived ? o->derived : "",
                         o->derived ? "." : "", who);
        print_wrapped(out, "# ", more);
        fprintf(out, "#%s =%s%s\n", o->name, *o->fallback ? " " : "", o->fallback);
    }
}

/* --- docs/configuration.md --- */

static void print_cell(FILE *out, const char *text)
{
    for (; *text; text++)
        fprintf(out, *text == '|' || *text == '*' ? "\\%c" : "%c", *text);
}

static void print_row(FILE *out, const struct config_option *o)
{
    AUTO(free_charp) char *allowed = config_allowed(o);
    AUTO(free_charp) char *who = readers(o);

    fprintf(out, "| `%s` | ", o->name);
    print_cell(out, o->help);
    fputs(" | ", out);
    print_cell(out, allowed);
    fputs(" | ", out);
    print_cell(out, default_words(o));
    fprintf(out, " | %s |\n", who);
}

static void print_options(FILE *out)
{
    for (size_t i = 0; i < config_option_count; i++) {
        if (config_options[i].section)
            fprintf(out,
                    "\n## %s\n\n| Key | Meaning | Allowed | Default | Read by |\n"
                    "|---|---|---|---|---|\n",
                    config_options[i].section);
        print_row(out, &config_options[i]);
    }
}

static void print_secrets(FILE *out)
{
    fputs("\n## Secrets\n\n"
          "These are never shown in a log, an error or `--print-config`, and may come from a\n"
          "file: `DYNAFERRY_<KEY>_FILE` holds its path (one newline at its end is dropped). On "
          "the\n"
          "command line they are overwritten as soon as they were read, so that the list of\n"
          "processes does not show them for long.\n\n",
          out);
    for (size_t i = 0; i < config_option_count; i++)
        if (config_options[i].secrecy != CONFIG_PUBLIC)
            fprintf(out, "- `%s`%s\n", config_options[i].name,
                    config_options[i].secrecy == CONFIG_ADDRESS
                        ? " (shown without its password)"
                        : "");
    fputs(
        "- every `kafka.*` whose name has `password`, `secret`, `token`, `key.pem`, `ssl_key`,"
        "\n  `jaas` or `oauthbearer.config` in it\n",
        out);
}

static void print_refused(FILE *out)
{
    fputs("\n## `kafka.*` that can't be set\n\n| Key | Why, or what instead |\n|---|---|\n",
          out);
    for (size_t i = 0; i < config_reserved_count; i++)
        fprintf(out, "| `kafka.%s` | %s |\n", config_reserved[i].name,
                config_reserved[i].instead);
    fputs(
        "\n## Keys of NimoShake without meaning here\n\n"
        "A file of NimoShake can be read as it is when these have a harmless value: they are\n"
        "then ignored and named once in the log. Any other value is an error.\n\n"
        "| Key | Harmless | Instead |\n|---|---|---|\n",
        out);
    for (size_t i = 0; i < config_replaced_count; i++) {
        const struct config_replaced *r = &config_replaced[i];
        const char *harmless = !r->harmless ? "every value" : r->harmless;

        fprintf(out, "| `%s` | %s%s | %s |\n", r->name, *harmless == '|' ? "empty, " : "",
                !*harmless ? "empty" : harmless + (*harmless == '|'), r->instead);
    }
}

void config_print_markdown(FILE *out)
{
    fputs(
        "# Configuration\n\n"
        "<!-- Made from the table of options: dynaferry-producer --print-config-docs -->\n\n"
        "One file, given by `--conf FILE`, serves every program: lines of `key = value`;\n"
        "`#` begins a comment line, and a value goes to the end of its line, with any `#`,\n"
        "`;` and `=` in it. A key stands once. A value is taken from\n\n"
        "1. `--set key=value`, or a program's own flag for the key (`--help` lists them),\n"
        "2. the environment: `DYNAFERRY_` and the key in upper case, with `_` for `.`\n"
        "   (`DYNAFERRY_TOPIC_PREFIX`; `DYNAFERRY_KAFKA_SASL_PASSWORD` for\n"
        "   `kafka.sasl.password`), for secrets also `DYNAFERRY_<KEY>_FILE`,\n"
        "3. the file,\n"
        "4. the default.\n\n"
        "An unknown key or variable and a value that is not allowed are errors (exit code 64\n"
        "for the command line, 78 for the rest). `--print-config` shows what holds and where\n"
        "it was set.\n",
        out);
    print_options(out);
    print_secrets(out);
    print_refused(out);
}
