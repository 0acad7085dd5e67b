"""Targets that can't be used as they are: each such table is halted, its neighbours go on."""

import itertools

import bson
import pytest
from support import workload
from support.bridge import APPLIED, complain
from support.delete_records import delete_records
from support.oracle import KeySchema
from support.refusing import (
    ONE_PARTITION,
    UNKNOWN_CODE,
    about,
    about_table,
    failed,
    ferry,  # noqa: F401 (a fixture)
    fill,
    find,
    letters_of,
    lines,
    proxy,  # noqa: F401 (a fixture)
    put,
    refused,
    unhealthy,
    wait_halted,
    wait_well,
)
from support.running import PATIENCE, wait_until

CHANGE = {"convert.type": "change"}


def begun(ferry, count=1, **settings):
    """Tables of one partition that are in the log; nobody has applied them yet."""
    ferry.settings.update(ONE_PARTITION, **settings)
    tables = [ferry.add_table() for _ in range(count)]
    for table in tables:
        fill(ferry, table, 5)
    ferry.producer()
    ferry.wait_caught_up()
    return tables


def verify(ferry, tables, convert_type="raw", **more):
    complain([p for table in tables for p in ferry.verify_target(table, convert_type, **more)])


# --- a preparation that is refused ---

OPERATIONS = ["listCollections", "create", "listIndexes", "createIndexes"]
CODES = [13, 59, 72, 73, 166, 10107]


def test_a_preparation_that_is_always_refused_is_a_clear_state(ferry):
    """One table for each operation and code, and one that nobody refuses."""
    refusals = list(itertools.product(OPERATIONS, CODES))
    *tables, good = begun(ferry, len(refusals) + 1)
    for table, (op, code) in zip(tables, refusals):
        answer = refused(code, f"{op} refused with {code}")
        ferry.proxy.control.fault("reply", op=op, times=-1, predicate=about_table(table), document=answer)
    consumer = ferry.consumer()
    ferry.wait_applied(tables=[good])
    for table, (op, code) in zip(tables, refusals):
        assert f"{op} refused with {code}" in wait_halted(consumer, table)
    assert failed(consumer, good) == 0
    ferry.proxy.control.clear()
    ferry.wait_applied()
    wait_well(consumer, tables)
    verify(ferry, ferry.tables)


def test_a_target_that_is_away_while_a_table_is_prepared_is_no_healthy_one(ferry):
    """Nothing is refused, so it is not halted; it is told after two minutes. The slow one of these tests."""
    (table,) = begun(ferry)
    held = ferry.proxy.control.fault("hold", op="listCollections", predicate=about(table.name), times=-1)
    consumer = ferry.consumer()
    assert ferry.proxy.control.wait_held(held, 30 * PATIENCE)
    ferry.proxy.control.refuse()
    ferry.proxy.control.release(held)
    wait_until(lambda: unhealthy(consumer, table), 150, "/healthz to name the table", [consumer])
    assert not lines(consumer, "halted")
    ferry.proxy.control.accept()
    ferry.wait_applied()
    wait_well(consumer, [table])


def refuse_looks(ferry, table, op):
    looks = lambda body: table.name in body and f"{ferry.topic(table)}/" not in body
    more = {"predicate": lambda m: looks(str(m.body)), "document": refused(UNKNOWN_CODE)}
    return ferry.proxy.control.fault("reply", op=op, times=2, **more)


def test_a_passing_refusal_of_a_look_halts_no_table(ferry):
    """An unknown code while looking at tables that are ready; the same code in a write is waited out, too."""
    tables = begun(ferry, 3)
    consumer = ferry.consumer()
    ferry.wait_applied()
    operations = ["listCollections", "listIndexes", "find"]
    faults = [refuse_looks(ferry, table, op) for table, op in zip(tables, operations)]
    for fault in faults:
        assert ferry.proxy.control.wait_used(fault, 50 * PATIENCE)
    for table in tables:
        put(ferry, table, "after", v={"N": "1"})
    ferry.settle()
    assert not any(failed(consumer, table) for table in tables) and consumer.get("/healthz")[0] == 200
    assert not lines(consumer, "halted") and not lines(consumer, "stopped")
    verify(ferry, tables)


