"""The oracle by itself: cases worked out by hand from the documented conversion, and comparison's eyes."""

from decimal import Decimal

import pytest
from bson import Decimal128, Int64, ObjectId
from support import oracle

PK = oracle.KeySchema(("pk",), ("S",))
D = Decimal128

NUMBERS = [
    # text, change, plain text
    ("0", 0, "0"),
    ("-0", 0, "0"),
    ("-0.00", 0, "0"),
    ("0E5", 0, "0"),
    ("1", 1, "1"),
    ("1.0", 1, "1"),
    ("1E3", 1000, "1000"),
    ("-12", -12, "-12"),
    ("2147483647", 2147483647, "2147483647"),
    ("2147483648", Int64(2147483648), "2147483648"),
    ("-2147483648", -2147483648, "-2147483648"),
    ("-2147483649", Int64(-2147483649), "-2147483649"),
    ("9007199254740993", Int64(9007199254740993), "9007199254740993"),
    ("9223372036854775807", Int64(9223372036854775807), "9223372036854775807"),
    ("9223372036854775808", D("9223372036854775808"), "9223372036854775808"),
    ("-9223372036854775808", Int64(-9223372036854775808), "-9223372036854775808"),
    ("-9223372036854775809", D("-9223372036854775809"), "-9223372036854775809"),
    ("0.1", D("0.1"), "0.1"),
    ("-0.10", D("-0.1"), "-0.1"),
    ("12.34", D("12.34"), "12.34"),
    ("100.5", D("100.5"), "100.5"),
    ("1E-130", D("1E-130"), "0." + "0" * 129 + "1"),
    ("9.99E+125", D("9.99E+125"), "999" + "0" * 123),
    (
        "1234567890123456789012345678901234",
        D("1234567890123456789012345678901234"),
        "1234567890123456789012345678901234",
    ),
    (
        "12345678901234567890123456789012345",
        "12345678901234567890123456789012345",
        "12345678901234567890123456789012345",
    ),
    (
        "123456789012345678901234567890123400",
        D("1234567890123456789012345678901234E2"),
        "123456789012345678901234567890123400",
    ),
    (
        "0.12345678901234567890123456789012345678",
        "0.12345678901234567890123456789012345678",
        "0.12345678901234567890123456789012345678",
    ),
    ("-9.9999999999999999999999999999999999999E+125", "-" + "9" * 38 + "0" * 88, "-" + "9" * 38 + "0" * 88),
    (
        "1.2345678901234567890123456789012345678E-93",
        "0." + "0" * 92 + "12345678901234567890123456789012345678",
        "0." + "0" * 92 + "12345678901234567890123456789012345678",
    ),
    (".5", D("0.5"), "0.5"),
    ("+7", 7, "7"),
    ("007", 7, "7"),
]


@pytest.mark.parametrize("text,change,plain", NUMBERS, ids=[n[0][:24] for n in NUMBERS])
def test_a_number_becomes_the_narrowest_exact_type(text, change, plain):
    found = oracle.exact_number(text)
    assert oracle.differences(change, found) == []
    assert oracle.plain_text(text) == plain


CHANGE = [
    ({"S": ""}, ""),
    ({"S": "a\0b"}, "a\0b"),
    ({"B": b""}, b""),
    ({"BOOL": False}, False),
    ({"NULL": True}, None),
    ({"SS": [""]}, [""]),
    (
        {"NS": ["1", "2.5", "12345678901234567890123456789012345678"]},
        [1, D("2.5"), "12345678901234567890123456789012345678"],
    ),
    ({"BS": [b"", b"\xff"]}, [b"", b"\xff"]),
    ({"L": []}, []),
    ({"M": {}}, {}),
    ({}, {}),
    ({"L": [{"M": {"$a.b": {"N": "1"}, "_id": {"L": [{"NULL": True}]}}}]}, [{"$a.b": 1, "_id": [None]}]),
]


@pytest.mark.parametrize("value,expected", CHANGE, ids=repr)
def test_a_value_in_change(value, expected):
    item = {"pk": {"S": "k"}, "v": value}
    assert oracle.expected_document(item, PK, "change") == {"pk": "k", "v": expected}


RAW = [
    ({"S": ""}, {"S": ""}),
    ({"N": "1E-3"}, {"N": "1E-3"}),
    ({"N": "1.50"}, {"N": "1.50"}),
    ({"NULL": True}, {"NULL": True}),
    ({"NS": ["1", "2"]}, {"NS": ["1", "2"]}),
    ({"BS": [b"x"]}, {"BS": [b"x"]}),
    ({}, {"M": {}}),
    ({"M": {"_id": {"L": [{}, {"B": b""}]}}}, {"M": {"_id": {"L": [{"M": {}}, {"B": b""}]}}}),
]


