/* tests/unit/test_bottom_line.c - the line at the bottom of a terminal and the log do not mix.
 */
#include "common/run/bottom_line.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/run/log.h"

enum {
    THREADS = 3,
    LINES = 200,
};

static int real_stderr, master;
static struct buf shown; /* by the terminal since it was opened */

/* Standard error is a terminal that shows each byte as it is. */
static int open_terminal(void **state)
{
    struct winsize size = {.ws_row = 24, .ws_col = 60};
    struct termios raw;
    int terminal;

    (void)state;
    master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    tcgetattr(terminal, &raw);
    cfmakeraw(&raw);
    tcsetattr(terminal, TCSANOW, &raw);
    ioctl(terminal, TIOCSWINSZ, &size);
    real_stderr = dup(STDERR_FILENO);
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    buf_init(&shown, 1 << 22);
    setenv("TERM", "xterm", 1);
    return 0;
}

static int close_terminal(void **state)
{
    (void)state;
    log_close();
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(master);
    buf_release(&shown);
    return 0;
}

static void read_up_to(const char *text)
{
    char part[4096];

    while (!strstr(buf_cstr(&shown), text)) {
        ssize_t n = read(master, part, sizeof(part));

        assert_true(n > 0);
        buf_append(&shown, part, (size_t)n);
    }
}

static void shown_is(const char *text)
{
    read_up_to(text);
    assert_string_equal(buf_cstr(&shown), text);
    buf_reset(&shown);
}

static void a_line_is_drawn_over_and_taken_away(void **state)
{
    (void)state;
    bottom_line_draw(BYTES_LIT("one"));
    shown_is("\rone\033[K");
    bottom_line_draw(BYTES_LIT("two"));
    shown_is("\rtwo\033[K");
    bottom_line_remove();
    shown_is("\r\033[K");
    bottom_line_remove();
    bottom_line_leave(BYTES_LIT("three"));
    shown_is("three\n");
    bottom_line_draw(BYTES_LIT("four"));
    bottom_line_leave(BYTES_LIT("five"));
    shown_is("\rfour\033[K\r\033[Kfive\n");
}

static void who_writes_has_the_terminal_alone(void **state)
{
    (void)state;
    bottom_line_lift();
    bottom_line_lower();
    bottom_line_draw(BYTES_LIT("one"));
    bottom_line_lift();
    bottom_line_lower();
    shown_is("\rone\033[K\r\033[K\rone\033[K");
}

static void it_is_gone_when_the_log_is_closed(void **state)
{
    (void)state;
    bottom_line_draw(BYTES_LIT("one"));
    log_close();
    shown_is("\rone\033[K\r\033[K");
}

static void a_terminal_has_a_width_and_a_dumb_one_no_such_line(void **state)
{
    (void)state;
    assert_true(bottom_line_is_possible());
    assert_int_equal(bottom_line_width(), 60);
    setenv("TERM", "dumb", 1);
    assert_false(bottom_line_is_possible());
    unsetenv("TERM");
    assert_false(bottom_line_is_possible());
}

static void *write_lines(void *arg)
{
    (void)arg;
    for (int i = 0; i < LINES; i++)
        log_info("a line", "number=%d", i);
    return NULL;
}

/* At each end of a line of the log the terminal shows that line alone. */
static void check_line(const char *begin, size_t len)
{
    static const char erase[] = "\r\033[K";
    AUTO(free_charp) char *line = xstrndup(begin, len);
    char *last = line;

    for (char *p = line; (p = strstr(p, erase)); p += strlen(erase))
        last = p + strlen(erase);
    if (strncmp(last, "time=", 5) != 0 || strchr(last, '\r') || strchr(last, '\033'))
        fail_msg("%s", last);
}

/* A terminal takes only so much that nobody reads. */
static void *read_all(void *arg)
{
    read_up_to(arg);
    return NULL;
}

static void lines_of_the_log_stay_whole_beside_it(void **state)
{
    char last[] = "time=over\n";
    pthread_t threads[THREADS], reader;
    int lines = 0;

    (void)state;
    assert_int_equal(pthread_create(&reader, NULL, read_all, last), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (int i = 0; i < LINES; i++)
        bottom_line_draw(BYTES_LIT("at the bottom"));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    bottom_line_leave(BYTES_LIT("time=over"));
    pthread_join(reader, NULL);
    for (const char *at = buf_cstr(&shown), *end; (end = strchr(at, '\n')); at = end + 1) {
        check_line(at, (size_t)(end - at));
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_drawn_over_and_taken_away, open_terminal,
                                        close_terminal),
        cmocka_unit_test_setup_teardown(who_writes_has_the_terminal_alone, open_terminal,
                                        close_terminal),
        cmocka_unit_test_setup_teardown(it_is_gone_when_the_log_is_closed, open_terminal,
                                        close_terminal),
        cmocka_unit_test_setup_teardown(a_terminal_has_a_width_and_a_dumb_one_no_such_line,
                                        open_terminal, close_terminal),
        cmocka_unit_test_setup_teardown(lines_of_the_log_stay_whole_beside_it, open_terminal,
                                        close_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
