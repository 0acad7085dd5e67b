#include "status/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/time_text.h"
#include "common/messages/signal_sender.h"
#include "common/run/stop.h"
#include "status/proof.h"

#define LOOK_MS 500
/* In a row. The parts are read one after another, and a transaction is not seen in all
 * partitions at once: what one look finds held, two have to. */
#define LOOKS 2
#define ASK_AGAIN_MS 10000
#define TELL_EVERY_MS 5000
#define TELL_AGAIN_MS 60000 /* what is the same */
/* The producer's estimate of the source's time may be behind by so much. */
#define CLOCK_MS 1000
#define WHY_BYTES ((size_t)64 << 10)

struct asked { /* of a table */
    char *table;
    char *id;          /* of the last request; NULL: none was sent */
    bool answered;     /* it was taken: the next one is another */
    int64_t sent_ms;   /* monotonic */
    int64_t before_ms; /* -1: its owner has not said yet what time it is at the source */
    char *refused;     /* why; NULL: the last request was not */
    /* What the target has to hold, one per partition, since the log held all; NULL: it does
     * not. More may be appended meanwhile. */
    int64_t *ends;
    int64_t generation; /* whose they are */
    char *log_id;
};

struct waiting {
    const struct wait_for *wait;
    struct bridge_reader *reader;
    const struct config *config;
    struct signal_sender *sender; /* NULL: nothing was asked yet */
    struct asked *asked;
    size_t count;
    int64_t began_ms, told_ms; /* monotonic */
    struct buf told;           /* what was missing then */
};

static void drop_ends(struct asked *asked)
{
    free(TAKE(asked->ends));
    free(TAKE(asked->log_id));
}

static void waiting_release(struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->count; i++) {
        drop_ends(&waiting->asked[i]);
        free(waiting->asked[i].table);
        free(waiting->asked[i].id);
        free(waiting->asked[i].refused);
    }
    free(waiting->asked);
    buf_release(&waiting->told);
    signal_sender_free(waiting->sender);
}

/* ---- asking ---- */

static struct asked *asked_of(struct waiting *waiting, const char *table)
{
    for (size_t i = 0; i < waiting->count; i++)
        if (strcmp(waiting->asked[i].table, table) == 0)
            return &waiting->asked[i];
    waiting->asked = xrealloc(waiting->asked, (waiting->count + 1) * sizeof(*waiting->asked));
    waiting->asked[waiting->count] =
        (struct asked){.table = xstrdup(table), .before_ms = waiting->wait->before_ms};
    return &waiting->asked[waiting->count++];
}

static int send(struct waiting *waiting, struct asked *asked, struct error *err)
{
    const struct table_signal signal = {
        .id = asked->id, .type = TABLE_SIGNAL_REPORT, .table = asked->table};
    int64_t offset;

    if (!waiting->sender &&
        (signal_sender_new(&waiting->sender, waiting->config, "dynaferry-status", err) < 0 ||
         signal_sender_wait(waiting->sender, err) < 0)) {
        signal_sender_free(TAKE(waiting->sender));
        return -1;
    }
    return signal_sender_send(waiting->sender, &signal, &offset, err);
}

/* What could not be sent is sent later. A request that was taken may have met a producer that
 * has ended since, so it is repeated. */
static void ask(struct waiting *waiting, struct asked *asked)
{
    int64_t now = clock_mono_ms();
    struct error err;

    if (asked->id && now - asked->sent_ms < ASK_AGAIN_MS)
        return;
    if (!asked->id || asked->answered) {
        free(asked->id);
        asked->id = signal_sender_id();
        asked->answered = false;
    }
    asked->sent_ms = now;
    if (send(waiting, asked, &err) < 0)
        fprintf(stderr, "dynaferry-status: %s can't be asked now: %s\n", asked->table,
                err.message);
}

/* The first answer says what time "now" is. */
static void take_answer(struct asked *asked, const struct ledger_table *record)
{
    const struct ledger_handled *handled =
        asked->id ? ledger_table_find_handled(record, asked->id) : NULL;

    if (!handled)
        return;
    asked->answered = true;
    free(TAKE(asked->refused));
    if (*handled->refused)
        asked->refused = xstrdup(handled->refused);
    else if (asked->before_ms < 0 && handled->ts_ms > 0)
        asked->before_ms = handled->ts_ms + CLOCK_MS;
}

/* ---- a look ---- */

/* Of this look, if there are none yet. False: they could not be read. */
static bool fix_ends(struct asked *asked, const struct bridge_table *table)
{
    const struct ledger_table *record = &table->record;

    if (asked->ends && asked->generation == record->generation &&
        strcmp(asked->log_id, record->log_id) == 0)
        return true;
    drop_ends(asked);
    for (int32_t p = 0; p < record->partitions; p++)
        if (table->partitions[p].high < 0)
            return false;
    asked->ends = xcalloc((size_t)MAX(record->partitions, 1), sizeof(*asked->ends));
    for (int32_t p = 0; p < record->partitions; p++)
        asked->ends[p] = table->partitions[p].high;
    asked->generation = record->generation;
    asked->log_id = xstrdup(record->log_id);
    return true;
}

static enum proof judge_target(struct asked *asked, const struct bridge *bridge,
                               const struct bridge_table *table, struct buf *out)
{
    if (fix_ends(asked, table))
        return proof_of_target(bridge, table, asked->ends, out);
    buf_lit(out, "the ends of its topic can't be read");
    return PROOF_UNKNOWN;
}

