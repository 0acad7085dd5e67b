#include "consumer/document_key.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/item/ddb_number.h"
#include "common/json/json_text.h"
#include "consumer/number.h"

/* A double's exact digits are at most 767, and point, sign and exponent. */
#define DOUBLE_DIGITS 767
#define DOUBLE_TEXT_BYTES (DOUBLE_DIGITS + 16)

struct members { /* of a document, or of its _id */
    bson_iter_t hash, range, id;
    int hashes, ranges, ids; /* how many there are */
};

/* --- names --- */

static bool is_id(const struct key_attribute *attribute)
{
    return bytes_is(key_attribute_name(attribute), "_id");
}

static bool is_stored_as(const struct converter *converter,
                         const struct key_attribute *attribute, struct bytes name)
{
    struct bytes prefix = bytes_of(converter->id_prefix);

    if (!is_id(attribute))
        return bytes_equal(key_attribute_name(attribute), name);
    return name.len == prefix.len + 3 && memcmp(name.p, prefix.p, prefix.len) == 0 &&
           memcmp(name.p + prefix.len, "_id", 3) == 0;
}

static bool is_utf8(struct bytes s)
{
    const char *p = s.p, *end = p + s.len;

    while (p < end) {
        size_t len = (unsigned char)*p < 0x80 ? 1 : text_utf8_length(p, end);

        if (!len)
            return false;
        p += len;
    }
    return true;
}

static bool can_be_stored(const struct key_attribute *attribute)
{
    struct bytes name = key_attribute_name(attribute);

    return is_utf8(name) && !(name.len && name.p[0] == '$');
}

/* Else convert refuses every item, and no document is one. (So it does when a key attribute has
 * the name that _id is stored under: then none can have both.) */
static bool names_can_be_stored(const struct key_schema *schema)
{
    return can_be_stored(&schema->hash) &&
           (!schema->range.name || can_be_stored(&schema->range));
}

/* --- numbers --- */

static bool number_canonical(struct buf *out, struct bytes text, struct number *ret)
{
    size_t from = out->len;
    struct error err;

    return ddb_number_canonical(out, text, &err) == 0 && !out->overflow &&
           number_exact(ret, (struct bytes){out->p + from, out->len - from});
}

/* A text is compared as such, so it counts in one spelling only; in change it stands only where
 * no BSON number has all the digits. */
static bool number_of_text(struct buf *out, const struct converter *converter,
                           const bson_iter_t *value)
{
    struct number number;
    size_t from = out->len;
    struct bytes text;
    uint32_t len;

    text.p = bson_iter_utf8(value, &len);
    text.len = len;
    return number_canonical(out, text, &number) &&
           bytes_equal((struct bytes){out->p + from, out->len - from}, text) &&
           (converter->type == CONVERT_RAW || number.type == NUMBER_TEXT);
}

/* A key that is stored as text is equal to no number. */
static bool number_of_number(struct buf *out, const char *text)
{
    struct number number;

    return number_canonical(out, bytes_of(text), &number) && number.type != NUMBER_TEXT;
}

static bool number_of_double(struct buf *out, double value)
{
    char text[DOUBLE_TEXT_BYTES];

    snprintf(text, sizeof(text), "%.*e", DOUBLE_DIGITS - 1, value);
    return number_of_number(out, text);
}

static bool number_of_decimal128(struct buf *out, const bson_iter_t *value)
{
    char text[BSON_DECIMAL128_STRING];
    bson_decimal128_t decimal;

    bson_iter_decimal128(value, &decimal);
    bson_decimal128_to_string(&decimal, text);
    return number_of_number(out, text);
}

static bool number_append(struct buf *out, const struct converter *converter,
                          const bson_iter_t *value)
{
    bson_type_t type = bson_iter_type(value);

    if (type == BSON_TYPE_UTF8)
        return number_of_text(out, converter, value);
    if (converter->type == CONVERT_RAW)
        return false;
    switch (type) {
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        buf_printf(out, "%" PRId64, bson_iter_as_int64(value));
        return true;
    case BSON_TYPE_DECIMAL128:
        return number_of_decimal128(out, value);
    case BSON_TYPE_DOUBLE:
        return number_of_double(out, bson_iter_double(value));
    default:
        return false;
    }
}

/* --- values --- */

static bool text_append(struct buf *out, const bson_iter_t *value)
{
    struct bytes text;
    uint32_t len;

    if (!BSON_ITER_HOLDS_UTF8(value))
        return false;
    text.p = bson_iter_utf8(value, &len);
    text.len = len;
    if (!is_utf8(text))
        return false;
    json_stringify(out, text);
    return true;
}

static bool quoted_number_append(struct buf *out, const struct converter *converter,
                                 const bson_iter_t *value)
{
    buf_char(out, '"');
    if (!number_append(out, converter, value))
        return false;
    buf_char(out, '"');
    return true;
}

static bool binary_append(struct buf *out, const bson_iter_t *value)
{
    bson_subtype_t subtype;
    const uint8_t *data;
    uint32_t len;

    if (!BSON_ITER_HOLDS_BINARY(value))
        return false;
    bson_iter_binary(value, &subtype, &len, &data);
    if (subtype != BSON_SUBTYPE_BINARY) /* compared too, so another value */
        return false;
    buf_char(out, '"');
    base64_encode(out, (struct bytes){(const char *)data, len});
    buf_char(out, '"');
    return true;
}

/* What {S: ...} wraps, when that is its only member. */
static bool unwrap(bson_iter_t *ret, const bson_iter_t *value, char type)
{
    bson_iter_t behind;

    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, ret) ||
        !bson_iter_next(ret) || bson_iter_key_len(ret) != 1 || bson_iter_key(ret)[0] != type)
        return false;
    behind = *ret;
    return !bson_iter_next(&behind);
}

