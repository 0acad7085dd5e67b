/* tests/unit/test_command.c - requests by hand: what the flags say, and when what was asked for
 * is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/exit_code.h"
#include "common/config/config_load.h"
#include "producer/command.h"

#define WORDS_AT_MOST 8
#define ASKED 100

/* As main reads the words of a line; ret points into storage that the next call uses again. */
static int read_line(struct command *ret, const char *line, struct error *err)
{
    static char text[256];
    AUTO(config_freep) struct config *config = NULL;
    char *words[WORDS_AT_MOST] = {"dynaferry-producer"}, *rest = text, *word;
    int count = 1;

    strcpy(text, line);
    while ((word = strsep(&rest, " ")) && *word)
        words[count++] = word;
    if (config_load(&config, CONFIG_PRODUCER, count, words, command_extras, err) < 0)
        return -1;
    return command_read(ret, command_extras, err);
}

static void a_flag_names_the_request_and_its_table(void **state)
{
    static const struct {
        const char *line;
        struct command command;
    } cases[] = {
        {"--resnapshot orders", {"orders", TABLE_SIGNAL_SNAPSHOT, NULL, false}},
        {"--resnapshot=orders --wait", {"orders", TABLE_SIGNAL_SNAPSHOT, NULL, true}},
        {"--pause orders --reason upgrade", {"orders", TABLE_SIGNAL_PAUSE, "upgrade", false}},
        {"--wait --resume a.b", {"a.b", TABLE_SIGNAL_RESUME, NULL, true}},
        {"--forget orders", {"orders", TABLE_SIGNAL_FORGET, NULL, false}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct command *want = &cases[i].command;
        struct command got;
        struct error err = {0};

        if (read_line(&got, cases[i].line, &err) != 1)
            fail_msg("%s: %s", cases[i].line, err.message);
        assert_string_equal(got.table, want->table);
        assert_int_equal(got.type, want->type);
        assert_int_equal(got.wait, want->wait);
        assert_int_equal(got.reason != NULL, want->reason != NULL);
        if (want->reason)
            assert_string_equal(got.reason, want->reason);
    }
}

static void without_a_flag_the_producer_carries_tables(void **state)
{
    struct command command;
    struct error err = {0};

    (void)state;
    assert_int_equal(read_line(&command, "", &err), 0);
    assert_int_equal(read_line(&command, "--set id=a", &err), 0);
}

static void what_is_no_whole_command_is_refused_by_name(void **state)
{
    static const struct {
        const char *line;
        const char *words;
    } cases[] = {
        {"--pause a --resume a", "only one of"},
        {"--pause a --resnapshot b", "only one of"},
        {"--wait", "--wait and --reason belong to"},
        {"--reason x", "--wait and --reason belong to"},
        {"--pause", "a value is missing: --pause"},
        {"--pause --wait", "a value is missing: --pause"},
        {"--forget=", "--forget"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct command command;
        struct error err = {0};

        if (read_line(&command, cases[i].line, &err) != -1)
            fail_msg("%s was taken", cases[i].line);
        assert_int_equal(err.code, EXIT_USAGE_ERROR);
        if (!strstr(err.message, cases[i].words))
            fail_msg("%s: %s", cases[i].line, err.message);
    }
}

/* ---- when it is done ---- */

/* A phase in which the table goes on by itself, or is about to be looked at again. */
#define MOVES 10
#define GAP_RENEW (MOVES + PHASE_GAP)

static void a_command_is_done_when_the_ledger_shows_it(void **state)
{
    enum {
        SNAPSHOT = TABLE_SIGNAL_SNAPSHOT,
        PAUSE = TABLE_SIGNAL_PAUSE,
        RESUME = TABLE_SIGNAL_RESUME
    };
    static const struct {
        int type;
        int phase;
        int64_t generation;
        bool finished, rows;
        enum command_progress progress;
    } cases[] = {
        {SNAPSHOT, GAP_RENEW, ASKED, true, true, COMMAND_UNDER_WAY},
        {SNAPSHOT, PHASE_TAIL, ASKED, true, true, COMMAND_UNDER_WAY},
        {SNAPSHOT, PHASE_SNAPSHOT, ASKED + 1, false, true, COMMAND_UNDER_WAY},
        {SNAPSHOT, PHASE_TAIL, ASKED + 1, true, true, COMMAND_DONE},
        {SNAPSHOT, PHASE_TAIL, ASKED + 1, false, false, COMMAND_DONE},
        {SNAPSHOT, PHASE_PAUSED, ASKED + 1, true, true, COMMAND_DONE},
        {SNAPSHOT, PHASE_PAUSED, ASKED + 1, false, true, COMMAND_STUCK},
        {SNAPSHOT, PHASE_GAP, ASKED, true, true, COMMAND_STUCK},
        {SNAPSHOT, PHASE_FAILED, ASKED, true, true, COMMAND_STUCK},
        {SNAPSHOT, PHASE_GONE, ASKED, true, true, COMMAND_STUCK},
        {SNAPSHOT, MOVES + PHASE_FAILED, ASKED, false, true, COMMAND_UNDER_WAY},
        {SNAPSHOT, MOVES + PHASE_GONE, ASKED, false, true, COMMAND_UNDER_WAY},
        {PAUSE, PHASE_PAUSED, ASKED, true, true, COMMAND_DONE},
        {PAUSE, PHASE_TAIL, ASKED, true, true, COMMAND_UNDER_WAY},
        {PAUSE, GAP_RENEW, ASKED, true, true, COMMAND_UNDER_WAY},
        {PAUSE, PHASE_FAILED, ASKED, true, true, COMMAND_STUCK},
        {RESUME, PHASE_PAUSED, ASKED, true, true, COMMAND_STUCK}, /* by somebody else */
        {RESUME, PHASE_TAIL, ASKED, true, true, COMMAND_DONE},
        {RESUME, PHASE_SNAPSHOT, ASKED, false, true, COMMAND_DONE},
        {RESUME, GAP_RENEW, ASKED, true, true, COMMAND_UNDER_WAY},
        {RESUME, PHASE_GAP, ASKED, true, true, COMMAND_STUCK},
        {RESUME, PHASE_FAILED, ASKED, true, true, COMMAND_STUCK},
        {RESUME, PHASE_GONE, ASKED, true, true, COMMAND_STUCK},
        {RESUME, MOVES + PHASE_FAILED, ASKED, true, true, COMMAND_UNDER_WAY},
        {RESUME, MOVES + PHASE_GONE, ASKED, true, true, COMMAND_UNDER_WAY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct command command = {.type = (enum table_signal_type)cases[i].type};
        enum ledger_phase phase = (enum ledger_phase)(cases[i].phase % MOVES);
        bool moves = cases[i].phase >= MOVES;
        const struct ledger_table record = {.phase = phase,
                                            .renew = moves && phase == PHASE_GAP,
                                            .retry = moves && phase != PHASE_GAP,
                                            .generation = cases[i].generation,
                                            .finished_ms = cases[i].finished,
                                            .rows = cases[i].rows};

        if (command_progress(&command, &record, true, ASKED) != cases[i].progress)
            fail_msg("case %zu", i);
    }
}

static void a_table_is_forgotten_when_record_and_place_are_gone(void **state)
{
    const struct command forget = {.type = TABLE_SIGNAL_FORGET},
                         resume = {.type = TABLE_SIGNAL_RESUME};
    const struct ledger_table record = {.phase = PHASE_GONE, .forget = true};
    const struct ledger_table came_back = {.phase = PHASE_TAIL};

    (void)state;
    assert_int_equal(command_progress(&forget, &record, true, ASKED), COMMAND_UNDER_WAY);
    assert_int_equal(command_progress(&forget, NULL, true, ASKED), COMMAND_UNDER_WAY);
    assert_int_equal(command_progress(&forget, &came_back, true, ASKED), COMMAND_STUCK);
    assert_int_equal(command_progress(&forget, NULL, false, ASKED), COMMAND_DONE);
    assert_int_equal(command_progress(&resume, NULL, false, ASKED), COMMAND_STUCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_names_the_request_and_its_table),
        cmocka_unit_test(without_a_flag_the_producer_carries_tables),
        cmocka_unit_test(what_is_no_whole_command_is_refused_by_name),
        cmocka_unit_test(a_command_is_done_when_the_ledger_shows_it),
        cmocka_unit_test(a_table_is_forgotten_when_record_and_place_are_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
