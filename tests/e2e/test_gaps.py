"""Whatever was lost, the table is copied anew by itself: a new generation, whose log is right, and a target that
follows. Its neighbours go on, and nothing is read between the gap and the next begin.
"""

import re

import confluent_kafka
import confluent_kafka.admin
import pytest
from fakes.kafka_proxy import CREATE_TOPICS, KafkaProxy
from support.bridge import complain
from support.generations import generation_of, places, settle_newest, wait_renewed
from support.running import wait_until
from support.scripted_source import (
    asked, ferry, from_producer, put, wait_healthy, wait_phase, write_ledger,
)  # fmt: skip

HOUR_S = 3600
ONE_PARTITION = {"ledger.partitions": 1}  # the tables share one handle


def put_many(ferry, table, count, name):
    for number in range(count):
        put(ferry, table, 1, f"{name} {number}")


def pair(ferry, **settings):
    """A table that will have a gap, a neighbour, and the producer that carries both."""
    tables = ferry.add_table(), ferry.add_table()
    for table in tables:
        put_many(ferry, table, 20, "before")
    producer = ferry.producer(settings)
    for table in tables:
        wait_phase(ferry, table, "tail")
        put_many(ferry, table, 20, "first")
    ferry.wait_caught_up()
    return *tables, producer


def goes_on(ferry, other):
    """The neighbour: in the generation that it had."""
    before = generation_of(ferry, other)
    put_many(ferry, other, 5, "the neighbour's")
    ferry.wait_caught_up(tables=[other])
    complain(ferry.verify_log(other))
    assert generation_of(ferry, other) == before


def record_of(ferry, table):
    return ferry.ledger()[0][f"table/{table.name}"]


def lines(producer, table, event):
    return [l for l in producer.log().splitlines() if f"table={table.name} " in l and f'event="{event}' in l]


# --- what gets lost ---


def age(ferry, table, hours):
    """The ledger as if everything of this table's shards had happened so much earlier."""
    for key, record in ferry.ledger()[0].items():
        if key.startswith(f"shard/{table.name}/"):
            for name in ("updated_ms", "source_ms", "complete_to_ms"):
                record[name] = max(0, record[name] - hours * HOUR_S * 1000)
            write_ledger(ferry, key, record)


def make_again(ferry, table):
    ferry.fake.control.recreate(table.name)
    put_many(ferry, table, 10, "of the new table")


def vanish(ferry, table):
    control = ferry.fake.control
    (shard,) = [s["id"] for s in control.shards(table.name) if s["open"]]
    control.roll(table.name)
    control.vanish(table.name, shard)
    control.expire_iterators()


def disable(ferry, table):
    ferry.fake.control.disable_stream(table.name)


def new_stream(ferry, table):
    ferry.fake.control.new_stream(table.name)


def delete_topic(ferry, table):
    topic = ferry.topic(table)
    ferry.admin.delete_topics([topic], operation_timeout=20)[topic].result()


def make_topic(ferry, table, partitions=4, **config):
    """By somebody who does not know what it is for."""
    topic = ferry.topic(table)
    new = confluent_kafka.admin.NewTopic(topic, partitions, 1, config={"max.message.bytes": "8388608", **config})

    def made():
        try:
            ferry.admin.create_topics([new])[topic].result()
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() != confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            return False  # not deleted everywhere yet
        return True

    wait_until(made, 30, f"{topic} again")


def remake_topic(ferry, table):
    delete_topic(ferry, table)
    make_topic(ferry, table)


def remake_topic_smaller(ferry, table):
    delete_topic(ferry, table)
    make_topic(ferry, table, partitions=3)


def remake_topic_larger(ferry, table):
    delete_topic(ferry, table)
    make_topic(ferry, table, partitions=7)


# how it is lost -> what the log line says of it
LOST = {
    make_again: "made again",
    new_stream: "another stream",
    disable: "stream was disabled|another stream",
    delete_topic: "topic is gone",
    remake_topic: "topic was made anew",
    remake_topic_smaller: "topic",
    remake_topic_larger: "topic",
}


