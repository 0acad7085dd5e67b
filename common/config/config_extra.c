#include "common/config/config_extra.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/config/config_option.h"

static const struct config_extra *extra_of(const struct config_extra *extras, const char *name)
{
    while (extras->name && strcmp(extras->name, name) != 0)
        extras++;
    CHECK(extras->name);
    return extras;
}

bool config_extra_given(const struct config_extra *extras, const char *name)
{
    return *extra_of(extras, name)->typed;
}

const char *config_extra_value(const struct config_extra *extras, const char *name)
{
    return extra_of(extras, name)->value;
}

int config_extra_refuse(const struct config_extra *extras, const char *name,
                        const char *allowed, struct error *err)
{
    const struct config_extra *x = extra_of(extras, name);
    AUTO(free_charp) char *text = config_option_shown(x->value);

    return error_fatal(err, EXIT_USAGE_ERROR, "%s = %s: allowed are %s", x->typed, text,
                       allowed);
}

/* As a key's value is judged. 1: it was given and is good. */
static int judge(const struct config_extra *extras, const char *name,
                 const struct config_option *rule, struct error *err)
{
    const char *value = config_extra_value(extras, name);
    AUTO(free_charp) char *allowed = NULL;

    if (!value)
        return 0;
    if (config_option_accepts(rule, value))
        return 1;
    allowed = config_option_allowed(rule);
    return config_extra_refuse(extras, name, allowed, err);
}

int config_extra_int(const struct config_extra *extras, const char *name, int64_t min,
                     int64_t max, int64_t *ret, struct error *err)
{
    struct config_option rule = {.type = CONFIG_NUMBER, .min = min, .max = max};
    int given = judge(extras, name, &rule, err);

    if (given > 0)
        *ret = strtoll(config_extra_value(extras, name), NULL, 10);
    return MIN(given, 0);
}

int config_extra_choice(const struct config_extra *extras, const char *name,
                        const char *choices, int *ret, struct error *err)
{
    struct config_option rule = {.type = CONFIG_CHOICE, .choices = choices};
    int given = judge(extras, name, &rule, err);

    if (given > 0)
        *ret = config_option_choice(choices, config_extra_value(extras, name));
    return MIN(given, 0);
}

int config_extra_ms(const struct config_extra *extras, const char *name, int64_t max_seconds,
                    int64_t *ret, struct error *err)
{
    const char *value = config_extra_value(extras, name);
    AUTO(free_charp) char *allowed = NULL;
    double seconds;
    char *end;

    if (!value)
        return 0;
    seconds = strtod(value, &end);
    if (end != value && !*end && !value[strspn(value, "0123456789.")] &&
        seconds <= (double)max_seconds) {
        *ret = llround(seconds * 1000);
        return 0;
    }
    allowed = xasprintf("0 to %lld seconds, with decimals", (long long)max_seconds);
    return config_extra_refuse(extras, name, allowed, err);
}
