/* tests/unit/test_generation_model.c - whatever befalls the consumers of a partition whose log
 * holds several generations, in every order: the target ends with what the newest rows and the
 * changes behind them say, no document of before is left, and no sweep deletes a document that
 * its generation holds.
 *
 * The rules of positions are compiled in here, so that one at a time can be broken: the search
 * has to find what follows from that. Rules that the consumer keeps around them are left out by
 * struct generation_former. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mutation.h"

static const char *broken_rule = "";
#undef MUTATED
#define MUTATED(name) (strcmp(broken_rule, #name) == 0)

#include "consumer/position.c"
#include "support_generation_model.h"

/* ---- logs ---- */

#define PUT(key, value)                                                                        \
    {                                                                                          \
        GENERATION_PUT, 0, key, value                                                          \
    }
#define DELETE(key)                                                                            \
    {                                                                                          \
        GENERATION_PUT, 0, key, 0                                                              \
    }
#define BEGIN(generation)                                                                      \
    {                                                                                          \
        GENERATION_BEGIN, generation, 0, 0                                                     \
    }
#define BEGIN_FIRST(generation)                                                                \
    {                                                                                          \
        GENERATION_BEGIN_FIRST, generation, 0, 0                                               \
    }
#define BEGIN_CHANGES(generation)                                                              \
    {                                                                                          \
        GENERATION_BEGIN_CHANGES, generation, 0, 0                                             \
    }
#define END                                                                                    \
    {                                                                                          \
        GENERATION_END, 0, 0, 0                                                                \
    }

/* Key 1 is gone in the second generation. */
static const struct generation_case two_generations = {
    .name = "two generations",
    .log = {BEGIN(1), PUT(1, 1), PUT(0, 2), END, BEGIN(2), PUT(0, 3), END},
    .log_len = 7,
};

static const struct generation_case after_the_first = {
    .name = "after the first",
    .log = {BEGIN_FIRST(1), PUT(1, 1), PUT(0, 2), END, BEGIN(2), PUT(0, 3), END},
    .log_len = 7,
};

/* Key 1 was there before the rows began. */
static const struct generation_case orphan = {
    .name = "an orphan",
    .log = {PUT(1, 1), BEGIN(1), PUT(0, 2), PUT(2, 3), END},
    .log_len = 5,
};

static const struct generation_case same_key = {
    .name = "the same key",
    .log = {BEGIN(1), PUT(0, 1), END, BEGIN(2), PUT(0, 2), END},
    .log_len = 6,
};

/* Key 0 is an orphan that is made anew after the end, key 1 is deleted and made anew. */
static const struct generation_case made_anew = {
    .name = "made anew",
    .log = {PUT(0, 1), BEGIN(1), PUT(1, 2), END, DELETE(1), PUT(0, 3), PUT(1, 4)},
    .log_len = 7,
};

/* The second begins before the end of the first. */
static const struct generation_case cut_short = {
    .name = "cut short",
    .log = {PUT(2, 1), BEGIN(1), PUT(1, 2), BEGIN(2), PUT(0, 3), END},
    .log_len = 6,
};

static const struct generation_case without_rows = {
    .name = "without rows",
    .log = {BEGIN(1), PUT(0, 1), PUT(0, 2), END, BEGIN_CHANGES(2), PUT(1, 3)},
    .log_len = 6,
};

/* The first that its collection saw; what was before it is only applied when somebody asks. */
static const struct generation_case from_its_begin = {
    .name = "from its begin",
    .log = {PUT(1, 1), BEGIN_FIRST(1), PUT(0, 2), END},
    .log_len = 4,
    .starts_at_begin = true,
};

static const struct generation_case *const all[] = {
    &from_its_begin, &two_generations, &after_the_first, &orphan,
    &same_key,       &made_anew,       &cut_short,       &without_rows};

/* ---- what may happen ---- */

static struct generation_case case_of(const struct generation_case *log)
{
    struct generation_case c = *log;

    c.consumers = 2;
    c.lag = 1;
    return c;
}

static void holds(const struct generation_case *c)
{
    static const struct generation_former none;
    struct generation_outcome o;

    broken_rule = "";
    o = generation_model_run(c, &none, true);
    assert_true(o.ends > 0);
    assert_false(o.wrong);
    assert_false(o.took);
}

static void fails(const struct generation_case *c, struct generation_former former)
{
    struct generation_outcome o = generation_model_run(c, &former, false);

    assert_true(o.wrong || o.took);
}

static void fails_broken(const struct generation_case *c, const char *rule)
{
    static const struct generation_former none;
    struct generation_outcome o;

    broken_rule = rule;
    o = generation_model_run(c, &none, false);
    broken_rule = "";
    assert_true(o.wrong || o.took);
}

