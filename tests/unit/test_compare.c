/* tests/unit/test_compare.c - an item and its document part where they say something else, and
 * nowhere else.
 *
 * A case: the item as DynamoDB JSON, the document as extended JSON, and the places where they
 * part: `/path type text | type text`, - for a side that has nothing there; "" for the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "fullcheck/canon_document.h"
#include "fullcheck/canon_item.h"
#include "fullcheck/compare.h"

#define DIGITS_34 "1234567890123456789012345678901234"
#define DIGITS_35 "12345678901234567890123456789012345"
#define DIGITS_38 "12345678901234567890123456789012345678"
#define OFF_BY_ONE "12345678901234567890123456789012345679"
#define NINES_38 "99999999999999999999999999999999999999"

DEFINE_FREEP(bson_t, bson_freep, bson_destroy)

struct row {
    const char *item;
    const char *document;
    const char *parts;
};

struct reading { /* of the parts */
    struct buf text;
};

static void write_path(struct buf *out, const struct compare_path *path)
{
    if (path->up)
        write_path(out, path->up);
    if (path->name.p)
        buf_printf(out, "/" BYTES_FMT, BYTES_ARG(path->name));
    else
        buf_printf(out, "/%zu", path->position);
}

static void write_side(struct buf *out, const struct canon *c)
{
    if (!c) {
        buf_char(out, '-');
        return;
    }
    buf_printf(out, "%s ", canon_type_name(c));
    canon_text(out, c, 200);
}

static void on_part(void *arg, const struct compare_path *path, const struct canon *source,
                    const struct canon *target)
{
    struct reading *r = arg;

    buf_printf(&r->text, "%s", r->text.len ? "; " : "");
    write_path(&r->text, path);
    buf_char(&r->text, ' ');
    write_side(&r->text, source);
    buf_lit(&r->text, " | ");
    write_side(&r->text, target);
}

static bool is_key(void *arg, struct bytes name)
{
    (void)arg;
    return bytes_is(name, "pk");
}

static void check_row(const struct row *row, const struct canon_form *form)
{
    struct reading r = {.text = {.ceiling = 1 << 20}};
    struct canon_arena arena;
    struct compare c = {
        .form = form, .arena = &arena, .parts = on_part, .arg = &r, .is_key = is_key};
    bson_error_t why;
    AUTO(bson_freep)
    bson_t *document = bson_new_from_json((const uint8_t *)row->document, -1, &why);
    struct canon *item, *map;
    struct error err;
    bool same;

    if (!document)
        fail_msg("%s: %s", row->document, why.message);
    canon_arena_init(&arena);
    if (canon_item(&item, &arena, bytes_of(row->item), form, &err) < 0)
        fail_msg("%s: %s", row->item, err.message);
    map = canon_document(&arena, document, form);
    same = compare_maps(&c, item, map);
    if (strcmp(buf_cstr(&r.text), row->parts) != 0)
        fail_msg("%s and %s\npart:   %s\nwanted: %s", row->item, row->document,
                 buf_cstr(&r.text), row->parts);
    assert_int_equal(same, *row->parts == '\0');
    c.parts = NULL; /* only whether */
    assert_int_equal(compare_maps(&c, item, map), same);
    buf_release(&r.text);
    canon_arena_release(&arena);
}

static const struct canon_form change = {.change = true, .id_prefix = "pre"};
static const struct canon_form doubles = {
    .change = true, .as_double = true, .id_prefix = "pre"};
static const struct canon_form raw = {.id_prefix = "pre"};

#define CHECK_ROWS(rows, form)                                                                 \
    for (size_t i_ = 0; i_ < ARRAY_LEN(rows); i_++)                                            \
    check_row(&(rows)[i_], form)

#define N(text) "{\"a\":{\"N\":\"" text "\"}}"
#define DEC(text) "{\"a\":{\"$numberDecimal\":\"" text "\"}}"
#define LONG(text) "{\"a\":{\"$numberLong\":\"" text "\"}}"
#define DBL(text) "{\"a\":{\"$numberDouble\":\"" text "\"}}"

