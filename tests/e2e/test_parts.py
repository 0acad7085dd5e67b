"""The test MongoDB behaves as the real one does, where dynaferry depends on it.

Each test has its own server from tests/parts, whatever DYNAFERRY_TEST_MONGODB says: it is the server
that is tested here, not dynaferry.
"""

import os
import subprocess
import threading
from itertools import product
from pathlib import Path

import bson
import pymongo
import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

ROOT = Path(__file__).resolve().parents[2]


class Server:
    def __init__(self, directory):
        self.directory = directory
        self.client = None

    def parts(self, verb):
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("DYNAFERRY_TEST_")
        }
        done = subprocess.run(
            [ROOT / "scripts" / "parts", "--dir", self.directory, verb, "mongodb"],
            env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self):
        self.parts("start")
        address = self.parts("env").strip().partition("=")[2]
        self.client = pymongo.MongoClient(address, serverSelectionTimeoutMS=3000)

    def stop(self, verb="stop"):
        self.client.close()
        self.parts(verb)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("parts"))
    server.start()
    yield server
    server.stop("clean")


@pytest.fixture
def db(server, request):
    name = request.function.__name__[:60]
    yield server.client[name]
    server.client.drop_database(name)


@pytest.fixture
def collection(db):
    return db.items


def update_command(collection, *updates, **options):
    return collection.database.command("update", collection.name, updates=list(updates), **options)


def replacement(q, u, upsert=True):
    return {"q": q, "u": u, "upsert": upsert}


def uuid_of(db, name):
    (found,) = db.list_collections(filter={"name": name})
    return found["info"]["uuid"]


# ---- what a driver asks first


def test_hello_names_a_writable_server_of_wire_version_9_and_large_batches(server):
    for command in ("hello", "isMaster", "ismaster"):
        answer = server.client.admin.command(command)
        assert answer["ismaster"] is True and answer["helloOk"] is True
        assert answer["maxWireVersion"] == 9
        assert answer["maxWriteBatchSize"] == 100_000
        assert answer["maxMessageSizeBytes"] == 48_000_000
        assert answer["maxBsonObjectSize"] == 16 * 1024 * 1024
    assert server.client.admin.command("hello")["isWritablePrimary"] is True


def test_end_sessions_is_accepted_on_any_database(server, db):
    assert db.command("endSessions", [{"id": 1}])["ok"] == 1
    assert server.client.admin.command("endSessions", [])["ok"] == 1


def test_an_unknown_command_has_an_error_code(db):
    with pytest.raises(OperationFailure) as refused:
        db.command("noSuchThing")
    assert refused.value.code == 59


# ---- collections and their UUIDs


def test_a_collection_has_a_new_uuid_at_each_create(db):
    db.create_collection("c")
    first = uuid_of(db, "c")
    db.c.insert_one({"_id": 1})
    assert uuid_of(db, "c") == first
    db.drop_collection("c")
    assert list(db.list_collections(filter={"name": "c"})) == []
    db.create_collection("c")
    assert uuid_of(db, "c") != first
    assert db.c.count_documents({}) == 0


def test_a_rename_keeps_uuid_documents_and_indexes(db):
    db.c.create_index([("pk", 1)], unique=True, name="key")
    db.c.insert_one({"pk": 1})
    uuid = uuid_of(db, "c")
    db.c.rename("c:before:7")
    assert uuid_of(db, "c:before:7") == uuid
    assert db["c:before:7"].count_documents({}) == 1
    with pytest.raises(DuplicateKeyError):
        db["c:before:7"].insert_one({"pk": 1})
    db.c.insert_one({"pk": 1})
    assert uuid_of(db, "c") != uuid
    assert set(db["c:before:7"].index_information()) == {"_id_", "key"}
    assert set(db.c.index_information()) == {"_id_"}


def test_a_rename_replaces_a_target_only_when_told(db):
    db.a.insert_one({"_id": "a"})
    db.b.insert_one({"_id": "b"})
    with pytest.raises(OperationFailure) as refused:
        db.a.rename("b")
    assert refused.value.code == 48
    db.a.rename("b", dropTarget=True)
    assert [d["_id"] for d in db.b.find()] == ["a"]
    with pytest.raises(OperationFailure) as refused:
        db.a.rename("c")
    assert refused.value.code == 26


