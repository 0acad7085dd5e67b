/* A key comes back from the document that it became, byte for byte and for thousands of random
 * ones; what no conversion makes is nobody's key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <bson/bson.h>
#include <cmocka.h>

#include "common/base/base64.h"
#include "common/item/ddb_item.h"
#include "common/json/json_text.h"
#include "common/kafka/kafka.h"
#include "consumer/convert.h"
#include "consumer/document_key.h"

#define ROOM (1 << 20)
#define ROUNDS 20000

static const char before[] = "what stood there before";

DEFINE_FREEP(bson_t, bson_freep, bson_destroy)

/* --- random keys --- */

static uint64_t seed = 20261128;

static unsigned below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

static void random_text(struct buf *text)
{
    static const struct bytes pieces[] = {
        BYTES_LIT("a"),      BYTES_LIT("Z9"),         BYTES_LIT(" "),
        BYTES_LIT("\""),     BYTES_LIT("\\"),         BYTES_LIT("/"),
        BYTES_LIT("\0"),     BYTES_LIT("\n\t"),       BYTES_LIT("\x01\x1f\x7f"),
        BYTES_LIT("\u00e9"), BYTES_LIT("\u4e2d"),     BYTES_LIT("\U0001f600"),
        BYTES_LIT("."),      BYTES_LIT("$"),          BYTES_LIT("{\"S\":\"x\"}"),
        BYTES_LIT("\uffff"), BYTES_LIT("\U0010ffff"), BYTES_LIT("\xc2\x80"),
    };

    for (unsigned n = below(8); n > 0; n--)
        buf_bytes(text, pieces[below(ARRAY_LEN(pieces))]);
}

/* In one of the spellings of JSON. */
static void spell(struct buf *out, struct bytes text)
{
    if (below(2)) {
        json_stringify(out, text);
        return;
    }
    buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c < 0x20 || c == '"' || c == '\\' || (c < 0x80 && below(3) == 0))
            buf_printf(out, "\\u%04X", c);
        else
            buf_char(out, (char)c);
    }
    buf_char(out, '"');
}

static void random_number(struct buf *text)
{
    static const char *const cases[] = {"0",
                                        "-0",
                                        "0.0",
                                        "1E-130",
                                        "-1E-130",
                                        "9.99E+125",
                                        "2147483648",
                                        "-2147483648",
                                        "1E125",
                                        "0.5",
                                        "1.50",
                                        "100",
                                        "1e2",
                                        "+7",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "9223372036854775808",
                                        "00012.300"};
    unsigned digits = 1 + below(38), point = below(2) ? below(digits + 1) : digits;

    if (below(3) == 0) {
        buf_bytes(text, bytes_of(cases[below(ARRAY_LEN(cases))]));
        return;
    }
    if (below(2))
        buf_char(text, '-');
    for (unsigned i = 0; i < digits; i++) {
        if (i == point && i > 0)
            buf_char(text, '.');
        buf_char(text, (char)('0' + below(10)));
    }
    if (below(4) == 0)
        buf_printf(text, "E%d", (int)below(80) - 40);
}

static void random_binary(struct buf *text)
{
    unsigned char bytes[1024];
    unsigned n = below(5) ? below(20) : below(sizeof(bytes));

    for (unsigned i = 0; i < n; i++)
        bytes[i] = (unsigned char)below(256);
    base64_encode(text, (struct bytes){(const char *)bytes, n});
}

/* {"S":"x"} */
static void random_value(struct buf *out, char type)
{
    AUTO(buf_release) struct buf text;

    buf_init(&text, ROOM);
    if (type == 'S')
        random_text(&text);
    else if (type == 'N')
        random_number(&text);
    else
        random_binary(&text);
    buf_printf(out, "{\"%c\":", type);
    spell(out, buf_slice(&text));
    buf_char(out, '}');
}