def renewed_well(ferry, table, other, before, lost=frozenset()):
    """The end of every case: one new generation, right, changes follow, the neighbour is as it was."""
    record = wait_renewed(ferry, table, before)
    assert record["gaps"] == 1 and not record.get("renew") and record["reason"] == ""
    put_many(ferry, table, 10, "last")
    settle_newest(ferry, table, lost)
    goes_on(ferry, other)
    assert generation_of(ferry, table) == record["generation"], "it began again and again"


@pytest.mark.parametrize("lose", [*LOST, vanish], ids=lambda f: f.__name__)
def test_what_is_lost_under_a_running_producer_begins_a_new_generation(ferry, lose):
    table, other, producer = pair(ferry, **ONE_PARTITION)
    before, log_id = generation_of(ferry, table), record_of(ferry, table)["log_id"]
    lose(ferry, table)
    put_many(ferry, table, 40, "second")
    renewed_well(ferry, table, other, before)
    wait_healthy(producer)
    assert lines(producer, table, "table has a gap")
    assert not lines(producer, table, "table halted")
    is_new = record_of(ferry, table)["log_id"] != log_id
    assert is_new == ("topic" in lose.__name__)


@pytest.mark.parametrize("lose", LOST, ids=lambda f: f.__name__)
def test_what_is_lost_while_the_producer_is_away_begins_a_new_generation(ferry, lose):
    table, other, producer = pair(ferry)
    before = generation_of(ferry, table)
    producer.sigterm()
    lose(ferry, table)
    put_many(ferry, table, 40, "second")
    producer = ferry.producer()
    renewed_well(ferry, table, other, before)
    (line,) = lines(producer, table, "table has a gap")
    assert re.search(LOST[lose], line)
    generation = generation_of(ferry, table)
    of_table = lambda: [v for k, v in ferry.ledger()[0].items() if f"/{table.name}/" in k]
    forgotten = lambda: all(record["generation"] == generation for record in of_table())
    wait_until(forgotten, 30, "no records that nothing needs any more", [producer])


def test_changes_that_were_trimmed_unread_begin_a_new_generation(ferry):
    table, other, producer = pair(ferry)
    before = generation_of(ferry, table)
    producer.sigterm()
    put_many(ferry, table, 5, "lost")
    ferry.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "first 1"}})
    lost = frozenset(c.place for c in ferry.source(table).changes)
    ferry.fake.control.trim(table.name)
    age(ferry, table, 30)
    producer = ferry.producer()
    renewed_well(ferry, table, other, before, lost)
    (line,) = lines(producer, table, "table has a gap")
    assert "older than 23 h" in line


def test_a_shard_that_is_listed_first_after_a_day_begins_a_new_generation(ferry):
    """It was there all the time, and its oldest changes are trimmed."""
    control = ferry.fake.control
    control.set(shards=2)
    table = ferry.add_table()
    hidden = control.shards(table.name)[1]["id"]
    control.hide(table.name, [hidden])
    ferry.producer()
    wait_phase(ferry, table, "tail")
    first = generation_of(ferry, table)
    put_many(ferry, table, 40, "unseen")
    unread = frozenset(c.place for c in ferry.source(table).changes if c.shard == hidden)
    listed = frozenset(c.place for c in ferry.source(table).changes) - unread
    wait_until(lambda: listed <= places(ferry.log(table)), 30, "what is listed in the log", ferry.running())
    control.set(clock_offset_s=25 * HOUR_S, trust_boto=True)
    control.show(table.name)
    wait_renewed(ferry, table, first)
    settle_newest(ferry, table, unread)


def test_a_shard_whose_parent_nobody_knows_begins_a_new_generation(ferry):
    """Two rolls, and of the three shards the middle one is never listed."""
    table, other, producer = pair(ferry)
    control, before = ferry.fake.control, generation_of(ferry, table)
    control.set(late_listing_s=3600)
    control.roll(table.name)
    put_many(ferry, table, 5, "of the middle one")
    control.roll(table.name)
    (youngest,) = [s for s in control.shards(table.name) if s["open"]]
    control.show(table.name, [youngest["id"]])
    put_many(ferry, table, 5, "second")
    lost = frozenset(c.place for c in ferry.source(table).changes if c.shard == youngest["parent"])
    renewed_well(ferry, table, other, before, lost)
    (line,) = lines(producer, table, "table has a gap")
    assert "neither read nor listed" in line
    control.show(table.name)
    put_many(ferry, table, 5, "third")
    settle_newest(ferry, table, lost)


