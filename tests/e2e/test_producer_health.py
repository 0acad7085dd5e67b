"""A table that is dead is not healthy, whatever else is alive; one that is well stays healthy, however idle.

`health.limit.ms` is a few seconds here. A stuck part of /healthz is a line `stuck: PART: WHY`, what is only
worth a look a line `note: PART: TEXT`.
"""

import re
import socket
import struct

import confluent_kafka
import pytest
from fakes.kafka_proxy import KafkaProxy
from support.running import stays, wait_until
from support.scripted_source import (  # noqa: F401 (ferry is a fixture)
    ferry,
    from_producer,
    settle_log,
    told,
    wait_phase,
)

LIMIT_S = 4
SETTINGS = {"health.limit.ms": LIMIT_S * 1000, "source.doubt.ms": 1000}
INIT_PRODUCER_ID = 22
UNKNOWN_SERVER_ERROR = -1
EVERYTHING = range(100)  # every kind of request to a broker


# --- looking ---


def health_lines(producer, kind, *words):
    lines = producer.get("/healthz")[1].splitlines()
    return [line for line in lines if line.startswith(kind + ": ") and all(word in line for word in words)]


def is_stuck(producer, *words):
    """The program is not healthy because of a part whose line has these words."""
    return producer.get("/healthz")[0] == 503 and bool(health_lines(producer, "stuck", *words))


def wait_stuck(producer, *words, seconds=40):
    wait_until(lambda: is_stuck(producer, *words), seconds, f"{words} to be stuck", [producer])


def is_well(producer):
    return producer.get("/healthz") == (200, "ok\n")


def wait_well(producer, seconds=60):
    wait_until(lambda: is_well(producer), seconds, "health", [producer])


# --- scenes ---


def put(bridge, table, key, value="1"):
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": key}, "v": {"N": value}})


def in_tail(bridge, seed=1, shards=1, tables=1, **settings):
    """Tables of a few items that are carried and well, and their producer."""
    bridge.fake.control.set(shards=shards)
    made = [bridge.add_table() for _ in range(tables)]
    for table in made:
        bridge.writer(table, seed=seed, keys=20, refused=0).fill()
    producer = bridge.producer({**SETTINGS, **settings})
    for table in made:
        wait_phase(bridge, table, "tail")
    wait_well(producer)
    return (*made, producer)


def for_ever(bridge, kind, op, **where):
    return bridge.fake.control.fault(kind, op=op, times=-1, where=where, predicate=from_producer)


def phase_and_reason(bridge, table):
    record = bridge.ledger()[0][f"table/{table.name}"]
    return record["phase"], record["reason"]


# --- tables that get nothing ---


@pytest.mark.parametrize("refusal", ["500", "access_denied"])
def test_a_table_whose_shards_are_drained_and_whose_children_are_not_found_is_stuck(ferry, refusal):
    table, producer = in_tail(ferry)
    for_ever(ferry, refusal, "DescribeStream")
    ferry.fake.control.roll(table.name)
    put(ferry, table, "in the child")
    wait_stuck(producer, table.name)
    ferry.fake.control.clear()
    wait_well(producer)
    settle_log(ferry)


@pytest.mark.parametrize("op", ["DescribeTable", "DescribeStream"])
def test_a_table_that_can_not_start_is_stuck_and_says_why(ferry, op):
    table, other = ferry.add_table(), ferry.add_table()
    for_ever(ferry, "500", op, TableName=table.name)
    producer = ferry.producer(SETTINGS)
    wait_phase(ferry, other, "tail")
    wait_stuck(producer, f"table {table.name}", "InternalServerError")
    assert not health_lines(producer, "stuck", other.name)
    ferry.fake.control.clear()
    wait_phase(ferry, table, "tail")
    wait_well(producer)


def test_a_shard_of_several_that_never_answers_makes_its_table_stuck(ferry):
    """Though the others go on."""
    table, producer = in_tail(ferry, shards=4)
    sick = ferry.fake.control.shards(table.name)[2]["id"]
    for_ever(ferry, "hold", "GetRecords", ShardId=sick)
    for n in range(40):
        put(ferry, table, f"more {n}")
    wanted = {int(r["seq"]) for r in ferry.fake.control.history(table.name) if r["shard"] != sick}
    have = lambda: {r.place[1] for r in ferry.log(table) if r.is_change}
    wait_stuck(producer, table.name)
    wait_until(lambda: wanted <= have(), 30, "changes of the other shards", [producer])
    assert is_stuck(producer, table.name)
    ferry.fake.control.clear()
    wait_well(producer)
    settle_log(ferry)