def test_dropping_what_is_not_there_says_so_with_a_code(db):
    with pytest.raises(OperationFailure) as refused:
        db.command("drop", "nothing")
    assert refused.value.code == 26 and "ns not found" in str(refused.value)


def test_a_collection_listing_can_be_filtered(db):
    db.a.insert_one({})
    db.b.insert_one({})
    assert db.list_collection_names(filter={"name": {"$in": ["b", "z"]}}) == ["b"]
    assert sorted(db.list_collection_names()) == ["a", "b"]


def test_names_as_dynaferry_uses_them_are_accepted(db):
    for name in ("dynaferry:applied", "t:before:1700000000000", "a.b-c_d", "x" * 120):
        db[name].insert_one({"_id": 1})
        assert db[name].find_one() == {"_id": 1}


# ---- replacements


@pytest.mark.parametrize("name", ["a.b", ".", "a.", ".a", "a..b", "x.0.y"])
def test_a_document_with_dots_in_a_top_level_name_is_replaced(collection, name):
    for value in (1, 2):
        collection.replace_one({"_id": 1}, {name: value, "n": {name: value, "$x": value}}, upsert=True)
        (found,) = collection.find()
        assert list(found.items()) == [("_id", 1), (name, value), ("n", {name: value, "$x": value})]


def test_a_leading_dollar_in_a_top_level_name_is_refused_with_52(collection):
    answer = update_command(
        collection,
        replacement({"_id": 1}, {"a": 1, "$b": 2}),
        replacement({"_id": 2}, {"a": 1}),
        ordered=False,
    )
    assert [(e["index"], e["code"], e["codeName"]) for e in answer["writeErrors"]] == [
        (0, 52, "DollarPrefixedFieldName")
    ]
    assert answer["n"] == 1
    assert [d["_id"] for d in collection.find()] == [2]


def test_a_refused_replacement_leaves_the_old_document(collection):
    collection.insert_one({"_id": 1, "v": "old"})
    answer = update_command(collection, replacement({"_id": 1}, {"v": "new", "$b": 2}), ordered=False)
    assert answer["writeErrors"][0]["code"] == 52
    assert collection.find_one() == {"_id": 1, "v": "old"}


def test_a_replacement_that_begins_with_a_dollar_is_taken_for_an_operator(collection):
    answer = update_command(collection, replacement({"_id": 1}, {"$b": 2}), ordered=False)
    assert answer["writeErrors"][0]["code"] == 9


def test_nested_dollar_names_are_accepted_and_kept(collection):
    document = {"m": {"$set": 1, "$a.b": {"$": [{"$c": 1}]}}, "l": [{"$d": 2}]}
    for _ in range(2):
        collection.replace_one({"_id": 1}, document, upsert=True)
    assert collection.find_one() == {"_id": 1, **document}


def test_an_id_whose_field_begins_with_a_dollar_is_refused(collection):
    answer = update_command(collection, replacement({"_id": {"$pk": 1}}, {"v": 1}), ordered=False)
    assert answer["writeErrors"][0]["code"] in (2, 52)
    with pytest.raises(OperationFailure) as refused:
        collection.insert_one({"_id": {"$pk": 1}})
    assert refused.value.code == 52


def test_an_upsert_without_an_id_makes_an_object_id_and_reports_it(collection):
    answer = update_command(
        collection,
        replacement({"pk": "a"}, {"pk": "a", "v": 1}),
        replacement({"pk": "b"}, {"pk": "b", "v": 1}),
        ordered=False,
        writeConcern={"w": "majority"},
        maxTimeMS=10_000,
    )
    assert [u["index"] for u in answer["upserted"]] == [0, 1]
    assert all(isinstance(u["_id"], ObjectId) for u in answer["upserted"])
    assert answer["n"] == 2 and answer["nModified"] == 0 and "writeErrors" not in answer
    again = update_command(collection, replacement({"pk": "a"}, {"pk": "a", "v": 2}), ordered=False)
    assert again["n"] == 1 and again["nModified"] == 1 and "upserted" not in again
    found = collection.find_one({"pk": "a"})
    assert found == {"_id": answer["upserted"][0]["_id"], "pk": "a", "v": 2}


def test_a_replacement_takes_away_the_fields_it_does_not_have(collection):
    collection.insert_one({"_id": 1, "old": 1, "both": 1})
    collection.replace_one({"_id": 1}, {"both": 2, "new": 2})
    assert list(collection.find_one().items()) == [("_id", 1), ("both", 2), ("new", 2)]


