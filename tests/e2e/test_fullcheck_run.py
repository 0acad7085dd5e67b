"""How dynaferry-fullcheck is told what to do, and how it ends: flags, filters, samples, outlines, exit codes.

The source is the scripted endpoint, so that every request can be looked at.
"""

import re
from collections import Counter

import pytest
from support import oracle
from support.fullcheck_cases import n, s
from support.fullcheck_tool import STATIC, Checker, Found, fill_source, fill_target
from support.oracle import KeySchema
from support.running import free_port

NUMBERS = KeySchema(("pk",), ("N",))


@pytest.fixture
def check(scripted):
    return Checker(scripted)


def filled(bridge, keys=60, convert_type="raw", schema=None, name=None, seed=1, index=True, to=None, **rules):
    """A table of random items and its right collection."""
    table = bridge.add_table(schema, name=name)
    bridge.writer(table, seed=seed, keys=keys, refused=0).fill()
    collection = bridge.target()[to or table.name]
    fill_target(collection, bridge.items(table), table.key_schema, convert_type, index=index, **rules)
    return table


def numbered(bridge, count, name=None):
    """A table of items without surprises, none of which has a right document: each is a difference."""
    table = bridge.add_table(name=name)
    items = [{"pk": s(f"{i:04}"), "v": n(str(i))} for i in range(count)]
    fill_source(bridge.dynamodb, table, items)
    fill_target(bridge.target()[table.name], [{**item, "v": n("-1")} for item in items], table.key_schema, "raw")
    return table, items


def spoil(bridge, table, count=1):
    """So many documents are another's; the differences."""
    collection, out = bridge.target()[table.name], []
    for document in list(collection.find().limit(count)):
        collection.replace_one({"_id": document["_id"]}, {**document, "planted": {"S": "x"}})
        key = oracle.canonical_from_document(document, table.key_schema, "raw").decode()
        out.append(Found(table.name, key, "different", (("planted",),)))
    return Counter(out)


def requests(bridge, op):
    return [e for e in bridge.fake.control.log(op) if "Boto3" not in e["agent"]]


# --- what it is told ---

WRONG_ARGUMENTS = [
    ["--frobnicate"],
    ["stray"],
    ["-e", "many"],
    ["-e", "-1"],
    ["--seed", "x"],
    ["--settle", "soon"],
    ["--outline", "some"],
    ["--reverse=perhaps"],
    ["-p", "0"],
    ["-c", "xml"],
    ["--set", "no.such.key=1"],
    ["-t"],
]


@pytest.mark.parametrize("arguments", WRONG_ARGUMENTS, ids=" ".join)
def test_a_wrong_command_line_is_usage(check, arguments):
    assert arguments[0].split("=")[0] in check.ended(64, *arguments, diff=False).log()


@pytest.mark.parametrize("line", ["no.such.key = 1", "convert.type = xml", "just some words"])
def test_a_wrong_line_of_the_file_is_named(check, scripted, line):
    conf = scripted.conf()
    text = [old for old in conf.read_text().splitlines() if old.split(" ")[0] != line.split(" ")[0]]
    conf.write_text("\n".join([*text, line]) + "\n")
    assert f"{conf.name}:{len(text) + 1}" in check.ended(78, conf=conf).log()


@pytest.mark.parametrize("option,shown", [("--help", "--settle"), ("--version", "dynaferry-"), ("-v", "dynaferry-")])
def test_what_only_prints_ends_well(check, option, shown):
    assert shown in check.ended(0, option, conf=None, diff=False).output()


def test_the_file_alone_is_enough_and_the_summary_is_for_people(check, scripted):
    same, other = filled(scripted), filled(scripted)
    spoil(scripted, other)
    program = check.start(*STATIC, json=False, diff=False)
    assert program.wait() == 1
    lines = {t.name: re.search(f"^.*{re.escape(t.name)}.*$", program.output(), re.M)[0] for t in (same, other)}
    assert "same" in lines[same.name] and "different" in lines[other.name]
    assert len((program.directory / "dynamo-full-check-diff").read_text().splitlines()) == 1


def test_a_report_of_an_earlier_run_is_not_added_to(check, scripted):
    table = filled(scripted)
    planted = spoil(scripted, table)
    path = scripted.directory / "my-diff"
    for _ in range(2):
        program = check.start(*STATIC, "-d", path, diff=False)
        program.diff_path = path
        assert program.report().found == planted


