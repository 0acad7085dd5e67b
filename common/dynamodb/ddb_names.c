#include "common/dynamodb/ddb_names.h"

#include <stdlib.h>

#include "common/dynamodb/ddb_read.h"
#include "common/json/json_text.h"

#define REQUEST_AT_MOST ((size_t)1 << 20)
#define PAGES_AT_MOST 100000 /* of a service that never ends its list */

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

static void read_names(struct ddb_names *n, struct json_reader *r)
{
    json_array_begin(r);
    while (json_array_next(r)) {
        char *name = NULL;

        ddb_read_string(r, &name);
        if (!name)
            continue;
        n->names = xrealloc(n->names, (n->count + 1) * sizeof(*n->names));
        n->names[n->count++] = name;
    }
}

int ddb_names_read_page(struct ddb_names *n, struct bytes answer, struct error *err)
{
    struct json_reader r;
    struct bytes member;
    bool any = false;

    free_charp(&n->last);
    json_reader_init(&r, answer);
    json_object_begin(&r);
    while (json_object_next(&r, &member)) {
        if (json_raw_is(member, BYTES_LIT("TableNames"))) {
            read_names(n, &r);
            any = true;
        } else if (json_raw_is(member, BYTES_LIT("LastEvaluatedTableName"))) {
            ddb_read_string(&r, &n->last);
        } else {
            json_skip(&r, NULL);
        }
    }
    if (!json_end(&r))
        return ddb_read_failed(&r, err);
    return any ? 0 : ddb_read_lacks("TableNames", err);
}

static int list_page(struct ddb_names *n, struct ddb_client *c, struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = REQUEST_AT_MOST};
    AUTO(http_answer_release) struct http_answer answer = {0};

    buf_char(&body, '{');
    if (n->last) {
        buf_lit(&body, "\"ExclusiveStartTableName\":");
        json_stringify(&body, bytes_of(n->last));
    }
    buf_char(&body, '}');
    if (ddb_client_call(c, DDB_TABLES, "ListTables", buf_slice(&body), &answer, err) < 0)
        return -1;
    if (ddb_names_read_page(n, buf_slice(&answer.body), err) < 0)
        return ddb_client_broken(c, "ListTables", err);
    return 0;
}

int ddb_names_list(char ***ret, size_t *ret_count, struct ddb_client *c, struct error *err)
{
    AUTO(ddb_names_release) struct ddb_names n = {0};
    int pages = 0;

    do {
        if (list_page(&n, c, err) < 0)
            return -1;
        if (++pages > PAGES_AT_MOST) {
            ddb_read_lacks("end of the list", err);
            return ddb_client_broken(c, "ListTables", err);
        }
    } while (n.last);
    *ret = TAKE(n.names);
    *ret_count = n.count;
    return 0;
}
