/* tests/unit/test_source_identity.c - which sources are the same by what is known of them. */
#include "producer/source_identity.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct source_case {
    struct ledger_source mine, theirs;
    enum source_match wanted;
};

static void sources_are_the_same_unless_something_known_differs(void **state)
{
    const struct source_case cases[] = {
        {{"1", "eu", "", "p"}, {"1", "eu", "", "p"}, SOURCE_SAME},
        {{"1", "eu", "", "p"}, {"2", "eu", "", "p"}, SOURCE_OTHER},
        {{"1", "eu", "", "p"}, {"1", "us", "", "p"}, SOURCE_OTHER},
        {{"1", "eu", "", "p"}, {"1", "eu", "", "q"}, SOURCE_OTHER},
        {{"", "eu", "", "p"}, {"2", "eu", "", "p"}, SOURCE_SAME}, /* no right to look it up */
        {{"1", "eu", "", "p"}, {"", "eu", "", "p"}, SOURCE_SAME},
        {{"", "eu", "", "p"}, {"2", "us", "", "p"}, SOURCE_OTHER},
        {{"", "", "http://a/", "p"}, {"", "", "http://a/", "p"}, SOURCE_SAME},
        {{"", "", "http://a/", "p"}, {"", "", "http://b/", "p"}, SOURCE_ASK},
        {{"", "", "http://a/", "p"}, {"", "", "http://b/", "q"}, SOURCE_OTHER},
        {{"", "", "http://a/", "p"}, {"1", "eu", "", "p"}, SOURCE_ASK},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (source_identity_compare(&cases[i].mine, &cases[i].theirs) != cases[i].wanted)
            fail_msg("case %zu", i);
}

static void what_is_not_known_is_not_taken_for_another_source(void **state)
{
    static const struct {
        struct source_answers answers;
        enum source_match wanted;
    } cases[] = {
        {{0}, SOURCE_ASK}, /* the ledger knows no table's id yet */
        {{.silent = 3}, SOURCE_ASK},
        {{.absent = 2, .silent = 1}, SOURCE_ASK},
        {{.absent = 3}, SOURCE_OTHER},
        {{.other = 1}, SOURCE_OTHER},
        {{.other = 1, .silent = 2}, SOURCE_OTHER},
        {{.same = 1}, SOURCE_SAME},
        {{.same = 1, .other = 1, .absent = 1, .silent = 1}, SOURCE_SAME}, /* made anew there */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (source_identity_judge(&cases[i].answers) != cases[i].wanted)
            fail_msg("case %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_are_the_same_unless_something_known_differs),
        cmocka_unit_test(what_is_not_known_is_not_taken_for_another_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
