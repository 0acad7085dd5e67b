"""A table or shard in trouble takes nothing from its neighbours: places among the scans, memory, threads, calls.

Counted at the scripted endpoint, not timed.
"""

import time

import pytest
from support.running import wait_until
from support.scripted_source import (  # noqa: F401 (ferry is a fixture)
    ferry,
    from_producer,
    settle_log,
    wait_phase,
)

ANY_TABLE = {"filter.collection.white": ""}


def put(ferry, table, key, **attributes):
    """Past HTTP, since some tests put thousands."""
    item = {"pk": {"S": key}, "v": {"N": "1"}, **attributes}
    ferry.fake.backend.call("PutItem", {"TableName": table.name, "Item": item})


def table_of(ferry, items=3):
    table = ferry.add_table()
    for n in range(items):
        put(ferry, table, f"k{n}")
    return table


def fault(ferry, kind, op, **more):
    return ferry.fake.control.fault(kind, op=op, predicate=from_producer, **{"times": -1, **more})


def wait_in_log(ferry, table, key, seconds=60):
    arrived = lambda: any(r.is_change and r.keys["pk"]["S"] == key for r in ferry.log(table) if not r.bad)
    wait_until(arrived, seconds, f"{key} of {table.name} in the log", ferry.running())


# --- scans ---


@pytest.mark.parametrize("refusal", ["access_denied", "500"])
def test_tables_that_can_not_be_scanned_do_not_keep_the_places_of_others(ferry, refusal):
    """Four tables are scanned at once; four are refused for ever."""
    refused = [table_of(ferry) for _ in range(4)]
    for table in refused:
        fault(ferry, refusal, "Scan", where={"TableName": table.name})
    ferry.producer({**ANY_TABLE, "full.concurrency": 4})
    for table in refused:
        wait_phase(ferry, table, "snapshot")
        assert ferry.fake.control.wait_requests("Scan", 1, TableName=table.name)
    good = table_of(ferry)
    wait_phase(ferry, good, "tail", 90)
    ferry.fake.control.clear()
    for table in refused:
        wait_phase(ferry, table, "tail", 90)
    settle_log(ferry)


def hang_scans(ferry, table, least):
    """Every Scan of the table hangs, at least so many at once."""
    hold = fault(ferry, "hold", "Scan", where={"TableName": table.name})
    held = ferry.fake.script.find(hold)
    wait_until(lambda: held.held >= least, 60, "scans that hang", ferry.running())


@pytest.mark.parametrize("threads, segments", [(8, 8), (2, 4)], ids=["memory", "threads"])
def test_scans_that_hang_do_not_keep_the_streams_of_others_from_being_read(ferry, threads, segments):
    """A scan reserves memory for the largest page; a new reader of a shard needs some, too, and a thread."""
    tailing = table_of(ferry)
    settings = {"threads": threads, "full.read.concurrency": segments, **ANY_TABLE}
    ferry.producer(settings)
    wait_phase(ferry, tailing, "tail")
    hung = table_of(ferry)
    hang_scans(ferry, hung, 1 if threads == 2 else 4)
    ferry.fake.control.roll(tailing.name)
    put(ferry, tailing, "in the child")
    wait_in_log(ferry, tailing, "in the child", 40)
    put(ferry, tailing, "and one more")
    wait_in_log(ferry, tailing, "and one more", 40)
    ferry.fake.control.clear()
    wait_phase(ferry, hung, "tail", 90)
    settle_log(ferry)


def test_a_table_whose_scans_end_without_an_answer_does_not_keep_another_from_being_scanned(ferry):
    """Each takes its time for that, and there is one place."""
    hung = table_of(ferry)
    where = {"TableName": hung.name}
    fault(ferry, "delay", "Scan", where=where, seconds=2)
    fault(ferry, "cut", "Scan", where=where, when="before")
    ferry.producer({"full.concurrency": 1, **ANY_TABLE})
    assert ferry.fake.control.wait_requests("Scan", 1, TableName=hung.name)
    late = table_of(ferry)
    wait_phase(ferry, late, "tail", 90)
    ferry.fake.control.clear()
    wait_phase(ferry, hung, "tail", 90)
    settle_log(ferry)


# --- changes ---


def calls_of(ferry, op, since, shard):
    """(those that were answered well, those that were refused)"""
    done = [e for e in ferry.fake.script.entries(op, since, ShardId=shard) if e["end"] is not None]
    refused = [e for e in done if e["status"] != 200]
    return len(done) - len(refused), len(refused)