@pytest.mark.parametrize("value,expected", RAW, ids=repr)
def test_a_value_in_raw(value, expected):
    item = {"pk": {"S": "k"}, "v": value}
    assert oracle.expected_document(item, PK, "raw") == {"pk": {"S": "k"}, "v": expected}


def test_double_touches_every_number_but_the_keys():
    schema = oracle.KeySchema(("pk", "sk"), ("N", "S"))
    item = {
        "pk": {"N": "9007199254740993"},
        "sk": {"S": ""},
        "n": {"N": "9007199254740993"},
        "l": {"L": [{"N": "1"}]},
    }
    found = oracle.expected_document(item, schema, "change", number="double", target_id="key")
    expected = {"pk": Int64(9007199254740993), "sk": "", "n": 9007199254740992.0, "l": [1.0]}
    expected["_id"] = {"pk": Int64(9007199254740993), "sk": ""}
    assert oracle.differences(expected, found) == []
    assert oracle.expected_document(item, schema, "mchange", target_id="key") == found


def test_a_raw_key_has_its_canonical_spelling():
    schema = oracle.KeySchema(("pk",), ("N",))
    item = {"pk": {"N": "1.50E1"}, "n": {"N": "1.50E1"}}
    assert oracle.expected_document(item, schema, "raw") == {"pk": {"N": "15"}, "n": {"N": "1.50E1"}}


def test_the_identity_is_the_converted_key():
    item = {"sk": {"B": b"\1"}, "_id": {"N": "1.5"}}
    schema = oracle.KeySchema(("_id", "sk"), ("N", "B"))
    raw = oracle.expected_document(item, schema, "raw", target_id="key")
    assert list(raw["_id"].items()) == [("pre_id", {"N": "1.5"}), ("sk", {"B": b"\1"})]
    change = oracle.expected_document(item, schema, "change", id_prefix="x", target_id="key")
    assert list(change["_id"]) == ["x_id", "sk"]
    single = oracle.expected_document({"pk": {"S": "a"}}, PK, "change", target_id="key")
    assert single == {"pk": "a", "_id": "a"}


REFUSED = [
    ({"$x": {"S": ""}}, {oracle.LEADING_DOLLAR}),
    ({"$": {"S": ""}}, {oracle.LEADING_DOLLAR}),
    ({"a\0": {"S": ""}}, {oracle.NUL_IN_NAME}),
    ({"m": {"M": {"a\0": {"S": ""}}}}, {oracle.NUL_IN_NAME}),
    ({"m": {"L": [{"M": {"\0": {"S": ""}}}]}}, {oracle.NUL_IN_NAME}),
    ({"_id": {"S": "x"}, "pre_id": {"S": "y"}}, {oracle.ID_CLASH}),
    ({"v": {"S": "\ud800"}}, {oracle.NOT_UTF8}),
    ({"v": {"SS": ["a", "\udfff"]}}, {oracle.NOT_UTF8}),
    ({"v": {"M": {"\udc00": {"S": ""}}}}, {oracle.NOT_UTF8}),
    ({"$\ud800": {"S": "\ud800"}}, {oracle.LEADING_DOLLAR, oracle.NOT_UTF8}),
]
TAKEN = [
    {"m": {"M": {"$x": {"S": ""}}}},
    {"a$": {"S": ""}},
    {"a.b": {"S": ""}, ".": {"S": ""}},
    {"_id": {"S": "x"}},
    {"pre_id": {"S": "x"}},
    {"v": {"S": "\0"}},
    {"m": {"M": {"_id": {"S": ""}, "pre_id": {"S": ""}}}},
    {"\U0001f600": {"S": "\U0001f600"}},
]


@pytest.mark.parametrize("convert_type", ["raw", "change"])
@pytest.mark.parametrize("attributes,reasons", REFUSED, ids=[repr(attributes) for attributes, _ in REFUSED])
def test_what_no_document_can_hold_is_a_dead_letter(attributes, reasons, convert_type):
    found = oracle.expected_document({"pk": {"S": "k"}, **attributes}, PK, convert_type)
    assert found == oracle.DeadLetter(frozenset(reasons))