static void random_attribute(struct key_attribute *ret, const char *other)
{
    static const char *const names[] = {"pk",
                                        "sk",
                                        "_id",
                                        "a.b",
                                        ".",
                                        "",
                                        "with \"quotes\" and \\",
                                        "\u00e9\U0001f600",
                                        "x$",
                                        "tab\there",
                                        "S",
                                        "pre",
                                        "__proto__"};

    do
        ret->name = (char *)names[below(ARRAY_LEN(names))];
    while (other && strcmp(ret->name, other) == 0);
    ret->name_len = strlen(ret->name);
    ret->type = "SNB"[below(3)];
}

struct round {
    struct key_schema schema;
    struct converter converter;
    struct buf item, keys, message_key, document;
};

static void random_item(struct round *round)
{
    const struct key_attribute *attributes[] = {&round->schema.hash, &round->schema.range};
    unsigned first = round->schema.range.name ? below(2) : 0;

    buf_lit(&round->item, "{\"other\":{\"N\":\"7\"}");
    for (unsigned i = 0; i < (round->schema.range.name ? 2U : 1U); i++) {
        const struct key_attribute *attribute = attributes[i ^ first];

        buf_char(&round->item, ',');
        spell(&round->item, key_attribute_name(attribute));
        buf_char(&round->item, ':');
        random_value(&round->item, attribute->type);
    }
    buf_char(&round->item, '}');
}

static void round_init(struct round *round)
{
    *round = (struct round){.converter = {.type = below(2) ? CONVERT_RAW : CONVERT_CHANGE,
                                          .number = below(2) ? CONVERT_EXACT : CONVERT_DOUBLE,
                                          .id_prefix = below(2) ? "pre" : "x"}};
    random_attribute(&round->schema.hash, NULL);
    if (below(2))
        random_attribute(&round->schema.range, round->schema.hash.name);
    round->converter.identity =
        below(2) || !converter_can_index(&round->schema) ? IDENTITY_KEY : IDENTITY_OBJECTID;
    round->converter.schema = &round->schema;
    buf_init(&round->item, ROOM);
    buf_init(&round->keys, ROOM);
    buf_init(&round->message_key, ROOM);
    buf_init(&round->document, ROOM);
    random_item(round);
}

static void round_release(struct round *round)
{
    buf_release(&round->item);
    buf_release(&round->keys);
    buf_release(&round->message_key);
    buf_release(&round->document);
}

/* false: a number of more digits than DynamoDB takes. */
static bool round_convert(struct round *round)
{
    struct json_reader r;
    struct ddb_item item;
    struct error err;

    json_reader_init(&r, buf_slice(&round->item));
    if (ddb_item_read(&item, &r, &round->schema, &err) < 0)
        fail_msg("%s: %.*s", err.message, BYTES_ARG(buf_slice(&round->item)));
    if (ddb_item_keys(&round->message_key, &round->keys, &item, &round->schema, &err) < 0)
        return false;
    if (convert_document(&round->document, &round->converter, buf_slice(&round->keys),
                         buf_slice(&round->item), &err) < 0)
        fail_msg("%s: %.*s", err.message, BYTES_ARG(buf_slice(&round->item)));
    return true;
}

/* --- there and back --- */

static void assert_behind(const struct buf *found, struct bytes expected)
{
    size_t start = sizeof(before) - 1;
    struct bytes behind = {found->p + start, found->len - start};

    assert_memory_equal(found->p, before, start);
    if (!bytes_equal(behind, expected))
        fail_msg("\nexpected %.*s\n   found %.*s", BYTES_ARG(expected), BYTES_ARG(behind));
}

static void check_back(const struct round *round)
{
    AUTO(buf_release) struct buf keys;
    AUTO(buf_release) struct buf message_key;
    bson_t doc;

    buf_init(&keys, ROOM);
    buf_init(&message_key, ROOM);
    buf_lit(&keys, before);
    buf_lit(&message_key, before);
    assert_true(
        bson_init_static(&doc, (const uint8_t *)round->document.p, round->document.len));
    if (document_key_read(&keys, &message_key, &round->converter, &doc) != DOCUMENT_KEY_FOUND)
        fail_msg("not found again: %.*s", BYTES_ARG(buf_slice(&round->keys)));
    assert_behind(&keys, buf_slice(&round->keys));
    assert_behind(&message_key, buf_slice(&round->message_key));
}

