/* common/config/config_option.h - what a key may be set to, and how much of it may be shown.
 *
 * Pure; any thread. Texts that are returned are the caller's to free. */
#pragma once

#include "common/config/config_options.h"

/* NULL: there is none. */
const struct config_option *config_option_find(const char *key);

bool config_option_accepts(const struct config_option *o, const char *value);
/* What it accepts, in words. */
char *config_option_allowed(const struct config_option *o);
/* The place of value among choices ("a|b", also with an empty one), from 0; -1: it is none. */
int config_option_choice(const char *choices, const char *value);

/* May errors and the list of processes not show its value? Of an address, and of kafka.*, too.
 */
bool config_option_is_secret(const char *key);
/* Without "kafka.". */
bool config_option_kafka_is_secret(const char *name);
/* A value as an error may show it: cut, without control characters. */
char *config_option_shown(const char *value);
