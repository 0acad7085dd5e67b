"""dynaferry-fullcheck at the edges: the largest items, names without a path, what no document can hold, what is
nobody's."""

import json
from collections import Counter

import pytest
from bson import Decimal128
from support import workload
from support.bridge import Bridge
from support.fullcheck_cases import n, s
from support.fullcheck_tool import STATIC, Checker, Found, documents_of, fill_source, fill_target
from support.oracle import KeySchema
from support.workload import LONE_SURROGATE

CONVERSIONS = ["raw", "change"]


@pytest.fixture
def check(bridge):
    return Checker(bridge)


def collection_of(bridge, table):
    return bridge.target()[table.name]


LONG = 100_000  # elements: a quarter of what an item can have, for the test server's sake


@pytest.mark.parametrize("convert_type", CONVERSIONS)
def test_the_largest_and_deepest_items_are_compared_to_their_ends(bridge, check, convert_type):
    table = bridge.add_table(stream=None)
    items = {name: {"pk": s(name), **attributes} for name, attributes in workload.special_items()}
    items["400 KB of empty strings"]["big"] = {"L": [s("")] * LONG}
    for item in items.values():
        bridge.dynamodb.put_item(TableName=table.name, Item=item)
    many = items["many attributes"]
    items["400 KB of empty strings"]["big"] = {"L": [*[s("")] * (LONG - 1), s("x")]}
    items["400 KB of text"]["big"] = s("\u00e9" * 194_999 + "\u00e8")
    items["400 KB binary"]["big"] = {"B": bytes(range(256)) * 1499 + bytes(256)}
    items["many attributes"] = {name: value if name == "pk" else n("-1") for name, value in many.items()}
    fill_target(collection_of(bridge, table), items.values(), table.key_schema, convert_type)
    report = check.run(*STATIC, settings={"convert.type": convert_type})
    paths = {line["key"]["pk"]["S"]: [tuple(p["path"]) for p in line["paths"]] for line in report.lines}
    assert report.table(table)["different"] == len(report.lines) == 4
    assert paths["400 KB of empty strings"] == [("big", LONG - 1)]
    assert paths["400 KB of text"] == paths["400 KB binary"] == [("big",)]
    assert paths["many attributes"] and set(paths["many attributes"]) <= {(name,) for name in many}
    assert all(len(str(line)) < 2_000_000 for line in report.lines)


@pytest.mark.parametrize("convert_type", CONVERSIONS)
def test_a_key_whose_name_has_no_path_is_the_documents_id(bridge, check, convert_type):
    """Whatever target.id says."""
    schemas = [KeySchema(("a.b",), ("S",)), KeySchema(("pk", "s.k."), ("S", "N")), KeySchema((".",), ("B",))]
    planted = Counter()
    tables = [bridge.add_table(schema, stream=None) for schema in schemas]
    for table in tables:
        schema, collection = table.key_schema, collection_of(bridge, table)
        keys = [workload.Table(table.name, schema).key(NO_CHANCE, number) for number in range(20, 50)]
        items = [{**key, "v": n(str(i))} for i, key in enumerate(keys)]
        fill_source(bridge.dynamodb, table, items[1:])
        documents = documents_of(items, schema, convert_type, "key")
        documents[2]["v"] = None
        collection.insert_many([*documents[:1], *documents[2:]])
        planted += Counter([
            Found.of_item(table, items[0], "extra"),
            Found.of_item(table, items[1], "missing"),
            Found.of_item(table, items[2], "different", [("v",)]),
        ])  # fmt: skip
    report = check.run(*STATIC, settings={"convert.type": convert_type, "target.id": "objectid"})
    assert report.found == planted
    assert [report.table(table)["index"] for table in tables] == ["not needed"] * 3


class NoChance:
    """Instead of a random generator: the keys' endings do not matter."""

    def randrange(self, _):
        return 0


NO_CHANCE = NoChance()


