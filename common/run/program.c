#include "common/run/program.h"

#include <stdatomic.h>

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/version.h"
#include "common/config/config_load.h"
#include "common/run/health.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define ARENAS 4

static int exit_code_of(const struct program *program, const struct error *err)
{
    if (program->fatal_code && err->code != EXIT_USAGE_ERROR && err->code != EXIT_CONFIGURATION)
        return program->fatal_code;
    return err->code ? err->code : EXIT_FATAL;
}

static int refused(const struct program *program, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", program->name, err->message);
    return exit_code_of(program, err);
}

static void log_notice(void *arg, const char *notice)
{
    (void)arg;
    log_warn("configuration", "notice=%s", notice);
}

/* ---- the end does not wait for ever ---- */

#define LOOK_MS 250

struct deadline { /* of a thread of its own */
    const struct program *program;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool met; /* under lock */
};

/* The exit code of an end that nobody asked for by a signal; -1: it goes on. */
static atomic_int ending = -1;

void program_ends(int exit_code)
{
    health_ready(false);
    atomic_store(&ending, exit_code);
}

/* Under lock, until the deadline is met or ms are over. */
static void deadline_wait(struct deadline *d, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;

    while (!d->met && clock_cond_wait(&d->changed, &d->lock, end) == 0)
        ;
}

static void *deadline_watch(void *arg)
{
    struct deadline *d = arg;

    AUTO_LOCK(&d->lock);
    while (!d->met && !stop_requested() && atomic_load(&ending) < 0)
        deadline_wait(d, LOOK_MS);
    deadline_wait(d, d->program->ends_within_ms);
    if (d->met)
        return NULL;
    log_warn("ended without waiting any longer", "waited_ms=%d", d->program->ends_within_ms);
    log_close();
    _exit(stop_requested() ? d->program->fatal_code : atomic_load(&ending));
}

static void deadline_begin(struct deadline *d, const struct program *program)
{
    *d = (struct deadline){.program = program};
    pthread_mutex_init(&d->lock, NULL);
    clock_cond_init(&d->changed);
    if (program->ends_within_ms)
        CHECK(pthread_create(&d->thread, NULL, deadline_watch, d) == 0);
}

static void deadline_end(struct deadline *d)
{
    pthread_mutex_lock(&d->lock);
    d->met = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    if (d->program->ends_within_ms)
        pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
}

/* ---- the run ---- */

int program_not_done(struct error *err)
{
    if (!err->code)
        err->code = err->kind == ERR_RETRY && !stop_requested() ? EXIT_UNREACHABLE : EXIT_FATAL;
    err->kind = ERR_FATAL;
    return -1;
}

/* Whoever typed the command sees why, also when the log is a file. */
static int ended_badly(const struct program *program, const struct config *c,
                       const struct error *err)
{
    int code = exit_code_of(program, err);

    log_error("ended", "exit=%d reason=%s", code, err->message);
    if (*config_string(c, "log.file"))
        fprintf(stderr, "%s: %s\n", program->name, err->message);
    return code;
}

static int run_with_metrics(const struct program *program, const struct config *c,
                            struct error *err)
{
    struct metrics_http *http = NULL;
    int result;

    if (program->serve && program->serve(&http, c, err) < 0)
        return -1;
    result = program->run(c, program->extras, err);
    metrics_http_stop(http);
    return result;
}

static int run_logged(const struct program *program, const struct config *c)
{
    struct deadline deadline;
    struct error err = {0};
    int result;

    log_info("started", "version=%s commit=%s", version_number, version_commit);
    config_each_notice(c, log_notice, NULL);
    deadline_begin(&deadline, program);
    result = run_with_metrics(program, c, &err);
    deadline_end(&deadline);
    if (result < 0 && stop_requested() && err.kind == ERR_RETRY && !program->fatal_code)
        result = 0;
    if (result == 0) {
        log_info("ended", NULL);
        return EXIT_WELL;
    }
    if (result > 0) {
        log_info("ended", "exit=%d", result);
        return result;
    }
    return ended_badly(program, c, &err);
}

/* Threads come and go with every outage, and each of glibc's arenas (eight per core else) keeps
 * what was freed in it: a producer grew by some megabytes with each. */
static void bound_memory(void)
{
    mallopt(M_ARENA_MAX, ARENAS);
}

static enum log_level level_of(const struct program *program, const struct config *c)
{
    if (program->quiet && !config_is_set(c, "log.level"))
        return LOG_LEVEL_WARN;
    return log_level_of(config_string(c, "log.level"));
}

int program_main(const struct program *program, int argc, char **argv)
{
    struct config *c = NULL;
    struct error err = {0};
    int code;

    if (config_load(&c, program->which, argc, argv, program->extras, &err) < 0)
        return refused(program, &err);
    if (!c)
        return EXIT_WELL;
    bound_memory();
    stop_install_signals();
    if (log_open(config_string(c, "log.file"), level_of(program, c),
                 strcmp(config_string(c, "log.format"), "json") == 0, program->name, &err) < 0)
        code = refused(program, &err);
    else
        code = run_logged(program, c);
    log_close();
    config_free(c);
    return code;
}
