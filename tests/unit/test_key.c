/* tests/unit/test_key.c - fullcheck's keys: the text is the one of the messages, a document's
 * is its item's, and what DynamoDB could not have is nobody's key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/item/ddb_item.h"
#include "fullcheck/canon_document.h"
#include "fullcheck/canon_item.h"
#include "fullcheck/key.h"

#define DIGITS_34 "1234567890123456789012345678901234"
#define DIGITS_35 "12345678901234567890123456789012345"
#define DIGITS_38 "12345678901234567890123456789012345678"

DEFINE_FREEP(bson_t, bson_freep, bson_destroy)

static const struct canon_form change = {.change = true, .id_prefix = "pre"};
static const struct canon_form doubles = {
    .change = true, .as_double = true, .id_prefix = "pre"};
static const struct canon_form raw = {.id_prefix = "pre"};

struct fixture {
    struct key_schema schema;
    struct key_form key;
    struct canon_arena arena;
    struct buf text;
};

static void set_attribute(struct key_attribute *ret, const char *name, char type)
{
    *ret = (struct key_attribute){xstrdup(name), strlen(name), type};
}

/* types: "S", "NB": of hash and range. */
static void fixture_init(struct fixture *f, const struct canon_form *form, const char *hash,
                         const char *range, const char *types, bool is_id)
{
    *f = (struct fixture){.text = {.ceiling = 1 << 20}};
    set_attribute(&f->schema.hash, hash, types[0]);
    if (range)
        set_attribute(&f->schema.range, range, types[1]);
    key_form_init(&f->key, form, &f->schema, is_id);
    canon_arena_init(&f->arena);
}

static void fixture_release(struct fixture *f)
{
    key_form_release(&f->key);
    key_schema_release(&f->schema);
    canon_arena_release(&f->arena);
    buf_release(&f->text);
}

static struct canon *item_of(struct fixture *f, const char *json)
{
    struct canon *item;
    struct error err;

    if (canon_item(&item, &f->arena, bytes_of(json), f->key.form, &err) < 0)
        fail_msg("%s: %s", json, err.message);
    return item;
}

/* ---- the text of an item's key ---- */

static uint64_t any(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void random_string(struct buf *out)
{
    static const char *const pieces[] = {"a",
                                         "Z",
                                         " ",
                                         "\\n",
                                         "\\u0000",
                                         "\\u001f",
                                         "\\\"",
                                         "\\\\",
                                         "\\/",
                                         "/",
                                         "\xc3\xa9",
                                         "\\u00E9",
                                         "\x7f",
                                         "\\ud83d",
                                         "\\uDE00",
                                         "\\ud83d\\ude00",
                                         "\\u2028",
                                         "\\b\\f",
                                         "\xf0\x9f\x98\x80"};

    for (uint64_t n = any() % 12 + 1; n > 0; n--)
        buf_bytes(out, bytes_of(pieces[any() % ARRAY_LEN(pieces)]));
}

static void random_number(struct buf *out)
{
    int digits = (int)(any() % 38) + 1, point = (int)(any() % 45) - 4;

    if (any() % 2)
        buf_char(out, '-');
    for (int i = 0; i < digits; i++) {
        if (i == point && i > 0)
            buf_char(out, '.');
        buf_char(out, (char)('0' + (any() % 3 ? any() % 10 : 0)));
    }
    if (any() % 2)
        buf_printf(out, "%c%d", any() % 2 ? 'e' : 'E', (int)(any() % 160) - 80);
}

static void random_binary(struct buf *out)
{
    char bytes[16];
    size_t len = any() % sizeof(bytes) + 1;

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)any();
    base64_encode(out, (struct bytes){bytes, len});
}

static void random_value(struct buf *out, char type)
{
    buf_printf(out, "{\"%c\":\"", type);
    if (type == 'S')
        random_string(out);
    else if (type == 'N')
        random_number(out);
    else
        random_binary(out);
    buf_lit(out, "\"}");
}

