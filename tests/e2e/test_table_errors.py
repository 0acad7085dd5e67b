"""What an error of the source means for a table: what is refused for a moment is waited out, what is said not to
exist is doubted and asked again, and only what is proven becomes a phase, which a start with everything back
undoes.
"""

import json
import re

import confluent_kafka
import pytest
from support.oracle import KeySchema
from support.repair_requests import ask_repair, repairs, wait_handled, wait_placed
from support.running import wait_until
from support.scripted_source import (
    asked, ferry, from_producer, given_up, patient, put, settle_log, wait_asked, wait_healthy, wait_phase,
)  # fmt: skip
from support.workload import Table

NEVER = -1


def refuse(ferry, op, table=None, kind="not_found", times=3, **more):
    """These requests of the producer (about this table) are refused."""
    where = {"TableName": table.name} if table else {}
    return ferry.fake.control.fault(
        kind, op=op, where=where, times=times, predicate=from_producer, **more
    )


def used_up(ferry, fault, seconds=60):
    """The refusals were met, and no table was given up for them."""

    def met():
        assert not given_up(ferry), given_up(ferry)
        return ferry.fake.control.wait_used(fault, 0.1)

    wait_until(met, seconds, "the refusals to be met", ferry.running())


def well(ferry, producer):
    """Everything is carried, in the generations that began first."""
    for table in ferry.tables:
        over = lambda: ferry.phase(table) == "tail" or given_up(ferry, table)
        wait_until(over, 60, f"{table.name} to be carried", ferry.running())
        assert not given_up(ferry, table), given_up(ferry, table)
        put(ferry, table, 1000, "at last")
    settle_log(ferry)
    wait_healthy(producer)


def carried(ferry, count=1, **settings):
    """A producer that carries so many tables; it is stopped again."""
    tables = [ferry.add_table() for _ in range(count)]
    for table in tables:
        put(ferry, table, 1)
    producer = ferry.producer(settings)
    for table in tables:
        wait_phase(ferry, table, "tail")
    ferry.wait_caught_up()
    return tables, producer


# --- "does not exist", a few times, of what is there ---


def test_a_new_table_that_is_not_described_yet_is_waited_for(ferry):
    first = ferry.add_table()
    put(ferry, first, 1)
    producer = ferry.producer({"filter.collection.white": None})
    wait_phase(ferry, first, "tail")
    new = f"t{ferry.tag}.new"
    fault = ferry.fake.control.fault(
        "not_found", op="DescribeTable", where={"TableName": new}, times=3, predicate=from_producer
    )
    second = ferry.add_table(name=new)
    put(ferry, second, 1)
    used_up(ferry, fault)
    well(ferry, producer)


@pytest.mark.parametrize("op", ["DescribeTable", "DescribeStream", "GetShardIterator", "GetRecords", "Scan"])
def test_a_table_that_starts_for_the_first_time_outlives_answers_that_it_does_not_exist(ferry, op):
    table = ferry.add_table()
    for number in range(20):
        put(ferry, table, 1, f"k{number}")
    fault = refuse(ferry, op, table)
    producer = ferry.producer()
    used_up(ferry, fault)
    well(ferry, producer)


@pytest.mark.parametrize("op", ["DescribeTable", "DescribeStream", "GetShardIterator", "GetRecords"])
def test_a_table_that_goes_on_outlives_answers_that_it_does_not_exist(ferry, op):
    """At a restart; its shard closed meanwhile, so that all of them are asked."""
    (table,), producer = carried(ferry)
    producer.sigterm()
    put(ferry, table, 2)
    ferry.fake.control.roll(table.name)
    put(ferry, table, 3)
    fault = refuse(ferry, op, table)
    producer = ferry.producer()
    used_up(ferry, fault)
    well(ferry, producer)


@pytest.mark.parametrize("op", ["DescribeStream", "GetShardIterator", "GetRecords"])
def test_a_running_table_outlives_answers_that_its_stream_does_not_exist(ferry, op):
    (table,), producer = carried(ferry)
    fault = refuse(ferry, op, table)
    ferry.fake.control.roll(table.name)
    put(ferry, table, 2)
    used_up(ferry, fault)
    well(ferry, producer)


def test_a_running_table_whose_stream_is_doubted_outlives_a_description_that_does_not_know_it(ferry):
    """Whatever is asked to confirm the first refusal is refused, too."""
    (table,), producer = carried(ferry)
    faults = [refuse(ferry, op, table, times=2) for op in ("DescribeTable", "DescribeStream", "GetShardIterator")]
    ferry.fake.control.roll(table.name)
    put(ferry, table, 2)
    used_up(ferry, faults[2])
    well(ferry, producer)