def test_a_shard_that_may_be_read_five_times_a_second_is_read_at_that_pace(ferry):
    """A refused call keeps its iterator, and few are refused."""
    table = table_of(ferry)
    writer = ferry.writer(table, seed=1, keys=60, rate=150)
    ferry.producer()
    wait_phase(ferry, table, "tail")
    shard = ferry.fake.control.shards(table.name)[0]["id"]
    ferry.fake.control.set(records_a_second=5)
    writer.start()
    assert ferry.fake.control.wait_requests("GetRecords", 25, since=ferry.fake.control.requests(), ShardId=shard)
    since = ferry.fake.control.requests()  # the pace is found
    assert ferry.fake.control.wait_requests("GetRecords", 50, since=since, ShardId=shard)
    good, refused = calls_of(ferry, "GetRecords", since, shard)
    iterators = sum(calls_of(ferry, "GetShardIterator", since, shard))
    assert refused <= good / 3 and iterators <= 2, f"{good} good, {refused} refused, {iterators} iterators"
    ferry.fake.control.set(records_a_second=0)
    settle_log(ferry)


def test_only_the_shard_whose_calls_are_refused_is_read_more_slowly(ferry):
    ferry.fake.control.set(shards=2)
    table = table_of(ferry)
    writer = ferry.writer(table, seed=2, keys=60, rate=150)
    ferry.producer()
    wait_phase(ferry, table, "tail")
    slow, other = [s["id"] for s in ferry.fake.control.shards(table.name)]
    fault(ferry, "limit", "GetRecords", where={"ShardId": slow}, chance=0.5)
    writer.start()
    since = ferry.fake.control.requests()
    assert ferry.fake.control.wait_requests("GetRecords", 150, since=since, ShardId=other)
    good, refused = calls_of(ferry, "GetRecords", since, slow)
    assert refused and 2 * (good + refused) <= sum(calls_of(ferry, "GetRecords", since, other))
    assert sum(calls_of(ferry, "GetShardIterator", since, slow)) <= 2
    settle_log(ferry)


# --- capacity ---


class Meter:
    """Capacity units that reads of tables take."""

    def __init__(self, fake):
        self.spent, self.original = [], fake.backend._consume
        fake.backend._consume = self.consume

    def consume(self, table, fields, size):
        units = self.original(table, fields, size)
        self.spent.append((time.monotonic(), units))
        return units

    def most_in(self, seconds):
        return max(
            sum(units for when, units in self.spent if start <= when < start + seconds)
            for start, _ in self.spent
        )


def wide_table(ferry, items, read_units):
    """Items of about one unit each; 0 units: on demand."""
    table = ferry.add_table()
    if read_units:
        ferry.dynamodb.update_table(
            TableName=table.name, BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": read_units, "WriteCapacityUnits": 1},
        )  # fmt: skip
    for n in range(items):
        put(ferry, table, f"k{n}", wide={"S": "x" * 4000})
    return table


PAGES = {"qps.full.batch_num": 10, "full.read.concurrency": 2}  # so that a page is ten units


def test_the_scan_of_a_provisioned_table_takes_its_share_of_the_capacity(ferry):
    """Though the service would give more for a while: 20 units per second of 40, 300 in all."""
    ferry.fake.control.set(capacity_burst_s=300)
    table = wide_table(ferry, 300, read_units=40)
    meter = Meter(ferry.fake)
    ferry.producer({**PAGES, "full.capacity.percent": 50})
    wait_phase(ferry, table, "tail", 90)
    assert sum(units for _, units in meter.spent) >= 300
    assert meter.most_in(4) <= 2 * 4 * 20
    settle_log(ferry)


@pytest.mark.parametrize("read_units, percent", [(0, 50), (40, 0)], ids=["on demand", "not wanted"])
def test_other_scans_are_not_paced(ferry, read_units, percent):
    """At 20 units per second this one would take more than a minute."""
    ferry.fake.control.set(capacity_burst_s=300)
    table = wide_table(ferry, 1800, read_units)
    ferry.producer({**PAGES, "qps.full.batch_num": 100, "full.capacity.percent": percent})
    wait_phase(ferry, table, "tail", 60)
    settle_log(ferry)


def test_a_table_that_refuses_scans_for_its_capacity_is_scanned_all_the_same(ferry):
    """Others take of the capacity too; few calls are refused."""
    table = wide_table(ferry, 100, read_units=40)
    ferry.fake.control.set(capacity_burst_s=0.5)
    ferry.producer({**PAGES, "full.capacity.percent": 100})
    wait_phase(ferry, table, "tail", 90)
    scans = [e["status"] for e in ferry.fake.script.entries("Scan", TableName=table.name)]
    assert scans.count(400) <= scans.count(200), scans
    settle_log(ferry)
