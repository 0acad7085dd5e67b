"""Taking over from a NimoShake that was stopped: no copy, nothing lost; and a copy where that can't be told."""

import json
import re

import pytest
from support.fullcheck_tool import STATIC, Checker
from support.nimoshake import NEWER, OLDER, STATUS_TABLE, NimoShake
from support.running import wait_until

TAKE_OVER = "--take-over-nimoshake"
CONFIGURATION, USAGE = 78, 64


def put(bridge, table, *names, value="1"):
    for name in names:
        bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": name}, "value": {"N": value}})


def copied(bridge, names=NEWER):
    """A table that NimoShake has copied and followed, and what was written since it was stopped."""
    table, nimoshake = bridge.add_table(), NimoShake(bridge, names)
    put(bridge, table, *(f"old {i}" for i in range(30)))
    nimoshake.copy(table)
    nimoshake.stop(table)
    nimoshake.stage()
    put(bridge, table, "old 1", "old 2", "new 1", value="2")
    bridge.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "old 3"}})
    return table, nimoshake


def rows(bridge, table):
    return [record for record in bridge.log(table) if record.is_row]


def settled(bridge):
    bridge.wait_caught_up()
    bridge.wait_applied()


def same(bridge, table):
    problems = bridge.verify_target(table, "raw")
    assert not problems, "\n".join(map(str, problems))


def started(bridge, **settings):
    return bridge.producer(settings, (TAKE_OVER, bridge.parts.mongodb))


@pytest.mark.parametrize("names", [NEWER, OLDER], ids=["newer", "older"])
@pytest.mark.asan
def test_it_goes_on_without_a_copy(bridge, names):
    """Also with target.mongodb.exist = drop, which many a configuration of NimoShake says."""
    table, nimoshake = copied(bridge, names)
    ids = {d["_id"] for d in bridge.target()[table.name].find({}, {"_id": 1})}
    indexes = set(bridge.target()[table.name].index_information())
    producer = started(bridge)
    bridge.consumer({"target.mongodb.exist": "drop"})
    settled(bridge)
    same(bridge, table)
    assert not rows(bridge, table) and bridge.phase(table) == "tail"
    assert {json.loads(r.key)["pk"]["S"] for r in bridge.log(table) if r.key} == {"old 1", "old 2", "new 1", "old 3"}
    kept = ids & {d["_id"] for d in bridge.target()[table.name].find({}, {"_id": 1})}
    assert len(kept) == len(ids) - 1  # "old 3" is gone, all others are the documents that they were
    assert set(bridge.target()[table.name].index_information()) >= indexes
    assert {f"nimoshake:{table.name}", f"nimoshake:{STATUS_TABLE}"} <= nimoshake.collections()
    producer.sigterm()
    bridge.producer()
    put(bridge, table, "later")
    settled(bridge)
    same(bridge, table)
    assert not rows(bridge, table)


def test_what_it_converted_wrongly_is_found_and_repaired(bridge):
    """Of 19 digits its doubles keep 16; and it does not look at what stands there."""
    bridge.settings["convert.type"] = "change"
    table, nimoshake = bridge.add_table(), NimoShake(bridge)
    put(bridge, table, "small", value="7")
    put(bridge, table, "large", value="9007199254740993")
    nimoshake.copy(table, lambda item: {"pk": item["pk"]["S"], "value": float(item["value"]["N"])}, ["pk"])
    nimoshake.stop(table)
    nimoshake.stage()
    started(bridge)
    bridge.consumer()
    settled(bridge)
    found = Checker(bridge).run(*STATIC, "--repair")
    assert found.keys() == {'{"pk":{"S":"large"}}'}, found.lines
    settled(bridge)
    assert bridge.target()[table.name].find_one({"pk": "large"})["value"] == 9007199254740993
    assert Checker(bridge).run(*STATIC).code == 0


def test_a_start_that_was_cut_off_finds_what_it_moved(bridge):
    table, nimoshake = copied(bridge)
    for name in (table.name, STATUS_TABLE):
        nimoshake.checkpoints[name].rename(f"nimoshake:{name}")
    started(bridge)
    bridge.consumer()
    settled(bridge)
    same(bridge, table)
    assert not rows(bridge, table)


