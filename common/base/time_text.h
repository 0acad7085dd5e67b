/* common/base/time_text.h - times as RFC 3339 writes them. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TIME_TEXT_SIZE 32

/* "2026-01-31T12:00:00Z", with a fraction or another zone too, as milliseconds since 1970;
 * false: it is no such text. */
bool time_text_read(int64_t *ret, const char *text);
/* In whole seconds and UTC. */
void time_text_write(char ret[TIME_TEXT_SIZE], int64_t ms);
