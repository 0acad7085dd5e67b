/* tests/fuzz/replay.c - runs a fuzz target over every file of a folder, so that gcc's
 * sanitizers see the corpus. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/auto.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t cap = 16 * 1024 * 1024, n;
    uint8_t *data = xmalloc(cap), *exact;

    CHECK(f);
    n = fread(data, 1, cap, f);
    fclose(f);
    exact = xmalloc(n); /* of the exact size, so that a read past the end is seen */
    for (size_t i = 0; i < n; i++)
        exact[i] = data[i];
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(data);
}

int main(int argc, char **argv)
{
    struct dirent **names = NULL;
    int n, files = 0;

    CHECK(argc == 2);
    n = scandir(argv[1], &names, NULL, alphasort);
    CHECK(n >= 0);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            char *path = xasprintf("%s/%s", argv[1], names[i]->d_name);

            replay_file(path);
            files++;
            free(path);
        }
        free(names[i]);
    }
    free(names);
    printf("%d files replayed\n", files);
    return files > 0 ? 0 : 1;
}
