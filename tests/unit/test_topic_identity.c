/* Whether a log is the one that a position is about: what is looked at, and what follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "consumer/topic_identity.h"

/* The position's generation 5 began at 10; it is to go on at 100. */
#define CLAIM .log_id = "log", .generation = 5, .begin = 10, .position = 100
#define NEWER .newest = 60, .newest_generation = 6
static const struct log_claim plain = {CLAIM, .newest = POSITION_NONE};
static const struct log_claim newer = {
    .log_id = "log", .generation = 5, .begin = 10, .position = 55, NEWER};
static const struct log_claim beyond = {CLAIM, NEWER}; /* 100 is behind the newer begin, at 60 */
static const struct log_claim doubted = {CLAIM, .newest = POSITION_NONE, .doubted = true};
static const struct log_claim blind = {
    .log_id = "log", .generation = 5, .begin = POSITION_NONE, .newest = POSITION_NONE};

#define BEGIN(at, number, id)                                                                  \
    {                                                                                          \
        .kind = SIGHT_RECORD, .offset = at, .begins = true, .generation = number, .log_id = id \
    }
#define RECORD(at, number)                                                                     \
    {                                                                                          \
        .kind = SIGHT_RECORD, .offset = at, .generation = number                               \
    }
#define END_OF_ROWS(at, number, id)                                                            \
    {                                                                                          \
        .kind = SIGHT_RECORD, .offset = at, .generation = number, .log_id = id                 \
    }
#define END(at)                                                                                \
    {                                                                                          \
        .kind = SIGHT_END, .offset = at                                                        \
    }
#define OUTSIDE                                                                                \
    {                                                                                          \
        .kind = SIGHT_OUTSIDE                                                                  \
    }
#define LOOK(at) LOG_LOOK, LOG_AT_##at
#define SAME LOG_SAME, LOG_PLACES
#define OTHER LOG_OTHER, LOG_PLACES
#define TRUNCATED LOG_TRUNCATED, LOG_PLACES

