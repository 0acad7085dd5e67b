#include "fullcheck/key.h"

#include <stdlib.h>

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/json/json_text.h"
#include "fullcheck/canon_document.h"
#include "fullcheck/compare.h"

#define DIGITS_OF_DECIMAL128 34
#define DIGITS_OF_INT64 18 /* that surely fit */
/* What DynamoDB takes. */
#define DIGITS_OF_NUMBER 38
#define SMALLEST_MAGNITUDE (-130)
#define LARGEST_MAGNITUDE 125
#define NUMBER_TEXT 256 /* bytes in any spelling of ours */
#define HASH_BYTES 2048
#define RANGE_BYTES 1024

/* ---- names ---- */

static bool is_renamed(const struct key_attribute *a)
{
    return bytes_is(key_attribute_name(a), "_id");
}

static char *stored_name(const struct key_attribute *attribute, const char *prefix)
{
    return is_renamed(attribute) ? xasprintf("%s_id", prefix)
                                 : xstrndup(attribute->name, attribute->name_len);
}

/* May it be a step of a path? */
static bool has_path(const struct key_attribute *a)
{
    return a->name_len > 0 && a->name[0] != '$' && !memchr(a->name, '.', a->name_len) &&
           !memchr(a->name, '\0', a->name_len);
}

static char *path_of(const struct key_form *k, const char *name, char type)
{
    return k->form->change ? xstrdup(name) : xasprintf("%s.%c", name, type);
}

void key_form_init(struct key_form *k, const struct canon_form *form,
                   const struct key_schema *schema, bool is_id)
{
    *k = (struct key_form){.form = form, .schema = schema};
    k->has_paths = has_path(&schema->hash) && (!schema->range.name || has_path(&schema->range));
    k->is_id = is_id || !k->has_paths;
    k->hash_name = stored_name(&schema->hash, form->id_prefix);
    k->hash_path = path_of(k, k->hash_name, schema->hash.type);
    if (!schema->range.name)
        return;
    k->range_name = stored_name(&schema->range, form->id_prefix);
    k->range_path = path_of(k, k->range_name, schema->range.type);
}

void key_form_release(struct key_form *k)
{
    free(k->hash_name);
    free(k->hash_path);
    free(k->range_name);
    free(k->range_path);
    *k = (struct key_form){0};
}

bool key_has(const struct key_form *k, struct bytes name)
{
    return bytes_equal(name, bytes_of(k->hash_name)) ||
           (k->range_name && bytes_equal(name, bytes_of(k->range_name)));
}

/* ---- the values ---- */

/* An item may also have an attribute of the name that its _id is stored under: that is not the
 * key. */
static const struct canon *stored(const struct canon *map, const char *name,
                                  const struct key_attribute *attribute)
{
    const struct canon *found = canon_member(map, bytes_of(name));

    if (!found || found->renamed || !is_renamed(attribute))
        return found;
    for (const struct canon *c = found->next; c; c = c->next)
        if (c->renamed)
            return c;
    return found;
}

static const struct canon *hash_in(const struct key_form *k, const struct canon *map)
{
    return stored(map, k->hash_name, &k->schema->hash);
}

static const struct canon *range_in(const struct key_form *k, const struct canon *map)
{
    return stored(map, k->range_name, &k->schema->range);
}

/* ---- as text ---- */

static bool is_in_range(const struct decimal *d)
{
    int64_t magnitude = d->exponent + (int64_t)d->digits.len - 1;

    return d->digits.len <= DIGITS_OF_NUMBER &&
           (!d->digits.len ||
            (magnitude >= SMALLEST_MAGNITUDE && magnitude <= LARGEST_MAGNITUDE));
}

