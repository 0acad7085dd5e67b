#include "common/config/config_suggestion.h"

#include <stdint.h>
#include <string.h>

#include "common/base/auto.h"

#define NAME_BYTES CONFIG_SUGGESTION_BYTES

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

void config_suggestion_init(struct config_suggestion *s, const char *given)
{
    *s = (struct config_suggestion){.given = given, .least = MAX(strlen(given) / 3, 1) + 1};
}

void config_suggestion_try(struct config_suggestion *s, const char *name)
{
    size_t away = distance(s->given, name);

    if (away >= s->least)
        return;
    s->least = away;
    strcpy(s->best, name); /* what is longer is too far away */
}

char *config_suggestion_text(const struct config_suggestion *s)
{
    return *s->best ? xasprintf(" (did you mean %s?)", s->best) : xstrdup("");
}