static void random_item(struct buf *out, const char *types)
{
    bool swapped = any() % 2;

    buf_reset(out);
    buf_lit(out, "{ \"other\":{\"M\":{\"pk\":{\"S\":\"no\"}}}");
    for (int i = 0; i < 2; i++) {
        bool hash = (i == 0) != swapped;

        buf_printf(out, ", \"%s\" : ", hash ? "pk" : "sk");
        random_value(out, types[hash ? 0 : 1]);
    }
    buf_char(out, '}');
}

/* What common/ says about the same item. */
static int messages_key(struct buf *out, struct bytes item, const struct key_schema *schema)
{
    struct ddb_item read;
    struct json_reader r;
    struct error err;

    json_reader_init(&r, item);
    return ddb_item_read(&read, &r, schema, &err) < 0 ||
                   ddb_item_keys(NULL, out, &read, schema, &err) < 0
               ? -1
               : 0;
}

static void the_text_of_any_key_is_the_one_of_the_messages(void **state)
{
    static const char *const types[] = {"SN", "NS", "BB", "SB", "NN", "SS"};
    AUTO(buf_release) struct buf json = {.ceiling = 1 << 16}, wanted = {.ceiling = 1 << 16};
    int compared = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct fixture f;

        fixture_init(&f, i % 2 ? &raw : &change, "pk", "sk", types[i], i % 3 == 0);
        for (int n = 0; n < 4000; n++) {
            canon_arena_reset(&f.arena);
            buf_reset(&f.text);
            buf_reset(&wanted);
            random_item(&json, types[i]);
            if (messages_key(&wanted, buf_slice(&json), &f.schema) < 0)
                continue; /* a number past what DynamoDB takes */
            assert_true(key_text(&f.text, &f.key, item_of(&f, buf_cstr(&json))));
            if (!bytes_equal(buf_slice(&f.text), buf_slice(&wanted)))
                fail_msg("%s, wanted %s", buf_cstr(&f.text), buf_cstr(&wanted));
            compared++;
        }
        fixture_release(&f);
    }
    assert_true(compared > 15000);
}

static void a_number_that_the_messages_refuse_is_no_key(void **state)
{
    static const char *const numbers[] = {"1E126",       "9.99E+125", "1E-130",  "9E-131",
                                          "0",           "-0.00E999", DIGITS_38, DIGITS_38 "9",
                                          DIGITS_38 "0", "1E-1000000"};
    struct fixture f;

    (void)state;
    fixture_init(&f, &change, "pk", NULL, "N", false);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        AUTO(free_charp) char *item = xasprintf("{\"pk\":{\"N\":\"%s\"}}", numbers[i]);
        AUTO(buf_release) struct buf wanted = {.ceiling = 1 << 16};
        bool legal = messages_key(&wanted, bytes_of(item), &f.schema) == 0;

        buf_reset(&f.text);
        assert_int_equal(key_text(&f.text, &f.key, item_of(&f, item)), legal);
        assert_string_equal(buf_cstr(&f.text), buf_cstr(&wanted));
    }
    fixture_release(&f);
}

static void what_is_no_valid_key_leaves_nothing(void **state)
{
    static const char *const items[] = {
        "{}",
        "{\"pk\":{\"S\":\"x\"}}",
        "{\"sk\":{\"N\":\"1\"}}",
        "{\"pk\":{\"N\":\"1\"},\"sk\":{\"N\":\"1\"}}",
        "{\"pk\":{\"S\":\"x\"},\"sk\":{\"S\":\"1\"}}",
        "{\"pk\":{\"S\":\"x\"},\"sk\":{\"L\":[]}}",
        "{\"pk\":{\"NULL\":true},\"sk\":{\"N\":\"1\"}}",
        "{\"PK\":{\"S\":\"x\"},\"sk\":{\"N\":\"1\"}}",
    };
    struct fixture f;

    (void)state;
    fixture_init(&f, &change, "pk", "sk", "SN", false);
    buf_lit(&f.text, "before");
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        assert_false(key_text(&f.text, &f.key, item_of(&f, items[i])));
        assert_string_equal(buf_cstr(&f.text), "before");
    }
    fixture_release(&f);
}