static bool number_text(struct buf *out, const struct key_form *k, const struct canon *value)
{
    char digits[NUMBER_TEXT];
    struct decimal number;

    if (value->type == CANON_NUMBER) {
        number = value->number;
    } else if (value->type != CANON_STRING || !k->form->change ||
               value->text.len > sizeof(digits) ||
               !decimal_read(&number, value->text, digits) ||
               number.digits.len <= DIGITS_OF_DECIMAL128) {
        return false; /* a text is only right where Decimal128 has too few digits */
    }
    if (!is_in_range(&number))
        return false;
    buf_char(out, '"');
    decimal_plain(out, &number);
    buf_char(out, '"');
    return true;
}

static bool value_text(struct buf *out, const struct key_form *k, const struct canon *value,
                       char type)
{
    if (!value)
        return false;
    switch (type) {
    case 'S':
        if (value->type == CANON_STRING)
            json_stringify(out, value->text);
        return value->type == CANON_STRING;
    case 'B':
        if (value->type != CANON_BINARY)
            return false;
        buf_char(out, '"');
        base64_encode(out, value->text);
        buf_char(out, '"');
        return true;
    default:
        return number_text(out, k, value);
    }
}

static bool attribute_text(struct buf *out, const struct key_form *k,
                           const struct key_attribute *attribute, const struct canon *value)
{
    json_stringify(out, key_attribute_name(attribute));
    buf_printf(out, ":{\"%c\":", attribute->type);
    if (!value_text(out, k, value, attribute->type))
        return false;
    buf_char(out, '}');
    return true;
}

bool key_text(struct buf *out, const struct key_form *k, const struct canon *map)
{
    size_t from = out->len;
    bool valid;

    buf_char(out, '{');
    valid = attribute_text(out, k, &k->schema->hash, hash_in(k, map));
    if (valid && k->range_name) {
        buf_char(out, ',');
        valid = attribute_text(out, k, &k->schema->range, range_in(k, map));
    }
    buf_char(out, '}');
    if (!valid)
        out->len = from;
    return valid;
}

/* ---- as an _id ---- */

static struct canon *copy_of(struct canon_arena *a, const struct canon *value)
{
    struct canon *c = canon_new(a, value->type);

    *c = *value;
    c->next = NULL;
    return c;
}

struct canon *key_id(struct canon_arena *a, const struct key_form *k, const struct canon *map)
{
    const struct canon *hash = hash_in(k, map);
    struct canon *id, *last = NULL;

    CHECK(hash);
    if (!k->range_name)
        return copy_of(a, hash);
    id = canon_new(a, CANON_MAP);
    canon_append(id, &last, copy_of(a, hash));
    CHECK(range_in(k, map));
    canon_append(id, &last, copy_of(a, range_in(k, map)));
    return id;
}

struct canon *key_id_found(struct canon_arena *a, const struct key_form *k,
                           const bson_t *document)
{
    struct canon *id, *last = NULL;
    bson_iter_t it, member;

    if (!bson_iter_init_find(&it, document, "_id"))
        return canon_new(a, CANON_NULL);
    if (!k->range_name || !BSON_ITER_HOLDS_DOCUMENT(&it) || !bson_iter_recurse(&it, &member))
        return canon_document_value(a, &it, k->form);
    id = canon_new(a, CANON_MAP);
    while (bson_iter_next(&member)) {
        struct canon *c = canon_document_value(a, &member, k->form);

        c->name = (struct bytes){bson_iter_key(&member), bson_iter_key_len(&member)};
        canon_append(id, &last, c);
    }
    return id;
}

/* A document may hold what DynamoDB takes in no key, and would refuse to be asked for. */
static bool is_legal(const struct canon *value, size_t most_bytes)
{
    if (!value)
        return false;
    if (value->type == CANON_BINARY)
        return value->text.len > 0 && value->text.len <= most_bytes;
    return value->type != CANON_STRING ||
           (value->text.len > 0 && value->text.len <= most_bytes &&
            bson_utf8_validate(value->text.p, value->text.len, true));
}

static bool legal_key_text(struct buf *out, const struct key_form *k, const struct canon *map)
{
    return is_legal(hash_in(k, map), HASH_BYTES) &&
           (!k->range_name || is_legal(range_in(k, map), RANGE_BYTES)) && key_text(out, k, map);
}

