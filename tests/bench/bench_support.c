#include "tests/bench/bench_support.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct stopwatch stopwatch_start(void)
{
    struct timespec now;
    struct rusage used;

    clock_gettime(CLOCK_MONOTONIC, &now);
    getrusage(RUSAGE_SELF, &used);
    return (struct stopwatch){
        .wall = (double)now.tv_sec + (double)now.tv_nsec / 1e9,
        .cpu = seconds_of(used.ru_utime) + seconds_of(used.ru_stime),
    };
}

struct stopwatch stopwatch_since(const struct stopwatch *start)
{
    struct stopwatch now = stopwatch_start();

    return (struct stopwatch){.wall = now.wall - start->wall, .cpu = now.cpu - start->cpu};
}

const char *bench_argument(int argc, char **argv, const char *name, const char *otherwise)
{
    size_t n = strlen(name);

    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
            return argv[i] + n + 1;
    if (!otherwise)
        bench_fail("%s=VALUE is needed", name);
    return otherwise;
}

int64_t bench_number(int argc, char **argv, const char *name, const char *otherwise)
{
    const char *text = bench_argument(argc, argv, name, otherwise);
    char *end;
    int64_t n = strtoll(text, &end, 10);

    if (*end || end == text)
        bench_fail("%s: no number: %s", name, text);
    return n;
}

void bench_report(const char *what, int64_t items, int64_t bytes, struct stopwatch spent)
{
    printf("{\"what\":\"%s\",\"items\":%" PRId64 ",\"bytes\":%" PRId64
           ",\"seconds\":%.6f,\"cpu\":%.6f}\n",
           what, items, bytes, spent.wall, spent.cpu);
}

void bench_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("bench: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}
