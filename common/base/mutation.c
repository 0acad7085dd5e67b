#include "common/base/mutation.h"

#ifdef DYNAFERRY_MUTATIONS
#include <stdlib.h>
#include <string.h>

bool mutation_is(const char *name)
{
    const char *wanted = getenv("DYNAFERRY_MUTATION");

    return wanted && strcmp(wanted, name) == 0;
}
#endif