/* An item with both names can't be a document, but its key is its own. */
static void a_key_called_id_is_not_mixed_up_with_the_name_it_is_stored_under(void **state)
{
    static const char *const items[] = {
        "{\"pre_id\":{\"S\":\"no\"},\"_id\":{\"S\":\"yes\"}}",
        "{\"_id\":{\"S\":\"yes\"},\"pre_id\":{\"S\":\"no\"}}",
        "{\"pre_id\":{\"N\":\"1\"},\"_id\":{\"S\":\"yes\"}}",
        "{\"_id\":{\"S\":\"yes\"}}",
    };
    struct fixture f;

    (void)state;
    fixture_init(&f, &change, "_id", NULL, "S", false);
    assert_string_equal(f.key.hash_path, "pre_id");
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        buf_reset(&f.text);
        assert_true(key_text(&f.text, &f.key, item_of(&f, items[i])));
        assert_string_equal(buf_cstr(&f.text), "{\"_id\":{\"S\":\"yes\"}}");
    }
    fixture_release(&f);
}

/* ---- the key of a document ---- */

struct document_row {
    const struct canon_form *form;
    const char *types;
    bool is_id;
    const char *document;
    enum key_place place;
    const char *text;
};

static void check_document(const struct document_row *row)
{
    AUTO(bson_freep)
    bson_t *document = bson_new_from_json((const uint8_t *)row->document, -1, NULL);
    enum key_place place;
    struct fixture f;

    if (!document)
        fail_msg("%s", row->document);
    fixture_init(&f, row->form, "pk", row->types[1] ? "sk" : NULL, row->types, row->is_id);
    place = key_of_document(&f.text, &f.arena, &f.key, document,
                            canon_document(&f.arena, document, row->form));
    if (place != row->place || strcmp(buf_cstr(&f.text), row->text) != 0)
        fail_msg("%s: %d %s, wanted %d %s", row->document, place, buf_cstr(&f.text), row->place,
                 row->text);
    fixture_release(&f);
}

#define B00(base64) "{\"$binary\":{\"base64\":\"" base64 "\",\"subType\":\"00\"}}"
#define K_S "{\"pk\":{\"S\":\"x\"}}"
#define K_SN "{\"pk\":{\"S\":\"x\"},\"sk\":{\"N\":\"7\"}}"

