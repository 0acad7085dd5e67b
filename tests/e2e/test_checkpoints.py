"""checkpoint.db: documents like NimoShake's, for its users' scripts. They show what the target holds, never more,
and nothing waits for them.
"""

import re

import pytest
from support.bridge import complain
from support.nimoshake import NimoShake
from support.refusing import fill, lines, proxy, put, refused  # noqa: F401
from support.running import wait_until
from support.scripted_source import ferry, wait_phase  # noqa: F401

SPELLINGS = {
    "ShardId": "shard_id", "FatherId": "father_id", "SequenceNumber": "seq_num", "Status": "status",
    "WorkerId": "worker_id", "IteratorType": "iterator_type", "ShardIt": "shard_it", "UpdateDate": "update_date",
}  # fmt: skip
NIMOSHAKE = {"ShardId": "shardId-1", "Status": "in processing", "SequenceNumber": "7", "FatherId": ""}
REFUSAL = refused(13, "not authorized")


def database(bridge):
    return bridge.parts.mongo[f"{bridge.database}-checkpoint"]


def on(bridge):
    bridge.settings["checkpoint.db"] = None
    return bridge


def sequences(bridge, table):
    """Of each shard: as the ledger has it."""
    prefix = f"shard/{table.name}/"
    records = bridge.ledger()[0].items()
    return {key[len(prefix) :]: record["sequence"] for key, record in records if key.startswith(prefix)}


def shown(bridge, table):
    return {doc["ShardId"]: doc for doc in database(bridge)[table.name].find()}


def status(bridge):
    return (database(bridge)["status_table"].find_one({"Key": "status_key"}) or {}).get("StatusValue")


def wait_shown(bridge, *tables, seconds=40):
    """The documents say what the ledger says."""

    def all_shown():
        return all(
            {k: d["SequenceNumber"] for k, d in shown(bridge, t).items()} == sequences(bridge, t) for t in tables
        )

    wait_until(all_shown, seconds, "the checkpoints", bridge.running())


def wait_rounds(consumer, count=2):
    """It has looked through all of them so many times again."""
    for _ in range(count):
        looked = lambda: consumer.metric("dynaferry_consumer_checkpoints_timestamp_seconds")
        before = looked()
        wait_until(lambda: looked() > before, 60, "a look at the checkpoints", [consumer])


def check_spellings(docs):
    for doc in docs:
        assert doc["_id"] == doc["ShardId"]
        assert all(doc[name] == doc[older] for name, older in SPELLINGS.items())
        assert doc["IteratorType"] == ("AT_SEQUENCE_NUMBER" if doc["SequenceNumber"] else "TRIM_HORIZON")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", doc["UpdateDate"])


# --- what they say ---


