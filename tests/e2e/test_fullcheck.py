"""dynaferry-fullcheck finds each planted difference, names it with its path, and reports nothing else.

No producer or consumer: the target is what the oracle says of the items, and then damaged. All modes of
conversion check the same tables, which hold an item for every difference that could be planted.
"""

import random
import uuid
from collections import Counter
from dataclasses import dataclass, field

import pytest
from bson import ObjectId
from support import workload
from support.fullcheck_cases import (
    NAMES, Plant, backwards, n, planted, plants, s, source_value, stands_at, stored, value_at,
)  # fmt: skip
from support.fullcheck_tool import STATIC, Checker, Found, documents_of, fill_source, make_index

MODES = [("raw", "objectid"), ("change", "objectid"), ("raw", "key"), ("change", "key")]
ORDER, MISSING, EXTRA, COPY, COPIES, KEYLESS = "order", "missing", "extra", "copy", "copies", "keyless"


@dataclass(frozen=True)
class OtherId:
    """The right document under another `_id`; `of` makes that from the right one."""

    of: callable


IDS = [lambda own: ObjectId(), lambda own: "elsewhere", lambda own: {"pk": own}, lambda own: {"S": 7}]
COMPOUND_IDS = [
    lambda own: dict(reversed(own.items())),
    lambda own: {**own, "more": 1},
    lambda own: dict(list(own.items())[:1]),
    lambda own: list(own.values())[0],
]


# --- the source: every item has a role ---


def numbered_key(table, rng, number):
    """The number-th key: as the workload makes them, and numbers of 34 digits too."""
    key = table.key(rng, number)
    name, kind = table.key_schema.names[-1], table.key_schema.types[-1]
    if kind == "N" and number % 5 == 4:
        key[name] = n(f"{10**33 + number}")
    return key


def everything():
    """Attributes of every kind, with names of every kind."""
    return {name: {"M": {"n": n("1"), "s": {"NS": ["1", "2", "3"]}, "e": {"M": {}}}} for name in NAMES}


def roles(schema):
    """(role, attributes beside the key) of all items of a table."""
    compound = len(schema.names) == 2
    for plant in plants(schema.names):
        yield plant, plant.attributes
    yield ORDER, {**planted(("m", 1, "x"), {"SS": ["a", "b", "c"]}), **everything()}
    other_ids = [OtherId(of) for of in IDS + COMPOUND_IDS * compound]
    for role in [*[MISSING, EXTRA] * 3, COPY, COPIES, KEYLESS, *other_ids]:
        yield role, {}


@dataclass
class Source:
    table: workload.Table
    roles: list = field(default_factory=list)  # (role, item); DynamoDB has all but those of EXTRA
    scanned: list = field(default_factory=list)

    def fill(self, client):
        rng = random.Random(str(self.table.key_schema))
        for number, (role, attributes) in enumerate(roles(self.table.key_schema)):
            item = {"beside": s("it"), **attributes, **numbered_key(self.table, rng, number)}
            self.roles.append((role, item))
        fill_source(client, self.table, [item for role, item in self.roles if role is not EXTRA])
        pages = client.get_paginator("scan").paginate(TableName=self.table.name, ConsistentRead=True)
        self.scanned = [item for page in pages for item in page["Items"]]


@pytest.fixture(scope="module")
def sources(parts):
    client = workload.make_client(
        "dynamodb", parts.dynamodb, aws_access_key_id="planted", aws_secret_access_key="planted"
    )
    found = [Source(table) for table in workload.all_tables(f"planted{uuid.uuid4().hex[:8]}.")]
    for source in found:
        source.table.create(client, stream=None)
        source.fill(client)
    yield found
    for source in found:
        client.delete_table(TableName=source.table.name)


# --- the target in one mode ---


