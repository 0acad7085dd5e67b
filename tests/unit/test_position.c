/* tests/unit/test_position.c - positions: single decisions, and every order of small cases.
 *
 * What a position's numbers mean, along the log of its partition:
 *
 *       begin     again, rewind     offset       applied         sent
 *   ------+-------------+-------------+-------------+-------------+-------> log
 *
 *   begin    of the owner's generation; nobody goes back behind the newest that has rows
 *   again    apply once more from here, after the grace: who owned it before may be dead
 *   rewind   apply once more from here: a former owner's write may have come late
 *   offset   what the document says: everything before it is in the target
 *   applied  everything before it was acknowledged: the document is moved here next
 *   sent     the end of what was sent: up to here a write may still come late
 *
 * The life of an owner in the model (support_position_model.h):
 *
 *              assigned             takes it             it is mine
 *    RESTING ------------> WAITING ----------> TAKING ----------------> RUNNING
 *       ^                     ^                  |                      |  |  ^
 *       |                     '------------------'              revoked |  |  |
 *       |                      another was faster                       |  |  |
 *       | goodbye stored                                                |  |  |
 *       |<----------------- LEAVING <-----------------------------------'  |  |
 *       |                    |   ^                        no clear answer  |  | mine, or
 *       |    no clear answer |   | revoked       .-------------------------'  | set back to
 *       |                    |   |               v                            | the mark
 *       | mark stored        v   '------------ HELD --reads the document------+
 *       '----------------- MARKING <--------------------- another's, or gone -'
 *
 * HELD waits for the end of its own writes before it reads the document; when it is revoked
 * while one may still come, it goes to MARKING without a goodbye. Setting back is a state too,
 * REWINDING, which without a clear answer is HELD again. A killed owner is DEAD, and what it
 * sent may still come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "consumer/position.h"
#include "support_position_model.h"

/* ---- single decisions ---- */

static const struct position_source source = {
    .log_id = "log", .uuid = {.known = true, .bytes = {7}}, .generation = 9, .begin = 100};

static struct position_doc standing(void)
{
    return (struct position_doc){.found = true,
                                 .offset = 500,
                                 .generation = 8,
                                 .log_id = "log",
                                 .uuid = source.uuid,
                                 .epoch = 4,
                                 .rewind = POSITION_NONE,
                                 .again = POSITION_NONE,
                                 .begin = POSITION_NONE,
                                 .rows_begin = POSITION_NONE};
}

static enum position_start take(struct position_doc *ret, const struct position_doc *old,
                                const struct position_source *from, const char *me)
{
    struct position_change change;
    enum position_start start = position_take(&change, old, from, me);

    if (start == POSITION_WAIT)
        return start;
    assert_int_equal(change.kind, POSITION_CHANGE_TAKE);
    assert_int_equal(change.seen.epoch, old->epoch);
    *ret = change.next;
    return start;
}

static void a_position_of_this_log_and_collection_is_continued(void **state)
{
    struct position_doc old = standing(), doc;

    (void)state;
    assert_int_equal(take(&doc, &old, &source, "me"), POSITION_CONTINUE);
    assert_int_equal(doc.offset, 500);
    assert_int_equal(doc.generation, 8);
    assert_int_equal(doc.epoch, 5);
    assert_string_equal(doc.owner, "me");
    assert_int_equal(doc.again, POSITION_NONE);
}

static void a_mark_moves_the_start_back_and_is_cleared(void **state)
{
    struct position_doc old = standing(), doc;

    (void)state;
    old.rewind = 300;
    assert_int_equal(take(&doc, &old, &source, "me"), POSITION_CONTINUE);
    assert_int_equal(doc.offset, 300);
    assert_int_equal(doc.rewind, POSITION_NONE);
}

static void another_log_collection_or_none_starts_at_the_newest_begin(void **state)
{
    struct position_doc old[4] = {
        standing(), standing(), standing(), {.offset = POSITION_NONE}};
    struct position_doc doc;

    (void)state;
    strcpy(old[0].log_id, "older");
    old[1].uuid.bytes[0] = 1;
    old[2].uuid.known = false;
    for (size_t i = 0; i < ARRAY_LEN(old); i++) {
        assert_int_equal(take(&doc, &old[i], &source, "me"), POSITION_FROM_BEGIN);
        assert_int_equal(doc.offset, 100);
        assert_int_equal(doc.generation, 9);
        assert_string_equal(doc.log_id, "log");
        assert_true(uuid_equal(&doc.uuid, &source.uuid));
    }
}

