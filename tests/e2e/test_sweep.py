"""Generations applied in place: what is not in the source any more is gone from the target afterwards, and what
the user put beside it stays.
"""

import json
import random
import re
import time

import confluent_kafka
import pytest
from support import oracle
from support.bridge import complain
from support.oracle import KeySchema
from support.running import wait_until

FULL = {"sync_mode": "full"}
OWN = [{"_id": "mine", "note": "kept"}, {"_id": 7, "pk": {"S": 1, "N": 1, "B": 1}}]
SCHEMAS = {
    "S": KeySchema(("pk",), ("S",)),
    "SN": KeySchema(("pk", "sk"), ("S", "N")),
    "NB": KeySchema(("pk", "sk"), ("N", "B")),
    "_id": KeySchema(("_id", "d.o"), ("S", "N")),
}


def copy_once(bridge, settings=()):
    done = bridge.run("producer", {**FULL, **dict(settings)})
    assert done.process.returncode == 0, done.story()


def apply_all(bridge, settings=()):
    done = bridge.run("consumer", {**FULL, **dict(settings)}, ["--until-idle", "1"], seconds=90)
    assert done.process.returncode == 0, done.story()
    return done


def delete_some(bridge, table, every=3):
    items = bridge.items(table)
    for item in items[::every]:
        bridge.dynamodb.delete_item(TableName=table.name, Key=table.key_schema.key_of(item))
    return len(items[::every])


def notes_left(bridge):
    return [name for name in bridge.target().list_collection_names() if name.startswith("dynaferry:seen:")]


def count_noted(bridge):
    """Passes of which something was noted behind the first note, which says that they have begun."""
    return sum(bridge.target()[name].count_documents({}) > 1 for name in notes_left(bridge))


def positions(bridge, table):
    topic = bridge.topic(table)
    return list(bridge.target()["dynaferry:applied"].find({"_id": {"$regex": f"^{topic}/"}}))


def verify_beside_own(bridge, table, convert_type="raw", target_id="objectid"):
    """The collection holds the items and the user's own documents, and nothing else."""
    documents = list(bridge.target()[table.name].find())
    kept = [document for document in documents if document in OWN]
    ours = [document for document in documents if document not in OWN]
    assert len(kept) == len(OWN), f"the user's own: {kept}"
    found = oracle.compare_items(
        bridge.items(table), ours, table.key_schema, convert_type, target_id=target_id
    )
    complain(found.differences)


# Each form of a key as each conversion and each identity write it: by itself, in one of two ways.
FORMS = [
    ("S", "raw", "objectid"), ("S", "change", "key"),
    ("SN", "raw", "key"), ("SN", "change", "objectid"),
    ("NB", "raw", "objectid"), ("NB", "change", "key"),
    ("_id", "raw", "objectid"), ("_id", "change", "key"),
]  # fmt: skip


@pytest.mark.parametrize("schema,convert_type,target_id", FORMS)
def test_full_again_removes_what_was_deleted_in_between(bridge, schema, convert_type, target_id):
    settings = {"convert.type": convert_type, "target.id": target_id}
    if schema == "_id":
        target_id = "key"  # a name with a dot can't be indexed
    table = bridge.add_table(SCHEMAS[schema], stream=None)
    bridge.writer(table, seed=51, keys=120, refused=0).fill()
    copy_once(bridge)
    apply_all(bridge, settings)
    bridge.target()[table.name].insert_many(OWN)
    deleted = delete_some(bridge, table)
    copy_once(bridge)
    consumer = apply_all(bridge, settings)
    verify_beside_own(bridge, table, convert_type, target_id)
    assert all(position["pass"] == "" for position in positions(bridge, table))
    assert sum(map(int, re.findall(r" swept=(\d+)", consumer.log()))) == deleted


def test_notes_of_passes_that_are_over_are_removed(bridge):
    table = bridge.add_table(stream=None)
    bridge.writer(table, seed=52, keys=30).fill()
    for _ in range(2):
        copy_once(bridge)
        apply_all(bridge)
    bridge.target()["dynaferry:seen:0123"].insert_one({"_id": "pass"})
    consumer = bridge.consumer(FULL)
    wait_until(lambda: not notes_left(bridge), 60, "no notes", [consumer])


# --- generations while it runs ---


def request(bridge, table, kind="snapshot", generation=None):
    """A new generation, as whoever sends requests asks for it."""
    signal = {"id": f"sweep-{kind}", "type": kind, "table": table.name, "sender": "test", "ts_ms": 1}
    if kind == "snapshot":
        signal["generation"] = generation if generation is not None else ledger_of(bridge, table)["generation"]
    producer = confluent_kafka.Producer({"bootstrap.servers": bridge.parts.kafka})
    producer.produce(f"{bridge.prefix}-signal", json.dumps(signal), table.name, partition=0)
    assert producer.flush(30) == 0


def ledger_of(bridge, table):
    return bridge.ledger()[0][f"table/{table.name}"]


def wait_renewed(bridge, table, generation, seconds=90):
    def renewed():
        record = ledger_of(bridge, table)
        return record["generation"] != generation and record["phase"] == "tail"

    wait_until(renewed, seconds, "a new generation to its end", bridge.running())


