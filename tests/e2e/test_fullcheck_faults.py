"""dynaferry-fullcheck when an end fails: what passes is waited out, what stays is exit 2, and never "same"."""

import itertools
import shutil
import signal
import threading
from collections import Counter

import pytest
from fakes.dynamodb import FakeDynamoDB
from fakes.mongo_proxy import MongoProxy
from support import oracle
from support.bridge import Bridge
from support.fullcheck_cases import n, s
from support.fullcheck_tool import STATIC, Checker, Found, fill_source, fill_target
from support.oracle import KeySchema
from support.running import ROOT, WORKER, wait_until

ITEMS = 200
SMALL_PAGES = ("--qpsFullBatchNum", "10")
COMPOUND = KeySchema(("pk", "sk"), ("S", "N"))


@pytest.fixture
def check(scripted):
    return Checker(scripted)


@pytest.fixture
def proxy(scripted):
    with MongoProxy(scripted.parts.mongodb) as found:
        scripted.settings["target.address"] = found.uri
        yield found


class Planted:
    """A table of ITEMS items of which one each is missing, extra and different."""

    def __init__(self, bridge):
        self.table = table = bridge.add_table(COMPOUND)
        items = [{"pk": s(f"p{i // 7}"), "sk": n(str(i)), "v": s("text")} for i in range(ITEMS + 1)]
        fill_source(bridge.dynamodb, table, items[:ITEMS])
        self.collection = bridge.target()[table.name]
        documents = [items[0] | {"v": s("other")}, *items[2:]]
        fill_target(self.collection, documents, table.key_schema, "raw")
        self.found = Counter([
            Found.of_item(table, items[0], "different", [("v",)]),
            Found.of_item(table, items[1], "missing"),
            Found.of_item(table, items[ITEMS], "extra"),
        ])  # fmt: skip

    def check(self, report):
        """Everything was found, and nothing was counted twice."""
        assert report.found == self.found, report.log[-3000:]
        entry = report.table(self.table)
        assert report.code == 1 and entry["complete"] is True
        assert entry["items"] == entry["checked"] == entry["documents"] == ITEMS


def empty(bridge):
    """A table without items and its collection."""
    table = bridge.add_table()
    fill_target(bridge.target()[table.name], [], table.key_schema, "raw")
    return table


def all_used(control, faults):
    unused = [f for f in control.faults() if f["id"] in faults and f["times"] > 0]
    assert not unused, f"never met: {unused}"


# --- what takes its time, and so runs beside all others ---


@pytest.fixture(scope="module")
def untold(parts):
    """A check of an item that never stands still while its document stays wrong."""
    directory = ROOT / "build" / "e2e" / f"test_fullcheck_faults-untold{WORKER}"  # each worker has one
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    stop = threading.Event()
    with FakeDynamoDB() as fake:
        bridge = Bridge(parts, directory, fake.url, (fake.access_key, fake.secret_key))
        table, item, quiet = bridge.add_table(), {"pk": s("hot"), "v": n("0")}, {"pk": s("quiet"), "v": n("0")}
        fill_source(bridge.dynamodb, table, [item, quiet])
        fill_target(bridge.target()[table.name], [item | {"v": s("wrong")}, quiet], table.key_schema, "raw")

        def change():
            for version in itertools.count(1):
                fill_source(bridge.dynamodb, table, [item | {"v": n(str(version))}])
                if stop.wait(0.02):
                    return

        writer = threading.Thread(target=change)
        writer.start()
        # Longer than the writer may be kept from running: an item that stands still for that long counts.
        yield Checker(bridge).start("--settle", "3"), table
        stop.set()
        writer.join()
        complaints = bridge.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture(autouse=True)
def beside(untold):
    """Every test of this file has it running beside it."""


# --- what passes ---

SOURCE_TROUBLE = [
    ("throttling", "DescribeTable", {}),
    ("throttle", "Scan", {"times": 3}),
    ("500", "Scan", {"skip": 1, "times": 2}),
    ("503", "Scan", {"skip": 3}),
    ("cut", "Scan", {"skip": 4, "when": "before"}),
    ("cut", "Scan", {"skip": 5, "when": "answer"}),
    ("cut", "Scan", {"skip": 6, "when": "middle"}),
    ("wrong_crc", "Scan", {"skip": 7}),
    ("cut_json", "Scan", {"skip": 8}),
    ("throttle", "BatchGetItem", {"times": 2}),
    ("500", "BatchGetItem", {"skip": 1}),
    ("cut", "BatchGetItem", {"skip": 2, "when": "middle"}),
    ("cut_json", "BatchGetItem", {"skip": 3}),
]


@pytest.mark.asan
def test_trouble_of_the_source_that_passes_is_waited_out(check, scripted):
    planted, control = Planted(scripted), scripted.fake.control
    faults = [control.fault(kind, op=op, **more) for kind, op, more in SOURCE_TROUBLE]
    planted.check(check.run(*STATIC, *SMALL_PAGES))
    all_used(control, faults)


