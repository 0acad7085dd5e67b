"""A data topic that was deleted and made again: its offsets mean something else, nothing is applied from old ones."""

import json

import confluent_kafka
import confluent_kafka.admin
from support import topic_check
from support.delete_records import delete_records
from support.refusing import ONE_PARTITION, fill, told, wait_halted, wait_well
from support.running import wait_until

KEYS = 20
NEW_LOG = "0123456789abcdef"
CREATED = {"cleanup.policy": "delete", "max.message.bytes": "8388608"}


# --- what a producer writes ---


def envelope(bridge, table, generation, op, key=None, version=None, control=None):
    keys = {"pk": {"S": key}} if key else None
    source = {
        "connector": "dynamodb", "name": bridge.prefix, "table": table.name, "snapshot": op in "rm",
        "generation": generation, "ts_ms": None if op in "rm" else 1760000001000,
    }  # fmt: skip
    after = {**keys, "v": {"N": str(version)}} if keys else None
    value = {"op": op, "ts_ms": 1760000000123, "source": source, "keys": keys, "after": after}
    if control:
        value["control"] = control
    message_key = keys or {"control": control["type"]}
    return json.dumps(message_key).encode(), json.dumps(value).encode()


def changes(bridge, table, count, version):
    """Of the generation that the ledger tells, of the keys that the table has."""
    generation = record_of(bridge, table)["generation"]
    return [envelope(bridge, table, generation, "u", f"k{n % KEYS}", version) for n in range(count)]


def control(bridge, table, record, kind):
    body = {"type": kind, "key_schema": record["key_schema"], "log_id": record["log_id"], "rows": True}
    return envelope(bridge, table, record["generation"], "m", control=body)


def append(bridge, topic, messages, partition=0, abort=False):
    """The offset of the first."""
    settings = {"bootstrap.servers": bridge.parts.kafka}
    if abort:
        settings["transactional.id"] = f"{topic}-abort"
    producer = confluent_kafka.Producer(settings)
    offsets = []

    def delivered(error, message):
        assert error is None, error
        offsets.append(message.offset())

    if abort:
        producer.init_transactions(30)
        producer.begin_transaction()
    for key, value in messages:
        producer.produce(topic, value, key, partition=partition, on_delivery=delivered)
    assert producer.flush(30) == 0
    if abort:
        producer.abort_transaction(30)
    return min(offsets)


# --- what becomes of the topics ---


def record_of(bridge, table):
    return bridge.ledger()[0][f"table/{table.name}"]


def make_anew(bridge, table):
    topic = bridge.topic(table)
    bridge.admin.delete_topics([topic], operation_timeout=20)[topic].result()

    def created():
        new = confluent_kafka.admin.NewTopic(topic, 1, 1, config=CREATED)
        try:
            return bridge.admin.create_topics([new])[topic].result() is None
        except confluent_kafka.KafkaException:
            return False  # the old one is still there

    wait_until(created, 30, f"{topic} to be made again")


def begin_new_generation(bridge, table, version):
    """As the producer does it when it has found out: begin, rows, end; then the ledger tells it."""
    old = record_of(bridge, table)
    record = {**old, "generation": old["generation"] + 1000, "log_id": NEW_LOG, "phase": "tail"}
    rows = [envelope(bridge, table, record["generation"], "r", f"k{n}", version) for n in range(KEYS)]
    begin, end = (control(bridge, table, record, f"snapshot-{kind}") for kind in ("begin", "end"))
    record["begin_offsets"] = [append(bridge, bridge.topic(table), [begin, *rows, end])]
    value = json.dumps(record).encode()
    place = bridge.ledger()[0][f"place/{table.name}"]["partition"]
    append(bridge, f"{bridge.prefix}-ledger", [(f"table/{table.name}".encode(), value)], place)


def nothing(bridge, table):
    """Nothing stands in the new topic."""


def fewer(bridge, table):
    append(bridge, bridge.topic(table), changes(bridge, table, 5, 2))


def more(bridge, table):
    """Than the position says: each key once before it, and others behind it."""
    append(bridge, bridge.topic(table), changes(bridge, table, 5 * KEYS, 2))


def begins_anew(bridge, table):
    """A begin at the very offset, of another log; the ledger does not tell it yet."""
    record = {**record_of(bridge, table), "log_id": "another"}
    begin = control(bridge, table, record, "snapshot-begin")
    append(bridge, bridge.topic(table), [begin, *changes(bridge, table, 5 * KEYS, 2)])


def a_hole(bridge, table):
    """Where the begin stood is a record of an aborted transaction."""
    append(bridge, bridge.topic(table), changes(bridge, table, 1, 2), abort=True)
    more(bridge, table)


def applied(bridge, count):
    """Tables that were applied as a whole; the producer is gone."""
    bridge.settings.update(ONE_PARTITION)
    tables = [bridge.add_table() for _ in range(count)]
    for table in tables:
        fill(bridge, table, KEYS)
    producer, consumer = bridge.producer(), bridge.consumer()
    bridge.wait_caught_up()
    bridge.wait_applied()
    producer.sigterm()
    for table in tables:  # the markers of transactions included, so that the positions stand still
        wait_until(lambda: at_end(bridge, table), 30, f"{table.name} at its end", [consumer])
    return tables, consumer