def test_a_replacement_can_not_change_the_id(collection):
    collection.insert_one({"_id": 1})
    answer = update_command(collection, replacement({"_id": 1}, {"_id": 2}), ordered=False)
    assert answer["writeErrors"][0]["code"] == 66


def test_a_replacement_that_breaks_a_unique_index_is_refused_with_11000_and_changes_nothing(collection):
    collection.create_index([("pk", 1)], unique=True)
    collection.insert_many([{"_id": 1, "pk": "a"}, {"_id": 2, "pk": "b"}])
    answer = update_command(collection, replacement({"_id": 2}, {"pk": "a", "x": 1}), ordered=False)
    assert answer["writeErrors"][0]["code"] == 11000
    assert list(collection.find()) == [{"_id": 1, "pk": "a"}, {"_id": 2, "pk": "b"}]


def test_an_ordered_command_stops_at_the_first_error_and_an_unordered_one_goes_on(collection):
    updates = [replacement({"_id": i}, {"a": 1, "$b": 1} if i == 1 else {"a": 1}) for i in range(3)]
    answer = update_command(collection, *updates, ordered=True)
    assert answer["n"] == 1 and [e["index"] for e in answer["writeErrors"]] == [1]
    answer = update_command(collection, *updates, ordered=False)
    assert answer["n"] == 2 and sorted(d["_id"] for d in collection.find()) == [0, 2]


def test_insert_errors_are_counted_by_statement(collection):
    collection.insert_one({"_id": 1})
    with pytest.raises(BulkWriteError) as refused:
        collection.insert_many([{"_id": 0}, {"_id": 1}, {"_id": 2}], ordered=False)
    assert refused.value.details["nInserted"] == 2
    assert [(e["index"], e["code"]) for e in refused.value.details["writeErrors"]] == [(1, 11000)]


def test_a_command_of_20000_statements_is_carried_out(collection):
    collection.create_index([("pk", 1), ("sk", 1)], unique=True)
    for round_number in (1, 2):
        updates = [
            replacement({"pk": i, "sk": "s"}, {"pk": i, "sk": "s", "v": round_number}) for i in range(20_000)
        ]
        answer = update_command(collection, *updates, ordered=False)
        assert answer["n"] == 20_000 and "writeErrors" not in answer
    assert collection.count_documents({"v": 2}) == collection.count_documents({}) == 20_000
    deletes = [{"q": {"pk": i, "sk": "s"}, "limit": 1} for i in range(20_000)]
    assert (
        collection.database.command("delete", collection.name, deletes=deletes, ordered=False)["n"] == 20_000
    )
    assert collection.count_documents({}) == 0


def test_every_bson_value_that_dynaferry_writes_comes_back_as_it_was(collection):
    deep = "end"
    for _ in range(70):
        deep = [deep] if isinstance(deep, dict) else {"M": deep}
    document = {
        "_id": 1, "i": 1, "l": Int64(2**62), "d": Decimal128("1.00"), "d34": Decimal128("-1." + "9" * 33 + "E-95"),
        "f": 1.5, "s": "\0é\U0001f600", "": "empty name", "b": b"", "b1": Binary(bytes(range(256))), "n": None, "t": True,
        "e": {}, "a": [], "deep": deep, "nested": [[], {}, [None, ""]], "big": "x" * 4_000_000,
    }  # fmt: skip
    collection.replace_one({"_id": 1}, document, upsert=True)
    raw = collection.with_options(bson.CodecOptions(document_class=bson.SON)).find_one()
    assert bson.encode(raw) == bson.encode(document)


# ---- keys and indexes


EXACT = [
    Int64(9007199254740992), Int64(9007199254740993), Int64(2**63 - 1), Decimal128("9223372036854775808"),
    Decimal128("9223372036854775809"), Decimal128("1234567890123456789012345678901234"),
    Decimal128("1234567890123456789012345678901235"), Decimal128("1E-130"), Decimal128("0.1"), 0, -1,
]  # fmt: skip


