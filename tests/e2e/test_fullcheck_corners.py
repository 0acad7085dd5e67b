"""dynaferry-fullcheck in the corners: the user's own documents, a document that is met on several ways, and ends
at the wrong moment.
"""

import re
import signal
import subprocess
from collections import Counter

import pytest
from bson import Decimal128, ObjectId
from support.fullcheck_cases import n, s
from support.fullcheck_tool import STATIC, Checker, Found, fill_source, fill_target
from support.oracle import KeySchema
from support.running import wait_until

STRING, NUMBER = KeySchema(("pk",), ("S",)), KeySchema(("pk",), ("N",))
CHANGE = {"convert.type": "change"}
BY_KEY = {"convert.type": "change", "target.id": "key"}


@pytest.fixture
def check(scripted):
    return Checker(scripted)


def key_of(i, kind):
    return s(f"key {i}") if kind == "S" else n(str(i))


def filled(bridge, schema, count=40, target_id="objectid"):
    """A table and its right collection, in change."""
    table = bridge.add_table(schema)
    items = [{"pk": key_of(i, schema.types[0]), "v": s("text")} for i in range(count)]
    fill_source(bridge.dynamodb, table, items)
    collection = bridge.target()[table.name]
    fill_target(collection, items, schema, "change", target_id)
    return table, items, collection


# --- what is nobody's ---

FOREIGN = {
    "S": ["", "x" * 2049, 5, ["other"], {"S": "key 1"}],
    "N": [0.1, 1e300, "7", "9" * 39, Decimal128("1E+126"), Decimal128("NaN"), float("inf")],
}


@pytest.mark.parametrize("schema", [STRING, NUMBER], ids=["S", "N"])
def test_documents_with_keys_that_the_source_could_not_have_are_the_users_own(check, scripted, schema):
    table, _, collection = filled(scripted, schema)
    own = [{"pk": value, "v": "text"} for value in FOREIGN[schema.types[0]]]
    collection.insert_many([*own, {"other": 1}])
    report = check.run(*STATIC, settings=CHANGE)
    report.complain()
    assert report.table(table)["foreign"] == len(own) + 1


def test_a_document_that_has_a_key_in_its_id_alone_is_never_extra(check, scripted):
    table, _, collection = filled(scripted, STRING, target_id="key")
    collection.insert_many([{"_id": "settings", "colour": "red"}, {"_id": "version", "pk": 5}])
    report = check.run(*STATIC, settings=BY_KEY)
    report.complain()
    assert report.table(table)["foreign"] == 2


# --- what is met on several ways ---


@pytest.mark.parametrize("settle", ["0", "0.2"])
def test_documents_under_another_id_are_told_once_however_long_the_scan_takes(check, scripted, settle):
    table, items, collection = filled(scripted, STRING, target_id="key")
    moved, gone = items[3:6], [{"pk": s(f"gone {i}"), "v": s("text")} for i in range(3)]
    for item in moved:
        collection.delete_one({"_id": item["pk"]["S"]})
    collection.insert_many({"_id": ObjectId(), "pk": i["pk"]["S"], "v": "text"} for i in moved + gone)
    planted = [Found.of_item(table, item, "different", [("_id",)]) for item in moved]
    planted += [Found.of_item(table, item, "extra") for item in gone]
    scripted.fake.control.fault("delay", op="Scan", seconds=0.1, times=-1)
    report = check.run("--settle", settle, "--qpsFullBatchNum", "5", "-p", "1", settings=BY_KEY)
    assert report.found == Counter(planted)


def test_documents_that_have_each_others_id_are_different_and_none_is_double(check, scripted):
    table, items, collection = filled(scripted, STRING, target_id="key")
    a, b = items[0]["pk"]["S"], items[1]["pk"]["S"]
    collection.replace_one({"_id": a}, {"pk": b, "v": "text"})
    collection.replace_one({"_id": b}, {"pk": a, "v": "text"})
    report = check.run(*STATIC, settings=BY_KEY)
    assert report.found == Counter(Found.of_item(table, i, "different", [("_id",)]) for i in items[:2])


def test_very_many_documents_of_one_key_are_one_duplicate(check, scripted):
    table, items, collection = filled(scripted, STRING)
    collection.drop_indexes()
    collection.insert_many({"pk": items[0]["pk"]["S"], "v": "text"} for _ in range(300))
    report = check.run(*STATIC, settings=CHANGE)
    assert report.found == Counter([Found.of_item(table, items[0], "duplicate")])
    assert 2 <= len(report.lines[0]["ids"]) <= 300


# --- ends at the wrong moment ---


def test_a_summary_that_cannot_be_written_is_no_result(check, scripted):
    filled(scripted, STRING)
    program = check.start(*STATIC, settings=CHANGE)
    assert program.wait() == 0
    with open("/dev/full", "wb") as full:
        code = subprocess.run(
            list(map(str, program.command)), stdout=full, stderr=subprocess.DEVNULL,
            env=program.env, cwd=program.directory, timeout=60, check=False,
        ).returncode  # fmt: skip
    assert code == 2


def test_differences_that_cannot_be_written_are_no_result(check, scripted):
    _, _, collection = filled(scripted, STRING)
    collection.delete_one({})
    assert check.start(*STATIC, "-d", "/dev/full", diff=False, settings=CHANGE).wait() == 2


def counts_of_items(bridge):
    return sum("Boto3" not in e["agent"] for e in bridge.fake.control.log("Scan"))


def test_a_count_that_was_interrupted_says_nothing(check, scripted):
    """The counts differ, but --settle was not over."""
    table, _, collection = filled(scripted, STRING)
    collection.delete_one({})
    program = check.start("--settle", "600", "--outline", "only", settings=CHANGE)
    wait_until(lambda: counts_of_items(scripted) >= 2, 30, "counts", [program])
    program.signal(signal.SIGINT)
    report = program.report(30)
    assert report.code == 2 and report.table(table)["result"] == "unknown"


def test_a_repair_that_was_interrupted_leaves_the_difference(bridge):
    table = bridge.add_table(STRING)
    items = [{"pk": s(f"repair {i}"), "v": s("text")} for i in range(6)]
    fill_source(bridge.dynamodb, table, items)
    assert bridge.run("producer", {"sync_mode": "full"}).process.returncode == 0
    fill_target(bridge.target()[table.name], items[2:], STRING, "raw")
    program = Checker(bridge).start(*STATIC, "--repair")
    asked = lambda: sum(map(int, re.findall(r"repair requested.* keys=(\d+)", program.log())))
    wait_until(lambda: asked() == 2, 60, "requests for both", [program])
    program.signal(signal.SIGTERM)
    report = program.report(30)
    assert report.code == 1 and report.table(table)["complete"] is False
    assert report.found == Counter(Found.of_item(table, item, "missing") for item in items[:2])
    assert not any("repaired" in line for line in report.lines)