static const struct row numbers_in_change[] = {
    {N("1"), "{\"a\":1}", ""},
    {N("1"), LONG("1"), ""},
    {N("1"), DEC("1"), ""},
    {N("1"), DEC("1.000"), ""},
    {N("1.0"), "{\"a\":1}", ""},
    {N("1"), DBL("1.0"), ""},
    {N("10"), DEC("1E+1"), ""},
    {N("-0"), "{\"a\":0}", ""},
    {N("0"), DEC("-0E+3"), ""},
    {N("0"), DBL("-0.0"), ""},
    {N("1"), "{\"a\":2}", "/a number 1 | number 2"},
    {N("-1"), "{\"a\":1}", "/a number -1 | number 1"},
    {N("1"), "{\"a\":\"1\"}", "/a number 1 | string 1"},
    {N("0.1"), DEC("0.1"), ""},
    {N("0.1"), DBL("0.1"),
     "/a number 0.1 | number 0.1000000000000000055511151231257827021181583404541015625"},
    {N("9007199254740993"), DBL("9007199254740992.0"),
     "/a number 9007199254740993 | number 9007199254740992"},
    {N("9223372036854775807"), LONG("9223372036854775807"), ""},
    {N("9223372036854775807"), LONG("9223372036854775806"),
     "/a number 9223372036854775807 | number 9223372036854775806"},
    {N("-9223372036854775808"), LONG("-9223372036854775808"), ""},
    {N("1E-130"), DEC("1E-130"), ""},
    {N("9.99E+125"), DEC("9.99E+125"), ""},
    {N(DIGITS_34), DEC(DIGITS_34), ""},
    {N(DIGITS_34), "{\"a\":\"" DIGITS_34 "\"}", "/a number " DIGITS_34 " | string " DIGITS_34},
    {N(DIGITS_35), "{\"a\":\"" DIGITS_35 "\"}", ""},
    {N(DIGITS_38), "{\"a\":\"" DIGITS_38 "\"}", ""},
    {N(DIGITS_38), "{\"a\":\"" OFF_BY_ONE "\"}",
     "/a number " DIGITS_38 " | string " OFF_BY_ONE},
    {N(DIGITS_38), DEC(DIGITS_34), "/a number " DIGITS_38 " | number " DIGITS_34},
    {N(NINES_38), "{\"a\":\"" NINES_38 "\"}", ""},
    {N("1"), DEC("NaN"), "/a number 1 | other { \"$numberDecimal\" : \"NaN\" }"},
    {N("1"), DEC("Infinity"), "/a number 1 | other { \"$numberDecimal\" : \"Infinity\" }"},
    {N("1"), DBL("NaN"), "/a number 1 | other { \"$numberDouble\" : \"NaN\" }"},
    {N("1"), DBL("-Infinity"), "/a number 1 | other { \"$numberDouble\" : \"-Infinity\" }"},
    {N("0"), "{\"a\":false}", "/a number 0 | bool false"},
    {N("0"), "{\"a\":null}", "/a number 0 | null null"},
};

static void numbers_are_equal_by_value_with_every_digit_in_change(void **state)
{
    (void)state;
    CHECK_ROWS(numbers_in_change, &change);
}

