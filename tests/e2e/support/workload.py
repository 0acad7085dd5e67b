"""A seeded random workload on a DynamoDB table: nasty items, and a writer that goes on beside the programs.

Promise: content depends on the seed alone (timing does not). Every put and update carries `v`, a number that
grows with each write of its key and goes on growing over deletes, so that a checker can order what it sees.
A Writer's thread is the only one that writes its keys.
"""

import random
import string
import threading
import time
from dataclasses import dataclass

import boto3
from botocore.config import Config

from .oracle import KeySchema, canonical_key

# 19 digits and more, neighbours that are one and the same as doubles, every edge of int32, int64 and
# Decimal128, and the ends of DynamoDB's range.
NASTY_NUMBERS = [
    "0",
    "-0",
    "1.0",
    "-1",
    "0.1",
    "-12.340",
    "1E3",
    "1E-130",
    "-1E-130",
    "9.9E+125",
    "-9.99E+125",
    "9.9999999999999999999999999999999999999E+125",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "1234567890123456789",
    "1234567890123456789012345678901234",
    "12345678901234567890123456789012345",
    "12345678901234567890123456789012345678",
    "-0.12345678901234567890123456789012345678",
    "1.2345678901234567890123456789012345678E-93",
    "123456789012345678901234567890123400",
]
NASTY_TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    '"\\/\b\f\n\r\t\x01\x1f\x7f',
    "\u00e9\u00df\u4e2d\u6587",
    "e\u0301",
    "\u2028\u2029\ufeff\uffff",
    "\U0001f600\U0010ffff",
    '{"S":"not a value"}',
    "$set",
    "null",
    "x" * 3000,
]
NASTY_NAMES = [
    "a",
    "s$",
    "_id",
    "pre_id2",
    "with space",
    'quote"back\\slash',
    "\u00fc",
    "\U0001f600",
    "S",
    "N",
    "M",
    "line\nbreak",
    "__proto__",
    "n" * 300,
]
NESTED_ONLY_NAMES = ["$x", "$", "_id", "pre_id", "a.b", ".", "..", "a."]
DOTTED_NAMES = ["a.b", ".", "a..b", "end."]
LONE_SURROGATE = "\ud800"


def make_client(service, endpoint, region="us-east-1", **credentials):
    """A boto3 client that sends what it is given and never retries in silence. So it keeps no connection: the
    server closes an idle one when it likes, also just when a request is on its way."""
    config = Config(parameter_validation=False, retries={"max_attempts": 0}, read_timeout=120)
    client = boto3.client(service, endpoint_url=endpoint, region_name=region, config=config, **credentials)
    client.meta.events.register("before-send", close_afterwards)
    return client


def close_afterwards(request, **_):
    request.headers["Connection"] = "close"


# --- random values ---


class Values:
    """Random attribute values; `refused` of all items are made so that no document can hold them."""

    def __init__(self, rng, dots=True, refused=0.02):
        self.rng = rng
        self.names = NASTY_NAMES + (DOTTED_NAMES if dots else [])
        self.refused = refused

    def number(self):
        rng = self.rng
        if rng.random() < 0.5:
            return rng.choice(NASTY_NUMBERS)
        digits = rng.choice([1, 3, 9, 10, 17, 18, 19, 33, 34, 35, 38])
        text = rng.choice("123456789") + "".join(rng.choices(string.digits, k=digits - 1))
        if rng.random() < 0.4:
            point = rng.randrange(1, digits + 1)
            text = text[:point] + "." + text[point:] if point < digits else text
        if rng.random() < 0.2:
            text += f"E{rng.randint(-90, 80)}"
        return rng.choice(["", "-"]) + text

    def text(self):
        rng = self.rng
        if rng.random() < 0.4:
            return rng.choice(NASTY_TEXTS)
        return "".join(rng.choices(string.ascii_letters + '  \u00e9\U0001f40d\\"', k=rng.randrange(40)))

    def binary(self):
        return self.rng.randbytes(self.rng.choice([0, 1, 2, 3, 20, 500]))

    def unique(self, make, canonical=lambda x: x):
        found = {}
        for _ in range(self.rng.randrange(1, 6)):
            value = make()
            found.setdefault(canonical(value), value)
        return list(found.values())

    def value(self, depth=0):
        rng = self.rng
        kinds = ["S", "N", "N", "B", "BOOL", "NULL", "SS", "NS", "BS"] + (
            ["L", "M", "E"] if depth < 4 else []
        )
        kind = rng.choice(kinds)
        if kind == "S":
            return {"S": self.text()}
        if kind == "N":
            return {"N": self.number()}
        if kind == "B":
            return {"B": self.binary()}
        if kind == "BOOL":
            return {"BOOL": rng.random() < 0.5}
        if kind == "NULL":
            return {"NULL": True}
        if kind == "SS":
            return {"SS": self.unique(self.text)}
        if kind == "NS":
            return {"NS": self.unique(self.number, lambda n: canonical_key({"n": {"N": n}}))}
        if kind == "BS":
            return {"BS": self.unique(self.binary)}
        if kind == "L":
            return {"L": [self.value(depth + 1) for _ in range(rng.randrange(4))]}
        if kind == "M":
            names = rng.sample(NASTY_NAMES + NESTED_ONLY_NAMES, rng.randrange(4))
            return {"M": {name: self.value(depth + 1) for name in names}}
        return rng.choice([{"L": []}, {"M": {}}, {"S": ""}, {"B": b""}, {"L": [{"L": []}, {"M": {}}]}])

    def attributes(self, taken):
        """A few attributes beside the key, whose names are `taken`."""
        rng = self.rng
        names = [n for n in rng.sample(self.names, rng.randrange(5)) if n not in taken]
        attributes = {name: self.value() for name in names}
        if rng.random() < self.refused:
            attributes.update(self.refused_attribute(taken))
        return attributes

    def refused_attribute(self, taken):
        """One attribute, or two, that no MongoDB document can hold."""
        choices = [
            {"$refused": self.value()},
            {"nul\0name": self.value()},
            {"m": {"M": {"nul\0name": self.value()}}},
            {"lone": {"S": LONE_SURROGATE}},
            {"m": {"M": {LONE_SURROGATE: {"S": ""}}}},
        ]
        if "_id" in taken:
            choices.append({"pre_id": self.value()})
        elif "pre_id" not in taken:
            choices.append({"_id": self.value(), "pre_id": self.value()})
        return self.rng.choice(choices)