# --- a crash, anywhere on the way ---


def test_kills_between_the_gap_and_the_next_begin_change_nothing(ferry):
    """While the new stream is listed, and before anything is asked."""
    table, other, producer = pair(ferry)
    control, before = ferry.fake.control, generation_of(ferry, table)
    producer.sigterm()
    arn = control.new_stream(table.name)
    held = {"DescribeStream": {"StreamArn": arn}, "DescribeTable": {"TableName": table.name}}
    for op, where in held.items():
        fault = control.fault("hold", op=op, where=where, times=-1, predicate=from_producer)
        producer = ferry.producer()
        assert control.wait_held(fault)
        state = lambda: [record_of(ferry, table).get(name) for name in ("phase", "renew", "generation")]
        wait_until(lambda: state() == ["gap", True, before], 30, "the gap in the ledger", [producer])
        producer.kill9()
    control.clear()
    ferry.producer()
    renewed_well(ferry, table, other, before)


def test_kills_in_gap_after_gap_leave_one_right_generation(ferry):
    table, other, producer = pair(ferry)
    for number in range(4):
        before = generation_of(ferry, table)
        new_stream(ferry, table)
        put_many(ferry, table, 3, f"round {number}")
        lost = lambda: ferry.phase(table) == "gap" or generation_of(ferry, table) > before
        wait_until(lost, 60, "the gap", [producer])
        producer.kill9()
        # gaps in a row wait for half a minute and more: not what this is about
        record = {k: v for k, v in record_of(ferry, table).items() if k != "gaps"}
        write_ledger(ferry, f"table/{table.name}", record)
        producer = ferry.producer()
        wait_renewed(ferry, table, before)
    put_many(ferry, table, 5, "last")
    settle_newest(ferry, table)
    goes_on(ferry, other)


# --- on_gap = fail ---


def resume_line(producer, table):
    wait_until(lambda: lines(producer, table, "table halted"), 60, "the line", [producer])
    (line,) = lines(producer, table, "table halted")
    assert f'next="dynaferry-producer --resume {table.name}"' in line and "phase=gap" in line
    return line


@pytest.mark.parametrize("mode", ["all", "incr"])
def test_with_on_gap_fail_the_table_is_halted_and_the_line_says_what_to_type(ferry, mode):
    """It is the default where no rows are read."""
    settings = {"sync_mode": mode, **({"on_gap": "fail"} if mode == "all" else {})}
    table, other, producer = pair(ferry, **settings)
    before = generation_of(ferry, table)
    new_stream(ferry, table)
    wait_phase(ferry, table, "gap")
    line = resume_line(producer, table)
    assert ("lost=" in line) == (mode == "incr")
    red = lambda: producer.get("/healthz")[0] == 503 and table.name in producer.get("/healthz")[1]
    wait_until(red, 30, "red health at once", [producer])
    producer.sigterm()
    looks = ferry.fake.control.requests()
    producer = ferry.producer(settings)
    put_many(ferry, other, 5, "the neighbour's")
    ferry.wait_caught_up(tables=[other])
    assert ferry.phase(table) == "gap" and generation_of(ferry, table) == before
    assert not asked(ferry, "DescribeTable", looks, TableName=table.name), "it is asked about"
    assert not record_of(ferry, table).get("renew")
    producer.sigterm()
    producer = ferry.producer({**settings, "on_gap": "resnapshot"})
    record = wait_renewed(ferry, table, before) if mode == "all" else None
    if mode == "incr":
        wait_until(lambda: generation_of(ferry, table) > before, 60, "a generation", [producer])
        assert record_of(ferry, table)["rows"] is False
    else:
        settle_newest(ferry, table)
        assert record["gaps"] == 1


def test_a_record_that_asks_for_it_is_enough_under_on_gap_fail(ferry):
    """As a request by hand leaves it."""
    table, other, producer = pair(ferry, on_gap="fail")
    before = generation_of(ferry, table)
    producer.sigterm()
    record = {**record_of(ferry, table), "phase": "gap", "reason": "asked for", "renew": True}
    write_ledger(ferry, f"table/{table.name}", record)
    ferry.producer({"on_gap": "fail"})
    record = wait_renewed(ferry, table, before)
    assert "gaps" not in record
    put_many(ferry, table, 5, "last")
    settle_newest(ferry, table)
    goes_on(ferry, other)


