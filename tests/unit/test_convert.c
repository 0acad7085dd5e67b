/* Every case of tests/vectors/convert becomes the document that stands beside it, byte for byte
 * valid BSON to libbson, or is refused with the buffer as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <bson/bson.h>
#include <cmocka.h>

#include "consumer/convert.h"

#define ROOM (64 * 1024 * 1024)

static const char before[] = "what stood there before";

struct fixture {
    struct converter c;
    struct key_schema schema;
    struct buf out;
};

static struct fixture *fixture_new(void)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->c = (struct converter){.id_prefix = "pre", .schema = &f->schema};
    buf_init(&f->out, ROOM);
    buf_lit(&f->out, before);
    return f;
}

static void fixture_free(struct fixture *f)
{
    key_schema_release(&f->schema);
    buf_release(&f->out);
    free(f);
}
DEFINE_FREEP(struct fixture, fixture_freep, fixture_free)
DEFINE_FREEP(bson_t, bson_freep, bson_destroy)

static void key_attribute_set(struct key_attribute *k, const char *name, char type)
{
    *k = (struct key_attribute){.name = xstrdup(name), .name_len = strlen(name), .type = type};
}

static struct fixture *fixture_of_hash(const char *name, char type)
{
    struct fixture *f = fixture_new();

    key_attribute_set(&f->schema.hash, name, type);
    return f;
}

/* --- reading what was written --- */

static void assert_untouched(const struct fixture *f)
{
    assert_int_equal(f->out.len, sizeof(before) - 1);
    assert_memory_equal(f->out.p, before, sizeof(before) - 1);
    assert_false(f->out.overflow);
    assert_int_equal(f->out.ceiling, ROOM);
}

/* The document behind `before`, whole and valid. */
static void document_of(bson_t *ret, struct fixture *f, const char *about)
{
    size_t start = sizeof(before) - 1;

    assert_memory_equal(f->out.p, before, start);
    if (!bson_init_static(ret, (const uint8_t *)f->out.p + start, f->out.len - start))
        fail_msg("%s: the length is wrong", about);
    if (!bson_validate(ret, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL))
        fail_msg("%s: libbson finds it invalid", about);
}

/* Order counts. */
static void assert_document(struct fixture *f, const bson_t *expected, const char *about)
{
    bson_t document;
    char *want, *found;

    document_of(&document, f, about);
    found = bson_as_canonical_extended_json(&document, NULL);
    want = bson_as_canonical_extended_json(expected, NULL);
    if (strcmp(want, found) != 0)
        fail_msg("%s:\n  expected %s\n     found %s", about, want, found);
    bson_free(want);
    bson_free(found);
    f->out.len = sizeof(before) - 1;
}

static void assert_refused(struct fixture *f, const char *keys, const char *after,
                           const char *why, const char *about)
{
    struct error err = {0};

    if (convert_document(&f->out, &f->c, bytes_of(keys), bytes_of(after), &err) == 0)
        fail_msg("%s: was taken", about);
    if (err.kind != ERR_DATA || !strstr(err.message, why))
        fail_msg("%s: kind %d: %s", about, err.kind, err.message);
    assert_untouched(f);
}

static void assert_taken(struct fixture *f, const char *keys, const char *after,
                         const bson_t *expected, const char *about)
{
    struct error err = {0};

    if (convert_document(&f->out, &f->c, bytes_of(keys), bytes_of(after), &err) < 0)
        fail_msg("%s: %s", about, err.message);
    assert_document(f, expected, about);
}

/* --- the tables: extended JSON, so libbson reads them as the documents they stand for --- */

static bson_t *table(const char *name)
{
    AUTO(free_charp) char *path = xasprintf("%s/vectors/convert/%s.json", TESTS_DIR, name);
    AUTO(free_charp) char *text = xmalloc(1 << 20);
    FILE *file = fopen(path, "rb");
    bson_error_t error;
    bson_t *rows;
    size_t n;

    assert_non_null(file);
    n = fread(text, 1, 1 << 20, file);
    fclose(file);
    rows = bson_new_from_json((const uint8_t *)text, (ssize_t)n, &error);
    if (!rows)
        fail_msg("%s: %s", path, error.message);
    return rows;
}

