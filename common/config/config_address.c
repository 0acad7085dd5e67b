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

/* Behind who logs in: the last @, wherever it stands. In an address that was not encoded it may
 * be part of the password, but what follows on it never is. */
static const char *behind_login(const char *address)
{
    const char *start = behind_scheme(address), *at = strrchr(start, '@');

    return at ? at + 1 : start;
}

char *config_address_redacted(const char *address)
{
    AUTO(buf_release) struct buf b;
    const char *start = behind_scheme(address), *rest = behind_login(address);

    buf_init(&b, 2 * strlen(address) + 4096);
    buf_append(&b, address, (size_t)(start - address));
    if (rest > start)
        buf_lit(&b, "***@");
    buf_append(&b, rest, strcspn(rest, "?"));
    redact_options(&b, rest + strcspn(rest, "?"));
    return bytes_dup(buf_slice(&b));
}

char *config_address_hosts(const char *address)
{
    const char *hosts = behind_login(address);

    return xstrndup(hosts, strcspn(hosts, "/?"));
}

/* ---- what is wrong with it ---- */

#define ENCODE                                                                                 \
    "the user or the password has a character that must be percent-encoded (@ is %40, : is "   \
    "%3A, / is %2F, ? is %3F, % is %25)"

static bool is_encoded(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '%' && (i + 2 >= len || !isxdigit((unsigned char)text[i + 1]) ||
                               !isxdigit((unsigned char)text[i + 2])))
            return false;
    return true;
}

/* One : at most, and nothing that ends it. The driver takes other characters as they are. */
static bool login_is_encoded(const char *login, size_t len)
{
    const char *colon = memchr(login, ':', len);

    if (colon && memchr(colon + 1, ':', len - (size_t)(colon + 1 - login)))
        return false;
    for (size_t i = 0; i < len; i++)
        if (strchr("@/?", login[i]))
            return false;
    return is_encoded(login, len);
}

static const char *host_problem(struct bytes host, bool is_srv)
{
    const char *colon = memrchr(host.p, ':', host.len);
    bool has_port = colon && !memchr(colon, ']', host.len - (size_t)(colon - host.p));
    char *end;
    long port;

    if (host.len == 0 || colon == host.p)
        return "a host is empty";
    if (is_srv)
        return has_port ? "mongodb+srv:// takes one host and no port" : NULL;
    if (!has_port)
        return NULL;
    port = strtol(colon + 1, &end, 10);
    return end == host.p + host.len && isdigit((unsigned char)colon[1]) && port >= 1 &&
                   port <= 65535
               ? NULL
               : "a port is no number from 1 to 65535";
}

static const char *hosts_problem(const char *hosts, bool is_srv)
{
    size_t left = strcspn(hosts, "/?");

    for (;;) {
        const char *comma = memchr(hosts, ',', left);
        size_t len = comma ? (size_t)(comma - hosts) : left;
        const char *problem = host_problem((struct bytes){hosts, len}, is_srv);

        if (problem || !comma)
            return problem;
        if (is_srv)
            return "mongodb+srv:// takes one host and no port";
        hosts += len + 1;
        left -= len + 1;
    }
}

const char *config_address_problem(const char *address)
{
    const char *start = behind_scheme(address), *rest = behind_login(address);

    if (rest > start && !login_is_encoded(start, (size_t)(rest - 1 - start)))
        return ENCODE;
    return hosts_problem(rest, strncmp(address, "mongodb+srv:", 12) == 0);
}

/* ---- its hosts ---- */

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
