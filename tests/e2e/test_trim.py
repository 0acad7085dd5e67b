"""How long until the stream trims what was not read yet: told per shard, and warned of, by the service's clock."""

import re

import pytest
from support.running import stays, wait_until
from support.scripted_source import ferry, from_producer, patient, put, settle_log, wait_phase  # noqa: F401

HOUR_S = 3600
EVENT = "changes that are not read yet will be trimmed"
SERIES = "dynaferry_producer_shard_trim_seconds"
SHARDS_SHOWN = 100


@pytest.fixture
def clock(ferry):  # noqa: F811
    """Sets the service's clock, by seconds from ours; right again in the end."""
    yield lambda seconds: ferry.fake.control.set(clock_offset_s=seconds)
    for program in ferry.running():
        program.end()
    ferry.fake.control.set(clock_offset_s=0)


def warnings(program):
    return [line for line in program.log().splitlines() if EVENT in line]


def shown(program):
    """{shard: seconds}, of all tables."""
    found = re.findall(rf'^{SERIES}\{{.*shard="([^"]+)".*\}} (\S+)$', program.get("/metrics")[1], re.M)
    return {shard: float(seconds) for shard, seconds in found}


def shards(ferry, table):
    return {shard["id"] for shard in ferry.fake.control.shards(table.name)}


def in_tail(ferry, shards=1):
    """A table with so many open shards, and its producer; it reads them all."""
    ferry.fake.control.set(shards=shards)
    table = ferry.add_table()
    producer = ferry.producer({"shard.idle.poll.max.ms": 200})
    wait_phase(ferry, table, "tail")
    return table, producer


def test_a_shard_that_can_not_be_read_is_warned_of_before_it_is_trimmed(ferry, clock):  # noqa: F811
    """A warning below 6 hours, an error below 2, each once. (One shard: beside it another one, too, is not proven to
    be read up to the hour that the clock jumps to, until its next answers.)"""
    table, producer = in_tail(ferry)
    put(ferry, table, 1)
    ferry.wait_caught_up()
    stuck = sorted(shards(ferry, table))[0]
    ferry.fake.control.fault(
        "access_denied", op="GetRecords", where={"ShardId": stuck}, times=-1, predicate=from_producer
    )
    wait_until(lambda: set(shown(producer)) == shards(ferry, table), 20, "both series", [producer])
    near_a_day = lambda: all(23 * HOUR_S < left < 24 * HOUR_S + 60 for left in shown(producer).values())
    wait_until(near_a_day, 20, "a day for each", [producer])
    assert not warnings(producer)
    clock(19 * HOUR_S)
    wait_until(lambda: warnings(producer), 30, "a warning", [producer])
    clock(22.5 * HOUR_S)
    wait_until(lambda: len(warnings(producer)) > 1, 30, "an error", [producer])
    first, second = warnings(producer)
    assert "level=warn" in first and "level=error" in second
    for line in first, second:
        assert f"table={table.name} " in line and f"shard={stuck} " in line
    left = shown(producer)
    assert 0 < left[stuck] < 2 * HOUR_S
    assert producer.metric("dynaferry_producer_trim_seconds", table=table.name) <= left[stuck]
    stays(lambda: len(warnings(producer)) == 2, 3)


def test_a_halted_table_is_warned_of_too(ferry, clock):  # noqa: F811
    """It can be mended as long as the stream has what it did not read."""
    table, producer = in_tail(ferry)
    producer.sigterm()
    producer = ferry.producer({"errors.tolerance": "none", "topic.max.message.bytes": 69632})
    ferry.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "large"}, "t": {"S": "x" * 70000}})
    wait_phase(ferry, table, "failed")
    clock(22.5 * HOUR_S)
    wait_until(lambda: warnings(producer), 30, "a warning", [producer])
    assert f"table={table.name} " in warnings(producer)[0]


def test_the_series_of_a_shard_ends_with_it(ferry):  # noqa: F811
    """Of many shards the nearest are shown; a finished one is not, and none of a table that is not carried."""
    table, producer = in_tail(ferry, shards=SHARDS_SHOWN + 20)
    enough = lambda: len(shown(producer)) == SHARDS_SHOWN
    wait_until(enough, 60, "as many series as there may be", [producer])
    old = shards(ferry, table)
    ferry.fake.control.roll(table.name)
    rolled = lambda: len(shown(producer)) == SHARDS_SHOWN and not old & set(shown(producer))
    wait_until(rolled, 60, "the children's series alone", [producer])
    ferry.dynamodb.delete_table(TableName=table.name)
    wait_until(lambda: not shown(producer), 60, "no series", [producer])
