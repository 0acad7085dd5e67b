#include "fullcheck/canon_item.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/json/json_reader.h"
#include "common/json/json_text.h"

static struct canon *read_value(struct canon_arena *a, struct json_reader *r,
                                struct error *err);

static int no_item(const struct json_reader *r, const char *what, struct error *err)
{
    if (json_failed(r))
        json_reader_error(r, err);
    else
        error_set(err, ERR_RETRY, "%s", what);
    err->kind = ERR_RETRY;
    return -1;
}

/* ---- texts ---- */

static struct bytes unescaped(struct canon_arena *a, struct bytes raw)
{
    if (!raw.len || !memchr(raw.p, '\\', raw.len))
        return raw;
    buf_reset(&a->text);
    json_unescape(&a->text, raw, NULL);
    return canon_copy(a, buf_slice(&a->text));
}

static int fill_string(struct canon_arena *a, struct canon *c, struct bytes raw)
{
    c->text = unescaped(a, raw);
    return 0;
}

static int fill_number(struct canon_arena *a, struct canon *c, struct bytes raw)
{
    return canon_number(a, c, unescaped(a, raw)) ? 0 : -1;
}

static int fill_binary(struct canon_arena *a, struct canon *c, struct bytes raw)
{
    struct bytes text = unescaped(a, raw); /* which uses a->text itself */
    struct error err;

    buf_reset(&a->text);
    if (base64_decode(&a->text, text, &err) < 0)
        return -1;
    c->text = canon_copy(a, buf_slice(&a->text));
    return 0;
}

struct scalar {
    char letter;
    enum canon_type type;
    int (*fill)(struct canon_arena *a, struct canon *c, struct bytes raw);
};

static const struct scalar scalars[] = {
    {'S', CANON_STRING, fill_string},
    {'N', CANON_NUMBER, fill_number},
    {'B', CANON_BINARY, fill_binary},
};

static const struct scalar *scalar_of(char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(scalars); i++)
        if (scalars[i].letter == letter)
            return &scalars[i];
    return NULL;
}

static struct canon *read_scalar(struct canon_arena *a, struct json_reader *r,
                                 const struct scalar *scalar, struct error *err)
{
    struct canon *c = canon_new(a, scalar->type);
    struct bytes raw;

    if (json_string(r, &raw) && scalar->fill(a, c, raw) == 0)
        return c;
    no_item(r, "a value that is none of its type", err);
    return NULL;
}

/* ---- containers ---- */

static struct canon *read_set(struct canon_arena *a, struct json_reader *r, char letter,
                              struct error *err)
{
    struct canon *set = canon_new(a, CANON_SET), *last = NULL;
    const struct scalar *scalar = scalar_of(letter);

    CHECK(scalar);
    set->element = letter;
    json_array_begin(r);
    while (json_array_next(r)) {
        struct canon *element = read_scalar(a, r, scalar, err);

        if (!element)
            return NULL;
        canon_append(set, &last, element);
    }
    return json_failed(r) ? no_item(r, "", err), NULL : set;
}

static struct canon *read_list(struct canon_arena *a, struct json_reader *r, struct error *err)
{
    struct canon *list = canon_new(a, CANON_LIST), *last = NULL;

    json_array_begin(r);
    while (json_array_next(r)) {
        struct canon *element = read_value(a, r, err);

        if (!element)
            return NULL;
        canon_append(list, &last, element);
    }
    return json_failed(r) ? no_item(r, "", err), NULL : list;
}

static struct canon *read_map(struct canon_arena *a, struct json_reader *r, struct error *err)
{
    struct canon *map = canon_new(a, CANON_MAP), *last = NULL;
    struct bytes name;

    json_object_begin(r);
    while (json_object_next(r, &name)) {
        struct bytes plain = unescaped(a, name);
        struct canon *member = read_value(a, r, err);

        if (!member)
            return NULL;
        member->name = plain;
        canon_append(map, &last, member);
    }
    return json_failed(r) ? no_item(r, "", err), NULL : map;
}

/* ---- values ---- */

static struct canon *read_bool(struct canon_arena *a, struct json_reader *r, struct error *err)
{
    struct canon *c = canon_new(a, CANON_BOOL);

    return json_bool(r, &c->truth) ? c : (no_item(r, "", err), NULL);
}

static struct canon *read_null(struct canon_arena *a, struct json_reader *r, struct error *err)
{
    bool is_null = false;

    if (json_bool(r, &is_null) && is_null)
        return canon_new(a, CANON_NULL);
    no_item(r, "a NULL that is not true", err);
    return NULL;
}

static struct canon *read_typed(struct canon_arena *a, struct json_reader *r, struct bytes type,
                                struct error *err)
{
    const struct scalar *scalar = type.len == 1 ? scalar_of(type.p[0]) : NULL;

    if (scalar)
        return read_scalar(a, r, scalar, err);
    if (bytes_is(type, "BOOL"))
        return read_bool(a, r, err);
    if (bytes_is(type, "NULL"))
        return read_null(a, r, err);
    if (bytes_is(type, "L"))
        return read_list(a, r, err);
    if (bytes_is(type, "M"))
        return read_map(a, r, err);
    if (type.len == 2 && type.p[1] == 'S' && scalar_of(type.p[0]))
        return read_set(a, r, type.p[0], err);
    no_item(r, "a value of an unknown type", err);
    return NULL;
}

/* {"S":"..."}; {} is how some services write an empty map. */
static struct canon *read_value(struct canon_arena *a, struct json_reader *r, struct error *err)
{
    struct canon *c;
    struct bytes type;

    json_object_begin(r);
    if (!json_object_next(r, &type))
        return json_failed(r) ? (no_item(r, "", err), NULL) : canon_new(a, CANON_MAP);
    c = read_typed(a, r, type, err);
    if (c && json_object_next(r, &type)) {
        no_item(r, "a value of two types", err);
        return NULL;
    }
    if (c && json_failed(r)) {
        no_item(r, "", err);
        return NULL;
    }
    return c;
}

static void rename_id(struct canon_arena *a, struct canon *item, const char *prefix)
{
    for (struct canon *c = item->first; c; c = c->next) {
        if (!bytes_is(c->name, "_id"))
            continue;
        buf_reset(&a->text);
        buf_printf(&a->text, "%s_id", prefix);
        c->name = canon_copy(a, buf_slice(&a->text));
        c->renamed = true;
    }
}

int canon_item(struct canon **ret, struct canon_arena *a, struct bytes json,
               const struct canon_form *form, struct error *err)
{
    struct json_reader r;
    struct canon *item;

    json_reader_init(&r, json);
    if (json_peek(&r) != JSON_OBJECT)
        return no_item(&r, "an item that is no object", err);
    item = read_map(a, &r, err);
    if (!item)
        return -1;
    if (!json_end(&r))
        return no_item(&r, "", err);
    rename_id(a, item, form->id_prefix);
    *ret = item;
    return 0;
}
