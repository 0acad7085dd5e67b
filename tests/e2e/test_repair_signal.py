"""Requests to a table's owner: items are read again and appended as they are, once and in order, whatever
happens between; what can't be done is refused by name, and nothing waits for it.
"""

import json
import random
import re

import confluent_kafka
import confluent_kafka.admin
import pytest
from support import topic_check
from support.bridge import complain
from support.oracle import KeySchema, canonical_key
from support.repair_requests import (
    ask_repair, handled, produce, refusals, repairs, signal, signal_topic, wait_handled, wait_placed,
)  # fmt: skip
from support.running import wait_until
from support.scripted_source import begin, ferry, from_producer, held_cut_batch, wait_commit, wait_phase, write_on


def damage(bridge, table):
    """Every second document is gone, the others have lost all but their keys; and one is there that no item is
    for. Its key."""
    collection = bridge.target()[table.name]
    for number, document in enumerate(list(collection.find())):
        key = {name: document[name] for name in ("_id", *table.key_schema.names)}
        if number % 2:
            collection.delete_one({"_id": key["_id"]})
        else:
            collection.replace_one({"_id": key["_id"]}, {**key, "damaged": {"S": "x"}})
    extra = table.key(random.Random(1), 100_000)
    collection.insert_one(dict(extra))  # raw documents are written as the source writes them
    return extra


# --- a live table ---


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("schema", [KeySchema(("pk",), ("S",)), KeySchema(("pk", "sk"), ("N", "B"))], ids=str)
def test_damaged_deleted_and_extra_documents_are_right_again_while_a_writer_runs(bridge, schema):
    table = bridge.add_table(schema)
    writer = bridge.writer(table, seed=71, keys=60, rate=60)
    writer.fill()
    bridge.producer()
    bridge.consumer()
    wait_placed(bridge, table)
    bridge.wait_caught_up()
    bridge.wait_applied()
    writer.start()
    keys = writer.keys[: writer.ordinary]
    extra = damage(bridge, table)
    offsets = [ask_repair(bridge, table, part) for part in (keys[:30], [extra] + keys[30:])]
    wait_handled(bridge, table, offsets[-1])
    write_on(bridge, writer)
    bridge.settle()
    bridge.verify()
    asked = {canonical_key(key, schema) for key in keys + [extra]}
    assert {r.key for r in repairs(bridge, table)} == asked
    gone = [r for r in repairs(bridge, table) if r.key == canonical_key(extra, schema)]
    assert [r.op for r in gone] == [topic_check.DELETE]
    assert bridge.programs[0].metric("dynaferry_producer_repaired_total", table=table.name) == len(asked)
    for program in bridge.programs:
        program.sigterm()


def test_keys_of_every_kind_are_repaired_in_both_conversions(bridge):
    """NUL, quotes, surrogate pairs, 38 digits, a key attribute called _id: the request's text is the key."""
    tables = bridge.add_all_tables()
    for table in tables:
        bridge.writer(table, seed=72, keys=16, refused=0).fill()
    bridge.producer()
    databases = {f"{bridge.database}_{kind}": kind for kind in ("raw", "change")}
    for name, kind in databases.items():
        bridge.consumer({"id": name, "convert.type": kind})
    for table in tables:
        wait_placed(bridge, table)
    bridge.settle(90, databases)
    offsets = {}
    for table, writer in zip(tables, bridge.writers):
        for name in databases:
            bridge.target(name)[table.name].delete_many({})
        offsets[table] = ask_repair(bridge, table, writer.keys[: writer.ordinary])
    for table, offset in offsets.items():
        wait_handled(bridge, table, offset)
    bridge.settle(90, databases)
    problems = []
    for table in tables:
        problems += bridge.verify_log(table)
        for name, kind in databases.items():
            problems += bridge.verify_target(table, kind, database=name)
    complain(problems)
    assert refusals(bridge.programs[0]) == []


