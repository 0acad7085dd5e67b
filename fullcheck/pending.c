#include "fullcheck/pending.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/check.h"

#define KEYS_AT_MOST 100000
#define IMAGE_BYTES_AT_MOST ((size_t)32 << 20)

void pending_init(struct pending *p, int64_t settle_limit_ms)
{
    *p = (struct pending){.limit_ms = settle_limit_ms};
}

static void forget_images(struct pending *p, struct pending_key *entry, size_t kept)
{
    while (entry->image_count > kept) {
        char *image = entry->images[--entry->image_count];

        p->image_bytes -= strlen(image);
        free(image);
    }
}

static void key_free(struct pending *p, struct pending_key *entry)
{
    forget_images(p, entry, 0);
    free(entry->line);
    free(entry->text);
    free(entry);
}

void pending_release(struct pending *p)
{
    struct pending_key *entry, *tmp;

    HASH_ITER(hh, p->by_text, entry, tmp) {
        HASH_DEL(p->by_text, entry);
        key_free(p, entry);
    }
    key_set_release(&p->reported);
}

bool pending_has_room(const struct pending *p)
{
    return HASH_COUNT(p->by_text) < KEYS_AT_MOST;
}

bool pending_is_empty(const struct pending *p)
{
    return HASH_COUNT(p->by_text) == 0;
}

void pending_add(struct pending *p, struct bytes key, enum pending_origin origin)
{
    struct pending_key *entry;

    HASH_FIND(hh, p->by_text, key.p, key.len, entry);
    if (entry || key_set_has(&p->reported, key))
        return;
    entry = xcalloc(1, sizeof(*entry));
    entry->text = bytes_dup(key);
    entry->len = key.len;
    entry->origin = origin;
    HASH_ADD_KEYPTR(hh, p->by_text, entry->text, entry->len, entry);
    DL_APPEND(p->queues[0], entry);
}

size_t pending_take(struct pending *p, struct pending_key **ret, size_t most, int64_t now_ms)
{
    size_t n = 0;

    for (size_t i = PENDING_QUEUES; i-- > 0;)
        while (n < most && p->queues[i] && p->queues[i]->due_ms <= now_ms) {
            struct pending_key *entry = p->queues[i];

            DL_DELETE(p->queues[i], entry);
            ret[n++] = entry;
        }
    return n;
}

/* All keys of a queue wait equally long, so who comes last is due last. */
void pending_again(struct pending *p, struct pending_key *entry, int64_t now_ms)
{
    CHECK(entry->settle.level < SETTLE_LEVELS);
    entry->due_ms = now_ms + settle_pause_ms(entry->settle.level, p->limit_ms);
    DL_APPEND(p->queues[entry->settle.level + 1], entry);
}

void pending_done(struct pending *p, struct pending_key *entry)
{
    HASH_DEL(p->by_text, entry);
    key_free(p, entry);
}

void pending_reported(struct pending *p, struct pending_key *entry)
{
    key_set_add(&p->reported, (struct bytes){entry->text, entry->len});
    pending_done(p, entry);
}

bool pending_remembers_reported(const struct pending *p)
{
    return p->reported.count < KEY_SET_AT_MOST;
}

int64_t pending_due_ms(const struct pending *p)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < PENDING_QUEUES; i++)
        if (p->queues[i])
            due = MIN(due, p->queues[i]->due_ms);
    return due;
}

void pending_remember(struct pending *p, struct pending_key *entry, struct bytes image)
{
    forget_images(p, entry, PENDING_IMAGES - 1);
    if (p->image_bytes + image.len > IMAGE_BYTES_AT_MOST)
        forget_images(p, entry, 0);
    if (p->image_bytes + image.len > IMAGE_BYTES_AT_MOST)
        return;
    memmove(entry->images + 1, entry->images, entry->image_count * sizeof(*entry->images));
    entry->images[0] = bytes_dup(image);
    entry->image_count++;
    p->image_bytes += image.len;
}
