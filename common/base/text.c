#include "common/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "common/base/check.h"
#include "common/base/exit_code.h"

struct bytes text_trim(struct bytes s)
{
    while (s.len && isspace((unsigned char)*s.p))
        s.p++, s.len--;
    while (s.len && isspace((unsigned char)s.p[s.len - 1]))
        s.len--;
    return s;
}

bool text_next(struct bytes *rest, char separator, struct bytes *ret)
{
    const char *end = rest->len ? memchr(rest->p, separator, rest->len) : NULL;

    if (!rest->p)
        return false;
    *ret = (struct bytes){rest->p, end ? (size_t)(end - rest->p) : rest->len};
    *rest = end ? (struct bytes){end + 1, rest->len - ret->len - 1} : (struct bytes){0};
    return true;
}

bool text_next_item(struct bytes *rest, char separator, struct bytes *ret)
{
    struct bytes part;

    while (text_next(rest, separator, &part)) {
        part = text_trim(part);
        if (part.len) {
            *ret = part;
            return true;
        }
    }
    return false;
}

bool text_split(struct bytes s, char separator, struct bytes *left, struct bytes *right)
{
    const char *at = s.len ? memchr(s.p, separator, s.len) : NULL;

    if (!at)
        return false;
    *left = text_trim((struct bytes){s.p, (size_t)(at - s.p)});
    *right = text_trim((struct bytes){at + 1, s.len - (size_t)(at + 1 - s.p)});
    return true;
}

size_t text_cut(struct bytes s, size_t at_most)
{
    size_t len = at_most;

    if (s.len <= at_most)
        return s.len;
    while (len && ((unsigned char)s.p[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static int refuse_file(const char *path, int why, struct error *err)
{
    error_fatal(err, EXIT_CONFIGURATION, "%s: %s", path, strerror(why));
    errno = why;
    return -1;
}

int text_slurp(struct buf *ret, const char *path, size_t limit, struct error *err)
{
    FILE *f = fopen(path, "rbe");
    int why;

    buf_init(ret, limit + 1);
    if (!f)
        return refuse_file(path, errno, err);
    CHECK(buf_reserve(ret, limit + 1));
    errno = 0;
    ret->len = fread(ret->p, 1, limit + 1, f);
    why = ferror(f) ? errno : 0;
    fclose(f);
    if (why)
        return refuse_file(path, why, err);
    if (ret->len <= limit)
        return 0;
    error_fatal(err, EXIT_CONFIGURATION, "%s: larger than %zu bytes", path, limit);
    errno = EFBIG;
    return -1;
}