static void without_a_begin_only_a_valid_position_starts(void **state)
{
    struct position_doc old = standing(), doc = {.offset = 77};
    struct position_source early = source;

    (void)state;
    early.begin = POSITION_NONE;
    assert_int_equal(take(&doc, &old, &early, "me"), POSITION_CONTINUE);
    old.generation = 9;
    old.begin = 90;
    take(&doc, &old, &early, "me");
    assert_int_equal(doc.begin, 90);
    doc.offset = 77;
    strcpy(old.log_id, "older");
    assert_int_equal(take(&doc, &old, &early, "me"), POSITION_WAIT);
    assert_int_equal(doc.offset, 77);
}

/* Crash after crash within the grace: the oldest take-over offset must not get lost. */
static void a_successor_without_a_goodbye_keeps_the_oldest_offset_to_apply_again(void **state)
{
    struct position_doc old = standing(), doc;

    (void)state;
    strcpy(old.owner, "dead");
    take(&doc, &old, &source, "me");
    assert_int_equal(doc.again, 500);
    doc.offset = 600;
    old = doc;
    take(&doc, &old, &source, "next");
    assert_int_equal(doc.again, 500);
    old = doc;
    old.owner[0] = '\0'; /* a goodbye within the grace: what the dead one sent may still come */
    take(&doc, &old, &source, "third");
    assert_int_equal(doc.again, 500);
}

static void nothing_is_sent_after_an_old_poll_or_in_the_quiet_time(void **state)
{
    struct position p;

    (void)state;
    position_init(&p);
    assert_true(position_may_send(&p, 10000, 9000, 10000));
    assert_false(position_may_send(&p, 10000, 5000, 10000));
    position_unknown(&p, 10000, 500);
    assert_false(position_may_send(&p, 10499, 10400, 10000));
    assert_false(position_is_quiet(&p, 10499));
    assert_true(position_may_send(&p, 10500, 10400, 10000));
    assert_true(position_is_quiet(&p, 10500));
}

static void applying_again_never_moves_forward(void **state)
{
    struct position_doc doc = standing();
    struct position p;

    (void)state;
    doc.again = 450;
    position_taken(&p, &doc, 0, 10);
    assert_int_equal(position_again_from(&p), 450);
    position_went_back(&p, 100); /* a mark of a late writer */
    assert_int_equal(position_again_from(&p), 100);
    position_begins_again(&p);
    assert_int_equal(p.offset, 100);
    assert_false(position_again_due(&p, 1000));
}

static void a_goodbye_says_what_was_acknowledged_too(void **state)
{
    struct position_doc doc = standing();
    struct position_change change;
    struct position p;

    (void)state;
    doc.again = 480;
    position_taken(&p, &doc, 0, 10);
    position_sending(&p, 510);
    position_written(&p, 510);
    assert_true(position_is_ahead(&p));
    position_goodbye(&change, &p, "me");
    assert_string_equal(change.seen.owner, "me");
    assert_string_equal(change.next.owner, "");
    assert_int_equal(change.next.offset, 510);
}

static void a_late_mark_goes_back_to_what_was_not_confirmed(void **state)
{
    struct position_doc doc = standing();
    struct position_change change;
    struct position p;

    (void)state;
    position_taken(&p, &doc, 0, 10);
    assert_false(position_late_mark(&change, &p, &doc));
    position_sending(&p, 510);
    assert_true(position_late_mark(&change, &p, &doc));
    assert_int_equal(change.next.rewind, 500);
    doc.rewind = 300;
    assert_true(position_late_mark(&change, &p, &doc));
    assert_int_equal(change.next.rewind, 300);
    position_confirmed(&p, 510);
    assert_false(position_late_mark(&change, &p, &doc));
}

/* Writes beyond an offset that was confirmed meanwhile are still to be marked. */
static void a_move_confirms_what_it_asked_for_and_no_more(void **state)
{
    struct position_doc doc = standing();
    struct position_change move, mark;
    struct position p;

    (void)state;
    position_taken(&p, &doc, 0, 10);
    position_sending(&p, 510);
    position_written(&p, 510);
    position_move(&move, &p, "me");
    position_sending(&p, 520);
    position_written(&p, 520);
    position_confirmed(&p, move.next.offset);
    assert_int_equal(p.offset, 510);
    assert_true(position_is_ahead(&p));
    assert_true(position_late_mark(&mark, &p, &doc));
    assert_int_equal(mark.next.rewind, 510);
}

