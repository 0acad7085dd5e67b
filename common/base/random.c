#include "common/base/random.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static size_t by_the_system(unsigned char *p, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = getrandom(p + done, n - done, 0);

        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            break;
    }
    return done;
}

static size_t by_the_device(unsigned char *p, size_t n)
{
    FILE *f = fopen("/dev/urandom", "rbe");
    size_t got;

    if (!f)
        return 0;
    got = fread(p, 1, n, f);
    fclose(f);
    return got;
}

/* splitmix64 over what differs between processes and calls. */
static void by_the_moment(unsigned char *p, size_t n)
{
    static atomic_ullong calls;
    struct timespec t;
    uint64_t x, z = 0;

    clock_gettime(CLOCK_REALTIME, &t);
    x = (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec + ((uint64_t)getpid() << 40) +
        atomic_fetch_add(&calls, 1) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0) {
            z = x += 0x9e3779b97f4a7c15u;
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
            z = (z ^ z >> 27) * 0x94d049bb133111ebu;
            z ^= z >> 31;
        }
        p[i] = (unsigned char)(z >> i % 8 * 8);
    }
}

void random_bytes(void *ret, size_t n)
{
    unsigned char *p = ret;
    size_t done = by_the_system(p, n);

    done += by_the_device(p + done, n - done);
    by_the_moment(p + done, n - done);
}