def test_a_shard_that_rolled_since_is_followed(scripted):
    table, _ = copied(scripted)
    control = scripted.fake.control
    for number in range(2):
        control.roll(table.name)
        put(scripted, table, f"rolled {number}", "old 5", value=str(10 + number))
    started(scripted)
    scripted.consumer()
    settled(scripted)
    same(scripted, table)
    assert not rows(scripted, table)


def test_changes_that_may_be_trimmed_mean_a_copy(scripted):
    """One table is taken over, the other is copied: its shard is not listed any more."""
    lost, nimoshake = copied(scripted)
    kept = scripted.add_table()
    put(scripted, kept, "a")
    nimoshake.copy(kept)
    nimoshake.stop(kept)
    (open_shard,) = [s["id"] for s in scripted.fake.control.shards(lost.name) if s["open"]]
    scripted.fake.control.roll(lost.name)
    scripted.fake.control.vanish(lost.name, open_shard)
    ids = {d["_id"] for d in scripted.target()[lost.name].find({}, {"_id": 1})}
    producer = started(scripted)
    scripted.consumer({"target.mongodb.exist": "drop"})
    wait_until(lambda: scripted.phase(lost) == "tail", 60, "the copy", [producer])
    wait_until(lambda: scripted.phase(kept) == "tail", 60, "the other table", [producer])
    scripted.wait_applied()
    same(scripted, lost)
    same(scripted, kept)
    assert rows(scripted, lost) and not rows(scripted, kept)
    assert ids & {d["_id"] for d in scripted.target()[lost.name].find({}, {"_id": 1})}, "it is copied in place"
    assert re.search(rf"the table is copied.*table={re.escape(lost.name)}.*is not listed any more", producer.log())


def test_a_table_that_it_did_not_know_is_copied(bridge):
    copied(bridge)
    table = bridge.add_table()
    put(bridge, table, "a")
    started(bridge)
    bridge.consumer()
    settled(bridge)
    same(bridge, table)
    assert rows(bridge, table)


@pytest.mark.parametrize("stage", ["full_sync", "", None])
def test_without_an_ended_copy_nothing_is_touched(bridge, stage):
    nimoshake = NimoShake(bridge)
    table = bridge.add_table()
    nimoshake.stop(table)
    if stage is not None:
        nimoshake.stage(stage)
    before = nimoshake.collections()
    program = bridge.run("producer", {}, (TAKE_OVER, bridge.parts.mongodb))
    assert program.process.returncode == CONFIGURATION, program.story()
    assert nimoshake.collections() == before
    assert ("had not ended its copy" if stage is not None else "has no checkpoints") in program.log()


def test_checkpoints_of_two_take_overs_are_not_mixed(bridge):
    table, nimoshake = copied(bridge)
    nimoshake.checkpoints[f"nimoshake:{table.name}"].insert_one(nimoshake.spelled(shard_id="x", status="done"))
    program = bridge.run("producer", {}, (TAKE_OVER, bridge.parts.mongodb))
    assert program.process.returncode == CONFIGURATION, program.story()
    assert "drop those that are out of date" in program.log()


@pytest.mark.parametrize(
    "settings, arguments, code",
    [
        ({"sync_mode": "incr"}, (), CONFIGURATION),
        ({"sync_mode": "full"}, (), CONFIGURATION),
        ({"checkpoint.db": ""}, (), CONFIGURATION),
        ({}, ("--pause", "orders"), USAGE),
    ],
)
def test_what_makes_no_sense_is_refused(bridge, settings, arguments, code):
    copied(bridge)
    program = bridge.run("producer", settings, (TAKE_OVER, bridge.parts.mongodb, *arguments))
    assert program.process.returncode == code, program.story()


def test_its_password_is_not_shown(bridge):
    copied(bridge)
    address = bridge.parts.mongodb.replace("mongodb://", "mongodb://nobody:swordfish@")
    program = bridge.run("producer", {"start.timeout": 5}, (TAKE_OVER, address))
    assert program.process.returncode in (69, 77), program.story()
    assert "swordfish" not in program.log()