@pytest.mark.asan
def test_each_shard_of_each_table_is_shown_and_the_status_of_all(bridge):
    tables = [on(bridge).add_table(), bridge.add_table()]
    bridge.producer()
    bridge.consumer()
    for table in tables:
        fill(bridge, table, 20)
    bridge.settle()
    wait_shown(bridge, *tables)
    wait_until(lambda: status(bridge) == "incr_sync", 30, "the status", bridge.running())
    (doc,) = database(bridge)["status_table"].find()
    assert (doc["key"], doc["status_value"]) == ("status_key", "incr_sync")
    for table in tables:
        docs = shown(bridge, table).values()
        check_spellings(docs)
        assert {d["Status"] for d in docs} == {"in processing"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", next(iter(docs))["ApproximateTime"])
    assert sorted(database(bridge).list_collection_names()) == sorted(["status_table", *(t.name for t in tables)])


def test_parents_and_children_are_shown_with_their_states(ferry):
    table = on(ferry).add_table()
    ferry.producer()
    ferry.consumer()
    wait_phase(ferry, table, "tail")
    parent = next(iter(sequences(ferry, table)))
    put(ferry, table, "before")
    children = ferry.fake.control.split(table.name, parent)
    for n in range(20):
        put(ferry, table, f"k{n}")
    ferry.settle()
    wait_shown(ferry, table)
    docs = shown(ferry, table)
    assert docs[parent]["Status"] == "done"
    assert {docs[child]["FatherId"] for child in children} == {parent}
    assert {docs[child]["Status"] for child in children} == {"in processing"}
    check_spellings(docs.values())


def test_nothing_is_shown_that_the_target_does_not_hold(bridge, proxy):
    table = on(bridge).add_table()
    bridge.producer()
    consumer = bridge.consumer({"target.address": proxy.uri})
    put(bridge, table, "first")
    bridge.settle()
    wait_shown(bridge, table)
    before = shown(bridge, table)
    where = {"db": bridge.database, "collection": table.name}
    hold = proxy.control.fault("hold", op="update", where=where, times=1)
    put(bridge, table, "second")
    bridge.wait_caught_up()
    assert proxy.control.wait_held(hold)
    wait_rounds(consumer, 3)
    number = lambda docs: [d["SequenceNumber"] for d in docs.values()]
    assert number(shown(bridge, table)) == number(before) != list(sequences(bridge, table).values())
    proxy.control.release(hold)
    wait_shown(bridge, table)


def test_it_is_a_full_sync_until_each_copy_is_in_the_target(bridge, proxy):
    tables = [on(bridge).add_table(), bridge.add_table()]
    for table in tables:
        fill(bridge, table, 5)
    where = {"db": bridge.database, "collection": tables[1].name}
    hold = proxy.control.fault("hold", op="update", where=where, times=-1)
    bridge.producer()
    consumer = bridge.consumer({"target.address": proxy.uri})
    bridge.wait_caught_up()
    assert proxy.control.wait_held(hold)
    wait_shown(bridge, tables[0])
    wait_rounds(consumer)
    assert status(bridge) in (None, "full_sync")
    proxy.control.clear()
    wait_until(lambda: status(bridge) == "incr_sync", 60, "the status", [consumer])


# --- who writes them ---


def test_another_consumer_goes_on_with_them(bridge):
    tables = [on(bridge).add_table(), bridge.add_table()]
    bridge.producer()
    consumers = [bridge.consumer(), bridge.consumer()]
    for table in tables:
        put(bridge, table, "first")
    bridge.settle()
    wait_shown(bridge, *tables)
    writers = [c for c in consumers if lines(c, "checkpoints are written here")]
    writers[-1].kill9()
    for table in tables:
        put(bridge, table, "second")
    bridge.settle()
    wait_shown(bridge, *tables)
    wait_until(lambda: status(bridge) == "incr_sync", 30, "the status", bridge.running())


@pytest.mark.asan
def test_documents_of_nimoshake_stay_as_they_are(bridge):
    table, other = on(bridge).add_table(), bridge.add_table()
    theirs = {table.name: NIMOSHAKE, "status_table": {"Key": "status_key", "StatusValue": "full_sync"}}
    for name, doc in theirs.items():
        database(bridge)[name].insert_one(doc)
    bridge.producer()
    consumer = bridge.consumer()
    put(bridge, table, "first")
    put(bridge, other, "first")
    bridge.settle()
    wait_shown(bridge, other)
    wait_rounds(consumer)
    for name, doc in theirs.items():
        assert list(database(bridge)[name].find()) == [doc]
    (line,) = lines(consumer, "checkpoints left alone")
    assert "collections=2" in line and "--take-over-nimoshake" in line
    assert consumer.metric("dynaferry_consumer_checkpoints_stale") == 2
    for name in theirs:
        database(bridge)[name].drop()
    wait_shown(bridge, table, seconds=60)
    wait_until(lambda: status(bridge) == "incr_sync", 60, "the status", [consumer])
    assert consumer.metric("dynaferry_consumer_checkpoints_stale") == 0


def test_behind_a_take_over_they_are_written_where_nimoshakes_were(bridge):
    """The consumer was there before: it leaves NimoShake's alone until they are moved aside."""
    table, nimoshake = bridge.add_table(), NimoShake(bridge)
    put(bridge, table, "before")
    nimoshake.copy(table)
    nimoshake.stop(table)
    nimoshake.stage()
    theirs = list(database(bridge)[table.name].find())
    bridge.consumer()
    bridge.producer((), ("--take-over-nimoshake", bridge.parts.mongodb))
    put(bridge, table, "behind")
    bridge.settle()
    wait_shown(bridge, table, seconds=60)
    wait_until(lambda: status(bridge) == "incr_sync", 60, "the status", bridge.running())
    assert list(database(bridge)[f"nimoshake:{table.name}"].find()) == theirs


def test_what_somebody_changed_or_removed_comes_back(bridge):
    table = on(bridge).add_table()
    bridge.producer()
    consumer = bridge.consumer()
    put(bridge, table, "first")
    bridge.settle()
    wait_shown(bridge, table)
    before = shown(bridge, table)
    database(bridge)[table.name].update_many({}, {"$set": {"SequenceNumber": "1", "seq_num": "1"}})
    shard, doc = next(iter(before.items()))
    database(bridge)[table.name].insert_one({**doc, "_id": "shardId-2", "ShardId": "shardId-2"})
    wait_until(lambda: shown(bridge, table).keys() == before.keys(), 60, "the extra document to go", [consumer])
    assert shown(bridge, table)[shard]["SequenceNumber"] != "1"


def test_a_table_that_is_forgotten_is_shown_no_more(scripted):
    table, other = on(scripted).add_table(), scripted.add_table()
    scripted.settings.update({"source.doubt.ms": 300, "gone.forget.ms": 1000})
    producer = scripted.producer()
    scripted.consumer()
    for each in (table, other):
        put(scripted, each, "first")
        wait_phase(scripted, each, "tail")
    wait_until(lambda: shown(scripted, table) and shown(scripted, other), 60, "the checkpoints", [producer])
    scripted.dynamodb.delete_table(TableName=table.name)
    gone = lambda: table.name not in database(scripted).list_collection_names()
    wait_until(gone, 90, "the table's collection to go", [producer])
    assert shown(scripted, other)


# --- nothing waits for them ---


@pytest.mark.parametrize("op", ["update", "find"])
def test_without_the_right_to_write_them_everything_is_carried(bridge, proxy, op):
    table, other = on(bridge).add_table(), bridge.add_table()
    where = {"db": database(bridge).name}
    proxy.control.fault("reply", op=op, where=where, document=REFUSAL, times=-1)
    bridge.producer()
    consumer = bridge.consumer({"target.address": proxy.uri})
    put(bridge, table, "first")
    put(bridge, other, "first")
    bridge.settle()
    wait_until(lambda: lines(consumer, "checkpoints not written"), 60, "the failure to be told", [consumer])
    assert "not authorized" in lines(consumer, "checkpoints not written", "level=warn")[0]
    put(bridge, table, "second")
    bridge.settle()
    for each in (table, other):
        complain(bridge.verify_target(each, "raw"))
    wait_until(lambda: consumer.metric("dynaferry_consumer_checkpoints_stale") > 0, 30, "the metric", [consumer])
    assert consumer.get("/healthz")[0] == 200
    assert shown(bridge, table) == {}
    proxy.control.clear()
    wait_shown(bridge, table, other, seconds=120)
    wait_until(lambda: consumer.metric("dynaferry_consumer_checkpoints_stale") == 0, 60, "the metric", [consumer])
    assert lines(consumer, "checkpoints are written again")


def test_an_answer_that_does_not_come_holds_up_nothing(bridge, proxy):
    table = on(bridge).add_table()
    hold = proxy.control.fault("hold", where={"db": database(bridge).name}, times=-1)
    bridge.producer()
    consumer = bridge.consumer({"target.address": proxy.uri})
    put(bridge, table, "first")
    bridge.settle()
    assert proxy.control.wait_held(hold)
    put(bridge, table, "second")
    bridge.settle()
    complain(bridge.verify_target(table, "raw"))
    assert consumer.get("/healthz")[0] == 200
    consumer.sigterm()


def test_with_an_empty_name_there_are_none(bridge):
    table = bridge.add_table()
    bridge.producer()
    consumer = bridge.consumer({"checkpoint.db": ""})
    put(bridge, table, "first")
    bridge.settle()
    assert not lines(consumer, "checkpoints")
    assert database(bridge).name not in bridge.parts.mongo.list_database_names()
