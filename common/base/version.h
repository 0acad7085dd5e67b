/* common/base/version.h - which version this is; scripts/version.cmake writes the values at
 * each build. */
#pragma once

extern const char version_number[]; /* "0.1.0" */
extern const char version_commit[]; /* "a1b2c3d4e5f6", "a1b2c3d4e5f6-dirty" with changes that
                                       are not committed; "" when it is not known */
extern const char version_text[];   /* "0.1.0 (a1b2c3d4e5f6)" */