/* A static bson_t points into itself: it can't be returned. */
static void document_at(bson_t *ret, const bson_iter_t *it)
{
    const uint8_t *data;
    uint32_t len;

    if (BSON_ITER_HOLDS_ARRAY(it))
        bson_iter_array(it, &len, &data);
    else
        bson_iter_document(it, &len, &data);
    assert_true(bson_init_static(ret, data, len));
}

/* {"rows":[...]} */
static void each_row(bson_iter_t *ret, const bson_t *table)
{
    bson_iter_t rows;

    assert_true(bson_iter_init_find(&rows, table, "rows"));
    assert_true(bson_iter_recurse(&rows, ret));
}

static bool member(bson_iter_t *ret, const bson_t *row, const char *name)
{
    return bson_iter_init_find(ret, row, name);
}

static const char *text_in(const bson_t *row, const char *name, const char *otherwise)
{
    bson_iter_t it;

    return member(&it, row, name) ? bson_iter_utf8(&it, NULL) : otherwise;
}

/* As DynamoDB writes: libbson sets spaces between the tokens. */
static void drop_spaces(char *json)
{
    bool quoted = false;
    char *to = json;

    for (const char *p = json; *p; p++) {
        if (quoted && *p == '\\')
            *to++ = *p++;
        else if (*p == '"')
            quoted = !quoted;
        if (quoted || *p != ' ')
            *to++ = *p;
    }
    *to = '\0';
}

/* A value that is a string in the table is meant as the text itself. */
static char *value_text(const bson_t *row)
{
    bson_iter_t it;
    bson_t value;
    char *json, *ret;

    assert_true(member(&it, row, "value"));
    if (BSON_ITER_HOLDS_UTF8(&it))
        return xstrdup(bson_iter_utf8(&it, NULL));
    document_at(&value, &it);
    json = bson_as_relaxed_extended_json(&value, NULL);
    ret = xstrdup(json);
    bson_free(json);
    drop_spaces(ret);
    return ret;
}

static void fill_expected(bson_t *ret, const bson_iter_t *value, bool raw)
{
    if (raw)
        BCON_APPEND(ret, "pk", "{", "S", "k", "}");
    else
        BCON_APPEND(ret, "pk", "k");
    if (raw && BSON_ITER_HOLDS_DOCUMENT(value)) {
        bson_t wrapper;

        document_at(&wrapper, value);
        bson_append_document(ret, "v", 1, &wrapper);
    } else {
        bson_append_iter(ret, "v", 1, value);
    }
}

static void check_value(struct fixture *f, const bson_t *row, const char *column,
                        const char *after, const char *about)
{
    static const char keys[] = "{\"pk\":{\"S\":\"k\"}}";
    bool raw = strcmp(column, "raw") == 0;
    bson_iter_t it;
    bson_t expected;

    f->c.type = raw ? CONVERT_RAW : CONVERT_CHANGE;
    f->c.number = strcmp(column, "double") == 0 ? CONVERT_DOUBLE : CONVERT_EXACT;
    if (member(&it, row, "refused")) {
        assert_refused(f, keys, after, bson_iter_utf8(&it, NULL), about);
        return;
    }
    if (!member(&it, row, column)) {
        assert_string_equal(column, "double");
        return;
    }
    bson_init(&expected);
    fill_expected(&expected, &it, raw);
    assert_taken(f, keys, after, &expected, about);
    bson_destroy(&expected);
}

static void check_value_row(struct fixture *f, const bson_iter_t *it)
{
    AUTO(free_charp) char *value = NULL;
    AUTO(free_charp) char *after = NULL;
    const char *about;
    bson_t row;

    document_at(&row, it);
    about = text_in(&row, "about", "?");
    value = value_text(&row);
    after = xasprintf("{\"v\":%s}", value);
    check_value(f, &row, "raw", after, about);
    check_value(f, &row, "change", after, about);
    check_value(f, &row, "double", after, about);
}

static void a_value_becomes_what_the_table_says(void **state)
{
    AUTO(fixture_freep) struct fixture *f = fixture_of_hash("pk", 'S');
    AUTO(bson_freep) bson_t *rows = table("values");
    bson_iter_t it;
    int count = 0;

    (void)state;
    for (each_row(&it, rows); bson_iter_next(&it); count++)
        check_value_row(f, &it);
    assert_true(count > 60);
}

