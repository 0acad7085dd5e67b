"""What stands at the target's end: its collection prepared once, found changed, or not ours to touch."""

import pytest
from support.bridge import APPLIED, complain
from support.delete_records import delete_records
from support.oracle import KeySchema
from support.running import wait_until

CHANGE = {"convert.type": "change"}


def begun(bridge, key_schema=None, keys=40, settings=CHANGE):
    """A table that is in the log; nobody has applied it yet."""
    table = bridge.add_table(key_schema)
    writer = bridge.writer(table, seed=5, keys=keys, refused=0)
    writer.fill()
    bridge.producer()
    bridge.wait_caught_up()
    return table


def verify(bridge, table, convert_type="change", **more):
    complain(bridge.verify_target(table, convert_type, **more))


def document(bridge, table):
    return bridge.target()[APPLIED].find_one({"_id": bridge.topic(table)})


def collections(bridge):
    return set(bridge.target().list_collection_names())


# --- before the first snapshot ---


@pytest.mark.parametrize("exist", ["drop", "rename", ""])
def test_what_stood_under_the_name_is_treated_as_configured(bridge, exist):
    table = begun(bridge)
    bridge.target()[table.name].insert_one({"_id": "users own"})
    settings = {**CHANGE, "target.mongodb.exist": exist}
    consumer = bridge.consumer(settings)
    bridge.wait_applied()
    own = bridge.target()[table.name].find_one({"_id": "users own"})
    aside = [name for name in collections(bridge) if name.startswith(f"{table.name}:before:")]
    assert (own is not None) == (exist == "")
    assert len(aside) == (1 if exist == "rename" else 0)
    bridge.target()[table.name].delete_one({"_id": "users own"})
    verify(bridge, table)
    # A restart must not do it again.
    uuid = document(bridge, table)["uuid"]
    consumer.sigterm()
    bridge.consumer(settings)
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "one more"}, "v": {"N": "1"}})
    bridge.wait_caught_up()
    bridge.wait_applied()
    assert document(bridge, table)["uuid"] == uuid
    verify(bridge, table)


def test_the_position_document_has_all_its_fields(bridge):
    table = begun(bridge)
    bridge.consumer(CHANGE)
    bridge.wait_applied()
    generation = bridge.ledger()[0][f"table/{table.name}"]["generation"]
    for partition in range(4):
        position = bridge.position(table, partition)
        assert set(position) >= {"_id", "offset", "generation", "log_id", "uuid", "epoch", "owner", "pass"}
        assert (position["generation"], position["epoch"]) == (generation, 1)
        assert position["owner"] and position.get("rewind") is None
    state = document(bridge, table)
    assert (state["state"], state["generation"], state["epoch"]) == ("ready", generation, 0)
    assert state["uuid"] == bridge.position(table, 0)["uuid"]


# --- found changed while it runs ---


def test_a_dropped_collection_is_filled_again(bridge):
    table = begun(bridge)
    bridge.consumer(CHANGE)
    bridge.wait_applied()
    before = document(bridge, table)["uuid"]
    bridge.target().drop_collection(table.name)
    wait_until(
        lambda: (document(bridge, table)["uuid"] or before) != before, 40, "a new collection", bridge.running()
    )
    wait_until(
        lambda: not bridge.verify_target(table, "change"), 30, "all documents", bridge.running()
    )
    index = bridge.target()[table.name].index_information()
    assert any(i.get("unique") and i["key"] == [("pk", 1)] for i in index.values())


def test_a_dropped_index_comes_back_and_doubles_go(bridge):
    table = begun(bridge)
    consumer = bridge.consumer(CHANGE)
    bridge.wait_applied()
    consumer.sigterm()
    target = bridge.target()[table.name]
    target.drop_index("dynaferry_key")
    doubled = target.find_one({"pk": {"$exists": True}})
    target.insert_one({**doubled, "_id": "a copy", "v": "old"})
    bridge.consumer(CHANGE)
    wait_until(
        lambda: not bridge.verify_target(table, "change"), 40, "one of each", bridge.running()
    )
    has_index = lambda: any(i.get("unique") for i in target.index_information().values())
    wait_until(has_index, 30, "the index, which is made when the doubles are gone", bridge.running())


