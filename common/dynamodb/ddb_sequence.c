#include "common/dynamodb/ddb_sequence.h"

#include <ctype.h>

#define DIGITS_AT_MOST 64 /* 21 to 40 are documented */

bool ddb_sequence_is_legal(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isdigit((unsigned char)text.p[i]))
            return false;
    return text.len > 0 && text.len <= DIGITS_AT_MOST;
}

static struct bytes without_zeros(struct bytes n)
{
    while (n.len && n.p[0] == '0') {
        n.p++;
        n.len--;
    }
    return n;
}

int ddb_sequence_compare(struct bytes a, struct bytes b)
{
    a = without_zeros(a);
    b = without_zeros(b);
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.p, b.p, a.len) : 0;
}
