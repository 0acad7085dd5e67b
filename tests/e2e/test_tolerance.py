"""errors.tolerance = none: what can't be sent or applied halts its table or partition, and nothing is left out."""

import pytest
from support.bridge import complain
from support.oracle import KeySchema
from support.refusing import (
    ONE_PARTITION,
    ferry,  # noqa: F401 (a fixture)
    fill,
    letters_of,
    lines,
    proxy,  # noqa: F401 (a fixture)
    put,
    wait_halted,
    wait_well,
)
from support.running import wait_until

NONE = {"errors.tolerance": "none"}
SMALLEST_LIMIT = 69632  # that topic.max.message.bytes may have
TOO_LARGE = {"S": "x" * SMALLEST_LIMIT}
VALIDATION_FAILED = 121  # a record's own fault


def record(ferry, table):
    return ferry.ledger()[0].get(f"table/{table.name}", {})


def wait_phase(ferry, table, phase, seconds=60):
    found = lambda: record(ferry, table).get("phase") == phase
    wait_until(found, seconds, f"phase {phase} of {table.name}", ferry.running())
    return record(ferry, table)["reason"]


def wait_in_log(ferry, table, key):
    found = lambda: any(r.keys and r.keys.get("pk") == {"S": key} for r in ferry.log(table))
    wait_until(found, 60, f"{key} in the log", ferry.running())


def check_nothing_left_out(ferry, table):
    complain(ferry.verify_log(table))
    assert not letters_of(ferry, table)
    assert not [r for r in ferry.log(table) if r.control == "skipped"]


# --- the producer ---


@pytest.mark.parametrize("kind", ["row", "change"])
def test_a_record_that_is_too_large_halts_its_table_alone(ferry, kind):
    """Its neighbour shares transactions with it. A row whose item is deleted is no more cause for a halt."""
    ferry.settings.update({"topic.max.message.bytes": SMALLEST_LIMIT, "ledger.partitions": 1, **NONE})
    table, other = ferry.add_table(), ferry.add_table()
    fill(ferry, table, 10)
    if kind == "row":
        put(ferry, table, "large", text=TOO_LARGE)
    producer = ferry.producer()
    if kind == "change":
        wait_phase(ferry, table, "tail")
        put(ferry, table, "large", text=TOO_LARGE)
    reason = wait_phase(ferry, table, "failed")
    assert '{"pk":{"S":"large"}}' in reason and "larger than topic.max.message.bytes" in reason
    told = lambda: lines(producer, "table halted", f"table={table.name} ", "large")
    wait_until(told, 20, "the halt in the log", [producer])
    wait_phase(ferry, other, "tail")
    put(ferry, other, "beside")
    wait_in_log(ferry, other, "beside")
    check_nothing_left_out(ferry, other)
    assert not letters_of(ferry, table)
    assert producer.metric("dynaferry_producer_dead_letters_total", table=table.name) == 0
    if kind == "row":
        ferry.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "large"}})
        halted_by_its_change(ferry, table)
    tolerate(ferry, table, producer)


def halted_by_its_change(ferry, table):
    """The row is gone; the change that put it is still in the stream."""
    wait_until(
        lambda: any(r.control == "snapshot-end" for r in ferry.log(table)), 60, "the rows", ferry.running()
    )
    wait_phase(ferry, table, "failed")


def tolerate(ferry, table, producer):
    """With the default it goes on where it was: the record becomes a dead letter."""
    producer.sigterm()
    ferry.producer({"errors.tolerance": "all"})
    wait_phase(ferry, table, "tail")
    put(ferry, table, "behind")
    wait_in_log(ferry, table, "behind")
    letters = letters_of(ferry, table)
    assert [letter["keys"]["pk"]["S"] for letter in letters] == ["large"]
    complain(ferry.verify_log(table))


