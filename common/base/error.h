/* common/base/error.h - an error on the caller's stack, whose kind says what the caller may do.
 *
 * Functions return 0 or -1 and take `struct error *err` last; it must not be NULL. Messages
 * never hold secrets. Not shared between threads. */
#pragma once

enum error_kind {
    ERR_NONE,
    ERR_RETRY,  /* try again later: an outage, throttling, a cut answer */
    ERR_DATA,   /* this record can't be used: dead letter */
    ERR_ABORT,  /* the transaction must be aborted, positions go back to the last commit */
    ERR_FENCED, /* another owner took over: drop everything of it */
    ERR_FATAL,  /* no way on: a wrong setting, a missing right */
};

struct error {
    enum error_kind kind;
    int code; /* ERR_FATAL at the start: the program's exit code (exit_code.h); else 0 */
    char message[512];
};

/* Each returns -1, so that a caller can `return error_set(...)`. A longer message is cut. */
int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int error_fatal(struct error *err, int exit_code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "what: " before the message; the kind stays. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