def test_a_request_from_before_a_table_was_placed_is_not_for_it(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=73, keys=10)
    writer.fill()
    other = bridge.add_table()
    first = bridge.producer({"filter.collection.white": other.name})
    wait_placed(bridge, other)
    early = ask_repair(bridge, table, writer.keys[:5])
    # It has been read when a later request for the other table is handled.
    wait_handled(bridge, other, ask_repair(bridge, other, [{"pk": {"S": "none"}}]))
    assert f"offset={early} " in first.log(), "a request for a table that nobody knows is logged"
    first.sigterm()
    bridge.producer()
    wait_placed(bridge, table)
    assert handled(bridge, table) == early + 2
    late = ask_repair(bridge, table, writer.keys[5:8])
    wait_handled(bridge, table, late)
    assert {int(r.headers["signal"]) for r in repairs(bridge, table)} == {late}


def test_what_is_no_request_and_what_is_for_nobody_is_passed_over(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=74, keys=10)
    writer.fill()
    producer = bridge.producer()
    wait_placed(bridge, table)
    wrong = [b"", None, b"{", b"\xff\xfe", b"[]", json.dumps(signal(table, "restart")).encode(),
             json.dumps(signal(table, keys=[])).encode(), b"x" * 3_000_000]  # fmt: skip
    offsets = [produce(bridge, value) for value in wrong]
    foreign = {**signal(table), "table": "no-such-table", "keys": [{"pk": {"S": "a"}}]}
    offsets.append(produce(bridge, json.dumps(foreign).encode()))
    for number, key in enumerate(({"pk": {"N": "1"}}, {"pk": {"S": "\u00e9"}}, {"pk": {"S": "a"}, "x": {"S": "b"}}, {})):
        request = json.dumps(signal(table, keys=[key]), separators=(",", ":"))  # escapes: not canonical
        refused = produce(bridge, request.encode())
        wait_handled(bridge, table, refused)
        assert refusals(producer)[number][0] == refused
    offset = ask_repair(bridge, table, writer.keys[:3])
    wait_handled(bridge, table, offset)
    assert len(repairs(bridge, table)) == 3
    lines = [line for line in producer.log().splitlines() if 'event="signal ignored"' in line]
    assert [int(re.search(r"offset=(\d+)", line)[1]) for line in lines] == offsets
    assert producer.metric("dynaferry_producer_signals_refused_total", table=table.name) == 4
    producer.sigterm()


def test_a_key_that_stands_twice_is_read_once(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=75, keys=3)
    writer.fill()
    bridge.producer()
    wait_placed(bridge, table)
    offset = ask_repair(bridge, table, [writer.keys[0], writer.keys[1], writer.keys[0]])
    wait_handled(bridge, table, offset)
    assert len(repairs(bridge, table)) == 2


def test_many_requests_are_handled_in_order_and_a_stuck_table_holds_up_no_other(ferry):
    """More than a table's list holds; one table's answers never come."""
    table, stuck = ferry.add_table(), ferry.add_table()
    ferry.writer(table, seed=76, keys=100).fill()
    ferry.writer(stuck, seed=77, keys=100).fill()
    ferry.producer()
    for t in (table, stuck):
        wait_phase(ferry, t, "tail")
        wait_placed(ferry, t)
    ferry.fake.control.fault("throttle", op="BatchGetItem", where={"TableName": stuck.name}, times=-1)
    offsets = {t: [ask_large(ferry, t, number) for number in range(8)] for t in (stuck, table)}
    wait_handled(ferry, table, offsets[table][-1])
    assert handled(ferry, stuck) <= offsets[stuck][0]
    ferry.fake.control.clear()
    wait_handled(ferry, stuck, offsets[stuck][-1])
    for t in (table, stuck):
        found = [int(r.headers["signal"]) for r in repairs(ferry, t)]
        by_partition = {}
        for r in repairs(ferry, t):
            by_partition.setdefault(r.partition, []).append(int(r.headers["signal"]))
        assert sorted(set(found)) == offsets[t]
        assert len(found) == 8 * 60
        assert all(order == sorted(order) for order in by_partition.values())


def ask_large(bridge, table, number):
    """120 KB of keys that do not exist."""
    return ask_repair(bridge, table, [{"pk": {"S": f"{number}-{i}-" + "x" * 2000}} for i in range(60)])


# --- beside changes ---


