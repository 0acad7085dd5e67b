/* consumer/letter_list.h - the dead letters that are to be replayed, in the order of the topic,
 * then by table.
 *
 * Letters come in the order of their offsets; a mark comes behind its letter and takes it out.
 * What does not fit below the ceiling is left for another list. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"

struct letter {
    int64_t offset; /* in the dead-letter topic */
    char *table;
    char *keys; /* canonical, as in the letter; NULL: it has none */
    char *key;  /* of its message */
    size_t key_len;
    bool handled;
};

struct letter_list {
    struct letter *list;
    size_t count, capacity;
    size_t bytes, ceiling;
};

void letter_list_release(struct letter_list *letters);
/* All are copied; empty keys: none. false: it does not fit any more. */
bool letter_list_add(struct letter_list *letters, int64_t offset, struct bytes table,
                     struct bytes keys, struct bytes key);
/* The letter at offset was handled; one that is not in the list is none of its business. */
void letter_list_mark(struct letter_list *letters, int64_t offset);
/* Takes out what was handled, and orders the rest by table, those without keys last. */
void letter_list_sort(struct letter_list *letters);
/* After letter_list_sort: how many from `at` on are of one table and have keys, or of one table
 * and have none; at most `most`. */
size_t letter_list_run(const struct letter_list *letters, size_t at, size_t most);
