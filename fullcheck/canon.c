#include "fullcheck/canon.h"

#include <stdlib.h>
#include <xxhash.h>

#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/json/json_text.h"

#define obstack_chunk_alloc xmalloc
#define obstack_chunk_free free

/* ---- arena ---- */

void *canon_arena_mark(struct canon_arena *a)
{
    return obstack_alloc(&a->memory, 1);
}

void canon_arena_back(struct canon_arena *a, void *mark)
{
    obstack_free(&a->memory, mark);
}

void canon_arena_init(struct canon_arena *a)
{
    obstack_init(&a->memory);
    obstack_chunk_size(&a->memory) = 65536 - 64;
    a->bottom = canon_arena_mark(a);
    buf_init(&a->text, (size_t)256 << 20);
}

void canon_arena_reset(struct canon_arena *a)
{
    canon_arena_back(a, a->bottom);
    a->bottom = canon_arena_mark(a);
}

void canon_arena_release(struct canon_arena *a)
{
    obstack_free(&a->memory, NULL);
    buf_release(&a->text);
}

struct canon *canon_new(struct canon_arena *a, enum canon_type type)
{
    struct canon *c = obstack_alloc(&a->memory, sizeof(*c));

    *c = (struct canon){.type = type};
    return c;
}

struct bytes canon_copy(struct canon_arena *a, struct bytes text)
{
    if (!text.len)
        return (struct bytes){"", 0};
    return (struct bytes){obstack_copy(&a->memory, text.p, (int)text.len), text.len};
}

void canon_append(struct canon *container, struct canon **last, struct canon *child)
{
    if (*last)
        (*last)->next = child;
    else
        container->first = child;
    *last = child;
    container->count++;
}

bool canon_number(struct canon_arena *a, struct canon *c, struct bytes text)
{
    char *digits = obstack_alloc(&a->memory, (int)text.len);

    return decimal_read(&c->number, text, digits);
}

const struct canon *canon_member(const struct canon *map, struct bytes name)
{
    for (const struct canon *c = map->first; c; c = c->next)
        if (bytes_equal(c->name, name))
            return c;
    return NULL;
}

/* ---- digest ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    const uint64_t both[2] = {a, b};

    return XXH3_64bits(both, sizeof(both));
}

static uint64_t digest_of_number(const struct decimal *d)
{
    return mix(XXH3_64bits(d->digits.p, d->digits.len),
               (uint64_t)(int64_t)d->exponent * 2 + d->negative);
}

/* The order of a map's members and of a set's elements says nothing: a sum. */
static uint64_t digest_of_children(const struct canon *c)
{
    uint64_t sum = 0;

    for (const struct canon *child = c->first; child; child = child->next) {
        uint64_t one = canon_digest(child);

        if (c->type == CANON_MAP)
            one = mix(XXH3_64bits(child->name.p, child->name.len), one);
        sum = c->type == CANON_LIST ? mix(sum, one) : sum + one;
    }
    return sum;
}

uint64_t canon_digest(const struct canon *c)
{
    uint64_t content = 0;

    switch (c->type) {
    case CANON_STRING:
    case CANON_BINARY:
    case CANON_OTHER:
        content = XXH3_64bits(c->text.p, c->text.len);
        break;
    case CANON_NUMBER:
        content = digest_of_number(&c->number);
        break;
    case CANON_BOOL:
        content = c->truth;
        break;
    case CANON_NULL:
        break;
    case CANON_SET:
    case CANON_LIST:
    case CANON_MAP:
        content = digest_of_children(c) + c->count;
        break;
    }
    return mix(content, (uint64_t)c->type << 8 | (unsigned char)c->element);
}

/* ---- for reports ---- */

const char *canon_type_name(const struct canon *c)
{
    static const char *const names[] = {"string", "number", "binary", "bool", "null",
                                        "set",    "list",   "map",    "other"};

    return names[c->type];
}

static void text_of(struct buf *out, const struct canon *c, size_t at_most, bool inside);

static void text_of_children(struct buf *out, const struct canon *c, size_t at_most)
{
    const char *brackets = c->type == CANON_MAP ? "{}" : c->type == CANON_SET ? "<>" : "[]";

    buf_char(out, brackets[0]);
    for (const struct canon *child = c->first; child && out->len <= at_most;
         child = child->next) {
        if (child != c->first)
            buf_lit(out, ", ");
        if (c->type == CANON_MAP) {
            json_stringify(out, child->renamed ? BYTES_LIT("_id") : child->name);
            buf_lit(out, ": ");
        }
        text_of(out, child, at_most, true);
    }
    buf_char(out, brackets[1]);
}

static struct bytes head(struct bytes text, size_t at_most)
{
    return (struct bytes){text.p, MIN(text.len, at_most)};
}

static void text_of(struct buf *out, const struct canon *c, size_t at_most, bool inside)
{
    switch (c->type) {
    case CANON_STRING:
        if (inside)
            json_stringify(out, head(c->text, at_most));
        else
            buf_bytes(out, head(c->text, at_most + 4));
        break;
    case CANON_NUMBER:
        decimal_plain(out, &c->number);
        break;
    case CANON_BINARY:
        base64_encode(out, head(c->text, at_most));
        break;
    case CANON_BOOL:
        buf_printf(out, "%s", c->truth ? "true" : "false");
        break;
    case CANON_NULL:
        buf_lit(out, "null");
        break;
    case CANON_SET:
    case CANON_LIST:
    case CANON_MAP:
        text_of_children(out, c, at_most);
        break;
    case CANON_OTHER:
        buf_bytes(out, head(c->text, at_most + 4));
        break;
    }
}

void canon_text(struct buf *out, const struct canon *c, size_t at_most)
{
    size_t from = out->len;

    text_of(out, c, from + at_most, false);
    if (out->len - from <= at_most)
        return;
    out->len = from + text_cut((struct bytes){out->p + from, out->len - from}, at_most);
    buf_lit(out, "...");
}
