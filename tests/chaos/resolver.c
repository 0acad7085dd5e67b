/* tests/chaos/resolver.c - names that come and go: preloaded into a program under test.
 *
 * A name NAME.test is 127.0.0.1, unless there is a file NAME.gone in the directory that CHAOS_NAMES
 * names: then the resolver says "try again", as without a network. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int getaddrinfo_t(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int is_gone(const char *name, size_t len)
{
    char path[4096];
    const char *directory = getenv("CHAOS_NAMES");

    snprintf(path, sizeof(path), "%s/%.*s.gone", directory ? directory : ".", (int)len, name);
    return access(path, F_OK) == 0;
}

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
    getaddrinfo_t *real = (getaddrinfo_t *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *ending = node ? strstr(node, ".test") : NULL;

    if (!ending)
        return real(node, service, hints, ret);
    if (is_gone(node, (size_t)(ending - node)))
        return EAI_AGAIN;
    return real("127.0.0.1", service, hints, ret);
}
