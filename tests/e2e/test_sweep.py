"""Generations applied in place: what is not in the source any more is gone from the target afterwards, and what
the user put beside it stays.
"""

import re

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
    done = bridge.run("consumer", {**FULL, **dict(settings)}, ["--until-idle", "2"], seconds=90)
    assert done.process.returncode == 0, done.story()
    return done


def delete_some(bridge, table, every=3):
    items = bridge.items(table)
    for item in items[::every]:
        bridge.dynamodb.delete_item(TableName=table.name, Key=table.key_schema.key_of(item))
    return len(items[::every])


def notes_left(bridge):
    return [name for name in bridge.target().list_collection_names() if name.startswith("dynaferry:seen:")]


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


@pytest.mark.parametrize("target_id", ["objectid", "key"])
@pytest.mark.parametrize("convert_type", ["raw", "change"])
@pytest.mark.parametrize("schema", SCHEMAS)
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