def test_a_repair_outlives_answers_that_the_table_does_not_exist(ferry):
    (table,), producer = carried(ferry)
    wait_placed(ferry, table)
    fault = refuse(ferry, "BatchGetItem", table)
    offset = ask_repair(ferry, table, [{"pk": {"S": "x"}}])
    used_up(ferry, fault)
    wait_handled(ferry, table, offset)
    assert len(repairs(ferry, table, offset)) == 1
    well(ferry, producer)


# --- a place where nothing is (another region, another account), and back ---


def empty_place(ferry, known=()):
    """No table of ours is known to the service; `known` are the names that it lists."""
    text = json.dumps({"TableNames": list(known)})
    ferry.fake.control.fault("body", op="ListTables", text=text, times=NEVER, predicate=from_producer)
    for table in ferry.tables:
        refuse(ferry, "*", table, times=NEVER)


@pytest.mark.parametrize("doubt", [None, 500], ids=["a short visit", "longer than the doubt"])
def test_one_start_in_the_wrong_region_harms_no_table(ferry, doubt):
    """Back in the right one all go on where they were: the same ids, the same generations, nothing lost."""
    tables, producer = carried(ferry, 2)
    producer.sigterm()
    for table in tables:
        put(ferry, table, 2)
    empty_place(ferry)
    since = ferry.fake.control.requests()
    producer = ferry.producer({"source.doubt.ms": doubt} if doubt else {})
    if doubt:
        for table in tables:
            wait_phase(ferry, table, "gone")
    else:
        for table in tables:
            wait_asked(ferry, 3, "DescribeTable", table, since)
            assert ferry.phase(table) == "tail"
    producer.sigterm()
    ferry.fake.control.clear()
    producer = ferry.producer()
    for table in tables:
        wait_phase(ferry, table, "tail")
    well(ferry, producer)


def test_a_table_that_is_gone_and_comes_back_with_its_id_goes_on(ferry):
    """While the producer runs it is gone for longer than the doubt, and its neighbour is not touched."""
    (table, other), producer = carried(ferry, 2, **{"source.doubt.ms": 500})
    text = json.dumps({"TableNames": [other.name]})
    ferry.fake.control.fault("body", op="ListTables", text=text, times=NEVER, predicate=from_producer)
    refuse(ferry, "*", table, times=NEVER)
    (found,) = wait_until(lambda: given_up(ferry, table), 90, "the table to be gone", [producer])
    assert found[0] == "gone", found
    put(ferry, other, 2)
    ferry.wait_caught_up(tables=[other])
    producer.sigterm()
    put(ferry, table, 2)
    ferry.fake.control.clear()
    producer = ferry.producer()
    wait_phase(ferry, table, "tail")
    well(ferry, producer)


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "made again"])
def test_a_table_that_is_deleted_is_gone_after_the_doubt_and_made_again_it_is_a_gap(ferry, again):
    (table, other), producer = carried(ferry, 2, **{"source.doubt.ms": 500})
    ferry.dynamodb.delete_table(TableName=table.name)
    wait_phase(ferry, table, "gone", 90)
    put(ferry, other, 2)
    ferry.wait_caught_up(tables=[other])
    producer.sigterm()
    if again:
        ferry.tables.remove(table)
        table = ferry.add_table(name=table.name)
    ferry.producer({"source.doubt.ms": 500, "on_gap": "fail"})
    put(ferry, other, 3)
    ferry.wait_caught_up(tables=[other])
    wait_phase(ferry, table, "gap" if again else "gone")


# --- refused for a moment ---

EXPIRED = {
    "kind": "error", "name": "ExpiredTokenException",
    "message": "The security token included in the request is expired",
}  # fmt: skip
DENIALS = {
    "access denied": {"kind": "access_denied"},
    "expired token": EXPIRED,
    "a proxy's 403": {"kind": "body", "text": "<html>denied by the proxy</html>", "status": 403},
    "a proxy's 404": {"kind": "body", "text": "<html>nothing here</html>", "status": 404},
}


FIRST_START = [("DescribeTable", denial) for denial in DENIALS] + [
    (op, denial)
    for op in ("DescribeStream", "UpdateTable", "Scan")
    for denial in ("access denied", "a proxy's 404")
]


