#include "common/item/ddb_indexes.h"

#include "common/json/json_fields.h"
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

struct index_text { /* raw */
    struct bytes name, keys;
};

static int read_index(struct ddb_indexes *x, struct json_reader *r, struct error *err)
{
    static const struct json_field list[] = {
        JSON_FIELD("name", struct index_text, name, &json_fields_raw),
        JSON_FIELD("key_schema", struct index_text, keys, &json_fields_value),
    };
    static const struct json_fields fields = JSON_FIELDS("an index", struct index_text, list);
    struct index_text text = {0};
    struct key_schema keys;

    if (json_fields_read(&text, NULL, &fields, r, err) < 0 ||
        key_schema_read(&keys, text.keys, err) < 0)
        return -1;
    ddb_indexes_add(x, text.name, &keys); /* a name has no escapes: letters, digits, "_-." */
    return 0;
}

int ddb_indexes_read(struct ddb_indexes *ret, struct json_reader *r, struct error *err)
{
    AUTO(ddb_indexes_release) struct ddb_indexes x = {0};

    json_array_begin(r);
    while (json_array_next(r))
        if (read_index(&x, r, err) < 0)
            return -1;
    if (json_failed(r))
        return json_reader_error(r, err);
    *ret = x;
    x = (struct ddb_indexes){0};
    return 0;
}
