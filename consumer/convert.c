/* A document is its identity (target.id = key), the key attributes from `keys`, and the rest of
 * `after` in its order. What is about to fail leaves the buffer as it was. */
#include "consumer/convert.h"

#include "common/json/json_text.h"
#include "consumer/convert_change.h"
#include "consumer/convert_raw.h"

#define MAX_DOCUMENT_BYTES (16 * 1024 * 1024)
/* The element _id that the server adds to a document without one. */
#define OBJECT_ID_BYTES 17

struct key_slices { /* of `keys`, hash before range; name: raw */
    struct bytes name[2];
    struct bytes value[2];
    int count;
};

struct document {
    struct conversion v;
    size_t start;   /* of the document in the buffer */
    size_t ceiling; /* the buffer's own */
    size_t limit;
    bool id_taken;     /* an attribute called _id was written */
    bool stored_taken; /* another was written under the name that _id is stored under */
};

/* --- the frame --- */

static struct document document_open(struct buf *out, const struct converter *converter,
                                     struct error *err)
{
    struct document d = {.v = {.out = out, .converter = converter, .depth = 1, .err = err},
                         .start = out->len,
                         .ceiling = out->ceiling,
                         .limit = MAX_DOCUMENT_BYTES};

    if (converter->identity == IDENTITY_OBJECTID)
        d.limit -= OBJECT_ID_BYTES;
    /* so that an item can't make the buffer grow past what is refused anyway */
    out->ceiling = MIN(out->ceiling, d.start + d.limit);
    bson_out_begin(out);
    return d;
}

static int no_room(struct error *err)
{
    return error_set(err, ERR_RETRY, "no room in the buffer for another document");
}

static int document_close(struct document *d, int result)
{
    struct buf *out = d->v.out;
    bool too_long, full;

    bson_out_end(out, d->start);
    too_long = out->overflow || out->len - d->start > d->limit;
    full = out->overflow && d->ceiling - d->start < d->limit;
    out->ceiling = d->ceiling;
    if (result == 0 && !too_long)
        return 0;
    out->len = d->start;
    out->overflow = false;
    if (full) /* before the result, which may be a consequence */
        return no_room(d->v.err);
    if (result < 0)
        return -1;
    return error_set(d->v.err, ERR_DATA, "the document would be larger than MongoDB's 16 MiB");
}

/* --- names at the top level --- */

static struct bytes id_prefix(const struct converter *converter)
{
    return bytes_of(converter->id_prefix);
}

/* In the place of the name at `at`. Not inlined: few tables have an _id, and names are many. */
__attribute__((noinline)) static void store_id(struct buf *out, size_t at,
                                               const struct converter *converter)
{
    out->len = at;
    buf_char(out, 0);
    buf_bytes(out, id_prefix(converter));
    buf_append(out, "_id", sizeof("_id"));
}

static bool is_stored_id(const struct converter *converter, struct bytes name)
{
    struct bytes prefix;

    if (name.len < 3 || memcmp(name.p + name.len - 3, "_id", 3) != 0)
        return false;
    prefix = id_prefix(converter);
    return name.len == prefix.len + 3 && memcmp(name.p, prefix.p, prefix.len) == 0;
}

/* Looks at the name that was just written, and renames an _id. */
static int check_top_name(struct document *d, size_t at)
{
    struct buf *out = d->v.out;
    struct bytes name;

    if (out->overflow)
        return 0;
    name = (struct bytes){out->p + at + 1, out->len - at - 2};
    if (bytes_is(name, "_id")) {
        d->id_taken = true;
        d->stored_taken |= id_prefix(d->v.converter).len == 0; /* _id is the document's own */
        store_id(out, at, d->v.converter);
    } else if (is_stored_id(d->v.converter, name)) {
        d->stored_taken = true;
    }
    if (!out->overflow && out->p[at + 1] == '$')
        return error_set(d->v.err, ERR_DATA, "MongoDB takes no name with a leading $ here");
    if (d->id_taken && d->stored_taken)
        return error_set(d->v.err, ERR_DATA,
                         "\"_id\" is stored under \"%s_id\", and that name is taken",
                         d->v.converter->id_prefix);
    return 0;
}

static int top_name(struct document *d, struct bytes raw, size_t *ret)
{
    if (value_name(&d->v, raw, ret) < 0)
        return -1;
    return check_top_name(d, *ret);
}

static int in_attribute(struct document *d, struct bytes raw)
{
    struct bytes shown = value_shown(raw);

    return error_prefix(d->v.err, "attribute \"" BYTES_FMT "\"", BYTES_ARG(shown));
}

/* --- keys --- */

static bool is_attribute(const struct key_attribute *k, struct bytes raw)
{
    if (!k->name || raw.len < k->name_len) /* an escape is longer than what it stands for */
        return false;
    if (raw.len && k->name_len && raw.p[0] != k->name[0] && raw.p[0] != '\\')
        return false;
    return json_raw_is(raw, (struct bytes){k->name, k->name_len});
}

static int key_slot(const struct key_schema *s, struct bytes raw)
{
    if (is_attribute(&s->hash, raw))
        return 0;
    return is_attribute(&s->range, raw) ? 1 : -1;
}

/* {"S":"u1"}, of the schema's type and in the canonical spelling without spaces. */
static bool key_value_ok(const struct key_attribute *k, struct bytes value)
{
    return value.len > 5 && memcmp(value.p, "{\"", 2) == 0 && value.p[2] == k->type &&
           memcmp(value.p + 3, "\":", 2) == 0;
}

static int key_read(struct key_slices *ret, const struct key_schema *s, struct json_reader *r,
                    struct bytes name, struct error *err)
{
    int slot = key_slot(s, name);
    struct bytes value;