@pytest.mark.parametrize("convert_type", CONVERSIONS)
@pytest.mark.parametrize("target_id", ["objectid", "key"])
def test_what_no_document_can_hold_is_missing(bridge, check, convert_type, target_id):
    """Their neighbours in the same requests are compared as ever."""
    table = bridge.add_table(stream=None)
    refused = [
        {"pk": s("dollar"), "$v": n("1")},
        {"pk": s("nul"), "m": {"M": {"a\0b": n("1")}}},
        {"pk": s("clash"), "_id": n("1"), "pre_id": n("1")},
        {"pk": s("half a pair"), "v": s(LONE_SURROGATE)},
        {"pk": s("half a name"), "m": {"M": {LONE_SURROGATE: n("1")}}},
        {"pk": s("half a key " + LONE_SURROGATE), "v": n("1")},
    ]
    held = [{"pk": s(f"{i}"), "v": n(str(i))} for i in range(40)]
    fill_source(bridge.dynamodb, table, [*refused, *held])
    fill_target(collection_of(bridge, table), held, table.key_schema, convert_type, target_id)
    report = check.run(*STATIC, settings={"convert.type": convert_type, "target.id": target_id})
    keys = [line["key"]["pk"]["S"] for line in report.lines if line["kind"] == "missing"]
    assert sorted(keys) == sorted(item["pk"]["S"] for item in refused)
    assert len(report.lines) == len(refused) == report.table(table)["missing"]
    assert report.table(table)["checked"] == len(refused) + len(held)


def test_more_differences_than_may_wait_at_once(parts, directory):
    """The scan waits for room, and all of them are told."""
    from fakes.canned import Canned

    many = 110_000
    with Canned("many", items=many) as source:
        bridge = Bridge(parts, directory, source.url, (source.access_key, source.secret_key))
        try:
            fill_target(bridge.target()["many"], [], KeySchema(("pk",), ("S",)), "raw")
            program = Checker(bridge).start(*STATIC, settings={"filter.collection.white": "many"})
            assert program.wait() == 1, program.story()
        finally:
            assert not bridge.close()
    (entry,) = json.loads(program.output())["tables"]
    assert entry["missing"] == entry["items"] == many and entry["complete"] is True
    with open(program.diff_path) as lines:
        assert len({line.partition('"kind"')[0] for line in lines}) == many


OWN = {
    "raw": [{"pk": {"N": "5"}}, {"pk": "text"}, {"pk": {"S": 5}}, {"pk": None}],
    "change": [{"pk": 5}, {"pk": None}, {"pk": {"S": "x"}}, {"pk": Decimal128("1.5")}],
}


@pytest.mark.parametrize("convert_type", CONVERSIONS)
def test_documents_without_a_valid_key_are_the_users_own(bridge, check, convert_type):
    """Also more than a thousand of them, and those whose key is of another type."""
    texts, numbers = bridge.add_table(stream=None), bridge.add_table(KeySchema(("pk",), ("N",)), stream=None)
    items = [{"pk": n(str(i)), "v": n(str(i))} for i in range(30)]
    fill_source(bridge.dynamodb, numbers, items)
    fill_target(collection_of(bridge, numbers), items, numbers.key_schema, convert_type)
    one = {"pk": {"N": "no number"}} if convert_type == "raw" else {"pk": "no number"}
    collection_of(bridge, numbers).insert_one(one)
    items = [{"pk": s(str(i)), "v": n(str(i))} for i in range(30)]
    fill_source(bridge.dynamodb, texts, items)
    fill_target(collection_of(bridge, texts), items, texts.key_schema, convert_type, index=False)
    own = [dict(document) for document in OWN[convert_type] * 300]
    collection_of(bridge, texts).insert_many(own)
    report = check.run(*STATIC, settings={"convert.type": convert_type, "full.enable_index.primary": "false"})
    report.complain()
    assert report.table(texts)["foreign"] == len(own) and report.table(numbers)["foreign"] == 1
    assert report.table(texts)["documents"] == 30 + len(own)
    assert report.table(texts)["index"] == "not checked"
