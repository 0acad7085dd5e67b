/* tests/component/test_process_list.c - a running program's command line, as every user of the
 * machine may read it, shows no secret.
 *
 * The programs run against ports where nothing listens, so they stay in their start. */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "common/base/clock.h"

#define SECRET "c0ffee-do-not-show"
#define PATIENCE_MS 30000

/* The programs are built beside the tests. */
static char *program_path(const char *name)
{
    char self[PATH_MAX] = "";

    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    return xasprintf("%s/%s", dirname(self), name);
}

static pid_t begin(const char *program, char **argv)
{
    AUTO(free_charp) char *path = program_path(program);
    posix_spawn_file_actions_t files;
    pid_t pid;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawn(&pid, path, &files, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&files);
    return pid;
}

/* With spaces between the words. Empty at its very begin and when it has ended. */
static struct buf command_line(pid_t pid)
{
    AUTO(free_charp) char *path = xasprintf("/proc/%d/cmdline", pid);
    FILE *f = fopen(path, "r");
    struct buf line;
    int c;

    buf_init(&line, 1 << 16);
    while (f && (c = getc(f)) != EOF)
        buf_char(&line, c ? (char)c : ' ');
    if (f)
        fclose(f);
    return line;
}

static bool runs(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The line is there with the secrets, from exec on, and then without. */
static void wait_until_hidden(pid_t pid, const char *program, const char *kept)
{
    int64_t until = clock_mono_ms() + PATIENCE_MS;

    for (;;) {
        AUTO(buf_release) struct buf line = command_line(pid);
        bool there = strstr(buf_cstr(&line), kept);

        if (there && !strstr(buf_cstr(&line), SECRET))
            return;
        if (!runs(pid))
            fail_msg("%s has ended", program);
        if (clock_mono_ms() > until)
            fail_msg("%s shows %s", program, buf_cstr(&line));
        usleep(20000);
    }
}

static void shows_no_secret(const char *program)
{
    static const char *const words[] = {
        "--set",
        "source.secret_access_key=" SECRET,
        "--set=source.session_token=" SECRET,
        "--set=kafka.sasl.password=" SECRET,
        "--set=kafka.bootstrap.servers=127.0.0.1:1",
        "--set=source.endpoint_url=http://127.0.0.1:1",
        "--set=source.access_key_id=k",
        "--set=source.region=eu-west-1",
        "--set",
        "target.address=mongodb://u:" SECRET "@127.0.0.1:1",
        "--set=log.level=error",
    };
    char *argv[ARRAY_LEN(words) + 2] = {xstrdup(program)};
    pid_t pid;

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        argv[i + 1] = xstrdup(words[i]);
    pid = begin(program, argv);
    wait_until_hidden(pid, program, "source.endpoint_url=http://127.0.0.1:1");
    assert_true(runs(pid));
    end(pid);
    for (char **a = argv; *a; a++)
        free(*a);
}

static void no_program_shows_a_secret(void **state)
{
    (void)state;
    shows_no_secret("dynaferry-producer");
    shows_no_secret("dynaferry-consumer");
    shows_no_secret("dynaferry-fullcheck");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_program_shows_a_secret)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
