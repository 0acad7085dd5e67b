"""What MongoDB must hold for a DynamoDB item, worked out from the documented rules alone.

Promise: shares no code with the C programs, so that it cannot share their mistakes. Numbers are never
floats on the way: text, int and decimal.Decimal only (but for `convert.number = double`).

Items are boto3's low level form: {"name": {"S": "text"}}, binaries as bytes. Raw N keeps the very text the
service's Scan gives; everywhere else a number is its value.
"""

import base64
import re
from dataclasses import dataclass, field
from decimal import Context, Decimal

from bson import Decimal128, Int64, ObjectId

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)

# Wide enough for every DynamoDB number: 38 digits, exponents -130 to 125.
EXACT = Context(prec=400, Emax=99999, Emin=-99999)

# Why an item can be no document.
LEADING_DOLLAR = "leading dollar"
NUL_IN_NAME = "nul in name"
ID_CLASH = "id clash"
NOT_UTF8 = "not utf-8"
DOTTED_NAME = "dotted name"


@dataclass(frozen=True)
class DeadLetter:
    """The item cannot become a document; every reason that holds for it."""

    reasons: frozenset


@dataclass(frozen=True)
class KeySchema:
    """Names and types of a table's primary key, hash before range."""

    names: tuple
    types: tuple

    @classmethod
    def of_table(cls, description):
        """From DescribeTable's `Table` object, or from the arguments of CreateTable."""
        types = {a["AttributeName"]: a["AttributeType"] for a in description["AttributeDefinitions"]}
        parts = sorted(description["KeySchema"], key=lambda part: part["KeyType"] != "HASH")
        names = tuple(part["AttributeName"] for part in parts)
        return cls(names, tuple(types[name] for name in names))

    def key_of(self, item):
        return {name: item[name] for name in self.names}


# --- numbers ---


def number(text):
    """The exact value of a number text as Decimal; nothing is rounded."""
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"no DynamoDB number: {text!r}")
    return value


def digits_and_exponent(value):
    """(coefficient digits without trailing zeros, exponent); zero is ("0", 0)."""
    _, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    if not stripped:
        return "0", 0
    return stripped, exponent + len(text) - len(stripped)


def plain_text(text):
    """Java's BigDecimal.stripTrailingZeros().toPlainString(), with one zero."""
    value = number(text)
    digits, exponent = digits_and_exponent(value)
    if digits == "0":
        return "0"
    sign = "-" if value.is_signed() else ""
    if exponent >= 0:
        return sign + digits + "0" * exponent
    if len(digits) > -exponent:
        return sign + digits[:exponent] + "." + digits[exponent:]
    return sign + "0." + "0" * (-exponent - len(digits)) + digits


def exact_number(text):
    """int (int32), Int64, Decimal128 or, when no BSON number holds it, the plain text."""
    value = number(text)
    digits, exponent = digits_and_exponent(value)
    if exponent >= 0:
        whole = int(plain_text(text))
        if whole in INT32:
            return whole
        if whole in INT64:
            return Int64(whole)
    # Decimal128: 34 digits, exponent of the last digit -6176 to 6111. A positive exponent beyond that
    # could be folded into the coefficient, but DynamoDB's numbers end at 1E126.
    if len(digits) <= 34 and -6176 <= exponent <= 6111:
        sign = "-" if value.is_signed() else ""
        return Decimal128(f"{sign}{digits}E{exponent}")
    return plain_text(text)


# --- one attribute value ---


def type_of(value):
    """("S", "text"); an empty object is an empty map, as DynamoDB Local's streams write it."""
    if not value:
        return "M", {}
    ((kind, content),) = value.items()
    return kind, content


def convert_change(value, numbers):
    kind, content = type_of(value)
    if kind in ("S", "B", "BOOL"):
        return content
    if kind == "N":
        return numbers(content)
    if kind == "NULL":
        return None
    if kind in ("SS", "BS"):
        return list(content)
    if kind == "NS":
        return [numbers(n) for n in content]
    if kind == "L":
        return [convert_change(v, numbers) for v in content]
    if kind == "M":
        return {k: convert_change(v, numbers) for k, v in content.items()}
    raise ValueError(f"no DynamoDB type: {kind!r}")


