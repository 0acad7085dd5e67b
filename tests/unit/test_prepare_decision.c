/* Preparing a table: from every state that a crash leaves, the steps end with a ready table,
 * and what stood there before is only touched as configured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "consumer/prepare_decision.h"

#define OLD 1 /* first byte of the UUID of what stood there before */
#define NEW 2

struct world { /* the target, in small */
    struct prepare_facts f;
    int renamed, dropped, created;
    bool copies; /* documents share a key */
    bool lost;   /* a value went with a copy, and comes only from the log */
    int rewinds; /* every partition was sent back to the begin */
};

static struct uuid uuid_of(uint8_t n)
{
    return (struct uuid){.known = true, .bytes = {n}};
}

/* Does one step; false: nothing more to do. */
static bool do_step(struct world *w, enum prepare_step *at)
{
    enum table_doc_clear what = CLEAR_NOTHING;

    *at = prepare_decision_next(&w->f, &what);
    switch (*at) {
    case PREPARE_WAIT:
    case PREPARE_USE:
    case PREPARE_REFUSE:
    case PREPARE_UNFIT:
        return false;
    case PREPARE_CLAIM:
        w->f.doc.state = what == CLEAR_NOTHING ? TABLE_DOC_BUILDING : TABLE_DOC_CLEARING;
        w->f.doc.clear = what;
        w->f.doc.same_schema = w->f.doc.same_form = true;
        w->f.doc.uuid = (struct uuid){0};
        break;
    case PREPARE_CLEAR:
        assert_int_not_equal(w->f.doc.clear, CLEAR_NOTHING);
        *(w->f.doc.clear == CLEAR_DROP ? &w->dropped : &w->renamed) += 1;
        w->f.collection.exists = w->f.collection.indexed = w->f.collection.unfit = false;
        break;
    case PREPARE_CLEARED:
        w->f.doc.state = TABLE_DOC_BUILDING;
        break;
    case PREPARE_CREATE:
        w->f.collection.exists = true;
        w->f.collection.uuid = uuid_of(NEW);
        w->created++;
        break;
    case PREPARE_INDEX:
        if (w->copies) {
            w->f.doc.doubled = true;
            w->lost = true;
            w->copies = false;
        } else {
            w->f.collection.indexed = true;
        }
        break;
    case PREPARE_REWIND:
        w->rewinds++;
        w->lost = false;
        w->f.doc.state = TABLE_DOC_READY;
        w->f.doc.uuid = w->f.collection.uuid;
        w->f.doc.doubled = false;
        break;
    case PREPARE_FINISH:
        w->f.doc.state = TABLE_DOC_READY;
        w->f.doc.uuid = w->f.collection.uuid;
        break;
    }
    return true;
}

static enum prepare_step run(struct world *w)
{
    enum prepare_step at;

    for (int i = 0; i < 20; i++)
        if (!do_step(w, &at))
            return at;
    fail_msg("no end");
    return at;
}

static struct world with_old_collection(enum table_doc_clear exist)
{
    return (struct world){.f = {.preparer = true,
                                .exist = exist,
                                .collection = {.exists = true, .uuid = uuid_of(OLD)}}};
}

static struct world prepared(void)
{
    struct world w = {.f = {.preparer = true}};

    assert_int_equal(run(&w), PREPARE_USE);
    return w;
}

static void what_stood_there_is_treated_as_configured(void **state)
{
    struct world drop = with_old_collection(CLEAR_DROP);
    struct world rename = with_old_collection(CLEAR_RENAME);
    struct world into = with_old_collection(CLEAR_NOTHING);

    (void)state;
    assert_int_equal(run(&drop), PREPARE_USE);
    assert_int_equal(drop.dropped, 1);
    assert_int_equal(drop.created, 1);
    assert_int_equal(run(&rename), PREPARE_USE);
    assert_int_equal(rename.renamed, 1);
    assert_int_equal(run(&into), PREPARE_USE);
    assert_int_equal(into.dropped + into.renamed + into.created, 0);
    assert_int_equal(into.f.doc.uuid.bytes[0], OLD);
}

/* The document was lost, the positions were not: the documents are ours. */
static void nothing_is_cleared_where_positions_were_held(void **state)
{
    struct world w = with_old_collection(CLEAR_DROP);

    (void)state;
    w.f.had_position = true;
    assert_int_equal(run(&w), PREPARE_USE);
    assert_int_equal(w.dropped, 0);
}

static void a_restart_clears_nothing(void **state)
{
    struct world w = with_old_collection(CLEAR_DROP);

    (void)state;
    run(&w);
    assert_int_equal(run(&w), PREPARE_USE);
    assert_int_equal(w.dropped, 1);
}

/* After each step a crash: the successor sees what was done so far, and does the same again. */
static void a_preparation_that_was_cut_is_taken_up_again(void **state)
{
    (void)state;
    for (int cut = 0; cut < 8; cut++) {
        struct world w = with_old_collection(CLEAR_RENAME);
        enum prepare_step at;

        for (int i = 0; i < cut; i++)
            do_step(&w, &at);
        w.f.had_position = false;
        assert_int_equal(run(&w), PREPARE_USE);
        assert_int_equal(w.renamed, 1);
        assert_int_equal(w.f.doc.uuid.bytes[0], NEW);
    }
}

