#include "consumer/letters_replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/messages/dead_letter.h"
#include "common/messages/signal_request.h"
#include "common/run/log.h"
#include "common/run/program.h"
#include "common/run/stop.h"
#include "consumer/letter_reader.h"

#define LETTERS_BYTES ((size_t)32 << 20) /* at a time */
#define MARK_BYTES 65536
#define MARK_TIMEOUT "8000"
#define SERVE_MS 100
#define SHORT_MS 5000 /* for an owner, once nobody took a request */

struct letters_replay {
    const struct config *config;
    const char *table; /* NULL: all */
    int64_t limit_ms;  /* for whatever does not answer */

    struct letter_reader *reader;
    struct signal_request to;
    rd_kafka_t *marker; /* writes the marks */
    char *topic;

    int pending; /* marks whose receipt has not come; in on_delivery, like the next */
    rd_kafka_resp_err_t refused;

    size_t handled, left;
    int code; /* for the end, of the first that was left */
    char why[256];
};

/* ---- opening ---- */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    struct letters_replay *replay = arg;

    (void)rk;
    replay->pending--;
    if (message->err)
        replay->refused = message->err;
}

static int open_marker(struct letters_replay *replay, struct error *err)
{
    static const struct kafka_setting settings[] = {{"enable.idempotence", "false"},
                                                    {"acks", "all"},
                                                    {"message.timeout.ms", MARK_TIMEOUT},
                                                    {"linger.ms", "1"},
                                                    {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, replay->config, "dead-letter-marks", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_opaque(conf, replay);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return kafka_handle_new(&replay->marker, RD_KAFKA_PRODUCER, &conf, err);
}

static int open_all(struct letters_replay *replay, struct error *err)
{
    replay->topic = kafka_dead_letter_topic(replay->config);
    if (signal_sender_new(&replay->to.sender, replay->config, "dynaferry-consumer", err) < 0 ||
        signal_sender_wait(replay->to.sender, err) < 0 ||
        ledger_cache_open(&replay->to.ledger, replay->config, err) < 0 ||
        letter_reader_new(&replay->reader, replay->config, err) < 0)
        return -1;
    return open_marker(replay, err);
}

static void replay_release(struct letters_replay *replay)
{
    if (replay->marker)
        rd_kafka_destroy(replay->marker);
    letter_reader_free(replay->reader);
    ledger_cache_free(replay->to.ledger);
    signal_sender_free(replay->to.sender);
    free(replay->topic);
}

/* ---- what becomes of letters ---- */

/* `count` of one table stay as they are. */
static void leave(struct letters_replay *replay, const struct letter *letters, size_t count,
                  const struct error *err)
{
    log_warn("dead letters are left",
             "table=%s count=%zu first_offset=%" PRId64 " last_offset=%" PRId64 " reason=%s",
             letters[0].table, count, letters[0].offset, letters[count - 1].offset,
             err->message);
    if (!replay->left) {
        replay->code = err->code ? err->code : EXIT_FATAL;
        snprintf(replay->why, sizeof(replay->why), "%.200s: %.40s", err->message,
                 letters[0].table);
    }
    replay->left += count;
}

static rd_kafka_resp_err_t mark(struct letters_replay *replay, const struct letter *letter)
{
    AUTO(buf_release) struct buf value = {.ceiling = MARK_BYTES};
    const struct dead_letter_mark mark = {.table = bytes_of(letter->table),
                                          .partition = LETTER_READER_PARTITION,
                                          .offset = letter->offset,
                                          .ts_ms = clock_wall_ms()};
    rd_kafka_resp_err_t code;

    dead_letter_mark_encode(&value, &mark);
    code = rd_kafka_producev(replay->marker, RD_KAFKA_V_TOPIC(replay->topic),
                             RD_KAFKA_V_PARTITION(LETTER_READER_PARTITION),
                             RD_KAFKA_V_KEY(letter->key, letter->key_len),
                             RD_KAFKA_V_VALUE(value.p, value.len),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    replay->pending += !code;
    return code;
}

static void mark_all(struct letters_replay *replay, const struct letter *letters, size_t count)
{
    rd_kafka_resp_err_t code = 0;
    struct error err = {0};

    replay->refused = 0;
    for (size_t i = 0; i < count && !code; i++)
        code = mark(replay, &letters[i]);
    while (replay->pending > 0) /* each comes within MARK_TIMEOUT */
        rd_kafka_poll(replay->marker, SERVE_MS);
    if (!code)
        code = replay->refused;
    if (code) {
        error_set(&err, ERR_RETRY, "handled, but it can't be marked: %s",
                  rd_kafka_err2str(code));
        leave(replay, letters, count, &err);
        return;
    }
    replay->handled += count;
    log_info("dead letters handled", "table=%s count=%zu", letters[0].table, count);
}

/* ---- repairs ---- */

/* Is it the request that is wrong, and not the table's state? */
static bool table_runs(struct letters_replay *replay, const char *table)
{
    AUTO(ledger_table_release) struct ledger_table record = {0};
    struct error ignored;

    return ledger_cache_table(replay->to.ledger, table, &record, &ignored) > 0 &&
           (record.phase == PHASE_SNAPSHOT || record.phase == PHASE_TAIL);
}

static int ask_repair(struct letters_replay *replay, const struct letter *letters, size_t count,
                      struct error *err)
{
    char *keys[TABLE_SIGNAL_KEYS_AT_MOST];
    AUTO(free_charp) char *id = signal_sender_id();
    const struct table_signal signal = {.id = id,
                                        .type = TABLE_SIGNAL_REPAIR,
                                        .table = letters[0].table,
                                        .reason = (char *)"dead letters",
                                        .keys = keys,
                                        .key_count = count};

    for (size_t i = 0; i < count; i++)
        keys[i] = letters[i].keys;
    return signal_request_run(&replay->to, &signal, err);
}

/* Of one table, with keys. One key that is none of the table's present schema makes the owner
 * refuse all of a request: then each half is asked for by itself. */
static void replay_some(struct letters_replay *replay, const struct letter *letters,
                        size_t count)
{
    struct error err = {0};

    if (stop_requested())
        return;
    if (ask_repair(replay, letters, count, &err) == 0) {
        replay->to.limit_ms = replay->limit_ms;
        mark_all(replay, letters, count);
    } else if (err.kind == ERR_DATA && count > 1 && table_runs(replay, letters[0].table)) {
        replay_some(replay, letters, count / 2);
        replay_some(replay, letters + count / 2, count - count / 2);
    } else {
        if (err.code == EXIT_UNREACHABLE)
            replay->to.limit_ms = MIN(SHORT_MS, replay->limit_ms);
        leave(replay, letters, count, &err);
    }
}

/* Of one table; the producers would ignore requests for one that they do not carry. */
static void replay_table(struct letters_replay *replay, const struct letter *letters,
                         size_t count)
{
    AUTO(ledger_table_release) struct ledger_table record = {0};
    struct error err = {0};
    int found;

    if (!letters[0].keys) {
        error_set(&err, ERR_DATA, "without keys, nobody knows which item it is about");
        leave(replay, letters, count, &err);
        return;
    }
    found = ledger_cache_table(replay->to.ledger, letters[0].table, &record, &err);
    if (found == 0)
        error_set(&err, ERR_DATA, "the ledger knows no such table: no producer carries it");
    if (found <= 0) {
        leave(replay, letters, count, &err);
        return;
    }
    for (size_t n; count > 0 && !stop_requested(); letters += n, count -= n) {
        n = MIN(count, TABLE_SIGNAL_KEYS_AT_MOST);
        replay_some(replay, letters, n);
    }
}

/* ---- all of it ---- */

static int replay_list(struct letters_replay *replay, struct letter_list *letters,
                       struct error *err)
{
    letter_list_sort(letters);
    for (size_t at = 0, n; at < letters->count && !stop_requested(); at += n) {
        n = letter_list_run(letters, at, SIZE_MAX);
        replay_table(replay, letters->list + at, n);
    }
    return stop_requested() ? error_set(err, ERR_RETRY,
                                        "interrupted: %zu letters were handled; again goes on "
                                        "with the rest",
                                        replay->handled)
                            : 0;
}

static int replay_all(struct letters_replay *replay, struct error *err)
{
    int64_t from = 0;
    int more;

    do {
        AUTO(letter_list_release) struct letter_list letters = {.ceiling = LETTERS_BYTES};

        more = letter_reader_read(replay->reader, &letters, replay->table, from, &from, err);
        if (more < 0 || replay_list(replay, &letters, err) < 0)
            return -1;
    } while (more > 0);
    log_info("dead letters replayed", "handled=%zu left=%zu", replay->handled, replay->left);
    return replay->left == 0 ? 0
                             : error_fatal(err, replay->code, "%zu dead letters are left: %s",
                                           replay->left, replay->why);
}

int letters_replay_run(const struct consumer_options *options, const struct config *config,
                       struct error *err)
{
    AUTO(replay_release)
    struct letters_replay replay = {.config = config,
                                    .table = options->table,
                                    .limit_ms = config_int(config, "start.timeout") * 1000};

    replay.to.limit_ms = replay.limit_ms;
    return open_all(&replay, err) < 0 || replay_all(&replay, err) < 0 ? program_not_done(err)
                                                                      : 0;
}
