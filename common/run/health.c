#include "common/run/health.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/auto.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/run/stop.h"

/* Its memory is given to another part after health_remove, and never back: so a late
 * health_alive of a removed one is a wrong time at worst. */
struct health {
    atomic_int_fast64_t alive_ms; /* any thread */
    atomic_int_fast64_t limit_ms;

    char *name; /* the rest: under the lock; NULL: free */
    char *why, *note;
    bool is_shared; /* health_get finds it */
    struct health *next, *next_free;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct health *healths, *free_healths; /* under the lock */
static atomic_bool ready;

/* Under the lock. */
static struct health *health_add(const char *name, int64_t limit_ms, bool is_shared)
{
    struct health *h = free_healths;

    if (h) {
        free_healths = h->next_free;
    } else {
        h = xcalloc(1, sizeof(*h));
        h->next = healths;
        healths = h;
    }
    h->name = xstrdup(name);
    h->is_shared = is_shared;
    atomic_store(&h->limit_ms, limit_ms);
    health_alive(h);
    return h;
}

struct health *health_get(const char *name, int64_t limit_ms)
{
    struct health *h;

    AUTO_LOCK(&lock);
    h = healths;
    while (h && !(h->is_shared && strcmp(h->name, name) == 0))
        h = h->next;
    if (!h)
        return health_add(name, limit_ms, true);
    atomic_store(&h->limit_ms, limit_ms);
    health_alive(h);
    return h;
}

struct health *health_new(const char *name, int64_t limit_ms)
{
    AUTO_LOCK(&lock);
    return health_add(name, limit_ms, false);
}

/* One line of at most HEALTH_TEXT_BYTES, whole characters; NULL for none. */
static void text_set(char **at, const char *text)
{
    size_t len = text_cut(bytes_of(text), HEALTH_TEXT_BYTES);

    if (*at && strlen(*at) == len && memcmp(*at, text, len) == 0)
        return;
    free(TAKE(*at));
    if (!len)
        return;
    *at = xstrndup(text, len);
    for (char *p = *at; *p; p++)
        if (iscntrl((unsigned char)*p))
            *p = ' ';
}

void health_say(struct health *h, const char *why)
{
    AUTO_LOCK(&lock);
    text_set(&h->why, why);
}

void health_note(struct health *h, const char *text)
{
    AUTO_LOCK(&lock);
    text_set(&h->note, text);
}

void health_alive(struct health *h)
{
    atomic_store_explicit(&h->alive_ms, clock_mono_ms(), memory_order_relaxed);
}

void health_alive_at(struct health *h, int64_t mono_ms)
{
    atomic_store_explicit(&h->alive_ms, mono_ms, memory_order_relaxed);
}

void health_set_limit(struct health *h, int64_t limit_ms)
{
    atomic_store(&h->limit_ms, limit_ms);
}

void health_remove(struct health *h)
{
    if (!h)
        return;
    AUTO_LOCK(&lock);
    if (!h->name) /* removed before */
        return;
    free(TAKE(h->name));
    free(TAKE(h->why));
    free(TAKE(h->note));
    h->is_shared = false;
    h->next_free = free_healths;
    free_healths = h;
}

void health_ready(bool is_ready)
{
    atomic_store(&ready, is_ready);
}

bool health_is_ready(void)
{
    return atomic_load(&ready) && !stop_requested();
}

/* false: stuck, and told. */
static bool write_part(struct buf *out, const struct health *h, int64_t now_ms)
{
    int64_t silent_ms = now_ms - atomic_load(&h->alive_ms),
            limit_ms = atomic_load(&h->limit_ms);
    const char *colon = h->why ? ": " : "", *why = h->why ? h->why : "";

    if (limit_ms > 0 && silent_ms <= limit_ms)
        return true;
    buf_printf(out, "stuck: %s%s%s", h->name, colon, why);
    if (limit_ms > 0 || !h->why)
        buf_printf(out, ": no progress for %" PRId64 " ms (limit %" PRId64 " ms)", silent_ms,
                   limit_ms);
    buf_char(out, '\n');
    return false;
}

bool health_write(struct buf *out)
{
    int64_t now_ms = clock_mono_ms();
    bool well = true;

    AUTO_LOCK(&lock);
    for (const struct health *h = healths; h; h = h->next)
        if (h->name && !write_part(out, h, now_ms))
            well = false;
    if (well)
        buf_lit(out, "ok\n");
    for (const struct health *h = healths; h; h = h->next)
        if (h->name && h->note)
            buf_printf(out, "note: %s: %s\n", h->name, h->note);
    return well;
}