# --- collections that look right and are not ---

KINDS = {
    "view": {"type": "view", "options": {"viewOn": "other", "pipeline": []}, "info": {"readOnly": True}},
    "time-series": {
        "type": "timeseries",
        "options": {"timeseries": {"timeField": "t", "granularity": "seconds", "bucketMaxSpanSeconds": 3600}},
        "info": {"readOnly": False},
    },
    "capped": {"options": {"capped": True, "size": 1 << 20}},
    "collation": {"options": {"collation": {"locale": "en", "strength": 2, "caseLevel": False}}},
}


def shown_as(table, kind):
    """Changes an answer of listCollections: the table's collection is one of this kind."""

    def change(body):
        found = body.get("cursor", {}).get("firstBatch", [])
        batch = [{**c, **KINDS[kind]} if c["name"] == table.name else c for c in found]
        return {**body, "cursor": {**body["cursor"], "firstBatch": batch}} if "cursor" in body else body

    return change


def show(ferry, table, kind):
    ferry.proxy.control.fault("amend", op="listCollections", times=-1, change=shown_as(table, kind))


def test_views_time_series_capped_ones_and_other_collations_are_refused(ferry):
    *tables, good = begun(ferry, len(KINDS) + 1)
    for table, kind in zip(tables, KINDS):
        ferry.target()[table.name].insert_one({"_id": "users own"})
        show(ferry, table, kind)
    consumer = ferry.consumer()
    ferry.wait_applied(tables=[good])
    verify(ferry, [good])
    for table, kind in zip(tables, KINDS):
        assert kind in wait_halted(consumer, table).lower()
        assert list(ferry.target()[table.name].find()) == [{"_id": "users own"}], kind
        assert not letters_of(ferry, table)
    assert failed(consumer, good) == 0
    ferry.proxy.control.clear()
    ferry.wait_applied()
    wait_well(consumer, tables)


def test_every_process_tells_the_same_of_a_table(ferry):
    """Also the one that does not own the partition whose owner prepares."""
    table = ferry.add_table()
    fill(ferry, table, 10)
    ferry.target()[table.name].insert_one({"_id": "users own"})
    show(ferry, table, "view")
    ferry.producer()
    ferry.wait_caught_up()
    consumers = [ferry.consumer(), ferry.consumer()]
    share = lambda c: lines(c, 'event="partitions assigned"', "partitions=2")
    wait_until(lambda: all(map(share, consumers)), 60, "two consumers share the table", consumers)
    for consumer in consumers:
        assert "view" in wait_halted(consumer, table)


def test_a_collection_that_becomes_another_kind_halts_its_table(ferry):
    *tables, good = begun(ferry, len(KINDS) + 1)
    consumer = ferry.consumer()
    ferry.wait_applied()
    for table, kind in zip(tables, KINDS):
        show(ferry, table, kind)
    for table, kind in zip(tables, KINDS):
        assert kind in wait_halted(consumer, table).lower()
    for table in ferry.tables:
        put(ferry, table, "after", v={"N": "1"})
    ferry.wait_caught_up()
    ferry.wait_applied(tables=[good])
    for table in tables:
        assert not ferry.target()[table.name].find_one({"pk": {"S": "after"}})
    ferry.proxy.control.clear()
    ferry.settle()
    wait_well(consumer, tables)
    verify(ferry, ferry.tables)


@pytest.mark.parametrize("target_id", ["key", "objectid"])
@pytest.mark.parametrize("names", [("$pk",), ("pk", "$sk")], ids=["hash", "range"])
def test_a_key_attribute_with_a_leading_dollar_halts_its_table(ferry, target_id, names):
    """MongoDB takes no such name at the top of a document."""
    bad = ferry.add_table(KeySchema(names, ("S",) * len(names)))
    ferry.dynamodb.put_item(TableName=bad.name, Item={name: {"S": "x"} for name in names})
    (good,) = begun(ferry, **{"target.id": target_id})
    consumer = ferry.consumer()
    ferry.wait_applied(tables=[good])
    assert names[-1] in wait_halted(consumer, bad)
    verify(ferry, [good], target_id=target_id)
    assert failed(consumer, good) == 0
    assert not letters_of(ferry, bad), "dead letters of a table that can't be held at all"