static const struct {
    const char *what;
    const struct log_claim *claim;
    enum log_verdict verdict;
    enum log_place look;
    struct log_sight sights[LOG_PLACES]; /* begin, newest, position, oldest */
} cases[] = {
    {"the begin is looked at first", &plain, LOOK(BEGIN), {{0}}},
    {"the begin of that generation of that log", &plain, SAME, {BEGIN(10, 5, "log")}},
    {"a begin of another log", &plain, OTHER, {BEGIN(10, 5, "new")}},
    {"a begin of another generation", &plain, OTHER, {BEGIN(10, 6, "log")}},
    {"the end of its rows is no begin", &plain, OTHER, {END_OF_ROWS(10, 5, "log")}},
    {"a change of the same generation at the begin", &plain, OTHER, {RECORD(10, 5)}},
    {"anybody's record at the begin", &plain, OTHER, {RECORD(10, 0)}},
    {"the log ends before the begin", &plain, OTHER, {END(4)}},
    {"the log ends at the begin", &plain, OTHER, {END(10)}},

    {"a hole where the begin was", &plain, OTHER, {RECORD(11, 5)}},
    {"nothing but markers from the begin on", &plain, OTHER, {END(12)}},
    {"a hole, but a later begin has the same key", &newer, LOOK(NEWEST), {RECORD(11, 5)}},
    {"a hole, and the later begin is there",
     &newer,
     SAME,
     {RECORD(11, 5), BEGIN(60, 6, "log")}},
    {"a hole, and the later begin is not there", &newer, OTHER, {RECORD(11, 5), RECORD(60, 6)}},
    {"the later begin is of another log", &newer, OTHER, {END(70), BEGIN(60, 6, "new")}},

    {"the begin is outside", &plain, LOOK(OLDEST), {OUTSIDE}},
    {"outside, since the log is shorter", &plain, OTHER, {OUTSIDE, [3] = RECORD(0, 5)}},
    {"outside, since the log is new and empty", &plain, OTHER, {OUTSIDE, [3] = END(0)}},
    {"retention took the begin", &plain, SAME, {OUTSIDE, [3] = RECORD(40, 5)}},
    {"retention took all", &plain, SAME, {OUTSIDE, [3] = END(120)}},
    {"what is left says nothing", &plain, SAME, {OUTSIDE, [3] = RECORD(40, 0)}},
    {"what is left is of a former generation", &plain, OTHER, {OUTSIDE, [3] = RECORD(40, 4)}},
    {"what is left ends another log",
     &plain,
     OTHER,
     {OUTSIDE, [3] = END_OF_ROWS(40, 5, "new")}},
    {"what is left begins a generation of it",
     &plain,
     SAME,
     {OUTSIDE, [3] = BEGIN(40, 6, "log")}},
    {"left: a later begin is looked at", &newer, LOOK(NEWEST), {OUTSIDE, [3] = RECORD(40, 5)}},
    {"left: the later begin is there",
     &newer,
     SAME,
     {OUTSIDE, BEGIN(60, 6, "log"), [3] = RECORD(40, 5)}},
    {"left: the later begin is another log's",
     &newer,
     OTHER,
     {OUTSIDE, BEGIN(60, 6, "new"), [3] = RECORD(40, 5)}},
    {"retention took both begins", &newer, SAME, {OUTSIDE, [3] = RECORD(80, 6)}},
    {"too old for behind the later begin", &newer, OTHER, {OUTSIDE, [3] = RECORD(80, 5)}},

    {"a position behind a later begin that it has not applied: the log had lost its end",
     &beyond,
     OTHER,
     {{0}}},

    {"no begin is known", &blind, LOOK(OLDEST), {{0}}},
    {"no begin is known, and what is there fits", &blind, SAME, {[3] = RECORD(0, 5)}},
    {"no begin is known, and what is there does not fit", &blind, OTHER, {[3] = RECORD(0, 4)}},

    {"in doubt the begin is not enough", &doubted, LOOK(POSITION), {BEGIN(10, 5, "log")}},
    {"in doubt another log is another log", &doubted, OTHER, {BEGIN(10, 5, "new")}},
    {"the position is there", &doubted, SAME, {BEGIN(10, 5, "log"), [2] = RECORD(103, 5)}},
    {"the position is the end", &doubted, SAME, {BEGIN(10, 5, "log"), [2] = END(100)}},
    {"the end is behind markers", &doubted, SAME, {BEGIN(10, 5, "log"), [2] = END(104)}},
    {"the end went back", &doubted, OTHER, {BEGIN(10, 5, "log"), [2] = END(99)}},
    {"the position is outside", &doubted, LOOK(OLDEST), {BEGIN(10, 5, "log"), [2] = OUTSIDE}},
    {"outside behind the end",
     &doubted,
     OTHER,
     {BEGIN(10, 5, "log"), [2] = OUTSIDE, [3] = RECORD(10, 5)}},
    {"outside before the beginning",
     &doubted,
     TRUNCATED,
     {OUTSIDE, [2] = OUTSIDE, [3] = RECORD(140, 5)}},
    {"outside, and all is gone", &doubted, TRUNCATED, {OUTSIDE, [2] = OUTSIDE, [3] = END(140)}},
};

static void a_log_is_told_by_what_stands_in_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum log_place look = LOG_PLACES;
        enum log_verdict verdict = topic_identity_judge(&look, cases[i].claim, cases[i].sights);

        if (verdict != cases[i].verdict || look != cases[i].look)
            fail_msg("%s: verdict %d, look at %d", cases[i].what, verdict, look);
    }
}

/* Whatever is seen, no place is asked for twice, so a look always comes to an end. */
static void a_look_comes_to_an_end(void **state)
{
    static const struct log_sight seen[] = {BEGIN(10, 5, "log"),
                                            BEGIN(60, 6, "log"),
                                            RECORD(10, 5),
                                            RECORD(80, 6),
                                            END(0),
                                            END(200)};
    const struct log_claim *claims[] = {&plain, &newer, &beyond, &doubted, &blind};

    (void)state;
    for (size_t run = 0; run < ARRAY_LEN(claims) * 7 * 7 * 7; run++) {
        struct log_sight sights[LOG_PLACES] = {{0}};
        size_t choice = run / ARRAY_LEN(claims);
        enum log_place look;

        while (topic_identity_judge(&look, claims[run % ARRAY_LEN(claims)], sights) ==
               LOG_LOOK) {
            size_t pick = choice % 7;

            assert_int_equal(sights[look].kind, SIGHT_NONE);
            if (pick == 6 && look != LOG_AT_OLDEST)
                sights[look].kind = SIGHT_OUTSIDE;
            else
                sights[look] = seen[pick % 6];
            choice /= 7;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_is_told_by_what_stands_in_it),
        cmocka_unit_test(a_look_comes_to_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