static const struct document_row documents[] = {
    {&change, "S", false, "{\"_id\":1,\"pk\":\"x\"}", KEY_RIGHT, K_S},
    {&change, "SN", false, "{\"_id\":1,\"sk\":7,\"z\":0,\"pk\":\"x\"}", KEY_RIGHT, K_SN},
    {&change, "SN", false, "{\"pk\":\"x\",\"sk\":7.0}", KEY_RIGHT, K_SN},
    {&change, "SN", false, "{\"pk\":\"x\",\"sk\":{\"$numberDecimal\":\"7.00\"}}", KEY_RIGHT,
     K_SN},
    {&change, "N", false, "{\"pk\":{\"$numberDecimal\":\"-1.5E-7\"}}", KEY_RIGHT,
     "{\"pk\":{\"N\":\"-0.00000015\"}}"},
    {&change, "N", false, "{\"pk\":\"" DIGITS_38 "\"}", KEY_RIGHT,
     "{\"pk\":{\"N\":\"" DIGITS_38 "\"}}"},
    {&change, "N", false, "{\"pk\":\"0." DIGITS_35 "\"}", KEY_RIGHT,
     "{\"pk\":{\"N\":\"0." DIGITS_35 "\"}}"},
    {&change, "S", false, "{\"pk\":\"" DIGITS_38 "\"}", KEY_RIGHT,
     "{\"pk\":{\"S\":\"" DIGITS_38 "\"}}"},
    {&change, "B", false, "{\"pk\":" B00("AP8=") "}", KEY_RIGHT, "{\"pk\":{\"B\":\"AP8=\"}}"},
    {&change, "S", false, "{\"pk\":\"a\\u0000\\\"\\n\xc3\xa9\"}", KEY_RIGHT,
     "{\"pk\":{\"S\":\"a\\u0000\\\"\\n\xc3\xa9\"}}"},
    {&raw, "S", false, "{\"pk\":{\"S\":\"x\"}}", KEY_RIGHT, K_S},
    {&raw, "SN", false, "{\"pk\":{\"S\":\"x\"},\"sk\":{\"N\":\"7.0\"}}", KEY_RIGHT, K_SN},
    {&raw, "N", false, "{\"pk\":{\"N\":\"" DIGITS_38 "\"}}", KEY_RIGHT,
     "{\"pk\":{\"N\":\"" DIGITS_38 "\"}}"},
    {&raw, "B", false, "{\"pk\":{\"B\":" B00("AP8=") "}}", KEY_RIGHT,
     "{\"pk\":{\"B\":\"AP8=\"}}"},
    /* the user's own: no key, of another type, or one that DynamoDB would refuse */
    {&change, "S", false, "{\"_id\":\"x\"}", KEY_NONE, ""},
    {&change, "SN", false, "{\"pk\":\"x\"}", KEY_NONE, ""},
    {&change, "SN", false, "{\"sk\":7}", KEY_NONE, ""},
    {&change, "S", false, "{\"pk\":5}", KEY_NONE, ""},
    {&change, "S", false, "{\"pk\":[\"x\"]}", KEY_NONE, ""},
    {&change, "N", false, "{\"pk\":\"7\"}", KEY_NONE, ""},
    {&change, "N", false, "{\"pk\":\"" DIGITS_34 "\"}", KEY_NONE, ""},
    {&change, "N", false, "{\"pk\":\"" DIGITS_38 "9\"}", KEY_NONE, ""},
    {&change, "N", false, "{\"pk\":0.1}", KEY_NONE, ""}, /* more than 38 digits */
    {&doubles, "N", false, "{\"pk\":0.1}", KEY_NONE, ""},
    {&change, "N", false, "{\"pk\":1e300}", KEY_NONE, ""},
    {&change, "N", false, "{\"pk\":{\"$numberDecimal\":\"1E+126\"}}", KEY_NONE, ""},
    {&change, "N", false, "{\"pk\":{\"$numberDecimal\":\"1E-131\"}}", KEY_NONE, ""},
    {&change, "N", false, "{\"pk\":{\"$numberDecimal\":\"NaN\"}}", KEY_NONE, ""},
    {&raw, "N", false, "{\"pk\":{\"N\":\"1E1000000\"}}", KEY_NONE, ""},
    {&raw, "N", false, "{\"pk\":{\"N\":\"\"}}", KEY_NONE, ""},
    {&change, "S", false, "{\"pk\":\"\"}", KEY_NONE, ""},
    {&change, "B", false, "{\"pk\":" B00("") "}", KEY_NONE, ""},
    {&change, "B", false, "{\"pk\":{\"$binary\":{\"base64\":\"AP8=\",\"subType\":\"04\"}}}",
     KEY_NONE, ""},
    {&raw, "S", false, "{\"pk\":\"x\"}", KEY_NONE, ""},
    {&raw, "S", false, "{\"pk\":{\"S\":\"x\",\"N\":\"1\"}}", KEY_NONE, ""},
    {&change, "S", false, "{\"pk\":{\"S\":\"x\"}}", KEY_NONE, ""},
    /* target.id = key */
    {&change, "S", true, "{\"_id\":\"x\",\"pk\":\"x\"}", KEY_RIGHT, K_S},
    {&change, "S", true, "{\"_id\":\"y\",\"pk\":\"x\"}", KEY_MISPLACED, K_S},
    {&change, "S", true, "{\"_id\":{\"$oid\":\"0123456789abcdef01234567\"},\"pk\":\"x\"}",
     KEY_MISPLACED, K_S},
    {&change, "S", true, "{\"pk\":\"x\"}", KEY_MISPLACED, K_S},
    {&change, "SN", true, "{\"_id\":{\"pk\":\"x\",\"sk\":7},\"pk\":\"x\",\"sk\":7}", KEY_RIGHT,
     K_SN},
    {&change, "SN", true, "{\"_id\":{\"sk\":7,\"pk\":\"x\"},\"pk\":\"x\",\"sk\":7}",
     KEY_MISPLACED, K_SN},
    {&change, "SN", true, "{\"_id\":{\"pk\":\"x\",\"sk\":7,\"a\":1},\"pk\":\"x\",\"sk\":7}",
     KEY_MISPLACED, K_SN},
    {&doubles, "N", true, "{\"_id\":0.5,\"pk\":{\"$numberDecimal\":\"0.5\"}}", KEY_RIGHT,
     "{\"pk\":{\"N\":\"0.5\"}}"},
    {&doubles, "N", true, "{\"_id\":0.1,\"pk\":{\"$numberDecimal\":\"0.1\"}}", KEY_MISPLACED,
     "{\"pk\":{\"N\":\"0.1\"}}"},
    {&raw, "S", true, "{\"_id\":{\"S\":\"x\"},\"pk\":{\"S\":\"x\"}}", KEY_RIGHT, K_S},
    {&raw, "S", true, "{\"_id\":\"x\",\"pk\":{\"S\":\"x\"}}", KEY_MISPLACED, K_S},
    {&raw, "SN", true,
     "{\"_id\":{\"pk\":{\"S\":\"x\"},\"sk\":{\"N\":\"7\"}},\"pk\":{\"S\":\"x\"},\"sk\":{\"N\":"
     "\"7\"}}",
     KEY_RIGHT, K_SN},
    {&change, "S", true, "{\"_id\":\"x\",\"pk\":5}", KEY_OF_ID, K_S},
    {&change, "SN", true, "{\"_id\":{\"pk\":\"x\",\"sk\":7},\"pk\":\"x\"}", KEY_OF_ID, K_SN},
    {&raw, "SN", true, "{\"_id\":{\"pk\":{\"S\":\"x\"},\"sk\":{\"N\":\"7\"}}}", KEY_OF_ID,
     K_SN},
    {&change, "S", true, "{\"_id\":5}", KEY_NONE, ""},
    {&change, "S", true, "{\"_id\":\"\"}", KEY_NONE, ""},
    {&change, "SN", true, "{\"_id\":{\"pk\":\"x\"}}", KEY_NONE, ""},
};

