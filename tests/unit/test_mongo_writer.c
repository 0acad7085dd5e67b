/* The writer against a MongoDB of a few lines in this program: what is applied, what becomes a
 * dead letter, and what is waited out. mongo_write and mongo_limits are wrapped by the linker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/mongo_writer.h"

#define UNKNOWN_CODE 7654321
#define KEYS 8 /* one letter each, from 'a' */
#define VALUES 4096
#define NO_DOCUMENT (-1)
#define STEP_MS (SUSPECT_MS / (SUSPECT_TRIES - 1))

/* ---- the server ---- */

static struct {
    int documents[KEYS];       /* the value of each, or NO_DOCUMENT */
    int code_of_value[VALUES]; /* writeErrors for an update to this value; 0: none */
    int code_of_key[KEYS];     /* for any write of this key */
    int command_code;          /* ok: 0 for every command; 0: none */
    int duplicates;            /* so many updates fail with 11000 */
    int told;                  /* so many times more is each refusal told in an answer */
    int written_at[VALUES];    /* how often */
    int commands;
    size_t limit; /* of a command's bytes */
    size_t count; /* of a command's records */
} server;

int __wrap_mongo_limits(struct mongo *m, struct error *err);
enum mongo_result __wrap_mongo_write(struct mongo *m, const char *database,
                                     const bson_t *command, bson_t *reply, struct error *err);

int __wrap_mongo_limits(struct mongo *m, struct error *err)
{
    (void)err;
    m->max_write_count = server.count;
    m->max_bytes = server.limit;
    return 0;
}

static int number_at(const bson_iter_t *record, const char *path)
{
    bson_iter_t it, found;

    assert_true(bson_iter_recurse(record, &it));
    if (!bson_iter_find_descendant(&it, path, &found))
        return NO_DOCUMENT;
    return BSON_ITER_HOLDS_UTF8(&found) ? *bson_iter_utf8(&found, NULL)
                                        : (int)bson_iter_as_int64(&found);
}

#define TAKEN                                                                                  \
    "E11000 duplicate key error collection: db.t index: email_1 dup key: { email: \"x\" }"

/* 0, or the code that it is refused with. */
static int serve(const bson_iter_t *record, bool deletes)
{
    int key = number_at(record, "q._id") - 'a';
    int value = deletes ? NO_DOCUMENT : number_at(record, "u.v");

    assert_in_range(key, 0, KEYS - 1);
    if (server.code_of_key[key])
        return server.code_of_key[key];
    if (value >= 0 && server.code_of_value[value])
        return server.code_of_value[value];
    if (!deletes && server.duplicates > 0) {
        server.duplicates--;
        return 11000;
    }
    server.documents[key] = value;
    if (value >= 0)
        server.written_at[value]++;
    return 0;
}

static void serve_all(const bson_t *command, bson_t *errors, size_t limit)
{
    bool deletes = bson_has_field(command, "delete");
    bson_iter_t it, list;
    int failed = 0, index = 0;

    assert_true(bson_iter_init_find(&it, command, deletes ? "deletes" : "updates"));
    assert_true(bson_iter_recurse(&it, &list));
    for (; bson_iter_next(&list); index++) {
        int code = serve(&list, deletes);
        char name[16];

        if (!code)
            continue;
        for (int told = 0; told <= server.told; told++) {
            snprintf(name, sizeof(name), "%d", failed++);
            BCON_APPEND(errors, name, "{", "index", BCON_INT32(index), "code", BCON_INT32(code),
                        "errmsg", BCON_UTF8(code == 11000 ? TAKEN : "no"), "}");
        }
    }
    assert_in_range(index, 1, limit);
}

enum mongo_result __wrap_mongo_write(struct mongo *m, const char *database,
                                     const bson_t *command, bson_t *reply, struct error *err)
{
    bson_error_t why = {.message = "no"};
    bson_t errors = BSON_INITIALIZER;

    assert_string_equal(database, "db");
    assert_true(bson_validate(command, BSON_VALIDATE_NONE, NULL));
    bson_init(reply);
    server.commands++;
    if (server.command_code) {
        BCON_APPEND(reply, "ok", BCON_DOUBLE(0), "code", BCON_INT32(server.command_code));
    } else {
        serve_all(command, &errors, m->max_write_count);
        BCON_APPEND(reply, "ok", BCON_DOUBLE(1), "writeErrors", BCON_ARRAY(&errors));
    }
    bson_destroy(&errors);
    return mongo_reply_result(reply, &why, err);
}

