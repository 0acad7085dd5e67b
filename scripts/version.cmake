# Writes FILE, a header for common/base/version.c, when the values have changed: at each build, so that they are right
# without another run of CMake. What git says counts; COMMIT is for a tree without git, empty when it is not known.
#
#   cmake -DFILE=version_values.h -DVERSION=0.1.0 -DCOMMIT= -DSOURCE=. -P scripts/version.cmake
if(EXISTS ${SOURCE}/.git)
    execute_process(COMMAND git describe --always --abbrev=12 --exclude=* --dirty
        WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE told OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(told)
        set(COMMIT ${told})
    endif()
endif()
set(text ${VERSION})
if(COMMIT)
    set(text "${VERSION} (${COMMIT})")
endif()
file(CONFIGURE OUTPUT ${FILE} @ONLY CONTENT [[#define VERSION_NUMBER "@VERSION@"
#define VERSION_COMMIT "@COMMIT@"
#define VERSION_TEXT "@text@"
]])
