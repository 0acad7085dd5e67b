#include "consumer/write_command.h"

#include "common/base/check.h"

#define CEILING ((16 << 20) + 2 * WRITE_COMMAND_RESERVE)
#define SCRATCH_MAX 65536
#define BUFFER_KEPT (4 << 20)

void write_command_init(struct write_command *c)
{
    *c = (struct write_command){.limit = CEILING};
    buf_init(&c->out, CEILING);
    buf_init(&c->scratch, SCRATCH_MAX);
}

void write_command_release(struct write_command *c)
{
    buf_release(&c->out);
    buf_release(&c->scratch);
}

void write_command_trim(struct write_command *c)
{
    if (c->out.cap > BUFFER_KEPT)
        buf_release(&c->out);
}

void write_command_begin(struct write_command *c, const struct mongo_target *t,
                         const struct table_view *view, bool deletes)
{
    struct buf *out = &c->out;

    c->target = t;
    c->view = view;
    c->deletes = deletes;
    c->count = 0;
    c->index = BSON_INDEX_INIT;
    buf_reset(out);
    c->body = bson_out_begin(out);
    bson_out_string(out, deletes ? BYTES_LIT("delete") : BYTES_LIT("update"),
                    bytes_of(view->collection));
    bson_out_bool(out, BYTES_LIT("ordered"), false);
    bson_out_int64(out, BYTES_LIT("maxTimeMS"), t->max_time_ms);
    c->list = bson_out_array(out, deletes ? BYTES_LIT("deletes") : BYTES_LIT("updates"));
}

void write_command_end(struct write_command *c)
{
    bson_out_end(&c->out, c->list);
    bson_out_end(&c->out, c->body);
    CHECK(!c->out.overflow);
}

/* A sharded collection is asked by the shard key too: {_id: .., pk: .., sk: ..}. */
static int sharded_filter(struct write_command *c, struct bytes keys, struct error *err)
{
    struct buf *out = &c->out, *more = &c->scratch;
    struct converter by_key = c->view->converter;
    size_t begin = out->len;

    if (convert_filter(out, &by_key, keys, err) < 0)
        return -1;
    by_key.identity = IDENTITY_OBJECTID;
    buf_reset(more);
    if (convert_filter(more, &by_key, keys, err) < 0)
        return -1;
    out->len--; /* its final zero */
    buf_append(out, more->p + sizeof(int32_t), more->len - sizeof(int32_t) - 1);
    bson_out_end(out, begin);
    return 0;
}

static int put_filter(struct write_command *c, struct bytes keys, struct error *err)
{
    const struct converter *v = &c->view->converter;

    bson_out_element(&c->out, BSON_OUT_DOCUMENT, BYTES_LIT("q"));
    if (c->target->sharded && v->identity == IDENTITY_KEY && convert_key_indexable(v->schema))
        return sharded_filter(c, keys, err);
    return convert_filter(&c->out, v, keys, err);
}

static int put_record(struct write_command *c, const struct batch_entry *e, struct error *err)
{
    struct buf *out = &c->out;
    size_t record = bson_out_document(out, bson_index_name(&c->index));

    if (put_filter(c, e->keys, err) < 0)
        return -1;
    if (c->deletes) {
        bson_out_int32(out, BYTES_LIT("limit"), 1);
    } else {
        bson_out_element(out, BSON_OUT_DOCUMENT, BYTES_LIT("u"));
        if (convert_document(out, &c->view->converter, e->keys, e->after, err) < 0)
            return -1;
        bson_out_bool(out, BYTES_LIT("upsert"), true);
    }
    bson_out_end(out, record);
    return out->overflow ? error_set(err, ERR_RETRY, "no room in the command") : 0;
}

int write_command_add(struct write_command *c, const struct batch_entry *e, struct error *err)
{
    struct bson_index index = c->index;
    size_t before = c->out.len;
    int result = put_record(c, e, err);

    if (result == 0 && c->count > 0 && c->out.len + WRITE_COMMAND_RESERVE > c->limit)
        result = error_set(err, ERR_RETRY, "no room in the command");
    if (result == 0) {
        c->count++;
        return 0;
    }
    c->out.len = before;
    c->out.overflow = false;
    c->index = index;
    return -1;
}
