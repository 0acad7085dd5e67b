/* tests/unit/test_position.c - positions: single decisions. Every order of small cases is in
 * test_position_model.c, what generations and their passes add in test_position_pass.c.
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
 *   sent     the end of what was sent: up to here a write may still come late */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "support_position.h"

static void a_position_of_this_log_and_collection_is_continued(void **state)
{
    struct position_doc old = position_support_doc(), doc;

    (void)state;
    assert_int_equal(position_support_take(&doc, &old, &position_support_source, "me"),
                     POSITION_CONTINUE);
    assert_int_equal(doc.offset, 500);
    assert_int_equal(doc.generation, 8);
    assert_int_equal(doc.epoch, 5);
    assert_string_equal(doc.owner, "me");
    assert_int_equal(doc.again, POSITION_NONE);
}

static void a_mark_moves_the_start_back_and_is_cleared(void **state)
{
    struct position_doc old = position_support_doc(), doc;

    (void)state;
    old.rewind = 300;
    assert_int_equal(position_support_take(&doc, &old, &position_support_source, "me"),
                     POSITION_CONTINUE);
    assert_int_equal(doc.offset, 300);
    assert_int_equal(doc.rewind, POSITION_NONE);
}

static void another_log_collection_or_none_starts_at_the_newest_begin(void **state)
{
    struct position_doc old[4] = {position_support_doc(),
                                  position_support_doc(),
                                  position_support_doc(),
                                  {.offset = POSITION_NONE}};
    struct position_doc doc;

    (void)state;
    strcpy(old[0].log_id, "older");
    old[1].uuid.bytes[0] = 1;
    old[2].uuid.known = false;
    for (size_t i = 0; i < ARRAY_LEN(old); i++) {
        assert_int_equal(position_support_take(&doc, &old[i], &position_support_source, "me"),
                         POSITION_FROM_BEGIN);
        assert_int_equal(doc.offset, 100);
        assert_int_equal(doc.generation, 9);
        assert_string_equal(doc.log_id, "log");
        assert_true(uuid_equal(&doc.uuid, &position_support_source.uuid));
    }
}

static void without_a_begin_only_a_valid_position_starts(void **state)
{
    struct position_doc old = position_support_doc(), doc = {.offset = 77};
    struct position_source early = position_support_source;

    (void)state;
    early.begin = POSITION_NONE;
    assert_int_equal(position_support_take(&doc, &old, &early, "me"), POSITION_CONTINUE);
    old.generation = 9;
    old.begin = 90;
    position_support_take(&doc, &old, &early, "me");
    assert_int_equal(doc.begin, 90);
    doc.offset = 77;
    strcpy(old.log_id, "older");
    assert_int_equal(position_support_take(&doc, &old, &early, "me"), POSITION_WAIT);
    assert_int_equal(doc.offset, 77);
}

/* Crash after crash within the grace: the oldest take-over offset must not get lost. */
static void a_successor_without_a_goodbye_keeps_the_oldest_offset_to_apply_again(void **state)
{
    struct position_doc old = position_support_doc(), doc;

    (void)state;
    strcpy(old.owner, "dead");
    position_support_take(&doc, &old, &position_support_source, "me");
    assert_int_equal(doc.again, 500);
    doc.offset = 600;
    old = doc;
    position_support_take(&doc, &old, &position_support_source, "next");
    assert_int_equal(doc.again, 500);
    old = doc;
    old.owner[0] = '\0'; /* a goodbye within the grace: what the dead one sent may still come */
    position_support_take(&doc, &old, &position_support_source, "third");
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
    struct position_doc doc = position_support_doc();
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
    struct position_doc doc = position_support_doc();
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
    struct position_doc doc = position_support_doc();
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
    struct position_doc doc = position_support_doc();
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
    struct position_doc mine = position_support_doc(), owners = position_support_doc();
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
    struct position_doc mine = position_support_doc(), owners = position_support_doc();
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
    struct position_doc mine = position_support_doc(), owners = position_support_doc();
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
    struct position_doc doc = position_support_doc();
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
    struct position_doc doc = position_support_doc();
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
    struct position_doc old = position_support_doc(), doc;

    (void)state;
    old.again = 450;
    strcpy(old.log_id, "older");
    assert_int_equal(position_support_take(&doc, &old, &position_support_source, "me"),
                     POSITION_FROM_BEGIN);
    assert_int_equal(doc.again, 100);
    old.again = POSITION_NONE;
    position_support_take(&doc, &old, &position_support_source, "me");
    assert_int_equal(doc.again, POSITION_NONE);
}

static void a_partition_of_another_consumer_is_not_taken_again(void **state)
{
    (void)state;
    assert_true(position_may_take_again(true));
    assert_false(position_may_take_again(false));
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
