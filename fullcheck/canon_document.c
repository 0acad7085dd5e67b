#include "fullcheck/canon_document.h"

#include <inttypes.h>
#include <stdio.h>

#define DEEPEST 120 /* MongoDB nests at most 100 levels */

static struct canon *value_at(struct canon_arena *a, const bson_iter_t *it, bool change,
                              int depth);

static struct canon *unreadable(struct canon_arena *a)
{
    struct canon *c = canon_new(a, CANON_OTHER);

    c->name = BYTES_LIT("");
    c->text = BYTES_LIT("unreadable");
    return c;
}

/* What stands for nothing in DynamoDB, as extended JSON. */
static struct canon *other(struct canon_arena *a, const bson_iter_t *it)
{
    struct canon *c = canon_new(a, CANON_OTHER);
    bson_t shell = BSON_INITIALIZER;
    size_t len = 0;
    char *json;

    bson_append_iter(&shell, "", 0, it);
    json = bson_as_relaxed_extended_json(&shell, &len); /* { "" : VALUE } */
    c->text = canon_copy(a, json && len > 9 ? (struct bytes){json + 7, len - 9}
                                            : BYTES_LIT("unreadable"));
    bson_free(json);
    bson_destroy(&shell);
    return c;
}

/* ---- scalars ---- */

static struct bytes utf8_at(const bson_iter_t *it)
{
    uint32_t len;
    const char *text = bson_iter_utf8(it, &len);

    return (struct bytes){text, len};
}

static struct canon *string_at(struct canon_arena *a, const bson_iter_t *it)
{
    struct canon *c = canon_new(a, CANON_STRING);

    c->text = utf8_at(it);
    return c;
}

static struct canon *binary_at(struct canon_arena *a, const bson_iter_t *it)
{
    struct canon *c = canon_new(a, CANON_BINARY);
    bson_subtype_t subtype;
    const uint8_t *data;
    uint32_t len;

    bson_iter_binary(it, &subtype, &len, &data);
    c->text = (struct bytes){(const char *)data, len};
    return subtype == BSON_SUBTYPE_BINARY ? c : other(a, it);
}

static struct canon *number_of_text(struct canon_arena *a, const bson_iter_t *it,
                                    struct bytes text)
{
    struct canon *c = canon_new(a, CANON_NUMBER);

    return canon_number(a, c, text) ? c : other(a, it);
}

static struct canon *integer_at(struct canon_arena *a, const bson_iter_t *it)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, bson_iter_as_int64(it));

    return number_of_text(a, it, (struct bytes){text, (size_t)len});
}

static struct canon *decimal_at(struct canon_arena *a, const bson_iter_t *it)
{
    char text[BSON_DECIMAL128_STRING];
    bson_decimal128_t value;

    bson_iter_decimal128(it, &value);
    bson_decimal128_to_string(&value, text);
    return number_of_text(a, it, bytes_of(text)); /* NaN and Infinity are no numbers */
}

static struct canon *double_at(struct canon_arena *a, const bson_iter_t *it)
{
    struct canon *c = canon_new(a, CANON_NUMBER);
    char digits[DECIMAL_OF_DOUBLE_BYTES];

    c->is_double = true;
    c->approximate = bson_iter_double(it);
    if (!decimal_of_double(&c->number, c->approximate, digits))
        return other(a, it);
    c->number.digits = canon_copy(a, c->number.digits);
    return c;
}

static struct canon *bool_at(struct canon_arena *a, const bson_iter_t *it)
{
    struct canon *c = canon_new(a, CANON_BOOL);

    c->truth = bson_iter_bool(it);
    return c;
}

/* ---- containers ---- */

/* Lives as long as the document. */
static struct bytes name_at(const bson_iter_t *it)
{
    return (struct bytes){bson_iter_key(it), bson_iter_key_len(it)};
}

static struct canon *children_at(struct canon_arena *a, const bson_iter_t *it, bool change,
                                 int depth)
{
    bool map = BSON_ITER_HOLDS_DOCUMENT(it);
    struct canon *container = canon_new(a, map ? CANON_MAP : CANON_LIST), *last = NULL;
    bson_iter_t child;

    if (depth > DEEPEST || !bson_iter_recurse(it, &child))
        return other(a, it);
    while (bson_iter_next(&child)) {
        struct canon *c = value_at(a, &child, change, depth + 1);

        if (map)
            c->name = name_at(&child);
        canon_append(container, &last, c);
    }
    return child.err_off ? other(a, it) : container; /* no BSON from there on */
}

/* ---- change ---- */