/* ---- the consumer's side ---- */

struct letter {
    int64_t offset;
    char reason[400];
};

struct fixture {
    struct mongo_target target;
    struct mongo mongo;
    struct mongo_writer writer;
    struct table_view view;
    struct suspects suspects;
    struct batch batch;
    char (*texts)[64]; /* that the batch borrows */
    int64_t offset;    /* of the next event */
    struct letter letters[VALUES];
    size_t letter_count;
    bool may_send;
    struct mongo_write_job job;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    memset(&server, 0, sizeof(server));
    for (int k = 0; k < KEYS; k++)
        server.documents[k] = NO_DOCUMENT;
    server.count = 1000;
    server.limit = 16 << 20;
    f->target = (struct mongo_target){.database = (char *)"db", .max_time_ms = 1000};
    f->mongo.target = &f->target;
    f->view.collection = (char *)"t";
    f->view.schema.hash =
        (struct key_attribute){.name = (char *)"pk", .name_len = 2, .type = 'S'};
    f->view.converter = (struct converter){.type = CONVERT_CHANGE,
                                           .identity = IDENTITY_KEY,
                                           .id_prefix = "pre",
                                           .schema = &f->view.schema};
    f->texts = xcalloc(VALUES, sizeof(*f->texts));
    f->may_send = true;
    mongo_writer_init(&f->writer, &f->mongo, 8 << 20);
    suspects_init(&f->suspects);
    batch_init(&f->batch);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    mongo_writer_release(&f->writer);
    suspects_release(&f->suspects);
    batch_release(&f->batch);
    free(f->texts);
    free(f);
    return 0;
}

static const char *const key_texts[KEYS] = {"{\"pk\":{\"S\":\"a\"}}", "{\"pk\":{\"S\":\"b\"}}",
                                            "{\"pk\":{\"S\":\"c\"}}", "{\"pk\":{\"S\":\"d\"}}",
                                            "{\"pk\":{\"S\":\"e\"}}", "{\"pk\":{\"S\":\"f\"}}",
                                            "{\"pk\":{\"S\":\"g\"}}", "{\"pk\":{\"S\":\"h\"}}"};

enum kind {
    UPDATE, /* to the event's offset as the value */
    DELETE,
    UNCONVERTIBLE
};

/* The value of an update is its offset. */
static void event_at(struct fixture *f, char key, enum kind kind, int64_t offset)
{
    struct event ev = {.op = kind == DELETE ? EVENT_DELETE : EVENT_UPDATE,
                       .keys = bytes_of(key_texts[key - 'a'])};
    char *text = f->texts[offset];

    snprintf(text, sizeof(*f->texts), "{\"pk\":{\"S\":\"%c\"},\"%sv\":{\"N\":\"%d\"}}", key,
             kind == UNCONVERTIBLE ? "$" : "", (int)offset);
    if (kind != DELETE)
        ev.after = bytes_of(text);
    batch_saw(&f->batch, offset, 10);
    batch_add(&f->batch, &ev, offset, NULL);
}

static void event(struct fixture *f, char key, enum kind kind)
{
    event_at(f, key, kind, f->offset++);
}

static bool may_send(void *arg)
{
    return ((struct fixture *)arg)->may_send;
}

static void refused(void *arg, struct batch_entry *e, const char *reason)
{
    struct fixture *f = arg;
    struct letter *l = &f->letters[f->letter_count++];

    assert_in_range(f->letter_count, 1, VALUES);
    l->offset = e->offset;
    snprintf(l->reason, sizeof(l->reason), "%s", reason);
}

/* Applies the batch and empties it. */
static enum mongo_result apply(struct fixture *f, int64_t now_ms)
{
    enum mongo_result result;

    f->job = (struct mongo_write_job){.batch = &f->batch,
                                      .view = &f->view,
                                      .suspects = &f->suspects,
                                      .now_ms = now_ms,
                                      .may_send = may_send,
                                      .refused = refused,
                                      .arg = f};
    f->letter_count = 0;
    server.commands = 0;
    result = mongo_writer_apply(&f->writer, &f->job, &f->err);
    batch_reset(&f->batch);
    return result;
}

/* ---- one answer ---- */

