"""Requests to a table's owner: pause, resume, a new generation, forgetting. Each is done once, whatever happens
between, and the ledger says what became of it.
"""

import json

import pytest
from support.bridge import complain
from support.generations import generation_of, settle_newest, wait_renewed
from support.repair_requests import ask, ask_repair, outcome, refusals, repairs, wait_outcome, wait_placed
from support.running import wait_until
from support.scripted_source import (
    asked, begin, ferry, from_producer, held_cut_batch, put, settle_log, wait_phase, write_on,
)  # fmt: skip

READS = ("Scan", "GetRecords", "GetShardIterator", "DescribeTable", "DescribeStream", "BatchGetItem")


def record(bridge, table):
    return bridge.ledger()[0].get(f"table/{table.name}", {})


def pause(bridge, table, **more):
    offset = ask(bridge, table, "pause", **more)
    assert wait_outcome(bridge, table, offset) == ""
    assert bridge.phase(table) == "paused"


def resume(bridge, table):
    assert wait_outcome(bridge, table, ask(bridge, table, "resume")) == ""


def reads_of(ferry, table, since):
    return [e["op"] for op in READS for e in asked(ferry, op, since, TableName=table.name)]


def wait_others_read(ferry, other, since, count=20):
    """Whatever a table's readers were about to do, they have done."""
    enough = lambda: len(asked(ferry, "GetRecords", since, TableName=other.name)) >= count
    wait_until(enough, 60, "the other table is read on", ferry.running())


def expect_unread(ferry, table, other):
    """The first reads may have been under way."""
    wait_others_read(ferry, other, ferry.fake.control.requests())
    since = ferry.fake.control.requests()
    wait_others_read(ferry, other, since)
    assert reads_of(ferry, table, since) == []


# --- pause and resume ---


def test_a_paused_table_is_not_read_over_kills_and_restarts_until_it_is_resumed(ferry):
    table, other = ferry.add_table(), ferry.add_table()
    writer = ferry.writer(table, seed=301, keys=40, rate=60)
    writer.fill()
    producer = ferry.producer()
    ferry.consumer()
    for each in (table, other):
        wait_phase(ferry, each, "tail")
        wait_placed(ferry, each)
    writer.start()
    write_on(ferry, writer)
    pause(ferry, table, reason="maintenance")
    assert record(ferry, table)["reason"] == "asked for by test: maintenance"
    expect_unread(ferry, table, other)
    told = lambda: (health := producer.get("/healthz"))[0] == 200 and "paused: asked for by test: maintenance" in health[1]
    wait_until(told, 20, "the pause in the health", [producer])
    for end in (producer.kill9, lambda: ferry.programs[-1].sigterm()):
        end()
        ferry.producer()
        write_on(ferry, writer)
        expect_unread(ferry, table, other)
        assert ferry.phase(table) == "paused"
    resume(ferry, table)
    write_on(ferry, writer)
    ferry.settle()
    ferry.verify()
    assert ferry.phase(table) == "tail"


def test_a_pause_goes_to_the_next_owner(ferry):
    table, other = ferry.add_table(), ferry.add_table()
    settings = {"ledger.partitions": 1}
    first = ferry.producer(settings)
    for each in (table, other):
        wait_phase(ferry, each, "tail")
        wait_placed(ferry, each)
    second = ferry.producer(settings)
    pause(ferry, table)
    first.kill9()
    put(ferry, table, 1)
    put(ferry, other, 1)
    ferry.wait_caught_up(tables=[other])
    expect_unread(ferry, table, other)
    resume(ferry, table)
    ferry.wait_caught_up()
    complain(ferry.verify_log(table))
    assert second.running


