/* producer/halted.h - tables that are wanted and can't be carried, by name: a line in the log
 * when it begins and when it is over, and a part of /healthz that is red meanwhile.
 *
 * Each look sets all of them anew: begin, set ..., end. One thread looks, any may ask. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/auto.h"

struct halted;

struct halted *halted_new(void);
void halted_free(struct halted *h); /* NULL is fine */
DEFINE_FREEP(struct halted, halted_freep, halted_free)
void halted_begin(struct halted *h);
void halted_set(struct halted *h, const char *table, const char *reason);
void halted_end(struct halted *h); /* what was not set since begin is halted no more */
/* Why it is halted, NULL: it is not. The caller frees. */
char *halted_reason(struct halted *h, const char *table);
