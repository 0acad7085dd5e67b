#include "tests/unit/support_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/config/config_load.h"

static int load(struct config **ret, enum config_program program, const char *text,
                const char *const *args, struct error *err)
{
    static const char path[] = "/tmp/dynaferry-conf-XXXXXX";
    char *argv[16] = {xstrdup("program"), xstrdup("--conf"), xstrdup(path)};
    int argc = 3, fd = mkstemp(argv[2]), res;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    for (; args && *args; args++)
        argv[argc++] = xstrdup(*args);
    res = config_load(ret, program, argc, argv, NULL, err);
    unlink(argv[2]);
    while (argc)
        free(argv[--argc]);
    return res;
}

struct config *config_loaded(const char *text, const char *const *args)
{
    struct config *c = NULL;
    struct error err = {0};

    if (load(&c, CONFIG_PRODUCER, text, args, &err) < 0)
        fail_msg("%s", err.message);
    assert_non_null(c);
    return c;
}

void config_refused(enum config_program program, const char *text, const char *const *args,
                    int code, const char *words)
{
    struct config *c = NULL;
    struct error err = {0};

    assert_int_equal(load(&c, program, text, args, &err), -1);
    assert_null(c);
    assert_int_equal(err.kind, ERR_FATAL);
    if (err.code != code || !strstr(err.message, words))
        fail_msg("wanted %d \"%s\", got %d \"%s\"", code, words, err.code, err.message);
    if (strstr(err.message, SECRET))
        fail_msg("a secret is shown: %s", err.message);
}
