#include "common/item/ddb_indexes.h"

#include "common/json/json_text.h"

#include <stdlib.h>

void ddb_indexes_release(struct ddb_indexes *x)
{
    for (size_t i = 0; i < x->count; i++) {
        free(x->list[i].name);
        key_schema_release(&x->list[i].keys);
    }
    free(x->list);
    *x = (struct ddb_indexes){0};
}

void ddb_indexes_add(struct ddb_indexes *x, struct bytes name, struct key_schema *keys)
{
    x->list = xrealloc(x->list, (x->count + 1) * sizeof(*x->list));
    x->list[x->count++] = (struct ddb_index){.name = bytes_dup(name), .keys = *keys};
    *keys = (struct key_schema){0};
}

void ddb_indexes_copy(struct ddb_indexes *ret, const struct ddb_indexes *x)
{
    *ret = (struct ddb_indexes){0};
    for (size_t i = 0; i < x->count; i++) {
        struct key_schema keys;

        key_schema_copy(&keys, &x->list[i].keys);
        ddb_indexes_add(ret, bytes_of(x->list[i].name), &keys);
    }
}

void ddb_indexes_write(struct buf *out, const struct ddb_indexes *x)
{
    buf_char(out, '[');
    for (size_t i = 0; i < x->count; i++) {
        buf_printf(out, "%s{\"name\":", i ? "," : "");
        json_stringify(out, bytes_of(x->list[i].name));
        buf_lit(out, ",\"key_schema\":");
        key_schema_write(out, &x->list[i].keys);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

/* An index's name needs no escape: letters, digits, '_', '-', '.'. */
static bool read_index(struct ddb_indexes *x, struct json_reader *r)
{
    struct bytes member, name = {0}, schema = {0};
    struct key_schema keys;
    struct error ignored; /* the caller names the field */

    if (!json_object_begin(r))
        return false;
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("name")))
            json_string(r, &name);
        else if (json_raw_is(member, BYTES_LIT("key_schema")))
            json_skip(r, &schema);
        else
            json_skip(r, NULL);
    }
    if (json_failed(r) || !name.p || key_schema_read(&keys, schema, &ignored) < 0)
        return false;
    ddb_indexes_add(x, name, &keys);
    return true;
}

bool ddb_indexes_read(struct ddb_indexes *ret, struct json_reader *r)
{
    struct ddb_indexes x = {0};
    bool well = json_array_begin(r);

    while (well && json_array_next(r))
        well = read_index(&x, r);
    if (!well || json_failed(r)) {
        ddb_indexes_release(&x);
        return false;
    }
    *ret = x;
    return true;
}