class Target:
    """A table's collection: right, or damaged; `expected` is what a checker has to report of the damage."""

    def __init__(self, source, convert_type, target_id, has_index):
        self.source, self.table, self.schema = source, source.table, source.table.key_schema
        self.convert_type, self.target_id, self.has_index = convert_type, target_id, has_index
        self.expected = Counter()
        self.damaged = []
        self.foreign = 1
        self.pairs = {}  # canonical key -> item and document, of those whose values part
        for role, item in source.roles:
            self.plant(role, item)

    def document(self, item):
        (document,) = documents_of([item], self.schema, self.convert_type, self.target_id)
        return document

    def expect(self, item, kind, paths=()):
        found = Found.of_item(self.table, item, kind, paths)
        self.expected[found] += 1
        return found

    def plant(self, role, item):
        document = self.document(item)
        if isinstance(role, Plant):
            self.plant_value(role, item, document)
        elif role is ORDER:
            turned = self.document({name: backwards(item[name]) for name in reversed(item)})
            document = {**turned, **{name: document[name] for name in document if name == "_id"}}
        elif role in (MISSING, EXTRA):
            self.expect(item, role)
        elif isinstance(role, OtherId) and self.target_id == "key":
            document["_id"] = role.of(document["_id"])
            self.expect(item, "different", [("_id",)])
        elif role is KEYLESS and self.target_id == "key":
            for name in self.schema.names:
                del document[stored(name)]
            self.foreign += 1
            self.expect(item, "different", [(name,) for name in self.schema.names])
        elif role in (COPY, COPIES) and (self.target_id == "key" or not self.has_index):
            self.damaged += [{**document, "_id": ObjectId()} for _ in range(1 if role is COPY else 2)]
            self.expect(item, "duplicate")
        if role is not MISSING:
            self.damaged.append(document)

    def plant_value(self, plant, item, document):
        if not plant.case.fits(self.convert_type):
            return
        plant.damage(document, self.convert_type)
        if plant.paths:
            found = self.expect(item, "different", plant.paths)
            self.pairs[found.key] = item, document

    def fill(self, database, documents, index):
        """And one document of the user's own."""
        collection = database[self.table.name]
        collection.drop()
        if self.target_id == "objectid" and index:
            make_index(collection, self.schema, self.convert_type)
        collection.insert_many([{"_id": ObjectId(), "x": 1}, *documents])

    def fill_right(self, database):
        self.fill(database, [self.document(item) for item in self.source.scanned], True)

    def fill_damaged(self, database):
        self.fill(database, self.damaged, self.has_index)

    @property
    def index(self):
        if self.target_id == "key":
            return "not needed"
        return "ok" if self.has_index else "missing"


# --- the checks of a report ---


def check_counts(report, target):
    entry = report.table(target.table)
    kinds = Counter(found.kind for found in target.expected)
    told = {kind: entry[kind] for kind in ("missing", "extra", "different", "duplicate")}
    assert told == {kind: kinds[kind] for kind in told}
    assert entry["items"] == entry["checked"] == len(target.source.scanned)
    assert entry["foreign"] == target.foreign
    assert entry["complete"] is True and entry["repaired"] == 0
    assert entry["index"] == target.index


def check_values(report, target):
    """Each side has its value, with its type, where it has one, and no member where it has none."""
    for line in report.lines:
        item, document = target.pairs.get(Found.of_line(line).key, (None, None))
        if line["table"] != target.table.name or item is None:
            continue
        for place in line["paths"]:
            source, told = value_at(item, place["path"]), place.get("source")
            assert told == source_value(source, told), (place, source)
            there = stands_at(document, place["path"], target.convert_type)
            assert ("target" in place) == there, (place, document)


def contents(bridge):
    """Of every collection that the program could have touched."""
    return {
        (database, name): sorted(map(repr, bridge.parts.mongo[database][name].find()))
        for database in bridge.parts.mongo.list_database_names()
        if database.startswith(bridge.database)
        for name in bridge.parts.mongo[database].list_collection_names()
    }


@pytest.mark.parametrize(
    "convert_type,target_id",
    [pytest.param(*mode, marks=pytest.mark.asan if mode in MODES[::3] else ()) for mode in MODES],
)
def test_each_planted_difference_is_found_and_nothing_else(bridge, sources, convert_type, target_id):
    names = ";".join(source.table.name for source in sources)
    bridge.settings |= {
        "convert.type": convert_type, "target.id": target_id, "filter.collection.white": names,
    }  # fmt: skip
    # Without its index the first table can have copies.
    targets = [Target(source, convert_type, target_id, source is not sources[0]) for source in sources]
    for target in targets:
        target.fill_right(bridge.target())
    check = Checker(bridge)
    check.run(*STATIC).complain()
    for target in targets:
        target.fill_damaged(bridge.target())
    before = contents(bridge)
    report = check.run(*STATIC)
    expected = sum((target.expected for target in targets), Counter())
    assert report.found - expected == Counter(), "reported and not planted"
    assert expected - report.found == Counter(), "planted and not reported"
    assert report.code == 1
    for target in targets:
        check_counts(report, target)
        check_values(report, target)
    assert contents(bridge) == before, "it has written something"
