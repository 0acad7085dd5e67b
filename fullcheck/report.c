#include "fullcheck/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/json/json_reader.h"
#include "common/json/json_text.h"

#define TEXT_AT_MOST 1000            /* bytes of a value */
#define NAME_AT_MOST ((size_t)65535) /* DynamoDB has no longer ones */
#define ID_AT_MOST ((size_t)16 << 10)
#define PATHS_BYTES_AT_MOST ((size_t)256 << 10)
#define IDS_BYTES_AT_MOST ((size_t)256 << 10)
#define LINE_AT_MOST ((size_t)1 << 20)

static const char *const kinds[] = {"missing", "extra", "different", "duplicate"};
static const char *const results[] = {"same", "different", "unknown"};

const char *report_result_name(enum check_result result)
{
    return results[result];
}

/* ---- the file ---- */

int report_open(struct report *report, const char *path, struct error *err)
{
    *report = (struct report){.differences = fopen(path, "we")};
    if (!report->differences)
        return error_fatal(err, 0, "%s can't be written: %s", path, strerror(errno));
    setvbuf(report->differences, NULL, _IOLBF, 0); /* a reader need not wait for the end */
    report->path = xstrdup(path);
    pthread_mutex_init(&report->lock, NULL);
    return 0;
}

int report_close(struct report *report, struct error *err)
{
    AUTO(free_charp) char *path = TAKE(report->path);
    bool failed = ferror(report->differences) != 0;

    failed = fclose(TAKE(report->differences)) != 0 || failed;
    pthread_mutex_destroy(&report->lock);
    return failed ? error_fatal(err, 0, "%s could not be written to its end", path) : 0;
}

/* ---- lines ---- */

static struct bytes head(struct bytes text, size_t at_most)
{
    return (struct bytes){text.p, MIN(text.len, at_most)};
}

static void write_steps(struct buf *out, const struct compare_path *path)
{
    if (path->up) {
        write_steps(out, path->up);
        buf_char(out, ',');
    }
    if (path->name.p)
        json_stringify(out, head(path->name, NAME_AT_MOST));
    else
        buf_printf(out, "%zu", path->position);
}

static void write_value(struct buf *out, const char *side, const struct canon *value)
{
    AUTO(buf_release) struct buf text = {.ceiling = LINE_AT_MOST};

    if (!value)
        return;
    canon_text(&text, value, TEXT_AT_MOST);
    buf_printf(out, ",\"%s\":{\"type\":\"%s\",\"text\":", side, canon_type_name(value));
    json_stringify(out, buf_slice(&text));
    buf_char(out, '}');
}

void report_path(struct buf *out, const struct compare_path *path, const struct canon *source,
                 const struct canon *target)
{
    if (out->len > PATHS_BYTES_AT_MOST)
        return;
    buf_printf(out, "%s{\"path\":[", out->len ? "," : "");
    write_steps(out, path);
    buf_char(out, ']');
    write_value(out, "source", source);
    write_value(out, "target", target);
    buf_char(out, '}');
}

/* As it stands, unless that is very long or not the JSON that it should be. */
static void write_id(struct buf *out, struct bytes json)
{
    struct json_reader r;

    json_reader_init(&r, json);
    if (json.len <= ID_AT_MOST && json_skip(&r, NULL) && json_end(&r))
        buf_bytes(out, json);
    else
        json_stringify(out, head(json, TEXT_AT_MOST));
}

void report_id(struct buf *out, const bson_t *document)
{
    bson_t shell = BSON_INITIALIZER;
    bson_iter_t it;
    size_t len = 0;
    char *json;

    if (out->len > IDS_BYTES_AT_MOST)
        return;
    if (bson_iter_init_find(&it, document, "_id"))
        bson_append_iter(&shell, "", 0, &it);
    json = bson_as_relaxed_extended_json(&shell, &len); /* { "" : VALUE } */
    buf_printf(out, "%s", out->len ? "," : "");
    write_id(out, json && len > 9 ? (struct bytes){json + 7, len - 9} : BYTES_LIT("null"));
    bson_free(json);
    bson_destroy(&shell);
}