/* Only its owner can tell what is missing. */
static enum proof judge_unanswered(const struct asked *asked, const struct bridge *bridge,
                                   const struct bridge_table *table, struct buf *out)
{
    if (asked->refused) {
        buf_reset(out);
        buf_printf(out, "its producer can't tell: %s", asked->refused);
        return PROOF_NEVER;
    }
    if (!table->producer && bridge->producers_known) {
        buf_reset(out);
        buf_lit(out, "no producer carries it");
    } else if (asked->before_ms < 0) {
        buf_reset(out);
        buf_lit(out, "its producer has not answered yet");
    }
    return PROOF_ASK;
}

/* While the owner has not told the time, no shard is read so far. */
static enum proof judge(struct waiting *waiting, const struct bridge *bridge,
                        const struct bridge_table *table, struct buf *out)
{
    struct asked *asked = asked_of(waiting, table->name);
    int64_t before_ms;
    enum proof verdict;

    take_answer(asked, &table->record);
    before_ms = asked->before_ms < 0 ? INT64_MAX : asked->before_ms;
    verdict = proof_of_log(table, before_ms, !waiting->wait->is_alarm, out);
    if (verdict == PROOF_HELD)
        return judge_target(asked, bridge, table, out);
    drop_ends(asked);
    if (verdict != PROOF_ASK)
        return verdict;
    ask(waiting, asked);
    return judge_unanswered(asked, bridge, table, out);
}

struct found {
    size_t tables, held, never;
    bool all_read;
};

static bool is_of_wait(const struct waiting *waiting, const struct bridge_table *table)
{
    return waiting->wait->table || table->is_wanted;
}

/* In ret_why a line for each table that is not held. */
static void look(struct waiting *waiting, struct found *ret, struct buf *ret_why)
{
    AUTO(bridge_release) struct bridge bridge;
    AUTO(buf_release) struct buf why;

    *ret = (struct found){0};
    buf_init(&why, WHY_BYTES);
    bridge_reader_look(&bridge, waiting->reader, waiting->wait->table);
    ret->all_read = bridge.unread_count == 0;
    for (size_t i = 0; i < bridge.count; i++) {
        const struct bridge_table *table = &bridge.tables[i];
        enum proof verdict;

        if (!is_of_wait(waiting, table))
            continue;
        buf_reset(&why);
        verdict = judge(waiting, &bridge, table, &why);
        ret->tables++;
        ret->held += verdict == PROOF_HELD;
        ret->never += verdict == PROOF_NEVER;
        if (verdict != PROOF_HELD)
            buf_printf(ret_why, "%s: " BYTES_FMT "\n", table->name, BYTES_ARG(why));
    }
    for (size_t i = 0; i < bridge.unread_count; i++)
        buf_printf(ret_why, "not read: %s: %s\n", bridge.unread[i].part,
                   bridge.unread[i].reason);
    if (ret->tables == 0 && bridge.unread_count == 0)
        buf_lit(ret_why, "there is no table yet\n");
}

/* ---- waiting ---- */

static void tell(struct waiting *waiting, const struct buf *why)
{
    bool is_same = bytes_equal(buf_slice(&waiting->told), buf_slice(why));

    if (waiting->wait->is_alarm ||
        clock_mono_ms() - waiting->told_ms < (is_same ? TELL_AGAIN_MS : TELL_EVERY_MS))
        return;
    waiting->told_ms = clock_mono_ms();
    buf_reset(&waiting->told);
    buf_bytes(&waiting->told, buf_slice(why));
    fprintf(stderr, "waiting for\n  ");
    for (size_t i = 0; i < why->len; i++)
        fprintf(stderr, "%c%s", why->p[i], why->p[i] == '\n' && i + 1 < why->len ? "  " : "");
}

static void tell_held(const struct waiting *waiting, const struct found *found)
{
    int64_t earliest = INT64_MAX;
    char time[TIME_TEXT_SIZE];

    for (size_t i = 0; i < waiting->count; i++)
        earliest = MIN(earliest, waiting->asked[i].before_ms);
    time_text_write(time, earliest);
    printf("the target holds everything that was written before %s: %zu tables\n", time,
           found->tables);
    fflush(stdout);
}

static bool is_over(const struct waiting *waiting)
{
    return waiting->wait->timeout_ms > 0 &&
           clock_mono_ms() - waiting->began_ms >= waiting->wait->timeout_ms;
}

int wait_run(const struct wait_for *wait, struct bridge_reader *reader,
             const struct config *config, struct buf *ret_why, struct error *err)
{
    AUTO(waiting_release)
    struct waiting waiting = {.wait = wait,
                              .reader = reader,
                              .config = config,
                              .began_ms = clock_mono_ms(),
                              .told_ms = clock_mono_ms(),
                              .told = {.ceiling = ret_why->ceiling}};
    struct found found;
    int held = 0;

    for (;;) {
        buf_reset(ret_why);
        look(&waiting, &found, ret_why);
        if (found.tables == 0 && found.all_read && wait->table)
            return error_fatal(err, 0, "the ledger knows no table %s", wait->table);
        held = found.all_read && found.tables > 0 && found.held == found.tables ? held + 1 : 0;
        if (held == LOOKS) {
            if (!wait->is_alarm)
                tell_held(&waiting, &found);
            return 0;
        }
        if (is_over(&waiting) || (found.never > 0 && found.held + found.never == found.tables))
            return 1;
        tell(&waiting, ret_why);
        if (stop_wait_ms(LOOK_MS))
            return error_set(err, ERR_RETRY, "interrupted");
    }
}
