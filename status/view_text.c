#include "status/view_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/time_text.h"
#include "status/layout.h"
#include "status/totals.h"

#define RED "\x1b[31m"
#define GREEN "\x1b[32m"
#define YELLOW "\x1b[33m"

#define BAR_WIDE 20
#define BAR_NARROW 10
#define WIDE 100 /* characters: room for a wide bar */

enum column {
    COLUMN_TABLE,
    COLUMN_PHASE,
    COLUMN_PROGRESS,
    COLUMN_ROWS,
    COLUMN_RATE,
    COLUMN_LEFT,
    COLUMN_READ,
    COLUMN_BEHIND,
    COLUMN_LAG,
    COLUMN_LETTERS,
    COLUMN_PRODUCER,
    COLUMNS
};

static const struct layout_column columns[COLUMNS] = {
    [COLUMN_TABLE] = {"TABLE", 0, false},
    [COLUMN_PHASE] = {"PHASE", 0, false},
    [COLUMN_PROGRESS] = {"SNAPSHOT", 5, false},
    [COLUMN_ROWS] = {"ROWS", 6, true},
    [COLUMN_RATE] = {"ROWS/S", 8, true},
    [COLUMN_LEFT] = {"LEFT", 4, true},
    [COLUMN_READ] = {"READ TO", 7, true},
    [COLUMN_BEHIND] = {"TO APPLY", 1, true},
    [COLUMN_LAG] = {"LAG", 2, true},
    [COLUMN_LETTERS] = {"LETTERS", 3, true},
    [COLUMN_PRODUCER] = {"PRODUCER", 9, false},
};

/* ---- figures ---- */

static char *count_text(int64_t count)
{
    if (count == NOT_KNOWN)
        return xstrdup("?");
    if (count < 100000)
        return xasprintf("%" PRId64, count);
    if (count < 10000000)
        return xasprintf("%" PRId64 "k", count / 1000);
    return xasprintf("%" PRId64 "M", count / 1000000);
}