def test_the_conversion_is_a_flag_with_raw_for_default(check, scripted):
    filled(scripted, schema=NUMBERS)
    check.run(*STATIC, settings={"convert.type": None}).complain()
    check.run(*STATIC, "-c", "raw", settings={"convert.type": "change"}).complain()
    assert check.run(*STATIC, "-c", "change", settings={"convert.type": None}).code == 1


def test_the_flags_of_old_work_without_a_file(scripted, parts):
    from fakes.dynamodb import FakeDynamoDB

    secret, token = "flagSecretKeyThatNobodySees", "flagSessionTokenThatNobodySees"
    with FakeDynamoDB(secret_key=secret, token=token) as fake:
        scripted.dynamodb, scripted.fake = fake.client(), fake
        table, black = filled(scripted, convert_type="change"), filled(scripted)
        planted = spoil(scripted, black)
        arguments = [
            "-i", scripted.database, "-l", "debug", "-s", fake.access_key, "--sourceSecretAccessKey", secret,
            "--sourceSessionToken", token, "--sourceRegion", "us-east-1", "--sourceEndpointUrl", fake.url,
            "--qpsFull", "1000", "--qpsFullBatchNum", "16", "-t", parts.mongodb, "-p", "4", "-e", "0", *STATIC,
        ]  # fmt: skip
        check = Checker(scripted)
        held = fake.control.fault("hold", op="DescribeTable")
        program = check.start(*arguments, "--filterCollectionBlack", black.name, "-c", "change", conf=None)
        assert fake.control.wait_held(held)
        with open(f"/proc/{program.process.pid}/cmdline") as line:
            shown = line.read()
        fake.control.release(id=held)
        program.report().complain()
        assert scripted.database in shown and secret not in shown and token not in shown
        assert secret not in program.everything_told() and token not in program.everything_told()
        assert {e["fields"]["Limit"] for e in requests(scripted, "Scan")} == {16}
        report = check.run(*arguments, "--filterCollectionWhite", black.name, conf=None)
        assert report.found == planted and [t["table"] for t in report.summary["tables"]] == [black.name]
        scripted.dynamodb.delete_table(TableName=table.name)
    scripted.tables.clear()


def test_flags_override_the_environment_and_that_the_file(check, scripted):
    table, other = filled(scripted), filled(scripted)
    env = {"DYNAFERRY_FILTER_COLLECTION_WHITE": table.name}
    report = check.run(*STATIC, env=env)
    assert [t["table"] for t in report.summary["tables"]] == [table.name]
    report = check.run(*STATIC, "--filterCollectionWhite", other.name, env=env)
    assert [t["table"] for t in report.summary["tables"]] == [other.name]


def test_requests_are_strongly_consistent_and_no_more_than_allowed(check, scripted):
    filled(scripted, keys=300)
    check.run(*STATIC, "--qpsFull", "20", "--qpsFullBatchNum", "10").complain()
    scans = requests(scripted, "Scan")
    assert all(e["fields"]["ConsistentRead"] is True for e in scans)
    assert len(scans) >= 30
    # A second's worth may come at once. The first was not sent before the table's description was: its own
    # arrival may be noted late.
    sent = requests(scripted, "DescribeTable")[0]["ready"]
    assert scans[-1]["start"] - sent >= (len(scans) - 21) / 20


# --- which tables ---


def test_filters_choose_and_one_broken_table_makes_it_different(check, scripted):
    tables = [filled(scripted, keys=20, seed=i) for i in range(3)]
    planted = spoil(scripted, tables[1], 2)
    names = [table.name for table in tables]

    def checked(code, *arguments):
        report = check.run(*STATIC, *arguments, settings={"filter.collection.white": None})
        assert report.code == code
        assert report.found == (planted if code else Counter())
        return sorted(entry["table"] for entry in report.summary["tables"])

    assert checked(1) == sorted(names)
    assert checked(0, "--filterCollectionBlack", names[1]) == sorted([names[0], names[2]])
    assert checked(0, "--filterCollectionWhite", f"{names[0]};{names[2]}") == sorted([names[0], names[2]])
    assert checked(1, "--filterCollectionWhite", names[1]) == [names[1]]


def test_an_empty_table_without_a_collection_is_the_same(check, scripted):
    table = scripted.add_table()
    report = check.run(*STATIC)
    report.complain()
    assert report.table(table)["items"] == 0


def test_a_full_table_without_a_collection_is_all_missing(check, scripted):
    table, items = numbered(scripted, 30)
    scripted.target().drop_collection(table.name)
    report = check.run(*STATIC)
    assert report.found == Counter(Found.of_item(table, item, "missing") for item in items)
    assert report.table(table)["index"] == "missing"


