/* tests/unit/test_signal_request.c - what the ledger's record of a table says about a request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/messages/signal_request.h"

#define OFFSET 7

static void note(struct ledger_table *record, int64_t offset, const char *id,
                 const char *refused)
{
    const struct ledger_handled handled = {offset, (char *)id, (char *)refused, 0};

    ledger_table_handled(record, &handled);
}

static void a_request_is_found_by_its_id_and_else_by_its_offset(void **state)
{
    static const struct {
        const char *what;
        int64_t signal_offset; /* of the record */
        const char *id;        /* in its list, at some offset; NULL: the list is empty */
        const char *refused;
        enum signal_outcome outcome;
    } cases[] = {
        {"no request was handled yet", -1, NULL, NULL, SIGNAL_WAITS},
        {"its turn has not come", OFFSET, NULL, NULL, SIGNAL_WAITS},
        {"another was handled", OFFSET, "other", "", SIGNAL_WAITS},
        {"another was refused", OFFSET, "other", "no", SIGNAL_WAITS},
        {"it was taken", OFFSET + 1, "mine", "", SIGNAL_TAKEN},
        {"it was taken, and others since", OFFSET + 4, "mine", "", SIGNAL_TAKEN},
        {"a copy of it was taken", OFFSET, "mine", "", SIGNAL_TAKEN},
        {"it was refused", OFFSET + 1, "mine", "no", SIGNAL_REFUSED},
        {"a record of an older producer", OFFSET + 1, NULL, NULL, SIGNAL_UNKNOWN},
        {"the list knows later ones only", OFFSET + 9, "other", "", SIGNAL_UNKNOWN},
    };
    const struct table_signal signal = {.id = (char *)"mine", .type = TABLE_SIGNAL_PAUSE};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ledger_table record = {.signal_offset = cases[i].signal_offset};
        const char *refused = NULL;

        if (cases[i].id)
            note(&record, 3, cases[i].id, cases[i].refused);
        if (signal_request_outcome(&record, &signal, OFFSET, &refused) != cases[i].outcome)
            fail_msg("%s", cases[i].what);
        if (cases[i].outcome == SIGNAL_REFUSED)
            assert_string_equal(refused, "no");
        ledger_table_release(&record);
    }
}

static void of_a_request_that_was_sent_twice_the_first_counts(void **state)
{
    const struct table_signal signal = {.id = (char *)"mine", .type = TABLE_SIGNAL_SNAPSHOT};
    AUTO(ledger_table_release) struct ledger_table record = {.signal_offset = 9};
    const char *refused = NULL;

    (void)state;
    note(&record, 7, "mine", "");
    note(&record, 8, "mine", "another generation has begun since");
    assert_int_equal(signal_request_outcome(&record, &signal, 8, &refused), SIGNAL_TAKEN);
}

static void a_table_without_a_record_was_forgotten(void **state)
{
    const struct table_signal forget = {.id = (char *)"mine", .type = TABLE_SIGNAL_FORGET},
                              pause = {.id = (char *)"mine", .type = TABLE_SIGNAL_PAUSE};
    const char *refused = NULL;

    (void)state;
    assert_int_equal(signal_request_outcome(NULL, &forget, 1, &refused), SIGNAL_TAKEN);
    assert_int_equal(signal_request_outcome(NULL, &pause, 1, &refused), SIGNAL_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_found_by_its_id_and_else_by_its_offset),
        cmocka_unit_test(of_a_request_that_was_sent_twice_the_first_counts),
        cmocka_unit_test(a_table_without_a_record_was_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