static void a_key_comes_back_from_the_document_that_it_became(void **state)
{
    int converted = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct round round;

        round_init(&round);
        if (round_convert(&round)) {
            check_back(&round);
            converted++;
        }
        round_release(&round);
    }
    assert_true(converted > ROUNDS * 9 / 10);
}

/* A find's projection keeps all that is read: the rest is taken away, and the key is the same.
 */
static void what_is_projected_is_enough(void **state)
{
    int projected = 0;

    (void)state;
    for (int i = 0; i < ROUNDS / 10; i++) {
        struct round round;
        bson_t projection, doc, rest = BSON_INITIALIZER;
        bson_iter_t it;

        round_init(&round);
        if (!round_convert(&round)) {
            bson_destroy(&rest);
            round_release(&round);
            continue;
        }
        document_key_projection(&projection, &round.converter);
        assert_true(
            bson_init_static(&doc, (const uint8_t *)round.document.p, round.document.len));
        assert_int_equal(bson_empty(&projection), !converter_can_index(&round.schema));
        for (bson_iter_init(&it, &doc); bson_iter_next(&it);)
            if (bson_has_field(&projection, bson_iter_key(&it)))
                bson_append_iter(&rest, NULL, 0, &it);
        if (!bson_empty(&projection)) {
            assert_false(bson_has_field(&rest, "other"));
            round.document.len = 0;
            buf_append(&round.document, bson_get_data(&rest), rest.len);
            check_back(&round);
            projected++;
        }
        bson_destroy(&projection);
        bson_destroy(&rest);
        round_release(&round);
    }
    assert_true(projected > 100);
}

/* --- documents as they may stand there --- */

struct example {
    const char *schema; /* "pk:S sk:N" */
    enum convert_type type;
    enum convert_identity identity;
    const char *document; /* extended JSON */
    const char *keys;     /* NULL: foreign */
};

#define C CONVERT_CHANGE
#define R CONVERT_RAW
#define O IDENTITY_OBJECTID
#define K IDENTITY_KEY