static const struct row numbers_as_double[] = {
    {N("0.1"), DBL("0.1"), ""},
    {N("0.1"), DBL("0.10000000000000002"),
     "/a number 0.1 | number 0.10000000000000001942890293094023945741355419158935546875"},
    {N("0.1"), DBL("0.09999999999999999"),
     "/a number 0.1 | number 0.09999999999999999167332731531132594682276248931884765625"},
    {N("9007199254740993"), DBL("9007199254740992.0"), ""},
    {N("9007199254740993"), DBL("9007199254740994.0"),
     "/a number 9007199254740993 | number 9007199254740994"},
    {N(DIGITS_38), DBL("12345678901234567890123456789012345678.0"), ""},
    {N("9.99E+125"), DBL("9.99E+125"), ""},
    {N("1E-130"), DBL("1E-130"), ""},
    {N("5"), "{\"a\":5}", ""},
    {N("0.1"), DEC("0.1"), ""},
    {N("0.1"), DEC("0.10000000000000001"), "/a number 0.1 | number 0.10000000000000001"},
    {"{\"l\":{\"L\":[{\"N\":\"0.1\"}]}}", "{\"l\":[{\"$numberDouble\":\"0.1\"}]}", ""},
    {"{\"s\":{\"NS\":[\"0.1\",\"-3\",\"1e100\"]}}", "{\"s\":[1e100,0.1,-3.0]}", ""},
    {"{\"s\":{\"NS\":[\"1\",\"1.0000000000000000000001\"]}}", "{\"s\":[1.0,1.0]}", ""},
    {"{\"s\":{\"NS\":[\"1.0000000000000000000001\",\"1\"]}}",
     "{\"s\":[{\"$numberDecimal\":\"1\"},{\"$numberDecimal\":\"1.0000000000000000000001\"}]}",
     ""},
    {"{\"s\":{\"NS\":[\"0.1\"]}}", "{\"s\":[0.10000000000000002]}",
     "/s set <0.1> | list [0.10000000000000001942890293094023945741355419158935546875]"},
    /* never in a key */
    {"{\"pk\":{\"N\":\"0.1\"}}", "{\"pk\":{\"$numberDouble\":\"0.1\"}}",
     "/pk number 0.1 | number 0.1000000000000000055511151231257827021181583404541015625"},
    {"{\"pk\":{\"N\":\"0.1\"}}", "{\"pk\":{\"$numberDecimal\":\"0.1\"}}", ""},
    {"{\"m\":{\"M\":{\"pk\":{\"N\":\"0.1\"}}}}", "{\"m\":{\"pk\":0.1}}", ""},
};

static void the_nearest_double_is_right_only_where_doubles_were_asked_for(void **state)
{
    (void)state;
    CHECK_ROWS(numbers_as_double, &doubles);
}

