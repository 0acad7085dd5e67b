/* tests/unit/test_ddb_sequence.c - sequence numbers are numbers, however they are padded. */
#include "common/dynamodb/ddb_sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/check.h"

static void sequence_numbers_are_compared_as_numbers(void **state)
{
    static const char *const rising[] = {
        "0",
        "1",
        "9",
        "10",
        "99",
        "100000000000000000001",
        "100000000000000000002",
        "999999999999999999999",
        "1000000000000000000000",
        "1111111111111111111111111111111111111111",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rising); i++) {
        for (size_t j = 0; j < ARRAY_LEN(rising); j++) {
            AUTO(free_charp) char *padded = xasprintf("000%s", rising[i]);
            int order = ddb_sequence_compare(bytes_of(padded), bytes_of(rising[j]));

            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    assert_int_equal(ddb_sequence_compare(BYTES_LIT("00"), BYTES_LIT("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequence_numbers_are_compared_as_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
