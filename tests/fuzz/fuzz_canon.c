/* tests/fuzz/fuzz_canon.c - whatever an answer or a document holds, fullcheck reads it within
 * its bounds, an item equals itself in any order, and its key is the one of the messages.
 *
 * Input: a byte of flags, then an item's JSON or a document's BSON (its length and end are made
 * right, the rest is as it comes). */
#include <bson/bson.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/item/ddb_item.h"
#include "common/item/ddb_number.h"
#include "fullcheck/canon_document.h"
#include "fullcheck/canon_item.h"
#include "fullcheck/compare.h"
#include "fullcheck/key.h"

#define CEILING (1 << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct canon_form form;
    struct key_schema schema;
    struct key_form key;
    struct canon_arena arena;
    struct buf text, wanted;
};

static void write_part(void *arg, const struct compare_path *path, const struct canon *source,
                       const struct canon *target)
{
    struct fuzz *f = arg;

    (void)path;
    buf_reset(&f->text);
    canon_text(&f->text, source ? source : target, 100);
    CHECK(f->text.len <= 103);
}

static bool compare(struct fuzz *f, const struct canon *a, const struct canon *b)
{
    struct compare c = {.form = &f->form, .arena = &f->arena, .parts = write_part, .arg = f};

    return compare_maps(&c, a, b);
}

/* ---- an item ---- */

static bool has_order(const struct canon *c)
{
    return c->type != CANON_MAP && c->type != CANON_SET;
}

/* A copy with the members of maps and sets the other way round. *twice: a name stands twice
 * somewhere, so that which of the two is meant depends on their order. */
static struct canon *reversed(struct canon_arena *a, const struct canon *c, bool *twice)
{
    struct canon *copy = canon_new(a, c->type), *last = NULL;

    *copy = *c;
    copy->next = NULL;
    if (c->type < CANON_SET || c->type > CANON_MAP)
        return copy;
    copy->first = NULL;
    copy->count = 0;
    for (const struct canon *child = c->first; child; child = child->next) {
        struct canon *turned = reversed(a, child, twice);

        *twice = *twice || (c->type == CANON_MAP && canon_member(copy, child->name));
        if (has_order(c)) {
            canon_append(copy, &last, turned);
            continue;
        }
        turned->next = copy->first;
        copy->first = turned;
        copy->count++;
    }
    return copy;
}

static void check_key(struct fuzz *f, const struct canon *item, struct bytes json)
{
    struct ddb_item read;
    struct json_reader r;
    struct error err;
    bool valid;

    json_reader_init(&r, json);
    buf_reset(&f->text);
    buf_reset(&f->wanted);
    valid = ddb_item_read(&read, &r, &f->schema, &err) == 0 &&
            ddb_item_keys(NULL, &f->wanted, &read, &f->schema, &err) == 0;
    if (!valid)
        return;
    CHECK(key_text(&f->text, &f->key, item));
    CHECK(bytes_equal(buf_slice(&f->text), buf_slice(&f->wanted)));
}

static void check_item(struct fuzz *f, struct bytes json)
{
    struct canon *item, *turned;
    struct error err = {0};
    bool twice = false;

    if (canon_item(&item, &f->arena, json, &f->form, &err) < 0) {
        CHECK(err.kind == ERR_RETRY);
        return;
    }
    turned = reversed(&f->arena, item, &twice);
    CHECK(canon_digest(turned) == canon_digest(item));
    if (!f->form.change && !twice) { /* with change, lists stand for sets */
        CHECK(compare(f, item, item));
        CHECK(compare(f, item, turned));
    }
    check_key(f, item, json);
}

/* ---- a document ---- */

static void check_document(struct fuzz *f, const uint8_t *data, size_t size)
{
    uint32_t len = BSON_UINT32_TO_LE((uint32_t)size);
    const struct canon *map;
    struct canon nothing = {.type = CANON_MAP};
    uint8_t *bytes;
    bson_t document;

    if (size < 5)
        return;
    bytes = xmalloc(size); /* of the exact size, so that a read past the end is seen */
    memcpy(bytes, data, size);
    memcpy(bytes, &len, sizeof(len));
    bytes[size - 1] = 0;
    if (bson_init_static(&document, bytes, size)) {
        map = canon_document(&f->arena, &document, &f->form);
        canon_digest(map);
        CHECK(compare(f, &nothing, map) == (map->count == 0));
        buf_reset(&f->text);
        key_of_document(&f->text, &f->arena, &f->key, &document, map);
        CHECK(!f->text.overflow);
    }
    free(bytes);
}

static void check_number(struct fuzz *f, struct bytes text)
{
    struct canon c = {.type = CANON_NUMBER};
    struct error err;

    buf_reset(&f->text);
    buf_reset(&f->wanted);
    if (ddb_number_canonical(&f->wanted, text, &err) < 0)
        return;
    CHECK(canon_number(&f->arena, &c, text));
    decimal_plain(&f->text, &c.number);
    CHECK(bytes_equal(buf_slice(&f->text), buf_slice(&f->wanted)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = {.schema = {.hash = {(char *)"pk", 2, 'S'}},
                     .text = {.ceiling = CEILING},
                     .wanted = {.ceiling = CEILING}};

    if (!size)
        return 0;
    f.form = (struct canon_form){
        .change = data[0] & 1, .as_double = data[0] & 2, .id_prefix = "pre"};
    if (data[0] & 4)
        f.schema.range = (struct key_attribute){(char *)"sk", 2, data[0] & 8 ? 'N' : 'B'};
    key_form_init(&f.key, &f.form, &f.schema, data[0] & 16);
    canon_arena_init(&f.arena);
    check_number(&f, (struct bytes){(const char *)data + 1, size - 1});
    if (data[0] & 32)
        check_document(&f, data + 1, size - 1);
    else
        check_item(&f, (struct bytes){(const char *)data + 1, size - 1});
    canon_arena_release(&f.arena);
    key_form_release(&f.key);
    buf_release(&f.text);
    buf_release(&f.wanted);
    return 0;
}
