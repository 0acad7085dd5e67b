#include "common/config/config_address.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

#define HOSTS_MAX 256

static const char *behind_scheme(const char *address)
{
    const char *scheme = strstr(address, "://");

    return scheme ? scheme + 3 : address;
}

static bool option_is_secret(struct bytes name)
{
    AUTO(free_charp) char *text = bytes_dup(name);

    return strcasestr(text, "password") || strcasestr(text, "authmechanismproperties");
}

static void redact_option(struct buf *b, struct bytes option)
{
    const char *equals = memchr(option.p, '=', option.len);
    size_t name = equals ? (size_t)(equals - option.p) : 0;

    if (name + 1 >= option.len || !option_is_secret((struct bytes){option.p, name})) {
        buf_bytes(b, option);
        return;
    }
    buf_append(b, option.p, name + 1);
    buf_lit(b, "***");
}

static void redact_options(struct buf *b, const char *options)
{
    while (*options) {
        size_t len = strcspn(options, "&;");

        redact_option(b, (struct bytes){options, len});
        options += len;
        if (*options)
            buf_char(b, *options++);
    }
}

char *config_address_redacted(const char *address)
{
    AUTO(buf_release) struct buf b;
    const char *start = behind_scheme(address), *at = strrchr(start, '@');
    const char *colon = at ? memchr(start, ':', (size_t)(at - start)) : NULL;

    buf_init(&b, 2 * strlen(address) + 4096);
    if (colon) {
        buf_append(&b, address, (size_t)(colon + 1 - address));
        buf_lit(&b, "***");
        start = at;
    } else {
        start = address;
    }
    buf_append(&b, start, strcspn(start, "?"));
    redact_options(&b, start + strcspn(start, "?"));
    return bytes_dup(buf_slice(&b));
}

char *config_address_hosts(const char *address)
{
    const char *start = behind_scheme(address);
    size_t len = strcspn(start, "/?");
    const char *at = memrchr(start, '@', len);

    return at ? xstrndup(at + 1, len - (size_t)(at + 1 - start)) : xstrndup(start, len);
}

/* In small letters, and with the usual port when it has none. */
static char *host_spelled_out(struct bytes host)
{
    AUTO(free_charp) char *copy = bytes_dup(host);
    const char *bracket = strrchr(copy, ']'); /* of an IPv6 address */

    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return xasprintf("%s%s", copy, strchr(bracket ? bracket : copy, ':') ? "" : ":27017");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *config_address_hosts_sorted(const char *address)
{
    AUTO(free_charp) char *hosts = config_address_hosts(address);
    AUTO(buf_release) struct buf out;
    struct bytes rest = bytes_of(hosts), host;
    char *names[HOSTS_MAX];
    size_t count = 0;

    buf_init(&out, HOSTS_MAX * 1024);
    while (count < HOSTS_MAX && text_next_item(&rest, ',', &host))
        names[count++] = host_spelled_out(host);
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            buf_printf(&out, "%s,", names[i]);
    while (count > 0)
        free(names[--count]);
    return bytes_dup(buf_slice(&out));
}
