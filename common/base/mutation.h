/* common/base/mutation.h - named rules that a test build can break, to show that the tests
 * would notice.
 *
 * Only a build with -DDYNAFERRY_MUTATIONS=ON looks at the environment variable
 * DYNAFERRY_MUTATION; everywhere else MUTATED(name) is the constant false. The names are in
 * docs/testing.md. */
#pragma once

#include <stdbool.h>

#ifdef DYNAFERRY_MUTATIONS
bool mutation_is(const char *name);
#define MUTATED(name) mutation_is(#name)
#else
#define MUTATED(name) false
#endif