@pytest.mark.parametrize("attributes", TAKEN, ids=repr)
def test_what_a_document_can_hold_is_none(attributes):
    assert isinstance(oracle.expected_document({"pk": {"S": "k"}, **attributes}, PK, "raw"), dict)


def test_dotted_names_are_refused_only_where_the_server_cannot_take_them():
    item = {"pk": {"S": "k"}, "a.b": {"S": ""}}
    assert oracle.expected_document(item, PK, "raw")["a.b"] == {"S": ""}
    refused = oracle.expected_document(item, PK, "raw", dots_refused=True)
    assert refused == oracle.DeadLetter(frozenset({oracle.DOTTED_NAME}))


KEYS = [
    ({"pk": {"S": "u1"}}, b'{"pk":{"S":"u1"}}'),
    (
        {"pk": {"S": 'a"\\/\b\f\n\r\t\0\x1f\x7f'}},
        b'{"pk":{"S":"a\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"}}',
    ),
    ({"pk": {"S": "\u00e9\u2028\U0001f600"}}, b'{"pk":{"S":"\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80"}}'),
    ({"pk": {"S": "\ud83d"}}, b'{"pk":{"S":"\\ud83d"}}'),
    ({'p"k': {"S": "x"}}, b'{"p\\"k":{"S":"x"}}'),
    ({"pk": {"N": "-0.0"}}, b'{"pk":{"N":"0"}}'),
    ({"pk": {"N": "1.500E1"}}, b'{"pk":{"N":"15"}}'),
    ({"pk": {"N": "1E-5"}}, b'{"pk":{"N":"0.00001"}}'),
    ({"pk": {"B": b""}}, b'{"pk":{"B":""}}'),
    ({"pk": {"B": b"\xfb\xff"}}, b'{"pk":{"B":"+/8="}}'),
]


@pytest.mark.parametrize("key,expected", KEYS, ids=repr)
def test_a_key_has_one_spelling(key, expected):
    assert oracle.canonical_key(key) == expected


def test_the_hash_key_stands_before_the_range_key():
    schema = oracle.KeySchema.of_table(
        {
            "KeySchema": [
                {"AttributeName": "a", "KeyType": "RANGE"},
                {"AttributeName": "b", "KeyType": "HASH"},
            ],
            "AttributeDefinitions": [
                {"AttributeName": "a", "AttributeType": "N"},
                {"AttributeName": "b", "AttributeType": "S"},
            ],
        }
    )
    item = {"a": {"N": "1.0"}, "b": {"S": "x"}, "c": {"NULL": True}}
    assert schema == oracle.KeySchema(("b", "a"), ("S", "N"))
    assert oracle.canonical_key(schema.key_of(item), schema) == b'{"b":{"S":"x"},"a":{"N":"1"}}'
    assert oracle.message_key(item, schema) == b'{"b":{"S":"x"}}'