/* [["pk","S"],["sk","N"]] */
static void schema_of_row(struct key_schema *ret, const bson_t *row)
{
    struct key_attribute *slot = &ret->hash;
    bson_t schema, pair;
    bson_iter_t it;

    if (!member(&it, row, "schema")) {
        key_attribute_set(slot, "pk", 'S');
        return;
    }
    document_at(&schema, &it);
    for (bson_iter_init(&it, &schema); bson_iter_next(&it); slot = &ret->range) {
        document_at(&pair, &it);
        key_attribute_set(slot, text_in(&pair, "0", NULL), text_in(&pair, "1", NULL)[0]);
    }
}

static struct fixture *fixture_of_row(const bson_t *row)
{
    struct fixture *f = fixture_new();

    schema_of_row(&f->schema, row);
    f->c.id_prefix = text_in(row, "prefix", "pre");
    if (strcmp(text_in(row, "identity", "objectid"), "key") == 0)
        f->c.identity = IDENTITY_KEY;
    if (strcmp(text_in(row, "number", "exact"), "double") == 0)
        f->c.number = CONVERT_DOUBLE;
    return f;
}

static void check_parts(struct fixture *f, const bson_t *expected, const char *keys,
                        const char *after, const char *about)
{
    struct error err = {0};
    bson_iter_t it;
    bson_t part;

    assert_true(member(&it, expected, "document"));
    document_at(&part, &it);
    assert_taken(f, keys, after, &part, about);
    if (member(&it, expected, "filter")) {
        document_at(&part, &it);
        if (convert_filter(&f->out, &f->c, bytes_of(keys), &err) < 0)
            fail_msg("%s: %s", about, err.message);
        assert_document(f, &part, about);
    }
    if (member(&it, expected, "index")) {
        bson_t pattern;

        document_at(&part, &it);
        converter_key_pattern(&pattern, &f->c);
        buf_append(&f->out, bson_get_data(&pattern), pattern.len);
        bson_destroy(&pattern);
        assert_document(f, &part, about);
    }
}

static void check_document(struct fixture *f, const bson_t *row, const char *column)
{
    const char *keys = text_in(row, "keys", "{\"pk\":{\"S\":\"k\"}}");
    const char *after = text_in(row, "after", NULL), *about = text_in(row, "about", "?");
    const char *why = text_in(row, "refused", NULL);
    bson_iter_t it;
    bson_t expected;

    f->c.type = strcmp(column, "raw") == 0 ? CONVERT_RAW : CONVERT_CHANGE;
    if (why) {
        assert_refused(f, keys, after, why, about);
        return;
    }
    assert_true(member(&it, row, column));
    document_at(&expected, &it);
    check_parts(f, &expected, keys, after, about);
}

static void an_item_becomes_what_the_table_says(void **state)
{
    AUTO(bson_freep) bson_t *rows = table("documents");
    bson_iter_t it;
    int count = 0;

    (void)state;
    for (each_row(&it, rows); bson_iter_next(&it); count++) {
        AUTO(fixture_freep) struct fixture *f = NULL;
        bson_t row;

        document_at(&row, &it);
        f = fixture_of_row(&row);
        check_document(f, &row, "raw");
        check_document(f, &row, "change");
    }
    assert_true(count > 35);
}

/* --- what no table shows --- */

static const char key_k[] = "{\"pk\":{\"S\":\"k\"}}";

static void a_name_that_stands_twice_in_a_message_is_kept_twice(void **state)
{
    AUTO(fixture_freep) struct fixture *f = fixture_of_hash("pk", 'S');
    struct error err;
    bson_iter_t it;
    bson_t document;

    (void)state;
    f->c.type = CONVERT_CHANGE;
    assert_int_equal(convert_document(&f->out, &f->c, bytes_of(key_k),
                                      bytes_of("{\"a\":{\"S\":\"1\"},\"a\":{\"S\":\"2\"}}"),
                                      &err),
                     0);
    document_of(&document, f, "twice");
    assert_true(bson_iter_init_find(&it, &document, "a"));
    assert_string_equal(bson_iter_utf8(&it, NULL), "1");
    assert_true(bson_iter_find(&it, "a"));
    assert_string_equal(bson_iter_utf8(&it, NULL), "2");
}

