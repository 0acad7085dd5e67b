/* common/config/config_suggestion.h - "did you mean": the nearest of the names that there are.
 */
#pragma once

#include <stddef.h>

enum {
    CONFIG_SUGGESTION_BYTES = 64, /* longer names are not compared */
};

struct config_suggestion {
    const char *given;
    size_t least; /* the distance of the best so far; at first what is too far */
    char best[CONFIG_SUGGESTION_BYTES + 1];
};

void config_suggestion_init(struct config_suggestion *s, const char *given);
void config_suggestion_try(struct config_suggestion *s, const char *name);
/* " (did you mean x?)" or ""; the caller frees. */
char *config_suggestion_text(const struct config_suggestion *s);