def test_a_row_stands_before_the_changes_that_come_while_its_answer_is_under_way(ferry):
    table, writer, _ = begin(ferry, seed=78, keys=20)
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    ferry.wait_caught_up()
    before = {r.key: r.after["v"]["N"] for r in ferry.log(table) if r.after}
    fault = ferry.fake.control.fault("hold", op="BatchGetItem", when="after")
    absent = {"pk": {"S": "made meanwhile"}}
    offset = ask_repair(ferry, table, writer.keys[:10] + [absent])
    assert ferry.fake.control.wait_held(fault)
    polls = ferry.fake.control.requests()
    for index in range(10):
        writer.put(index)
    ferry.dynamodb.put_item(TableName=table.name, Item={**absent, "v": {"N": "1"}})
    # A reader holds what it received until it is appended, so a second request says that it was appended.
    assert ferry.fake.control.wait_requests("GetRecords", 1, since=polls)
    since = ferry.fake.control.requests()
    assert not ferry.fake.control.wait_requests("GetRecords", 2, since=since, timeout=1)
    ferry.fake.control.release(id=fault)
    wait_handled(ferry, table, offset)
    ferry.wait_caught_up()
    complain(ferry.verify_log(table))
    for r in repairs(ferry, table):
        later = [o for o in ferry.log(table) if o.key == r.key and o.is_change and o.offset > r.offset]
        assert later, f"{r}: the change that came meanwhile stands before it"
        assert r.op == "d" if r.keys == absent else r.after["v"]["N"] == before[r.key]


@pytest.mark.parametrize("kind", ["throttle", "throttling", "500", "cut", "cut_json", "wrong_crc"])
def test_refused_and_cut_answers_are_asked_for_again(ferry, kind):
    table, writer, _ = begin(ferry, seed=79, keys=40)
    ferry.consumer()
    wait_placed(ferry, table)
    writer.start()
    more = {"when": "middle"} if kind == "cut" else {}
    fault = ferry.fake.control.fault(kind, op="BatchGetItem", times=4, **more)
    offset = ask_repair(ferry, table, writer.keys[: writer.ordinary] + [{"pk": {"S": "none"}}])
    assert ferry.fake.control.wait_used(fault, timeout=60)
    wait_handled(ferry, table, offset)
    ferry.settle()
    ferry.verify()
    assert len({r.key for r in repairs(ferry, table)}) == 41


def test_unprocessed_keys_are_asked_for_until_none_is_left(ferry):
    table, writer, _ = begin(ferry, seed=80, keys=40)
    wait_placed(ferry, table)
    writer.start()
    ferry.fake.control.set(max_batch_keys=7)
    offset = ask_repair(ferry, table, writer.keys[: writer.ordinary] + [{"pk": {"S": "none"}}])
    wait_handled(ferry, table, offset)
    ferry.stop_writers()
    ferry.wait_caught_up()
    complain(ferry.verify_log(table))
    assert len(repairs(ferry, table, offset)) == 41
    sizes = [len(e["fields"]["Keys"]) for e in ferry.fake.control.log("BatchGetItem")]
    assert sizes == [41, 34, 27, 20, 13, 6]


def test_a_request_that_the_service_refuses_for_good_is_refused(ferry):
    """A key longer than DynamoDB allows, for one."""
    table, writer, producer = begin(ferry, seed=81, keys=10)
    wait_placed(ferry, table)
    error = {"name": "ValidationException", "message": "Size of hashkey has exceeded the maximum size limit"}
    ferry.fake.control.fault("error", op="BatchGetItem", **error)
    offset = ask_repair(ferry, table, writer.keys[:3])
    wait_handled(ferry, table, offset)
    ((refused, line),) = refusals(producer)
    assert refused == offset and "exceeded the maximum size" in line
    wait_handled(ferry, table, ask_repair(ferry, table, writer.keys[:3]))
    assert len(repairs(ferry, table)) == 3


# --- interrupted ---