static const struct row types_in_change[] = {
    {"{}", "{}", ""},
    {"{}", "{\"_id\":\"anything\"}", ""},
    {"{\"a\":{\"S\":\"\"}}", "{\"a\":\"\"}", ""},
    {"{\"a\":{\"S\":\"x\"}}", "{\"a\":\"y\"}", "/a string x | string y"},
    {"{\"a\":{\"S\":\"x\"}}", "{\"a\":\"x \"}", "/a string x | string x "},
    {"{\"a\":{\"S\":\"\\u0000\\u00e9\\ud83d\\ude00\"}}",
     "{\"a\":\"\\u0000\xc3\xa9\xf0\x9f\x98\x80\"}", ""},
    {"{\"a\":{\"S\":\"\\ud83d\"}}", "{\"a\":\"\xef\xbf\xbd\"}",
     "/a string \xed\xa0\xbd | string \xef\xbf\xbd"},
    {"{\"a\":{\"B\":\"\"}}", "{\"a\":{\"$binary\":{\"base64\":\"\",\"subType\":\"00\"}}}", ""},
    {"{\"a\":{\"B\":\"AP8=\"}}",
     "{\"a\":{\"$binary\":{\"base64\":\"AP8=\",\"subType\":\"00\"}}}", ""},
    {"{\"a\":{\"B\":\"\\/\\/8=\"}}",
     "{\"a\":{\"$binary\":{\"base64\":\"//8=\",\"subType\":\"00\"}}}", ""},
    {"{\"a\":{\"B\":\"AP8=\"}}",
     "{\"a\":{\"$binary\":{\"base64\":\"AP4=\",\"subType\":\"00\"}}}",
     "/a binary AP8= | binary AP4="},
    {"{\"a\":{\"B\":\"AP8=\"}}",
     "{\"a\":{\"$binary\":{\"base64\":\"AP8=\",\"subType\":\"80\"}}}",
     "/a binary AP8= | other { \"$binary\" : { \"base64\" : \"AP8=\", \"subType\" : \"80\" } "
     "}"},
    {"{\"a\":{\"B\":\"AP8=\"}}", "{\"a\":\"AP8=\"}", "/a binary AP8= | string AP8="},
    {"{\"a\":{\"BOOL\":true}}", "{\"a\":true}", ""},
    {"{\"a\":{\"BOOL\":true}}", "{\"a\":false}", "/a bool true | bool false"},
    {"{\"a\":{\"BOOL\":true}}", "{\"a\":1}", "/a bool true | number 1"},
    {"{\"a\":{\"NULL\":true}}", "{\"a\":null}", ""},
    {"{\"a\":{\"NULL\":true}}", "{}", "/a null null | -"},
    {"{}", "{\"a\":null}", "/a - | null null"},
    {"{\"a\":{\"NULL\":true}}", "{\"a\":[]}", "/a null null | list []"},
    {"{\"a\":{\"L\":[]}}", "{\"a\":[]}", ""},
    {"{\"a\":{\"L\":[]}}", "{\"a\":{}}", "/a list [] | map {}"},
    {"{\"a\":{\"L\":[]}}", "{\"a\":null}", "/a list [] | null null"},
    {"{\"a\":{\"M\":{}}}", "{\"a\":{}}", ""},
    {"{\"a\":{}}", "{\"a\":{}}", ""}, /* an empty map as some services write it */
    {"{\"a\":{\"M\":{\"b\":{}}}}", "{\"a\":{\"b\":{}}}", ""},
    {"{\"a\":{}}", "{\"a\":[]}", "/a map {} | list []"},
    {"{\"a\":{\"S\":\"x\"}}", "{\"a\":{\"$date\":{\"$numberLong\":\"0\"}}}",
     "/a string x | other { \"$date\" : \"1970-01-01T00:00:00Z\" }"},
    {"{\"a\":{\"S\":\"x\"}}", "{\"a\":{\"$oid\":\"0123456789abcdef01234567\"}}",
     "/a string x | other { \"$oid\" : \"0123456789abcdef01234567\" }"},
    {"{\"a\":{\"S\":\"x\"}}", "{\"a\":{\"S\":\"x\"}}", "/a string x | map {\"S\": \"x\"}"},
};

static void each_type_stands_for_itself_in_change(void **state)
{
    (void)state;
    CHECK_ROWS(types_in_change, &change);
}