static const struct example examples[] = {
    /* what may have become of a number, as long as it is equal to MongoDB */
    {"pk:N", C, O, "{\"pk\":7}", "{\"pk\":{\"N\":\"7\"}}"},
    {"pk:N", C, O, "{\"pk\":{\"$numberLong\":\"7\"}}", "{\"pk\":{\"N\":\"7\"}}"},
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"7.0\"}}", "{\"pk\":{\"N\":\"7\"}}"},
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"-0.0\"}}", "{\"pk\":{\"N\":\"0\"}}"},
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"0.5\"}}", "{\"pk\":{\"N\":\"0.5\"}}"},
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"1e22\"}}",
     "{\"pk\":{\"N\":\"10000000000000000000000\"}}"},
    {"pk:N", C, O, "{\"pk\":{\"$numberDecimal\":\"7.000\"}}", "{\"pk\":{\"N\":\"7\"}}"},
    {"pk:N", C, O, "{\"pk\":{\"$numberDecimal\":\"-0E+3\"}}", "{\"pk\":{\"N\":\"0\"}}"},
    {"pk:N", C, O, "{\"pk\":{\"$numberDecimal\":\"1.5E+2\"}}", "{\"pk\":{\"N\":\"150\"}}"},
    {"pk:N", C, O, "{\"pk\":\"12345678901234567890123456789012345\"}",
     "{\"pk\":{\"N\":\"12345678901234567890123456789012345\"}}"},
    /* not equal to any number of DynamoDB, or to the one that it would be written as */
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"0.1\"}}", NULL},
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"1329227995784915872903807060280344576\"}}",
     NULL}, /* 2^120: its 37 digits are stored as text */
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"1e300\"}}", NULL},
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"NaN\"}}", NULL},
    {"pk:N", C, O, "{\"pk\":{\"$numberDouble\":\"-Infinity\"}}", NULL},
    {"pk:N", C, O, "{\"pk\":{\"$numberDecimal\":\"NaN\"}}", NULL},
    {"pk:N", C, O, "{\"pk\":{\"$numberDecimal\":\"Infinity\"}}", NULL},
    {"pk:N", C, O, "{\"pk\":{\"$numberDecimal\":\"1E+126\"}}", NULL},
    {"pk:N", C, O, "{\"pk\":\"7\"}", NULL},
    {"pk:N", C, O, "{\"pk\":\"1234567890123456789012345678901234\"}", NULL}, /* 34 digits */
    {"pk:N", C, O, "{\"pk\":\"012345678901234567890123456789012345\"}", NULL},
    {"pk:N", C, O, "{\"pk\":\"\"}", NULL},
    {"pk:N", C, O, "{\"pk\":true}", NULL},
    {"pk:N", C, O, "{\"pk\":{\"$date\":{\"$numberLong\":\"7\"}}}", NULL},
    {"pk:N", R, O, "{\"pk\":{\"N\":\"7\"}}", "{\"pk\":{\"N\":\"7\"}}"},
    {"pk:N", R, O, "{\"pk\":{\"N\":\"7.0\"}}", NULL},
    {"pk:N", R, O, "{\"pk\":{\"N\":\"x\"}}", NULL},
    {"pk:N", R, O, "{\"pk\":{\"N\":7}}", NULL},
    /* other types */
    {"pk:S", C, O, "{\"pk\":7}", NULL},
    {"pk:S", C, O, "{\"pk\":null}", NULL},
    {"pk:S", C, O, "{\"pk\":[\"a\"]}", NULL},
    {"pk:S", C, O, "{\"pk\":{\"$symbol\":\"a\"}}", NULL},
    {"pk:S", C, O, "{\"pk\":{\"S\":\"a\"}}", NULL},
    {"pk:B", C, O, "{\"pk\":{\"$binary\":{\"base64\":\"\",\"subType\":\"00\"}}}",
     "{\"pk\":{\"B\":\"\"}}"},
    {"pk:B", C, O, "{\"pk\":{\"$binary\":{\"base64\":\"AAA=\",\"subType\":\"05\"}}}", NULL},
    {"pk:B", C, O, "{\"pk\":\"AAA=\"}", NULL},
    /* the wrapper of raw */
    {"pk:S", R, O, "{\"pk\":{\"S\":\"a\"}}", "{\"pk\":{\"S\":\"a\"}}"},
    {"pk:S", R, O, "{\"pk\":\"a\"}", NULL},
    {"pk:S", R, O, "{\"pk\":{}}", NULL},
    {"pk:S", R, O, "{\"pk\":{\"N\":\"1\"}}", NULL},
    {"pk:S", R, O, "{\"pk\":{\"SS\":\"a\"}}", NULL},
    {"pk:S", R, O, "{\"pk\":{\"S\":\"a\",\"N\":\"1\"}}", NULL},
    {"pk:S", R, O, "{\"pk\":[{\"S\":\"a\"}]}", NULL},
    {"pk:S", R, O, "{\"pk\":{\"S\":[\"a\"]}}", NULL},
    /* fields: missing, twice, under other names */
    {"pk:S", C, O, "{}", NULL},
    {"pk:S", C, O, "{\"_id\":\"a\"}", NULL},
    {"pk:S", C, O, "{\"PK\":\"a\"}", NULL},
    {"pk:S", C, O, "{\"pk\":\"a\",\"pk\":\"b\"}", NULL},
    {"pk:S sk:N", C, O, "{\"pk\":\"a\"}", NULL},
    {"pk:S sk:N", C, O, "{\"sk\":1}", NULL},
    {"pk:S sk:N", C, O, "{\"sk\":1,\"x\":2,\"pk\":\"a\"}",
     "{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"1\"}}"},
    {"_id:S", C, O, "{\"_id\":\"a\"}", NULL},
    {"_id:S", C, O, "{\"_id\":\"b\",\"pre_id\":\"a\"}", "{\"_id\":{\"S\":\"a\"}}"},
    {"_id:S pre_id:S", C, K, "{\"_id\":{\"pre_id\":\"a\",\"pre_id\":\"a\"},\"pre_id\":\"a\"}",
     NULL},
    {"_id:S pre_id:S", C, O, "{\"pre_id\":\"a\",\"pre_id\":\"a\"}", NULL},
    {"pre_id:S _id:S", C, O, "{\"_id\":\"a\",\"pre_id\":\"a\"}", NULL},
    {"$pk:S", C, K, "{\"_id\":\"a\",\"$pk\":\"a\"}", NULL},
    /* target.id = key: _id says the same */
    {"pk:S", C, K, "{\"_id\":\"a\",\"pk\":\"a\"}", "{\"pk\":{\"S\":\"a\"}}"},
    {"pk:S", C, K, "{\"_id\":\"b\",\"pk\":\"a\"}", NULL},
    {"pk:S", C, K, "{\"pk\":\"a\"}", NULL},
    {"pk:S", C, K, "{\"_id\":\"a\"}", NULL},
    {"pk:S", C, K, "{\"_id\":{\"$oid\":\"0123456789abcdef01234567\"},\"pk\":\"a\"}", NULL},
    {"pk:S", R, K, "{\"_id\":{\"S\":\"a\"},\"pk\":{\"S\":\"a\"}}", "{\"pk\":{\"S\":\"a\"}}"},
    {"pk:S", R, K, "{\"_id\":\"a\",\"pk\":{\"S\":\"a\"}}", NULL},
    {"pk:N", C, K, "{\"_id\":{\"$numberDouble\":\"7.0\"},\"pk\":7}", "{\"pk\":{\"N\":\"7\"}}"},
    {"pk:S sk:N", C, K, "{\"_id\":{\"pk\":\"a\",\"sk\":1},\"pk\":\"a\",\"sk\":1}",
     "{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"1\"}}"},
    {"pk:S sk:N", C, K, "{\"_id\":{\"sk\":1,\"pk\":\"a\"},\"pk\":\"a\",\"sk\":1}", NULL},
    {"pk:S sk:N", C, K, "{\"_id\":{\"pk\":\"a\",\"sk\":2},\"pk\":\"a\",\"sk\":1}", NULL},
    {"pk:S sk:N", C, K, "{\"_id\":{\"pk\":\"a\"},\"pk\":\"a\",\"sk\":1}", NULL},
    {"pk:S sk:N", C, K, "{\"_id\":{\"pk\":\"a\",\"sk\":1,\"x\":1},\"pk\":\"a\",\"sk\":1}",
     NULL},
    {"pk:S sk:N", C, K, "{\"_id\":\"a\",\"pk\":\"a\",\"sk\":1}", NULL},
    {"a.b:S", C, K, "{\"_id\":\"a\",\"a.b\":\"a\"}", "{\"a.b\":{\"S\":\"a\"}}"},
    {"a.b:S", C, K, "{\"_id\":\"a\",\"a\":{\"b\":\"a\"}}", NULL},
};