@pytest.mark.parametrize("op, denial", FIRST_START)
def test_a_denial_at_the_first_start_of_a_table_is_waited_out(ferry, op, denial):
    table = ferry.add_table(stream=None if op == "UpdateTable" else "NEW_IMAGE")
    put(ferry, table, 1)
    done_once = op == "UpdateTable" and DENIALS[denial]["kind"] == "body"  # a proxy hides what was answered
    fault = refuse(ferry, op, table, **{"times": 1 if done_once else 3, **DENIALS[denial]})
    producer = ferry.producer()
    used_up(ferry, fault)
    well(ferry, producer)


@pytest.mark.parametrize(
    "op, denial",
    [("GetShardIterator", "access denied"), *(("DescribeTable", denial) for denial in DENIALS)],
)
def test_a_denial_when_a_table_goes_on_is_waited_out(ferry, op, denial):
    (table,), producer = carried(ferry)
    producer.sigterm()
    put(ferry, table, 2)
    fault = refuse(ferry, op, table, **DENIALS[denial])
    producer = ferry.producer()
    used_up(ferry, fault)
    well(ferry, producer)


@pytest.mark.parametrize("denial", ["access denied", "a proxy's 404"])
def test_a_denial_when_a_handle_is_opened_anew_is_waited_out(ferry, denial):
    """Another handle of its transactional id fences the producer's, which then starts its tables again."""
    (table,), producer = carried(ferry, **{"ledger.partitions": 1})
    fault = refuse(ferry, "DescribeTable", table, **DENIALS[denial])
    other = confluent_kafka.Producer(
        {"bootstrap.servers": ferry.parts.kafka, "transactional.id": f"{ferry.prefix}-0"}
    )
    other.init_transactions(30)
    put(ferry, table, 2)
    used_up(ferry, fault)
    well(ferry, producer)


def lines_about(producer, table, words):
    lines = producer.log().splitlines()
    return [
        line for line in lines if re.search(r"level=(warn|error)", line) and table.name in line and words in line
    ]


WHEN = {"first start": "DescribeTable", "going on": "DescribeTable", "running": "GetRecords"}


@pytest.mark.parametrize("when", WHEN)
def test_a_denial_that_lasts_makes_the_table_unhealthy_with_its_reason_and_one_line(ferry, when):
    settings = {"health.limit.ms": 2000}
    if when == "first start":
        table, other = ferry.add_table(), ferry.add_table()
    else:
        (table, other), producer = carried(ferry, 2, **settings)
    if when == "going on":
        producer.sigterm()
    since = ferry.fake.control.requests()
    fault = refuse(ferry, WHEN[when], table, kind="access_denied", times=NEVER)
    if when != "running":
        producer = ferry.producer(settings)
    wait_asked(ferry, 6, WHEN[when], table, since)
    put(ferry, other, 2)
    wait_phase(ferry, other, "tail")

    def told():
        status, text = producer.get("/healthz")
        return status == 503 and f"table {table.name}" in text and "AccessDenied" in text

    wait_until(told, 60, "red health with the reason", [producer])
    assert other.name not in producer.get("/healthz")[1]
    assert len(lines_about(producer, table, "AccessDenied")) == 1
    ferry.fake.control.release(fault)
    well(ferry, producer)


# --- a topic that is made late ---


def being_created(ferry, name):
    """A table that stays in the state CREATING."""
    table = Table(name, KeySchema(("pk",), ("S",)))
    ferry.fake.control.set(creating_calls=NEVER)
    ferry.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    ferry.tables.append(table)
    return table


def test_a_topic_that_is_made_long_after_its_table_was_found_is_written_to(ferry):
    """The table is being created (restored) for longer than the Kafka client waits for a topic to appear."""
    appear_ms = 1000
    first = ferry.add_table()
    put(ferry, first, 1)
    settings = {"filter.collection.white": None, "kafka.topic.metadata.propagation.max.ms": appear_ms}
    producer = ferry.producer(settings)
    wait_phase(ferry, first, "tail")
    second = being_created(ferry, f"t{ferry.tag}.restored")

    def asked_for_long():
        entries = asked(ferry, "DescribeTable", TableName=second.name)
        return len(entries) > 1 and entries[-1]["start"] - entries[0]["start"] > 3 * appear_ms / 1000

    wait_until(asked_for_long, 60, "the table to be looked at for long", [producer])
    ferry.fake.backend.table(second.name).status = "ACTIVE"
    put(ferry, second, 1)
    well(ferry, producer)
