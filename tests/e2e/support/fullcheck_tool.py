"""Runs dynaferry-fullcheck and reads what it tells: exit code, summary, diff file, log.

Promise: every line that is handed on fits schemas/fullcheck-report.schema.json, counts and lines agree, and
the exit code says what the summary says.
"""

import base64
import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field

from . import oracle, topic_check
from .running import Program

CODE_OF = {"same": 0, "different": 1, "unknown": 2}
KINDS = ("missing", "extra", "different", "duplicate")
# For what nobody changes meanwhile: a second look soon, and then it counts.
STATIC = ("--settle", "0.2")


class Fullcheck(Program):
    """One run: standard output (the summary) and standard error (the log) each have a file of their own."""

    def __init__(self, conf, directory, name, arguments=(), **more):
        super().__init__("fullcheck", conf, directory, name, arguments=arguments, **more)
        if conf is None:
            self.command = [self.command[0], *arguments]
        self.directory = directory
        self.out_path = directory / f"{name}.out"
        self.diff_path = directory / f"{name}.diff"

    def start(self):
        with open(self.log_path, "ab") as log, open(self.out_path, "wb") as out:
            self.process = subprocess.Popen(
                list(map(str, self.command)), stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                env=self.env, cwd=self.directory,
            )  # fmt: skip
        return self

    def output(self):
        return self.out_path.read_text()

    def everything_told(self):
        """Whatever somebody else may see of it."""
        diff = self.diff_path.read_text() if self.diff_path.exists() else ""
        return self.log() + self.output() + diff

    def report(self, seconds=120):
        """Waits for its end; what it reported."""
        code = self.wait(seconds)
        assert code in (0, 1, 2), self.story()
        try:
            summary = json.loads(self.output())
        except ValueError:
            raise AssertionError(f"no summary but {self.output()!r}\n{self.story()}") from None
        # A check that could not begin leaves the file of an earlier one as it is.
        begun = summary["tables"] or self.diff_path.exists()
        report = Report(code, summary, read_lines(self.diff_path) if begun else [], self.log())
        report.check()
        return report


def read_lines(path):
    assert path.exists(), f"{path} was not written"
    text = path.read_text()
    assert text == "" or text.endswith("\n"), f"{path} ends within a line"
    return [json.loads(line) for line in text.split("\n")[:-1]]


@dataclass(frozen=True, order=True)
class Found:
    """One difference: the key as canonical JSON text, the places as a sorted tuple of paths."""

    table: str
    key: str
    kind: str
    paths: tuple = ()

    @classmethod
    def of_item(cls, table, item, kind, paths=()):
        """An expected one."""
        key = oracle.canonical_key(table.key_schema.key_of(item), table.key_schema).decode()
        return cls(table.name, key, kind, tuple(sorted(paths, key=repr)))

    @classmethod
    def of_line(cls, line):
        paths = sorted((tuple(place["path"]) for place in line["paths"]), key=repr)
        key = json.dumps(line["key"], separators=(",", ":"), ensure_ascii=False)
        return cls(line["table"], recoded(key), line["kind"], tuple(paths))


def recoded(key):
    """The same text, whatever escapes a JSON writer chose; the values must be canonical already."""
    found = json.loads(key)
    decoded = {
        name: {kind: base64.b64decode(text) if kind == "B" else text for kind, text in value.items()}
        for name, value in found.items()
    }
    text = oracle.canonical_key(decoded).decode()
    assert json.loads(text) == found, f"{key} is not canonical"
    return text