def convert_raw(value):
    kind, content = type_of(value)
    if kind == "L":
        content = [convert_raw(v) for v in content]
    elif kind == "M":
        content = {k: convert_raw(v) for k, v in content.items()}
    elif kind in ("SS", "NS", "BS"):
        content = list(content)
    return {kind: content}


def convert_key(value, convert_type):
    """A key attribute: from its canonical spelling, never a double."""
    if "N" in value:
        value = {"N": plain_text(value["N"])}
    return convert_raw(value) if convert_type == "raw" else convert_change(value, exact_number)


def converter(convert_type, number_mode):
    if convert_type == "raw":
        return convert_raw
    if convert_type == "mchange":
        number_mode = "double"
    numbers = float if number_mode == "double" else exact_number
    return lambda value: convert_change(value, numbers)


# --- whole documents ---


def texts_of(value):
    """Every string in a value, names of nested maps included, as (is_name, text)."""
    kind, content = type_of(value)
    if kind in ("S", "N"):
        yield False, content
    elif kind in ("SS", "NS"):
        for text in content:
            yield False, text
    elif kind == "L":
        for element in content:
            yield from texts_of(element)
    elif kind == "M":
        for name, element in content.items():
            yield True, name
            yield from texts_of(element)


def has_lone_surrogate(text):
    return any("\ud800" <= c <= "\udfff" for c in text)


def refusals(item, id_prefix, dots_refused):
    """The reasons why this item can't be a document."""
    stored = {id_prefix + "_id" if name == "_id" else name for name in item}
    texts = [(True, name) for name in item]
    for value in item.values():
        texts.extend(texts_of(value))
    reasons = set()
    if any(name.startswith("$") for name in stored):
        reasons.add(LEADING_DOLLAR)
    if len(stored) < len(item):
        reasons.add(ID_CLASH)
    if dots_refused and any("." in name for name in stored):
        reasons.add(DOTTED_NAME)
    if any(is_name and "\0" in text for is_name, text in texts):
        reasons.add(NUL_IN_NAME)
    if any(has_lone_surrogate(text) for _, text in texts):
        reasons.add(NOT_UTF8)
    return frozenset(reasons)


def expected_document(
    item,
    key_schema,
    convert_type,
    id_prefix="pre",
    number="exact",
    target_id="objectid",
    dots_refused=False,
):
    """The document MongoDB must hold for the item, or a DeadLetter.

    With target_id "objectid" the document has no `_id` here: any ObjectId will do. `dots_refused` is for
    a server that can't replace documents with dotted names at the top level (MongoDB before 5)."""
    reasons = refusals(item, id_prefix, dots_refused)
    if reasons:
        return DeadLetter(reasons)
    convert = converter(convert_type, number)
    document = {}
    key = {}
    for name, value in item.items():
        stored = id_prefix + "_id" if name == "_id" else name
        if name in key_schema.names:
            document[stored] = convert_key(value, convert_type)
        else:
            document[stored] = convert(value)
    for name in key_schema.names:
        stored = id_prefix + "_id" if name == "_id" else name
        key[stored] = document[stored]
    if target_id == "key":
        document["_id"] = next(iter(key.values())) if len(key) == 1 else key
    return document


# --- canonical key text and partition ---

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def json_string(text):
    """As ECMAScript's JSON.stringify writes a string, lone surrogates escaped."""
    out = []
    for c in text:
        if c in ESCAPES:
            out.append(ESCAPES[c])
        elif c < " " or has_lone_surrogate(c):
            out.append(f"\\u{ord(c):04x}")
        else:
            out.append(c)
    return '"' + "".join(out) + '"'


