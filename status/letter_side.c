#include "status/letter_side.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/base/text.h"
#include "common/json/json_text.h"
#include "common/kafka/kafka_ranges.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/dead_letter.h"

#define LETTERS_MOST 1000000 /* that are known one by one */
#define REASON_BYTES 160
#define REASONS_MOST 50 /* of a table; the others are one */

struct group { /* of letters that share table, stage and reason */
    char *table, *stage, *reason;
    int64_t count;
    struct group *next;
};

struct letter {
    int64_t offset; /* a mark names it; keys of messages are those of several items */
    struct group *group;
    UT_hash_handle hh;
};

struct letter_side {
    char *topic;
    int64_t next; /* offset */
    struct letter *letters;
    struct group *groups;
};

struct letter_side *letter_side_new(const struct config *config)
{
    struct letter_side *side = xcalloc(1, sizeof(*side));

    side->topic = kafka_dead_letter_topic(config);
    return side;
}

static void letter_remove(struct letter_side *side, struct letter *letter)
{
    HASH_DEL(side->letters, letter);
    letter->group->count--;
    free(letter);
}

void letter_side_free(struct letter_side *side)
{
    struct letter *letter, *next;

    if (!side)
        return;
    HASH_ITER(hh, side->letters, letter, next)
        letter_remove(side, letter);
    while (side->groups) {
        struct group *group = side->groups;

        side->groups = group->next;
        free(group->table);
        free(group->stage);
        free(group->reason);
        free(group);
    }
    free(side->topic);
    free(side);
}

/* ---- records ---- */

/* A text of the letter; "" when it has none. */
static char *text_of(struct bytes message, const char *name)
{
    struct bytes value;

    if (!json_member(message, name, &value) || value.len < 2 || value.p[0] != '"')
        return xstrdup("");
    return json_unescape_dup((struct bytes){value.p + 1, value.len - 2}, NULL);
}

static struct group *find_group(struct letter_side *side, const char *table, const char *stage,
                                const char *reason)
{
    size_t of_table = 0;
    struct group *group;

    for (group = side->groups; group; group = group->next) {
        if (strcmp(group->table, table) != 0)
            continue;
        if (strcmp(group->stage, stage) == 0 && strcmp(group->reason, reason) == 0)
            return group;
        of_table++;
    }
    if (of_table >= REASONS_MOST && strcmp(reason, "other reasons") != 0)
        return find_group(side, table, stage, "other reasons");
    group = xcalloc(1, sizeof(*group));
    *group = (struct group){xstrdup(table), xstrdup(stage), xstrdup(reason), 0, side->groups};
    side->groups = group;
    return group;
}

static void add_letter(struct letter_side *side, int64_t offset, struct bytes raw_table,
                       struct bytes message)
{
    AUTO(free_charp) char *table = json_unescape_dup(raw_table, NULL);
    AUTO(free_charp) char *stage = text_of(message, "stage");
    AUTO(free_charp) char *reason = text_of(message, "reason");
    struct letter *letter = xcalloc(1, sizeof(*letter));

    reason[text_cut(bytes_of(reason), REASON_BYTES)] = '\0';
    letter->offset = offset;
    letter->group = find_group(side, table, stage, reason);
    letter->group->count++;
    HASH_ADD(hh, side->letters, offset, sizeof(letter->offset), letter);
}

static bool take_record(void *arg, struct kafka_range *range, const rd_kafka_message_t *message)
{
    struct letter_side *side = arg;
    struct bytes text = {message->payload, message->len};
    struct dead_letter_seen seen;
    struct letter *letter;
    struct error err;

    (void)range;
    if (HASH_COUNT(side->letters) >= LETTERS_MOST)
        return false;
    side->next = message->offset + 1;
    if (dead_letter_see(&seen, text, &err) < 0)
        return true; /* somebody else's */
    if (!seen.is_mark) {
        add_letter(side, message->offset, seen.table, text);
        return true;
    }
    HASH_FIND(hh, side->letters, &seen.offset, sizeof(seen.offset), letter);
    if (letter)
        letter_remove(side, letter);
    return true;
}

/* ---- a look ---- */

static int read_new(struct letter_side *side, rd_kafka_t *rk, int64_t timeout_ms,
                    struct error *err)
{
    struct kafka_range range = {.topic = side->topic};
    const struct kafka_ranges ranges = {
        .list = &range, .count = 1, .limit_ms = timeout_ms, .each = take_record, .arg = side};

    if (kafka_topic_begin_offsets(&range.from, rk, side->topic, 0, 1, timeout_ms, err) < 0 ||
        kafka_topic_end_offsets(&range.to, rk, side->topic, 0, 1, timeout_ms, err) < 0)
        return -1;
    range.from = MAX(range.from, side->next);
    if (kafka_ranges_read(rk, &ranges, err) < 0)
        return -1;
    if (HASH_COUNT(side->letters) >= LETTERS_MOST)
        return error_set(err, ERR_DATA, "there are more than %d", LETTERS_MOST);
    return 0;
}

static void tell(const struct letter_side *side, struct bridge *bridge)
{
    for (const struct group *group = side->groups; group; group = group->next) {
        struct bridge_table *table = bridge_find(bridge, group->table);

        if (!table || group->count == 0)
            continue;
        table->letters =
            xrealloc(table->letters, (table->letters_count + 1) * sizeof(*table->letters));
        table->letters[table->letters_count++] = (struct bridge_letters){
            xstrdup(group->stage), xstrdup(group->reason), group->count};
    }
}

void letter_side_read(struct letter_side *side, struct bridge *bridge, rd_kafka_t *rk,
                      int64_t timeout_ms)
{
    struct error err;

    bridge->letters_known = read_new(side, rk, timeout_ms, &err) == 0;
    if (!bridge->letters_known)
        bridge_not_read(bridge, "dead letters", err.message);
    tell(side, bridge);
}
