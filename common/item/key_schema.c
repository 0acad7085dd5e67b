#include "common/item/key_schema.h"

#include <stdlib.h>
#include <string.h>

#include "common/json/json_fields.h"
#include "common/json/json_text.h"

void key_schema_release(struct key_schema *s)
{
    free(s->hash.name);
    free(s->range.name);
    *s = (struct key_schema){0};
}

static void attribute_copy(struct key_attribute *ret, const struct key_attribute *a)
{
    *ret = *a;
    if (a->name)
        ret->name = bytes_dup(key_attribute_name(a));
}

void key_schema_copy(struct key_schema *ret, const struct key_schema *s)
{
    attribute_copy(&ret->hash, &s->hash);
    attribute_copy(&ret->range, &s->range);
}

static bool attribute_equal(const struct key_attribute *a, const struct key_attribute *b)
{
    if (!a->name || !b->name)
        return !a->name && !b->name;
    return a->type == b->type && bytes_equal(key_attribute_name(a), key_attribute_name(b));
}

bool key_schema_equal(const struct key_schema *a, const struct key_schema *b)
{
    return attribute_equal(&a->hash, &b->hash) && attribute_equal(&a->range, &b->range);
}

static void attribute_write(struct buf *out, const struct key_attribute *a, const char *kind)
{
    buf_lit(out, "{\"AttributeName\":");
    json_stringify(out, key_attribute_name(a));
    buf_printf(out, ",\"KeyType\":\"%s\",\"AttributeType\":\"%c\"}", kind, a->type);
}

void key_schema_write(struct buf *out, const struct key_schema *s)
{
    buf_char(out, '[');
    attribute_write(out, &s->hash, "HASH");
    if (s->range.name) {
        buf_char(out, ',');
        attribute_write(out, &s->range, "RANGE");
    }
    buf_char(out, ']');
}

struct attribute { /* raw strings; p is NULL: not there */
    struct bytes name, kind, type;
};

static int read_attribute(struct attribute *a, struct json_reader *r, struct error *err)
{
    static const struct json_field list[] = {
        JSON_FIELD("AttributeName", struct attribute, name, &json_fields_raw),
        JSON_OPTIONAL("KeyType", struct attribute, kind, &json_fields_raw),
        JSON_OPTIONAL("AttributeType", struct attribute, type, &json_fields_raw),
    };
    static const struct json_fields fields =
        JSON_FIELDS("a key attribute", struct attribute, list);

    *a = (struct attribute){0};
    return json_fields_read(a, NULL, &fields, r, err);
}

/* Empty: not defined. */
static struct bytes type_of(struct bytes definitions, struct bytes name)
{
    struct json_reader r;
    struct error ignored;
    struct attribute a;

    json_reader_init(&r, definitions);
    json_array_begin(&r);
    while (json_array_next(&r) && read_attribute(&a, &r, &ignored) == 0)
        if (json_raw_is(a.name, name))
            return a.type;
    return (struct bytes){0};
}

static int add_attribute(struct key_schema *s, const struct attribute *text,
                         struct bytes definitions, struct error *err)
{
    bool hash = json_raw_is(text->kind, BYTES_LIT("HASH"));
    struct key_attribute *a = hash ? &s->hash : &s->range;
    struct bytes type = text->type;

    if (!hash && !json_raw_is(text->kind, BYTES_LIT("RANGE")))
        return error_set(err, ERR_DATA, "a key attribute that is not HASH or RANGE");
    if (a->name)
        return error_set(err, ERR_DATA, "two %s keys", hash ? "HASH" : "RANGE");
    a->name = json_unescape_dup(text->name, &a->name_len);
    if (!type.p)
        type = type_of(definitions, key_attribute_name(a));
    if (type.len != 1 || !memchr("SNB", type.p[0], 3))
        return error_set(err, ERR_DATA, "a key attribute that is not S, N or B");
    a->type = type.p[0];
    return 0;
}

static int read_schema(struct key_schema *s, struct bytes json, struct bytes definitions,
                       struct error *err)
{
    struct json_reader r;
    struct attribute a;

    json_reader_init(&r, json);
    json_array_begin(&r);
    while (json_array_next(&r))
        if (read_attribute(&a, &r, err) < 0 || add_attribute(s, &a, definitions, err) < 0)
            return -1;
    if (!json_end(&r))
        return json_reader_error(&r, err);
    return s->hash.name ? 0 : error_set(err, ERR_DATA, "no HASH key");
}

int key_schema_read_described(struct key_schema *ret, struct bytes keys,
                              struct bytes definitions, struct error *err)
{
    struct key_schema s = {0};

    if (read_schema(&s, keys, definitions, err) < 0) {
        key_schema_release(&s);
        return error_prefix(err, "key schema");
    }
    *ret = s;
    return 0;
}

int key_schema_read(struct key_schema *ret, struct bytes json, struct error *err)
{
    return key_schema_read_described(ret, json, (struct bytes){0}, err);
}