/* These take minutes. */
static void only_in_campaigns(void)
{
    if (!getenv("DYNAFERRY_GENERATION_MODEL"))
        skip();
}

static void one_takes_over_from_one_that_writes_late(void **state)
{
    const struct generation_case *const logs[] = {&orphan, &same_key, &without_rows};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        struct generation_case c = case_of(logs[i]);

        c.moves = 1;
        holds(&c);
    }
}

static void one_takes_over_from_one_that_was_killed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct generation_case c = case_of(all[i]);

        c.ends = c.faults = 1;
        holds(&c);
    }
}

static void a_replay_by_hand_ends_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (int to = 0; to < all[i]->log_len; to++) {
            struct generation_case c = case_of(all[i]);

            c.faults = 2;
            c.lag = 3;
            c.replays = 1;
            c.replay_to = to;
            holds(&c);
        }
}

static void a_replay_while_one_takes_over_from_one_that_was_killed_ends_right(void **state)
{
    const struct generation_case *const logs[] = {&two_generations, &made_anew};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        struct generation_case c = case_of(logs[i]);

        c.ends = c.replays = 1;
        c.replay_to = 3;
        holds(&c);
    }
}

/* Its first generation has a pass then, and needs one again when it is applied again. */
static void a_replay_behind_the_first_begin_ends_right_when_one_is_killed(void **state)
{
    struct generation_case c = case_of(&from_its_begin);

    (void)state;
    c.ends = c.replays = 1;
    c.lag = 2;
    holds(&c);
}

static void notes_that_are_collected_were_needed_by_nobody(void **state)
{
    struct generation_case c = case_of(&two_generations);

    (void)state;
    c.collects = 1;
    c.ends = 1;
    c.lag = 2;
    holds(&c);
}

/* ---- in campaigns ---- */

/* Who goes back behind the first begin while another may write late, what was before it, leaves
 * that there: the mark goes back to the begin, from where nothing of it is swept. */
static bool is_left_out(const struct generation_case *log, const struct generation_case *more)
{
    return log == &from_its_begin && more->moves > 0 && more->replays > 0;
}

static void each_log_with(struct generation_case more)
{
    only_in_campaigns();
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct generation_case c = case_of(all[i]);

        if (is_left_out(all[i], &more))
            continue;
        c.faults = more.faults;
        c.ends = more.ends;
        c.moves = more.moves;
        c.undecided = more.undecided;
        c.replays = more.replays;
        c.collects = more.collects;
        c.lag = 1 + more.lag;
        holds(&c);
    }
}

static void any_log_ends_right_when_one_is_killed_and_one_writes_late(void **state)
{
    (void)state;
    each_log_with((struct generation_case){.moves = 1, .ends = 1});
}

static void any_log_ends_right_when_an_answer_is_missing_and_one_writes_late(void **state)
{
    (void)state;
    each_log_with((struct generation_case){.moves = 1, .faults = 1});
}

static void any_log_ends_right_when_it_is_replayed_and_one_writes_late(void **state)
{
    (void)state;
    each_log_with((struct generation_case){.moves = 1, .replays = 1});
}

static void any_log_ends_right_when_notes_are_collected_and_one_writes_late(void **state)
{
    (void)state;
    each_log_with((struct generation_case){.moves = 1, .collects = 1});
}

static void any_log_ends_right_when_all_of_it_befalls_one_owner_after_the_other(void **state)
{
    (void)state;
    each_log_with((struct generation_case){
        .faults = 1, .ends = 1, .replays = 1, .collects = 1, .lag = 1});
}

/* ---- each rule is needed ---- */

static void a_sweep_must_read_the_position_before_it_deletes(void **state)
{
    struct generation_case c = case_of(&orphan);

    (void)state;
    c.moves = 1;
    fails_broken(&c, "sweep_check");
}

static void going_back_to_the_begin_must_clear_the_pass(void **state)
{
    struct generation_case c = case_of(&two_generations);

    (void)state;
    c.replays = 1;
    c.replay_to = 3;
    fails_broken(&c, "pass");
}

static void a_late_writer_must_be_healed(void **state)
{
    struct generation_case c = case_of(&same_key);

    (void)state;
    c.moves = 1;
    fails_broken(&c, "heal");
}

static void notes_must_be_kept_per_pass(void **state)
{
    struct generation_case c = case_of(&orphan);

    (void)state;
    c.ends = 1;
    fails(&c, (struct generation_former){.one_for_all = true});
}

/* Else they may be collected: no position holds their pass. */
static void the_pass_must_be_in_the_document_before_the_first_note(void **state)
{
    struct generation_case c = case_of(&orphan);

    (void)state;
    c.collects = 1;
    c.lag = 2;
    fails(&c, (struct generation_former){.early_notes = true});
}

