"""A target database belongs to one topic.prefix and one source: a stranger is refused by name, writes nothing."""

import json

import confluent_kafka
import pytest
from support.bridge import APPLIED, Bridge
from support.refusing import (
    ONE_PARTITION,
    ferry,  # noqa: F401 (a fixture)
    fill,
    lines,
    proxy,  # noqa: F401 (a fixture)
    refused,
    wait_halted,
)
from support.running import PATIENCE, wait_until

OWNER = {"_id": "belongs to"}
ACCOUNT = {"account": "111122223333", "region": "eu-central-1"}


@pytest.fixture
def other(parts, directory, bridge):
    """Another bridge, with a prefix and tables of its own, into the database of the first."""
    directory = directory / "other"
    directory.mkdir()
    found = Bridge(parts, directory)
    found.database = found.settings["id"] = bridge.database
    yield found
    complaints = found.close()
    assert not complaints, "\n".join(complaints)


def begun(bridge, name=None, **settings):
    """A table that is in the log as a whole."""
    bridge.settings.update(ONE_PARTITION, **settings)
    table = bridge.add_table(name=name)
    fill(bridge, table, 5)
    bridge.producer()
    bridge.wait_caught_up()
    return table


def applied(bridge, **settings):
    table, consumer = begun(bridge, **settings), bridge.consumer()
    bridge.wait_applied()
    return table, consumer


def owner(bridge):
    return bridge.target()[APPLIED].find_one(OWNER)


def everything(bridge):
    """All documents of the database; positions without what a running owner changes."""
    target = bridge.target()
    changing = {"epoch": 0, "offset": 0, "owner": 0, "again": 0}
    names = target.list_collection_names()
    return {n: sorted(map(str, target[n].find({}, changing if n == APPLIED else None))) for n in names}


def check_refused(bridge, *named, settings=()):
    before = everything(bridge)
    consumer = bridge.run("consumer", settings, seconds=30)
    assert consumer.process.returncode == 78, consumer.story()
    (line,) = [line for line in consumer.log().splitlines() if "event=ended" in line]
    assert all(name in line for name in (*named, bridge.database)), line
    assert everything(bridge) == before, "it has written"


def ledger_source(bridge, source):
    """What the producer writes of its source."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bridge.parts.kafka})
    record = {"account": "", "region": "", "endpoint": "", **source, "prefix": bridge.prefix}
    producer.produce(f"{bridge.prefix}-ledger", json.dumps(record), "source", partition=0)
    assert producer.flush(30) == 0


# --- two prefixes ---


@pytest.mark.parametrize("mapped", [False, True], ids=["one collection", "collections of their own"])
def test_the_second_prefix_into_a_database_is_refused_by_name(bridge, other, mapped):
    table, consumer = applied(bridge)
    assert owner(bridge)["prefix"] == bridge.prefix
    namesake = begun(other)
    settings = {"map.collection": f"{namesake.name}={table.name}{'.second' if mapped else ''}"}
    check_refused(other, bridge.prefix, other.prefix, settings=settings)
    assert consumer.get("/healthz")[0] == 200
    consumer.sigterm()
    bridge.run("consumer", arguments=["--until-idle", "0"])
    bridge.verify()


def test_several_consumers_of_one_prefix_share_a_database_from_the_start(bridge):
    bridge.settings["topic.partitions"] = 4
    table = bridge.add_table()
    fill(bridge, table, 20)
    bridge.producer()
    bridge.wait_caught_up()
    consumers = [bridge.consumer() for _ in range(3)]
    assigned = lambda: all(lines(c, 'event="partitions assigned"') for c in consumers)
    wait_until(assigned, 60, "all to be members", consumers)
    bridge.settle()
    bridge.verify()
    assert owner(bridge)["prefix"] == bridge.prefix


def test_of_two_prefixes_that_start_at_once_one_has_the_database(bridge, other):
    begun(bridge)
    begun(other)
    consumers = {each.prefix: each.consumer() for each in (bridge, other)}
    decided = lambda: [c for c in consumers.values() if not c.running]
    (loser,) = wait_until(decided, 30, "one of them to be refused")
    assert loser.process.returncode == 78, loser.story()
    winner = bridge if loser is consumers[other.prefix] else other
    assert owner(bridge)["prefix"] == winner.prefix
    winner.wait_applied()
    positions = [d["_id"] for d in bridge.target()[APPLIED].find({"epoch": {"$exists": True}})]
    assert positions and all(place.startswith(f"{winner.prefix}.") for place in positions)


# --- databases of earlier versions, and of others ---


def test_a_database_of_an_earlier_version_is_taken_when_all_in_it_is_of_this_prefix(bridge):
    table, consumer = applied(bridge)
    consumer.sigterm()
    bridge.target()[APPLIED].delete_one(OWNER)
    fill(bridge, table, 5, version=2)
    bridge.consumer()
    bridge.settle()
    bridge.verify()
    assert owner(bridge)["prefix"] == bridge.prefix


OTHERS = {
    "before it": lambda prefix: "aaa",
    "behind it": lambda prefix: "zzz",
    "longer": lambda prefix: f"{prefix}x",
}


@pytest.mark.parametrize("which", OTHERS)
def test_a_database_of_an_earlier_version_with_positions_of_another_is_refused(bridge, which):
    """Named is the topic, also when one prefix is the beginning of the other."""
    table, consumer = applied(bridge)
    consumer.sigterm()
    bridge.target()[APPLIED].delete_one(OWNER)
    topic = f"{OTHERS[which](bridge.prefix)}.foreign"
    bridge.target()[APPLIED].insert_one({"_id": f"{topic}/3", "epoch": 1, "offset": 5})
    check_refused(bridge, topic, bridge.prefix)


def test_a_database_is_handed_over_as_the_documentation_says(bridge, other):
    """The owner's document and the positions of the former prefix are deleted."""
    table, consumer = applied(bridge)
    consumer.sigterm()
    begun(other)
    check_refused(other, bridge.prefix, other.prefix)
    bridge.target()[APPLIED].delete_one(OWNER)
    bridge.target()[APPLIED].delete_many({"_id": {"$regex": f"^{bridge.prefix}\\."}})
    other.consumer()
    other.wait_applied()
    other.verify()
    check_refused(bridge, bridge.prefix, other.prefix)