@pytest.mark.parametrize("field", ["_id", "pk"])
def test_numeric_keys_are_compared_with_all_their_digits(collection, field):
    collection.create_index([("pk", 1)], unique=True)
    for number, key in enumerate(EXACT):
        update_command(
            collection, replacement({field: key}, {field: key, "pk": key, "v": number}), ordered=False
        )
    assert collection.count_documents({}) == len(EXACT)
    for number, key in enumerate(EXACT):
        assert [d["v"] for d in collection.find({field: key})] == [number]
    assert sorted(d["v"] for d in collection.find({field: {"$in": EXACT[:3]}})) == [0, 1, 2]


def test_an_or_is_answered_from_the_index_when_it_can_serve_each_branch(collection):
    """The order of the answer shows it: that of the branches, where a scan gives that of the _id."""
    collection.create_index([("pk", 1), ("sk", 1)], unique=True)
    collection.insert_many([{"_id": i, "pk": key, "sk": sk} for i, (key, sk) in enumerate(product(EXACT, "ab"))])

    def ids(query):
        return [d["_id"] for d in collection.find(query)]

    branches = [{"pk": key, "sk": {"$in": ["b", "a", "none"]}} for key in EXACT[2::-1]]
    assert ids({"$or": branches}) == [5, 4, 3, 2, 1, 0]
    two = [{"pk": EXACT[1], "sk": "b"}, {"pk": EXACT[0], "sk": "a"}]
    assert ids({"$or": two}) == [3, 0]
    assert ids({"$or": two, "_id": {"$gt": 0}}) == [3]
    assert collection.count_documents({"$or": two}) == 2
    mixed = [{"_id": 7}, {"pk": EXACT[1], "sk": "b", "_id": 3}, {"pk": EXACT[1], "sk": "a", "_id": 3}]
    assert ids({"$or": mixed}) == [7, 3]


def test_an_or_with_a_branch_that_no_index_serves_is_still_right(collection):
    collection.insert_many([{"_id": i, "v": i % 3} for i in range(9)])
    found = collection.find({"$or": [{"_id": 1}, {"v": 0}]})
    assert sorted(d["_id"] for d in found) == [0, 1, 3, 6]
    with pytest.raises(OperationFailure) as refused:
        list(collection.find({"$or": []}))
    assert refused.value.code == 2


def test_an_in_finds_document_ids_binaries_and_exact_numbers(collection):
    ids = [{"pk": Int64(2**62 + i), "sk": b"\0" + bytes([i])} for i in range(4)]
    others = [b"\1", "text", Decimal128("1234567890123456789012345678901234")]
    collection.insert_many([{"_id": key, "v": i} for i, key in enumerate(ids + others)])
    asked = [ids[1], {"sk": b"\0\2", "pk": Int64(2**62 + 2)}, ids[3], *others]
    assert sorted(d["v"] for d in collection.find({"_id": {"$in": asked}})) == [1, 3, 4, 5, 6]


def test_keys_are_projected_from_nested_documents(collection):
    collection.insert_many([{"_id": i, "pk": {"S": str(i), "x": 1}, "sk": {"N": "1"}, "v": 1} for i in range(3)])
    collection.insert_many([{"_id": "bare", "pk": "text"}, {"_id": "none"}])
    found = {d["_id"]: d for d in collection.find({}, {"pk.S": 1, "sk.N": 1})}
    assert found[1] == {"_id": 1, "pk": {"S": "1"}, "sk": {"N": "1"}}
    assert found["bare"] == {"_id": "bare"} and found["none"] == {"_id": "none"}
    assert collection.find_one({"_id": 2}, {"pk": 1, "_id": 0}) == {"pk": {"S": "2", "x": 1}}


def test_a_cursor_is_read_in_batches_and_can_be_killed(collection):
    db = collection.database
    collection.insert_many([{"_id": i} for i in range(1000)])
    first = db.command("find", collection.name, batchSize=300, noCursorTimeout=True)["cursor"]
    assert len(first["firstBatch"]) == 300 and first["id"]
    more = db.command("getMore", first["id"], collection=collection.name, batchSize=300)["cursor"]
    assert len(more["nextBatch"]) == 300 and more["id"] == first["id"]
    db.command("killCursors", collection.name, cursors=[first["id"]])
    with pytest.raises(OperationFailure) as refused:
        db.command("getMore", first["id"], collection=collection.name)
    assert refused.value.code == 43
    unasked = db.command("find", collection.name)["cursor"]
    assert len(unasked["firstBatch"]) == 101 and len(list(collection.find())) == 1000
    rest = db.command("getMore", unasked["id"], collection=collection.name)["cursor"]
    assert len(rest["nextBatch"]) == 899 and rest["id"] == 0
    whole = db.command("find", collection.name, batchSize=2000, singleBatch=True)["cursor"]
    assert len(whole["firstBatch"]) == 1000 and whole["id"] == 0