def nested(depth):
    """A value nested to DynamoDB's limit: 32 levels, the attribute itself included."""
    value = {"N": "1"}
    for level in range(depth - 1):
        value = {"L": [value]} if level % 2 else {"M": {"m": value}}
    return value


def special_items():
    """(suffix of the key, attributes): one item of each kind that only size or depth makes nasty."""
    empty_strings = 398_000
    return [
        ("nested 32", {"deep": nested(32)}),
        ("400 KB of empty strings", {"big": {"L": [{"S": ""}] * empty_strings}}),
        ("400 KB of text", {"big": {"S": "\u00e9" * 195_000}}),
        ("400 KB binary", {"big": {"B": bytes(range(256)) * 1500}}),
        ("many attributes", {f"attribute-{i:05}": {"N": str(i)} for i in range(5000)}),
    ]


# --- keys ---


def key_value(kind, rng, number):
    """The number-th key of a kind: distinct for distinct numbers, nasty ones first."""
    if kind == "S":
        nasty = [
            "\0",
            "a\0b",
            '"\\\n',
            "\U0001f600",
            "\u00e9",
            " ",
            "k" * 1000,
            "$",
            ".",
            "_id",
            "\u2028",
            "1E3",
        ]
        return {"S": nasty[number] if number < len(nasty) else f"key-{number:08}-{'x' * rng.randrange(20)}"}
    if kind == "B":
        nasty = [b"\0", b"\0\0", b"\xff", b"\xfb\xff", bytes(1000), b"=="]
        return {"B": nasty[number] if number < len(nasty) else number.to_bytes(5, "big") + b"\x80"}
    # Neighbours of 19 digits in int64, neighbours of 38 digits, whole small numbers, short decimals: none two
    # of them are equal, and as doubles many are.
    family, n = number % 4, number // 4
    if family == 0:
        return {"N": str(1234567890123456789 + n)}
    if family == 1:
        return {"N": str(12345678901234567890123456789012340001 + 10 * n)}
    if family == 2:
        return {"N": str(n - 20)}
    return {"N": f"-{n}.5"}