def test_appends_that_are_never_committed_are_no_progress(ferry):
    """Every transaction is aborted, and rows or changes are appended anew each time."""
    with KafkaProxy(ferry.parts.kafka) as proxy:
        # longer than any pause between two aborted transactions
        settings = {"health.limit.ms": 12_000, "kafka.bootstrap.servers": proxy.address}
        table, producer = in_tail(ferry, **settings)
        proxy.refuse(ferry.topic(table), UNKNOWN_SERVER_ERROR, 1_000_000)
        put(ferry, table, "refused")
        wait_stuck(producer, table.name, seconds=60)
        assert proxy.refusal[2] < 999_999, "nothing was appended a second time"
        proxy.refusal = None
        producer.sigterm()
    ferry.producer(SETTINGS)
    settle_log(ferry)


@pytest.fixture
def handed(scripted):
    """Two members may ask for one shard at once here."""
    scripted.source = lambda table: told(scripted.fake, table)
    yield scripted
    scripted.fake.control.clear()


def fence(bridge, producer):
    """It loses its handle, and takes the table over again."""
    other = {"bootstrap.servers": bridge.parts.kafka, "transactional.id": f"{bridge.prefix}-0"}
    confluent_kafka.Producer(other).init_transactions(30)
    put(bridge, bridge.tables[0], "for the fence")
    wait_until(lambda: "fenced" in producer.log(), 60, "it notices", [producer])


def give_away_and_back(bridge, producer):
    """The one whose name is first gets the one ledger partition, and leaves."""
    other = bridge.producer({**SETTINGS, "ledger.partitions": 1, "kafka.client.id": "A"})
    wait_until(lambda: "ledger partition opened" in other.log(), 60, "the other's turn", bridge.running())
    other.sigterm(30)


@pytest.mark.parametrize("lose", [fence, give_away_and_back])
def test_the_end_of_an_old_reader_leaves_the_health_of_its_successor(handed, lose):
    """An answer is still on its way to the old reader while the new one reads."""
    table, producer = in_tail(handed, shards=2, **{"ledger.partitions": 1, "kafka.client.id": "B"})
    control, shard = handed.fake.control, handed.fake.control.shards(table.name)[0]["id"]
    old = control.fault("hold", op="GetRecords", where={"ShardId": shard}, predicate=from_producer)
    assert control.wait_held(old)
    (held,) = [e for e in handed.fake.script.entries("GetRecords", ShardId=shard) if e["end"] is None]
    lose(handed, producer)
    assert control.wait_requests("GetRecords", 3, since=control.requests(), ShardId=shard)
    control.release(old)
    ended = lambda: all(e["end"] for e in handed.fake.script.entries("GetRecords") if e["n"] == held["n"])
    assert handed.fake.script.wait(ended, 60)
    assert control.wait_requests("GetRecords", 3, since=control.requests(), ShardId=shard)
    wait_well(producer)
    for_ever(handed, "hold", "GetRecords", ShardId=shard)
    wait_stuck(producer, table.name)


# --- tables that are not what they were ---


def gap_lines(producer, table):
    return [line for line in producer.log().splitlines() if f"table={table.name} " in line and "phase=gap" in line]


def test_a_table_made_anew_while_it_is_carried_is_a_gap_and_told_once(ferry):
    table, producer = in_tail(ferry, on_gap="fail")
    ferry.fake.control.recreate(table.name)
    wait_phase(ferry, table, "gap")
    wait_stuck(producer, f"table {table.name}")
    assert len(gap_lines(producer, table)) == 1


def test_a_table_that_was_gone_and_is_there_again_as_another_is_a_gap_and_told_once(ferry):
    """Noticed while the producer runs."""
    table, producer = in_tail(ferry, on_gap="fail")
    ferry.dynamodb.delete_table(TableName=table.name)
    wait_phase(ferry, table, "gone")
    table.create(ferry.dynamodb)
    put(ferry, table, "of the new table")
    wait_phase(ferry, table, "gap")
    wait_stuck(producer, f"table {table.name}")
    assert len(gap_lines(producer, table)) == 1


def test_a_table_that_is_gone_is_shown_and_makes_nothing_sick(ferry):
    table, other, producer = in_tail(ferry, tables=2)
    ferry.dynamodb.delete_table(TableName=table.name)
    wait_phase(ferry, table, "gone")
    shown = lambda: health_lines(producer, "note", f"table {table.name}")
    wait_until(shown, 30, "the note", [producer])
    looks = lambda: (producer.get("/healthz")[0], len(shown()))
    stays(lambda: looks() == (200, 1), 2 * LIMIT_S)
    assert not health_lines(producer, "note", other.name)