@pytest.mark.parametrize("moment", ["asked", "half"])
def test_a_request_under_way_at_a_kill_is_handled_by_the_next_owner(ferry, moment):
    """Also when a part of its items is committed already."""
    table, writer, producer = begin(ferry, seed=82, keys=40)
    ferry.consumer()
    wait_placed(ferry, table)
    ferry.wait_caught_up()
    writer.start()
    if moment == "half":
        ferry.fake.control.set(max_batch_keys=10)
    skip = 2 if moment == "half" else 0
    fault = ferry.fake.control.fault("hold", op="BatchGetItem", skip=skip)
    offset = ask_repair(ferry, table, writer.keys[: writer.ordinary])
    later = ask_repair(ferry, table, [{"pk": {"S": "none"}}])
    assert ferry.fake.control.wait_held(fault)
    wanted = 20 if moment == "half" else 0
    wait_until(lambda: len(repairs(ferry, table, offset)) >= wanted, 30, "the first part", ferry.running())
    producer.kill9()
    assert handled(ferry, table) <= offset
    ferry.fake.control.clear()
    ferry.producer()
    wait_handled(ferry, table, later)
    ferry.settle()
    ferry.verify()
    assert len({r.key for r in repairs(ferry, table, offset)}) == 40
    assert len(repairs(ferry, table, later)) == 1


def test_kills_at_any_moment_skip_no_request(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=83, keys=40, rate=60)
    writer.fill()
    bridge.producer()
    bridge.consumer()
    wait_placed(bridge, table)
    writer.start()
    offsets = []
    for turn in range(3):
        offsets += [ask_repair(bridge, table, writer.keys[n : n + 4]) for n in range(0, 40, 4)]
        goal = offsets[-1 - 4 * turn]
        wait_until(lambda: handled(bridge, table) >= goal, 60, "some requests", bridge.running())
        bridge.programs[-1 if turn else 0].kill9()
        bridge.producer()
    wait_handled(bridge, table, offsets[-1])
    bridge.settle()
    bridge.verify()
    assert {int(r.headers["signal"]) for r in repairs(bridge, table)} == set(offsets)


# Three tables of one handle: what must be lost by an abort is appended to the first, a batch of the second
# is cut, and the third is there for a commit right before. So the whole scene is one transaction, for
# which it has five seconds.
ONE_HANDLE = {"ledger.partitions": 1, "commit.interval.ms": 5000}


def abort(ferry, producer, batch):
    ferry.fake.control.release(id=batch)
    wait_until(lambda: "transaction aborted" in producer.log(), 30, "an aborted transaction", [producer])


def test_an_abort_takes_the_handled_offset_back(ferry):
    """Of a transaction that holds repaired items; another table of the same handle is its cause."""
    table, other, third = (ferry.add_table() for _ in range(3))
    writer = ferry.writer(table, seed=84, keys=20)
    writer.fill()
    producer = ferry.producer(ONE_HANDLE)
    for t in (table, other, third):
        wait_phase(ferry, t, "tail")
        wait_placed(ferry, t)
    answer = ferry.fake.control.fault("hold", op="BatchGetItem")
    offset = ask_repair(ferry, table, writer.keys[:20])
    assert ferry.fake.control.wait_held(answer)
    batch = held_cut_batch(ferry, other)
    wait_commit(ferry, producer, third)
    ferry.fake.control.release(id=answer)
    repaired = lambda: producer.metric("dynaferry_producer_repaired_total", table=table.name)
    wait_until(lambda: repaired() >= 20, 30, "the appended items", [producer])
    abort(ferry, producer, batch)
    wait_handled(ferry, table, offset)
    assert repaired() == 40, "they were committed before the abort"
    assert len(repairs(ferry, table, offset)) == 20
    complain(ferry.verify_log(table))


def test_an_answer_from_before_an_abort_is_asked_for_again(ferry):
    """By a table that lost something with the abort."""
    table, other, third = (ferry.add_table() for _ in range(3))
    writer = ferry.writer(table, seed=85, keys=20)
    writer.fill()
    producer = ferry.producer(ONE_HANDLE)
    for t in (table, other, third):
        wait_phase(ferry, t, "tail")
        wait_placed(ferry, t)
    ferry.wait_caught_up()
    fault = ferry.fake.control.fault("hold", op="BatchGetItem", when="after")
    batch = held_cut_batch(ferry, other)
    wait_commit(ferry, producer, third)
    changes = lambda: producer.metric("dynaferry_producer_changes_total", table=table.name)
    before = changes()
    writer.put(0)
    wait_until(lambda: changes() > before, 30, "an appended change", [producer])
    offset = ask_repair(ferry, table, writer.keys[:20])
    assert ferry.fake.control.wait_held(fault)
    abort(ferry, producer, batch)
    ferry.fake.control.release(id=fault)
    wait_handled(ferry, table, offset)
    assert len(ferry.fake.control.log("BatchGetItem")) == 2
    assert len(repairs(ferry, table, offset)) == 20
    complain(ferry.verify_log(table))


