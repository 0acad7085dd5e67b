/* common/base/exit_code.h - what the programs end with. */
#pragma once

enum exit_code {
    EXIT_WELL = 0,
    EXIT_FATAL = 1,
    EXIT_USAGE_ERROR = 64, /* the command line */
    EXIT_UNREACHABLE = 69, /* a part can't be reached for start.timeout at the start */
    EXIT_NO_RIGHT = 77,    /* credentials or a permission are missing */
    /* The configuration; also: fenced by another instance of the same id. */
    EXIT_CONFIGURATION = 78,
};