def test_a_table_is_not_prepared_in_a_database_that_was_handed_over_meanwhile(ferry):
    """It is looked at once more right before something is made."""
    table = begun(ferry)
    held = ferry.proxy.control.fault("hold", op="listCollections")
    consumer = ferry.consumer()
    assert ferry.proxy.control.wait_held(held, 30 * PATIENCE), consumer.story()
    ferry.target()[APPLIED].update_one(OWNER, {"$set": {"prefix": "somebody"}})
    ferry.proxy.control.release(held)
    line = wait_halted(consumer, table)
    assert "somebody" in line and ferry.prefix in line and ferry.database in line, line
    assert ferry.target().list_collection_names() == [APPLIED]


# --- the source ---


def test_the_source_is_noted_when_the_ledger_tells_it_and_another_one_is_refused(bridge):
    """The record may come after the database was taken; it never replaces another."""
    table, consumer = applied(bridge)
    assert owner(bridge)["prefix"] == bridge.prefix
    bridge.target()[APPLIED].update_one(OWNER, {"$unset": {"source": 1}})  # as before there was a record
    fill(bridge, table, 5, version=2)
    bridge.settle()
    for program in bridge.running():  # the producer too: the record is its own
        program.sigterm()
    ledger_source(bridge, ACCOUNT)
    consumer = bridge.consumer()
    wait_until(lambda: "source" in owner(bridge), 30, "the source to be noted", [consumer])
    assert owner(bridge) == {**OWNER, "prefix": bridge.prefix, "source": ACCOUNT}
    consumer.sigterm()
    other = {**ACCOUNT, "region": "us-east-1"}
    ledger_source(bridge, other)
    check_refused(bridge, bridge.prefix, *ACCOUNT.values(), other["region"])
    ledger_source(bridge, ACCOUNT)
    bridge.run("consumer", arguments=["--until-idle", "0"])
    assert owner(bridge) == {**OWNER, "prefix": bridge.prefix, "source": ACCOUNT}


@pytest.mark.parametrize("mine", [True, False], ids=["the same log", "another log"])
def test_another_endpoint_is_the_same_source_when_the_log_is(bridge, mine):
    """An emulator moves, an endpoint has many spellings: the producer goes by the tables, the target by the log."""
    table, consumer = applied(bridge)
    noted = owner(bridge)["source"]
    for program in bridge.running():
        program.sigterm()
    moved = {"endpoint": "http://localhost:8000"}
    ledger_source(bridge, moved)
    if not mine:
        bridge.target()[APPLIED].update_many({"epoch": {"$exists": True}}, {"$set": {"log_id": "another"}})
        check_refused(bridge, bridge.prefix, noted["endpoint"], moved["endpoint"])
        bridge.target()[APPLIED].delete_many({"epoch": {"$exists": True}})  # nothing was applied yet
    consumer = bridge.consumer()
    wait_until(lambda: owner(bridge)["source"] == moved, 30, "the source to be followed", [consumer])
    consumer.sigterm()


# --- rights ---


@pytest.mark.parametrize("op", ["find", "update"])
def test_a_missing_right_is_told_when_the_database_is_to_be_taken(ferry, op):
    begun(ferry)
    where = {"collection": APPLIED}
    answer = refused(13, "not authorized to execute this command")
    ferry.proxy.control.fault("reply", op=op, times=-1, where=where, document=answer)
    consumer = ferry.consumer({"start.timeout": 5})
    assert consumer.wait(30) == 77, consumer.story()
    assert "not authorized" in consumer.log() and ferry.database in consumer.log()
    assert APPLIED not in ferry.target().list_collection_names()