# --- again and again ---


def test_gaps_in_a_row_are_slowed_down_and_red_meanwhile(ferry):
    table, other, producer = pair(ferry)
    first = generation_of(ferry, table)
    new_stream(ferry, table)
    second = wait_renewed(ferry, table, first)
    wait_healthy(producer)
    new_stream(ferry, table)
    wait_until(lambda: lines(producer, table, "table has another gap"), 60, "the second gap", [producer])
    (line,) = lines(producer, table, "table has another gap")
    assert "gaps=2" in line and "pause_ms=30000" in line and "level=error" in line
    red = lambda: producer.get("/healthz")[0] == 503 and "2 gaps in a row" in producer.get("/healthz")[1]
    wait_until(red, 30, "red health", [producer])
    goes_on(ferry, other)
    third = wait_renewed(ferry, table, second["generation"], 120)
    assert third["gaps"] == 2
    assert third["started_ms"] - second["started_ms"] >= 30_000
    wait_healthy(producer)
    settle_newest(ferry, table)


# --- topics ---


def test_a_topic_that_got_more_partitions_is_refused_until_it_is_deleted(ferry):
    table, other, producer = pair(ferry)
    before = generation_of(ferry, table)
    producer.sigterm()
    topic = ferry.topic(table)
    more = confluent_kafka.admin.NewPartitions(topic, 6)
    ferry.admin.create_partitions([more])[topic].result()
    producer = ferry.producer()
    wait_phase(ferry, table, "failed")
    assert "delete the topic" in record_of(ferry, table)["reason"]
    put_many(ferry, table, 5, "second")
    goes_on(ferry, other)
    assert generation_of(ferry, table) == before
    delete_topic(ferry, table)
    renewed_well(ferry, table, other, before)


def test_a_topic_made_by_somebody_else_that_does_not_suffice_fails_the_table_until_it_does(ferry):
    table, other, producer = pair(ferry)
    before = generation_of(ferry, table)
    producer.sigterm()
    delete_topic(ferry, table)
    make_topic(ferry, table, **{"max.message.bytes": "1000000"})
    producer = ferry.producer()
    wait_phase(ferry, table, "failed")
    assert "max.message.bytes" in record_of(ferry, table)["reason"]
    ferry.limit_messages(table, 8388608)
    renewed_well(ferry, table, other, before)


@pytest.mark.parametrize(
    "partitions,size,reason", [(4, 1_000_000, "max.message.bytes"), (3, 8388608, "has 3 partitions")]
)
def test_a_topic_that_somebody_else_makes_at_the_same_moment_is_looked_at_like_one_that_was_there(
    ferry, partitions, size, reason
):
    table = ferry.add_table()
    put_many(ferry, table, 5, "before")

    def make_first(frame):
        if ferry.topic(table).encode() in frame and not made:
            made.append(make_topic(ferry, table, partitions, **{"max.message.bytes": str(size)}))

    made = []
    with KafkaProxy(ferry.parts.kafka) as proxy:
        proxy.before[CREATE_TOPICS] = make_first
        ferry.producer({"kafka.bootstrap.servers": proxy.address})
        wait_until(lambda: ferry.phase(table), 60, "a record of the table", ferry.running())
        assert made and ferry.phase(table) == "failed" and reason in record_of(ferry, table)["reason"]
        assert not [r for r in ferry.log(table)], "records in a topic that does not suffice"


# --- a table that is gone, and comes back as another one ---


def test_a_table_that_was_gone_and_comes_back_as_another_is_copied_anew(ferry):
    table, other, producer = pair(ferry)
    before = generation_of(ferry, table)
    ferry.dynamodb.delete_table(TableName=table.name)
    wait_phase(ferry, table, "gone")
    table.create(ferry.dynamodb)
    put_many(ferry, table, 10, "of the new table")
    renewed_well(ferry, table, other, before)
    wait_healthy(producer)