static void the_key_of_a_document_is_the_one_of_its_item(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(documents); i++)
        check_document(&documents[i]);
}

static enum key_place place_of_string(const struct canon_form *form, const char *text,
                                      size_t len, bool range)
{
    AUTO(bson_freep) bson_t *document = bson_new();
    enum key_place place;
    struct fixture f;

    fixture_init(&f, form, range ? "h" : "pk", range ? "pk" : NULL, "SS", false);
    bson_append_utf8(document, "h", 1, "x", 1);
    bson_append_utf8(document, "pk", 2, text, (int)len);
    place = key_of_document(&f.text, &f.arena, &f.key, document,
                            canon_document(&f.arena, document, form));
    fixture_release(&f);
    return place;
}

static void a_text_that_is_too_long_or_no_utf8_is_no_key(void **state)
{
    char text[2049];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(place_of_string(&change, text, 2048, false), KEY_RIGHT);
    assert_int_equal(place_of_string(&change, text, 2049, false), KEY_NONE);
    assert_int_equal(place_of_string(&change, text, 1024, true), KEY_RIGHT);
    assert_int_equal(place_of_string(&change, text, 1025, true), KEY_NONE);
    assert_int_equal(place_of_string(&change, "\xff", 1, false), KEY_NONE);
    assert_int_equal(place_of_string(&change, "\xed\xa0\xbd", 3, false), KEY_NONE);
    assert_int_equal(place_of_string(&change, "\0", 1, false), KEY_RIGHT);
}

/* ---- filters ---- */

struct filter_row {
    const struct canon_form *form;
    const char *types;
    bool is_id;
    const char *keys[6];
    const char *filter;
};