static const struct row sets_in_change[] = {
    {"{\"a\":{\"SS\":[\"x\",\"y\",\"z\"]}}", "{\"a\":[\"z\",\"x\",\"y\"]}", ""},
    {"{\"a\":{\"SS\":[\"x\",\"y\"]}}", "{\"a\":[\"x\",\"x\"]}",
     "/a set <\"x\", \"y\"> | list [\"x\", \"x\"]"},
    {"{\"a\":{\"SS\":[\"x\"]}}", "{\"a\":[\"x\",\"x\"]}",
     "/a set <\"x\"> | list [\"x\", \"x\"]"},
    {"{\"a\":{\"SS\":[\"x\",\"y\"]}}", "{\"a\":[\"x\"]}",
     "/a set <\"x\", \"y\"> | list [\"x\"]"},
    {"{\"a\":{\"SS\":[\"x\"]}}", "{\"a\":\"x\"}", "/a set <\"x\"> | string x"},
    {"{\"a\":{\"SS\":[\"\",\"a\",\"ab\"]}}", "{\"a\":[\"ab\",\"\",\"a\"]}", ""},
    {"{\"a\":{\"SS\":[\"" DIGITS_38 "\"]}}", "{\"a\":[\"" DIGITS_38 "\"]}", ""},
    {"{\"a\":{\"SS\":[\"" DIGITS_38 "\"]}}", "{\"a\":[\"" DIGITS_38 ".0\"]}",
     "/a set <\"" DIGITS_38 "\"> | list [\"" DIGITS_38 ".0\"]"},
    {"{\"a\":{\"NS\":[\"1\",\"2.50\",\"-3\"]}}",
     "{\"a\":[{\"$numberDecimal\":\"2.5\"},-3,{\"$numberLong\":\"1\"}]}", ""},
    {"{\"a\":{\"NS\":[\"1\",\"2\"]}}", "{\"a\":[1,\"2\"]}", "/a set <1, 2> | list [1, \"2\"]"},
    {"{\"a\":{\"NS\":[\"" DIGITS_38 "\",\"" DIGITS_35 "\",\"7\",\"" DIGITS_34 "\"]}}",
     "{\"a\":[\"" DIGITS_35 "\",{\"$numberDecimal\":\"" DIGITS_34 "\"},\"" DIGITS_38 "\",7]}",
     ""},
    {"{\"a\":{\"NS\":[\"" DIGITS_38 "\"]}}", "{\"a\":[\"" OFF_BY_ONE "\"]}",
     "/a set <" DIGITS_38 "> | list [\"" OFF_BY_ONE "\"]"},
    {"{\"a\":{\"NS\":[\"" DIGITS_34 "\"]}}", "{\"a\":[\"" DIGITS_34 "\"]}",
     "/a set <" DIGITS_34 "> | list [\"" DIGITS_34 "\"]"},
    {"{\"a\":{\"NS\":[\"1\"]}}", "{\"a\":[[1]]}", "/a set <1> | list [[1]]"},
    {"{\"a\":{\"NS\":[\"1\",\"2\"]}}", "{\"a\":[null,{}]}", "/a set <1, 2> | list [null, {}]"},
    {"{\"a\":{\"BS\":[\"AA==\",\"\",\"/w==\"]}}",
     "{\"a\":[{\"$binary\":{\"base64\":\"/w==\",\"subType\":\"00\"}},{\"$binary\":{\"base64\":"
     "\"AA==\",\"subType\":\"00\"}},{\"$binary\":{\"base64\":\"\",\"subType\":\"00\"}}]}",
     ""},
    {"{\"a\":{\"BS\":[\"AA==\"]}}",
     "{\"a\":[{\"$binary\":{\"base64\":\"AQ==\",\"subType\":\"00\"}}]}",
     "/a set <AA==> | list [AQ==]"},
    {"{\"a\":{\"L\":[{\"S\":\"x\"},{\"S\":\"y\"}]}}", "{\"a\":[\"y\",\"x\"]}",
     "/a/0 string x | string y; /a/1 string y | string x"},
};

static void a_set_has_no_order_a_list_has_one(void **state)
{
    (void)state;
    CHECK_ROWS(sets_in_change, &change);
}