    if (!json_skip(r, &value))
        return json_reader_error(r, err);
    if (slot < 0 || ret->value[slot].p)
        return error_set(err, ERR_DATA, "not in the key schema, or there twice");
    if (!key_value_ok(slot ? &s->range : &s->hash, value))
        return error_set(err, ERR_DATA, "not of the key schema's type");
    ret->name[slot] = name;
    ret->value[slot] = value;
    ret->count++;
    return 0;
}

static int keys_read(struct key_slices *ret, const struct converter *converter,
                     struct bytes keys, struct error *err)
{
    struct key_slices slices = {.count = 0};
    struct json_reader r;
    struct bytes name;

    json_reader_init(&r, keys);
    if (!json_object_begin(&r))
        return json_reader_error(&r, err);
    while (json_object_next(&r, &name))
        if (key_read(&slices, converter->schema, &r, name, err) < 0) {
            name = value_shown(name);
            return error_prefix(err, "key attribute \"" BYTES_FMT "\"", BYTES_ARG(name));
        }
    if (!json_end(&r))
        return json_reader_error(&r, err);
    if (slices.count != (converter->schema->range.name ? 2 : 1))
        return error_set(err, ERR_DATA, "a key attribute is missing");
    *ret = slices;
    return 0;
}

static int attribute_value(struct conversion *v, size_t at)
{
    return v->converter->type == CONVERT_RAW ? convert_raw_value(v, at)
                                             : convert_change_value(v, at);
}

static int key_value(struct document *d, size_t at, struct bytes value)
{
    json_reader_init(&d->v.r, value);
    d->v.key = true;
    return attribute_value(&d->v, at);
}

static int key_attributes(struct document *d, const struct key_slices *keys)
{
    for (int i = 0; i < keys->count; i++) {
        size_t at;

        if (top_name(d, keys->name[i], &at) < 0 || key_value(d, at, keys->value[i]) < 0)
            return in_attribute(d, keys->name[i]);
    }
    return 0;
}

/* _id: the hash key's value, or a document of both. */
static int identity(struct document *d, const struct key_slices *keys)
{
    size_t at = bson_out_element(d->v.out, 0, BYTES_LIT("_id")), begin;

    if (keys->count == 1)
        return key_value(d, at, keys->value[0]) < 0 ? in_attribute(d, keys->name[0]) : 0;
    if (value_begin(&d->v, at, BSON_TYPE_DOCUMENT, &begin) < 0 || key_attributes(d, keys) < 0)
        return -1;
    value_end(&d->v, begin);
    return 0;
}

/* --- whole documents --- */

static int attribute(struct document *d, struct bytes raw)
{
    size_t at;

    if (key_slot(d->v.converter->schema, raw) >= 0)
        return json_skip(&d->v.r, NULL) ? 0 : json_reader_error(&d->v.r, d->v.err);
    if (top_name(d, raw, &at) < 0 || attribute_value(&d->v, at) < 0)
        return in_attribute(d, raw);
    return 0;
}

static int other_attributes(struct document *d, struct bytes after)
{
    struct json_reader *r = &d->v.r;
    struct bytes name;

    d->v.key = false;
    json_reader_init(r, after);
    if (!json_object_begin(r))
        return json_reader_error(r, d->v.err);
    while (json_object_next(r, &name))
        if (attribute(d, name) < 0)
            return -1;
    return json_end(r) ? 0 : json_reader_error(r, d->v.err);
}

static int write_document(struct document *d, struct bytes keys, struct bytes after)
{
    struct key_slices slices;

    if (keys_read(&slices, d->v.converter, keys, d->v.err) < 0)
        return -1;
    if (d->v.converter->identity == IDENTITY_KEY && identity(d, &slices) < 0)
        return -1;
    if (key_attributes(d, &slices) < 0)
        return -1;
    return other_attributes(d, after);
}

int convert_document(struct buf *out, const struct converter *converter, struct bytes keys,
                     struct bytes after, struct error *err)
{
    struct document d;

    if (out->overflow)
        return no_room(err);
    d = document_open(out, converter, err);
    return document_close(&d, write_document(&d, keys, after));
}

/* --- filters --- */

/* "pk" becomes "pk.S". */
static void append_type(struct buf *out, char type)
{
    const char suffix[] = {'.', type, 0};

    if (!out->overflow)
        out->len--;
    buf_append(out, suffix, sizeof(suffix));
}

static int filter_key(struct document *d, struct bytes name, struct bytes value)
{
    size_t at;

    if (top_name(d, name, &at) < 0)
        return -1;
    if (d->v.converter->type == CONVERT_CHANGE)
        return key_value(d, at, value);
    append_type(d->v.out, value.p[2]);
    json_reader_init(&d->v.r, value);
    d->v.key = true;
    return convert_raw_content(&d->v, at);
}

static int write_filter(struct document *d, struct bytes keys)
{
    struct key_slices slices;

    if (keys_read(&slices, d->v.converter, keys, d->v.err) < 0)
        return -1;
    if (d->v.converter->identity == IDENTITY_KEY)
        return identity(d, &slices);
    for (int i = 0; i < slices.count; i++)
        if (filter_key(d, slices.name[i], slices.value[i]) < 0)
            return in_attribute(d, slices.name[i]);
    return 0;
}

int convert_filter(struct buf *out, const struct converter *converter, struct bytes keys,
                   struct error *err)
{
    struct document d;

    if (out->overflow)
        return no_room(err);
    d = document_open(out, converter, err);
    return document_close(&d, write_filter(&d, keys));
}
