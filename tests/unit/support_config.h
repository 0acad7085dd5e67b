/* tests/unit/support_config.h - a configuration from a text, or the error it must give. */
#pragma once

#include "common/config/config.h"

/* In configurations of tests: config_refused fails when an error shows it. */
#define SECRET "c0ffee-do-not-show"

/* A producer's; text is the file's, args end with NULL (NULL: none). Fails the test on error.
 */
struct config *config_loaded(const char *text, const char *const *args);
/* The error must have this code and say these words. */
void config_refused(enum config_program program, const char *text, const char *const *args,
                    int code, const char *words);