static const struct row nested_in_change[] = {
    {"{\"a\":{\"L\":[{\"S\":\"x\"}]}}", "{\"a\":[\"x\",5,null]}",
     "/a/1 - | number 5; /a/2 - | null null"},
    {"{\"a\":{\"L\":[{\"S\":\"x\"},{\"N\":\"5\"}]}}", "{\"a\":[\"x\"]}", "/a/1 number 5 | -"},
    {"{\"a\":{\"M\":{\"b\":{\"L\":[{\"M\":{\"c\":{\"S\":\"x\"}}}]}}}}",
     "{\"a\":{\"b\":[{\"c\":\"y\"}]}}", "/a/b/0/c string x | string y"},
    {"{\"a\":{\"M\":{\"\":{\"L\":[{\"L\":[{\"NULL\":true},{\"BOOL\":false}]}]}}}}",
     "{\"a\":{\"\":[[null,true]]}}", "/a//0/1 bool false | bool true"},
    {"{\"a\":{\"M\":{\"x.y\":{\"N\":\"1\"},\"$z\":{\"N\":\"2\"}}}}",
     "{\"a\":{\"$z\":3,\"x.y\":1}}", "/a/$z number 2 | number 3"},
    /* in any order, missing and extra on both sides */
    {"{\"a\":{\"N\":\"1\"},\"b\":{\"N\":\"2\"},\"c\":{\"N\":\"3\"}}",
     "{\"c\":3,\"a\":1,\"b\":2}", ""},
    {"{\"a\":{\"N\":\"1\"},\"b\":{\"N\":\"2\"},\"c\":{\"N\":\"3\"}}",
     "{\"a\":1,\"c\":3,\"d\":4}", "/b number 2 | -; /d - | number 4"},
    {"{\"a\":{\"N\":\"1\"}}", "{\"a\":1,\"a\":1}", "/a - | number 1"},
    {"{\"b\":{\"N\":\"1\"}}", "{\"a\":0,\"b\":1,\"ba\":2}",
     "/a - | number 0; /ba - | number 2"},
    {"{\"m\":{\"M\":{\"y\":{\"N\":\"1\"},\"x\":{\"N\":\"2\"}}}}",
     "{\"m\":{\"x\":2,\"y\":7,\"z\":0}}", "/m/y number 1 | number 7; /m/z - | number 0"},
    /* _id */
    {"{\"_id\":{\"S\":\"x\"}}", "{\"_id\":1,\"pre_id\":\"x\"}", ""},
    {"{\"_id\":{\"S\":\"x\"}}", "{\"_id\":1,\"pre_id\":\"y\"}", "/_id string x | string y"},
    {"{\"_id\":{\"S\":\"x\"}}", "{\"_id\":\"x\"}", "/_id string x | -"},
    {"{\"pre_id\":{\"S\":\"x\"}}", "{\"pre_id\":\"y\"}", "/pre_id string x | string y"},
    {"{\"m\":{\"M\":{\"_id\":{\"S\":\"x\"}}}}", "{\"m\":{\"_id\":\"y\"}}",
     "/m/_id string x | string y"},
    {"{\"m\":{\"M\":{\"_id\":{\"S\":\"x\"}}}}", "{\"m\":{\"_id\":\"x\"}}", ""},
    {"{\"_id\":{\"N\":\"1\"},\"pre_id\":{\"N\":\"2\"}}", "{\"pre_id\":1}",
     "/pre_id number 2 | -"},
};

static void what_is_within_is_named_with_its_path(void **state)
{
    (void)state;
    CHECK_ROWS(nested_in_change, &change);
}