def test_an_empty_table_with_documents_has_only_extra_ones(check, scripted):
    table, items = numbered(scripted, 30)
    for item in items:
        scripted.dynamodb.delete_item(TableName=table.name, Key={"pk": item["pk"]})
    report = check.run(*STATIC)
    assert report.found == Counter(Found.of_item(table, item, "extra") for item in items)


def test_a_table_that_is_not_there_can_not_be_told(check, scripted):
    table = filled(scripted)
    report = check.run(*STATIC, "--filterCollectionWhite", f"{table.name};no-such-table")
    assert report.code == 2 and "no-such-table" in str(report.summary)
    assert report.table(table)["result"] == "same"


def test_without_any_table_nothing_can_be_told(check):
    report = check.run(*STATIC, settings={"filter.collection.white": None})
    assert report.code == 2 and report.reason and report.summary["tables"] == []


def test_a_table_may_be_in_a_collection_of_another_name(check, scripted):
    name = f"t{scripted.tag}.source"
    filled(scripted, name=name, to="elsewhere", convert_type="change")
    settings = {"map.collection": f"{name}=elsewhere", "convert.type": "change"}
    check.run(*STATIC, settings=settings).complain()
    assert check.run(*STATIC, settings=settings | {"map.collection": None}).code == 1


@pytest.mark.parametrize("convert_type", ["raw", "change"])
def test_an_attribute_called_id_is_looked_for_under_its_prefix(check, scripted, convert_type):
    schema = KeySchema(("_id", "sk"), ("S", "N"))
    table = scripted.add_table(schema)
    plain = scripted.add_table()
    fill_source(scripted.dynamodb, table, [{"_id": s(f"k{i}"), "sk": n(str(i)), "x": n("1")} for i in range(9)])
    fill_source(scripted.dynamodb, plain, [{"pk": s(f"k{i}"), "_id": n(str(i))} for i in range(9)])
    for each in (table, plain):
        fill_target(
            scripted.target()[each.name], scripted.items(each), each.key_schema, convert_type, id_prefix="our"
        )
    settings = {"convert.type": convert_type, "convert._id": "our"}
    check.run(*STATIC, settings=settings).complain()
    report = check.run(*STATIC, settings={"convert.type": convert_type})
    assert report.table(table)["missing"] == report.table(plain)["different"] == 9
    assert {path for found in report.found for path in found.paths} == {("_id",), ("our_id",)}


# --- numbers as doubles ---


def test_with_doubles_the_nearest_one_is_right_but_not_in_keys(check, scripted):
    table = filled(scripted, keys=200, schema=NUMBERS, convert_type="mchange")
    mchange, exact = {"convert.type": "mchange"}, {"convert.type": "change"}
    check.run(*STATIC, settings=mchange).complain()
    check.run(*STATIC, settings=exact | {"convert.number": "double"}).complain()
    assert check.run(*STATIC, settings=exact).table(table)["different"] > 50
    items, collection = scripted.items(table), scripted.target()[table.name]
    fill_target(collection, items, table.key_schema, "change")
    check.run(*STATIC, settings=mchange).complain()
    item, near = {"pk": n("9007199254740993"), "v": n("0.1")}, {"pk": n("9007199254740995"), "v": n("0.1")}
    fill_source(scripted.dynamodb, table, [item, near])
    collection.insert_one({"pk": 9007199254740992.0, "v": 0.1})
    collection.insert_one({"pk": 9007199254740995, "v": 0.10000000000000002})
    report = check.run(*STATIC, settings=mchange)
    assert report.found == Counter([
        Found.of_item(table, item, "missing"),
        Found.of_item(table, {"pk": n("9007199254740992")}, "extra"),
        Found.of_item(table, near, "different", [("v",)]),
    ])  # fmt: skip


# --- samples ---


@pytest.mark.asan
def test_a_sample_is_of_just_so_many_items_and_the_seed_repeats_it(check, scripted):
    table, items = numbered(scripted, 150)

    def sample(count, *more):
        report = check.run("--settle", "0", "-e", count, *more)
        entry = report.table(table)
        assert entry["checked"] == entry["different"] == len(report.lines) == min(count, 150)
        assert entry["items"] == 150
        assert report.code == 1
        return report.keys()

    first = sample(40, "--seed", "7")
    assert sample(40, "--seed", "7", "-p", "1", "--qpsFullBatchNum", "9") == first
    assert sample(40, "--seed", "8") != first
    assert sample(40) != sample(40)
    assert len(sample(150)) == len(sample(1000)) == 150
    assert len(sample(1)) == 1


