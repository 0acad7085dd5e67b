"""The schemas themselves: every example fits its own, and what the text of the schemas forbids does not."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["event", "ledger", "signal", "dead-letter", "status", "fullcheck-report"]
EXAMPLES = {p.stem: json.loads(p.read_text()) for p in sorted((ROOT / "tests/vectors/messages").glob("*.json"))}


def load(name):
    return json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())


VALIDATORS = {name: jsonschema.Draft202012Validator(load(name)) for name in NAMES}


def schema_of(example):
    return next(name for name in NAMES if example == name or example.startswith(name + "-"))


def fits(name, message):
    return VALIDATORS[name].is_valid(message)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(load(name))


def test_there_is_no_schema_without_an_example():
    files = {p.name.removesuffix(".schema.json") for p in (ROOT / "schemas").iterdir()}
    assert files == set(NAMES) == {schema_of(example) for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_fits_its_schema(example):
    VALIDATORS[schema_of(example)].validate(EXAMPLES[example])


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_fits_no_other_schema(example):
    assert [name for name in NAMES if fits(name, EXAMPLES[example])] == [schema_of(example)]


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.startswith("ledger-")])
def test_a_ledger_record_fits_the_definition_of_its_key_alone(example):
    schema = load("ledger")
    found = []
    for kind in ("source", "place", "carrier", "table", "segment", "shard"):
        one = {"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]}
        if jsonschema.Draft202012Validator(one).is_valid(EXAMPLES[example]):
            found.append(f"ledger-{kind}")
    assert found == [example]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_unknown_member_does_not_fit(example):
    assert not fits(schema_of(example), {**EXAMPLES[example], "other": 1})


def test_the_documents_examples_are_these():
    text = (ROOT / "docs" / "messages.md").read_text()
    shown = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]
    assert sorted(map(json.dumps, shown)) == sorted(map(json.dumps, EXAMPLES.values()))


def optional_members(example):
    return {
        "event-update": {"before"},
        "ledger-table": {"indexes", "renew", "lost_log", "gaps", "handled"},
        "ledger-place": {"forget"},
        "ledger-shard": {"adopted"},
        "signal-snapshot": {"reason"},
        "signal-pause": {"reason"},
    }.get(example, set())


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_missing_member_does_not_fit(example):
    message = EXAMPLES[example]
    for member in message.keys() - optional_members(example):
        rest = {k: v for k, v in message.items() if k != member}
        assert not fits(schema_of(example), rest), member


def changed(example, path, value):
    message = copy.deepcopy(EXAMPLES[example])
    at = message
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return message


WRONG = [
    ("event-row", ["op"], "x"),
    ("event-row", ["op"], "d"),
    ("event-row", ["op"], "m"),
    ("event-row", ["keys"], None),
    ("event-row", ["after"], None),
    ("event-row", ["ts_ms"], "1760000000123"),
    ("event-row", ["ts_ms"], 1.5),
    ("event-row", ["source", "connector"], "mysql"),
    ("event-row", ["source", "table"], "a b"),
    ("event-row", ["source", "ttl"], False),
    ("event-row", ["source", "ts_ms"], -1),
    ("event-row", ["keys", "sk"], {"N": "7.0"}),
    ("event-row", ["keys", "sk"], {"N": "-0"}),
    ("event-row", ["keys", "sk"], {}),
    ("event-row", ["keys", "sk"], {"BOOL": True}),
    ("event-row", ["keys", "third"], {"S": "x"}),
    ("event-row", ["after", "x"], {"S": "a", "N": "1"}),
    ("event-row", ["after", "x"], {"SS": []}),
    ("event-row", ["after", "x"], {"NULL": False}),
    ("event-row", ["after", "x"], {"X": "a"}),
    ("event-row", ["after", "x"], {"N": 1}),
    ("event-row", ["after", "x"], {"B": "A"}),
    ("event-row", ["after", "x"], {"L": [{"M": {"y": "z"}}]}),
    ("event-delete", ["after"], {"pk": {"S": "u1"}}),
    ("event-snapshot-begin", ["keys"], {"pk": {"S": "u1"}}),
    ("event-snapshot-begin", ["control", "type"], "skipped"),
    ("event-snapshot-begin", ["control", "key_schema"], []),
    ("event-snapshot-begin", ["control", "key_schema", 0, "KeyType"], "RANGE"),
    ("event-snapshot-begin", ["control", "key_schema", 0, "AttributeType"], "BOOL"),
    ("event-skipped", ["keys"], None),
    ("event-skipped", ["control", "reason"], 'a "quote"'),
    ("event-skipped", ["control", "type"], "snapshot-end"),
    ("ledger-place", ["partition"], -1),
    ("ledger-source", ["prefix"], ""),
    ("ledger-carrier", ["white"], None),
    ("ledger-table", ["phase"], "done"),
    ("ledger-table", ["begin_offsets"], []),
    ("ledger-table", ["indexes"], []),
    ("ledger-table", ["renew"], False),
    ("ledger-table", ["gaps"], 0),
    ("ledger-table", ["handled", 0, "refused"], None),
    ("ledger-table", ["indexes", 0, "key_schema"], []),
    ("ledger-segment", ["last_key"], {"pk": {"S": "u1"}}),
    ("ledger-shard", ["status"], "processing"),
    ("ledger-shard", ["sequence"], "0x1"),
    ("signal-pause", ["keys"], [{"pk": {"S": "u1"}}]),
    ("signal-repair", ["keys"], []),
    ("signal-repair", ["generation"], 1),
    ("signal-snapshot", ["type"], "restart"),
    ("dead-letter-consumer", ["offset"], None),
    ("dead-letter-consumer", ["offset"], -1),
    ("dead-letter-consumer", ["value"], "e"),
    ("dead-letter-consumer", ["headers", "segment"], 0),
    ("status", ["tables", 0, "phase"], "idle"),
    ("status", ["tables", 0, "lag"], -1),
    ("status", ["unread", 0, "reason"], ""),
    ("ledger-table", ["handled", 1, "ts_ms"], -1),
    ("fullcheck-report-different", ["paths"], []),
    ("fullcheck-report-different", ["paths", 0], {"path": ["a"]}),
    ("fullcheck-report-missing", ["kind"], "extra"),
    ("fullcheck-report-summary", ["result"], "well"),
]


@pytest.mark.parametrize("example,path,value", WRONG, ids=[f"{w[0]}-{'.'.join(map(str, w[1]))}-{w[2]}" for w in WRONG])
def test_what_a_schema_forbids_does_not_fit(example, path, value):
    assert not fits(schema_of(example), changed(example, path, value))