def canonical_value(value):
    kind, content = type_of(value)
    if kind == "N":
        content = plain_text(content)
    elif kind == "B":
        content = base64.b64encode(content).decode("ascii")
    elif kind != "S":
        raise ValueError(f"no key type: {kind!r}")
    return f'{{"{kind}":{json_string(content)}}}'


def canonical_key(item_key, key_schema=None):
    """The one spelling of a key as UTF-8 bytes; hash before range when the schema is given."""
    names = key_schema.names if key_schema else item_key
    members = (f"{json_string(name)}:{canonical_value(item_key[name])}" for name in names)
    return ("{" + ",".join(members) + "}").encode("utf-8")


def message_key(item, key_schema):
    """The Kafka message key: the partition key attribute alone."""
    name = key_schema.names[0]
    return canonical_key({name: item[name]})


def murmur2(data):
    """Java's org.apache.kafka.common.utils.Utils.murmur2, as an unsigned 32 bit number."""
    mask = 0xFFFFFFFF
    m = 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * m) & mask
        k ^= k >> 24
        k = (k * m) & mask
        h = ((h * m) & mask) ^ k
    tail = data[whole:]
    if tail:
        h ^= int.from_bytes(tail, "little")
        h = (h * m) & mask
    h ^= h >> 13
    h = (h * m) & mask
    return h ^ (h >> 15)


def partition_of(key_bytes, partitions):
    return (murmur2(key_bytes) & 0x7FFFFFFF) % partitions


# --- comparison ---


def set_paths(item, convert_type, id_prefix):
    """Paths of the document whose list is a set, so that its order is free."""
    found = set()

    def walk(value, path):
        kind, content = type_of(value)
        wrapped = path + (kind,) if convert_type == "raw" else path
        if kind in ("SS", "NS", "BS"):
            found.add(wrapped)
        elif kind == "L":
            for i, element in enumerate(content):
                walk(element, wrapped + (i,))
        elif kind == "M":
            for name, element in content.items():
                walk(element, wrapped + (name,))

    for name, value in item.items():
        walk(value, (id_prefix + "_id" if name == "_id" else name,))
    return found


def bson_type(value):
    """The BSON type as pymongo's decoder shows it."""
    if value is None:
        return "null"
    names = {bool: "bool", int: "int32", Int64: "int64", float: "double", Decimal128: "decimal128"}
    names.update({str: "string", bytes: "binary", list: "array", ObjectId: "objectId"})
    if type(value) in names:
        return names[type(value)]
    if isinstance(value, dict):
        return "document"
    return type(value).__name__


def show(value):
    text = repr(value)
    return text if len(text) <= 120 else text[:100] + f"...({len(text)} characters)"


def sort_key(value):
    if isinstance(value, Decimal128):
        return "decimal128", str(EXACT.normalize(value.to_decimal()))
    return bson_type(value), str(value)


def differences(expected, found, sets=(), path=()):
    """Readable differences between two values; types count, a number's spelling in Decimal128 does not."""
    where = ".".join(map(str, path)) or "document"
    if bson_type(expected) != bson_type(found):
        want, got = bson_type(expected), bson_type(found)
        return [f"{where}: {want} {show(expected)} expected, {got} {show(found)} found"]
    if isinstance(expected, dict):
        out = [f"{where}: no {name!r}" for name in expected if name not in found]
        out += [f"{where}: unexpected {name!r}" for name in found if name not in expected]
        for name in expected:
            if name in found:
                out += differences(expected[name], found[name], sets, path + (name,))
        return out
    if isinstance(expected, list):
        if len(expected) != len(found):
            return [f"{where}: {len(expected)} elements expected, {len(found)} found"]
        if path in sets:
            expected, found = sorted(expected, key=sort_key), sorted(found, key=sort_key)
        out = []
        for i, (want, got) in enumerate(zip(expected, found)):
            out += differences(want, got, sets, path + (i,))
        return out
    if isinstance(expected, Decimal128):
        same = EXACT.compare(expected.to_decimal(), found.to_decimal()) == 0
    else:
        same = expected == found
    return [] if same else [f"{where}: {show(expected)} expected, {show(found)} found"]