# --- tables that are halted, other modes ---


def test_a_table_in_a_gap_refuses_and_goes_on_refusing_after_a_restart(ferry):
    table, writer, producer = begin(ferry, seed=86, keys=10, on_gap="fail")
    wait_phase(ferry, table, "tail")
    wait_placed(ferry, table)
    ferry.wait_caught_up()
    producer.sigterm()
    ferry.fake.control.new_stream(table.name)
    for _ in range(2):
        program = ferry.producer({"on_gap": "fail"})
        wait_phase(ferry, table, "gap")
        offset = ask_repair(ferry, table, writer.keys[:5])
        wait_handled(ferry, table, offset)
        refused, line = refusals(program)[-1]
        assert refused == offset and "phase gap" in line and "another stream" in line
        assert ferry.phase(table) == "gap"
        program.sigterm()
    assert repairs(ferry, table) == []


def test_a_refusal_that_was_aborted_is_made_again_and_the_table_stands_still(ferry):
    table, other, third = (ferry.add_table() for _ in range(3))
    producer = ferry.producer(ONE_HANDLE)
    for t in (table, other, third):
        wait_phase(ferry, t, "tail")
        wait_placed(ferry, t)
    producer.sigterm()
    ferry.fake.control.new_stream(table.name)
    producer = ferry.producer({**ONE_HANDLE, "on_gap": "fail"})
    wait_phase(ferry, table, "gap")
    batch = held_cut_batch(ferry, other)
    wait_commit(ferry, producer, third)
    offset = ask_repair(ferry, table, [{"pk": {"S": "a"}}])
    wait_until(lambda: refusals(producer), 30, "the refusal", [producer])
    abort(ferry, producer, batch)
    wait_handled(ferry, table, offset)
    assert [o for o, _ in refusals(producer)] == [offset, offset], "it was committed before the abort"
    assert ferry.phase(table) == "gap" and producer.log().count("table halted") == 1


def test_a_deleted_table_refuses(bridge):
    table = bridge.add_table()
    producer = bridge.producer()
    wait_phase(bridge, table, "tail")
    wait_placed(bridge, table)
    bridge.dynamodb.delete_table(TableName=table.name)
    offset = ask_repair(bridge, table, [{"pk": {"S": "a"}}])
    wait_handled(bridge, table, offset)
    ((refused, line),) = refusals(producer)
    assert refused == offset and "phase gone" in line
    assert bridge.phase(table) == "gone" and repairs(bridge, table) == []


def test_a_repair_beside_a_snapshot_without_changes(ferry):
    """sync_mode full: taken while pages come, and the program still ends by itself."""
    table = ferry.add_table(stream=None)
    ferry.source = lambda _: topic_check.Source([], table.key_schema)
    writer = ferry.writer(table, seed=87, keys=60)
    writer.fill()
    fault = ferry.fake.control.fault("hold", op="Scan", skip=2)
    settings = {"sync_mode": "full", "qps.full.batch_num": 10, "full.read.concurrency": 1}
    producer = ferry.producer(settings)
    assert ferry.fake.control.wait_held(fault)
    wait_placed(ferry, table)
    offset = ask_repair(ferry, table, writer.keys[:20] + [{"pk": {"S": "none"}}])
    wait_handled(ferry, table, offset)
    ferry.fake.control.release(id=fault)
    assert producer.wait(60) == 0, producer.story()
    assert len(repairs(ferry, table, offset)) == 21
    complain(ferry.verify_log(table))


