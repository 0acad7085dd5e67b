"""Streams are described when there is cause: a closed shard's children are asked for, the rest is left alone;
and what is over leaves the ledger.
"""

import itertools
import statistics
import time

import pytest
from support.running import wait_until
from support.scripted_source import (  # noqa: F401 (ferry is a fixture)
    ferry,
    settle_log,
)

HOUR_S = 3600
NUMBERS = itertools.count(1)
# many tables on a machine that has other work
MANY = {"topic.partitions": 1, "ledger.partitions": 1, "full.read.concurrency": 1, "full.concurrency": 64}


def put(ferry, table, key):
    item = {"pk": {"S": key}, "v": {"N": str(next(NUMBERS))}}
    ferry.fake.backend.call("PutItem", {"TableName": table.name, "Item": item})


def in_tail(ferry, shards=1, count=1, **settings):
    ferry.fake.control.set(shards=shards)
    tables = [ferry.add_table() for _ in range(count)]
    for table in tables:
        put(ferry, table, "first")
    producer = ferry.producer(settings)

    def all_in_tail():
        ledger = ferry.ledger()[0]
        return all(ledger.get(f"table/{table.name}", {}).get("phase") == "tail" for table in tables)

    wait_until(all_in_tail, 120, "phase tail", ferry.running())
    return (*tables, producer)


def calls(ferry, op, since):
    """Of the producer."""
    return [e for e in ferry.fake.script.entries(op, since) if "Boto3" not in e["agent"]]


def descriptions(ferry, since, op=None):
    return [e for o in ("DescribeStream", "DescribeTable") if op in (None, o) for e in calls(ferry, o, since)]


def wait_quiet(ferry, seconds):
    """Nothing was described for so long."""
    quiet = lambda: time.monotonic() - max(e["start"] for e in descriptions(ferry, 0)) > seconds
    wait_until(quiet, 60, f"{seconds} s without a description", ferry.running())


def wait_in_ledger(ferry, table, shards, seconds=60):
    keys = [f"shard/{table.name}/{shard}" for shard in shards]

    def found():
        ledger = ferry.ledger()[0]
        return all(key in ledger for key in keys)

    wait_until(found, seconds, f"shards of {table.name} in the ledger", ferry.running())


# --- children ---


@pytest.mark.parametrize("answer", ["children", "ignored", "refused"])
def test_a_closed_shard_asks_for_its_children(ferry, answer):
    """Whether the endpoint knows how to give them alone or not: the list has three pages."""
    ferry.fake.control.set(page_shards=5, shard_filter=answer)
    table, producer = in_tail(ferry, shards=13)
    known = False
    for parent in [s["id"] for s in ferry.fake.control.shards(table.name)][3:8:4]:
        wait_quiet(ferry, 1)
        since = ferry.fake.control.requests()
        children = ferry.fake.control.split(table.name, parent)
        for n in range(30):
            put(ferry, table, f"k{n}")
        wait_in_ledger(ferry, table, children)
        asked = [e["fields"].get("ShardFilter") for e in calls(ferry, "DescribeStream", since)]
        wanted = {"Type": "CHILD_SHARDS", "ShardId": parent}
        assert wanted in asked or known, f"children of {parent}"
        known = answer != "children"  # it need not try that twice
    settle_log(ferry)


def test_a_child_that_is_listed_late_is_asked_for_again(ferry):
    table, producer = in_tail(ferry)
    ferry.fake.control.set(late_listing_s=1.5)
    for _ in range(2):
        wait_quiet(ferry, 1)
        since = ferry.fake.control.requests()
        children = ferry.fake.control.roll(table.name)
        for n in range(20):
            put(ferry, table, f"k{n}")
        wait_in_ledger(ferry, table, children)
        asked = [e["fields"].get("ShardFilter") for e in calls(ferry, "DescribeStream", since)]
        assert any(asked), "only the whole list was asked for"
    settle_log(ferry)


def test_sixty_tables_that_roll_at_once_stay_within_the_limit_of_calls(ferry):
    *tables, producer = in_tail(ferry, count=60, **MANY, **{"shard.idle.poll.ms": 1000})
    ferry.fake.control.set(describes_a_second=10)
    since = ferry.fake.control.requests()
    children = [f"shard/{t.name}/{child}" for t in tables for child in ferry.fake.control.roll(t.name)]
    for table in tables:
        put(ferry, table, "in the child")

    def all_read():
        ledger = ferry.ledger()[0]
        return all(ledger.get(child, {}).get("records") == 1 for child in children)

    wait_until(all_read, 60, "the children's changes", [producer])
    statuses = [e["status"] for e in calls(ferry, "DescribeStream", since)]
    assert statuses.count(400) * 10 <= len(statuses), f"{statuses.count(400)} of {len(statuses)} refused"