# --- two tables, one collection ---


@pytest.mark.parametrize("first_is_mapped", [True, False])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "one after the other"])
def test_two_tables_that_are_mapped_to_one_collection_are_both_halted(ferry, first_is_mapped, late):
    """Whichever is discovered first, and though one of them is applied already."""
    ferry.settings.update(ONE_PARTITION)
    first, second, good = ferry.add_table(), ferry.add_table(), ferry.add_table()
    for table in first, second, good:
        put(ferry, table, f"of {table.name}")
    mapped, named = (first, second) if first_is_mapped else (second, first)
    settings = {"map.collection": f"{mapped.name}={named.name}"}
    if late:
        early = ferry.producer({"filter.collection.white": f"{first.name};{good.name}"})
        ferry.wait_caught_up(tables=[first, good])
        consumer = ferry.consumer(settings)
        ferry.wait_applied(tables=[good])
        early.sigterm()
    ferry.producer()
    ferry.wait_caught_up()
    if not late:
        consumer = ferry.consumer(settings)
    for table in first, second:
        assert "map.collection" in wait_halted(consumer, table)
    put(ferry, good, "after")
    ferry.wait_caught_up(tables=[good])
    ferry.wait_applied(tables=[good])
    assert failed(consumer, good) == 0
    held = {str(document["pk"]) for document in ferry.target()[named.name].find()}
    assert not any(second.name in pk for pk in held), "the second one was written beside the first"


# --- what the address asks for ---

TAKE_READ_CONCERN = {"find", "aggregate", "count", "distinct"}


@pytest.mark.parametrize("level", ["majority", "snapshot", "linearizable"])
def test_a_read_concern_in_the_address_reaches_no_command_that_takes_none(ferry, level):
    (table,) = begun(ferry, **{"target.address": f"{ferry.proxy.uri}?readConcernLevel={level}"})
    ferry.proxy.control.fault(
        "reply", times=-1, document=refused(72, "the command does not take a read concern"),
        predicate=lambda m: "readConcern" in m.body and m.command not in TAKE_READ_CONCERN,
    )  # fmt: skip
    consumer = ferry.consumer({"start.timeout": 10})
    ferry.wait_applied()
    verify(ferry, [table])
    assert consumer.get("/healthz")[0] == 200


@pytest.mark.parametrize("code", [59, 115])
def test_a_server_that_does_not_know_enableSharding_is_asked_to_shard_all_the_same(ferry, code):
    (table,) = begun(ferry, **{"target.mongodb.type": "sharding"})
    answer = refused(code, "no such command: 'enableSharding'")
    ferry.proxy.control.fault("reply", op="enableSharding", times=-1, document=answer)
    # the test server wants to be asked for both
    ferry.proxy.control.fault("reply", op="shardCollection", times=-1, document={"ok": 1.0})
    consumer = ferry.consumer()
    ferry.wait_applied()
    assert ferry.proxy.control.log("shardCollection"), consumer.story()
    verify(ferry, [table], target_id="key")


# --- doubled keys ---


def doubled(ferry):
    """A table that was applied; its unique index is gone, two documents share a key, both out of date."""
    (table,) = begun(ferry, **CHANGE)
    consumer = ferry.consumer()
    ferry.wait_applied()
    consumer.sigterm()
    target = ferry.target()[table.name]
    target.drop_index("dynaferry_key")
    target.update_one({"pk": "k1"}, {"$set": {"v": "old"}})
    copy = target.find_one({"pk": "k1"})
    target.insert_one({**copy, "_id": bson.ObjectId()})
    assert target.count_documents({"pk": "k1", "v": "old"}) == 2
    return table


