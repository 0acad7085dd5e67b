"""Records that the broker refuses: each alone becomes a dead letter, whatever it was sent with."""

import random

import pytest
from support import topic_check
from support.bridge import complain
from support.oracle import KeySchema
from support.running import wait_until
from support.scripted_source import ferry, from_producer, wait_phase, write_on

LIMIT = 100_000  # bytes of a batch that the topic takes from some moment on
ONE_PARTITION = KeySchema(("pk", "sk"), ("S", "N"))


def item(number, noise=0):
    """All in one Kafka partition; noise stays as large when it is compressed."""
    bytes_ = random.Random(number).randbytes(noise)
    return {"pk": {"S": "one"}, "sk": {"N": str(number)}, "v": {"N": "1"}, "noise": {"B": bytes_}}


def put(bridge, table, items):
    for each in items:
        bridge.dynamodb.put_item(TableName=table.name, Item=each)


def letters_of(bridge, table):
    letters, problems = bridge.dead_letters()
    complain(problems)
    return [letter for letter in letters if letter["table"] == table.name]


def check_dead(bridge, table, numbers):
    """One dead letter and one `skipped` for each of these, and all else is in the log as the source has it."""
    complain(bridge.verify_log(table))
    letters = letters_of(bridge, table)
    assert sorted(int(letter["keys"]["sk"]["N"]) for letter in letters) == numbers
    assert all(letter["stage"] == "producer" and "too large" in letter["reason"] for letter in letters)
    complain(topic_check.check_refused(bridge.log(table), letters))
    skipped = [int(r.keys["sk"]["N"]) for r in bridge.log(table) if r.control == "skipped"]
    assert sorted(skipped) == numbers


def two_tables(ferry):
    """One whose topic will refuse records, and a neighbour on the same handle, with its writer."""
    table, other = ferry.add_table(ONE_PARTITION), ferry.add_table()
    return table, other, ferry.writer(other, seed=61, keys=30, rate=60, refused=0)


def hold(ferry, op, **which):
    return ferry.fake.control.fault("hold", op=op, predicate=from_producer, **which)


def check_neighbour(ferry, other, writer):
    writer.stop()
    ferry.wait_caught_up(90, [other])
    complain(ferry.verify_log(other))
    assert not letters_of(ferry, other)


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["row", "change"])
def test_only_what_is_refused_alone_is_skipped(ferry, kind):
    """The topic's limit is lowered between a page or batch and its append."""
    table, other, writer = two_tables(ferry)
    writer.fill()
    items = [item(n, noise=300_000 if n in (7, 23) else 10) for n in range(30)]
    if kind == "row":
        put(ferry, table, items)
        held = hold(ferry, "Scan", when="after", where={"TableName": table.name})
    producer = ferry.producer({"full.read.concurrency": 1, "ledger.partitions": 1})
    consumer = ferry.consumer({"ledger.partitions": 1})
    wait_phase(ferry, other, "tail")
    if kind == "change":
        wait_phase(ferry, table, "tail")
        held = hold(ferry, "GetRecords", where={"ShardId": ferry.fake.control.shards(table.name)[0]["id"]})
        assert ferry.fake.control.wait_held(held)
        put(ferry, table, items)
    assert ferry.fake.control.wait_held(held)
    ferry.limit_messages(table, LIMIT)
    writer.start()
    ferry.fake.control.release(held)
    wait_until(lambda: len(letters_of(ferry, table)) >= 2, 90, "the dead letters", ferry.running())
    write_on(ferry, writer)
    put(ferry, table, [item(n) for n in range(30, 35)])
    ferry.settle(90)
    # a row's item is in the stream too
    check_dead(ferry, table, [7, 7, 23, 23] if kind == "row" else [7, 23])
    check_neighbour(ferry, other, writer)
    assert "alone=false" in producer.log() and "alone=true" in producer.log()
    documents = {int(str(d["sk"]["N"])) for d in ferry.target()[table.name].find()}
    assert documents == set(range(35)) - {7, 23}
    consumer.sigterm()
    producer.sigterm()


def test_a_topic_that_refuses_too_much_stops_its_table(ferry):
    """What is refused does not turn a whole table into dead letters; its neighbour goes on."""
    table, other, writer = two_tables(ferry)
    writer.fill()
    producer = ferry.producer({"full.read.concurrency": 1, "ledger.partitions": 1})
    for t in table, other:
        wait_phase(ferry, t, "tail")
    ferry.limit_messages(table, 3000)
    put(ferry, table, [item(n, noise=6000) for n in range(130)])
    wait_phase(ferry, table, "failed", 180)
    assert "more than 100 records" in ferry.ledger()[0][f"table/{table.name}"]["reason"]
    assert len(letters_of(ferry, table)) <= 100
    assert producer.get("/healthz")[0] == 503
    writer.start()
    write_on(ferry, writer)
    check_neighbour(ferry, other, writer)