static void attribute_of(struct key_attribute *ret, const char *text)
{
    size_t len = strcspn(text, ":");

    *ret = (struct key_attribute){xstrndup(text, len), len, text[len + 1]};
}

static void schema_of(struct key_schema *ret, const char *text)
{
    const char *space = strchr(text, ' ');

    *ret = (struct key_schema){0};
    attribute_of(&ret->hash, text);
    if (space)
        attribute_of(&ret->range, space + 1);
}

static void check_example(const struct example *example, const bson_t *doc)
{
    AUTO(key_schema_release) struct key_schema schema;
    struct converter converter = {.type = example->type,
                                  .identity = example->identity,
                                  .id_prefix = "pre",
                                  .schema = &schema};
    AUTO(buf_release) struct buf keys;
    AUTO(buf_release) struct buf message_key;
    enum document_key_result result;

    schema_of(&schema, example->schema);
    buf_init(&keys, ROOM);
    buf_init(&message_key, ROOM);
    buf_lit(&keys, before);
    buf_lit(&message_key, before);
    result = document_key_read(&keys, &message_key, &converter, doc);
    if ((result == DOCUMENT_KEY_FOUND) != (example->keys != NULL))
        fail_msg("%s of %s: %s", example->document, example->schema,
                 result == DOCUMENT_KEY_FOUND ? buf_cstr(&keys) : "foreign");
    assert_behind(&keys, bytes_of(example->keys ? example->keys : ""));
    if (!example->keys)
        assert_behind(&message_key, BYTES_LIT(""));
}