# --- parts that are no table ---


class NoHandle(KafkaProxy):
    """Swallows InitProducerId of one transactional id."""

    def __init__(self, broker, name):
        super().__init__(broker)
        self.name, self.active = name.encode(), True

    def asked(self, frame, refused):
        if self.active and struct.unpack(">h", frame[:2])[0] == INIT_PRODUCER_ID and self.name in frame:
            self.hidden.set()
            return None
        return super().asked(frame, refused)


def cut(proxy):
    """What waits for an answer on these connections asks again at once."""
    for connection in proxy.connections:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end was first


def test_a_ledger_partition_that_can_not_be_opened_is_stuck_and_its_neighbour_goes_on(ferry):
    tables = [ferry.add_table(), ferry.add_table()]
    with NoHandle(ferry.parts.kafka, f"{ferry.prefix}-1") as proxy:
        settings = {"ledger.partitions": 2, "kafka.bootstrap.servers": proxy.address}
        producer = ferry.producer({**SETTINGS, **settings})
        place = lambda t: ferry.ledger()[0].get(f"place/{t.name}", {}).get("partition")
        wait_until(lambda: sorted(map(place, tables), key=str) == [0, 1], 60, "places", [producer])
        well, shut = sorted(tables, key=place)
        wait_phase(ferry, well, "tail")
        assert proxy.hidden.wait(60)
        wait_until(
            lambda: is_stuck(producer) and re.search(r"^stuck: .*partition.*\b1\b", producer.get("/healthz")[1], re.M),
            40, "the partition to be stuck", [producer],
        )  # fmt: skip
        put(ferry, well, "meanwhile")
        ferry.wait_caught_up(tables=[well])
        proxy.active = False
        cut(proxy)
        wait_phase(ferry, shut, "tail", 120)
        wait_well(producer)
        producer.sigterm()


def test_tables_that_can_not_be_looked_for_are_told(ferry):
    table, producer = in_tail(ferry)
    for_ever(ferry, "access_denied", "ListTables")
    wait_stuck(producer, "discovery", "AccessDenied")
    assert not health_lines(producer, "stuck", table.name)
    ferry.fake.control.clear()
    wait_well(producer)


def test_a_broker_that_hangs_is_told_though_no_table_has_anything_to_write(ferry):
    with KafkaProxy(ferry.parts.kafka) as proxy:
        table, producer = in_tail(ferry, **{"kafka.bootstrap.servers": proxy.address})
        proxy.swallowed = EVERYTHING
        wait_stuck(producer, seconds=60)
        proxy.swallowed = ()
        cut(proxy)
        wait_well(producer, 90)
        put(ferry, table, "afterwards")
        ferry.wait_caught_up(90)
        producer.sigterm()


# --- what is well ---


def test_an_idle_table_stays_healthy_far_beyond_the_limit(ferry):
    *_, producer = in_tail(ferry, shards=3, tables=2)
    stays(lambda: is_well(producer), 4 * LIMIT_S)


def test_transactions_without_records_are_no_commits(ferry):
    """Looking for tables and reading idle shards writes nothing."""
    _, producer = in_tail(ferry, shards=2)
    commits = lambda: producer.metric("dynaferry_producer_commits_total")
    quiet = lambda before: ferry.fake.control.wait_requests("ListTables", 3, since=before)
    assert quiet(ferry.fake.control.requests())  # what the start had to say is said
    before = commits()
    assert quiet(ferry.fake.control.requests())
    assert commits() == before > 0


def named_tables(producer):
    """Those that any series of its metrics names."""
    found = re.findall(r'^dynaferry_producer_\w+\{[^}]*\btable="([^"]*)"', producer.get("/metrics")[1], re.M)
    return set(found)


def test_the_series_of_a_table_are_where_its_owner_is(ferry):
    """They leave the instance that gave it away, and come back with it."""
    *tables, first = in_tail(ferry, tables=4)
    names = {table.name for table in tables}
    assert named_tables(first) == names
    second = ferry.producer(SETTINGS)

    def shared_out():
        mine, theirs = named_tables(first), named_tables(second)
        return bool(mine and theirs) and mine | theirs == names and not mine & theirs

    wait_until(shared_out, 60, "each table's series at one of them", ferry.running())
    stays(shared_out, 2)
    second.sigterm(30)
    wait_until(lambda: named_tables(first) == names, 60, "all series at the first again", [first])
    left = lambda table: first.metric("dynaferry_producer_trim_seconds", table=table.name)
    wait_until(lambda: all(left(table) > 0 for table in tables), 20, "the time until a trim of each", [first])
