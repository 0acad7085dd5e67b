#include "producer/repair_keys.h"

#define KEY_BYTES ((size_t)64 << 10) /* a key of 3 KB, each byte escaped, is under 20 KB */

/* ---- the request's keys ---- */

static int canonical(struct buf *out, const struct ddb_item *item,
                     const struct key_schema *schema, struct error *err)
{
    buf_reset(out);
    return ddb_item_keys(NULL, out, item, schema, err);
}

/* The index of a key in canonical spelling; r->count: none. */
static size_t index_of(const struct repair_keys *keys, struct bytes key)
{
    size_t i = 0;

    while (i < keys->count && !bytes_equal(keys->keys[i].key.json, key))
        i++;
    return i;
}

static int add_key(struct repair_keys *keys, const char *text, struct buf *spelled,
                   struct error *err)
{
    struct json_reader reader;
    struct ddb_item key;

    json_reader_init(&reader, bytes_of(text));
    if (ddb_item_read(&key, &reader, keys->schema, err) < 0 ||
        canonical(spelled, &key, keys->schema, err) < 0)
        return -1;
    if (!bytes_equal(buf_slice(spelled), bytes_of(text)))
        return error_set(err, ERR_DATA, "the key %.200s is not in canonical spelling", text);
    if (index_of(keys, key.json) == keys->count)
        keys->keys[keys->count++] = (struct repair_key){.key = key};
    return 0;
}

int repair_keys_init(struct repair_keys *keys, const struct table_signal *signal,
                     const struct key_schema *schema, struct error *err)
{
    AUTO(buf_release) struct buf spelled = {.ceiling = KEY_BYTES};

    *keys = (struct repair_keys){.schema = schema, .at_once = DDB_ITEMS_AT_MOST};
    for (size_t i = 0; i < signal->key_count; i++)
        if (add_key(keys, signal->keys[i], &spelled, err) < 0)
            return -1;
    return 0;
}

/* ---- asking ---- */

size_t repair_keys_ask(struct repair_keys *keys, struct bytes *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < keys->count && n < keys->at_once; i++) {
        if (keys->keys[i].state != REPAIR_LEFT)
            continue;
        keys->keys[i].state = REPAIR_ASKED;
        ret[n++] = keys->keys[i].key.json;
    }
    return n;
}

static void change_all(struct repair_keys *keys, enum repair_state from, enum repair_state to)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->keys[i].state == from)
            keys->keys[i].state = to;
}

void repair_keys_drop(struct repair_keys *keys)
{
    change_all(keys, REPAIR_ASKED, REPAIR_LEFT);
    change_all(keys, REPAIR_FOUND, REPAIR_LEFT);
    change_all(keys, REPAIR_ABSENT, REPAIR_LEFT);
}

void repair_keys_appended(struct repair_keys *keys)
{
    change_all(keys, REPAIR_FOUND, REPAIR_DONE);
    change_all(keys, REPAIR_ABSENT, REPAIR_DONE);
}

void repair_keys_restart(struct repair_keys *keys)
{
    repair_keys_drop(keys);
    change_all(keys, REPAIR_DONE, REPAIR_LEFT);
}

void repair_keys_ask_fewer(struct repair_keys *keys)
{
    keys->at_once = MAX(keys->at_once / 2, 1);
}

size_t repair_keys_count(const struct repair_keys *keys, enum repair_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < keys->count; i++)
        n += keys->keys[i].state == state;
    return n;
}

/* ---- the answer ---- */

struct answer {
    struct repair_keys *keys;
    struct buf spelled;
};

/* The key that was asked for; NULL: the answer speaks of another, or twice of one. */
static struct repair_key *asked_key(struct answer *answer, const struct ddb_item *item,
                                    struct error *err)
{
    struct repair_keys *keys = answer->keys;
    size_t i;

    if (canonical(&answer->spelled, item, keys->schema, err) < 0) {
        err->kind = ERR_RETRY;
        return NULL;
    }
    i = index_of(keys, buf_slice(&answer->spelled));
    if (i < keys->count && keys->keys[i].state == REPAIR_ASKED)
        return &keys->keys[i];
    error_set(err, ERR_RETRY, "the answer has a key that was not asked for");
    return NULL;
}

static int on_found(void *arg, const struct ddb_item *item, struct error *err)
{
    struct repair_key *key = asked_key(arg, item, err);

    if (!key)
        return -1;
    key->state = REPAIR_FOUND;
    key->item = *item;
    return 0;
}

static int on_unprocessed(void *arg, const struct ddb_item *item, struct error *err)
{
    struct repair_key *key = asked_key(arg, item, err);

    if (!key)
        return -1;
    key->state = REPAIR_LEFT;
    return 0;
}

int repair_keys_answer(struct repair_keys *keys, struct bytes text, struct error *err)
{
    struct answer answer = {.keys = keys, .spelled = {.ceiling = KEY_BYTES}};
    const struct ddb_items_calls calls = {on_found, on_unprocessed, &answer};
    int result = ddb_items_read(text, keys->schema, &calls, err);

    buf_release(&answer.spelled);
    if (result < 0)
        repair_keys_drop(keys);
    else
        change_all(keys, REPAIR_ASKED, REPAIR_ABSENT);
    return result;
}