TARGET_TROUBLE = [
    ("not_primary", "find", {}),
    ("cut", "find", {"skip": 1, "when": "before"}),
    ("cut", "getMore", {"when": "before"}),
    ("cut", "getMore", {"skip": 1, "when": "reply"}),
    ("cut", "find", {"skip": 4, "when": "reply"}),
    ("cut", "find", {"skip": 7, "when": "before"}),
]


@pytest.mark.asan
@pytest.mark.tsan
def test_trouble_of_the_target_that_passes_is_waited_out(check, scripted, proxy):
    """A read of all keys that is cut is begun again, and counts nothing twice."""
    planted = Planted(scripted)
    faults = [proxy.control.fault(kind, op=op, **more) for kind, op, more in TARGET_TROUBLE]
    planted.check(check.run(*STATIC, *SMALL_PAGES))
    all_used(proxy.control, faults)


def test_cut_connections_everywhere_change_nothing(check, scripted, proxy):
    planted = Planted(scripted)
    for op in ("find", "getMore", "aggregate", "count", "listIndexes", "listCollections", "killCursors"):
        proxy.control.fault("cut", op=op, chance=0.1, times=8, when="reply")
    for op in ("Scan", "BatchGetItem", "DescribeTable"):
        scripted.fake.control.fault("cut", op=op, chance=0.1, times=8, when="middle")
    planted.check(check.run(*STATIC, *SMALL_PAGES))


def test_an_outage_of_both_ends_is_waited_out(check, scripted, proxy):
    planted = Planted(scripted)
    held = scripted.fake.control.fault("hold", op="Scan", skip=5)
    program = check.start(*STATIC, *SMALL_PAGES)
    assert scripted.fake.control.wait_held(held)
    proxy.control.refuse()
    down = scripted.fake.control.fault("500", op="Scan", times=-1)
    scripted.fake.control.release(id=held)
    wait_until(lambda: scripted.fake.control.faults()[-1]["hits"] >= 2, 30, "a refused request", [program])
    scripted.fake.control.release(id=down)
    proxy.control.accept()
    planted.check(program.report())


# --- what stays ---


def never_same(report, planted):
    """It could not tell, or it had already found what is there; it has made up nothing."""
    assert report.code in (1, 2) and not report.found - planted.found
    assert report.table(planted.table)["complete"] is False


@pytest.mark.parametrize("op", ["Scan", "BatchGetItem", "DescribeTable", "ListTables"])
def test_a_source_that_stays_away_is_unknown(check, scripted, op):
    table = scripted.add_table()
    scripted.writer(table, seed=1, keys=100, refused=0).fill()
    collection = scripted.target()[table.name]
    fill_target(collection, scripted.items(table), table.key_schema, "raw")
    if op == "BatchGetItem":
        collection.delete_one({})
    skip = 3 if op == "Scan" else 0
    scripted.fake.control.fault("500", op=op, skip=skip, times=-1)
    settings = {"start.timeout": 1} | ({"filter.collection.white": None} if op == "ListTables" else {})
    report = check.run(*STATIC, *SMALL_PAGES, settings=settings)
    assert report.code == 2 and report.reason and not report.lines
    for entry in report.summary["tables"]:
        assert entry["result"] == "unknown" and entry["reason"] and not entry["complete"]


def test_a_refused_right_is_unknown_at_once(check, scripted):
    table = empty(scripted)
    scripted.fake.control.fault("access_denied", op="Scan", times=-1)
    report = check.run(*STATIC)
    assert report.code == 2 and "not authorized" in str(report.summary)
    assert report.table(table)["result"] == "unknown"


@pytest.mark.parametrize("op", ["find", "getMore"])
def test_a_target_that_stays_away_is_unknown(check, scripted, proxy, op):
    planted = Planted(scripted)
    held = proxy.control.fault("hold", op=op, where={"collection": planted.table.name}, skip=op == "find")
    # Nothing may have counted yet when the target goes.
    program = check.start("--settle", "60", *SMALL_PAGES, settings={"start.timeout": 3})
    assert proxy.control.wait_held(held)
    proxy.control.refuse()
    proxy.control.release(id=held)
    report = program.report()
    never_same(report, planted)
    assert report.code == 2 and report.reason


def test_an_unreachable_target_is_unknown(check, scripted, proxy):
    scripted.add_table()
    proxy.control.refuse()
    report = check.run(*STATIC, settings={"start.timeout": 1})
    assert report.code == 2 and proxy.address in report.reason
    assert not report.lines and report.summary["tables"] == []


def test_a_table_whose_neighbour_fails_is_checked_all_the_same(check, scripted):
    planted = Planted(scripted)
    broken = empty(scripted)
    scripted.fake.control.fault("access_denied", op="Scan", where={"TableName": broken.name}, times=-1)
    report = check.run(*STATIC)
    assert report.found == planted.found and report.code == 1
    assert report.table(broken)["result"] == "unknown"
    assert report.table(planted.table)["complete"] is True


# --- an end before the end ---


