#include "common/item/key_schema.h"

#include <stdlib.h>
#include <string.h>

#include "common/json/json_reader.h"
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

struct attribute_text { /* raw strings; p is NULL until read */
    struct bytes name, kind, type;
};

static void attribute_text_read(struct attribute_text *t, struct json_reader *r)
{
    struct bytes member;

    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("AttributeName")))
            json_string(r, &t->name);
        else if (json_raw_is(member, BYTES_LIT("KeyType")))
            json_string(r, &t->kind);
        else if (json_raw_is(member, BYTES_LIT("AttributeType")))
            json_string(r, &t->type);
        else
            json_skip(r, NULL);
    }
}

static int attribute_store(struct key_schema *s, const struct attribute_text *t,
                           struct error *err)
{
    bool hash = json_raw_is(t->kind, BYTES_LIT("HASH"));
    struct key_attribute *a = hash ? &s->hash : &s->range;
    struct buf name;

    if (!t->name.p || (!hash && !json_raw_is(t->kind, BYTES_LIT("RANGE"))))
        return error_set(err, ERR_DATA, "a key attribute without a name, HASH or RANGE");
    if (t->type.len != 1 || !memchr("SNB", t->type.p[0], 3))
        return error_set(err, ERR_DATA, "a key attribute that is not S, N or B");
    if (a->name)
        return error_set(err, ERR_DATA, "two %s keys", hash ? "HASH" : "RANGE");
    buf_init(&name, t->name.len + 1); /* no escape is shorter than what it stands for */
    json_unescape(&name, t->name, NULL);
    a->name_len = name.len;
    buf_cstr(&name);
    a->name = name.p;
    a->type = t->type.p[0];
    return 0;
}

static int key_schema_read_into(struct key_schema *s, struct json_reader *r, struct error *err)
{
    json_array_begin(r);
    while (json_array_next(r)) {
        struct attribute_text t = {0};

        attribute_text_read(&t, r);
        if (json_failed(r))
            break;
        if (attribute_store(s, &t, err) < 0)
            return -1;
    }
    if (!json_end(r))
        return json_reader_error(r, err);
    if (!s->hash.name)
        return error_set(err, ERR_DATA, "no HASH key");
    return 0;
}

int key_schema_read(struct key_schema *ret, struct bytes json, struct error *err)
{
    struct key_schema s = {0};
    struct json_reader r;

    json_reader_init(&r, json);
    if (key_schema_read_into(&s, &r, err) < 0) {
        key_schema_release(&s);
        return error_prefix(err, "key schema");
    }
    *ret = s;
    return 0;
}
