#include "common/program.h"

#include <stdio.h>
#include <string.h>

#include "common/exit_code.h"
#include "common/log.h"
#include "common/metrics_http.h"
#include "common/stop.h"

static int exit_code_of(const struct program *p, const struct error *err)
{
    if (p->fatal_code && err->code != EXIT_USAGE_ERROR && err->code != EXIT_CONFIGURATION)
        return p->fatal_code;
    return err->code ? err->code : EXIT_FATAL;
}

static int refused(const struct program *p, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", p->name, err->message);
    return exit_code_of(p, err);
}

static void log_notice(void *arg, const char *notice)
{
    (void)arg;
    log_warn("configuration", "notice=%s", notice);
}

static int run_with_metrics(const struct program *p, const struct config *c, struct error *err)
{
    struct metrics_http *http = NULL;
    int result;

    if (metrics_http_start(&http, c, err) < 0)
        return -1;
    result = p->run(c, p->extras, err);
    metrics_http_stop(http);
    return result;
}

static int run_logged(const struct program *p, const struct config *c)
{
    struct error err = {0};
    int result;

    log_info("begins", "version=%s", DYNAFERRY_VERSION);
    config_each_notice(c, log_notice, NULL);
    result = run_with_metrics(p, c, &err);
    if (result < 0 && stop_requested() && err.kind == ERR_RETRY && !p->fatal_code)
        result = 0;
    if (result == 0) {
        log_info("ends well", NULL);
        return EXIT_WELL;
    }
    if (result > 0) {
        log_info("ends", "exit=%d", result);
        return result;
    }
    log_error("ends", "exit=%d reason=%s", exit_code_of(p, &err), err.message);
    return exit_code_of(p, &err);
}

int program_main(const struct program *p, int argc, char **argv)
{
    struct config *c = NULL;
    struct error err = {0};
    int code;

    if (config_load(&c, p->which, argc, argv, p->extras, &err) < 0)
        return refused(p, &err);
    if (!c)
        return EXIT_WELL;
    stop_install_signals();
    if (log_open(config_string(c, "log.file"), log_level_of(config_string(c, "log.level")),
                 strcmp(config_string(c, "log.format"), "json") == 0, p->name, &err) < 0)
        code = refused(p, &err);
    else
        code = run_logged(p, c);
    log_close();
    config_free(c);
    return code;
}