static void a_batch_is_written(void **state)
{
    struct fixture *f = *state;

    server.documents[2] = 77;
    event(f, 'a', UPDATE);
    event(f, 'b', UPDATE);
    event(f, 'c', DELETE);
    event(f, 'a', UPDATE);
    assert_int_equal(apply(f, 0), MONGO_DONE);
    assert_int_equal(server.documents[0], 3);
    assert_int_equal(server.documents[1], 1);
    assert_int_equal(server.documents[2], NO_DOCUMENT);
    assert_int_equal(server.commands, 2);
    assert_int_equal(f->job.written, 2);
    assert_int_equal(f->job.deleted, 1);
    assert_int_equal(f->letter_count, 0);
}

static void what_the_server_is_in_trouble_for_is_waited_out(void **state)
{
    static const struct {
        int code;
        enum mongo_result result;
    } cases[] = {{82, MONGO_AGAIN},
                 {365, MONGO_AGAIN},
                 {371, MONGO_AGAIN},
                 {16500, MONGO_AGAIN},
                 {50, MONGO_UNKNOWN}};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int of_command = 0; of_command < 2; of_command++)
            for (int tries = 0; tries < 2 * SUSPECT_TRIES; tries++) {
                *(of_command ? &server.command_code : &server.code_of_key[1]) = cases[i].code;
                event_at(f, 'a', UPDATE, 0);
                event_at(f, 'b', UPDATE, 1);
                assert_int_equal(apply(f, tries * STEP_MS), cases[i].result);
                assert_int_equal(f->err.kind, ERR_RETRY);
                assert_int_equal(f->letter_count, 0);
                assert_false(f->job.hopeless);
                server.command_code = server.code_of_key[1] = 0;
            }
}

/* Whatever stands behind it in the same answer. */
static void an_unknown_outcome_is_not_forgotten(void **state)
{
    struct fixture *f = *state;

    server.code_of_key[0] = 112;
    server.code_of_key[1] = 202;
    server.code_of_key[2] = 112;
    server.code_of_key[3] = 121;
    for (char key = 'a'; key <= 'd'; key++)
        event(f, key, UPDATE);
    assert_int_equal(apply(f, 0), MONGO_UNKNOWN);
    assert_int_equal(f->letter_count, 0); /* nothing is decided by such an answer */
}

static void a_racing_upsert_is_tried_again(void **state)
{
    struct fixture *f = *state;

    server.duplicates = 2;
    event(f, 'a', UPDATE);
    event(f, 'b', UPDATE);
    assert_int_equal(apply(f, 0), MONGO_DONE);
    assert_int_equal(f->letter_count, 0);
    assert_int_equal(server.documents[0], 0);
    assert_int_equal(server.documents[1], 1);
    server.duplicates = 1000;
    event(f, 'a', UPDATE);
    assert_int_equal(apply(f, 0), MONGO_DONE);
    assert_int_equal(f->letter_count, 1);
    assert_non_null(strstr(f->letters[0].reason, "MongoDB refuses it: " TAKEN " (code 11000)"));
}

static void a_refusal_told_twice_is_one(void **state)
{
    struct fixture *f = *state;

    server.told = 100;
    server.duplicates = 1;
    server.code_of_value[1] = UNKNOWN_CODE;
    event(f, 'a', UPDATE);
    event(f, 'b', UPDATE);
    event(f, 'c', UPDATE);
    assert_int_equal(apply(f, 0), MONGO_AGAIN);
    assert_int_equal(f->job.written, 2);
    assert_int_equal(f->suspects.count, 1);
    assert_int_equal(f->suspects.list[0].tries, 1);
}

static void nothing_is_sent_by_who_must_not(void **state)
{
    struct fixture *f = *state;

    f->may_send = false;
    event(f, 'a', UPDATE);
    assert_int_equal(apply(f, 0), MONGO_AGAIN);
    assert_int_equal(server.commands, 0);
}

/* ---- the newest value that can be held ---- */