static const struct filter_row filters[] = {
    {&change,
     "S",
     false,
     {"{\"pk\":{\"S\":\"x\"}}", "{\"pk\":{\"S\":\"\"}}"},
     "{ \"pk\" : { \"$in\" : [ \"x\", \"\" ] } }"},
    {&raw, "S", false, {"{\"pk\":{\"S\":\"x\"}}"}, "{ \"pk.S\" : { \"$in\" : [ \"x\" ] } }"},
    {&raw,
     "N",
     false,
     {"{\"pk\":{\"N\":\"0.010\"}}"},
     "{ \"pk.N\" : { \"$in\" : [ \"0.01\" ] } }"},
    {&change,
     "N",
     false,
     {"{\"pk\":{\"N\":\"-7\"}}", "{\"pk\":{\"N\":\"1E2\"}}", "{\"pk\":{\"N\":\"0.5\"}}",
      "{\"pk\":{\"N\":\"" DIGITS_38 "\"}}", "{\"pk\":{\"N\":\"9223372036854775807\"}}"},
     "{ \"pk\" : { \"$in\" : [ -7, 100, { \"$numberDecimal\" : \"0.5\" }, \"" DIGITS_38
     "\", { \"$numberDecimal\" : \"9223372036854775807\" } ] } }"},
    {&change,
     "B",
     false,
     {"{\"pk\":{\"B\":\"AP8=\"}}"},
     "{ \"pk\" : { \"$in\" : [ { \"$binary\" : { \"base64\" : \"AP8=\", \"subType\" : \"00\" } "
     "} ] } }"},
    /* the keys of one hash stand together */
    {&change,
     "SN",
     false,
     {"{\"pk\":{\"S\":\"x\"},\"sk\":{\"N\":\"1\"}}",
      "{\"pk\":{\"S\":\"x\"},\"sk\":{\"N\":\"2\"}}",
      "{\"pk\":{\"S\":\"y\"},\"sk\":{\"N\":\"1\"}}"},
     "{ \"$or\" : [ { \"pk\" : \"x\", \"sk\" : { \"$in\" : [ 1, 2 ] } }, { \"pk\" : \"y\", "
     "\"sk\" : { "
     "\"$in\" : [ 1 ] } } ] }"},
    {&raw,
     "NB",
     false,
     {"{\"pk\":{\"N\":\"1\"},\"sk\":{\"B\":\"AA==\"}}",
      "{\"pk\":{\"N\":\"1.0\"},\"sk\":{\"B\":\"AQ==\"}}"},
     "{ \"$or\" : [ { \"pk.N\" : \"1\", \"sk.B\" : { \"$in\" : [ { \"$binary\" : { \"base64\" "
     ": "
     "\"AA==\", \"subType\" : \"00\" } }, { \"$binary\" : { \"base64\" : \"AQ==\", \"subType\" "
     ": "
     "\"00\" } } ] } } ] }"},
    /* by _id: hash before range, wrapped in raw */
    {&change, "S", true, {"{\"pk\":{\"S\":\"x\"}}"}, "{ \"_id\" : { \"$in\" : [ \"x\" ] } }"},
    {&change,
     "SN",
     true,
     {"{\"sk\":{\"N\":\"1\"},\"pk\":{\"S\":\"x\"}}"},
     "{ \"_id\" : { \"$in\" : [ { \"pk\" : \"x\", \"sk\" : 1 } ] } }"},
    {&raw,
     "SN",
     true,
     {"{\"sk\":{\"N\":\"1\"},\"pk\":{\"S\":\"x\"}}"},
     "{ \"_id\" : { \"$in\" : [ { \"pk\" : { \"S\" : \"x\" }, \"sk\" : { \"N\" : \"1\" } } ] } "
     "}"},
    {&raw,
     "S",
     true,
     {"{\"pk\":{\"S\":\"x\"}}"},
     "{ \"_id\" : { \"$in\" : [ { \"S\" : \"x\" } ] } }"},
    /* what MongoDB can't hold is not asked for */
    {&change,
     "S",
     false,
     {"{\"pk\":{\"S\":\"\\ud83d\"}}", "{\"pk\":{\"S\":\"a\\u0000b\"}}"},
     "{ \"pk\" : { \"$in\" : [ \"a\\u0000b\" ] } }"},
    {&change,
     "SS",
     false,
     {"{\"pk\":{\"S\":\"x\"},\"sk\":{\"S\":\"\\udc00\"}}",
      "{\"pk\":{\"S\":\"x\"},\"sk\":{\"S\":\"y\"}}"},
     "{ \"$or\" : [ { \"pk\" : \"x\", \"sk\" : { \"$in\" : [ \"y\" ] } } ] }"},
    {&change, "S", false, {"{\"pk\":{\"S\":\"\\ud83d\"}}"}, "{ \"pk\" : { \"$in\" : [  ] } }"},
};

