"""What takes long at one table (an index, doubled keys) holds up nothing else, and is not forgotten by a crash.

What is refused, and what can't be applied to, is in test_target_states.py.
"""

import re
import time

from bson import ObjectId
from support.bridge import APPLIED, complain
from support.oracle import KeySchema
from support.refusing import ferry, proxy  # noqa: F401 (fixtures)
from support.running import wait_until

CHANGE = {"convert.type": "change", "target.max_time_ms": 1000, "target.socket.timeout.ms": 1000}


def filled(bridge, key_schema=None, keys=30, seed=5, **more):
    table = bridge.add_table(key_schema, **more)
    bridge.writer(table, seed=seed, keys=keys, refused=0).fill()
    return table


def logged(bridge, *tables):
    """Producer started, everything in the log."""
    bridge.producer()
    bridge.wait_caught_up(tables=tables or None)


def failed(consumer, table):
    return consumer.metric("dynaferry_consumer_table_halted", table=table.name)


def health(consumer):
    return consumer.get("/healthz")


def wait_well(bridge, consumer, table, seconds=60):
    wait_until(
        lambda: not bridge.verify_target(table, "change"), seconds, "all documents", [consumer]
    )  # fmt: skip
    wait_until(lambda: health(consumer)[0] == 200, 20, "health", [consumer])
    assert failed(consumer, table) == 0


# --- long work ---


def test_an_index_that_takes_long_holds_up_no_other_table_and_is_alive(ferry):
    table, other = filled(ferry), filled(ferry, seed=6)
    logged(ferry)
    hold = ferry.proxy.control.fault(
        op="createIndexes", kind="hold", times=-1, where={"collection": table.name}
    )
    consumer = ferry.consumer({**CHANGE, "target.writers": 1})
    held = ferry.proxy.script.find(hold)
    wait_until(lambda: held.held, 30, "the index to be held", [consumer])
    ferry.dynamodb.put_item(TableName=other.name, Item={"pk": {"S": "one more"}, "v": {"N": "1"}})
    time.sleep(5)  # well over the time limit of a socket
    assert (held.held, held.hits) == (1, 1)
    assert health(consumer)[0] == 200
    ferry.proxy.control.release(hold)
    ferry.wait_caught_up()
    ferry.wait_applied()
    for each in (table, other):
        complain(ferry.verify_target(each, "change"))


def test_the_end_does_not_wait_for_an_index(ferry):
    table = filled(ferry)
    logged(ferry)
    hold = ferry.proxy.control.fault(op="createIndexes", kind="hold", times=-1)
    consumer = ferry.consumer(CHANGE)
    wait_until(lambda: ferry.proxy.script.find(hold).held, 30, "the index to be held", [consumer])
    consumer.sigterm(seconds=9)
    ferry.proxy.control.clear()
    again = ferry.consumer(CHANGE)
    wait_well(ferry, again, table)


# --- doubled keys ---


def doubled(bridge, table, value="old"):
    """Without the unique index, and with two documents of a key that are both older than the log."""
    target = bridge.target()[table.name]
    target.drop_index("dynaferry_key")
    found = next(d for d in target.find() if all(re.fullmatch(r"\w+", name) for name in d))
    target.update_one({"_id": found["_id"]}, {"$set": {"v": value}})
    target.insert_one({"_id": ObjectId(), "pk": found["pk"], "v": value})
    return target, found["pk"]


def applied_once(bridge, settings=CHANGE):
    consumer = bridge.consumer(settings)
    bridge.wait_applied()
    consumer.sigterm()


def test_a_crash_after_copies_were_deleted_forgets_no_rewind(ferry):
    table = filled(ferry)
    logged(ferry)
    applied_once(ferry)
    target, key = doubled(ferry, table)
    ferry.proxy.control.fault(op="delete", kind="cut", when="reply", where={"collection": table.name})
    rewind = {"where": {"collection": APPLIED}, "contains": "rewind"}
    ferry.proxy.control.fault(op="update", kind="cut", when="before", times=-1, **rewind)
    consumer = ferry.consumer(CHANGE)
    wait_until(lambda: target.count_documents({"pk": key}) == 1, 30, "one of them", [consumer])
    time.sleep(3)
    consumer.kill9()
    assert ferry.target()[APPLIED].find_one({"_id": ferry.topic(table)}).get("doubled")
    ferry.proxy.control.clear()
    consumer = ferry.consumer(CHANGE)
    wait_well(ferry, consumer, table)
    assert not ferry.target()[APPLIED].find_one({"_id": ferry.topic(table)})["doubled"]


def test_more_doubled_keys_than_one_answer_holds(bridge):
    table = filled(bridge, keys=1500)
    logged(bridge)
    applied_once(bridge)
    target = bridge.target()[table.name]
    target.drop_index("dynaferry_key")
    copies = [{**found, "_id": ObjectId(), "v": "old"} for found in target.find()]
    assert len(copies) > 1000
    target.insert_many(copies)
    consumer = bridge.consumer(CHANGE)
    wait_well(bridge, consumer, table)


# --- sharding ---


def test_a_key_that_can_not_be_indexed_is_sharded_by_an_index_on_id(ferry):
    table = filled(ferry, KeySchema(("a.b",), ("S",)))
    logged(ferry)
    ferry.consumer({**CHANGE, "target.mongodb.type": "sharding"})
    shards = wait_until(lambda: ferry.proxy.control.log("shardCollection"), 60, "sharding", ferry.running())
    indexes = ferry.proxy.control.log("createIndexes")
    mine = [e for e in indexes if e["fields"]["body"]["indexes"][0]["key"] == {"_id": "hashed"}]
    assert mine and mine[0]["fields"]["collection"] == table.name and mine[0]["n"] < shards[0]["n"]