static bool key_of_id(struct buf *out, struct canon_arena *a, const struct key_form *k,
                      const struct canon *id)
{
    struct canon *map = canon_new(a, CANON_MAP), *hash, *last = NULL;

    if (k->range_name)
        return id->type == CANON_MAP && legal_key_text(out, k, id);
    hash = copy_of(a, id);
    hash->name = bytes_of(k->hash_name);
    canon_append(map, &last, hash);
    return legal_key_text(out, k, map);
}

enum key_place key_of_document(struct buf *out, struct canon_arena *a, const struct key_form *k,
                               const bson_t *document, const struct canon *map)
{
    struct compare cmp = {.form = k->form, .arena = a};
    bool has_key = legal_key_text(out, k, map);
    struct canon *id;

    if (!k->is_id)
        return has_key ? KEY_RIGHT : KEY_NONE;
    id = key_id_found(a, k, document);
    if (!has_key)
        return key_of_id(out, a, k, id) ? KEY_OF_ID : KEY_NONE;
    return compare_ids(&cmp, key_id(a, k, map), id) ? KEY_RIGHT : KEY_MISPLACED;
}

/* ---- as a filter ---- */

static bool append_decimal128(bson_t *b, const char *name, const struct decimal *d)
{
    AUTO(buf_release) struct buf text = {.ceiling = 256};
    bson_decimal128_t value;

    if (d->digits.len > DIGITS_OF_DECIMAL128)
        return false;
    buf_printf(&text, "%s" BYTES_FMT "E%d", d->negative ? "-" : "", BYTES_ARG(d->digits),
               d->exponent);
    return bson_decimal128_from_string(buf_cstr(&text), &value) &&
           bson_append_decimal128(b, name, -1, &value);
}

static bool is_short_integer(const struct decimal *d)
{
    return d->exponent >= 0 && (int64_t)d->digits.len + d->exponent <= DIGITS_OF_INT64;
}

/* Numbers are found by value, whatever their type: an int64 where that is exact. */
static void append_number(bson_t *b, const char *name, const struct decimal *d, bool as_text)
{
    AUTO(buf_release) struct buf text = {.ceiling = NUMBER_TEXT};

    decimal_plain(&text, d);
    if (!as_text && is_short_integer(d))
        bson_append_int64(b, name, -1, strtoll(buf_cstr(&text), NULL, 10));
    else if (as_text || !append_decimal128(b, name, d))
        bson_append_utf8(b, name, -1, text.p, (int)text.len);
}

static void append_plain(bson_t *b, const struct key_form *k, const char *name,
                         const struct canon *value)
{
    if (value->type == CANON_NUMBER)
        append_number(b, name, &value->number, !k->form->change);
    else if (value->type == CANON_BINARY)
        bson_append_binary(b, name, -1, BSON_SUBTYPE_BINARY, (const uint8_t *)value->text.p,
                           (uint32_t)value->text.len);
    else
        bson_append_utf8(b, name, -1, value->text.len ? value->text.p : "",
                         (int)value->text.len);
}

/* As it stands in a field. */
static void append_stored(bson_t *b, const struct key_form *k, const char *name,
                          const struct canon *value, char type)
{
    bson_t wrapper;

    if (k->form->change) {
        append_plain(b, k, name, value);
        return;
    }
    bson_append_document_begin(b, name, -1, &wrapper);
    append_plain(&wrapper, k, (const char[]){type, '\0'}, value);
    bson_append_document_end(b, &wrapper);
}

static void append_id(bson_t *b, const struct key_form *k, const char *name,
                      const struct canon *key)
{
    const struct canon *hash = hash_in(k, key);
    bson_t id;

    if (!k->range_name) {
        append_stored(b, k, name, hash, k->schema->hash.type);
        return;
    }
    bson_append_document_begin(b, name, -1, &id);
    append_stored(&id, k, k->hash_name, hash, k->schema->hash.type);
    append_stored(&id, k, k->range_name, range_in(k, key), k->schema->range.type);
    bson_append_document_end(b, &id);
}

