"""The producer against answers that are late, refused, cut, wrong, compressed or spelled in another way: every
record of the stream stands in the log once and in order, and plain cases end as with DynamoDB Local.
"""

import pytest
from support import topic_check, workload
from support.bridge import complain
from support.oracle import KeySchema
from support.running import wait_until
from support.scripted_source import begin, ferry, from_producer, settle_log, write_on
from support.spelling import plain_item

KINDS = {
    "refused": [{"kind": kind} for kind in ("throttle", "throttling", "request_limit", "limit", "500", "503")],
    "cut": [
        {"kind": "cut", "when": "before"},
        {"kind": "cut", "when": "answer"},
        {"kind": "cut", "when": "middle"},
        {"kind": "close"},
    ],
    "wrong": [
        {"kind": "wrong_crc"},
        {"kind": "cut_json", "keep": 0.6},
        {"kind": "length", "claim": 10**15},
        {"kind": "length", "claim": 10},
        {"kind": "body", "text": "<html>busy</html>", "status": 503},
        {"kind": "no_crc"},
    ],
    "slow": [
        {"kind": "drip", "bytes": 2000, "pause": 0.02},
        {"kind": "delay", "seconds": 0.2, "when": "before"},
        {"kind": "delay", "seconds": 0.2, "when": "after"},
        {"kind": "empty", "op": "GetRecords"},
        {"kind": "gzip"},
    ],
}


def add_faults(ferry, kinds, chance):
    control = ferry.fake.control
    return [
        control.fault(**{"times": -1, "chance": chance, "predicate": from_producer, **kind}) for kind in kinds
    ]


@pytest.mark.parametrize("group", KINDS)
def test_bad_answers_lose_nothing(ferry, group):
    """From the first request on, also those of the set-up; snapshot and changes at once."""
    ferry.fake.control.set(shards=2, max_records=20)
    table = ferry.add_table(KeySchema(("pk", "sk"), ("S", "N")))
    ids = add_faults(ferry, KINDS[group], 0.04)
    settings = {"qps.full.batch_num": 8, "full.read.concurrency": 3}
    _, writer, producer = begin(ferry, seed=41, keys=160, padding=1000, table=table, wait=False, **settings)
    writer.start()
    faults = [ferry.fake.script.find(number) for number in ids]
    wait_until(lambda: all(f.hits >= 2 for f in faults), 90, "each fault twice", ferry.running())
    write_on(ferry, writer)
    ferry.stop_writers()
    ferry.wait_caught_up(90)
    settle_log(ferry)
    producer.sigterm()


@pytest.mark.parametrize("op", ["Scan", "GetRecords", "DescribeTable"])
def test_a_flood_is_refused_within_the_memory_limit(ferry, op):
    """An answer of a gigabyte instead of a page."""
    table = ferry.add_table()
    flood = ferry.fake.control.fault("flood", op=op, bytes=1 << 30, predicate=from_producer)
    _, writer, producer = begin(ferry, seed=42, table=table, wait=False)
    writer.start()
    assert ferry.fake.control.wait_used(flood)
    write_on(ferry, writer)
    peak = producer.peak_kb()
    settle_log(ferry)
    assert peak < 256 * 1024, f"{peak} kB at the peak"


def test_everything_compressed(ferry):
    ferry.fake.control.set(gzip=True, shards=2)
    table, writer, _ = begin(ferry, seed=43, keys=300, padding=2000, **{"source.gzip": "on"})
    writer.start()
    write_on(ferry, writer, 100)
    settle_log(ferry)


def test_a_service_whose_clock_is_an_hour_ahead(ferry):
    """The signature's date follows the service's: a snapshot comes to its end all the same."""
    table = ferry.add_table(stream=None)
    ferry.writer(table, seed=44, keys=50).fill()
    ferry.fake.control.set(clock_offset_s=3600)
    done = ferry.run("producer", {"sync_mode": "full"})
    ferry.fake.control.set(clock_offset_s=0)
    assert done.process.returncode == 0, done.story()
    assert sum(record.is_row for record in ferry.log(table)) == 50


# --- the plain cases, the same as against DynamoDB Local ---


def test_the_plain_workload_arrives_as_from_dynamodb_local(ferry):
    ferry.fake.control.set(shards=3)
    for table in workload.all_tables(f"t{ferry.tag}-"):
        table.create(ferry.dynamodb)
        ferry.tables.append(table)
    for table in ferry.tables:
        ferry.writer(table, seed=48, keys=40, rate=12).fill()
    databases = {f"{ferry.database}_{kind}": kind for kind in ("raw", "change")}
    ferry.producer()
    for name, kind in databases.items():
        ferry.consumer({"id": name, "convert.type": kind})
    for writer in ferry.writers:
        writer.start()
    for writer in ferry.writers:
        wait_until(lambda: writer.written >= 100, 90, f"writes to {writer.table.name}", ferry.running())
    ferry.settle(120, databases)
    problems = []
    for table in ferry.tables:
        problems += ferry.verify_log(table)
        for name, kind in databases.items():
            problems += ferry.verify_target(table, kind, database=name)
    complain(problems)


def test_an_item_spelled_in_two_ways_is_one_item(ferry):
    """Streams that escape, reorder and write numbers with exponents, as Scan does not: one key, one partition."""
    ferry.fake.control.set(quirks=True)
    table = ferry.add_table(KeySchema(("pk", "sk"), ("N", "S")))
    _, writer, _ = begin(ferry, seed=49, table=table, **{"convert.type": "change"})
    ferry.consumer({"convert.type": "change"})
    writer.start()
    write_on(ferry, writer, 200)
    ferry.stop_writers()
    ferry.wait_caught_up()
    log, source = ferry.log(table), ferry.source(table)
    for record in log:
        record.after = plain_item(record.after)
    for change in source.changes:
        change.image = plain_item(change.image)
    partitions = topic_check.partitions_of(ferry.parts.kafka, ferry.topic(table))
    items = [plain_item(item) for item in ferry.items(table)]
    complain(topic_check.check_log(log, source, items, partitions, ferry.prefix, table.name))
    ferry.wait_applied()
    complain(ferry.verify_target(table, "change"))


def test_a_scan_that_ignores_segments_shows_no_wrong_value(ferry):
    """Some emulators give every segment the whole table: rows twice, but MongoDB is right."""
    ferry.fake.control.set(ignore_segments=True)
    table, writer, _ = begin(ferry, seed=50, **{"full.read.concurrency": 3})
    ferry.consumer()
    writer.start()
    write_on(ferry, writer, 60)
    ferry.settle()
    complain(ferry.verify_target(table, "raw"))