static void the_newest_event_that_holds_is_applied(void **state)
{
    struct fixture *f = *state;

    server.code_of_value[2] = server.code_of_value[4] = 121;
    event(f, 'a', UPDATE);        /* 0 */
    event(f, 'a', UPDATE);        /* 1: holds */
    event(f, 'a', UPDATE);        /* 2: refused by MongoDB */
    event(f, 'a', UNCONVERTIBLE); /* 3: refused here */
    event(f, 'b', UPDATE);        /* 4: nothing else is there */
    event(f, 'c', DELETE);        /* 5: holds */
    event(f, 'c', UNCONVERTIBLE); /* 6 */
    server.documents[1] = server.documents[2] = 77;
    assert_int_equal(apply(f, 0), MONGO_DONE);
    assert_int_equal(server.documents[0], 1);
    assert_int_equal(server.documents[1], 77);
    assert_int_equal(server.documents[2], NO_DOCUMENT);
    assert_int_equal(server.written_at[0], 0);
    assert_int_equal(f->letter_count, 4);
    assert_int_equal(f->job.written, 1);
    assert_int_equal(f->job.deleted, 1);
}

static void a_whole_refusal_for_a_record_is_split_down_to_it(void **state)
{
    struct fixture *f = *state;

    server.command_code = 10334;
    event(f, 'a', UPDATE);
    event(f, 'b', UNCONVERTIBLE);
    event(f, 'c', UPDATE);
    event(f, 'c', UPDATE);
    event(f, 'd', UNCONVERTIBLE);
    event(f, 'e', UPDATE);
    assert_int_equal(apply(f, 0), MONGO_DONE);
    assert_int_equal(f->letter_count, 6); /* each event once, the older of c too */
    for (size_t i = 0; i < f->letter_count; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(f->letters[i].offset, f->letters[j].offset);
}

/* What one event at a time ends with, in batches of any size, with commands of few records. */
static void refusals_end_as_if_applied_one_by_one(void **state)
{
    enum {
        EVENTS = 300,
        ROUNDS = 60
    };
    struct fixture *f = *state;

    srand(3);
    for (int round = 0; round < ROUNDS; round++) {
        int one_by_one[KEYS], refused_percent = rand() % 101;

        server.count = 1 + rand() % 6;
        server.limit = 16384 + 100 + rand() % 1000;
        for (int k = 0; k < KEYS; k++)
            server.documents[k] = one_by_one[k] = NO_DOCUMENT;
        for (int i = 0; i < EVENTS; i++) {
            int k = rand() % KEYS;
            enum kind kind = rand() % 4 == 0 ? DELETE : UPDATE;

            server.code_of_value[i] = 0;
            if (kind == UPDATE && rand() % 100 < refused_percent) {
                kind = rand() % 2 ? UNCONVERTIBLE : UPDATE;
                server.code_of_value[i] = 121;
            }
            if (!server.code_of_value[i])
                one_by_one[k] = kind == DELETE ? NO_DOCUMENT : i;
            event_at(f, (char)('a' + k), kind, i);
            if (rand() % 30 == 0 || i == EVENTS - 1)
                assert_int_equal(apply(f, 0), MONGO_DONE);
        }
        assert_memory_equal(server.documents, one_by_one, sizeof(one_by_one));
    }
}

/* ---- codes that say nothing ---- */

static void a_record_that_alone_is_refused_is_given_up_in_the_end(void **state)
{
    struct fixture *f = *state;

    server.code_of_value[1] = UNKNOWN_CODE;
    for (int i = 0; i < SUSPECT_TRIES; i++) {
        event_at(f, 'a', UPDATE, 0);
        event_at(f, 'b', UPDATE, 1);
        if (i < SUSPECT_TRIES - 1) {
            assert_int_equal(apply(f, i * STEP_MS), MONGO_AGAIN);
            assert_non_null(strstr(f->err.message, "7654321"));
            assert_int_equal(f->letter_count, 0);
            assert_false(f->job.hopeless);
        }
    }
    assert_int_equal(apply(f, SUSPECT_MS), MONGO_DONE);
    assert_int_equal(f->letter_count, 1);
    assert_int_equal(f->letters[0].offset, 1);
    assert_non_null(strstr(f->letters[0].reason, "code 7654321, 5 tries in 10 s"));
    assert_int_equal(server.documents[0], 0);
}

static void an_event_that_was_given_up_gives_its_place_to_an_older_one(void **state)
{
    struct fixture *f = *state;
    enum mongo_result result = MONGO_AGAIN;

    server.code_of_value[2] = server.code_of_value[3] = UNKNOWN_CODE;
    for (int i = 0; result == MONGO_AGAIN && i < 4 * SUSPECT_TRIES; i++) {
        event_at(f, 'a', UPDATE, 0);
        event_at(f, 'b', UPDATE, 1); /* holds */
        event_at(f, 'b', UPDATE, 2);
        event_at(f, 'b', UPDATE, 3);
        result = apply(f, i * STEP_MS);
        assert_false(f->job.hopeless);
    }
    assert_int_equal(result, MONGO_DONE);
    assert_int_equal(f->letter_count, 2);
    assert_int_equal(f->letters[0].offset, 3);
    assert_int_equal(f->letters[1].offset, 2);
    assert_int_equal(server.documents[1], 1);
}

static void whole_commands_refused_halt_and_go_on(void **state)
{
    struct fixture *f = *state;

    for (int of_command = 0; of_command < 2; of_command++) {
        for (int i = 0; i <= SUSPECT_TRIES; i++) {
            server.code_of_key[0] = server.code_of_key[1] = of_command ? 0 : UNKNOWN_CODE;
            server.command_code = of_command ? UNKNOWN_CODE : 0;
            event_at(f, 'a', UPDATE, 0);
            event_at(f, 'b', UPDATE, 1);
            assert_int_equal(apply(f, i * STEP_MS), MONGO_AGAIN);
            assert_int_equal(f->job.hopeless, i >= SUSPECT_TRIES - 1);
            assert_int_equal(f->letter_count, 0);
        }
        assert_non_null(strstr(f->err.message, "7654321"));
        assert_non_null(strstr(f->err.message, "6 tries in 12 s"));
        server.code_of_key[0] = server.code_of_key[1] = server.command_code = 0;
        event_at(f, 'a', UPDATE, 0);
        event_at(f, 'b', UPDATE, 1);
        assert_int_equal(apply(f, 100000), MONGO_DONE);
        assert_false(f->job.hopeless);
    }
}

/* A lone record has no neighbours that could tell: not lost, but not waited for in silence. */
static void a_lone_record_halts_and_is_given_up_when_others_come(void **state)
{
    struct fixture *f = *state;

    server.code_of_key[0] = UNKNOWN_CODE;
    for (int i = 0; i < SUSPECT_TRIES; i++) {
        event_at(f, 'a', UPDATE, 0);
        assert_int_equal(apply(f, i * STEP_MS), MONGO_AGAIN);
    }
    assert_true(f->job.hopeless);
    for (int i = 0; i < SUSPECT_TRIES; i++) {
        event_at(f, 'a', UPDATE, 0);
        event_at(f, 'b', UPDATE, 1);
        assert_int_equal(apply(f, 100000 + i * STEP_MS),
                         i < SUSPECT_TRIES - 1 ? MONGO_AGAIN : MONGO_DONE);
        assert_false(f->job.hopeless);
    }
    assert_int_equal(f->letter_count, 1);
}

/* A throttling server with a code that nobody knows: it lasts, and nothing is lost. */
static void refusals_at_random_lose_nothing(void **state)
{
    struct fixture *f = *state;
    enum mongo_result result = MONGO_AGAIN;
    int throttled = 500;

    srand(9);
    for (int i = 0; result == MONGO_AGAIN; i++) {
        for (int k = 0; k < KEYS; k++)
            server.code_of_key[k] = i < throttled && rand() % 2 ? UNKNOWN_CODE : 0;
        server.code_of_key[i % KEYS] = i < throttled ? UNKNOWN_CODE : 0;
        for (int k = 0; k < KEYS; k++)
            event_at(f, (char)('a' + k), UPDATE, k);
        result = apply(f, i * STEP_MS);
        assert_int_equal(f->letter_count, 0);
    }
    assert_int_equal(result, MONGO_DONE);
    for (int k = 0; k < KEYS; k++)
        assert_int_equal(server.documents[k], k);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_written),
        TEST(what_the_server_is_in_trouble_for_is_waited_out),
        TEST(an_unknown_outcome_is_not_forgotten),
        TEST(a_racing_upsert_is_tried_again),
        TEST(a_refusal_told_twice_is_one),
        TEST(nothing_is_sent_by_who_must_not),
        TEST(the_newest_event_that_holds_is_applied),
        TEST(a_whole_refusal_for_a_record_is_split_down_to_it),
        TEST(refusals_end_as_if_applied_one_by_one),
        TEST(a_record_that_alone_is_refused_is_given_up_in_the_end),
        TEST(an_event_that_was_given_up_gives_its_place_to_an_older_one),
        TEST(whole_commands_refused_halt_and_go_on),
        TEST(a_lone_record_halts_and_is_given_up_when_others_come),
        TEST(refusals_at_random_lose_nothing),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