static void check_filter(const struct filter_row *row)
{
    const struct canon *keys[ARRAY_LEN(row->keys)];
    struct fixture f;
    size_t count = 0;
    bson_t filter;
    char *json;

    fixture_init(&f, row->form, "pk", row->types[1] ? "sk" : NULL, row->types, row->is_id);
    while (count < ARRAY_LEN(row->keys) && row->keys[count]) {
        keys[count] = item_of(&f, row->keys[count]);
        count++;
    }
    key_filter(&filter, &f.key, keys, count);
    json = bson_as_relaxed_extended_json(&filter, NULL);
    assert_non_null(json);
    assert_string_equal(json, row->filter);
    bson_free(json);
    bson_destroy(&filter);
    fixture_release(&f);
}

static void a_filter_asks_for_the_keys_by_value_and_in_their_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        check_filter(&filters[i]);
}

/* Without a path there is no filter and no projection but by _id. */
static void a_name_without_a_path_makes_the_id_the_key(void **state)
{
    static const struct {
        const char *name;
        bool has_path;
    } names[] = {{"pk", true}, {"a.b", false}, {"$a", false},
                 {"", false},  {"a$", true},   {"_id", true}};
    struct fixture f;
    bson_t projection;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        fixture_init(&f, &change, names[i].name, NULL, "S", false);
        assert_int_equal(f.key.has_paths, names[i].has_path);
        assert_int_equal(f.key.is_id, !names[i].has_path);
        key_projection(&projection, &f.key);
        assert_int_equal(bson_count_keys(&projection), names[i].has_path);
        bson_destroy(&projection);
        fixture_release(&f);
    }
}

/* key_id is what key_id_found gives of the document made of it. */
static void an_id_is_found_as_it_must_be(void **state)
{
    static const char *const documents_of[][2] = {
        {"{\"pk\":{\"S\":\"x\"},\"sk\":{\"N\":\"7\"}}", "{\"_id\":{\"pk\":\"x\",\"sk\":7}}"},
        {"{\"sk\":{\"N\":\"" DIGITS_38 "\"},\"pk\":{\"S\":\"\"}}",
         "{\"_id\":{\"pk\":\"\",\"sk\":\"" DIGITS_38 "\"}}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(documents_of); i++) {
        AUTO(bson_freep)
        bson_t *document = bson_new_from_json((const uint8_t *)documents_of[i][1], -1, NULL);
        const struct canon *id, *found;
        struct fixture f;

        fixture_init(&f, &change, "pk", "sk", "SN", true);
        id = key_id(&f.arena, &f.key, item_of(&f, documents_of[i][0]));
        found = key_id_found(&f.arena, &f.key, document);
        assert_int_equal(id->type, CANON_MAP);
        assert_true(bytes_is(id->first->name, "pk") && bytes_is(id->first->next->name, "sk"));
        assert_true(bytes_is(found->first->name, "pk") &&
                    bytes_is(found->first->next->name, "sk"));
        assert_null(id->first->next->next);
        fixture_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_of_any_key_is_the_one_of_the_messages),
        cmocka_unit_test(a_number_that_the_messages_refuse_is_no_key),
        cmocka_unit_test(what_is_no_valid_key_leaves_nothing),
        cmocka_unit_test(a_key_called_id_is_not_mixed_up_with_the_name_it_is_stored_under),
        cmocka_unit_test(the_key_of_a_document_is_the_one_of_its_item),
        cmocka_unit_test(a_text_that_is_too_long_or_no_utf8_is_no_key),
        cmocka_unit_test(a_filter_asks_for_the_keys_by_value_and_in_their_form),
        cmocka_unit_test(a_name_without_a_path_makes_the_id_the_key),
        cmocka_unit_test(an_id_is_found_as_it_must_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
