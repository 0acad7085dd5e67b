/* tests/unit/test_position_pass.c - positions: what generations and their passes add. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "support_position.h"

/* In the middle of generation 8, whose keys are noted under a pass. */
static struct position_doc under_pass(void)
{
    struct position_doc doc = position_support_doc();

    strcpy(doc.owner, "me");
    strcpy(doc.pass, "p");
    doc.begin = doc.rows_begin = 200;
    return doc;
}

static struct position owner_under_pass(void)
{
    struct position_doc doc = under_pass();
    struct position p;

    position_taken(&p, &doc, 0, 10);
    return p;
}

static void a_begin_says_where_its_generation_and_its_rows_begin(void **state)
{
    struct position p = owner_under_pass();
    struct position_change move;

    (void)state;
    position_begun(&p, 9, 600, "log", "q");
    position_written(&p, 601);
    position_move(&move, &p, "me");
    assert_int_equal(move.next.offset, 601);
    assert_int_equal(move.next.generation, 9);
    assert_int_equal(move.next.begin, 600);
    assert_int_equal(move.next.rows_begin, 600);
    assert_string_equal(move.next.pass, "q");
    position_begun_without_rows(&p, 10, 700, "log");
    position_move(&move, &p, "me");
    assert_int_equal(move.next.generation, 10);
    assert_int_equal(move.next.begin, 700);
    assert_int_equal(move.next.rows_begin, 600);
    assert_string_equal(move.next.pass, "");
}

static void taking_over_keeps_the_pass_unless_it_goes_back_to_the_begin(void **state)
{
    struct position_doc old = under_pass(), doc;
    struct position p;

    (void)state;
    position_support_take(&doc, &old, &position_support_source, "you");
    assert_string_equal(doc.pass, "p");
    position_taken(&p, &doc, 0, 10);
    assert_string_equal(p.pass, "p");
    old.rewind = 201;
    position_support_take(&doc, &old, &position_support_source, "you");
    assert_string_equal(doc.pass, "p");
    old.rewind = 200;
    position_support_take(&doc, &old, &position_support_source, "you");
    assert_int_equal(doc.offset, 200);
    assert_string_equal(doc.pass, "");
}

static void a_start_at_the_newest_begin_has_no_pass_and_knows_whether_rows_follow(void **state)
{
    struct position_doc old = under_pass(), doc;
    struct position_source from = position_support_source;

    (void)state;
    strcpy(old.log_id, "older");
    position_support_take(&doc, &old, &from, "you");
    assert_string_equal(doc.pass, "");
    assert_int_equal(doc.rows_begin, POSITION_NONE);
    from.rows = true;
    position_support_take(&doc, &old, &from, "you");
    assert_int_equal(doc.rows_begin, 100);
}

static void going_back_for_a_mark_clears_the_pass_at_the_begin(void **state)
{
    static const struct {
        int64_t offset;
        const char *pass;
    } cases[] = {{201, "p"}, {200, ""}, {199, ""}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct position_doc doc = under_pass();
        struct position p = owner_under_pass();
        struct position_change back;

        position_set_back(&back, &doc, cases[i].offset);
        assert_string_equal(back.seen.pass, "p");
        assert_string_equal(back.next.pass, cases[i].pass);
        position_went_back(&p, cases[i].offset);
        assert_string_equal(p.pass, cases[i].pass);
    }
}

static void applying_again_clears_the_pass_at_the_begin(void **state)
{
    static const struct {
        int64_t again;
        const char *pass;
    } cases[] = {{201, "p"}, {200, ""}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct position_doc doc = under_pass();
        struct position_change back;
        struct position p;

        doc.again = cases[i].again;
        position_taken(&p, &doc, 0, 10);
        position_begin_again(&back, &p, "me");
        assert_string_equal(back.next.pass, cases[i].pass);
        position_begins_again(&p);
        assert_string_equal(p.pass, cases[i].pass);
    }
}

static void a_swept_generation_has_no_pass(void **state)
{
    struct position p = owner_under_pass();
    struct position_change move, goodbye;

    (void)state;
    position_swept(&p, 501);
    position_move(&move, &p, "me");
    assert_int_equal(move.next.offset, 501);
    assert_string_equal(move.next.pass, "");
    position_goodbye(&goodbye, &p, "me");
    assert_string_equal(goodbye.next.pass, "");
}

static void an_owner_follows_the_pass_of_its_document(void **state)
{
    struct position_doc doc = under_pass();
    struct position p = owner_under_pass();

    (void)state;
    position_swept(&p, 501); /* not executed, as it turns out */
    position_adopt(&p, &doc, 50, 10);
    assert_string_equal(p.pass, "p");
    assert_int_equal(p.applied, 500);
}

static void only_the_owner_with_the_same_pass_may_sweep(void **state)
{
    struct position p = owner_under_pass();
    struct position_doc docs[] = {under_pass(), under_pass(), under_pass(), under_pass()};
    struct position_doc mine = under_pass();

    (void)state;
    assert_true(position_may_sweep(&p, &mine, "me"));
    docs[0].epoch++;
    strcpy(docs[1].owner, "you");
    strcpy(docs[2].pass, "");
    docs[3].found = false;
    for (size_t i = 0; i < ARRAY_LEN(docs); i++)
        assert_false(position_may_sweep(&p, &docs[i], "me"));
}

/* What stands before the begin comes into the collection, and has to be swept. */
static void the_first_generation_needs_a_pass_only_after_a_way_back_behind_it(void **state)
{
    static const struct {
        const char *pass;
        int64_t offset, rows_begin;
        bool needs_pass;
    } cases[] = {
        {"", 201, 200, false},           {"", 200, 200, false}, {"", 199, POSITION_NONE, true},
        {"p", 201, 200, false},          /* not on the way: it does not pass the begin again */
        {"p", 200, POSITION_NONE, true}, /* what its pass was for is still there */
        {"p", 199, POSITION_NONE, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct position_doc doc = under_pass();
        struct position_change back;
        struct position p;

        strcpy(doc.pass, cases[i].pass);
        position_taken(&p, &doc, 0, 10);
        assert_true(position_needs_pass(&p, 200, false));
        assert_false(position_needs_pass(&p, 200, true));
        assert_true(position_needs_pass(&p, 300, true));
        position_set_back(&back, &doc, cases[i].offset);
        assert_int_equal(back.next.rows_begin, cases[i].rows_begin);
        position_went_back(&p, cases[i].offset);
        assert_int_equal(position_needs_pass(&p, 200, true), cases[i].needs_pass);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_begin_says_where_its_generation_and_its_rows_begin),
        cmocka_unit_test(taking_over_keeps_the_pass_unless_it_goes_back_to_the_begin),
        cmocka_unit_test(a_start_at_the_newest_begin_has_no_pass_and_knows_whether_rows_follow),
        cmocka_unit_test(going_back_for_a_mark_clears_the_pass_at_the_begin),
        cmocka_unit_test(applying_again_clears_the_pass_at_the_begin),
        cmocka_unit_test(a_swept_generation_has_no_pass),
        cmocka_unit_test(an_owner_follows_the_pass_of_its_document),
        cmocka_unit_test(only_the_owner_with_the_same_pass_may_sweep),
        cmocka_unit_test(the_first_generation_needs_a_pass_only_after_a_way_back_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