static void a_mark_never_goes_back_before_the_owners_newest_rows(void **state)
{
    struct position_doc mine = standing(), owners = standing();
    struct position_change change;
    struct position p;

    (void)state;
    position_taken(&p, &mine, 0, 10);
    position_sending(&p, 510);
    owners.generation = 9;
    owners.begin = owners.rows_begin = 700;
    assert_true(position_late_mark(&change, &p, &owners));
    assert_int_equal(change.next.rewind, 700);
    assert_int_equal(change.seen.generation, 9);
    owners.begin = owners.rows_begin = 100;
    assert_true(position_late_mark(&change, &p, &owners));
    assert_int_equal(change.next.rewind, 500);
}

static void a_mark_goes_back_behind_a_begin_without_rows(void **state)
{
    struct position_doc mine = standing(), owners = standing();
    struct position_change change;
    struct position p;

    (void)state;
    position_taken(&p, &mine, 0, 10);
    position_sending(&p, 510);
    owners.generation = 9;
    owners.begin = 700;
    owners.rows_begin = 100;
    assert_true(position_late_mark(&change, &p, &owners));
    assert_int_equal(change.next.rewind, 500);
}

/* Offsets of another log say nothing: all of the owner's generation is applied again. */
static void a_mark_in_another_log_goes_back_to_its_begin(void **state)
{
    struct position_doc mine = standing(), owners = standing();
    struct position_change change;
    struct position p;

    (void)state;
    position_taken(&p, &mine, 0, 10);
    position_sending(&p, 510);
    strcpy(owners.log_id, "newer");
    owners.begin = 3;
    assert_true(position_late_mark(&change, &p, &owners));
    assert_int_equal(change.next.rewind, 3);
    assert_string_equal(change.seen.log_id, "newer");
}

static void the_owner_too_is_compared_not_the_epoch_alone(void **state)
{
    struct position_doc doc = standing();
    struct position p;
    int64_t back;

    (void)state;
    strcpy(doc.owner, "me");
    position_taken(&p, &doc, 0, 10);
    assert_int_equal(position_judge(&p, &doc, "me", &back), POSITION_MINE);
    assert_int_equal(position_judge(&p, &doc, "you", &back), POSITION_LOST);
    doc.rewind = 450;
    assert_int_equal(position_judge(&p, &doc, "me", &back), POSITION_REWIND);
    assert_int_equal(back, 450);
    doc.rewind = 800; /* never forward */
    assert_int_equal(position_judge(&p, &doc, "me", &back), POSITION_REWIND);
    assert_int_equal(back, 500);
    doc.found = false;
    assert_int_equal(position_judge(&p, &doc, "me", &back), POSITION_GONE);
}

static void after_an_unclear_answer_the_document_is_the_truth(void **state)
{
    struct position_doc doc = standing();
    struct position p;

    (void)state;
    position_taken(&p, &doc, 0, 10);
    position_sending(&p, 520);
    position_written(&p, 520);
    doc.offset = 510; /* a move that was executed and not acknowledged */
    assert_true(position_agrees(&p, &doc, 510));
    assert_false(position_agrees(&p, &doc, POSITION_NONE));
    doc.again = 490;
    assert_false(position_agrees(&p, &doc, 510));
    doc.offset = 300; /* a rewind */
    position_adopt(&p, &doc, 50, 10);
    assert_int_equal(p.offset, 300);
    assert_int_equal(p.applied, 300);
    assert_int_equal(p.again, 490);
    assert_false(position_again_due(&p, 59));
    assert_true(position_again_due(&p, 60));
}

/* The dead one's writes may still come, into the collection of the same name. */
static void what_is_to_be_applied_again_stays_so_in_another_log(void **state)
{
    struct position_doc old = standing(), doc;

    (void)state;
    old.again = 450;
    strcpy(old.log_id, "older");
    assert_int_equal(take(&doc, &old, &source, "me"), POSITION_FROM_BEGIN);
    assert_int_equal(doc.again, 100);
    old.again = POSITION_NONE;
    take(&doc, &old, &source, "me");
    assert_int_equal(doc.again, POSITION_NONE);
}

static void a_partition_of_another_consumer_is_not_taken_again(void **state)
{
    (void)state;
    assert_true(position_may_take_again(true));
    assert_false(position_may_take_again(false));
}

