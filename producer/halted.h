/* producer/halted.h - tables that are wanted and can't be carried, and why: a line in the log
 * when that begins and when it is over, and in between a part of /healthz that is red.
 *
 * Each look names all of them: begin, set ..., end. One thread looks, any may ask. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/auto.h"

struct halted;

struct halted *halted_new(void);
/* NULL is fine. */
void halted_free(struct halted *halted);
DEFINE_FREEP(struct halted, halted_freep, halted_free)
void halted_begin(struct halted *halted);
void halted_set(struct halted *halted, const char *table, const char *reason);
/* A table that was not set since begin is not halted any more. */
void halted_end(struct halted *halted);
/* NULL: it is not halted. The caller frees. */
char *halted_reason(struct halted *halted, const char *table);