@pytest.mark.asan
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_says_what_it_has_checked(check, scripted, number):
    table = scripted.add_table()
    scripted.writer(table, seed=1, keys=ITEMS, refused=0).fill()
    fill_target(scripted.target()[table.name], scripted.items(table), table.key_schema, "raw")
    held = scripted.fake.control.fault("hold", op="Scan", skip=6, times=-1)
    program = check.start(*STATIC, *SMALL_PAGES, "-p", "1")
    assert scripted.fake.control.wait_held(held)
    program.signal(number)
    report = program.report(30)
    scripted.fake.control.release(id=held)
    entry = report.table(table)
    assert report.code == 2 and entry["result"] == "unknown" and entry["complete"] is False
    assert entry["items"] == entry["checked"] == 60
    assert not report.lines


def test_an_interrupted_check_has_written_what_it_had_found(check, scripted):
    planted, control, threads = Planted(scripted), scripted.fake.control, 4
    place = scripted.fake.backend.table(planted.table.name).place({"pk": s("p0"), "sk": n("0")})[0]
    elsewhere = ((place * threads >> 64) + 1) % threads
    held = control.fault("hold", op="Scan", where={"Segment": elsewhere}, times=-1)
    program = check.start(*STATIC, *SMALL_PAGES, "-p", threads)
    assert control.wait_held(held)
    wait_until(lambda: program.diff_path.exists() and program.diff_path.read_text(), 30, "a line", [program])
    program.signal(signal.SIGINT)
    report = program.report(30)
    control.release(id=held)
    assert report.code == 1 and report.found and not report.found - planted.found
    assert report.table(planted.table)["complete"] is False


# --- emulators, and answers that leave something out ---


def test_an_emulator_that_ignores_segments_is_checked_all_the_same(check, scripted):
    scripted.fake.control.set(ignore_segments=True)
    planted = Planted(scripted)
    report = check.run(*STATIC, *SMALL_PAGES, "-p", "4")
    assert report.found == planted.found and report.code == 1
    fill_target(planted.collection, scripted.items(planted.table), COMPOUND, "raw")
    check.run(*STATIC, *SMALL_PAGES, "-p", "4").complain()


def test_keys_that_the_source_leaves_out_are_asked_for_again(check, scripted):
    scripted.fake.control.set(max_batch_keys=7)
    table = scripted.add_table()
    items = [{"pk": s(f"{i}"), "v": n(str(i))} for i in range(90)]
    fill_source(scripted.dynamodb, table, items[:60])
    fill_target(scripted.target()[table.name], items[30:], table.key_schema, "raw")
    report = check.run(*STATIC)
    missing = [Found.of_item(table, item, "missing") for item in items[:30]]
    assert report.found == Counter(missing + [Found.of_item(table, item, "extra") for item in items[60:]])


# --- a target that follows ---


def keep_changing(bridge, table, items, stop, pause):
    """Every item changes at both ends, the document a moment later."""
    collection, version = bridge.target()[table.name], 0
    while not stop.is_set():
        version += 1
        changed = [item | {"v": n(str(version))} for item in items]
        fill_source(bridge.dynamodb, table, changed)
        stop.wait(pause)
        for item in changed:
            (document,) = [oracle.expected_document(item, table.key_schema, "raw")]
            collection.replace_one({"pk.S": item["pk"]["S"]}, document, upsert=True)


def test_a_document_that_follows_its_item_is_no_difference(check, scripted):
    """It is always behind, and it is what the item was at an earlier look."""
    table = scripted.add_table()
    items = [{"pk": s(f"hot{i}"), "v": n("0")} for i in range(10)]
    fill_source(scripted.dynamodb, table, items)
    fill_target(scripted.target()[table.name], items, table.key_schema, "raw")
    stop = threading.Event()
    writer = threading.Thread(target=keep_changing, args=(scripted, table, items, stop, 0.05))
    writer.start()
    try:
        for _ in range(3):
            check.run("--settle", "5").complain()
    finally:
        stop.set()
        writer.join()


def test_a_difference_that_is_put_right_within_the_time_is_none(check, scripted):
    table = scripted.add_table()
    items = [{"pk": s(f"{i}"), "v": n("0")} for i in range(40)]
    fill_source(scripted.dynamodb, table, items)
    collection = scripted.target()[table.name]
    late = [*[item | {"v": n("9")} for item in items[:10]], *items[10:30]]
    extra = [{"pk": s(f"extra{i}"), "v": n("0")} for i in range(5)]
    fill_target(collection, [*late, *extra], table.key_schema, "raw")
    # The third look at a batch is held until both ends are the same.
    held = scripted.fake.control.fault("hold", op="BatchGetItem", skip=1)
    program = check.start("--settle", "60")
    assert scripted.fake.control.wait_held(held)
    fill_target(collection, items, table.key_schema, "raw")
    scripted.fake.control.release(id=held)
    report = program.report()
    report.complain()


# --- and in the end ---


def test_a_document_that_stays_wrong_while_its_item_changes_is_unknown(untold):
    program, table = untold
    report = program.report()
    assert report.code == 2 and not report.lines
    assert report.table(table)["result"] == "unknown" and report.table(table)["reason"]
    assert "hot" in report.log