/* ---- generations ---- */

/* In the middle of generation 8, whose keys are noted under a pass. */
static struct position_doc under_pass(void)
{
    struct position_doc doc = standing();

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
    take(&doc, &old, &source, "you");
    assert_string_equal(doc.pass, "p");
    position_taken(&p, &doc, 0, 10);
    assert_string_equal(p.pass, "p");
    old.rewind = 201;
    take(&doc, &old, &source, "you");
    assert_string_equal(doc.pass, "p");
    old.rewind = 200;
    take(&doc, &old, &source, "you");
    assert_int_equal(doc.offset, 200);
    assert_string_equal(doc.pass, "");
}

static void a_start_at_the_newest_begin_has_no_pass_and_knows_whether_rows_follow(void **state)
{
    struct position_doc old = under_pass(), doc;
    struct position_source from = source;

    (void)state;
    strcpy(old.log_id, "older");
    take(&doc, &old, &from, "you");
    assert_string_equal(doc.pass, "");
    assert_int_equal(doc.rows_begin, POSITION_NONE);
    from.rows = true;
    take(&doc, &old, &from, "you");
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
    struct position_doc doc = under_pass();
    struct position p = owner_under_pass();
    struct position_change back;

    (void)state;
    assert_true(position_needs_pass(&p, 200, false));
    assert_false(position_needs_pass(&p, 200, true));
    assert_true(position_needs_pass(&p, 300, true));
    position_set_back(&back, &doc, 200);
    assert_int_equal(back.next.rows_begin, 200);
    position_went_back(&p, 200);
    assert_false(position_needs_pass(&p, 200, true));
    position_set_back(&back, &doc, 199);
    assert_int_equal(back.next.rows_begin, POSITION_NONE);
    position_went_back(&p, 199);
    assert_true(position_needs_pass(&p, 200, true));
}

/* ---- every order ---- */

static const struct position_case two = {
    .consumers = 2, .log_len = 2, .faults = 1, .ends = 1, .moves = 1, .batch_max = 2};

static void holds(const struct position_case *c)
{
    struct position_outcome o = position_model_run(c, &(struct position_former){0});

    assert_true(o.ends > 0);
    assert_false(o.strayed);
    assert_false(o.wrong);
}

static void ends_wrong(const struct position_case *c, struct position_former former)
{
    assert_true(position_model_run(c, &former).wrong);
}

static void two_consumers_end_right_whatever_answer_is_missing(void **state)
{
    (void)state;
    holds(&two);
}

static void two_consumers_end_right_when_two_answers_are_missing(void **state)
{
    struct position_case c = two;

    (void)state;
    c.faults = 2;
    c.ends = 0;
    holds(&c);
}

static void two_consumers_end_right_when_one_takes_over_before_it_is_told(void **state)
{
    struct position_case c = two;

    (void)state;
    c.undecided = 1;
    c.ends = 0;
    holds(&c);
}

static void two_consumers_end_right_when_a_partition_comes_back(void **state)
{
    struct position_case c = two;

    (void)state;
    c.moves = 2;
    c.told = true;
    holds(&c);
}

static void two_consumers_end_right_with_batches_of_several_keys(void **state)
{
    struct position_case c = two;

    (void)state;
    c.log_len = c.batch_max = 3;
    c.ends = 0;
    c.at_once = true;
    holds(&c);
}

static void three_consumers_end_right(void **state)
{
    struct position_case c = {.consumers = 3,
                              .log_len = 2,
                              .ends = 0,
                              .moves = 2,
                              .batch_max = 2,
                              .told = true,
                              .at_once = true};

    (void)state;
    holds(&c);
}

static void without_marks_a_late_write_stays(void **state)
{
    (void)state;
    ends_wrong(&two, (struct position_former){.no_marks = true});
}

static void without_applying_again_a_killed_consumers_write_stays(void **state)
{
    (void)state;
    ends_wrong(&two, (struct position_former){.no_again = true});
}

static void one_that_takes_again_what_is_not_its_own_strays(void **state)
{
    (void)state;
    assert_true(position_model_run(&two, &(struct position_former){.stray = true}).strayed);
}

static void a_rewind_without_an_answer_must_not_be_forgotten(void **state)
{
    struct position_case c = two;

    (void)state;
    c.ends = 0;
    ends_wrong(&c, (struct position_former){.memory = true});
}

