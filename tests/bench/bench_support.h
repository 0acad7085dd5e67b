/* tests/bench/bench_support.h - a clock of the work alone, and command lines of NAME=VALUE.
 *
 * A floor prepares first and then measures, so that its figures hold the bare work. */
#pragma once

#include <stdint.h>

struct stopwatch {
    double wall;
    double cpu; /* user and system, all threads */
};

struct stopwatch stopwatch_start(void);
struct stopwatch stopwatch_since(const struct stopwatch *start);

/* The value of an argument name=value, or the given one; NULL there means: needed. */
const char *bench_argument(int argc, char **argv, const char *name, const char *otherwise);
int64_t bench_number(int argc, char **argv, const char *name, const char *otherwise);

/* One line of JSON on standard output: {"what":..,"items":..,"bytes":..,"seconds":..,"cpu":..}
 */
void bench_report(const char *what, int64_t items, int64_t bytes, struct stopwatch spent);

/* Says why and ends with 1: a floor that can't be measured has no figure. */
_Noreturn void bench_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