def test_an_item_that_can_not_be_carried_is_not_swept(bridge):
    """Its row is too large for the topic, or is refused by MongoDB: the document of before stays."""
    table = bridge.add_table(KeySchema(("pk",), ("S",)))
    client = bridge.dynamodb
    for name in ("large", "refused", "plain", "gone"):
        client.put_item(TableName=table.name, Item={"pk": {"S": name}, "w": {"S": "old"}})
    bridge.producer({"topic.max.message.bytes": 131072})
    bridge.consumer()
    bridge.settle()
    assert len(list(bridge.target()[table.name].find())) == 4
    client.put_item(TableName=table.name, Item={"pk": {"S": "large"}, "w": {"S": "x" * 200_000}})
    client.put_item(TableName=table.name, Item={"pk": {"S": "refused"}, "$w": {"S": "new"}})
    client.delete_item(TableName=table.name, Key={"pk": {"S": "gone"}})
    bridge.settle()
    generation = ledger_of(bridge, table)["generation"]
    request(bridge, table)
    wait_renewed(bridge, table, generation)
    bridge.settle()
    documents = {document["pk"]["S"]: document["w"]["S"] for document in bridge.target()[table.name].find()}
    assert documents == {name: "old" for name in ("large", "refused", "plain")}


@pytest.mark.parametrize("consumers", [1, 2])
def test_consumers_that_are_killed_in_the_middle_of_generations(bridge, consumers):
    """A new generation begins before the last one ended, now and then; none of it is left over."""
    rng = random.Random(consumers)
    table = bridge.add_table()
    writer = bridge.writer(table, seed=53, keys=150, rate=60)
    writer.fill()
    bridge.producer({"qps.full": 20, "qps.full.batch_num": 5})
    running = [bridge.consumer({"target.batch.count": 10}) for _ in range(consumers)]
    writer.start()
    wait_until(lambda: bridge.phase(table), 60, "the first generation", bridge.running())
    for _ in range(6):
        delete_some(bridge, table, 10)
        if rng.random() < 0.6:
            request(bridge, table)
        time.sleep(rng.uniform(0.5, 3))  # the moment is what the test is about
        victim = rng.randrange(consumers)
        running[victim].kill9()
        running[victim] = bridge.consumer({"target.batch.count": 10})
    writer.stop()
    wait_until(lambda: bridge.phase(table) == "tail", 90, "the last generation", bridge.running())
    bridge.settle(120)
    wait_until(lambda: all(p["pass"] == "" for p in positions(bridge, table)), 90, "swept", bridge.running())
    complain(bridge.verify_target(table, "raw"))
    wait_until(lambda: not notes_left(bridge), 60, "no notes", bridge.running())


def test_notes_that_somebody_dropped_delete_nothing(bridge):
    """The generation is applied again, under another pass."""
    table = bridge.add_table()
    bridge.writer(table, seed=54, keys=120).fill()
    producer = bridge.producer()
    consumer = bridge.consumer()
    bridge.settle()
    producer.sigterm()
    bridge.producer({"qps.full": 4, "qps.full.batch_num": 5})  # so slow that all partitions are seen in its middle
    delete_some(bridge, table)
    generation = ledger_of(bridge, table)["generation"]
    request(bridge, table)
    wait_until(lambda: count_noted(bridge) == 4, 60, "notes", bridge.running())
    for name in notes_left(bridge):
        bridge.target()[name].drop()
    before = {document["_id"] for document in bridge.target()[table.name].find()}
    wait_renewed(bridge, table, generation)
    wait_until(lambda: all(p["pass"] == "" for p in positions(bridge, table)), 90, "swept", bridge.running())
    bridge.settle()
    complain(bridge.verify_target(table, "raw"))
    kept = {document["_id"] for document in bridge.target()[table.name].find()}
    assert kept <= before, "no document of an item was deleted and made again"
    assert consumer.log().count("notes of a generation are gone") >= 1


def test_a_record_that_says_no_key_keeps_a_partition_from_being_swept(bridge):
    """Nobody knows what it was about: rather a document too many than one too few."""
    table = bridge.add_table()
    bridge.writer(table, seed=55, keys=120).fill()
    producer = bridge.producer()
    consumer = bridge.consumer()
    bridge.settle()
    producer.sigterm()
    bridge.producer({"qps.full": 4, "qps.full.batch_num": 5})  # so slow that all partitions are seen in its middle
    generation = ledger_of(bridge, table)["generation"]
    request(bridge, table)
    wait_until(lambda: count_noted(bridge) == 4, 60, "notes", bridge.running())
    foreign = confluent_kafka.Producer({"bootstrap.servers": bridge.parts.kafka})
    foreign.produce(bridge.topic(table), b"{", b"someone", partition=1)
    assert foreign.flush(30) == 0
    wait_renewed(bridge, table, generation)
    wait_until(lambda: all(p["pass"] == "" for p in positions(bridge, table)), 90, "swept", bridge.running())
    bridge.wait_applied()
    complain(bridge.verify_target(table, "raw"))
    ended = re.findall(r"rows ended.* partition=(\d)", consumer.log())
    assert "generation will not be swept" in consumer.log()
    assert sorted(re.findall(r"rows ended.* partition=(\d) generation=\d+ swept=", consumer.log())) == ["0", "2", "3"]
    assert "1" in ended
