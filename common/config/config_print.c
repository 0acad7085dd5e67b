#include "common/config/config_print.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/config/config_address.h"
#include "common/config/config_option.h"

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

static const char *default_words(const struct config_option *o)
{
    return o->derived ? o->derived : *o->fallback ? o->fallback : "empty";
}

/* --- help --- */

/* Of every program. */
static const struct config_extra common_extras[] = {
    {.name = "conf", .wanted = "FILE", .help = "The configuration."},
    {.name = "nimoshake-conf",
     .wanted = "FILE",
     .help = "A configuration of NimoShake. Its keys are taken; what has no meaning here is "
             "named in the log, or refused with what to do instead. --conf, the environment "
             "and --set are above it."},
    {.name = "set",
     .wanted = "KEY=VALUE",
     .help = "One value, over all others. May be repeated."},
    {.name = "print-config",
     .form = CONFIG_FLAG,
     .help = "Show the values that would hold, without secrets, and end."},
    {.name = "help", .letter = 'h', .form = CONFIG_FLAG, .help = ""},
    {.name = "version", .letter = 'v', .form = CONFIG_FLAG, .help = ""},
    {0},
};

/* "-t, --table TABLE" */
static void write_head(struct buf *out, const struct config_extra *x)
{
    const char *value = x->wanted ? x->wanted : "VALUE";

    if (x->letter)
        buf_printf(out, "-%c, ", x->letter);
    buf_printf(out, "--%s", x->name);
    switch (x->form) {
    case CONFIG_FLAG:
        break;
    case CONFIG_TAKES_VALUE:
        buf_printf(out, " %s", value);
        break;
    case CONFIG_SWITCH:
        buf_lit(out, "[=on|off]");
        break;
    case CONFIG_MAY_TAKE_VALUE:
        buf_printf(out, " [%s]", value);
        break;
    }
}

static void write_help(struct buf *out, const struct config_extra *x)
{
    const struct config_option *o = x->key ? config_option_find(x->key) : NULL;
    const char *fallback = x->fallback || !o ? x->fallback : default_words(o);

    CHECK(o || x->help);
    if (o)
        buf_printf(out, "Sets %s. ", o->name);
    buf_printf(out, "%s", x->help ? x->help : o->help);
    if (x->scheme)
        buf_printf(out, " Without ://, %s is put before it.", x->scheme);
    if (fallback)
        buf_printf(out, " Default: %s.", fallback);
}

/* The program's own first. */
static void each_flag(FILE *out, const struct config_extra *extras,
                      void (*print)(FILE *out, const char *head, const char *help))
{
    const struct config_extra *const tables[] = {extras, common_extras};

    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        CONFIG_EXTRAS_EACH(x, tables[i]) {
            AUTO(buf_release) struct buf head, help;

            buf_init(&head, 4096);
            buf_init(&help, 4096);
            write_head(&head, x);
            write_help(&help, x);
            print(out, buf_cstr(&head), buf_cstr(&help));
        }
}

static void print_flag_help(FILE *out, const char *head, const char *help)
{
    fprintf(out, "  %s\n", head);
    if (*help)
        print_wrapped(out, "      ", help);
}

void config_print_help(FILE *out, enum config_program program,
                       const struct config_extra *extras)
{
    const struct config_about *about = config_program_about(program);

    fprintf(out, "%s %s.\n\nUsage: %s %s[--conf FILE] [--set KEY=VALUE ...]\n\n",
            config_program_name(program), about->line, config_program_name(program),
            extras && extras->name ? "[OPTION ...] " : "");
    print_wrapped(out, "", about->text);
    fputs("\nExamples:\n\n", out);
    for (const char *const *example = about->examples; *example; example++)
        fprintf(out, "  %s\n", *example);
    fputc('\n', out);
    each_flag(out, extras, print_flag_help);
    fputc('\n', out);
    print_wrapped(out, "",
                  "Keys. A value is taken from the command line, else from the environment "
                  "(DYNAFERRY_ID for id, DYNAFERRY_TOPIC_PREFIX for topic.prefix; for a secret "
                  "also DYNAFERRY_..._FILE, the path of a file that holds it), else from the "
                  "file, else it is the default.");
    CONFIG_OPTIONS_EACH(o) {
        AUTO(free_charp) char *allowed = config_option_allowed(o);
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

/* A secret as ***, an address without its password. */
static char *shown(const struct config_option *o, const char *value)
{
    switch (o->secrecy) {
    case CONFIG_SECRET:
        return xstrdup(*value ? "***" : "");
    case CONFIG_ADDRESS:
        return config_address_redacted(value);
    case CONFIG_PUBLIC:
        break;
    }
    return xstrdup(value);
}

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
    CONFIG_OPTIONS_EACH(o) {
        const struct config_setting *s = config_setting_of(c, o->name);
        AUTO(free_charp) char *text = shown(o, s->value);

        if (o->section)
            fprintf(out, "%s# %s\n", o == config_options ? "" : "\n", o->section);
        print_value(out, o->name, s->value, text, s->origin);
    }
    for (size_t i = 0; i < c->kafka_count; i++) {
        const struct config_setting *s = &c->kafka[i];
        AUTO(free_charp) char *key = xasprintf("kafka.%s", s->name);
        bool hidden = config_option_kafka_is_secret(s->name) || strchr(s->value, '\n');

        if (!i)
            fputs("\n# librdkafka\n", out);
        print_value(out, key, s->value, hidden ? "***" : s->value, s->origin);
    }
}

/* --- --print-options --- */

/* NULL: it has none. */
static void print_field(FILE *out, const char *name, const char *value)
{
    if (value)
        fprintf(out, "%s\t%s\n", name, value);
}

static void print_option(FILE *out, const struct config_option *o)
{
    static const char *const secrecies[] = {"public", "secret", "address"};
    AUTO(free_charp) char *allowed = config_option_allowed(o);

    print_field(out, "option", o->name);
    print_field(out, "section", o->section);
    print_field(out, "help", o->help);
    print_field(out, "allowed", allowed);
    print_field(out, "default", o->fallback);
    print_field(out, "derived", o->derived);
    print_field(out, "secrecy", secrecies[o->secrecy]);
    for (unsigned p = 1; p <= o->programs; p <<= 1)
        if (o->programs & p)
            print_field(out, "reader", config_program_name((enum config_program)p));
}

static void print_flag(FILE *out, const char *head, const char *help)
{
    print_field(out, "flag", head);
    print_field(out, "help", help);
}

void config_print_options(FILE *out, enum config_program program,
                          const struct config_extra *extras)
{
    const struct config_about *about = config_program_about(program);

    print_field(out, "program", config_program_name(program));
    print_field(out, "line", about->line);
    print_field(out, "text", about->text);
    for (const char *const *example = about->examples; *example; example++)
        print_field(out, "example", *example);
    each_flag(out, extras, print_flag);
    CONFIG_OPTIONS_EACH(o)
        print_option(out, o);
    for (const struct config_reserved *reserved = config_options_reserved; reserved->name;
         reserved++) {
        print_field(out, "reserved", reserved->name);
        print_field(out, "instead", reserved->instead);
    }
    for (const struct config_replaced *replaced = config_options_replaced; replaced->name;
         replaced++) {
        print_field(out, "replaced", replaced->name);
        print_field(out, "harmless", replaced->harmless);
        print_field(out, "instead", replaced->instead);
    }
}
