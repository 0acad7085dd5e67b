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

static void forget_images(struct pending *p, struct pending_key *k, size_t kept)
{
    while (k->image_count > kept) {
        char *image = k->images[--k->image_count];

        p->image_bytes -= strlen(image);
        free(image);
    }
}

static void key_free(struct pending *p, struct pending_key *k)
{
    forget_images(p, k, 0);
    free(k->line);
    free(k->text);
    free(k);
}

void pending_release(struct pending *p)
{
    struct pending_key *k, *tmp;

    HASH_ITER(hh, p->by_text, k, tmp)
    {
        HASH_DEL(p->by_text, k);
        key_free(p, k);
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
    struct pending_key *k;

    HASH_FIND(hh, p->by_text, key.p, key.len, k);
    if (k || key_set_has(&p->reported, key))
        return;
    k = xcalloc(1, sizeof(*k));
    k->text = bytes_dup(key);
    k->len = key.len;
    k->origin = origin;
    HASH_ADD_KEYPTR(hh, p->by_text, k->text, k->len, k);
    DL_APPEND(p->queues[0], k);
}

size_t pending_take(struct pending *p, struct pending_key **ret, size_t most, int64_t now_ms)
{
    size_t n = 0;

    for (size_t i = PENDING_QUEUES; i-- > 0;)
        while (n < most && p->queues[i] && p->queues[i]->due_ms <= now_ms) {
            struct pending_key *k = p->queues[i];

            DL_DELETE(p->queues[i], k);
            ret[n++] = k;
        }
    return n;
}

/* All keys of a queue wait equally long, so who comes last is due last. */
void pending_again(struct pending *p, struct pending_key *k, int64_t now_ms)
{
    CHECK(k->settle.level < SETTLE_LEVELS);
    k->due_ms = now_ms + settle_pause_ms(k->settle.level, p->limit_ms);
    DL_APPEND(p->queues[k->settle.level + 1], k);
}

void pending_done(struct pending *p, struct pending_key *k)
{
    HASH_DEL(p->by_text, k);
    key_free(p, k);
}

void pending_reported(struct pending *p, struct pending_key *k)
{
    key_set_add(&p->reported, (struct bytes){k->text, k->len});
    pending_done(p, k);
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

void pending_remember(struct pending *p, struct pending_key *k, struct bytes image)
{
    forget_images(p, k, PENDING_IMAGES - 1);
    if (p->image_bytes + image.len > IMAGE_BYTES_AT_MOST)
        forget_images(p, k, 0);
    if (p->image_bytes + image.len > IMAGE_BYTES_AT_MOST)
        return;
    memmove(k->images + 1, k->images, k->image_count * sizeof(*k->images));
    k->images[0] = bytes_dup(image);
    k->image_count++;
    p->image_bytes += image.len;
}
