/* tests/unit/test_random.c - bytes come, and other ones each time, with or without the system's
 * help. The linker puts the getrandom and the fopen below before the system's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/base/bytes.h"
#include "common/base/random.h"

#define TIMES 500

static enum {
    WHOLE,
    IN_BITS,
    REFUSED
} system_is;
static bool no_device;
static int asked;

ssize_t __real_getrandom(void *p, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);

ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags)
{
    asked++;
    if (system_is == WHOLE)
        return __real_getrandom(p, n, flags);
    errno = system_is == REFUSED ? ENOSYS : EINTR;
    return system_is == REFUSED || asked % 2 ? -1 : __real_getrandom(p, 1, flags);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return no_device ? NULL : __real_fopen(path, mode);
}

static void all_differ(void)
{
    uint64_t seen[TIMES] = {0}, ones = 0;

    for (size_t i = 0; i < TIMES; i++) {
        random_bytes(&seen[i], sizeof(seen[i]));
        ones += (uint64_t)__builtin_popcountll(seen[i]);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(seen[i], seen[j]);
    }
    assert_in_range(ones, TIMES * 64 * 45 / 100, TIMES * 64 * 55 / 100);
}

static void bytes_of_the_system_are_other_ones_each_time(void **state)
{
    (void)state;
    system_is = WHOLE;
    all_differ();
    system_is = IN_BITS; /* also through interruptions */
    all_differ();
}

static void without_the_systems_call_the_device_gives_them(void **state)
{
    (void)state;
    system_is = REFUSED;
    all_differ();
}

static void without_both_they_still_come(void **state)
{
    (void)state;
    system_is = REFUSED;
    no_device = true;
    all_differ();
    no_device = false;
}

static void no_more_is_written_than_was_asked_for(void **state)
{
    unsigned char p[12] = {0};

    (void)state;
    no_device = true;
    random_bytes(p, 0);
    random_bytes(p, 11);
    assert_int_equal(p[11], 0);
    no_device = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_the_system_are_other_ones_each_time),
        cmocka_unit_test(without_the_systems_call_the_device_gives_them),
        cmocka_unit_test(without_both_they_still_come),
        cmocka_unit_test(no_more_is_written_than_was_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