static bool content_append(struct buf *out, const struct converter *converter, char type,
                           const bson_iter_t *value)
{
    bson_iter_t content = *value;

    if (converter->type == CONVERT_RAW && !unwrap(&content, value, type))
        return false;
    switch (type) {
    case 'S':
        return text_append(out, &content);
    case 'N':
        return quoted_number_append(out, converter, &content);
    default:
        return binary_append(out, &content);
    }
}

/* "pk":{"S":"u1"} */
static bool member_append(struct buf *out, const struct converter *converter,
                          const struct key_attribute *attribute, const bson_iter_t *value)
{
    json_stringify(out, key_attribute_name(attribute));
    buf_append(out, (const char[]){':', '{', '"', attribute->type, '"', ':'}, 6);
    if (!content_append(out, converter, attribute->type, value))
        return false;
    buf_char(out, '}');
    return true;
}

/* {"pk":{"S":"u1"},"sk":{"N":"7"}}; range: or NULL. */
static bool keys_append(struct buf *out, const struct converter *converter,
                        const bson_iter_t *hash, const bson_iter_t *range)
{
    buf_char(out, '{');
    if (!member_append(out, converter, &converter->schema->hash, hash))
        return false;
    if (range) {
        buf_char(out, ',');
        if (!member_append(out, converter, &converter->schema->range, range))
            return false;
    }
    buf_char(out, '}');
    return !out->overflow;
}

/* --- documents --- */

static void note_member(struct members *members, const struct converter *converter,
                        const bson_iter_t *it)
{
    const struct key_schema *schema = converter->schema;
    struct bytes name = {bson_iter_key(it), bson_iter_key_len(it)};

    if (bytes_is(name, "_id")) {
        members->id = *it;
        members->ids++;
    } else if (is_stored_as(converter, &schema->hash, name)) {
        members->hash = *it;
        members->hashes++;
    } else if (schema->range.name && is_stored_as(converter, &schema->range, name)) {
        members->range = *it;
        members->ranges++;
    }
}

static bool members_read(struct members *ret, const struct converter *converter,
                         const bson_t *doc)
{
    bson_iter_t it;

    *ret = (struct members){0};
    if (!bson_iter_init(&it, doc))
        return false;
    while (bson_iter_next(&it))
        note_member(ret, converter, &it);
    return ret->hashes == 1 && ret->ranges == (converter->schema->range.name ? 1 : 0);
}

static bool next_is(bson_iter_t *it, const struct converter *converter,
                    const struct key_attribute *attribute)
{
    return bson_iter_next(it) &&
           is_stored_as(converter, attribute,
                        (struct bytes){bson_iter_key(it), bson_iter_key_len(it)});
}

/* {pk: v, sk: v}, in this order and nothing behind. */
static bool id_append(struct buf *out, const struct converter *converter, const bson_iter_t *id)
{
    const struct key_schema *schema = converter->schema;
    bson_iter_t it, hash;

    if (!schema->range.name)
        return keys_append(out, converter, id, NULL);
    if (!BSON_ITER_HOLDS_DOCUMENT(id) || !bson_iter_recurse(id, &it) ||
        !next_is(&it, converter, &schema->hash))
        return false;
    hash = it;
    return next_is(&it, converter, &schema->range) && keys_append(out, converter, &hash, &it) &&
           !bson_iter_next(&it);
}

/* Does _id say the key that was appended at from? */
static bool id_agrees(struct buf *keys, size_t from, const struct converter *converter,
                      const struct members *members)
{
    size_t end = keys->len;
    bool same;

    same = members->ids == 1 && id_append(keys, converter, &members->id) &&
           bytes_equal((struct bytes){keys->p + from, end - from},
                       (struct bytes){keys->p + end, keys->len - end});
    keys->len = end;
    return same;
}

static bool key_append(struct buf *keys, struct buf *message_key,
                       const struct converter *converter, const bson_t *doc)
{
    size_t from = keys->len;
    struct members members;

    if (!names_can_be_stored(converter->schema) || !members_read(&members, converter, doc) ||
        !keys_append(keys, converter, &members.hash, members.ranges ? &members.range : NULL))
        return false;
    if (converter->identity == IDENTITY_KEY && !id_agrees(keys, from, converter, &members))
        return false;
    return keys_append(message_key, converter, &members.hash, NULL);
}

enum document_key_result document_key_read(struct buf *keys, struct buf *message_key,
                                           const struct converter *converter, const bson_t *doc)
{
    size_t keys_len = keys->len, message_key_len = message_key->len;

    if (key_append(keys, message_key, converter, doc))
        return DOCUMENT_KEY_FOUND;
    keys->len = keys_len;
    message_key->len = message_key_len;
    return DOCUMENT_KEY_FOREIGN;
}

/* --- what a find returns --- */

static void project(bson_t *ret, const struct converter *converter,
                    const struct key_attribute *attribute)
{
    AUTO(free_charp)
    char *name =
        xasprintf("%s%s", is_id(attribute) ? converter->id_prefix : "", attribute->name);

    BSON_APPEND_INT32(ret, name, 1);
}

void document_key_projection(bson_t *ret, const struct converter *converter)
{
    bson_init(ret);
    if (!converter_can_index(converter->schema))
        return;
    BSON_APPEND_INT32(ret, "_id", 1);
    project(ret, converter, &converter->schema->hash);
    if (converter->schema->range.name)
        project(ret, converter, &converter->schema->range);
}