MURMUR2 = [  # from Kafka's own UtilsTest
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize("data,signed", MURMUR2, ids=repr)
def test_murmur2_is_java_clients(data, signed):
    assert oracle.murmur2(data) == signed & 0xFFFFFFFF
    assert oracle.partition_of(data, 12) == (signed & 0x7FFFFFFF) % 12


SCHEMAS = [
    ({"pk": {"S": "x"}}, ("S",)),
    ({"pk": {"N": "12345678901234567890123456789012345678"}}, ("N",)),
    ({"pk": {"N": "-1.50"}}, ("N",)),
    ({"pk": {"N": "9007199254740993"}}, ("N",)),
    ({"pk": {"B": b"\0\xff"}}, ("B",)),
    ({"_id": {"S": "x"}, "sk": {"N": "1E-130"}}, ("S", "N")),
]


@pytest.mark.parametrize("convert_type", ["raw", "change"])
@pytest.mark.parametrize("key,types", SCHEMAS, ids=repr)
def test_a_documents_key_can_be_computed_back(key, types, convert_type):
    schema = oracle.KeySchema(tuple(key), types)
    document = oracle.expected_document(key, schema, convert_type)
    assert oracle.canonical_from_document(document, schema, convert_type) == oracle.canonical_key(key, schema)


@pytest.mark.parametrize(
    "document", [{}, {"pk": 1}, {"pk": {"S": 1}}, {"pk": {"S": "a", "N": "1"}}, {"pk": None}], ids=repr
)
def test_a_document_without_our_key_is_the_users(document):
    assert oracle.canonical_from_document(document, PK, "raw") is None


ITEM = {
    "pk": {"S": "k"},
    "n": {"N": "1.5"},
    "i": {"N": "7"},
    "ns": {"NS": ["1", "2", "0.5"]},
    "m": {"M": {"ss": {"SS": ["a", "b"]}, "l": {"L": [{"N": "1"}, {"N": "2"}]}}},
}
DOCUMENT = {
    "_id": ObjectId(),
    "pk": "k",
    "n": D("1.50"),
    "i": 7,
    "ns": [D("0.5"), 2, 1],
    "m": {"ss": ["b", "a"], "l": [1, 2]},
}

CHANGED = [
    ({"i": Int64(7)}, "i: int32 7 expected, int64"),
    ({"i": 7.0}, "i: int32"),
    ({"i": "7"}, "i: int32"),
    ({"i": 8}, "i: 7 expected, 8 found"),
    ({"n": D("1.51")}, "n: "),
    ({"n": 1.5}, "n: decimal128"),
    ({"ns": [1, 2]}, "ns: 3 elements"),
    ({"ns": [1, 2, 2]}, "ns."),
    ({"m": {"ss": ["a", "b"], "l": [2, 1]}}, "m.l.0"),
    ({"m": {"ss": ["a", "b"]}}, "m: no 'l'"),
    ({"more": None}, "document: unexpected 'more'"),
    ({"_id": "k"}, "_id: an ObjectId"),
]


def test_the_same_is_the_same_whatever_a_sets_order():
    result = oracle.compare_items([ITEM], [DOCUMENT, {"_id": 1, "mine": True}], PK, "change")
    assert (result.differences, result.items, result.same) == ([], 1, 1)


@pytest.mark.parametrize("change,start", CHANGED, ids=repr)
def test_a_difference_is_seen(change, start):
    result = oracle.compare_items([ITEM], [{**DOCUMENT, **change}], PK, "change")
    assert result.same == 0
    assert result.differences[0].startswith(oracle.show(b'{"pk":{"S":"k"}}') + ": " + start)


def test_missing_doubled_and_extra_documents_are_seen():
    other = {"_id": ObjectId(), "pk": "other"}
    missing = oracle.compare_items([ITEM], [], PK, "change")
    assert len(missing.differences) == 1 and missing.differences[0].endswith(": no document")
    doubled = oracle.compare_items([ITEM], [DOCUMENT, DOCUMENT], PK, "change")
    assert len(doubled.differences) == 1 and doubled.differences[0].endswith(": two documents")
    extra = oracle.compare_items([ITEM], [DOCUMENT, other], PK, "change")
    assert len(extra.differences) == 1 and extra.differences[0].endswith(": a document without an item")


def test_a_raw_numbers_spelling_counts():
    item = {"pk": {"S": "k"}, "n": {"N": "1.50"}}
    document = {"_id": ObjectId(), "pk": {"S": "k"}, "n": {"N": "1.5"}}
    assert len(oracle.compare_items([item], [document], PK, "raw").differences) == 1


def test_the_old_document_of_a_refused_item_stays():
    item = {"pk": {"S": "k"}, "$x": {"S": ""}}
    for documents in ([], [{"_id": ObjectId(), "pk": "k"}]):
        result = oracle.compare_items([item], documents, PK, "change")
        assert result.differences == []
        assert list(result.dead) == [b'{"pk":{"S":"k"}}']


def test_the_order_of_a_compound_identity_counts():
    schema = oracle.KeySchema(("pk", "sk"), ("S", "S"))
    item = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    right = {"_id": {"pk": "a", "sk": "b"}, "pk": "a", "sk": "b"}
    wrong = {**right, "_id": {"sk": "b", "pk": "a"}}
    assert not oracle.compare_items([item], [right], schema, "change", target_id="key").differences
    assert len(oracle.compare_items([item], [wrong], schema, "change", target_id="key").differences) == 1


def test_dead_letters_are_exactly_the_refused():
    assert oracle.check_dead_letters({b"a"}, {b"a", b"b"}, [b"a", b"b", b"a"]) == []
    assert oracle.check_dead_letters({b"a"}, {b"a"}, []) == ["b'a': no dead letter"]
    assert oracle.check_dead_letters(set(), {b"a"}, [b"c"]) == ["b'c': a dead letter without a reason"]


def test_decimals_are_compared_by_value_to_the_last_digit():
    one, two = Decimal("1E-130"), Decimal("2E-130")
    assert oracle.differences(D(one), D("1.0E-130")) == []
    assert oracle.differences(D(one), D(two)) != []
    big = "1234567890123456789012345678901234"
    assert oracle.differences(D(big), D(big[:-1] + "5")) != []