def test_a_snapshot_is_paused_in_its_middle_and_goes_on_there(ferry):
    table = ferry.add_table()
    writer = ferry.writer(table, seed=302, keys=120, rate=60)
    writer.fill()
    slow = ferry.fake.control.fault("delay", op="Scan", seconds=0.3, times=-1, predicate=from_producer)
    producer = ferry.producer({"qps.full.batch_num": 5, "full.read.concurrency": 2})
    ferry.consumer()
    wait_placed(ferry, table)
    writer.start()
    rows = lambda: producer.metric("dynaferry_producer_rows_total", table=table.name)
    wait_until(lambda: rows() >= 20, 60, "the first rows", [producer])
    pause(ferry, table)
    assert record(ferry, table)["finished_ms"] == 0
    write_on(ferry, writer)
    resume(ferry, table)
    assert ferry.phase(table) == "snapshot"
    ferry.fake.control.release(id=slow)
    wait_phase(ferry, table, "tail", 120)
    ferry.settle()
    ferry.verify()
    starts = [e for e in asked(ferry, "Scan", 0, TableName=table.name) if "ExclusiveStartKey" not in e["fields"]]
    assert len(starts) == 2, "a segment began anew"


def test_pauses_in_a_row_lose_nothing_and_repeat_nothing(ferry):
    """It goes on from what it has just committed."""
    table, writer, _ = begin(ferry, seed=303, keys=40, rate=200)
    ferry.consumer()
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    writer.start()
    for _ in range(8):
        offsets = [ask(ferry, table, kind) for kind in ("pause", "resume")]
        assert [wait_outcome(ferry, table, offset) for offset in offsets] == ["", ""]
        write_on(ferry, writer, 10)
    ferry.settle()
    ferry.verify()


def test_a_pause_that_an_abort_takes_back_is_done_again_and_resumed(ferry):
    """Its neighbour's cut answer aborts the transaction that both are in."""
    ferry.settings.update({"ledger.partitions": 1, "commit.interval.ms": 5000})
    table, other = ferry.add_table(), ferry.add_table()
    for each in (table, other):
        put(ferry, each, 1, "first")
    producer = ferry.producer()
    for each in (table, other):
        wait_phase(ferry, each, "tail")
        wait_placed(ferry, each)
    fault = held_cut_batch(ferry, other)
    offsets = [ask(ferry, table, kind) for kind in ("pause", "resume")]
    wait_until(lambda: "type=pause" in producer.log(), 30, "the pause", [producer])
    ferry.fake.control.release(fault)
    wait_until(lambda: "transaction aborted" in producer.log(), 30, "the abort", [producer])
    assert [wait_outcome(ferry, table, offset) for offset in offsets] == ["", ""]
    put(ferry, table, 2, "second")
    settle_log(ferry)


def test_what_is_so_already_is_done_without_a_change(ferry):
    table, _, producer = begin(ferry, seed=304, keys=5)
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    resume(ferry, table)
    assert ferry.phase(table) == "tail"
    pause(ferry, table, reason="the first")
    pause(ferry, table, reason="the second")
    assert record(ferry, table)["reason"] == "asked for by test: the first"
    assert refusals(producer) == []


def test_a_paused_table_whose_source_is_deleted_stays_paused(ferry):
    table, other = ferry.add_table(), ferry.add_table()
    ferry.producer()
    for each in (table, other):
        wait_phase(ferry, each, "tail")
        wait_placed(ferry, each)
    pause(ferry, table)
    ferry.programs[0].sigterm()
    ferry.dynamodb.delete_table(TableName=table.name)
    ferry.producer({"source.doubt.ms": 1000})
    put(ferry, other, 1)
    ferry.wait_caught_up(tables=[other])
    expect_unread(ferry, table, other)
    assert ferry.phase(table) == "paused"
    resume(ferry, table)
    wait_phase(ferry, table, "gone")


# --- refused ---


def test_what_a_table_can_t_do_now_is_refused_and_kept_with_its_reason(ferry):
    table, _, producer = begin(ferry, seed=305, keys=5)
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    forget = ask(ferry, table, "forget")
    assert "filter.collection.black" in wait_outcome(ferry, table, forget)
    pause(ferry, table)
    offsets = [ask(ferry, table, "snapshot", generation=0), ask_repair(ferry, table, [{"pk": {"S": "a"}}])]
    for offset in offsets:
        assert "in phase paused" in wait_outcome(ferry, table, offset)
    resume(ferry, table)
    put(ferry, table, 1)
    ferry.wait_caught_up()
    assert [offset for offset, _ in refusals(producer)] == [forget, *offsets]
    repair = ask_repair(ferry, table, [{"pk": {"S": "x"}}])
    assert wait_outcome(ferry, table, repair) == ""
    assert len(repairs(ferry, table, repair)) == 1


