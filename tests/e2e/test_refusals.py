"""Records that MongoDB refuses: only a record's own fault makes a dead letter, all else is waited out."""

import random
import time

import pytest
from support.bridge import complain
from support.refusing import (
    ONE_PARTITION,
    UNKNOWN_CODE,
    failed,
    ferry,  # noqa: F401 (a fixture)
    fill,
    find,
    letters_of,
    lines,
    proxy,  # noqa: F401 (a fixture)
    put,
    refused,
    wait_halted,
    wait_well,
)
from support.running import wait_until

PASSING = [82, 365, 371, 16500, 189, 112]
VALIDATION_FAILED = 121  # a record's own fault


def applied(ferry, tables=1, count=20):
    """Tables of one partition each, all of which is in MongoDB; their consumer."""
    ferry.settings.update(ONE_PARTITION)
    tables = [ferry.add_table() for _ in range(tables)]
    for table in tables:
        fill(ferry, table, count)
    ferry.producer()
    ferry.wait_caught_up()
    consumer = ferry.consumer()
    ferry.wait_applied()
    return *tables, consumer


def in_log(ferry, *items_of):
    """Tables of one partition each that nobody has applied yet, with these {key: attributes}."""
    ferry.settings.update(ONE_PARTITION)
    tables = [ferry.add_table() for _ in items_of]
    for table, items in zip(tables, items_of):
        for pk, attributes in items.items():
            put(ferry, table, pk, **attributes)
    ferry.producer()
    ferry.wait_caught_up()
    return tables


def keys(ferry, table):
    return {document["pk"]["S"] for document in ferry.target()[table.name].find()}


def refuse(ferry, table, code, op="update", **more):
    where = {"collection": table.name}
    message = "the server's words"
    return ferry.proxy.control.fault("write_error", op=op, where=where, code=code, message=message, **more)


# --- passing errors ---


@pytest.mark.parametrize("op", ["update", "delete"])
def test_a_passing_error_of_all_records_is_waited_out(ferry, op):
    """One table for each code."""
    codes = [*PASSING, UNKNOWN_CODE]
    *tables, consumer = applied(ferry, len(codes))
    faults = [refuse(ferry, table, code, op, times=3) for table, code in zip(tables, codes)]
    for table in tables:
        if op == "update":
            fill(ferry, table, 20, version=2)
        for n in range(0, 20, 2) if op == "delete" else ():
            ferry.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": f"k{n}"}})
    letters = lambda: [letter for table in tables for letter in letters_of(ferry, table)]
    used = lambda: all(find(ferry, fault).times == 0 for fault in faults) or letters()
    wait_until(used, 60, "the errors to pass", ferry.running())
    assert not letters()
    ferry.settle()
    ferry.verify()
    assert not letters()
    assert not lines(consumer, "halted")


def test_an_error_of_the_server_never_makes_a_dead_letter(ferry):
    """However long it lasts, and though it is about one record only."""
    items = {**{f"k{n}": {} for n in range(10)}, "late": {"t": {"S": "throttled"}}}
    tables = in_log(ferry, items, items)
    faults = [
        refuse(ferry, table, code, times=-1, contains="throttled", text="throttled")
        for table, code in zip(tables, (371, 16500))
    ]
    began = time.monotonic()
    ferry.consumer()
    letters = lambda: [letter for table in tables for letter in letters_of(ferry, table)]
    tried = lambda: all(find(ferry, fault).hits >= 6 for fault in faults) and time.monotonic() - began > 15
    wait_until(lambda: tried() or letters(), 60, "many tries", ferry.running())
    assert not letters()
    for table in tables:
        assert keys(ferry, table) == {f"k{n}" for n in range(10)}
    ferry.proxy.control.clear()
    ferry.wait_applied()
    ferry.verify()
    assert not letters()


# --- codes that nobody knows ---


def test_a_record_with_an_unknown_code_is_given_up_when_its_neighbours_are_written(ferry):
    items = {f"k{n}": {} for n in range(10)}
    (table,) = in_log(ferry, {**items, "odd": {"t": {"S": "unlucky"}}})
    fault = refuse(ferry, table, UNKNOWN_CODE, times=-1, contains="unlucky", text="unlucky")
    ferry.consumer()
    wait_until(lambda: keys(ferry, table) >= set(items), 30, "its neighbours", ferry.running())
    assert not letters_of(ferry, table), "it was given up at once"
    letters = wait_until(lambda: letters_of(ferry, table), 60, "the dead letter", ferry.running())
    assert find(ferry, fault).hits >= 3, "it was not tried again"
    assert {letter["keys"]["pk"]["S"] for letter in letters} == {"odd"}
    assert all(str(UNKNOWN_CODE) in letter["reason"] for letter in letters)
    put(ferry, table, "after", v={"N": "1"})
    put(ferry, table, "odd", v={"N": "2"})
    ferry.settle()
    complain(ferry.verify_log(table) + ferry.verify_target(table, "raw"))
    assert "after" in keys(ferry, table) and "odd" in keys(ferry, table)