/* depth levels of {"L":[ around "x". */
static void append_nested(struct buf *b, int depth, const char *open, const char *close)
{
    for (int i = 0; i < depth; i++)
        buf_append(b, open, strlen(open));
    buf_lit(b, "{\"S\":\"x\"}");
    for (int i = 0; i < depth; i++)
        buf_append(b, close, strlen(close));
}

static int convert_nested(struct fixture *f, int depth, bool list, struct error *err)
{
    AUTO(buf_release) struct buf after;

    buf_init(&after, 65536);
    buf_lit(&after, "{\"v\":");
    append_nested(&after, depth, list ? "{\"L\":[" : "{\"M\":{\"n\":", list ? "]}" : "}}");
    buf_lit(&after, "}");
    return convert_document(&f->out, &f->c, bytes_of(key_k), buf_slice(&after), err);
}

static void dynamodbs_32_levels_are_taken_and_what_mongodb_refuses_is_not(void **state)
{
    struct error err;
    bson_t document;

    (void)state;
    for (int list = 0; list < 2; list++) {
        AUTO(fixture_freep) struct fixture *f = fixture_of_hash("pk", 'S');

        for (f->c.type = CONVERT_RAW; f->c.type <= CONVERT_CHANGE; f->c.type++) {
            assert_int_equal(convert_nested(f, 32, list, &err), 0);
            document_of(&document, f, "nested");
            f->out.len = sizeof(before) - 1;
        }
        f->c.type = CONVERT_RAW;
        assert_int_equal(convert_nested(f, 49, list, &err), 0);
        f->out.len = sizeof(before) - 1;
        assert_int_equal(convert_nested(f, 50, list, &err), -1);
        assert_int_equal(err.kind, ERR_DATA);
        assert_non_null(strstr(err.message, "nested"));
        assert_untouched(f);
    }
}

/* An item of `n` empty strings in a list: 21 bytes each in raw. */
static struct buf strings_item(size_t n)
{
    struct buf after;

    buf_init(&after, ROOM);
    buf_lit(&after, "{\"v\":{\"L\":[{\"S\":\"\"}");
    for (size_t i = 1; i < n; i++)
        buf_lit(&after, ",{\"S\":\"\"}");
    buf_lit(&after, "]}}");
    return after;
}

/* The elements of v.L are called "0", "1", ... */
static void assert_indexes(const bson_t *document)
{
    bson_iter_t it, list, element;
    char name[16];
    int i = 0;

    assert_true(bson_iter_init(&it, document) && bson_iter_find_descendant(&it, "v.L", &list));
    assert_true(bson_iter_recurse(&list, &element));
    for (; bson_iter_next(&element); i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_string_equal(bson_iter_key(&element), name);
    }
    assert_int_equal(i, 400 * 1024);
}

static void the_largest_item_of_empty_strings_is_taken(void **state)
{
    AUTO(fixture_freep) struct fixture *f = fixture_of_hash("pk", 'S');
    AUTO(buf_release) struct buf after = strings_item(400 * 1024);
    struct error err;
    bson_t document;

    (void)state;
    assert_int_equal(convert_document(&f->out, &f->c, bytes_of(key_k), buf_slice(&after), &err),
                     0);
    document_of(&document, f, "large");
    assert_true(document.len > 8 * 1024 * 1024);
    assert_indexes(&document);
}

static void a_document_over_16_mib_is_refused(void **state)
{
    AUTO(fixture_freep) struct fixture *f = fixture_of_hash("pk", 'S');
    AUTO(buf_release) struct buf after = strings_item(900 * 1000);
    struct error err = {0};

    (void)state;
    assert_int_equal(convert_document(&f->out, &f->c, bytes_of(key_k), buf_slice(&after), &err),
                     -1);
    assert_int_equal(err.kind, ERR_DATA);
    assert_non_null(strstr(err.message, "16 MiB"));
    assert_untouched(f);
    assert_true(f->out.cap <= 17 * 1024 * 1024); /* nor was memory taken for it */
}

/* {"pk":"k","v":"xx..."} of exactly `size` bytes in change. */
static int convert_sized(struct fixture *f, size_t size, struct error *err)
{
    AUTO(buf_release) struct buf after;
    size_t frame = 4 + (1 + 3 + 4 + 2) + (1 + 2 + 4 + 1) + 1;

    buf_init(&after, ROOM);
    buf_lit(&after, "{\"v\":{\"S\":\"");
    for (size_t i = frame; i < size; i++)
        buf_char(&after, 'x');
    buf_lit(&after, "\"}}");
    return convert_document(&f->out, &f->c, bytes_of(key_k), buf_slice(&after), err);
}