def test_the_ledger_keeps_the_last_requests_over_restarts(ferry):
    table, _, producer = begin(ferry, seed=306, keys=5)
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    offsets = [ask(ferry, table, "resume") for _ in range(10)]
    wait_outcome(ferry, table, offsets[-1])
    producer.sigterm()
    ferry.producer()
    offsets.append(ask(ferry, table, "resume"))
    wait_outcome(ferry, table, offsets[-1])
    assert [h["offset"] for h in record(ferry, table)["handled"]] == offsets[-8:]


# --- halted tables ---


def test_a_table_that_failed_is_looked_at_again_at_once(ferry):
    """By itself it would be in four minutes."""
    table = ferry.add_table(stream=None)
    settings = {"stream.enable": "false"}
    producer = ferry.producer({**settings, "source.doubt.ms": 1000})
    wait_phase(ferry, table, "failed")
    producer.sigterm()
    ferry.producer(settings)
    wait_placed(ferry, table)
    again = ask(ferry, table, "resume")
    assert wait_outcome(ferry, table, again) == ""
    assert ferry.phase(table) == "failed"
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    ferry.dynamodb.update_table(TableName=table.name, StreamSpecification=stream)
    ask(ferry, table, "resume")
    wait_phase(ferry, table, "tail")
    assert outcome(ferry, table, again) == "", "a new generation forgot what was handled"


# --- forgetting ---


def records_of(bridge, table):
    keys = bridge.ledger()[0]
    return [k for k in keys if k.split("/")[1:2] == [table.name]]


@pytest.mark.parametrize("end", ["alive", "killed"])
def test_a_table_that_is_gone_is_forgotten_and_leaves_no_record(bridge, end):
    table, other = bridge.add_table(), bridge.add_table()
    bridge.writer(table, seed=307, keys=20).fill()
    producer = bridge.producer()
    for each in (table, other):
        wait_phase(bridge, each, "tail")
        wait_placed(bridge, each)
    bridge.wait_caught_up()
    before = len(bridge.log(table))
    bridge.dynamodb.delete_table(TableName=table.name)
    wait_phase(bridge, table, "gone")
    ask(bridge, table, "forget")
    if end == "killed":
        producer.kill9()
        bridge.producer()
    wait_until(lambda: not records_of(bridge, table), 60, "no record", bridge.running())
    assert records_of(bridge, other)
    assert len(bridge.log(table)) == before, "its topic is not what it was"
    bridge.programs[-1].sigterm()


def test_a_table_that_comes_back_before_it_is_forgotten_stays(ferry):
    """It was only out of sight."""
    table, other = ferry.add_table(), ferry.add_table()
    ferry.producer({"source.doubt.ms": 1000, "discovery.interval.ms": 600_000})
    for each in (table, other):
        wait_phase(ferry, each, "tail")
        wait_placed(ferry, each)
    without = json.dumps({"TableNames": [other.name]})
    ferry.fake.control.fault("body", op="ListTables", text=without, times=-1, predicate=from_producer)
    error = {"name": "ResourceNotFoundException", "message": "no such table", "predicate": from_producer}
    ferry.fake.control.fault("error", op="DescribeTable", where={"TableName": table.name}, times=-1, **error)
    resumed = ask(ferry, table, "resume")  # makes it look at the table at once
    assert wait_outcome(ferry, table, resumed) == ""
    wait_phase(ferry, table, "gone", 120)
    assert wait_outcome(ferry, table, ask(ferry, table, "forget")) == ""
    assert record(ferry, table)["forget"] is True
    ferry.fake.control.clear()
    wait_phase(ferry, table, "tail")
    wait_until(lambda: "forget" not in record(ferry, table), 20, "nothing to forget", ferry.running())
    put(ferry, table, 1)
    ferry.wait_caught_up()
    complain(ferry.verify_log(table))


# --- new generations ---


def snapshot(bridge, table, generation, **more):
    return ask(bridge, table, "snapshot", generation=generation, **more)


