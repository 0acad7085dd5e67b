"""Tables at the target: each trouble is one clear state that is named, shown, and over when its reason is; and
what takes long at one table holds up nothing else."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bridge import APPLIED, complain
from bson import ObjectId
from oracle import KeySchema
from running import wait_until
from test_target_answers import ferry, proxy  # noqa: F401 (fixtures)

CHANGE = {"convert.type": "change"}
CODES = {"Unauthorized": 13, "CommandNotFound": 59, "a code that nobody knows": 424242}


def filled(bridge, key_schema=None, keys=30, seed=5, **more):
    table = bridge.add_table(key_schema, **more)
    bridge.writer(table, seed=seed, keys=keys, refused=0).fill()
    return table


def logged(bridge, *tables):
    """Producer started, everything in the log."""
    bridge.producer()
    bridge.wait_caught_up(tables=tables or None)


def refusal(code):
    return {"ok": 0.0, "code": code, "errmsg": "refused by the test"}


def refuse(ferry, op, code, **more):
    return ferry.proxy.control.fault(op=op, kind="reply", document=refusal(code), times=-1, **more)


def listed(table, **info):
    """listCollections' answer about one."""
    entry = {"name": table.name, "type": "collection", "options": {}, "info": {"readOnly": False}, **info}
    return {"ok": 1.0, "cursor": {"id": 0, "ns": "x.$cmd.listCollections", "firstBatch": [entry]}}


def asks_for(table):
    return lambda request: request.body.get("filter", {}).get("name") == table.name


def failed(consumer, table):
    return consumer.metric("dynaferry_consumer_table_failed", table=table.name)


def health(consumer):
    return consumer.get("/healthz")


def wait_halted(consumer, table, reason, seconds=60):
    line = re.compile(rf'event="table halted" table={re.escape(table.name)} .*{reason}')
    wait_until(lambda: line.search(consumer.log()), seconds, f"halted: {reason}", [consumer])
    seen = lambda: health(consumer)[0] == 503 and failed(consumer, table) == 1
    wait_until(seen, 20, "red health and the metric", [consumer])
    assert f"table {table.name}" in health(consumer)[1]


def wait_well(bridge, consumer, table, seconds=60):
    wait_until(
        lambda: not bridge.verify_target(table, "change"), seconds, "all documents", [consumer]
    )  # fmt: skip
    wait_until(lambda: health(consumer)[0] == 200, 20, "health", [consumer])
    assert failed(consumer, table) == 0


# --- refusals and outages ---


@pytest.mark.parametrize("name", CODES)
def test_a_table_whose_look_is_refused_is_halted_after_some_tries_and_goes_on(ferry, name):
    table = filled(ferry)
    logged(ferry)
    fault = refuse(ferry, "listCollections", CODES[name])
    consumer = ferry.consumer(CHANGE)
    wait_halted(consumer, table, "refused by the test")
    asked = ferry.proxy.script.find(fault).hits
    assert 5 <= asked <= 60
    time.sleep(5)
    assert ferry.proxy.script.find(fault).hits - asked <= 2, "a halted table is looked at every 10 s"
    ferry.proxy.control.clear()
    wait_well(ferry, consumer, table)


def test_a_ready_table_is_not_halted_by_a_passing_refusal(ferry):
    table = filled(ferry)
    logged(ferry)
    consumer = ferry.consumer(CHANGE)
    ferry.wait_applied()
    fault = ferry.proxy.control.fault(
        op="listCollections", kind="reply", document=refusal(424242), times=3
    )
    wait_until(lambda: ferry.proxy.script.find(fault).times == 0, 60, "three refusals", [consumer])
    ferry.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "one more"}, "v": {"N": "1"}})
    ferry.wait_caught_up()
    ferry.wait_applied()
    assert "table halted" not in consumer.log() and health(consumer)[0] == 200
    assert "starts over" not in consumer.log()


def test_a_table_that_nobody_can_look_at_is_red_but_not_halted(ferry):
    table = filled(ferry)
    logged(ferry)
    ferry.proxy.control.fault(op="listCollections", kind="cut", when="before", times=-1)
    consumer = ferry.consumer(CHANGE)
    began = time.monotonic()
    wait_until(lambda: health(consumer)[0] == 503, 150, "red health", [consumer])
    assert time.monotonic() - began > 60 and f"table {table.name}" in health(consumer)[1]
    assert "table halted" not in consumer.log() and failed(consumer, table) == 0
    ferry.proxy.control.clear()
    wait_well(ferry, consumer, table)


# --- what stands under the name ---