def at_end(bridge, table):
    ((_, end),) = topic_check.open_ends(bridge.parts.kafka, bridge.topic(table)).values()
    return bridge.position(table, 0)["offset"] == end


def versions(bridge, table):
    return sorted(document["v"]["N"] for document in bridge.target()[table.name].find())


def wait_versions(bridge, consumer, table, version):
    wanted = [str(version)] * KEYS
    wait_until(lambda: versions(bridge, table) == wanted, 60, f"{table.name} as {version}", [consumer])


def check_halted(bridge, consumer, tables, before):
    for table in tables:
        line = wait_halted(consumer, table, "partition halted")
        assert f"topic={bridge.topic(table)} partition=0" in line and "made anew" in line, line
        assert versions(bridge, table) == ["1"] * KEYS, "something of the new topic was applied"
        assert bridge.position(table, 0)["offset"] == before[table.name]


def check_goes_on(bridge, consumer, tables):
    for table in tables:
        assert len(told(consumer, "partition halted", table)) == 1, "more than one line"
        begin_new_generation(bridge, table, 3)
    for table in tables:
        wait_versions(bridge, consumer, table, 3)
        position = bridge.position(table, 0)
        assert position["log_id"] == NEW_LOG, position
    wait_well(consumer, tables)


# --- the tests ---

WHILE_AWAY = [more, fewer, nothing, begins_anew, a_hole]


def test_a_topic_that_was_made_anew_while_the_consumer_was_away_is_not_applied_from_the_old_offset(bridge):
    """It waits, red, until the producer has begun a new generation there, and begins with that."""
    tables, consumer = applied(bridge, len(WHILE_AWAY) + 1)
    *anew, good = tables
    before = {table.name: bridge.position(table, 0)["offset"] for table in tables}
    consumer.sigterm()
    for table, written in zip(anew, WHILE_AWAY):
        make_anew(bridge, table)
        written(bridge, table)
    append(bridge, bridge.topic(good), changes(bridge, good, KEYS, 2))
    consumer = bridge.consumer()
    wait_versions(bridge, consumer, good, 2)
    check_halted(bridge, consumer, anew, before)
    check_goes_on(bridge, consumer, anew)
    assert not told(consumer, "partition halted", good)


def test_a_new_generation_in_a_topic_that_was_made_anew_is_begun_with_at_once(bridge):
    """The producer found out while the consumer was away; an offset of the new log is in the ledger."""
    (table,), consumer = applied(bridge, 1)
    consumer.sigterm()
    make_anew(bridge, table)
    begin_new_generation(bridge, table, 2)
    more(bridge, table)
    consumer = bridge.consumer()
    wait_versions(bridge, consumer, table, 2)
    assert bridge.position(table, 0)["log_id"] == NEW_LOG
    assert not told(consumer, "partition halted", table)


def test_a_begin_that_the_topic_does_not_have_is_not_begun_with(bridge):
    """The ledger tells a new log, but the topic was made anew once more since."""
    (table,), consumer = applied(bridge, 1)
    before = {table.name: bridge.position(table, 0)["offset"]}
    consumer.sigterm()
    begin_new_generation(bridge, table, 2)
    make_anew(bridge, table)
    more(bridge, table)
    consumer = bridge.consumer()
    line = wait_halted(consumer, table, "partition halted")
    assert "made anew" in line, line
    assert versions(bridge, table) == ["1"] * KEYS, before


WHILE_RUNNING = [nothing, fewer]


def test_a_topic_that_is_made_anew_under_a_running_consumer_is_noticed(bridge):
    """The log ends before what was applied."""
    tables, consumer = applied(bridge, len(WHILE_RUNNING))
    before = {table.name: bridge.position(table, 0)["offset"] for table in tables}
    for table, written in zip(tables, WHILE_RUNNING):
        make_anew(bridge, table)
        written(bridge, table)
    check_halted(bridge, consumer, tables, before)
    check_goes_on(bridge, consumer, tables)


def test_a_log_whose_begin_retention_took_goes_on(bridge):
    """Nothing is left that tells which log it is, or only records of its generation: that is no other log."""
    (empty, some), consumer = applied(bridge, 2)
    consumer.sigterm()
    for table in empty, some:
        delete_records(bridge.parts.kafka, bridge.topic(table), 1)
    append(bridge, bridge.topic(some), changes(bridge, some, KEYS, 2))
    assert topic_check.partitions_of(bridge.parts.kafka, bridge.topic(empty)) == 1
    consumer = bridge.consumer()
    wait_versions(bridge, consumer, some, 2)
    append(bridge, bridge.topic(empty), changes(bridge, empty, KEYS, 2))
    wait_versions(bridge, consumer, empty, 2)
    assert consumer.get("/healthz")[0] == 200
    assert not told(consumer, "partition halted", empty) + told(consumer, "partition halted", some)