def refuse_all(ferry, table, how):
    if how == "each record":
        return refuse(ferry, table, UNKNOWN_CODE, times=-1)
    answer = refused(UNKNOWN_CODE, "the server's words")
    where = {"collection": table.name}
    return ferry.proxy.control.fault("reply", op="update", where=where, times=-1, document=answer)


def test_an_unknown_code_for_everything_halts_the_partition(ferry):
    """Of each record, or of the command as a whole."""
    *tables, consumer = applied(ferry, 2)
    for table, how in zip(tables, ("each record", "the command")):
        refuse_all(ferry, table, how)
        fill(ferry, table, 20, version=2)
    for table in tables:
        assert str(UNKNOWN_CODE) in wait_halted(consumer, table, "partition halted")
        assert not letters_of(ferry, table)
    ferry.proxy.control.clear()
    ferry.settle()
    wait_well(consumer, tables)
    ferry.verify()
    for table in tables:
        assert not letters_of(ferry, table)


def test_a_halted_partition_stops_no_other_table(ferry):
    table, consumer = applied(ferry)
    other = ferry.add_table()
    fill(ferry, other, 5)
    refuse_all(ferry, table, "each record")
    fill(ferry, table, 5, version=2)
    for program in ferry.running():
        program.sigterm()
    ferry.producer()
    consumer = ferry.consumer()
    wait_halted(consumer, table, "partition halted")
    fill(ferry, other, 5, version=3)
    ferry.wait_caught_up(tables=[other])
    ferry.wait_applied(tables=[other])
    assert failed(consumer, other) == 0
    complain(ferry.verify_target(other, "raw"))


# --- the newest value that can be held ---


def random_writes(ferry, table, unfit, seed):
    """Few keys, each with many values, many of which can't be held; some are deleted in between."""
    rng = random.Random(seed)
    for version in range(120):
        pk = f"k{rng.randrange(8)}"
        kind = rng.choice(["good", "good", "unfit", "unfit", "delete"])
        if kind == "delete":
            ferry.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": pk}})
        else:
            put(ferry, table, pk, v={"N": str(version)}, **(unfit if kind == "unfit" else {}))


def documents(ferry, table, database=None):
    found = ferry.target(database)[table.name].find({}, {"_id": 0})
    return sorted(((d["pk"], d["v"]) for d in found), key=str)


UNFIT = {"conversion": {"$refused": {"S": "by conversion"}}, "MongoDB": {"t": {"S": "by the server"}}}


@pytest.mark.parametrize("who", UNFIT)
@pytest.mark.parametrize("seed", [1, 2])
def test_live_and_replayed_a_refused_value_leaves_the_same_document(ferry, who, seed):
    """One by one, and the same log once more in one batch: the newest value that can be held stays."""
    ferry.settings.update(ONE_PARTITION, **{"convert.type": "change", "target.id": "key"})
    table = ferry.add_table()
    ferry.proxy.control.fault(
        "write_error", op="update", where={"collection": table.name}, times=-1, contains="by the server",
        text="by the server", code=VALIDATION_FAILED, message="Document failed validation",
    )  # fmt: skip
    ferry.producer()
    wait_until(lambda: ferry.phase(table) == "tail", 60, "phase tail", ferry.running())
    live = ferry.consumer({"target.batch.count": 1})
    random_writes(ferry, table, UNFIT[who], seed)
    ferry.settle()
    live.sigterm()
    again = f"{ferry.database}_again"
    ferry.consumer({"id": again, "target.batch.count": 1000, "target.batch.ms": 500})
    ferry.wait_applied(database=again)
    assert documents(ferry, table)
    assert documents(ferry, table, again) == documents(ferry, table)


def test_a_value_that_is_refused_leaves_the_one_before_it(ferry):
    """Three values of one key in one batch, the last of which can't be held."""
    ferry.settings.update(ONE_PARTITION, **{"convert.type": "change"})
    table = ferry.add_table()
    ferry.producer()
    wait_until(lambda: ferry.phase(table) == "tail", 60, "phase tail", ferry.running())
    put(ferry, table, "one", v={"N": "1"})
    put(ferry, table, "one", v={"N": "2"})
    put(ferry, table, "one", v={"N": "3"}, **UNFIT["conversion"])
    put(ferry, table, "deleted", v={"N": "1"})
    ferry.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "deleted"}})
    put(ferry, table, "deleted", v={"N": "2"}, **UNFIT["conversion"])
    ferry.wait_caught_up()
    ferry.consumer({"target.batch.ms": 500})
    ferry.wait_applied()
    assert [(pk, str(v)) for pk, v in documents(ferry, table)] == [("one", "2")]
    assert {letter["keys"]["pk"]["S"] for letter in letters_of(ferry, table)} == {"one", "deleted"}