UNFIT = {
    "a view": {"type": "view", "options": {"viewOn": "other", "pipeline": []}},
    "a time-series": {"type": "timeseries", "options": {"timeseries": {"timeField": "t"}}},
    "capped": {"options": {"capped": True, "size": 4096}},
    "collation": {"options": {"collation": {"locale": "de", "strength": 2}}},
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_can_not_be_applied_to_is_named_by_everyone(ferry, name):
    table, other = filled(ferry), filled(ferry, seed=6)
    logged(ferry)
    ferry.proxy.control.fault(
        op="listCollections", kind="reply", document=listed(table, **UNFIT[name]), times=-1,
        predicate=asks_for(table),
    )  # fmt: skip
    settings = {**CHANGE, "target.mongodb.exist": ""}
    consumers = [ferry.consumer(settings), ferry.consumer(settings)]
    ferry.wait_applied(tables=[other])
    for consumer in consumers:
        wait_halted(consumer, table, name)
        assert failed(consumer, other) == 0
    assert ferry.target()[table.name].count_documents({}) == 0
    ferry.proxy.control.clear()
    for consumer in consumers:
        wait_well(ferry, consumer, table)


def test_two_tables_that_are_mapped_to_one_collection_are_both_halted_everywhere(bridge):
    tables, other = [filled(bridge), filled(bridge, seed=6)], filled(bridge, seed=7)
    logged(bridge)
    first, second = (table.name for table in tables)
    both = {**CHANGE, "map.collection": f"{first}={second}"}
    consumers = [bridge.consumer(both), bridge.consumer(both)]
    bridge.wait_applied(tables=[other])
    for consumer in consumers:
        for table in tables:
            wait_halted(consumer, table, "mapped to one collection")
        assert failed(consumer, other) == 0
        consumer.sigterm()
    assert not {first, second} & set(bridge.target().list_collection_names())
    bridge.consumer({**both, "filter.collection.black": second, "filter.collection.white": None})
    bridge.wait_applied(tables=[tables[0]])
    assert bridge.target()[second].count_documents({}) == len(bridge.items(tables[0]))


def test_a_key_attribute_with_a_leading_dollar_is_one_clear_state(bridge):
    table, other = filled(bridge, KeySchema(("$pk",), ("S",))), filled(bridge, seed=6)
    logged(bridge)
    consumer = bridge.consumer({**CHANGE, "target.id": "key"})
    wait_halted(consumer, table, "begins with")
    bridge.wait_applied(tables=[other])
    complain(bridge.verify_target(other, "change", target_id="key"))
    assert bridge.dead_letters()[0] == []


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
    found = target.find_one({"pk": {"$exists": True}})
    target.update_one({"_id": found["_id"]}, {"$set": {"v": value}})
    target.insert_one({**found, "_id": ObjectId(), "v": value})
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


def test_no_copy_is_deleted_when_the_log_does_not_hold_the_value(bridge):
    table = filled(bridge)
    logged(bridge)
    applied_once(bridge)
    target, key = doubled(bridge, table)
    script = Path(__file__).with_name("delete_records.py")
    subprocess.run([sys.executable, script, bridge.parts.kafka, bridge.topic(table), "4"], check=True)
    consumer = bridge.consumer(CHANGE)
    wait_halted(consumer, table, "share a key, and the log does not hold")
    assert target.count_documents({"pk": key}) == 2
    first, second = target.find({"pk": key})
    target.delete_one({"_id": second["_id"]})
    wait_until(lambda: "table goes on" in consumer.log(), 60, "the copy is gone", [consumer])
    assert first["v"] == "old"


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


@pytest.mark.parametrize("code", [59, 115])
def test_a_server_without_enable_sharding_needs_none(ferry, code):
    table = filled(ferry, KeySchema(("pk", "sk"), ("S", "N")))
    logged(ferry)
    # The test server wants the command: it is executed, and the answer says otherwise.
    ferry.proxy.control.fault(op="enableSharding", kind="amend", document=refusal(code), times=-1)
    ferry.consumer({**CHANGE, "target.mongodb.type": "sharding"})
    ferry.wait_applied()
    assert ferry.proxy.control.log("shardCollection")
    complain(ferry.verify_target(table, "change", target_id="key"))


def test_a_key_that_can_not_be_indexed_is_sharded_by_an_index_on_id(ferry):
    table = filled(ferry, KeySchema(("a.b",), ("S",)))
    logged(ferry)
    ferry.consumer({**CHANGE, "target.mongodb.type": "sharding"})
    shards = wait_until(lambda: ferry.proxy.control.log("shardCollection"), 60, "sharding", ferry.running())
    indexes = ferry.proxy.control.log("createIndexes")
    mine = [e for e in indexes if e["fields"]["body"]["indexes"][0]["key"] == {"_id": "hashed"}]
    assert mine and mine[0]["fields"]["collection"] == table.name and mine[0]["n"] < shards[0]["n"]


# --- metrics ---


def test_a_table_that_the_filter_leaves_out_has_no_metrics(bridge):
    table, other = filled(bridge), filled(bridge, seed=6)
    logged(bridge)
    consumer = bridge.consumer({**CHANGE, "filter.collection.white": table.name})
    bridge.wait_applied(tables=[table])
    metrics = consumer.get("/metrics")[1]
    assert f'table="{table.name}"' in metrics and f'table="{other.name}"' not in metrics


# --- the user's secondary indexes ---


def with_indexes(bridge):
    """A table with a local and two global secondary indexes."""
    name = f"t{bridge.tag}.indexed"
    schema = lambda *names: [
        {"AttributeName": n, "KeyType": r} for n, r in zip(names, ("HASH", "RANGE"))
    ]  # fmt: skip
    index = lambda name, *names: {
        "IndexName": name, "KeySchema": schema(*names), "Projection": {"ProjectionType": "ALL"}
    }  # fmt: skip
    types = {"pk": "S", "sk": "N", "city": "S", "at": "N", "photo": "B", "a.b": "S"}
    bridge.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=schema("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
        GlobalSecondaryIndexes=[index("by_city", "city", "at"), index("odd", "a.b")],
        LocalSecondaryIndexes=[index("by-photo", "pk", "photo")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    table = type(filled(bridge))(name, KeySchema(("pk", "sk"), ("S", "N")))
    bridge.tables.append(table)
    for n in range(20):
        item = {"pk": {"S": f"k{n}"}, "sk": {"N": str(n)}, "city": {"S": "x"}, "at": {"N": str(n)}}
        bridge.dynamodb.put_item(TableName=name, Item=item)
    return table


def users_indexes(bridge, table):
    found = bridge.target()[table.name].index_information()
    prefix = "dynaferry_index_"
    return {n.removeprefix(prefix): i["key"] for n, i in found.items() if n.startswith(prefix)}


WANTED = {
    "change": {"by_city": [("city", 1), ("at", 1)], "by-photo": [("pk", 1), ("photo", 1)]},
    "raw": {"by_city": [("city.S", 1), ("at.N", 1)], "by-photo": [("pk.S", 1), ("photo.B", 1)]},
}


@pytest.mark.parametrize("kind", WANTED)
def test_secondary_indexes_become_plain_ones(bridge, kind):
    table = with_indexes(bridge)
    logged(bridge)
    ledger = bridge.ledger()[0][f"table/{table.name}"]
    assert {i["name"] for i in ledger["indexes"]} == {"by_city", "by-photo", "odd"}
    bridge.consumer({"convert.type": kind})
    wait_until(lambda: users_indexes(bridge, table) == WANTED[kind], 40, "the indexes", bridge.running())
    bridge.target()[table.name].drop_index("dynaferry_index_by_city")
    wait_until(lambda: users_indexes(bridge, table) == WANTED[kind], 40, "it comes back", bridge.running())
    complain(bridge.verify_target(table, kind))


def test_no_secondary_index_is_made_when_none_is_wanted(bridge):
    table = with_indexes(bridge)
    logged(bridge)
    bridge.consumer({**CHANGE, "full.enable_index.user": "false"})
    bridge.wait_applied()
    time.sleep(2)
    assert users_indexes(bridge, table) == {}


def test_a_secondary_index_in_the_making_stops_no_flow_and_a_refused_one_halts_nothing(ferry):
    table = with_indexes(ferry)
    logged(ferry)
    mine = {"where": {"collection": table.name}, "contains": "dynaferry_index_"}
    hold = ferry.proxy.control.fault(op="createIndexes", kind="hold", times=1, **mine)
    refused = refuse(ferry, "createIndexes", 67, skip=1, **mine)
    consumer = ferry.consumer(CHANGE)
    wait_until(lambda: ferry.proxy.script.find(hold).held, 30, "an index to be held", [consumer])
    ferry.wait_applied()
    complain(ferry.verify_target(table, "change"))
    time.sleep(3)
    assert ferry.proxy.script.find(hold).held and health(consumer)[0] == 200
    ferry.proxy.control.release(hold)
    wait_until(lambda: ferry.proxy.script.find(refused).hits, 30, "the refusal", [consumer])
    wait_until(lambda: "can't be made now" in consumer.log(), 30, "the warning", [consumer])
    assert health(consumer)[0] == 200 and failed(consumer, table) == 0