static void a_move_without_an_answer_must_not_be_forgotten(void **state)
{
    struct position_case c = two;

    (void)state;
    c.moves = 0;
    ends_wrong(&c, (struct position_former){.memory = true});
}

/* Between its reading and its storing the owner may have gone back for a mark. */
static void taking_over_must_compare_the_offset(void **state)
{
    struct position_case c = {.consumers = 3,
                              .log_len = 2,
                              .moves = 2,
                              .batch_max = 1,
                              .told = true,
                              .at_once = true};

    (void)state;
    ends_wrong(&c, (struct position_former){.blind_take = true});
}

static void a_held_partition_must_not_be_left_with_a_goodbye(void **state)
{
    (void)state;
    ends_wrong(&two, (struct position_former){.goodbye_held = true});
}

static void a_goodbye_without_an_answer_must_be_followed_by_the_mark(void **state)
{
    (void)state;
    ends_wrong(&two, (struct position_former){.goodbye_lost = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_of_this_log_and_collection_is_continued),
        cmocka_unit_test(a_mark_moves_the_start_back_and_is_cleared),
        cmocka_unit_test(another_log_collection_or_none_starts_at_the_newest_begin),
        cmocka_unit_test(without_a_begin_only_a_valid_position_starts),
        cmocka_unit_test(a_successor_without_a_goodbye_keeps_the_oldest_offset_to_apply_again),
        cmocka_unit_test(nothing_is_sent_after_an_old_poll_or_in_the_quiet_time),
        cmocka_unit_test(applying_again_never_moves_forward),
        cmocka_unit_test(a_goodbye_says_what_was_acknowledged_too),
        cmocka_unit_test(a_late_mark_goes_back_to_what_was_not_confirmed),
        cmocka_unit_test(a_move_confirms_what_it_asked_for_and_no_more),
        cmocka_unit_test(a_mark_never_goes_back_before_the_owners_newest_rows),
        cmocka_unit_test(a_mark_goes_back_behind_a_begin_without_rows),
        cmocka_unit_test(a_mark_in_another_log_goes_back_to_its_begin),
        cmocka_unit_test(the_owner_too_is_compared_not_the_epoch_alone),
        cmocka_unit_test(after_an_unclear_answer_the_document_is_the_truth),
        cmocka_unit_test(what_is_to_be_applied_again_stays_so_in_another_log),
        cmocka_unit_test(a_partition_of_another_consumer_is_not_taken_again),
        cmocka_unit_test(a_begin_says_where_its_generation_and_its_rows_begin),
        cmocka_unit_test(taking_over_keeps_the_pass_unless_it_goes_back_to_the_begin),
        cmocka_unit_test(a_start_at_the_newest_begin_has_no_pass_and_knows_whether_rows_follow),
        cmocka_unit_test(going_back_for_a_mark_clears_the_pass_at_the_begin),
        cmocka_unit_test(applying_again_clears_the_pass_at_the_begin),
        cmocka_unit_test(a_swept_generation_has_no_pass),
        cmocka_unit_test(an_owner_follows_the_pass_of_its_document),
        cmocka_unit_test(only_the_owner_with_the_same_pass_may_sweep),
        cmocka_unit_test(the_first_generation_needs_a_pass_only_after_a_way_back_behind_it),
        cmocka_unit_test(two_consumers_end_right_whatever_answer_is_missing),
        cmocka_unit_test(two_consumers_end_right_when_two_answers_are_missing),
        cmocka_unit_test(two_consumers_end_right_when_one_takes_over_before_it_is_told),
        cmocka_unit_test(two_consumers_end_right_when_a_partition_comes_back),
        cmocka_unit_test(two_consumers_end_right_with_batches_of_several_keys),
        cmocka_unit_test(three_consumers_end_right),
        cmocka_unit_test(without_marks_a_late_write_stays),
        cmocka_unit_test(without_applying_again_a_killed_consumers_write_stays),
        cmocka_unit_test(one_that_takes_again_what_is_not_its_own_strays),
        cmocka_unit_test(a_rewind_without_an_answer_must_not_be_forgotten),
        cmocka_unit_test(a_move_without_an_answer_must_not_be_forgotten),
        cmocka_unit_test(taking_over_must_compare_the_offset),
        cmocka_unit_test(a_held_partition_must_not_be_left_with_a_goodbye),
        cmocka_unit_test(a_goodbye_without_an_answer_must_be_followed_by_the_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