static char *time_text(int64_t ms)
{
    int64_t s = ms / 1000;

    if (ms == NOT_KNOWN)
        return xstrdup("?");
    if (s < 120)
        return xasprintf("%" PRId64 "s", s);
    if (s < 7200)
        return xasprintf("%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    if (s < 172800)
        return xasprintf("%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    return xasprintf("%" PRId64 "d", s / 86400);
}

static char *bar_text(int percent, int width)
{
    char bar[BAR_WIDE + 1] = "";
    int done = percent * width / 100;

    for (int i = 0; i < width; i++)
        bar[i] = i < done ? '#' : '.';
    return xasprintf("[%s] %d%%", bar, percent);
}

/* ---- a table ---- */

static const char *phase_color(const struct bridge_table *table)
{
    if (!table->has_record)
        return YELLOW;
    switch (table->record.phase) {
    case PHASE_TAIL:
        return GREEN;
    case PHASE_SNAPSHOT:
    case PHASE_PAUSED:
        return YELLOW;
    default:
        return RED;
    }
}

static void fill_snapshot(struct layout_cell *cells, const struct totals *totals,
                          const struct bridge_table *table, size_t width)
{
    bool runs = table->has_record && totals->percent >= 0 && totals->percent < 100;

    if (table->record.generation > 0 && table->record.rows)
        cells[COLUMN_ROWS].text = count_text(table->rows);
    if (!runs)
        return;
    cells[COLUMN_PROGRESS].text =
        bar_text(totals->percent, width >= WIDE ? BAR_WIDE : BAR_NARROW);
    cells[COLUMN_RATE].text = count_text(totals->rows_per_s);
    cells[COLUMN_LEFT].text =
        time_text(totals->eta_s == NOT_KNOWN ? NOT_KNOWN : totals->eta_s * 1000);
}

static void fill_row(struct layout_cell *cells, const struct bridge *bridge,
                     const struct bridge_table *table, const struct bridge *before,
                     size_t width)
{
    struct totals totals;

    totals_of(&totals, bridge, table, before);
    cells[COLUMN_TABLE].text = xstrdup(table->name);
    cells[COLUMN_PHASE] = (struct layout_cell){
        xstrdup(table->has_record ? ledger_phase_name(table->record.phase) : "placed"),
        phase_color(table)};
    fill_snapshot(cells, &totals, table, width);
    if (totals.open_shards > 0)
        cells[COLUMN_READ].text = time_text(totals.read_lag_ms);
    if (table->record.generation > 0) {
        cells[COLUMN_BEHIND].text = count_text(totals.lag);
        cells[COLUMN_LAG].text = time_text(totals.apply_lag_ms);
    }
    if (totals.letters != 0)
        cells[COLUMN_LETTERS] = (struct layout_cell){count_text(totals.letters), RED};
    if (bridge->producers_known)
        cells[COLUMN_PRODUCER].text = xstrdup(table->producer ? table->producer : "nobody");
}

static void write_tables(struct buf *out, const struct bridge *bridge,
                         const struct bridge *before, const struct view_text_style *style)
{
    AUTO(layout_release)
    struct layout layout = {.columns = columns, .column_count = COLUMNS};

    for (size_t i = 0; i < bridge->count; i++) {
        const struct bridge_table *table = &bridge->tables[i];

        fill_row(layout_row(&layout), bridge, table, before, style->width);
        if (table->has_record && *table->record.reason)
            layout_note(&layout, xasprintf("%s: %s", ledger_phase_name(table->record.phase),
                                           table->record.reason));
    }
    layout_write(out, &layout, style->width, style->in_color);
}

/* ---- shards ---- */

static void fill_shard(struct layout_cell *cells, const struct bridge *bridge,
                       const struct ledger_shard *shard)
{
    cells[0].text = xstrdup(shard->id);
    cells[1].text = xstrdup(ledger_shard_status_name(shard->status));
    cells[2].text = count_text(shard->records);
    if (!bridge_shard_is_open(shard))
        return;
    cells[3].text = time_text(bridge_shard_read_lag_ms(bridge, shard));
    cells[4].text = time_text(MAX(bridge_shard_trim_ms(bridge, shard), 0));
}

static void write_shards(struct buf *out, const struct bridge *bridge,
                         const struct bridge_table *table, const struct view_text_style *style)
{
    static const struct layout_column of_shard[] = {{"SHARD", 0, false},
                                                    {"STATUS", 0, false},
                                                    {"RECORDS", 2, true},
                                                    {"READ TO", 1, true},
                                                    {"TRIM IN", 3, true}};
    AUTO(layout_release)
    struct layout layout = {.columns = of_shard, .column_count = ARRAY_LEN(of_shard)};

    if (table->shard_count == 0)
        return;
    for (size_t i = 0; i < table->shard_count; i++)
        fill_shard(layout_row(&layout), bridge, &table->shards[i]);
    buf_printf(out, "\n%s\n", table->name);
    layout_write(out, &layout, style->width, style->in_color);
}

/* ---- what stands below ---- */

static int64_t owned_by(const struct bridge *bridge, const struct bridge_member *member)
{
    bool produces = strcmp(member->role, "producer") == 0;
    int64_t count = 0;

    for (size_t i = 0; i < bridge->count; i++) {
        const struct bridge_table *table = &bridge->tables[i];

        if (produces)
            count += table->producer && strcmp(table->producer, member->name) == 0;
        for (int32_t p = 0; !produces && p < table->record.partitions; p++)
            count += table->partitions[p].consumer &&
                     strcmp(table->partitions[p].consumer, member->name) == 0;
    }
    return count;
}

static void write_members(struct buf *out, const struct bridge *bridge, const char *role,
                          const char *what)
{
    const char *between = "";

    buf_printf(out, "%ss: ", role);
    for (size_t i = 0; i < bridge->member_count; i++) {
        const struct bridge_member *member = &bridge->members[i];

        if (strcmp(member->role, role) != 0)
            continue;
        buf_printf(out, "%s%s (%s, %" PRId64 " %s)", between, member->name, member->host,
                   owned_by(bridge, member), what);
        between = ", ";
    }
    buf_printf(out, "%s\n", *between ? "" : "none");
}

static void write_letters(struct buf *out, const struct bridge *bridge)
{
    for (size_t i = 0; i < bridge->count; i++)
        for (size_t n = 0; n < bridge->tables[i].letters_count; n++) {
            const struct bridge_letters *letters = &bridge->tables[i].letters[n];

            buf_printf(out, "dead letters: %s: %" PRId64 " of the %s: %s\n",
                       bridge->tables[i].name, letters->count, letters->stage, letters->reason);
        }
}

static void write_unread(struct buf *out, const struct bridge *bridge, bool in_color)
{
    for (size_t i = 0; i < bridge->unread_count; i++)
        buf_printf(out, "%snot read: %s: %s%s\n", in_color ? RED : "", bridge->unread[i].part,
                   bridge->unread[i].reason, in_color ? "\x1b[0m" : "");
}

void view_text(struct buf *out, const struct bridge *bridge, const struct bridge *before,
               const struct view_text_style *style)
{
    char time[TIME_TEXT_SIZE];

    time_text_write(time, bridge->at_ms);
    buf_printf(out, "%s at %s\n\n", bridge->prefix, time);
    if (bridge->count > 0)
        write_tables(out, bridge, before, style);
    else if (bridge->unread_count == 0)
        buf_lit(out, "no table yet\n");
    for (size_t i = 0; i < bridge->count && style->shards; i++)
        write_shards(out, bridge, &bridge->tables[i], style);
    buf_char(out, '\n');
    if (bridge->producers_known)
        write_members(out, bridge, "producer", "tables");
    if (bridge->consumers_known)
        write_members(out, bridge, "consumer", "partitions");
    write_letters(out, bridge);
    write_unread(out, bridge, style->in_color);
}