def canonical_from_document(document, key_schema, convert_type, id_prefix="pre"):
    """The canonical key of one of our documents, or None: without our key it is the user's own."""
    key = {}
    for name, kind in zip(key_schema.names, key_schema.types):
        stored = id_prefix + "_id" if name == "_id" else name
        value = document.get(stored)
        if convert_type == "raw":
            if not isinstance(value, dict) or list(value) != [kind]:
                return None
            value = value[kind]
        if kind == "N" and not isinstance(value, bool):
            if isinstance(value, Decimal128):
                value = str(value.to_decimal())
                if not Decimal(value).is_finite():
                    return None
            elif isinstance(value, int):
                value = str(value)
            elif not (isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?", value)):
                return None
        wanted = bytes if kind == "B" else str
        if not isinstance(value, wanted):
            return None
        key[name] = {kind: value}
    return canonical_key(key, key_schema)


def scan(client, table):
    """Every item of the table, strongly consistent, in boto3's low level form."""
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for page in pages:
        yield from page["Items"]


@dataclass
class Comparison:
    """What `compare` saw; `dead` maps a canonical key to its DeadLetter."""

    items: int = 0
    same: int = 0
    differences: list = field(default_factory=list)
    dead: dict = field(default_factory=dict)

    def __bool__(self):
        return not self.differences


def compare_items(items, documents, key_schema, convert_type, target_id="objectid", **rules):
    """Compares items with documents by key. Documents without our key are the user's and ignored; a
    document whose item is a dead letter may be an older version of it, which stays."""
    id_prefix = rules.get("id_prefix", "pre")
    result = Comparison()
    found = {}
    for document in documents:
        key = canonical_from_document(document, key_schema, convert_type, id_prefix)
        if key is None:
            continue
        if key in found:
            result.differences.append(f"{show(key)}: two documents")
        found[key] = document
    for item in items:
        result.items += 1
        key = canonical_key(key_schema.key_of(item), key_schema)
        expected = expected_document(item, key_schema, convert_type, target_id=target_id, **rules)
        document = found.pop(key, None)
        if isinstance(expected, DeadLetter):
            result.dead[key] = expected
            continue
        if document is None:
            result.differences.append(f"{show(key)}: no document")
            continue
        here = document_differences(expected, document, item, convert_type, target_id, id_prefix)
        result.same += not here
        result.differences += [f"{show(key)}: {line}" for line in here]
    result.differences += [f"{show(key)}: a document without an item" for key in found]
    return result


def document_differences(expected, document, item, convert_type, target_id, id_prefix):
    document = dict(document)
    out = []
    if target_id == "objectid":
        identity = document.pop("_id", None)
        if not isinstance(identity, ObjectId):
            out.append(f"_id: an ObjectId expected, {show(identity)} found")
    elif isinstance(expected["_id"], dict) and isinstance(document.get("_id"), dict):
        # In an _id the order of the fields is part of the value.
        if list(expected["_id"]) != list(document["_id"]):
            out.append(f"_id: fields {list(expected['_id'])} expected, {list(document['_id'])} found")
    return out + differences(expected, document, set_paths(item, convert_type, id_prefix))


def compare(client, table, collection, convert_type, **rules):
    """Compares a DynamoDB table with a pymongo collection; returns a Comparison."""
    key_schema = KeySchema.of_table(client.describe_table(TableName=table)["Table"])
    return compare_items(scan(client, table), collection.find(), key_schema, convert_type, **rules)


def check_dead_letters(must, may, seen):
    """Differences between the dead letters that must or may be there and those seen, as canonical keys.

    `must`: items whose last value can't be a document. `may`: items of which any version could not; a later
    version may have replaced it before it was tried. `seen`: the keys in the dead-letter topic."""
    out = [f"{show(key)}: no dead letter" for key in sorted(set(must) - set(seen))]
    out += [f"{show(key)}: a dead letter without a reason" for key in sorted(set(seen) - set(may))]
    return out
