"""The log is applied again: dynaferry-consumer --replay sets positions back, their owners apply; and the target of
another database is filled from the log alone.
"""

import dataclasses
import re
import signal
from datetime import datetime, timezone

import pytest
from support.bridge import APPLIED
from support.delete_records import delete_records
from support.positions import events
from support.running import wait_until

DONE, REFUSED, USAGE, UNREACHABLE = 0, 1, 64, 69


def replay(bridge, table, point, *arguments, **settings):
    """Runs --replay to its end."""
    return bridge.run("consumer", {"start.timeout": 30, **settings}, ("--replay", table.name, "--from", point, *arguments))


def replayed(bridge, table, point, *arguments, **settings):
    program = replay(bridge, table, point, *arguments, **settings)
    assert program.process.returncode == DONE, program.story()
    return program


def refused(bridge, table, point, words, code=REFUSED, **settings):
    program = replay(bridge, table, point, **settings)
    assert program.process.returncode == code, program.story()
    assert re.search(words, program.log()), program.story()


def begin(bridge, seed, consumers=1, keys=60):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=seed, keys=keys)
    writer.fill()
    producer = bridge.producer()
    for _ in range(consumers):
        bridge.consumer()
    bridge.wait_caught_up()
    bridge.wait_applied()
    shared_out = lambda: "" not in owners(bridge) and len(owners(bridge)) == consumers
    wait_until(shared_out, 30, "a part for each consumer", bridge.running())
    return table, writer, producer


def owners(bridge):
    return {position["owner"] for position in bridge.target()[APPLIED].find({"owner": {"$exists": True}})}


def put(bridge, table, names):
    for name in names:
        bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": name}, "x": {"S": "right"}})
    bridge.wait_caught_up()


def damage(bridge, table):
    """All documents have lost all but their keys."""
    collection = bridge.target()[table.name]
    for document in list(collection.find()):
        keys = {name: document[name] for name in ("_id", *table.key_schema.names)}
        collection.replace_one({"_id": keys["_id"]}, {**keys, "damaged": True})


def damaged(bridge, table):
    return {d["pk"]["S"] for d in bridge.target()[table.name].find({"damaged": True})}


def now():
    return datetime.now(timezone.utc).isoformat()


# --- what is applied again ---


@pytest.mark.asan
def test_a_damaged_target_is_right_again_with_two_consumers_and_a_writer_beside_it(bridge):
    table, writer, _ = begin(bridge, seed=401, consumers=2)
    writer.start()
    damage(bridge, table)
    bridge.target()[table.name].delete_many({"pk.S": {"$regex": "^[a-m]"}})
    epochs = {d["_id"]: d["epoch"] for d in bridge.target()[APPLIED].find({"epoch": {"$exists": True}})}
    program = replayed(bridge, table, "beginning", "--wait")
    lines = events(program, "replay set")
    assert sorted(int(line["partition"]) for line in lines) == list(range(4))
    bridge.settle()
    assert not damaged(bridge, table)
    bridge.verify()
    after = {d["_id"]: d["epoch"] for d in bridge.target()[APPLIED].find({"epoch": {"$exists": True}})}
    assert after == epochs, "owners apply again; nobody takes over"


def test_a_time_means_the_records_since_then(bridge):
    table = bridge.add_table()
    bridge.producer()
    bridge.consumer()
    old, new = {f"old{n}" for n in range(12)}, {f"new{n}" for n in range(12)}
    put(bridge, table, old)
    between = now()
    put(bridge, table, new)
    bridge.wait_applied()
    damage(bridge, table)
    replayed(bridge, table, between, "--wait")
    assert damaged(bridge, table) == old
    replayed(bridge, table, "1970-01-01T00:00:00Z", "--wait")
    assert not damaged(bridge, table)
    program = replayed(bridge, table, now(), "--wait")
    assert len(events(program, "nothing to replay")) == 4