@dataclass(frozen=True)
class Table:
    """A table of the workload: its name and the names and types of its key."""

    name: str
    key_schema: KeySchema

    def create(self, client, stream="NEW_AND_OLD_IMAGES"):
        schema = self.key_schema
        roles = ("HASH", "RANGE")
        arguments = {
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": n, "KeyType": r} for n, r in zip(schema.names, roles)],
            "AttributeDefinitions": [
                {"AttributeName": n, "AttributeType": t} for n, t in zip(schema.names, schema.types)
            ],
        }
        if stream:
            arguments["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream}
        client.create_table(**arguments)
        client.get_waiter("table_exists").wait(TableName=self.name, WaiterConfig={"Delay": 1})

    def key(self, rng, number):
        """The number-th key; with a sort key, some four items share a partition key."""
        names, types = self.key_schema.names, self.key_schema.types
        if len(names) == 1:
            return {names[0]: key_value(types[0], rng, number)}
        return {names[0]: key_value(types[0], rng, number // 4), names[1]: key_value(types[1], rng, number)}


def all_tables(prefix):
    """Hash-only and hash+range tables with keys of every type, one with a key attribute called `_id`."""
    tables = [Table(f"{prefix}{kind}", KeySchema(("pk",), (kind,))) for kind in "SNB"]
    for hash_kind, range_kind in ("SN", "NB", "BS"):
        schema = KeySchema(("pk", "sk"), (hash_kind, range_kind))
        tables.append(Table(f"{prefix}{hash_kind}{range_kind}", schema))
    tables.append(Table(f"{prefix}id", KeySchema(("_id", "sk key"), ("S", "S"))))
    return tables


# --- writing ---


class Writer:
    """Writes one table from a seed: `fill` for what is there before, start/stop for a thread beside the test.

    The keys after the first `keys` are for put_special alone: an update could not make their items larger.
    `expected` holds canonical key -> v of the last acknowledged write (None after a delete). A failed write
    ends the thread; `stop` raises its error."""

    def __init__(self, client, table, seed, keys=200, rate=None, dots=True, refused=0.02):
        self.client, self.table, self.rate = client, table, rate
        self.rng = random.Random(f"{seed}/{table.key_schema}")
        self.values = Values(self.rng, dots, refused)
        self.ordinary = keys
        self.keys = [table.key(self.rng, number) for number in range(keys + len(special_items()))]
        self.texts = [canonical_key(key, table.key_schema) for key in self.keys]
        self.versions = [0] * len(self.keys)
        self.expected = {}
        self.written = 0
        self._stop = threading.Event()
        self._thread = None
        self._error = None

    def next_version(self, index):
        self.versions[index] += 1
        self.written += 1
        return {"N": str(self.versions[index])}

    def random_item(self, index):
        item = dict(self.keys[index])
        item.update(self.values.attributes(self.table.key_schema.names))
        item["v"] = self.next_version(index)
        return item

    def put(self, index, item=None):
        item = item or self.random_item(index)
        self.client.put_item(TableName=self.table.name, Item=item)
        self.expected[self.texts[index]] = self.versions[index]

    def update(self, index):
        attributes = self.values.attributes(self.table.key_schema.names)
        removed = [n for n in self.rng.sample(NASTY_NAMES, 2) if n not in attributes]
        removed = [n for n in removed if n not in self.table.key_schema.names]
        attributes["v"] = self.next_version(index)
        names = {f"#s{i}": name for i, name in enumerate(attributes)}
        sets = ", ".join(f"#s{i} = :s{i}" for i in range(len(attributes)))
        drops = ", ".join(f"#r{i}" for i in range(len(removed)))
        names.update({f"#r{i}": name for i, name in enumerate(removed)})
        self.client.update_item(
            TableName=self.table.name,
            Key=self.keys[index],
            UpdateExpression=f"SET {sets}" + (f" REMOVE {drops}" if drops else ""),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={f":s{i}": value for i, value in enumerate(attributes.values())},
        )
        self.expected[self.texts[index]] = self.versions[index]

    def delete(self, index):
        self.client.delete_item(TableName=self.table.name, Key=self.keys[index])
        self.expected[self.texts[index]] = None

    def step(self):
        """One random write."""
        index = self.rng.randrange(self.ordinary)
        action = self.rng.random()
        if action < 0.45:
            self.put(index)
        elif action < 0.8:
            self.update(index)
        else:
            self.delete(index)

    def fill(self, padding=0):
        """Puts every key once, in batches; `padding` bytes of text make a table of many scan pages."""
        for start in range(0, self.ordinary, 25):
            batch = range(start, min(start + 25, self.ordinary))
            items = [self.random_item(index) for index in batch]
            for item in items:
                if padding:
                    item["padding"] = {"S": "p" * padding}
            requests = [{"PutRequest": {"Item": item}} for item in items]
            answer = self.client.batch_write_item(RequestItems={self.table.name: requests})
            if answer.get("UnprocessedItems"):
                raise RuntimeError("the service left items of a batch out")
            self.expected.update({self.texts[i]: self.versions[i] for i in batch})

    def put_special(self):
        """The items that only size or depth makes nasty."""
        for index, (_, attributes) in enumerate(special_items(), start=self.ordinary):
            self.put(index, {**self.keys[index], **attributes, "v": self.next_version(index)})

    def start(self):
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=f"writer {self.table.name}", daemon=True)
        self._thread.start()
        return self

    def _run(self):
        begin, steps = time.monotonic(), 0
        try:
            while not self._stop.is_set():
                self.step()
                steps += 1
                if self.rate:
                    self._stop.wait(max(0.0, begin + steps / self.rate - time.monotonic()))
        except Exception as error:  # handed to the test by stop()
            self._error = error

    def cancel(self):
        """For teardown: the thread ends soon, whatever its state."""
        self._stop.set()

    def stop(self):
        """Ends the thread and raises what ended it before its time."""
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._error:
            raise self._error
        return self
