#include "consumer/write_command.h"

#include "common/base/check.h"
#include "consumer/convert.h"

#define CEILING ((16 << 20) + 2 * WRITE_COMMAND_RESERVE)
#define SCRATCH_MAX 65536
#define BUFFER_KEPT (4 << 20)

void write_command_init(struct write_command *command)
{
    *command = (struct write_command){.limit = CEILING};
    buf_init(&command->out, CEILING);
    buf_init(&command->scratch, SCRATCH_MAX);
}

void write_command_release(struct write_command *command)
{
    buf_release(&command->out);
    buf_release(&command->scratch);
}

void write_command_trim(struct write_command *command)
{
    if (command->out.cap > BUFFER_KEPT)
        buf_release(&command->out);
}

void write_command_begin(struct write_command *command, const struct mongo_target *target,
                         const struct table_view *view, bool deletes)
{
    struct buf *out = &command->out;

    command->target = target;
    command->view = view;
    command->deletes = deletes;
    command->count = 0;
    command->index = BSON_OUT_INDEX_INIT;
    buf_reset(out);
    command->body = bson_out_begin(out);
    bson_out_string(out, deletes ? BYTES_LIT("delete") : BYTES_LIT("update"),
                    bytes_of(view->collection));
    bson_out_bool(out, BYTES_LIT("ordered"), false);
    bson_out_int64(out, BYTES_LIT("maxTimeMS"), target->max_time_ms);
    command->list = bson_out_array(out, deletes ? BYTES_LIT("deletes") : BYTES_LIT("updates"));
}

void write_command_end(struct write_command *command)
{
    bson_out_end(&command->out, command->list);
    bson_out_end(&command->out, command->body);
    CHECK(!command->out.overflow);
}

/* A sharded collection is asked by the shard key too: {_id: .., pk: .., sk: ..}. */
static int sharded_filter(struct write_command *command, struct bytes keys, struct error *err)
{
    struct buf *out = &command->out, *more = &command->scratch;
    struct converter by_key = command->view->converter;
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

static int put_filter(struct write_command *command, struct bytes keys, struct error *err)
{
    const struct converter *converter = &command->view->converter;

    bson_out_element(&command->out, BSON_TYPE_DOCUMENT, BYTES_LIT("q"));
    if (command->target->sharded && converter->identity == IDENTITY_KEY &&
        converter_can_index(converter->schema))
        return sharded_filter(command, keys, err);
    return convert_filter(&command->out, converter, keys, err);
}

static int put_record(struct write_command *command, const struct batch_entry *entry,
                      struct error *err)
{
    struct buf *out = &command->out;
    size_t record = bson_out_document(out, bson_out_index_name(&command->index));

    if (put_filter(command, entry->keys, err) < 0)
        return -1;
    if (command->deletes) {
        bson_out_int32(out, BYTES_LIT("limit"), 1);
    } else {
        bson_out_element(out, BSON_TYPE_DOCUMENT, BYTES_LIT("u"));
        if (convert_document(out, &command->view->converter, entry->keys, entry->after, err) <
            0)
            return -1;
        bson_out_bool(out, BYTES_LIT("upsert"), true);
    }
    bson_out_end(out, record);
    return out->overflow ? error_set(err, ERR_RETRY, "no room in the command") : 0;
}

int write_command_add(struct write_command *command, const struct batch_entry *entry,
                      struct error *err)
{
    struct bson_out_index index = command->index;
    size_t before = command->out.len;
    int result = put_record(command, entry, err);

    if (result == 0 && command->count > 0 &&
        command->out.len + WRITE_COMMAND_RESERVE > command->limit)
        result = error_set(err, ERR_RETRY, "no room in the command");
    if (result == 0) {
        command->count++;
        return 0;
    }
    command->out.len = before;
    command->out.overflow = false;
    command->index = index;
    return -1;
}