def test_documents_written_in_another_form_are_not_mixed(bridge):
    table = begun(bridge)
    first = bridge.consumer(CHANGE)
    bridge.wait_applied()
    first.sigterm()
    done = bridge.run("consumer", {"convert.type": "raw"}, ["--until-idle", "3"], 60)
    assert done.process.returncode == 1, done.story()
    assert "convert.type" in done.log() and "table halted" in done.log()
    verify(bridge, table)


def test_another_key_schema_moves_the_collection_aside(bridge):
    """The table is made anew under its name, with another key."""
    table = begun(bridge)
    bridge.consumer(CHANGE)
    bridge.wait_applied()
    producer = bridge.programs[0]
    producer.sigterm()
    for program in bridge.running():
        program.sigterm()
    bridge.dynamodb.delete_table(TableName=table.name)
    bridge.tables.remove(table)
    bridge.delete_topics()
    again = bridge.add_table(KeySchema(("id", "at"), ("S", "N")), name=table.name)
    bridge.writer(again, seed=6, keys=30, refused=0).fill()
    bridge.producer()
    bridge.consumer(CHANGE)
    bridge.wait_caught_up()
    wait_until(lambda: not bridge.verify_target(again, "change"), 60, "the new table", bridge.running())
    aside = [name for name in collections(bridge) if name.startswith(f"{table.name}:before:")]
    assert len(aside) == 1
    assert bridge.target()[aside[0]].count_documents({}) > 0


# --- the log ---


def test_a_log_that_does_not_reach_back_stops_that_table_alone(bridge):
    table, other = bridge.add_table(), bridge.add_table()
    writers = [bridge.writer(t, seed=7, keys=40, refused=0) for t in (table, other)]
    for writer in writers:
        writer.fill()
    bridge.producer()
    first = bridge.consumer(CHANGE)
    bridge.wait_caught_up()
    bridge.wait_applied()
    first.sigterm()
    for index in range(writers[0].ordinary):
        writers[0].put(index)
        writers[1].put(index)
    bridge.wait_caught_up()
    delete_records(bridge.parts.kafka, bridge.topic(table), 4)
    consumer = bridge.consumer(CHANGE)
    bridge.wait_applied(tables=[other])
    verify(bridge, other)
    wait_until(lambda: "partition halted" in consumer.log(), 30, "the halt", [consumer])
    assert consumer.get("/healthz")[0] == 503
    assert 'dynaferry_consumer_table_halted{table="%s"} 1' % table.name in consumer.get("/metrics")[1]
    assert 'dynaferry_consumer_table_halted{table="%s"} 0' % other.name in consumer.get("/metrics")[1]


def test_a_removed_position_starts_at_the_begin(bridge):
    table = begun(bridge)
    consumer = bridge.consumer(CHANGE)
    bridge.wait_applied()
    target = bridge.target()
    target[table.name].delete_many({})
    target[APPLIED].delete_many({"_id": {"$regex": "/"}})
    wait_until(lambda: not bridge.verify_target(table, "change"), 30, "all documents", [consumer])


def test_a_mark_of_a_late_writer_is_seen_by_an_idle_owner(bridge):
    table = begun(bridge)
    consumer = bridge.consumer(CHANGE)
    bridge.wait_applied()
    bridge.target()[table.name].delete_many({})
    for partition in range(4):
        place = {"_id": f"{bridge.topic(table)}/{partition}"}
        bridge.target()[APPLIED].update_one(place, {"$min": {"rewind": 0}})
    wait_until(lambda: not bridge.verify_target(table, "change"), 30, "all documents", [consumer])
    bridge.wait_applied()


# --- sharding ---


def test_a_sharded_collection_goes_by_the_partition_key(bridge):
    """The test server only records the commands; a real cluster was not tried."""
    table = begun(bridge, KeySchema(("pk", "sk"), ("S", "N")))
    bridge.consumer({**CHANGE, "target.mongodb.type": "sharding"})
    bridge.wait_applied()
    verify(bridge, table, target_id="key")