static void the_position_must_not_pass_an_event_without_its_note(void **state)
{
    struct generation_case c = case_of(&orphan);

    (void)state;
    c.ends = 1;
    fails(&c, (struct generation_former){.note_unwaited = true});
}

static void a_late_delete_of_a_sweep_must_be_marked(void **state)
{
    struct generation_case c = case_of(&made_anew);

    (void)state;
    c.moves = 1;
    fails(&c, (struct generation_former){.untold = true});
}

/* The owner may have swept and gone back to the end: the same offset, but no notes. */
static void taking_over_must_compare_the_pass(void **state)
{
    struct generation_case c = case_of(&orphan);

    (void)state;
    c.moves = 1;
    c.replays = 1;
    c.replay_to = 4;
    fails(&c, (struct generation_former){.blind_take = true});
}

/* Nothing behind such a begin brings the value that was overwritten. */
static void a_mark_must_not_stop_at_a_begin_without_rows(void **state)
{
    struct generation_case c = case_of(&without_rows);

    (void)state;
    c.moves = 1;
    fails(&c, (struct generation_former){.rows_expected = true});
}

/* Somebody may have gone back before its begin. */
static void the_first_generation_too_needs_a_pass_when_more_was_applied(void **state)
{
    struct generation_case c = case_of(&from_its_begin);

    (void)state;
    c.replays = 1;
    fails(&c, (struct generation_former){.first_is_first = true});
}

/* Documents are gone that were read when the end was reached before. */
static void going_back_must_forget_what_a_sweep_read(void **state)
{
    struct generation_case c = case_of(&orphan);

    (void)state;
    c.moves = 1;
    fails(&c, (struct generation_former){.remembers = true});
}

static void holds_all_the_same(const struct generation_case *c, struct generation_former former)
{
    struct generation_outcome o = generation_model_run(c, &former, true);

    assert_true(o.ends > 0);
    assert_false(o.wrong || o.took);
}

/* The position that is read after both sees to it. */
static void the_notes_may_be_read_before_the_documents(void **state)
{
    struct generation_case c = case_of(&same_key);

    (void)state;
    c.moves = 1;
    holds_all_the_same(&c, (struct generation_former){.notes_first = true});
}

/* Only the position must wait for both. */
static void a_note_may_be_written_before_its_document(void **state)
{
    const struct generation_case *const logs[] = {&orphan, &same_key, &made_anew};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        struct generation_case c = case_of(logs[i]);

        c.ends = c.faults = 1;
        holds_all_the_same(&c, (struct generation_former){.noted_first = true});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_takes_over_from_one_that_writes_late),
        cmocka_unit_test(one_takes_over_from_one_that_was_killed),
        cmocka_unit_test(a_replay_by_hand_ends_right),
        cmocka_unit_test(a_replay_while_one_takes_over_from_one_that_was_killed_ends_right),
        cmocka_unit_test(a_replay_behind_the_first_begin_ends_right_when_one_is_killed),
        cmocka_unit_test(notes_that_are_collected_were_needed_by_nobody),
        cmocka_unit_test(any_log_ends_right_when_one_is_killed_and_one_writes_late),
        cmocka_unit_test(any_log_ends_right_when_an_answer_is_missing_and_one_writes_late),
        cmocka_unit_test(any_log_ends_right_when_it_is_replayed_and_one_writes_late),
        cmocka_unit_test(any_log_ends_right_when_notes_are_collected_and_one_writes_late),
        cmocka_unit_test(any_log_ends_right_when_all_of_it_befalls_one_owner_after_the_other),
        cmocka_unit_test(a_sweep_must_read_the_position_before_it_deletes),
        cmocka_unit_test(going_back_to_the_begin_must_clear_the_pass),
        cmocka_unit_test(a_late_writer_must_be_healed),
        cmocka_unit_test(notes_must_be_kept_per_pass),
        cmocka_unit_test(the_pass_must_be_in_the_document_before_the_first_note),
        cmocka_unit_test(the_position_must_not_pass_an_event_without_its_note),
        cmocka_unit_test(a_late_delete_of_a_sweep_must_be_marked),
        cmocka_unit_test(taking_over_must_compare_the_pass),
        cmocka_unit_test(a_mark_must_not_stop_at_a_begin_without_rows),
        cmocka_unit_test(the_first_generation_too_needs_a_pass_when_more_was_applied),
        cmocka_unit_test(going_back_must_forget_what_a_sweep_read),
        cmocka_unit_test(the_notes_may_be_read_before_the_documents),
        cmocka_unit_test(a_note_may_be_written_before_its_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
