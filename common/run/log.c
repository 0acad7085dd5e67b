/* common/run/log.c - formats a line in memory and hands it to the kernel in one write.
 *
 * The format names the fields: it is cut at its spaces before the values come in, so a value
 * may hold spaces and "=" without looking like another field. The mutex covers the file and
 * the write alone. */
#include "common/run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/base/text.h"
#include "common/run/bottom_line.h"

enum {
    LINE_BYTES = 4000, /* the newline included */
    ROOM_AT_END = 40,  /* for what closes a cut line */
    RAW_BYTES = LINE_BYTES,
    FORMAT_BYTES = 1024,
    FIELD_MARK = 0x1e, /* stands for a separating space while values are put in */
};

static struct {
    atomic_int level; /* changed by log_open alone */
    atomic_bool json;

    pthread_mutex_t lock; /* the rest */
    int fd;
    char program[64];
    bool torn; /* the last line was written in part: begin on a new one */
    unsigned long lost;
} logger = {.level = LOG_LEVEL_INFO,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .fd = STDERR_FILENO,
            .program = "dynaferry"};

struct line {
    struct buf buf;
    bool json;
    bool cut;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

enum log_level log_level_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (strcmp(level_names[i], name) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

int log_open(const char *path, enum log_level level, bool json, const char *program,
             struct error *err)
{
    int fd = STDERR_FILENO;

    if (path && *path) {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
            return error_fatal(err, EXIT_CONFIGURATION, "log.file %s: %s", path,
                               strerror(errno));
    }
    log_close();
    atomic_store(&logger.level, (int)level);
    atomic_store(&logger.json, json);
    AUTO_LOCK(&logger.lock);
    logger.fd = fd;
    snprintf(logger.program, sizeof(logger.program), "%s", program);
    return 0;
}

void log_close(void)
{
    bottom_line_remove();
    AUTO_LOCK(&logger.lock);
    if (logger.fd != STDERR_FILENO)
        close(logger.fd);
    logger.fd = STDERR_FILENO;
    logger.torn = false;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

bool log_is_on_stderr(void)
{
    AUTO_LOCK(&logger.lock);
    return logger.fd == STDERR_FILENO;
}

/* A character that may be printed as it is: well formed, and no C1 control. Its length, or 0.
 */
static size_t printable_length(const unsigned char *p, size_t left)
{
    bool control = left > 1 && p[0] == 0xc2 && p[1] < 0xa0;

    return control ? 0 : text_utf8_length((const char *)p, (const char *)p + left);
}

/* One character of a quoted value, escaped in a way that JSON and logfmt both read. */
static size_t put_char(struct buf *b, const unsigned char *p, size_t left)
{
    size_t n;

    if (*p == '"' || *p == '\\')
        buf_printf(b, "\\%c", *p);
    else if (*p == '\n')
        buf_lit(b, "\\n");
    else if (*p < 0x20 || *p == 0x7f)
        buf_printf(b, "\\u%04x", *p);
    else if (*p < 0x80)
        buf_char(b, (char)*p);
    else if ((n = printable_length(p, left)) > 0)
        return buf_append(b, p, n), n;
    else
        buf_lit(b, "\\ufffd");
    return 1;
}

static bool room_for(struct line *l, size_t n)
{
    if (l->buf.len + n + ROOM_AT_END <= LINE_BYTES)
        return true;
    l->cut = true;
    return false;
}

static void put_quoted(struct line *l, struct bytes s)
{
    buf_char(&l->buf, '"');
    for (size_t i = 0; i < s.len && room_for(l, 6);)
        i += put_char(&l->buf, (const unsigned char *)s.p + i, s.len - i);
    buf_char(&l->buf, '"');
}

static bool is_plain(struct bytes s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_.:/@+-";

    for (size_t i = 0; i < s.len; i++)
        if (!s.p[i] || !strchr(plain, s.p[i]))
            return false;
    return s.len > 0;
}

static bool is_json_number(struct bytes s)
{
    size_t digits = s.len && s.p[0] == '-';
    bool dot = false;

    for (size_t i = digits; i < s.len; i++) {
        if (s.p[i] == '.' && i > digits && !dot)
            dot = true;
        else if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    }
    return s.len > digits && s.p[s.len - 1] != '.';
}

static void put_field(struct line *l, struct bytes key, struct bytes value, bool number)
{
    if (!room_for(l, key.len + 8))
        return;
    if (l->json) {
        buf_printf(&l->buf, ",\"" BYTES_FMT "\":", BYTES_ARG(key));
        if (number && is_json_number(value) && room_for(l, value.len))
            buf_bytes(&l->buf, value);
        else
            put_quoted(l, value);
        return;
    }
    buf_printf(&l->buf, " " BYTES_FMT "=", BYTES_ARG(key));
    if (is_plain(value) && room_for(l, value.len))
        buf_bytes(&l->buf, value);
    else
        put_quoted(l, value);
}

/* Is the value's format one conversion of a number, such as %d or %.1f? */
static bool formats_number(struct bytes format)
{
    if (format.len < 2 || format.p[0] != '%' || !strchr("diuf", format.p[format.len - 1]))
        return false;
    for (size_t i = 1; i < format.len - 1; i++)
        if (!strchr("0123456789.lhjzt", format.p[i]))
            return false;
    return true;
}

/* The end of the value that starts at raw: the mark that the field named next follows. */
static const char *value_end(const char *raw, const char *end, struct bytes next)
{
    const char *mark = raw;

    if (!next.len)
        return end;
    while ((mark = memchr(mark, FIELD_MARK, (size_t)(end - mark)))) {
        if ((size_t)(end - mark) > next.len + 1 && memcmp(mark + 1, next.p, next.len) == 0 &&
            mark[1 + next.len] == '=')
            return mark;
        mark++;
    }
    return end;
}

static struct bytes key_at(const char *format)
{
    return (struct bytes){format, strcspn(format, "= ")};
}

/* Walks the format and the formatted text side by side. */
static void put_fields(struct line *l, const char *format, const char *raw, const char *end)
{
    while (*format) {
        struct bytes key = key_at(format);
        size_t whole = strcspn(format, " ");
        const char *next = format[whole] ? format + whole + 1 : "";
        const char *value, *stop;

        if (whole == key.len || (size_t)(end - raw) <= key.len)
            return; /* the text was cut before this field */
        value = raw + key.len + 1;
        stop = value_end(value, end, key_at(next));
        put_field(l, key, (struct bytes){value, (size_t)(stop - value)},
                  formats_number((struct bytes){format + key.len + 1, whole - key.len - 1}));
        raw = stop < end ? stop + 1 : end;
        format = next;
    }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void format_fields(struct line *l, const char *fields, va_list ap)
{
    char raw[RAW_BYTES], marked[FORMAT_BYTES];
    int n;

    CHECK(strlen(fields) < sizeof(marked));
    strcpy(marked, fields);
    for (char *p = marked; *p; p++)
        if (*p == ' ')
            *p = FIELD_MARK;
    n = vsnprintf(raw, sizeof(raw), marked, ap);
    CHECK(n >= 0);
    if ((size_t)n >= sizeof(raw))
        l->cut = true;
    put_fields(l, fields, raw, raw + MIN((size_t)n, sizeof(raw) - 1));
}
#pragma GCC diagnostic pop

static void put_time(struct line *l)
{
    struct timespec now;
    struct tm tm;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(&l->buf, l->json ? "{\"time\":\"%s.%03ldZ\"" : "time=%s.%03ldZ", text,
               now.tv_nsec / 1000000);
}

static void begin_line(struct line *l, enum log_level level, const char *event)
{
    put_time(l);
    put_field(l, BYTES_LIT("level"), bytes_of(level_names[level]), false);
    put_field(l, BYTES_LIT("program"), bytes_of(logger.program), false);
    if (logger.lost) {
        char lost[24];

        snprintf(lost, sizeof(lost), "%lu", logger.lost);
        put_field(l, BYTES_LIT("lost_lines"), bytes_of(lost), true);
    }
    put_field(l, BYTES_LIT("event"), bytes_of(event), false);
}

static void end_line(struct line *l)
{
    if (l->cut && l->json)
        buf_lit(&l->buf, ",\"cut\":true");
    else if (l->cut)
        buf_lit(&l->buf, " cut=true");
    if (l->json)
        buf_char(&l->buf, '}');
    buf_char(&l->buf, '\n');
}

/* A full disk can't be reported in the log: the loss is counted and told by the next line. */
static void write_to_file(const char *p, size_t n)
{
    size_t done = 0;

    if (logger.torn && write(logger.fd, "\n", 1) == 1)
        logger.torn = false;
    while (done < n) {
        ssize_t w = write(logger.fd, p + done, n - done);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            logger.lost++;
            logger.torn = done > 0;
            return;
        }
        done += (size_t)w;
    }
    logger.lost = 0;
}

static void write_line(const char *p, size_t n)
{
    bool on_stderr = logger.fd == STDERR_FILENO;

    if (on_stderr)
        bottom_line_lift();
    write_to_file(p, n);
    if (on_stderr)
        bottom_line_lower();
}

void log_event(enum log_level level, const char *event, const char *fields, ...)
{
    char storage[LINE_BYTES];
    struct line l = {.buf = {.p = storage, .cap = sizeof(storage), .ceiling = sizeof(storage)},
                     .json = atomic_load(&logger.json)};
    va_list ap;
    int saved = errno;

    if (!log_enabled(level))
        return;
    AUTO_LOCK(&logger.lock);
    begin_line(&l, level, event);
    if (fields && *fields) {
        va_start(ap, fields);
        format_fields(&l, fields, ap);
        va_end(ap);
    }
    end_line(&l);
    write_line(storage, l.buf.len);
    errno = saved;
}