def test_documents_are_counted(collection):
    collection.insert_many([{"_id": i, "pk": {"S": "x"}} for i in range(120)] + [{"_id": "own"}])
    stages = [{"$match": {"pk.S": {"$exists": True}}}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
    assert list(collection.aggregate(stages)) == [{"_id": None, "n": 120}]
    assert list(collection.aggregate([{"$match": {"no": 1}}, stages[1]])) == []
    assert collection.database.command("count", collection.name)["n"] == 121
    assert collection.estimated_document_count() == 121


def test_equal_numbers_of_different_types_are_one_key(collection):
    collection.insert_one({"_id": 1})
    for same in (Int64(1), 1.0, Decimal128("1"), Decimal128("1.00"), Decimal128("0.1E1")):
        with pytest.raises(DuplicateKeyError):
            collection.insert_one({"_id": same})


def test_keys_of_every_type_and_compound_ids_are_told_apart(collection):
    ids = [
        "1",
        1,
        b"1",
        ObjectId(),
        True,
        None,
        {"pk": 1, "sk": "1"},
        {"sk": "1", "pk": 1},
        {"pk": 1, "sk": b"1"},
    ]
    for number, key in enumerate(ids):
        collection.insert_one({"_id": key, "v": number})
    for number, key in enumerate(ids):
        assert [d["v"] for d in collection.find({"_id": {"$eq": key}})] == [number]
        assert collection.delete_one({"_id": key, "v": number}).deleted_count == 1
    assert collection.count_documents({}) == 0


def test_a_unique_index_on_a_nested_key_holds(collection):
    collection.create_index([("pk.S", 1), ("sk.N", 1)], unique=True)
    collection.replace_one({"pk.S": "a", "sk.N": "1"}, {"pk": {"S": "a"}, "sk": {"N": "1"}}, upsert=True)
    collection.replace_one(
        {"pk.S": "a", "sk.N": "1"}, {"pk": {"S": "a"}, "sk": {"N": "1"}, "v": 2}, upsert=True
    )
    assert [d["v"] for d in collection.find()] == [2]
    with pytest.raises(DuplicateKeyError):
        collection.insert_one({"pk": {"S": "a"}, "sk": {"N": "1"}})


def test_a_refused_index_build_is_refused_again_and_succeeds_once_the_copy_is_gone(collection):
    collection.insert_many([{"_id": 1, "pk": "a"}, {"_id": 2, "pk": "b"}, {"_id": 3, "pk": "a"}])
    for _ in range(2):
        with pytest.raises(DuplicateKeyError):
            collection.create_index([("pk", 1)], unique=True)
        assert set(collection.index_information()) == {"_id_"}
    collection.delete_one({"_id": 3})
    collection.create_index([("pk", 1)], unique=True)
    with pytest.raises(DuplicateKeyError):
        collection.insert_one({"pk": "b"})


def test_dropping_an_index_leaves_the_same_name_elsewhere(db):
    for name in ("a", "b"):
        db[name].create_index([("pk", 1)], unique=True, name="key")
        db[name].create_index([("pk", "hashed")], name="hashed")
    db.a.drop_index("key")
    assert set(db.a.index_information()) == {"_id_", "hashed"}
    assert set(db.b.index_information()) == {"_id_", "key", "hashed"}
    db.b.drop_indexes()
    assert set(db.b.index_information()) == {"_id_"}
    with pytest.raises(OperationFailure) as refused:
        db.a.drop_index("key")
    assert refused.value.code == 27


# ---- find and modify: how positions are kept


def test_find_and_modify_takes_over_with_every_operator_and_reports_the_upsert(collection):
    take = {
        "query": {"_id": "topic/0"},
        "update": {
            "$inc": {"epoch": Int64(1)},
            "$set": {"owner": "me"},
            "$setOnInsert": {"offset": None, "keep": 1},
        },
        "upsert": True,
        "new": True,
        "writeConcern": {"w": "majority"},
        "maxTimeMS": 1000,
    }
    answer = collection.database.command("findAndModify", collection.name, **take)
    assert answer["value"] == {"_id": "topic/0", "epoch": 1, "owner": "me", "offset": None, "keep": 1}
    assert answer["lastErrorObject"] == {"n": 1, "updatedExisting": False, "upserted": "topic/0"}
    take["update"]["$setOnInsert"] = {"keep": 2}
    take["update"]["$min"] = {"rewind": Int64(7)}
    answer = collection.database.command("findAndModify", collection.name, **take)
    assert answer["value"]["epoch"] == 2 and answer["value"]["keep"] == 1 and answer["value"]["rewind"] == 7
    assert answer["lastErrorObject"]["updatedExisting"] is True


def test_find_and_modify_compares_and_sets(collection):
    collection.insert_one({"_id": 1, "epoch": Int64(5), "rewind": Int64(9), "offset": Int64(20)})

    def store(epoch, rewind):
        return collection.find_one_and_update(
            {"_id": 1, "epoch": Int64(epoch), "rewind": rewind},
            {"$set": {"offset": Int64(30)}, "$unset": {"rewind": ""}},
            return_document=pymongo.ReturnDocument.AFTER,
        )

    assert store(4, 9) is None
    assert store(5, None) is None
    assert store(5, 9) == {"_id": 1, "epoch": 5, "offset": 30}
    assert store(5, None) == {"_id": 1, "epoch": 5, "offset": 30}
    assert (
        collection.find_one_and_update({"_id": 1}, {"$min": {"rewind": 3, "offset": 40}}, new=True)
        is not None
    )
    assert collection.find_one() == {"_id": 1, "epoch": 5, "offset": 30, "rewind": 3}


def test_a_compare_and_set_upsert_that_misses_an_existing_id_is_11000(collection):
    collection.insert_one({"_id": 1, "epoch": 5})
    with pytest.raises(OperationFailure) as refused:
        collection.find_one_and_update({"_id": 1, "epoch": 4}, {"$set": {"x": 1}}, upsert=True)
    assert refused.value.code == 11000
    answer = update_command(
        collection, {"q": {"_id": 1, "epoch": 4}, "u": {"$set": {"x": 1}}, "upsert": True}
    )
    assert answer["writeErrors"][0]["code"] == 11000


def test_find_and_modify_gives_the_document_before_unless_asked(collection):
    assert collection.find_one_and_update({"_id": 1}, {"$set": {"v": 1}}, upsert=True) is None
    assert collection.find_one_and_update({"_id": 1}, {"$set": {"v": 2}}) == {"_id": 1, "v": 1}
    assert collection.find_one_and_delete({"_id": 1}) == {"_id": 1, "v": 2}
    assert collection.count_documents({}) == 0


# ---- sharding commands are recorded


def test_sharding_is_recorded_where_a_cluster_keeps_it(server, db):
    namespace = f"{db.name}.items"
    with pytest.raises(OperationFailure) as refused:
        server.client.admin.command("shardCollection", namespace, key={"pk": "hashed"})
    assert refused.value.code == 20
    server.client.admin.command("enableSharding", db.name)
    for _ in range(2):
        server.client.admin.command("shardCollection", namespace, key={"pk": "hashed"})
    assert server.client.config.databases.find_one({"_id": db.name})["partitioned"] is True
    assert server.client.config.collections.find_one({"_id": namespace})["key"] == {"pk": "hashed"}
    with pytest.raises(OperationFailure) as refused:
        server.client.admin.command("shardCollection", namespace, key={"other": 1})
    assert refused.value.code == 23
    db.items.rename("moved")
    assert server.client.config.collections.find_one({"_id": namespace}) is None
    assert server.client.config.collections.find_one({"_id": f"{db.name}.moved"})["key"] == {"pk": "hashed"}
    db.moved.drop()
    assert server.client.config.collections.find_one({"_id": f"{db.name}.moved"}) is None


def test_an_upsert_without_the_shard_key_and_a_unique_index_beside_a_hashed_key_are_refused(server, db):
    server.client.admin.command("enableSharding", db.name)
    server.client.admin.command("shardCollection", f"{db.name}.items", key={"pk": "hashed"})
    answer = update_command(db.items, replacement({"_id": 1}, {"pk": 1}), ordered=False)
    assert answer["writeErrors"][0]["code"] == 61
    assert "writeErrors" not in update_command(
        db.items, replacement({"_id": 1, "pk": 1}, {"pk": 1}), ordered=False
    )
    db.other.create_index([("pk", 1)], unique=True)
    with pytest.raises(OperationFailure) as refused:
        server.client.admin.command("shardCollection", f"{db.name}.other", key={"pk": "hashed"})
    assert refused.value.code == 72


# ---- reads while others write, and crashes


def test_cursors_return_every_document_once(collection):
    collection.insert_many([{"_id": i} for i in range(5000)])
    assert [d["_id"] for d in collection.find().sort("_id", 1).batch_size(101)] == list(range(5000))
    assert len(list(collection.aggregate([{"$match": {"_id": {"$gte": 4000}}}]))) == 1000
    assert collection.count_documents({"_id": {"$lt": 10}}) == 10


def test_readers_never_see_a_document_half_replaced(collection):
    wide = [{f"f{i}": value for i in range(200)} for value in (0, 1)]
    collection.replace_one({"_id": 1}, wide[0], upsert=True)
    done = threading.Event()

    def write():
        for number in range(400):
            collection.replace_one({"_id": 1}, wide[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    torn = 0
    while not done.is_set():
        document = collection.find_one()
        torn += len(document) != 201 or len({value for key, value in document.items() if key != "_id"}) != 1
    writer.join()
    assert torn == 0


def test_acknowledged_writes_survive_kill_9_with_their_indexes_and_uuids(tmp_path):
    server = Server(tmp_path)
    server.start()
    server.client.db.kept.create_index([("pk", 1)], unique=True, name="key")
    server.client.db.aside.insert_one({"_id": 1})
    server.client.db.aside.rename("aside:before:1")
    uuid = uuid_of(server.client.db, "kept")
    acknowledged = 0
    for kill in range(3):
        stop_at = acknowledged + 200
        enough = threading.Event()
        answered = [acknowledged]

        def write():
            try:
                while True:
                    key = answered[0]
                    batch = [replacement({"pk": key * 10 + i}, {"pk": key * 10 + i}) for i in range(10)]
                    update_command(server.client.db.kept, *batch, ordered=False)
                    answered[0] += 1
                    if answered[0] == stop_at:
                        enough.set()
            except PyMongoError:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        assert enough.wait(60)
        server.parts("kill")
        writer.join()
        acknowledged = answered[0]
        server.client.close()
        server.start()
        found = {d["pk"] for d in server.client.db.kept.find()}
        assert set(range(acknowledged * 10)) <= found, f"kill {kill}"
    assert uuid_of(server.client.db, "kept") == uuid
    assert server.client.db["aside:before:1"].find_one() == {"_id": 1}
    assert server.client.db.aside.find_one() is None
    with pytest.raises(DuplicateKeyError):
        server.client.db.kept.insert_one({"pk": 0})
    server.stop("clean")


def test_in_memory_the_same_server_forgets_at_stop(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTS_IN_MEMORY", "1")
    server = Server(tmp_path)
    server.start()
    server.client.db.c.replace_one({"_id": 1}, {"a.b": 1}, upsert=True)
    assert server.client.db.c.find_one() == {"_id": 1, "a.b": 1}
    server.stop()
    server.start()
    assert server.client.db.c.find_one() is None
    server.stop("clean")


# ---- scripts/parts itself


def test_start_is_idempotent_and_a_part_comes_back_at_its_address(server):
    before = server.parts("env")
    assert "was running" in server.parts("start")
    server.client.db.c.insert_one({"_id": 1})
    server.stop()
    assert server.parts("env") == ""
    assert "was not running" in server.parts("stop")
    server.start()
    assert server.parts("env") == before
    assert server.client.db.c.find_one() == {"_id": 1}


def test_a_given_address_is_used_and_its_server_left_alone(server, tmp_path):
    given = {**os.environ, "DYNAFERRY_TEST_MONGODB": "mongodb://elsewhere:1"}
    for verb, expected in (("start", "(given)"), ("env", "mongodb://elsewhere:1"), ("stop", "left alone")):
        answer = subprocess.check_output(
            [ROOT / "scripts" / "parts", "--dir", tmp_path, verb, "mongodb"], env=given, text=True
        )
        assert expected in answer
    assert not (tmp_path / "mongodb").exists()