def test_a_sample_that_differs_nowhere_is_the_same_and_not_complete(check, scripted):
    table = filled(scripted, keys=150)
    report = check.run(*STATIC, "-e", "20")
    report.complain()
    assert report.table(table)["complete"] is False and report.table(table)["checked"] == 20


def test_every_item_has_the_same_chance_to_be_in_a_sample(check, scripted):
    """The same table and seeds each time: what passes once passes always."""
    numbered(scripted, 150, name="sampled")
    seeds, count = range(20), 50
    taken = Counter(
        key for seed in seeds for key in check.run("--settle", "0", "-e", count, "--seed", seed).keys()
    )
    expected = len(seeds) * count / 150
    spread = len(seeds) * (count / 150) * (1 - count / 150)
    chi = sum((taken[key] - expected) ** 2 / spread for key in taken) + (150 - len(taken)) * expected**2 / spread
    assert 149 - 6 * (2 * 149) ** 0.5 < chi < 149 + 6 * (2 * 149) ** 0.5
    halves = Counter(key < '{"pk":{"S":"0075"}}' for key in taken.elements())
    assert abs(halves[True] - halves[False]) < 150


# --- directions and outlines ---


def test_extra_documents_are_looked_for_unless_told_not_to(check, scripted):
    table, items = numbered(scripted, 40)
    fill_target(scripted.target()[table.name], items, table.key_schema, "raw")
    for item in items[:3]:
        scripted.dynamodb.delete_item(TableName=table.name, Key={"pk": item["pk"]})
    extra = Counter(Found.of_item(table, item, "extra") for item in items[:3])
    for on in ([], ["--reverse"], ["--reverse=on"]):
        assert check.run(*STATIC, *on).found == extra
    report = check.run(*STATIC, "--reverse=off")
    report.complain()
    assert not requests(scripted, "BatchGetItem") or report.table(table)["extra"] == 0


def test_right_documents_cost_no_request_but_the_scan(check, scripted):
    filled(scripted, keys=300)
    check.run(*STATIC).complain()
    assert not requests(scripted, "BatchGetItem")


def outlined(scripted):
    """Four tables: right, of other values, one document fewer, without its index."""
    right, other, fewer = (filled(scripted, keys=30, seed=i) for i in range(3))
    planted = spoil(scripted, other)
    lost = scripted.target()[fewer.name].find_one_and_delete({})
    planted[Found(fewer.name, oracle.canonical_from_document(lost, fewer.key_schema, "raw").decode(), "missing")] = 1
    bare = filled(scripted, keys=30, seed=3, index=False)
    return [right, other, fewer, bare], planted


def test_an_outline_can_be_looked_at_be_all_or_stop_a_table(check, scripted):
    tables, planted = outlined(scripted)
    right, other, fewer, bare = tables

    def results(report):
        return [report.table(table)["result"] for table in tables], [report.table(t)["checked"] for t in tables]

    for go in ([], ["--outline", "go"]):
        report = check.run(*STATIC, *go)
        assert report.found == planted
        assert results(report)[1] == [30] * 4
        assert [report.table(t)["index"] for t in tables] == ["ok", "ok", "ok", "missing"]
        assert report.table(fewer)["documents"] == 29 and report.table(right)["documents"] == 30
    report = check.run(*STATIC, "--outline", "only")
    assert results(report) == (["same", "same", "different", "different"], [0] * 4)
    assert report.code == 1 and not report.lines
    assert not any(report.table(table)["complete"] for table in tables)
    assert [report.table(t)["items"] for t in tables] == [30] * 4
    report = check.run(*STATIC, "--outline", "stop")
    assert results(report) == (["same", "different", "different", "different"], [30, 30, 0, 0])
    assert report.found == Counter(found for found in planted if found.table == other.name)


def test_an_outline_that_is_right_ends_well(check, scripted):
    table = filled(scripted, target_id="key")
    report = check.run("--outline", "only", settings={"target.id": "key"})
    report.complain()
    assert report.table(table)["index"] == "not needed"


# --- what nobody may see ---


def test_a_password_never_shows(check, scripted):
    scripted.add_table()
    address = f"mongodb://someone:hushHush123@127.0.0.1:{free_port()}/?authSource=admin"
    program = check.start("-t", address, settings={"start.timeout": 1})
    report = program.report()
    assert report.code == 2 and "127.0.0.1" in report.reason
    assert "hushHush123" not in program.everything_told()


def test_print_config_shows_no_secret(check, scripted):
    program = check.ended(0, "--print-config", "--sourceSecretAccessKey", "hushHush123", diff=False)
    assert "convert.type" in program.output()
    assert scripted.secret_key not in program.everything_told() and "hushHush123" not in program.everything_told()