def test_what_the_broker_refused_is_sent_once_it_takes_it(ferry):
    """It was refused alone, and is not taken for poison for good."""
    ferry.settings.update({"full.read.concurrency": 1, "ledger.partitions": 1, **NONE})
    table = ferry.add_table(KeySchema(("pk",), ("S",)))
    fill(ferry, table, 3)
    ferry.producer()
    wait_phase(ferry, table, "tail")
    ferry.limit_messages(table, 20_000)
    put(ferry, table, "large", noise={"B": noise(60_000)})
    put(ferry, table, "small")
    reason = wait_phase(ferry, table, "failed", 90)
    assert '{"pk":{"S":"large"}}' in reason and "refused by Kafka" in reason
    ferry.limit_messages(table, 8_388_608)
    wait_phase(ferry, table, "tail", 90)
    for key in "large", "small":
        wait_in_log(ferry, table, key)
    ferry.wait_caught_up(90)
    check_nothing_left_out(ferry, table)


def noise(size):
    import random

    return random.Random(1).randbytes(size)


# --- the consumer ---


def halted_partition(ferry, table, consumer, offset):
    line = wait_halted(consumer, table, "partition halted")
    assert f"offset {offset}" in line, line
    assert ferry.position(table, 0)["offset"] <= offset
    assert not letters_of(ferry, table)
    assert consumer.metric("dynaferry_consumer_dead_letters_total", table=table.name) == 0
    return line


def offset_of(ferry, table, key):
    return next(r.offset for r in ferry.log(table) if r.keys and r.keys.get("pk") == {"S": key})


def test_a_record_that_mongodb_refuses_halts_its_partition_until_it_is_taken(ferry):
    ferry.settings.update(ONE_PARTITION, **NONE)
    table = ferry.add_table()
    fill(ferry, table, 10)
    put(ferry, table, "odd", t={"S": "unlucky"})
    ferry.producer()
    ferry.wait_caught_up()
    where = {"collection": table.name}
    ferry.proxy.control.fault(
        "write_error", op="update", where=where, code=VALIDATION_FAILED, message="no", text="unlucky", times=-1
    )
    consumer = ferry.consumer()
    line = halted_partition(ferry, table, consumer, offset_of(ferry, table, "odd"))
    assert "no" in line
    put(ferry, table, "behind")
    ferry.wait_caught_up()
    ferry.proxy.control.clear()
    ferry.wait_applied()
    wait_well(consumer, [table])
    ferry.verify()
    assert not letters_of(ferry, table)


def test_a_record_that_can_not_be_a_document_halts_its_partition(ferry):
    """With the default it goes on where it was: the record becomes a dead letter."""
    ferry.settings.update(ONE_PARTITION, **NONE, **{"convert.type": "change"})
    table = ferry.add_table()
    fill(ferry, table, 3)
    put(ferry, table, "odd", **{"$a": {"S": "name"}})
    ferry.producer()
    ferry.wait_caught_up()
    consumer = ferry.consumer()
    line = halted_partition(ferry, table, consumer, offset_of(ferry, table, "odd"))
    assert "$" in line
    consumer.sigterm()
    ferry.consumer({"errors.tolerance": "all"})
    ferry.wait_applied()
    ferry.verify("change")
    assert {letter["keys"]["pk"]["S"] for letter in letters_of(ferry, table)} == {"odd"}  # its row and its change


def test_a_message_that_is_no_event_halts_its_partition(ferry):
    import confluent_kafka

    ferry.settings.update(ONE_PARTITION, **NONE)
    table = ferry.add_table()
    fill(ferry, table, 3)
    ferry.producer()
    ferry.wait_caught_up()
    offsets = []
    stranger = confluent_kafka.Producer({"bootstrap.servers": ferry.parts.kafka})
    note = lambda error, message: offsets.append(message.offset())
    stranger.produce(ferry.topic(table), b"not ours", b"k", partition=0, on_delivery=note)
    assert stranger.flush(30) == 0
    consumer = ferry.consumer()
    halted_partition(ferry, table, consumer, offsets[0])
    consumer.sigterm()
    ferry.consumer({"errors.tolerance": "all"})
    wait_until(lambda: ferry.position(table, 0).get("offset", -1) > offsets[0], 60, "it passed", ferry.running())
    letters, problems = ferry.dead_letters()
    assert not problems and [letter["offset"] for letter in letters] == offsets
