#include "common/base/version.h"

#include <version_values.h>

const char version_number[] = VERSION_NUMBER;
const char version_commit[] = VERSION_COMMIT;
const char version_text[] = VERSION_TEXT;