static const struct row in_raw[] = {
    {"{\"a\":{\"S\":\"x\"}}", "{\"a\":{\"S\":\"x\"}}", ""},
    {"{\"a\":{\"S\":\"x\"}}", "{\"a\":\"x\"}", "/a string x | other \"x\""},
    {"{\"a\":{\"S\":\"1\"}}", "{\"a\":{\"N\":\"1\"}}", "/a string 1 | number 1"},
    {"{\"a\":{\"N\":\"1\"}}", "{\"a\":{\"S\":\"1\"}}", "/a number 1 | string 1"},
    {"{\"a\":{\"N\":\"1\"}}", "{\"a\":{\"N\":\"1.0\"}}", ""},
    {"{\"a\":{\"N\":\"1E2\"}}", "{\"a\":{\"N\":\"100\"}}", ""},
    {"{\"a\":{\"N\":\"" DIGITS_38 "\"}}", "{\"a\":{\"N\":\"" DIGITS_38 "\"}}", ""},
    {"{\"a\":{\"N\":\"" DIGITS_38 "\"}}", "{\"a\":{\"N\":\"" OFF_BY_ONE "\"}}",
     "/a number " DIGITS_38 " | number " OFF_BY_ONE},
    {"{\"a\":{\"N\":\"1\"}}", "{\"a\":{\"N\":1}}", "/a number 1 | other { \"N\" : 1 }"},
    {"{\"a\":{\"N\":\"1\"}}", "{\"a\":{\"N\":\"one\"}}",
     "/a number 1 | other { \"N\" : \"one\" }"},
    {"{\"a\":{\"N\":\"1\"}}", "{\"a\":{\"N\":\"1\",\"S\":\"1\"}}",
     "/a number 1 | other { \"N\" : \"1\", \"S\" : \"1\" }"},
    {"{\"a\":{\"N\":\"1\"}}", "{\"a\":{}}", "/a number 1 | other {  }"},
    {"{\"a\":{\"N\":\"1\"}}", "{\"a\":{\"n\":\"1\"}}", "/a number 1 | other { \"n\" : \"1\" }"},
    {"{\"a\":{\"B\":\"AP8=\"}}",
     "{\"a\":{\"B\":{\"$binary\":{\"base64\":\"AP8=\",\"subType\":\"00\"}}}}", ""},
    {"{\"a\":{\"B\":\"AP8=\"}}", "{\"a\":{\"B\":\"AP8=\"}}",
     "/a binary AP8= | other { \"B\" : \"AP8=\" }"},
    {"{\"a\":{\"BOOL\":false}}", "{\"a\":{\"BOOL\":false}}", ""},
    {"{\"a\":{\"BOOL\":false}}", "{\"a\":{\"BOOL\":0}}",
     "/a bool false | other { \"BOOL\" : 0 }"},
    {"{\"a\":{\"NULL\":true}}", "{\"a\":{\"NULL\":true}}", ""},
    {"{\"a\":{\"NULL\":true}}", "{\"a\":{\"NULL\":false}}",
     "/a null null | other { \"NULL\" : false }"},
    {"{\"a\":{\"NULL\":true}}", "{\"a\":null}", "/a null null | other null"},
    {"{\"a\":{\"L\":[]}}", "{\"a\":{\"L\":[]}}", ""},
    {"{\"a\":{\"L\":[]}}", "{\"a\":{\"L\":{}}}", "/a list [] | other { \"L\" : {  } }"},
    {"{\"a\":{\"L\":[{\"N\":\"1\"}]}}", "{\"a\":{\"L\":[{\"N\":\"2\"}]}}",
     "/a/0 number 1 | number 2"},
    {"{\"a\":{\"L\":[{\"N\":\"1\"}]}}", "{\"a\":{\"L\":[1]}}", "/a/0 number 1 | other 1"},
    {"{\"a\":{\"M\":{}}}", "{\"a\":{\"M\":{}}}", ""},
    {"{\"a\":{}}", "{\"a\":{\"M\":{}}}", ""},
    {"{\"a\":{\"M\":{}}}", "{\"a\":{}}", "/a map {} | other {  }"},
    {"{\"a\":{\"M\":{\"b\":{\"S\":\"x\"}}}}", "{\"a\":{\"M\":{\"b\":{\"S\":\"y\"}}}}",
     "/a/b string x | string y"},
    {"{\"a\":{\"SS\":[\"x\",\"y\"]}}", "{\"a\":{\"SS\":[\"y\",\"x\"]}}", ""},
    {"{\"a\":{\"SS\":[\"x\"]}}", "{\"a\":{\"L\":[{\"S\":\"x\"}]}}",
     "/a set <\"x\"> | list [\"x\"]"},
    {"{\"a\":{\"L\":[{\"S\":\"x\"}]}}", "{\"a\":{\"SS\":[\"x\"]}}",
     "/a list [\"x\"] | set <\"x\">"},
    {"{\"a\":{\"SS\":[\"1\"]}}", "{\"a\":{\"NS\":[\"1\"]}}", "/a set <\"1\"> | set <1>"},
    {"{\"a\":{\"NS\":[\"1\",\"2\"]}}", "{\"a\":{\"NS\":[\"2.0\",\"1\"]}}", ""},
    {"{\"a\":{\"NS\":[\"1\"]}}", "{\"a\":{\"NS\":[1]}}", "/a set <1> | set <1>"},
    {"{\"a\":{\"BS\":[\"AA==\"]}}",
     "{\"a\":{\"BS\":[{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"00\"}}]}}", ""},
    {"{\"_id\":{\"S\":\"x\"}}", "{\"pre_id\":{\"S\":\"x\"}}", ""},
    {"{\"_id\":{\"S\":\"x\"}}", "{\"pre_id\":{\"S\":\"y\"}}", "/_id string x | string y"},
};

