"""Progress of long work: one line at the bottom of a terminal, which the log never mixes with, and nothing of it
anywhere else."""

import re
import signal

import pytest
from support import terminal
from support.fullcheck_tool import Checker, fill_source
from support.running import wait_until

ROWS = 300
SLOW = {"qps.full": 5, "qps.full.batch_num": 10}  # 50 items per second


def table_of(bridge, rows=ROWS, name=None):
    table = bridge.add_table(name=name)
    fill_source(bridge.dynamodb, table, [{"pk": {"S": f"{i:06}"}} for i in range(rows)])
    return table


def figure(pattern, text):
    found = re.search(pattern, text)
    return found and int(found[1].replace(",", ""))


def lines_without_log(program):
    return [line for line in terminal.screen(program) if not terminal.is_log_line(line)]


def nothing_drawn(program):
    output = terminal.output(program).replace("\r\n", "\n")  # a terminal's end of a line
    return "\r" not in output and "\x1b" not in output


def wait_drawn(program, pattern, seconds=30):
    def look():
        return [line for line in terminal.drawn(program) if re.search(pattern, line)]

    return wait_until(look, seconds, f"a line with {pattern}", alive=[program])


# --- the producer ---


@pytest.mark.asan
def test_a_snapshot_is_shown_until_it_is_copied(bridge):
    table = table_of(bridge)
    program = terminal.start(bridge.program("producer", {**SLOW, "sync_mode": "full"}))
    assert terminal.ended(program) == 0, program.story()
    lines = terminal.drawn(program)
    shape = rf"{re.escape(table.name)}: [\d,]+ rows copied(, [\d,]+ rows/s)?, \d+ %(, \d+ s left)?"
    assert len(lines) >= 3 and all(re.fullmatch(shape, line) for line in lines), lines
    percents = [figure(r"(\d+) %", line) for line in lines]
    assert percents == sorted(percents) and percents[0] < percents[-1] < 100, percents
    summary, rest = lines_without_log(program)
    assert re.fullmatch(rf"{re.escape(table.name)}: 300 rows copied in \d+ s, \d+ rows/s", summary), summary
    assert rest == "", "the line is gone in the end"


def test_many_tables_share_a_line_that_fits_the_terminal(bridge):
    tables = [table_of(bridge, rows) for rows in (10, 150, 150)]
    program = terminal.start(bridge.program("producer", SLOW), columns=60)
    wait_drawn(program, "1 of 3 tables copied, ")
    wait_until(lambda: "3 tables copied, 310 rows in" in program.log(), 60, "the summary", alive=[program])
    program.signal(signal.SIGTERM)
    assert terminal.ended(program) == 0, program.story()
    assert max(map(len, terminal.drawn(program))) < 60
    assert len(lines_without_log(program)) == 2, "the summary, once"
    assert {bridge.phase(table) for table in tables} == {"tail"}


def test_a_stop_takes_the_line_away(bridge):
    table_of(bridge)
    program = terminal.start(bridge.program("producer", SLOW))
    wait_drawn(program, r"\d+ %")
    program.signal(signal.SIGINT)
    assert terminal.ended(program) == 0, program.story()
    assert terminal.screen(program)[-1] == ""


def test_a_terminal_beside_a_log_file_has_the_line_alone(bridge):
    table = table_of(bridge, rows=150)
    log = bridge.directory / "its.log"
    settings = {**SLOW, "sync_mode": "full", "log.file": log}
    program = terminal.start(bridge.program("producer", settings))
    assert terminal.ended(program) == 0, program.story()
    assert terminal.drawn(program)
    summary, rest = terminal.screen(program)
    assert summary.startswith(f"{table.name}: 150 rows copied in") and rest == ""
    lines = log.read_text().splitlines()
    assert lines and all(map(terminal.is_log_line, lines)), lines


@pytest.mark.parametrize("where", ["dumb", "pipe"])
def test_nothing_is_drawn_where_it_could_not_be_taken_away(bridge, where):
    table_of(bridge, rows=150)
    program = bridge.program("producer", {**SLOW, "sync_mode": "full"}, env=terminal.QUIET)
    if where == "pipe":
        assert program.start().wait() == 0, program.story()
    else:
        terminal.start(program, term="dumb")
        assert terminal.ended(program) == 0, program.story()
    assert nothing_drawn(program)
    assert lines_without_log(program) == [""]


# --- the consumer ---


def test_records_are_shown_while_they_are_applied(bridge):
    table = table_of(bridge)
    bridge.producer(SLOW)
    program = terminal.start(bridge.program("consumer", {"log.level": "info"}, ("--until-idle", "5")))
    assert terminal.ended(program) == 0, program.story()
    lines = terminal.drawn(program)
    shape = rf"{re.escape(table.name)}: [\d,]+ records applied(, [\d,]+ records/s)?(, [\d,]+ to go)?(, \d+ s left)?"
    assert len(lines) >= 3 and all(re.fullmatch(shape, line) for line in lines), lines
    done = [figure(r"([\d,]+) records applied", line) for line in lines]
    assert done == sorted(done) and done[0] < done[-1], done
    summary, rest = lines_without_log(program)
    assert re.fullmatch(r"\S+: [\d,]+ records applied in \d+ s, \d+ records/s", summary), summary
    assert figure(r"([\d,]+) records", summary) == done[-1] >= ROWS
    assert rest == "", "the line is gone"


# --- fullcheck ---


def test_each_pass_of_a_check_is_shown(bridge):
    tables = [table_of(bridge, 150), table_of(bridge, 150)]
    bridge.producer()
    bridge.consumer()
    bridge.wait_caught_up()
    bridge.wait_applied()
    program = terminal.start(
        Checker(bridge).program("--settle", "0.2", "-p", "1", settings=SLOW, json=False, diff=False)
    )
    assert terminal.ended(program) == 0, program.story()
    lines = terminal.drawn(program)
    for number, name in enumerate(sorted(t.name for t in tables), 1):
        head = re.escape(f"{name} ({number} of 2): ")
        shape = rf"{head}[\d,]+ items compared(, [\d,]+ items/s)?, \d+ %(, \d+ s left)?"
        mine = [line for line in lines if re.fullmatch(shape, line)]
        assert len(mine) >= 2, (shape, lines)
    shown = lines_without_log(program)
    assert not any("items/s" in line for line in shown), shown


def test_a_check_draws_nothing_where_it_is_piped(bridge):
    table_of(bridge, 150)
    program = Checker(bridge).program("--settle", "0.2", settings=SLOW).start()
    program.report()
    assert nothing_drawn(program) and "items/s" not in program.everything_told()