def test_a_snapshot_begins_one_generation_though_it_is_asked_for_twice(ferry):
    table, writer, producer = begin(ferry, seed=310, keys=60, rate=100)
    ferry.consumer()
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    writer.start()
    first = generation_of(ferry, table)
    offsets = [snapshot(ferry, table, first, reason="a test"), snapshot(ferry, table, first)]
    newer = wait_renewed(ferry, table, first)
    offsets.append(snapshot(ferry, table, first))
    assert [wait_outcome(ferry, table, offset) for offset in offsets] == ["", "", ""]
    write_on(ferry, writer)
    ferry.settle()
    ferry.verify()
    assert {r.generation for r in ferry.log(table)} == {first, newer["generation"]}
    assert "gaps" not in newer and newer["reason"] == ""
    assert refusals(producer) == []


@pytest.mark.parametrize("taken", [False, True], ids=["as it is asked", "as it is taken"])
def test_a_snapshot_whose_owner_is_killed_begins_one_generation(ferry, taken):
    table, writer, producer = begin(ferry, seed=311, keys=60, rate=100)
    ferry.consumer()
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    writer.start()
    first = generation_of(ferry, table)
    hold = ferry.fake.control.fault("hold", op="DescribeStream", times=-1, predicate=from_producer)
    offset = snapshot(ferry, table, 0)
    if taken:
        assert wait_outcome(ferry, table, offset) == ""
    producer.kill9()
    ferry.fake.control.release(id=hold)
    ferry.fake.control.clear()
    ferry.producer()
    newer = wait_renewed(ferry, table, first)
    assert wait_outcome(ferry, table, offset) == ""
    write_on(ferry, writer)
    ferry.settle()
    ferry.verify()
    assert {r.generation for r in ferry.log(table)} == {first, newer["generation"]}


def test_a_snapshot_in_the_middle_of_a_snapshot_begins_anew(ferry):
    table = ferry.add_table()
    writer = ferry.writer(table, seed=312, keys=60, rate=60)
    writer.fill()
    fault = ferry.fake.control.fault("hold", op="Scan", skip=3)
    ferry.producer({"qps.full.batch_num": 10, "full.read.concurrency": 1})
    ferry.consumer()
    assert ferry.fake.control.wait_held(fault)
    wait_placed(ferry, table)
    writer.start()
    first = generation_of(ferry, table)
    offset = snapshot(ferry, table, first)
    assert wait_outcome(ferry, table, offset) == ""
    ferry.fake.control.release(id=fault)
    wait_renewed(ferry, table, first)
    ferry.settle()
    ferry.verify()


def come_back_to_another_stream(ferry, table, producer, settings=()):
    producer.sigterm()
    ferry.fake.control.new_stream(table.name)
    return ferry.producer(settings)


def test_a_gap_that_halts_its_table_is_gone_on_from_when_somebody_says_so(ferry):
    table, writer, producer = begin(ferry, seed=313, keys=20, on_gap="fail")
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    ferry.wait_caught_up()
    first = generation_of(ferry, table)
    come_back_to_another_stream(ferry, table, producer, {"on_gap": "fail"})
    wait_phase(ferry, table, "gap")
    refused = [ask(ferry, table, "pause"), ask_repair(ferry, table, writer.keys[:2])]
    for offset in refused:
        assert "in phase gap" in wait_outcome(ferry, table, offset)
    resumed = ask(ferry, table, "resume")
    wait_renewed(ferry, table, first)
    assert outcome(ferry, table, resumed) == ""
    settle_newest(ferry, table)


def test_a_table_that_waits_after_gaps_in_a_row_can_be_paused(ferry):
    """Resumed, it goes on from its gap, not from where it was."""
    table, _, producer = begin(ferry, seed=314, keys=20)
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    first = generation_of(ferry, table)
    producer = come_back_to_another_stream(ferry, table, producer)
    first = wait_renewed(ferry, table, first)["generation"]
    come_back_to_another_stream(ferry, table, producer)  # from here on it waits
    wait_phase(ferry, table, "gap")
    pause(ferry, table)
    assert record(ferry, table)["renew"] is True
    resume(ferry, table)
    wait_renewed(ferry, table, first)
    settle_newest(ferry, table)