static struct canon *plain_at(struct canon_arena *a, const bson_iter_t *it, int depth)
{
    switch (bson_iter_type(it)) {
    case BSON_TYPE_UTF8:
        return string_at(a, it);
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        return integer_at(a, it);
    case BSON_TYPE_DECIMAL128:
        return decimal_at(a, it);
    case BSON_TYPE_DOUBLE:
        return double_at(a, it);
    case BSON_TYPE_BINARY:
        return binary_at(a, it);
    case BSON_TYPE_BOOL:
        return bool_at(a, it);
    case BSON_TYPE_NULL:
        return canon_new(a, CANON_NULL);
    case BSON_TYPE_ARRAY:
    case BSON_TYPE_DOCUMENT:
        return children_at(a, it, true, depth);
    default:
        return other(a, it);
    }
}

/* ---- raw ---- */

static struct canon *wrapped_scalar(struct canon_arena *a, const bson_iter_t *it, char letter)
{
    if (letter == 'S' && BSON_ITER_HOLDS_UTF8(it))
        return string_at(a, it);
    if (letter == 'N' && BSON_ITER_HOLDS_UTF8(it))
        return number_of_text(a, it, utf8_at(it));
    if (letter == 'B' && BSON_ITER_HOLDS_BINARY(it))
        return binary_at(a, it);
    return other(a, it);
}

static struct canon *wrapped_set(struct canon_arena *a, const bson_iter_t *it, char letter)
{
    struct canon *set = canon_new(a, CANON_SET), *last = NULL;
    bson_iter_t child;

    set->element = letter;
    if (!BSON_ITER_HOLDS_ARRAY(it) || !bson_iter_recurse(it, &child))
        return other(a, it);
    while (bson_iter_next(&child))
        canon_append(set, &last, wrapped_scalar(a, &child, letter));
    return child.err_off ? other(a, it) : set;
}

static bool is_letter(char c)
{
    return c == 'S' || c == 'N' || c == 'B';
}

static struct canon *content_at(struct canon_arena *a, const bson_iter_t *it, int depth)
{
    struct bytes type = name_at(it);

    if (type.len == 1 && is_letter(type.p[0]))
        return wrapped_scalar(a, it, type.p[0]);
    if (type.len == 2 && type.p[1] == 'S' && is_letter(type.p[0]))
        return wrapped_set(a, it, type.p[0]);
    if (bytes_is(type, "BOOL") && BSON_ITER_HOLDS_BOOL(it))
        return bool_at(a, it);
    if (bytes_is(type, "NULL") && BSON_ITER_HOLDS_BOOL(it) && bson_iter_bool(it))
        return canon_new(a, CANON_NULL);
    if ((bytes_is(type, "L") && BSON_ITER_HOLDS_ARRAY(it)) ||
        (bytes_is(type, "M") && BSON_ITER_HOLDS_DOCUMENT(it)))
        return children_at(a, it, false, depth);
    return NULL;
}

/* {S: "..."}: one member, of a known type. What is within an unreadable one is shown whole. */
static struct canon *wrapped_at(struct canon_arena *a, const bson_iter_t *it, int depth)
{
    bson_iter_t content;
    struct canon *c;

    if (!BSON_ITER_HOLDS_DOCUMENT(it) || !bson_iter_recurse(it, &content) ||
        !bson_iter_next(&content))
        return other(a, it);
    c = content_at(a, &content, depth);
    if (!c || c->type == CANON_OTHER || bson_iter_next(&content))
        return other(a, it);
    return c;
}

static struct canon *value_at(struct canon_arena *a, const bson_iter_t *it, bool change,
                              int depth)
{
    return change ? plain_at(a, it, depth) : wrapped_at(a, it, depth);
}

struct canon *canon_document_value(struct canon_arena *a, const bson_iter_t *it,
                                   const struct canon_form *form)
{
    return value_at(a, it, form->change, 0);
}

struct canon *canon_document(struct canon_arena *a, const bson_t *document,
                             const struct canon_form *form)
{
    struct canon *map = canon_new(a, CANON_MAP), *last = NULL;
    bson_iter_t it;
    bool readable = bson_iter_init(&it, document);

    while (readable && bson_iter_next(&it)) {
        struct canon *c;

        if (strcmp(bson_iter_key(&it), "_id") == 0)
            continue;
        c = value_at(a, &it, form->change, 0);
        c->name = name_at(&it);
        canon_append(map, &last, c);
    }
    if (!readable || it.err_off) /* no BSON from there on: equal to nothing */
        canon_append(map, &last, unreadable(a));
    return map;
}
