#include "consumer/letter_list.h"

#include <stdlib.h>
#include <string.h>

static void letter_release(struct letter *letter)
{
    free(letter->table);
    free(letter->keys);
    free(letter->key);
}

void letter_list_release(struct letter_list *letters)
{
    for (size_t i = 0; i < letters->count; i++)
        letter_release(&letters->list[i]);
    free(letters->list);
    *letters = (struct letter_list){.ceiling = letters->ceiling};
}

bool letter_list_add(struct letter_list *letters, int64_t offset, struct bytes table,
                     struct bytes keys, struct bytes key)
{
    size_t bytes = sizeof(struct letter) + table.len + keys.len + key.len;

    if (bytes > letters->ceiling - letters->bytes)
        return false;
    if (letters->count == letters->capacity) {
        letters->capacity = MAX(letters->capacity * 2, 64);
        letters->list = xrealloc(letters->list, letters->capacity * sizeof(*letters->list));
    }
    letters->list[letters->count++] = (struct letter){.offset = offset,
                                                      .table = bytes_dup(table),
                                                      .keys = keys.len ? bytes_dup(keys) : NULL,
                                                      .key = bytes_dup(key),
                                                      .key_len = key.len};
    letters->bytes += bytes;
    return true;
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t one = ((const struct letter *)a)->offset,
            other = ((const struct letter *)b)->offset;

    return (one > other) - (one < other);
}

void letter_list_mark(struct letter_list *letters, int64_t offset)
{
    const struct letter wanted = {.offset = offset};
    struct letter *found = letters->count ? bsearch(&wanted, letters->list, letters->count,
                                                    sizeof(*letters->list), compare_offsets)
                                          : NULL;

    if (found)
        found->handled = true;
}

static int compare_tables(const void *a, const void *b)
{
    const struct letter *one = a, *other = b;
    int order = strcmp(one->table, other->table);

    if (!order)
        order = !one->keys - !other->keys;
    return order ? order : compare_offsets(a, b);
}

void letter_list_sort(struct letter_list *letters)
{
    size_t kept = 0;

    for (size_t i = 0; i < letters->count; i++)
        if (letters->list[i].handled)
            letter_release(&letters->list[i]);
        else
            letters->list[kept++] = letters->list[i];
    letters->count = kept;
    if (kept)
        qsort(letters->list, kept, sizeof(*letters->list), compare_tables);
}

size_t letter_list_run(const struct letter_list *letters, size_t at, size_t most)
{
    const struct letter *first = &letters->list[at];
    size_t n = 1;

    while (n < most && at + n < letters->count && strcmp(first[n].table, first->table) == 0 &&
           !first[n].keys == !first->keys)
        n++;
    return n;
}