static void the_limit_leaves_room_for_the_servers_own_id(void **state)
{
    AUTO(fixture_freep) struct fixture *f = fixture_of_hash("pk", 'S');
    size_t limit = 16 * 1024 * 1024 - 17;
    struct error err;

    (void)state;
    f->c.type = CONVERT_CHANGE;
    assert_int_equal(convert_sized(f, limit, &err), 0);
    assert_int_equal(f->out.len, sizeof(before) - 1 + limit);
    f->out.len = sizeof(before) - 1;
    assert_int_equal(convert_sized(f, limit + 1, &err), -1);
    assert_int_equal(err.kind, ERR_DATA);
    assert_untouched(f);
}

static void a_full_buffer_is_the_callers_affair_and_no_dead_letter(void **state)
{
    AUTO(fixture_freep) struct fixture *f = fixture_of_hash("pk", 'S');
    struct error err;
    bson_t document;

    (void)state;
    f->c.type = CONVERT_CHANGE;
    for (size_t room = 1; room < 600; room++) { /* cut at every byte */
        AUTO(buf_release) struct buf small;

        buf_init(&small, room);
        if (convert_document(&small, &f->c, bytes_of(key_k),
                             bytes_of("{\"_id\":{\"L\":[{\"B\":\"AAAA\"},{\"S\":\"\\n\"}]},"
                                      "\"\\n\":{\"M\":{\"a\":{\"N\":\"1.5\"}}}}"),
                             &err) == 0) {
            assert_true(bson_init_static(&document, (const uint8_t *)small.p, small.len));
            assert_true(room > 60);
            return;
        }
        assert_int_equal(err.kind, ERR_RETRY);
        assert_int_equal(small.len, 0);
        assert_int_equal(small.ceiling, room);
        assert_false(small.overflow);
    }
    fail_msg("never had room");
}

static void a_buffer_that_overflowed_before_stays_so(void **state)
{
    AUTO(fixture_freep) struct fixture *f = fixture_of_hash("pk", 'S');
    AUTO(buf_release) struct buf small;
    struct error err = {0};

    (void)state;
    buf_init(&small, 2);
    buf_lit(&small, "too long");
    assert_int_equal(convert_document(&small, &f->c, bytes_of(key_k), bytes_of("{}"), &err),
                     -1);
    assert_int_equal(err.kind, ERR_RETRY);
    err.kind = ERR_NONE;
    assert_int_equal(convert_filter(&small, &f->c, bytes_of(key_k), &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_true(small.overflow);
}

static void only_a_plain_path_can_be_indexed(void **state)
{
    static const struct {
        const char *name;
        size_t len;
        bool indexable;
    } names[] = {{"pk", 2, true},       {"a$", 2, true},   {"_id", 3, true},
                 {"\xc3\xa9", 2, true}, {"a.b", 3, false}, {".", 1, false},
                 {"$a", 2, false},      {"", 0, false},    {"a\0b", 3, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct key_attribute odd = {(char *)names[i].name, names[i].len, 'S'};
        struct key_attribute plain = {(char *)"pk", 2, 'S'};

        assert_int_equal(converter_can_index(&(struct key_schema){.hash = odd}),
                         names[i].indexable);
        assert_int_equal(converter_can_index(&(struct key_schema){.hash = plain, .range = odd}),
                         names[i].indexable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_becomes_what_the_table_says),
        cmocka_unit_test(an_item_becomes_what_the_table_says),
        cmocka_unit_test(a_name_that_stands_twice_in_a_message_is_kept_twice),
        cmocka_unit_test(dynamodbs_32_levels_are_taken_and_what_mongodb_refuses_is_not),
        cmocka_unit_test(the_largest_item_of_empty_strings_is_taken),
        cmocka_unit_test(a_document_over_16_mib_is_refused),
        cmocka_unit_test(the_limit_leaves_room_for_the_servers_own_id),
        cmocka_unit_test(a_full_buffer_is_the_callers_affair_and_no_dead_letter),
        cmocka_unit_test(a_buffer_that_overflowed_before_stays_so),
        cmocka_unit_test(only_a_plain_path_can_be_indexed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
