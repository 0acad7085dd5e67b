#include "support_vector.h"

#include <stdio.h>

#include "common/base/check.h"

struct bytes vector_read(struct buf *out, const char *name)
{
    AUTO(free_charp) char *path = xasprintf("%s/vectors/%s", TESTS_DIR, name);
    FILE *f = fopen(path, "rb");
    char part[4096];
    size_t n;

    if (!f)
        fprintf(stderr, "%s can't be read\n", path);
    CHECK(f);
    buf_init(out, 16 << 20);
    while ((n = fread(part, 1, sizeof(part), f)) > 0)
        buf_append(out, part, n);
    fclose(f);
    return buf_slice(out);
}

void vector_read_message(struct buf *out, const char *name)
{
    AUTO(free_charp) char *path = xasprintf("messages/%s.json", name);

    vector_read(out, path);
    CHECK(out->len > 0 && out->p[out->len - 1] == '\n');
    out->len--;
}