@dataclass
class Report:
    code: int
    summary: dict
    lines: list
    log: str = field(repr=False, default="")

    @property
    def result(self):
        return self.summary["result"]

    @property
    def reason(self):
        return self.summary["reason"]

    @property
    def found(self):
        return Counter(map(Found.of_line, self.lines))

    def table(self, table):
        """The summary's entry of a table."""
        (entry,) = [t for t in self.summary["tables"] if t["table"] == getattr(table, "name", table)]
        return entry

    def keys(self):
        return {found.key for found in self.found}

    def check(self):
        """What holds for every report, whatever it reports."""
        checker = topic_check.validator("fullcheck-report")
        for message in [self.summary, *self.lines]:
            checker.validate(message)
        assert self.summary["type"] == "summary"
        assert all(line["type"] == "difference" for line in self.lines)
        assert CODE_OF[self.result] == self.code, self.summary
        assert (self.result == "unknown") == bool(self.reason), self.summary
        assert self.summary["started_ms"] <= self.summary["finished_ms"]
        names = [entry["table"] for entry in self.summary["tables"]]
        assert len(set(names)) == len(names)
        assert {line["table"] for line in self.lines} <= set(names)
        for entry in self.summary["tables"]:
            self.check_table(entry)
        self.check_results()

    def check_results(self):
        """A difference is one, however much could not be told; same means that all of it is known."""
        results = {entry["result"] for entry in self.summary["tables"]}
        if self.result == "same":
            assert results == {"same"}, self.summary
        if self.result == "different":
            assert "different" in results, self.summary

    def check_table(self, entry):
        mine = [line for line in self.lines if line["table"] == entry["table"]]
        counted = Counter(line["kind"] for line in mine if not line.get("repaired"))
        told = {kind: entry[kind] for kind in KINDS}
        repaired = sum(bool(line.get("repaired")) for line in mine)
        assert told == {kind: counted[kind] for kind in KINDS}, (entry, counted)
        assert entry["repaired"] == repaired, entry
        assert entry["checked"] <= entry["items"] or not entry["complete"], entry
        if counted:
            assert entry["result"] == "different", entry
        if entry["result"] == "same":
            assert not counted, entry

    def complain(self):
        """For a run that should have found nothing."""
        shown = "\n".join(map(str, [self.summary, *self.lines[:10], self.log[-3000:]]))
        assert self.code == 0 and not self.lines, f"exit {self.code}: {shown}"


class Checker:
    """Starts the program for a bridge, with the settings that its programs have."""

    def __init__(self, bridge):
        self.bridge = bridge

    def start(self, *arguments, **more):
        """See program()."""
        return self.program(*arguments, **more).start()

    def program(self, *arguments, settings=(), conf="", build=None, env=(), diff=True, json=True):
        """Not started. `conf` None: without a file; `settings` are for the file."""
        bridge = self.bridge
        name = f"fullcheck-{next(bridge.numbers)}"
        if conf == "":
            conf = bridge.conf(**dict(settings))
        program = Fullcheck(conf, bridge.directory, name, build=build, env=env)
        told = ["--json"] * json + ["-d", program.diff_path] * diff
        program.command += map(str, [*told, *arguments])
        bridge.programs.append(program)
        return program

    def run(self, *arguments, seconds=120, **more):
        """A whole run; its Report."""
        return self.start(*arguments, **more).report(seconds)

    def ended(self, code, *arguments, seconds=30, **more):
        """A run that must end with this code and need not report; the program."""
        program = self.start(*arguments, **more)
        assert program.wait(seconds) == code, program.story() + program.output()
        return program


# --- a target without producer and consumer ---


def documents_of(items, key_schema, convert_type, target_id="objectid", **rules):
    """What the oracle says that the items are."""
    return [
        oracle.expected_document(item, key_schema, convert_type, target_id=target_id, **rules)
        for item in items
    ]


def key_path(name, kind, convert_type, id_prefix="pre"):
    stored = id_prefix + "_id" if name == "_id" else name
    return f"{stored}.{kind}" if convert_type == "raw" else stored


def make_index(collection, key_schema, convert_type, id_prefix="pre"):
    """As the consumer makes it."""
    paths = [
        (key_path(name, kind, convert_type, id_prefix), 1)
        for name, kind in zip(key_schema.names, key_schema.types)
    ]
    collection.create_index(paths, unique=True)


def fill_source(client, table, items):
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        answer = client.batch_write_item(RequestItems={table.name: requests})
        assert not answer.get("UnprocessedItems")


def fill_target(collection, items, key_schema, convert_type, target_id="objectid", index=True, **rules):
    """The collection as a consumer that makes no mistake would have left it."""
    database = collection.database
    database.drop_collection(collection.name)
    database.create_collection(collection.name)
    if index and target_id == "objectid":
        make_index(collection, key_schema, convert_type, rules.get("id_prefix", "pre"))
    documents = documents_of(items, key_schema, convert_type, target_id, **rules)
    if documents:
        collection.insert_many(documents)
    return documents