static void another_collection_is_prepared_anew_and_not_cleared(void **state)
{
    struct world w = prepared();

    (void)state;
    w.f.collection.uuid = uuid_of(OLD); /* somebody restored one */
    w.f.collection.indexed = false;
    w.f.exist = CLEAR_DROP;
    assert_int_equal(run(&w), PREPARE_USE);
    assert_int_equal(w.dropped + w.renamed, 0);
    assert_int_equal(w.f.doc.uuid.bytes[0], OLD);
    w.f.collection.exists = false;
    assert_int_equal(run(&w), PREPARE_USE);
    assert_int_equal(w.f.doc.uuid.bytes[0], NEW);
}

static void a_lost_index_is_made_again(void **state)
{
    struct world w = prepared();

    (void)state;
    w.f.collection.indexed = false;
    assert_int_equal(run(&w), PREPARE_USE);
    assert_true(w.f.collection.indexed);
    assert_int_equal(w.created, 1);
}

static void another_key_schema_moves_the_collection_aside(void **state)
{
    struct world w = prepared();

    (void)state;
    w.f.doc.same_schema = false;
    w.f.doc.same_form = false; /* it may also be of another identity */
    assert_int_equal(run(&w), PREPARE_USE);
    assert_int_equal(w.renamed, 1);
    assert_int_equal(w.created, 2);
}

static void documents_of_another_form_are_left_to_the_user(void **state)
{
    struct world w = prepared();

    (void)state;
    w.f.doc.same_form = false;
    assert_int_equal(run(&w), PREPARE_REFUSE);
    w.f.preparer = false;
    assert_int_equal(run(&w), PREPARE_REFUSE);
}

static void others_wait_for_the_owner_of_the_first_partition(void **state)
{
    struct world w = with_old_collection(CLEAR_DROP);
    enum prepare_step at;

    (void)state;
    for (int i = 0; i < 8; i++) {
        bool ready = w.f.doc.state == TABLE_DOC_READY;

        w.f.preparer = false;
        assert_int_equal(run(&w), ready ? PREPARE_USE : PREPARE_WAIT);
        w.f.preparer = true;
        do_step(&w, &at);
    }
    w.f.preparer = false;
    assert_int_equal(run(&w), PREPARE_USE);
    w.f.collection.uuid = uuid_of(OLD);
    assert_int_equal(run(&w), PREPARE_WAIT);
}

/* After each step of it a crash. */
static void deleted_copies_send_every_partition_back_to_the_begin(void **state)
{
    (void)state;
    for (int cut = 0; cut < 8; cut++) {
        struct world w = prepared();
        enum prepare_step at;

        w.copies = true;
        w.f.collection.indexed = false;
        for (int i = 0; i < cut; i++)
            do_step(&w, &at);
        assert_false(w.f.doc.state == TABLE_DOC_READY && w.lost);
        assert_int_equal(run(&w), PREPARE_USE);
        assert_int_equal(w.rewinds, 1);
        assert_false(w.lost);
    }
}

static void what_can_not_be_applied_to_is_told_by_everyone(void **state)
{
    (void)state;
    for (int preparer = 0; preparer < 2; preparer++) {
        struct world w = with_old_collection(CLEAR_NOTHING), ready = prepared();

        w.f.preparer = ready.f.preparer = preparer;
        w.f.collection.unfit = ready.f.collection.unfit = true;
        assert_int_equal(run(&w), PREPARE_UNFIT);
        ready.f.collection.uuid = uuid_of(OLD);
        assert_int_equal(run(&ready), PREPARE_UNFIT);
        ready.f.collection.exists = ready.f.collection.unfit = false; /* somebody dropped it */
        assert_int_equal(run(&ready), preparer ? PREPARE_USE : PREPARE_WAIT);
    }
}

static void what_can_not_be_applied_to_may_be_cleared_as_configured(void **state)
{
    struct world w = with_old_collection(CLEAR_DROP);

    (void)state;
    w.f.collection.unfit = true;
    assert_int_equal(run(&w), PREPARE_USE);
    assert_int_equal(w.dropped, 1);
    w = with_old_collection(CLEAR_DROP);
    w.f.collection.unfit = w.f.had_position = true;
    assert_int_equal(run(&w), PREPARE_UNFIT);
    assert_int_equal(w.dropped, 0);
}

static void names_are_read_as_they_are_written(void **state)
{
    (void)state;
    for (int s = TABLE_DOC_NONE; s <= TABLE_DOC_READY; s++)
        assert_int_equal(table_doc_state_of(table_doc_state_name(s)), s);
    for (int c = CLEAR_NOTHING; c <= CLEAR_RENAME; c++)
        assert_int_equal(table_doc_clear_of(table_doc_clear_name(c)), c);
    assert_int_equal(table_doc_state_of("what"), TABLE_DOC_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stood_there_is_treated_as_configured),
        cmocka_unit_test(nothing_is_cleared_where_positions_were_held),
        cmocka_unit_test(a_restart_clears_nothing),
        cmocka_unit_test(a_preparation_that_was_cut_is_taken_up_again),
        cmocka_unit_test(another_collection_is_prepared_anew_and_not_cleared),
        cmocka_unit_test(a_lost_index_is_made_again),
        cmocka_unit_test(another_key_schema_moves_the_collection_aside),
        cmocka_unit_test(documents_of_another_form_are_left_to_the_user),
        cmocka_unit_test(others_wait_for_the_owner_of_the_first_partition),
        cmocka_unit_test(deleted_copies_send_every_partition_back_to_the_begin),
        cmocka_unit_test(what_can_not_be_applied_to_is_told_by_everyone),
        cmocka_unit_test(what_can_not_be_applied_to_may_be_cleared_as_configured),
        cmocka_unit_test(names_are_read_as_they_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