def test_a_repair_beside_a_snapshot_and_changes(ferry):
    table = ferry.add_table()
    writer = ferry.writer(table, seed=88, keys=200, rate=100)
    writer.fill()
    slow = ferry.fake.control.fault("delay", op="Scan", seconds=2, times=-1, predicate=from_producer)
    settings = {"qps.full.batch_num": 5, "full.read.concurrency": 2}
    ferry.producer(settings)
    ferry.consumer(settings)
    wait_placed(ferry, table)
    writer.start()
    offsets = [ask_repair(ferry, table, writer.keys[n : n + 20]) for n in range(0, 200, 20)]
    wait_handled(ferry, table, offsets[-1])
    assert ferry.phase(table) == "snapshot", "the requests did not meet the snapshot"
    ferry.fake.control.release(id=slow)
    wait_phase(ferry, table, "tail", 120)
    ferry.settle(90)
    ferry.verify()
    assert {int(r.headers["signal"]) for r in repairs(ferry, table)} == set(offsets)


def test_a_generation_without_rows_is_repaired_too(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=89, keys=10)
    writer.fill()
    bridge.producer({"sync_mode": "incr"})
    wait_placed(bridge, table)
    offset = ask_repair(bridge, table, writer.keys[:10])
    wait_handled(bridge, table, offset)
    assert len(repairs(bridge, table, offset)) == 10


def test_a_table_of_an_older_ledger_takes_requests_from_the_restart_on(bridge):
    """Its record says -1."""
    table = bridge.add_table()
    writer = bridge.writer(table, seed=90, keys=10)
    writer.fill()
    producer = bridge.producer()
    wait_placed(bridge, table)
    bridge.wait_caught_up()
    producer.sigterm()
    early = ask_repair(bridge, table, writer.keys[:5])
    key = f"table/{table.name}"
    record = {**bridge.ledger()[0][key], "signal_offset": -1}
    put_ledger(bridge, table, key, record)
    assert handled(bridge, table) == -1
    bridge.producer()
    wait_placed(bridge, table)
    late = ask_repair(bridge, table, writer.keys[5:10])
    wait_handled(bridge, table, late)
    assert repairs(bridge, table, early) == [] and len(repairs(bridge, table, late)) == 5


def put_ledger(bridge, table, key, record):
    producer = confluent_kafka.Producer({"bootstrap.servers": bridge.parts.kafka})
    place = bridge.ledger()[0][f"place/{table.name}"]["partition"]
    producer.produce(f"{bridge.prefix}-ledger", json.dumps(record).encode(), key, partition=place)
    assert producer.flush(30) == 0


def test_nothing_else_is_the_worse_for_a_deleted_signal_topic(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=91, keys=20, rate=60)
    writer.fill()
    producer = bridge.producer()
    bridge.consumer()
    wait_placed(bridge, table)
    for key in writer.keys[:2]:
        wait_handled(bridge, table, ask_repair(bridge, table, [key]))
    writer.start()
    delete_topic(bridge, signal_topic(bridge))
    wait_told(bridge, producer, "signals can't be read now")
    write_on(bridge, writer, 100)
    bridge.settle()
    bridge.verify()
    assert producer.get("/healthz")[0] == 200
    # Made anew, its offsets begin at 0: what is below the handled one is not for the table.
    create_topic(bridge, signal_topic(bridge))
    wait_told(bridge, producer, "was the topic made anew?")
    offsets = [ask_repair(bridge, table, [key]) for key in writer.keys[:3]]
    assert offsets == [0, 1, 2]
    wait_handled(bridge, table, 2)
    assert [int(r.headers["signal"]) for r in repairs(bridge, table) if r.key == writer.texts[2]] == [2]
    assert len(repairs(bridge, table)) == 3
    producer.sigterm()


def wait_told(bridge, program, text):
    wait_until(lambda: text in program.log(), 60, f"the log tells: {text}", bridge.running())


def create_topic(bridge, topic):
    new = confluent_kafka.admin.NewTopic(topic, num_partitions=1, replication_factor=1)

    def made():  # a name that is still being deleted is refused
        try:
            for future in bridge.admin.create_topics([new], operation_timeout=20).values():
                future.result()
        except confluent_kafka.KafkaException:
            return False
        return True

    wait_until(made, 30, f"{topic} made anew", bridge.running())


def delete_topic(bridge, topic):
    for future in bridge.admin.delete_topics([topic], operation_timeout=20).values():
        future.result()