# --- idleness ---


def test_idle_tables_are_described_rarely(ferry):
    """In 20 s behind the first looks; the next ones come no sooner than half a minute after them."""
    *tables, producer = in_tail(ferry, count=8, shards=2, **MANY)
    wait_quiet(ferry, 10)
    since, end = ferry.fake.control.requests(), time.monotonic() + 20
    wait_until(lambda: time.monotonic() > end, 60, "20 s", [producer])
    for op in "DescribeStream", "DescribeTable":
        assert len(descriptions(ferry, since, op)) <= len(tables) / 2, op


def pauses(ferry, shard, since):
    """Between the answers to a shard's reader and its next request, the oldest first."""
    entries = ferry.fake.script.entries("GetRecords", since, ShardId=shard)
    return [after["start"] - before["end"] for before, after in zip(entries, entries[1:]) if before["end"]]


def test_an_idle_shard_is_read_ever_more_rarely_until_it_has_something_new(ferry):
    settings = {"shard.poll.ms": 10, "shard.idle.poll.ms": 20, "shard.idle.poll.max.ms": 150}
    table, producer = in_tail(ferry, **settings)
    shard = ferry.fake.control.shards(table.name)[0]["id"]
    slow = lambda: statistics.median(pauses(ferry, shard, 0)[-9:]) >= 0.14
    wait_until(slow, 90, "the longest pause", [producer])
    since = ferry.fake.control.requests()
    put(ferry, table, "new")
    ferry.wait_caught_up()
    quick = lambda: sum(pause < 0.07 for pause in pauses(ferry, shard, since)) >= 5
    wait_until(quick, 30, "short pauses again", [producer])
    settle_log(ferry)


# --- what is over ---


@pytest.fixture
def later(ferry):
    """A bridge whose service's clock runs ahead; it is right again in the end."""
    yield ferry
    ferry.fake.control.set(clock_offset_s=0)


def let_pass(ferry, table, hours, offset=0):
    """The service's time goes on, while the table has a change every twelve hours."""
    for passed in range(12, hours + 1, 12):
        ferry.fake.control.set(clock_offset_s=(offset + passed) * HOUR_S)
        key = f"{next(NUMBERS)} at hour {offset + passed}"
        put(ferry, table, key)
        arrived = lambda: any(r.is_change and r.keys["pk"]["S"] == key for r in ferry.log(table))
        wait_until(arrived, 60, f"the change {key}", ferry.running())


def keys_of(ferry, table, *kinds):
    ledger, problems = ferry.ledger()
    assert not problems
    return sorted(
        key for key in ledger for kind in kinds if key == f"{kind}/{table.name}" or
        key.startswith(f"{kind}/{table.name}/")
    )  # fmt: skip


def test_the_segments_of_a_finished_snapshot_leave_the_ledger(later):
    """Two days after its end, by the service's clock; a producer that begins has to know that."""
    table, producer = in_tail(later)
    let_pass(later, table, 60)
    for _ in range(2):
        producer.sigterm()
        producer = later.producer()
        wait_until(lambda: not keys_of(later, table, "segment"), 90, "no segments", [producer])
        let_pass(later, table, 12, offset=60)
    assert later.phase(table) == "tail"
    assert len({r.generation for r in later.log(table)}) == 1


def test_a_shard_that_was_done_two_days_ago_leaves_the_ledger(later):
    """By the service's clock, and only when its children are known."""
    table, producer = in_tail(later)
    parent = later.fake.control.shards(table.name)[0]["id"]
    (child,) = later.fake.control.roll(table.name)
    wait_in_ledger(later, table, [child])
    let_pass(later, table, 24)
    assert keys_of(later, table, "shard") == sorted(f"shard/{table.name}/{s}" for s in (parent, child))
    let_pass(later, table, 36, offset=24)
    only = [f"shard/{table.name}/{child}"]
    wait_until(lambda: keys_of(later, table, "shard") == only, 90, "no record of the parent", [producer])
    (grandchild,) = later.fake.control.roll(table.name)
    put(later, table, "in the grandchild")
    wait_in_ledger(later, table, [grandchild])
    assert later.phase(table) == "tail"
    assert len({r.generation for r in later.log(table)}) == 1