def test_an_offset_means_one_partition_from_there(bridge):
    table = bridge.add_table()
    bridge.producer()
    bridge.consumer()
    names = {f"k{n}" for n in range(24)}
    put(bridge, table, names)
    bridge.wait_applied()
    damage(bridge, table)
    rows = [r for r in bridge.log(table) if r.partition == 2 and r.op != "m"]
    middle = rows[len(rows) // 2]
    replayed(bridge, table, f"2:{middle.offset}", "--wait")
    right = {r.keys["pk"]["S"] for r in rows if r.offset >= middle.offset}
    assert right and damaged(bridge, table) == names - right


def test_with_consumer_and_producer_away_it_is_set_and_applied_when_a_consumer_comes(bridge):
    table, _, producer = begin(bridge, seed=402)
    for program in bridge.running():
        program.sigterm()
    damage(bridge, table)
    replayed(bridge, table, "beginning")
    assert damaged(bridge, table)
    again = replayed(bridge, table, "beginning")
    assert {line["reason"] for line in events(again, "nothing to replay")} == {"it is about to go back further"}
    bridge.consumer()
    bridge.wait_applied()
    assert not damaged(bridge, table)
    bridge.verify()


def test_nothing_before_the_newest_generation_is_applied_again(bridge):
    table = bridge.add_table()
    put_before = {f"k{n}" for n in range(12)}
    for name in put_before:
        bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": name}})
    for _ in range(2):
        assert bridge.run("producer", {"sync_mode": "full"}).process.returncode == 0
    consumer = bridge.consumer(arguments=("--until-idle", "1"))
    assert consumer.wait(60) == 0
    begins = bridge.ledger()[0][f"table/{table.name}"]["begin_offsets"]
    assert all(offset > 0 for offset in begins)
    replayed(bridge, table, "0:0")
    replayed(bridge, table, "1970-01-01T00:00:00Z")
    assert [bridge.position(table, p)["rewind"] for p in range(4)] == begins


# --- what can't be ---


def test_what_the_log_has_lost_is_refused_and_nothing_is_set(bridge):
    table, _, _ = begin(bridge, seed=403)
    for program in bridge.running():
        program.sigterm()
    delete_records(bridge.parts.kafka, bridge.topic(table), 4)
    again = f"--resnapshot {table.name}"
    refused(bridge, table, "beginning", again)
    refused(bridge, table, "1970-01-01T00:00:00Z", again)
    refused(bridge, table, "1:2", again)
    assert not [p for p in range(4) if "rewind" in bridge.position(table, p)]


def test_half_a_command_and_an_unknown_table_are_refused(bridge):
    table, _, _ = begin(bridge, seed=404)
    refused(bridge, table, "yesterday", "--from = yesterday: allowed are beginning, a time", USAGE)
    for arguments in (("--replay", "a"), ("--from", "beginning"), ("--wait",), ("--replay", "a", "--from", "1:1", "--until-idle", "1")):
        assert bridge.run("consumer", {}, arguments).process.returncode == USAGE
    refused(bridge, table, "4:0", "has no partition 4")
    unknown = dataclasses.replace(table, name="no-such-table")
    refused(bridge, unknown, "beginning", "the ledger knows no table no-such-table")
    refused(bridge, table, "beginning", "27.0.0.1:1 does not answer", UNREACHABLE, **{"kafka.bootstrap.servers": "127.0.0.1:1", "start.timeout": 1})


def test_a_target_that_never_began_has_nothing_to_replay(bridge):
    table, _, _ = begin(bridge, seed=405)
    other = f"{bridge.database}_other"
    program = replayed(bridge, table, "beginning", "--wait", id=other)
    assert len(events(program, "nothing to replay")) == 4
    assert other not in bridge.parts.mongo.list_database_names()


def test_a_signal_ends_the_waiting_and_the_replay_goes_on(bridge):
    table, _, _ = begin(bridge, seed=406)
    bridge.programs[1].sigterm()
    damage(bridge, table)
    program = bridge.consumer({}, ("--replay", table.name, "--from", "beginning", "--wait"))
    wait_until(lambda: len(events(program, "replay set")) == 4, 30, "the replay set", [program])
    program.signal(signal.SIGINT)
    assert program.wait(15) == REFUSED
    assert "interrupted: the positions are set back" in program.log()
    bridge.consumer()
    bridge.wait_applied()
    assert not damaged(bridge, table)


# --- another target ---


def test_a_second_target_is_filled_from_the_log_alone(bridge):
    """With the producer away: a conf of its own, with another id, and nothing else."""
    table, writer, producer = begin(bridge, seed=407)
    writer.start()
    wait_until(lambda: writer.written > 60, 60, "writes", bridge.running())
    bridge.settle()
    producer.sigterm()
    second = f"{bridge.database}_second"
    bridge.consumer({"id": second, "convert.type": "change"})
    bridge.wait_applied(database=second)
    assert not bridge.verify_target(table, "change", database=second)
    bridge.verify()