void report_difference(struct buf *out, const struct difference *difference)
{
    buf_lit(out, "{\"type\":\"difference\",\"table\":");
    json_stringify(out, bytes_of(difference->table));
    buf_lit(out, ",\"key\":");
    buf_bytes(out, difference->key);
    buf_printf(out, ",\"kind\":\"%s\",\"paths\":[", kinds[difference->kind]);
    buf_bytes(out, difference->paths);
    buf_char(out, ']');
    if (difference->ids.len) {
        buf_lit(out, ",\"ids\":[");
        buf_bytes(out, difference->ids);
        buf_char(out, ']');
    }
    buf_printf(out, ",\"ts_ms\":%" PRId64 ",\"looks\":%u", difference->ts_ms,
               difference->rechecks);
}

void report_write(struct report *report, struct bytes line, bool repaired)
{
    AUTO_LOCK(&report->lock);
    fwrite(line.p, 1, line.len, report->differences);
    fprintf(report->differences, "%s}\n", repaired ? ",\"repaired\":true" : "");
}

/* ---- summary ---- */

static void table_json(struct buf *out, const struct table_result *row)
{
    buf_lit(out, "{\"table\":");
    json_stringify(out, bytes_of(row->table));
    buf_printf(out, ",\"result\":\"%s\",\"reason\":", results[row->result]);
    json_stringify(out, buf_slice(&row->reason));
    buf_printf(out, ",\"complete\":%s,\"items\":%" PRId64, row->complete ? "true" : "false",
               row->items);
    if (row->documents < 0)
        buf_lit(out, ",\"documents\":null");
    else
        buf_printf(out, ",\"documents\":%" PRId64, row->documents);
    buf_printf(out, ",\"checked\":%" PRId64, row->checked);
    for (size_t i = 0; i < DIFFERENCE_KINDS; i++)
        buf_printf(out, ",\"%s\":%" PRId64, kinds[i], row->differences[i]);
    buf_printf(out, ",\"repaired\":%" PRId64 ",\"foreign\":%" PRId64 ",\"index\":\"%s\"}",
               row->repaired, row->foreign, row->index);
}

void report_summary_json(FILE *out, const struct summary *summary)
{
    AUTO(buf_release) struct buf text = {.ceiling = (size_t)64 << 20};

    buf_printf(&text,
               "{\"type\":\"summary\",\"result\":\"%s\",\"reason\":", results[summary->result]);
    json_stringify(&text, bytes_of(summary->reason));
    buf_printf(&text, ",\"started_ms\":%" PRId64 ",\"finished_ms\":%" PRId64 ",\"tables\":[",
               summary->started_ms, summary->finished_ms);
    for (size_t i = 0; i < summary->count; i++) {
        buf_printf(&text, "%s", i ? "," : "");
        table_json(&text, &summary->tables[i]);
    }
    buf_lit(&text, "]}\n");
    fwrite(text.p, 1, text.len, out);
}

static void table_text(FILE *out, const struct table_result *row)
{
    fprintf(out, "%s: %s; %" PRId64 " items", row->table,
            row->result == RESULT_UNKNOWN ? "could not tell" : results[row->result],
            row->items);
    if (row->documents >= 0)
        fprintf(out, ", %" PRId64 " documents", row->documents);
    if (row->foreign)
        fprintf(out, " (%" PRId64 " without the key)", row->foreign);
    fprintf(out, ", %" PRId64 " compared", row->checked);
    for (size_t i = 0; i < DIFFERENCE_KINDS; i++)
        if (row->differences[i])
            fprintf(out, ", %" PRId64 " %s", row->differences[i], kinds[i]);
    if (row->repaired)
        fprintf(out, ", %" PRId64 " repaired", row->repaired);
    fprintf(out, "; index %s", row->index);
    if (!row->complete)
        fprintf(out, "; not all was checked");
    if (row->reason.len)
        fprintf(out, "; " BYTES_FMT, BYTES_ARG(row->reason));
    fputc('\n', out);
}

void report_summary_text(FILE *out, const struct summary *summary)
{
    for (size_t i = 0; i < summary->count; i++)
        table_text(out, &summary->tables[i]);
    fprintf(out, "result: %s%s%s\n",
            summary->result == RESULT_UNKNOWN ? "could not tell" : results[summary->result],
            *summary->reason ? ": " : "", summary->reason);
}
