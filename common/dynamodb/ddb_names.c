#include "common/dynamodb/ddb_names.h"

#include <stdlib.h>

#include "common/dynamodb/ddb_read.h"
#include "common/json/json_text.h"

#define PAGES_AT_MOST 100000 /* a service that never ends its list */

void ddb_names_free(char **names, size_t count)
{
    for (size_t i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
}

void ddb_names_release(struct ddb_names *n)
{
    ddb_names_free(n->names, n->count);
    free(n->last);
    *n = (struct ddb_names){0};
}

static int read_names(struct json_reader *r, void *at, struct error *err)
{
    struct ddb_names *n = at;
    struct bytes raw;

    (void)err;
    json_array_begin(r);
    while (json_array_next(r) && json_string(r, &raw)) {
        n->names = xrealloc(n->names, (n->count + 1) * sizeof(*n->names));
        n->names[n->count++] = json_unescape_dup(raw, NULL);
    }
    return json_failed(r) ? -1 : 0;
}

static const struct json_kind names_kind = {.read = read_names};

int ddb_names_read_page(struct ddb_names *n, struct bytes answer, struct error *err)
{
    static const struct json_field list[] = {
        {BYTES_LIT("TableNames"), &names_kind},
        JSON_OPTIONAL("LastEvaluatedTableName", struct ddb_names, last,
                      &json_fields_text_or_null),
    };
    static const struct json_fields fields = JSON_FIELDS("ListTables", struct ddb_names, list);

    free_charp(&n->last);
    return ddb_read_answer(n, &fields, answer, err);
}

static int list_page(struct ddb_names *n, struct ddb_client *client, struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = DDB_CLIENT_REQUEST_AT_MOST};
    AUTO(http_answer_release) struct http_answer answer = {0};

    buf_char(&body, '{');
    if (n->last) {
        buf_lit(&body, "\"ExclusiveStartTableName\":");
        json_stringify(&body, bytes_of(n->last));
    }
    buf_char(&body, '}');
    if (ddb_client_call(client, DDB_TABLES, "ListTables", buf_slice(&body), &answer, err) < 0)
        return -1;
    if (ddb_names_read_page(n, buf_slice(&answer.body), err) < 0)
        return ddb_client_broken(client, "ListTables", err);
    return 0;
}

int ddb_names_list(char ***ret, size_t *ret_count, struct ddb_client *client, struct error *err)
{
    AUTO(ddb_names_release) struct ddb_names n = {0};
    int pages = 0;

    do {
        if (list_page(&n, client, err) < 0)
            return -1;
        if (++pages > PAGES_AT_MOST) {
            ddb_read_lacks("end of the list", err);
            return ddb_client_broken(client, "ListTables", err);
        }
    } while (n.last);
    *ret = TAKE(n.names);
    *ret_count = n.count;
    return 0;
}