# --- DynamoDB Local, and the target ---


def bridged(bridge, count=30, **settings):
    """A table with items that is in the target, its producer and consumer."""
    table = bridge.add_table()
    put_many(bridge, table, count, "before")
    producer = bridge.producer(settings)
    bridge.consumer()
    wait_phase(bridge, table, "tail")
    bridge.settle()
    return table, producer


def settled_anew(bridge, table, before):
    record = wait_renewed(bridge, table, before)
    put_many(bridge, table, 5, "last")
    settle_newest(bridge, table)
    bridge.wait_applied()
    complain(bridge.verify_target(table, "raw"))
    return record


def test_a_table_deleted_and_made_again_is_copied_anew_into_the_same_collection(bridge):
    """With the doubt that users have: the answer that names another table needs no minute of it."""
    table, _ = bridged(bridge, **{"source.doubt.ms": 60000})
    before = generation_of(bridge, table)
    bridge.dynamodb.delete_table(TableName=table.name)
    table.create(bridge.dynamodb)
    put_many(bridge, table, 10, "of the new table")
    settled_anew(bridge, table, before)
    assert bridge.target()[table.name].count_documents({}) == 15


def test_a_stream_that_was_disabled_and_enabled_is_copied_anew(bridge):
    table, _ = bridged(bridge)
    before = generation_of(bridge, table)
    update = lambda **stream: bridge.dynamodb.update_table(TableName=table.name, StreamSpecification=stream)
    update(StreamEnabled=False)
    put_many(bridge, table, 10, "between")
    bridge.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "before 1"}})
    update(StreamEnabled=True, StreamViewType="NEW_IMAGE")
    put_many(bridge, table, 10, "behind")
    settled_anew(bridge, table, before)


@pytest.mark.parametrize("running", [True, False], ids=["running", "away"])
def test_a_data_topic_that_was_deleted_is_made_and_filled_anew(bridge, running):
    table, producer = bridged(bridge)
    before = generation_of(bridge, table)
    if not running:
        producer.sigterm()
    delete_topic(bridge, table)
    put_many(bridge, table, 10, "second")
    if not running:
        bridge.producer()
    settled_anew(bridge, table, before)


# --- sync_mode = full ---


def test_a_full_run_that_finds_another_table_copies_that_and_ends_well(ferry):
    table = ferry.add_table(stream=None)
    put_many(ferry, table, 40, "old")
    page = ferry.fake.control.fault("hold", op="Scan", predicate=from_producer, when="before", skip=2)
    producer = ferry.producer({"sync_mode": "full", "full.read.concurrency": 1, "qps.full.batch_num": 5})
    assert ferry.fake.control.wait_held(page)
    before = generation_of(ferry, table)
    ferry.fake.control.recreate(table.name)
    put_many(ferry, table, 30, "new")
    ferry.fake.control.release(page)
    assert producer.wait(90) == 0, producer.story()
    record = record_of(ferry, table)
    assert record["generation"] > before and record["finished_ms"] > 0
    rows = [r.keys["pk"]["S"] for r in ferry.log(table) if r.is_row and r.generation == record["generation"]]
    assert sorted(rows) == sorted(f"new {n}" for n in range(30))


# --- a machine that stood still ---


def test_a_day_between_the_look_at_a_position_and_its_iterator_is_a_gap(ferry):
    """The iterator is one of today's horizon, behind which what was written yesterday is trimmed."""
    table = ferry.add_table()
    put_many(ferry, table, 5, "before")
    held = ferry.fake.control.fault("hold", op="GetShardIterator", when="before", predicate=from_producer)
    producer = ferry.producer()
    assert ferry.fake.control.wait_held(held)
    before = generation_of(ferry, table)
    put_many(ferry, table, 5, "yesterday")
    lost = frozenset(c.place for c in ferry.source(table).changes)
    ferry.fake.control.set(clock_offset_s=25 * HOUR_S, trust_boto=True)
    put_many(ferry, table, 5, "today")
    ferry.fake.control.release(held)
    wait_renewed(ferry, table, before)
    put_many(ferry, table, 5, "last")
    settle_newest(ferry, table, lost)
    (line,) = lines(producer, table, "table has a gap")
    assert "older than 23 h" in line
