"""How long until retention takes what is not applied yet: told per table, and warned of long before."""

import re

import pytest
from fakes.kafka_proxy import DESCRIBE_CONFIGS, KafkaProxy
from support.delete_records import delete_records
from support.refusing import (
    ONE_PARTITION,
    ferry,  # noqa: F401 (a fixture)
    fill,
    lines,
    proxy,  # noqa: F401 (a fixture)
    put,
)
from support.running import wait_until

METRIC = "dynaferry_consumer_retention_seconds"
BY_AGE = "position will fall out of the log"
BY_SIZE = "position comes near the start of the log"
KEEP_S = 20
DAY_S = 24 * 3600
WAITED_OUT = 112  # an error of the server, whatever the record


def in_log(ferry, count=10, **settings):
    """A table of one partition, all of which is in the log and nothing in MongoDB."""
    ferry.settings.update(ONE_PARTITION, **settings)
    table = ferry.add_table()
    fill(ferry, table, count)
    ferry.producer()
    ferry.wait_caught_up()
    return table


def stand_still(ferry, table):
    """The target takes no record of this table."""
    where = {"collection": table.name}
    return ferry.proxy.control.fault("write_error", op="update", where=where, code=WAITED_OUT, message="no", times=-1)


def left(consumer, table):
    return consumer.metric(METRIC, table=table.name)


def is_told(consumer, table):
    return f'{METRIC}{{table="{table.name}"}}' in consumer.get("/metrics")[1]


def check_warned(consumer, table):
    """A warning below a quarter of the retention, then an error below a tenth, of the same position."""
    wait_until(lambda: lines(consumer, BY_AGE, "level=error"), 60, "an error", [consumer])
    told = lines(consumer, BY_AGE)
    assert ["level=warn" in line for line in told] == [True, False], told
    for line in told:
        assert f"table={table.name} " in line and "partition=0 " in line and f"retention_ms={KEEP_S * 1000}" in line
    assert left(consumer, table) < KEEP_S / 10


def test_a_position_that_stands_still_is_warned_of_before_it_falls_out(ferry):
    table = in_log(ferry)
    consumer = ferry.consumer()
    ferry.wait_applied()
    wait_until(lambda: left(consumer, table) == 7 * DAY_S, 60, "all of the time", [consumer])
    consumer.sigterm()
    fault = stand_still(ferry, table)
    ferry.set_topic(table, "retention.ms", KEEP_S * 1000)
    consumer = ferry.consumer()
    put(ferry, table, "waits")
    waits = lambda: ferry.proxy.script.find(fault).hits and 0 < left(consumer, table) < KEEP_S
    wait_until(waits, 60, "what stands still to be told of", [consumer])
    check_warned(consumer, table)
    ferry.proxy.control.clear()
    ferry.wait_applied()
    wait_until(lambda: left(consumer, table) == KEEP_S, 30, "all of the time again", [consumer])
    assert len(lines(consumer, BY_AGE)) == 2


def test_a_target_that_never_finished_its_begin_is_warned_of(ferry):
    """Its table can't be prepared, so that there is no position yet: the begin of its generation counts."""
    table = in_log(ferry)
    ferry.set_topic(table, "retention.ms", KEEP_S * 1000)
    fault = ferry.proxy.control.fault("hold", op="createIndexes")
    consumer = ferry.consumer()
    assert ferry.proxy.control.wait_held(fault)
    check_warned(consumer, table)
    assert "offset=0 " in lines(consumer, BY_AGE)[0]
    ferry.proxy.control.release(fault)
    ferry.wait_applied()


def test_a_log_that_is_cut_by_its_size_is_warned_of(ferry):
    """A position among the oldest records of a log that was cut; before that it may have room for long."""
    table = in_log(ferry, count=100)
    ferry.set_topic(table, "retention.bytes", 1_000_000_000)
    ferry.set_topic(table, "retention.ms", 200_000)
    consumer = ferry.consumer()
    ferry.wait_applied()
    stand_still(ferry, table)
    position = ferry.position(table, 0)["offset"]
    fill(ferry, table, 100, version=2)
    ferry.wait_caught_up()
    told = left(consumer, table)
    wait_until(lambda: left(consumer, table) not in (0, told), 60, "a look", [consumer])
    assert not lines(consumer, BY_SIZE)
    delete_records(ferry.parts.kafka, ferry.topic(table), {0: position - 2})
    wait_until(lambda: lines(consumer, BY_SIZE), 60, "the warning", [consumer])
    line = lines(consumer, BY_SIZE)[0]
    told_at, left_over = map(int, re.search(r"offset=(\d+) records_left=(\d+) ", line).groups())
    assert "level=error" in line and told_at >= position  # it may have moved behind a transaction's marker
    assert left_over == told_at - (position - 2)
    ferry.proxy.control.clear()
    ferry.wait_applied()


@pytest.mark.parametrize("setting, value", [("retention.ms", -1), ("cleanup.policy", "compact")])
def test_what_is_kept_for_ever_is_not_told_of(ferry, setting, value):
    other = ferry.add_table()
    fill(ferry, other, 3)
    kept = in_log(ferry)
    ferry.set_topic(kept, setting, value)
    consumer = ferry.consumer()
    wait_until(lambda: is_told(consumer, other), 60, "the other table's", [consumer])
    assert not is_told(consumer, kept)


def test_where_the_brokers_do_not_tell_the_settings_the_own_ones_count(ferry):
    table = in_log(ferry)
    with KafkaProxy(ferry.parts.kafka, [DESCRIBE_CONFIGS]) as broker:
        settings = {"kafka.bootstrap.servers": broker.address, "topic.retention.ms": 90_000}
        consumer = ferry.consumer(settings)
        ferry.wait_applied()
        wait_until(lambda: left(consumer, table) == 90, 60, "the configured time", [consumer])
        consumer.sigterm()