def test_nothing_is_deleted_when_the_log_can_not_bring_it_back(ferry):
    table = doubled(ferry)
    delete_records(ferry.parts.kafka, ferry.topic(table), 1)
    consumer = ferry.consumer()
    wait_until(lambda: unhealthy(consumer, table), 60, "a halt", [consumer])
    assert ferry.target()[table.name].count_documents({"pk": "k1"}) == 2
    wait_halted(consumer, table)
    assert ferry.target()[table.name].count_documents({}) == 6


def test_the_search_for_doubled_keys_may_last(ferry):
    """Longer than any other command may."""
    table = doubled(ferry)
    ferry.settings.update({"target.max_time_ms": 500, "target.socket.timeout.ms": 500})
    for op in "aggregate", "find":
        where = {"collection": table.name}
        ferry.proxy.control.fault("delay", op=op, where=where, times=-1, seconds=3)
    consumer = ferry.consumer()
    wait_until(lambda: not ferry.verify_target(table, "change"), 50, "one of each, the newest", [consumer])


def says_rewind_or_ready(request):
    """A statement that tells a partition to go back, or that the table is ready."""
    updates = [str(s.get("u")) for s in request.statements]
    return any("'rewind': Int64" in u or "'rewind': 0" in u or "$min" in u or "'ready'" in u for u in updates)


def test_a_kill_between_the_deletes_and_the_rewinding_loses_nothing(ferry):
    table = doubled(ferry)
    which = {"where": {"collection": APPLIED}, "predicate": says_rewind_or_ready}
    ferry.proxy.control.fault("cut", op="update", when="before", times=-1, **which)
    deletes = ferry.proxy.control.fault("amend", op="delete", where={"collection": table.name}, document={})
    consumer = ferry.consumer()
    assert ferry.proxy.control.wait_used(deletes, 60 * PATIENCE)
    index = lambda: any(i.get("unique") for i in ferry.target()[table.name].index_information().values())
    one = lambda: ferry.target()[table.name].count_documents({"pk": "k1"}) == 1
    wait_until(lambda: one() or index(), 30, "the deletes", [consumer])
    consumer.kill9()
    ferry.proxy.control.clear()
    assert ferry.target()[table.name].find_one({"pk": "k1"})["v"] == "old"
    consumer = ferry.consumer()
    healed = lambda: not ferry.verify_target(table, "change")
    wait_until(healed, 60, "the newest value of the doubled key", [consumer])
    wait_until(index, 30, "the unique index", [consumer])


# --- tables that are left out ---


def test_a_table_that_the_filter_leaves_out_has_no_metrics(ferry):
    wanted, other = begun(ferry, 2)
    consumer = ferry.consumer({"filter.collection.white": wanted.name})
    ferry.wait_applied(tables=[wanted])
    wait_until(lambda: lines(consumer, "partitions assigned", "partitions=2"), 30, "both tables' partitions", [consumer])
    put(ferry, wanted, "after")
    ferry.wait_caught_up(tables=[wanted])
    ferry.wait_applied(tables=[wanted])
    metrics = consumer.get("/metrics")[1]
    assert wanted.name in metrics
    assert other.name not in metrics


# --- the user's indexes ---


