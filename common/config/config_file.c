#include "common/config/config_file.h"

#include <ctype.h>
#include <stdlib.h>

#include "common/base/exit_code.h"
#include "common/base/text.h"
#include "common/config/config_assign.h"

#define FILE_BYTES (1024 * 1024)

static bool key_is_well_formed(struct bytes key)
{
    for (size_t i = 0; i < key.len; i++)
        if (!isgraph((unsigned char)key.p[i]))
            return false;
    return key.len > 0;
}

/* The line itself is never said: it may be a secret that lost its key. */
static int read_line(struct config *c, struct config_source from, struct bytes line,
                     struct error *err)
{
    AUTO(free_charp) char *key = NULL;
    AUTO(free_charp) char *value = NULL;
    struct bytes left, right;

    if (line.p[0] == '[')
        return error_fatal(err, EXIT_CONFIGURATION, "%s: there are no sections", from.origin);
    if (memchr(line.p, '\0', line.len))
        return error_fatal(err, EXIT_CONFIGURATION, "%s: a zero byte", from.origin);
    if (!text_split(line, '=', &left, &right) || !key_is_well_formed(left))
        return error_fatal(err, EXIT_CONFIGURATION, "%s: a line is \"key = value\"",
                           from.origin);
    key = bytes_dup(left);
    value = bytes_dup(right);
    return config_assign(c, from, key, value, err);
}

int config_file_read_text(struct config *c, const char *path, struct bytes text,
                          struct error *err)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct bytes line;

    if (text.len >= 3 && memcmp(text.p, byte_order_mark, 3) == 0)
        text = (struct bytes){text.p + 3, text.len - 3};
    for (int number = 1; text_next(&text, '\n', &line); number++) {
        AUTO(free_charp) char *origin = xasprintf("%s:%d", path, number);

        line = text_trim(line);
        if (line.len && line.p[0] != '#' &&
            read_line(c, (struct config_source){origin, number}, line, err) < 0)
            return -1;
    }
    return 0;
}

int config_file_read(struct config *c, const char *path, struct error *err)
{
    AUTO(buf_release) struct buf text = {0};

    if (text_slurp(&text, path, FILE_BYTES, err) < 0)
        return -1;
    return config_file_read_text(c, path, buf_slice(&text), err);
}