static void only_what_conversion_makes_is_a_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        bson_error_t error;
        AUTO(bson_freep)
        bson_t *doc = bson_new_from_json((const uint8_t *)examples[i].document, -1, &error);

        if (!doc)
            fail_msg("%s: %s", examples[i].document, error.message);
        check_example(&examples[i], doc);
    }
}

static void a_text_that_is_no_utf8_is_no_key(void **state)
{
    static const char *const texts[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80"};
    struct example example = {"pk:S", C, O, "no UTF-8", NULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(bson_freep) bson_t *doc = bson_new();

        BSON_APPEND_UTF8(doc, "pk", texts[i]);
        check_example(&example, doc);
    }
}

static void a_full_buffer_is_seen(void **state)
{
    AUTO(key_schema_release) struct key_schema schema;
    struct converter converter = {.type = C, .id_prefix = "pre", .schema = &schema};
    AUTO(bson_freep) bson_t *doc = BCON_NEW("pk", "a");
    AUTO(buf_release) struct buf keys;
    AUTO(buf_release) struct buf message_key;

    (void)state;
    schema_of(&schema, "pk:S");
    for (size_t room = 0; room < sizeof("{\"pk\":{\"S\":\"a\"}}") - 1; room++) {
        buf_init(&keys, room);
        buf_init(&message_key, ROOM);
        assert_int_equal(document_key_read(&keys, &message_key, &converter, doc),
                         DOCUMENT_KEY_FOREIGN);
        assert_true(keys.overflow);
        assert_int_equal(keys.len, 0);
        buf_release(&keys);
        buf_release(&message_key);
    }
    buf_init(&keys, ROOM);
    buf_init(&message_key, 3);
    assert_int_equal(document_key_read(&keys, &message_key, &converter, doc),
                     DOCUMENT_KEY_FOREIGN);
    assert_true(message_key.overflow);
    assert_int_equal(keys.len, 0);
}

static void a_projection_names_the_fields_as_they_are_stored(void **state)
{
    AUTO(key_schema_release) struct key_schema schema;
    struct converter converter = {.type = R, .id_prefix = "pre", .schema = &schema};
    AUTO(bson_freep)
    bson_t *expected =
        BCON_NEW("_id", BCON_INT32(1), "pre_id", BCON_INT32(1), "sk", BCON_INT32(1));
    bson_t projection;

    (void)state;
    schema_of(&schema, "_id:S sk:N");
    document_key_projection(&projection, &converter);
    assert_true(bson_equal(&projection, expected));
    bson_destroy(&projection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_comes_back_from_the_document_that_it_became),
        cmocka_unit_test(what_is_projected_is_enough),
        cmocka_unit_test(only_what_conversion_makes_is_a_key),
        cmocka_unit_test(a_text_that_is_no_utf8_is_no_key),
        cmocka_unit_test(a_full_buffer_is_seen),
        cmocka_unit_test(a_projection_names_the_fields_as_they_are_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