static bool can_be_stored(const struct canon *value)
{
    return value && (value->type != CANON_STRING || !value->text.len ||
                     bson_utf8_validate(value->text.p, value->text.len, true));
}

static bool is_askable(const struct key_form *k, const struct canon *key)
{
    return can_be_stored(hash_in(k, key)) &&
           (!k->range_name || can_be_stored(range_in(k, key)));
}

struct in_list {
    bson_t condition, list;
    uint32_t count;
};

static void in_begin(bson_t *b, const char *path, struct in_list *in)
{
    in->count = 0;
    bson_append_document_begin(b, path, -1, &in->condition);
    bson_append_array_begin(&in->condition, "$in", 3, &in->list);
}

static const char *in_next(struct in_list *in, char room[16])
{
    const char *name;

    bson_uint32_to_string(in->count++, &name, room, 16);
    return name;
}

static void in_end(bson_t *b, struct in_list *in)
{
    bson_append_array_end(&in->condition, &in->list);
    bson_append_document_end(b, &in->condition);
}

static bool same_hash(const struct key_form *k, const struct canon *a, const struct canon *b)
{
    const struct canon *x = hash_in(k, a), *y = hash_in(k, b);

    return x->type == CANON_NUMBER ? decimal_equal(&x->number, &y->number)
                                   : bytes_equal(x->text, y->text);
}

/* {pk: h, sk: {$in: [...]}} of the keys that follow each other with one hash; returns how many
 * those were. */
static size_t append_group(bson_t *b, const struct key_form *k, const struct canon *const *keys,
                           size_t count)
{
    struct in_list in;
    char room[16];
    size_t n = 0;

    append_plain(b, k, k->hash_path, hash_in(k, keys[0]));
    in_begin(b, k->range_path, &in);
    while (n < count && same_hash(k, keys[0], keys[n]))
        append_plain(&in.list, k, in_next(&in, room), range_in(k, keys[n++]));
    in_end(b, &in);
    return n;
}

static void append_groups(bson_t *b, const struct key_form *k, const struct canon *const *keys,
                          size_t count)
{
    bson_t branches, branch;
    const char *name;
    char room[16];
    uint32_t n = 0;

    bson_append_array_begin(b, "$or", 3, &branches);
    for (size_t i = 0; i < count;) {
        bson_uint32_to_string(n++, &name, room, sizeof(room));
        bson_append_document_begin(&branches, name, -1, &branch);
        i += append_group(&branch, k, keys + i, count - i);
        bson_append_document_end(&branches, &branch);
    }
    bson_append_array_end(b, &branches);
}

static void append_hashes(bson_t *b, const struct key_form *k, const struct canon *const *keys,
                          size_t count)
{
    struct in_list in;
    char room[16];

    in_begin(b, k->is_id ? "_id" : k->hash_path, &in);
    for (size_t i = 0; i < count; i++) {
        if (k->is_id)
            append_id(&in.list, k, in_next(&in, room), keys[i]);
        else
            append_plain(&in.list, k, in_next(&in, room), hash_in(k, keys[i]));
    }
    in_end(b, &in);
}

void key_filter(bson_t *ret, const struct key_form *k, const struct canon *const *keys,
                size_t count)
{
    const struct canon **asked = xcalloc(count + 1, sizeof(*asked));
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (is_askable(k, keys[i]))
            asked[n++] = keys[i];
    bson_init(ret);
    if (k->is_id || !k->range_name || n == 0)
        append_hashes(ret, k, asked, n);
    else
        append_groups(ret, k, asked, n);
    free(asked);
}

void key_projection(bson_t *ret, const struct key_form *k)
{
    bson_init(ret);
    if (!k->has_paths)
        return; /* whole documents */
    bson_append_int32(ret, k->hash_name, -1, 1);
    if (k->range_name)
        bson_append_int32(ret, k->range_name, -1, 1);
}