def indexed_table(ferry):
    """A table with a global and two local secondary indexes."""
    table = workload.Table(f"t{ferry.tag}.indexed", KeySchema(("pk", "sk"), ("S", "N")))
    types = {"pk": "S", "sk": "N", "mail": "S", "at": "N", "bytes": "B"}
    schema = lambda *names: [
        {"AttributeName": n, "KeyType": role} for n, role in zip(names, ("HASH", "RANGE"))
    ]
    index = lambda name, *names: {
        "IndexName": name, "KeySchema": schema(*names), "Projection": {"ProjectionType": "KEYS_ONLY"}
    }  # fmt: skip
    ferry.dynamodb.create_table(
        TableName=table.name, BillingMode="PAY_PER_REQUEST", KeySchema=schema("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
        GlobalSecondaryIndexes=[index("by-mail", "mail", "at"), index("by.bytes", "bytes")],
        LocalSecondaryIndexes=[index("by_at", "pk", "at")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )  # fmt: skip
    ferry.tables.append(table)
    return table


def put_indexed(ferry, table, number):
    item = {
        "pk": {"S": "one"},
        "sk": {"N": str(number)},
        "mail": {"S": "same@example.org"},
        "at": {"N": "1"},
        "bytes": {"B": b"x"},
    }
    ferry.dynamodb.put_item(TableName=table.name, Item=item)


WANTED_INDEXES = {
    "raw": {"by-mail": ["mail.S", "at.N"], "by.bytes": ["bytes.B"], "by_at": ["pk.S", "at.N"]},
    "change": {"by-mail": ["mail", "at"], "by.bytes": ["bytes"], "by_at": ["pk", "at"]},
}


def secondary_indexes(ferry, table):
    found = ferry.target()[table.name].index_information()
    return {
        name.removeprefix("dynaferry_index_"): ([field for field, _ in i["key"]], bool(i.get("unique")))
        for name, i in found.items()
        if name.startswith("dynaferry_index_")
    }


@pytest.mark.parametrize("convert_type", WANTED_INDEXES)
def test_secondary_indexes_become_plain_ones_while_changes_flow(ferry, convert_type):
    ferry.settings.update(ONE_PARTITION, **{"convert.type": convert_type})
    table = indexed_table(ferry)
    put_indexed(ferry, table, 1)
    ferry.producer()
    ferry.wait_caught_up()
    build = ferry.proxy.control.fault("hold", op="createIndexes", contains="dynaferry_index_", times=-1)
    consumer = ferry.consumer()
    assert ferry.proxy.control.wait_held(build, 30 * PATIENCE), consumer.story()
    put_indexed(ferry, table, 2)
    ferry.settle()
    assert find(ferry, build).held > 0
    assert not secondary_indexes(ferry, table)
    verify(ferry, [table], convert_type)
    ferry.proxy.control.release(build)
    wanted = {name: (fields, False) for name, fields in WANTED_INDEXES[convert_type].items()}
    wait_until(lambda: secondary_indexes(ferry, table) == wanted, 60, "the indexes", [consumer])
    ferry.target()[table.name].drop_index("dynaferry_index_by-mail")
    wait_until(lambda: secondary_indexes(ferry, table) == wanted, 40, "the lost one to come back", [consumer])


def test_a_secondary_index_that_is_refused_is_a_warning(ferry):
    ferry.settings.update(ONE_PARTITION)
    table = indexed_table(ferry)
    put_indexed(ferry, table, 1)
    ferry.producer()
    ferry.wait_caught_up()
    answer = refused(67, "cannot create that index")
    fault = ferry.proxy.control.fault(
        "reply", op="createIndexes", contains="dynaferry_index_by-mail", times=-1, document=answer
    )
    consumer = ferry.consumer()
    wait_until(lambda: find(ferry, fault).hits, 40, "the refusal", [consumer])
    others = lambda: set(secondary_indexes(ferry, table)) == {"by.bytes", "by_at"}
    wait_until(others, 40, "the others", [consumer])
    wait_until(lambda: lines(consumer, "cannot create that index"), 20, "the warning", [consumer])
    put_indexed(ferry, table, 2)
    ferry.settle()
    assert failed(consumer, table) == 0 and not lines(consumer, "halted")
    verify(ferry, [table])


def test_secondary_indexes_are_not_made_when_they_are_not_wanted(ferry):
    ferry.settings.update(ONE_PARTITION, **{"full.enable_index.user": "false"})
    table = indexed_table(ferry)
    put_indexed(ferry, table, 1)
    ferry.producer()
    ferry.wait_caught_up()
    consumer = ferry.consumer()
    ferry.wait_applied()
    looks = lambda: [e for e in ferry.proxy.control.log("listIndexes") if e["end"]]
    before = len(looks())
    wait_until(lambda: len(looks()) > before, 30, "another look at the table", [consumer])
    assert not secondary_indexes(ferry, table)