static void in_raw_the_types_are_compared_too(void **state)
{
    (void)state;
    CHECK_ROWS(in_raw, &raw);
}

/* ---- _ids ---- */

static bool ids_equal(const char *source, const char *target)
{
    struct canon_arena arena;
    struct compare c = {.form = &doubles, .arena = &arena};
    AUTO(bson_freep) bson_t *b = bson_new_from_json((const uint8_t *)target, -1, NULL);
    const struct canon *id;
    struct canon *item, *map;
    struct error err;
    bool equal;

    CHECK(b);
    canon_arena_init(&arena);
    CHECK(canon_item(&item, &arena, bytes_of(source), &doubles, &err) == 0);
    map = canon_document(&arena, b, &doubles);
    id = canon_member(item, BYTES_LIT("id"));
    equal = compare_ids(&c, id, canon_member(map, BYTES_LIT("id")));
    canon_arena_release(&arena);
    return equal;
}

static void in_an_id_the_order_counts_and_a_double_is_never_right(void **state)
{
    static const struct {
        const char *source, *target;
        bool equal;
    } cases[] = {
        {"{\"id\":{\"S\":\"x\"}}", "{\"id\":\"x\"}", true},
        {"{\"id\":{\"S\":\"x\"}}", "{\"id\":\"y\"}", false},
        {"{\"id\":{\"N\":\"0.1\"}}", "{\"id\":{\"$numberDecimal\":\"0.1\"}}", true},
        {"{\"id\":{\"N\":\"0.1\"}}", "{\"id\":{\"$numberDouble\":\"0.1\"}}", false},
        {"{\"id\":{\"M\":{\"a\":{\"S\":\"x\"},\"b\":{\"N\":\"1\"}}}}",
         "{\"id\":{\"a\":\"x\",\"b\":1}}", true},
        {"{\"id\":{\"M\":{\"a\":{\"S\":\"x\"},\"b\":{\"N\":\"1\"}}}}",
         "{\"id\":{\"b\":1,\"a\":\"x\"}}", false},
        {"{\"id\":{\"M\":{\"a\":{\"S\":\"x\"},\"b\":{\"N\":\"1\"}}}}", "{\"id\":{\"a\":\"x\"}}",
         false},
        {"{\"id\":{\"M\":{\"a\":{\"S\":\"x\"}}}}", "{\"id\":{\"a\":\"x\",\"b\":1}}", false},
        {"{\"id\":{\"M\":{\"a\":{\"S\":\"x\"}}}}", "{\"id\":\"x\"}", false},
        {"{\"id\":{\"S\":\"x\"}}", "{\"id\":{\"a\":\"x\"}}", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (ids_equal(cases[i].source, cases[i].target) != cases[i].equal)
            fail_msg("%s and %s", cases[i].source, cases[i].target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_equal_by_value_with_every_digit_in_change),
        cmocka_unit_test(the_nearest_double_is_right_only_where_doubles_were_asked_for),
        cmocka_unit_test(each_type_stands_for_itself_in_change),
        cmocka_unit_test(a_set_has_no_order_a_list_has_one),
        cmocka_unit_test(what_is_within_is_named_with_its_path),
        cmocka_unit_test(in_raw_the_types_are_compared_too),
        cmocka_unit_test(in_an_id_the_order_counts_and_a_double_is_never_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
