/* tests/fuzz/fuzz_config.c - any bytes as a configuration file: an error or a configuration
 * whose print reads back, and no marked secret in either. */
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/config/config_derive.h"
#include "common/config/config_file.h"
#include "common/config/config_options.h"
#include "common/config/config_print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *printed(const struct config *c, size_t *n)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, n);

    CHECK(out);
    config_print_values(out, c);
    fclose(out);
    return text;
}

static void check_reads_back(const struct config *c)
{
    AUTO(config_freep) struct config *again = config_new(CONFIG_PRODUCER);
    AUTO(free_charp) char *text = NULL;
    AUTO(free_charp) char *other = NULL;
    struct error err = {0};
    size_t n, m;

    text = printed(c, &n);
    CHECK(config_file_read_text(again, "print", (struct bytes){text, n}, &err) == 0);
    CONFIG_OPTIONS_EACH (o)
        if (o->secrecy == CONFIG_PUBLIC && config_is_set(c, o->name))
            CHECK(strcmp(config_string(c, o->name), config_string(again, o->name)) == 0);
    other = printed(again, &m);
    CHECK(m > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(config_freep) struct config *c = config_new(CONFIG_PRODUCER);
    struct error err = {0};

    /* The settings of librdkafka are its own: among them are paths of libraries to load. */
    if (size > 65536 || memmem(data, size, "plugin", 6))
        return 0;
    if (config_file_read_text(c, "fuzz", (struct bytes){(const char *)data, size}, &err) < 0) {
        CHECK(err.kind == ERR_FATAL && err.code == 78 && *err.message);
        return 0;
    }
    if (config_derive(c, &err) == 0)
        check_reads_back(c);
    return 0;
}
