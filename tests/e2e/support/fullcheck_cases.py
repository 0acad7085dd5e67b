"""The planted differences: values of every type and depth, what stands at the target instead, and where a
checker must see them part. A case without such a place is no difference: it must not be reported.

`other` is what the item would have to be (as the oracle converts it), None where nothing stands, or Bson: the
very value, for each conversion.
"""

import datetime
from dataclasses import dataclass

from bson import Binary, Decimal128, Int64, MaxKey, ObjectId, Regex

from . import oracle

HERE = ((),)
SAME = ()
RAW, CHANGE = ("raw",), ("change",)
BOTH = RAW + CHANGE
ABSENT = object()

DIGITS_38 = "12345678901234567890123456789012345678"
NEXT_38 = "12345678901234567890123456789012345679"
FRACTION_38 = "-0.12345678901234567890123456789012345678"
DIGITS_34 = "1234567890123456789012345678901234"
LONG_TEXT = "x" * 60_000


def s(text):
    return {"S": text}


def n(text):
    return {"N": text}


def b(data):
    return {"B": data}


def lst(*elements):
    return {"L": list(elements)}


def mp(**members):
    return {"M": members}


NULL = {"NULL": True}
TRUE, FALSE = {"BOOL": True}, {"BOOL": False}


@dataclass(frozen=True)
class Bson:
    """A value as it stands in the document; `forms` are the conversions for which it was written."""

    raw: object = ABSENT
    change: object = ABSENT

    @property
    def forms(self):
        return tuple(form for form in BOTH if getattr(self, form) is not ABSENT)


@dataclass(frozen=True)
class Case:
    name: str
    value: dict  # of the item; None: it has no such attribute
    other: object
    paths: tuple = HERE  # where the two part, from the value on
    forms: tuple = BOTH

    def fits(self, convert_type):
        forms = self.other.forms if isinstance(self.other, Bson) else self.forms
        return convert_type in forms


def change_number(value):
    return Bson(raw={"N": str(value)}, change=value)


NUMBERS = [
    Case("a digit in position 38", n(DIGITS_38), n(NEXT_38)),
    Case("a digit in position 38 behind the point", n(FRACTION_38), n(FRACTION_38[:-1] + "9")),
    Case("a digit in position 34", n(DIGITS_34), n(DIGITS_34[:-1] + "5")),
    Case("rounded to 34 digits", n(DIGITS_38), n(DIGITS_38[:34] + "0000")),
    Case("a digit in position 17", n("9007199254740993"), n("9007199254740992")),
    Case("a sign", n("5"), n("-5")),
    Case("the smallest", n("1E-130"), n("0")),
    Case("a power of ten", n("1E125"), n("1E124")),
    Case("an integer as a double", n("9007199254740993"), Bson(change=9007199254740992.0)),
    Case("a fraction as a double", n("0.1"), Bson(change=0.1)),
    Case("many digits as a double", n(DIGITS_38), Bson(change=float(DIGITS_38))),
    Case("not a number", n("0"), Bson(raw={"N": "NaN"}, change=float("nan"))),
    Case("infinite", n("9E125"), Bson(raw={"N": "Infinity"}, change=Decimal128("Infinity"))),
    Case("number against its text", n("5"), s("5")),
    Case("text against its number", s("5"), n("5")),
    Case("34 digits as text", n(DIGITS_34), s(DIGITS_34)),
    Case("36 digits that end in zeros as text", n(DIGITS_34 + "00"), s(DIGITS_34 + "00")),
    Case("another text for 38 digits", n(DIGITS_38), s(DIGITS_38 + " ")),
    Case("number against null", n("0"), NULL),
    Case("number against bool", n("1"), TRUE),
    Case("1.0 for 1", n("1"), change_number(Decimal128("1.0")), SAME),
    Case("1.0 as text for 1", n("1"), Bson(raw={"N": "1.0"}), SAME),
    Case("an exponent for zeros", n("1200"), Bson(raw={"N": "1.2E+3"}, change=Decimal128("1.2E+3")), SAME),
    Case("int64 for int32", n("7"), Bson(change=Int64(7)), SAME),
    Case("Decimal128 for int32", n("7"), Bson(change=Decimal128("7")), SAME),
    Case("a double that is the value", n("0.5"), Bson(change=0.5), SAME),
    Case("a double that is the integer", n("1048576"), Bson(change=1048576.0), SAME),
    Case("zero of another sign", n("0"), Bson(raw={"N": "-0.00"}, change=Decimal128("-0")), SAME),
]
TEXTS = [
    Case("case", s("Straße"), s("straße")),
    Case("a trailing NUL", s("abc"), s("abc\0")),
    Case("a NUL in the middle", s("a\0b"), s("a\0c")),
    Case("another normal form", s("\u00e9"), s("e\u0301")),
    Case("a trailing space", s("abc"), s("abc ")),
    Case("an astral character", s("\U0001f600"), s("\U0001f601")),
    Case("empty text against nothing", s(""), None),
    Case("empty text against null", s(""), NULL),
    Case("nothing against empty text", None, s("")),
    Case("the last byte of a long text", s(LONG_TEXT), s(LONG_TEXT[:-1] + "y")),
    Case("text against bool", s("true"), TRUE),
    Case("text against a symbol of another type", s("a"), Bson(raw={"S": Regex("a")}, change=Regex("a"))),
]
BINARIES = [
    Case("a byte", b(b"\0\1\2"), b(b"\0\1\3")),
    Case("a byte more", b(b"\0\1\2"), b(b"\0\1\2\0")),
    Case("binary against text", b(b"abc"), s("abc")),
    Case("text against binary", s("abc"), b(b"abc")),
    Case("empty binary against empty text", b(b""), s("")),
    Case("empty binary against nothing", b(b""), None),
    Case("its base64", b(b"abc"), s("YWJj")),
]
SINGLES = [
    Case("bool", TRUE, FALSE),
    Case("bool against its text", TRUE, s("true")),
    Case("bool against number", FALSE, n("0")),
    Case("null against nothing", NULL, None),
    Case("nothing against null", None, NULL),
    Case("null against false", NULL, FALSE),
    Case("null against empty text", NULL, s("")),
    Case("null against an empty map", NULL, mp()),
    Case("an attribute more", None, s("unexpected")),
    Case("an attribute fewer", s("expected"), None),
    Case("an ObjectId", s("x"), Bson(raw=ObjectId(), change=ObjectId())),
    Case("a date", n("0"), Bson(change=datetime.datetime(1970, 1, 1))),
    Case("an end of all keys", n("1"), Bson(change=MaxKey())),
    Case("a UUID's binary", b(bytes(16)), Bson(raw={"B": Binary(bytes(16), 4)}, change=Binary(bytes(16), 4))),
]
SETS = [
    Case("an element of a text set", {"SS": ["a", "b", "c"]}, {"SS": ["a", "B", "c"]}),
    Case("an element fewer", {"SS": ["a", "b", "c"]}, {"SS": ["a", "b"]}),
    Case("an element more", {"SS": ["a", "b"]}, {"SS": ["a", "b", "c"]}),
    Case("an element twice", {"SS": ["a", "b"]}, {"SS": ["a", "b", "b"]}),
    Case("an element twice for another", {"SS": ["a", "b", "c"]}, {"SS": ["a", "b", "b"]}),
    Case("a set of one against its element", {"SS": ["a"]}, s("a")),
    Case("a digit in a number set", {"NS": ["1", DIGITS_38]}, {"NS": ["1", NEXT_38]}),
    Case("a number set's element as text", {"NS": ["1", "2"]}, {"SS": ["1", "2"]}),
    Case("a byte in a binary set", {"BS": [b"\0", b"\1\2"]}, {"BS": [b"\0", b"\1\3"]}),
    Case("a binary set against texts", {"BS": [b"a"]}, {"SS": ["a"]}),
    Case("a set against a list", {"SS": ["a", "b"]}, lst(s("a"), s("b")), forms=RAW),
    Case("a list against a set", lst(n("1"), n("2")), {"NS": ["1", "2"]}, forms=RAW),
    Case("a set of texts of digits against numbers", {"SS": [DIGITS_34]}, {"NS": [DIGITS_34]}),
    Case("texts in another order", {"SS": ["a", "b", "c"]}, {"SS": ["c", "a", "b"]}, SAME),
    Case("numbers in another order", {"NS": ["10", "9", DIGITS_38, "-1"]},
         {"NS": ["-1", DIGITS_38, "10", "9"]}, SAME),
    Case("binaries in another order", {"BS": [b"\1", b"\0", b""]}, {"BS": [b"", b"\1", b"\0"]}, SAME),
    Case("other number types in a set", {"NS": ["1", "2"]},
         Bson(raw={"NS": ["2.0", "1E0"]}, change=[Decimal128("2.0"), Int64(1)]), SAME),
]  # fmt: skip
LISTS = [
    Case("another order", lst(n("1"), n("2"), n("3")), lst(n("1"), n("3"), n("2")), ((1,), (2,))),
    Case("an element more at the end", lst(s("a")), lst(s("a"), s("b")), ((1,),)),
    Case("an element fewer at the end", lst(s("a"), NULL), lst(s("a")), ((1,),)),
    Case("an empty list against null", lst(), NULL),
    Case("an empty list against an empty map", lst(), mp()),
    Case("an empty list against nothing", lst(), None),
    Case("a list against its element", lst(s("a")), s("a")),
    Case("within lists", lst(lst(lst(n("1"), n("2")))), lst(lst(lst(n("1"), n("4")))), ((0, 0, 1),)),
    Case("an empty list within a list", lst(lst(), mp()), lst(mp(), lst()), ((0,), (1,))),
    Case("a bare element", lst(s("a"), s("b")), Bson(raw={"L": ["a", {"S": "b"}]}), ((0,),)),
]
MAPS = [
    Case("a member's value", mp(a=s("1"), b=s("2")), mp(a=s("1"), b=s("3")), (("b",),)),
    Case("a member more", mp(a=NULL), mp(a=NULL, b=NULL), (("b",),)),
    Case("a member fewer", mp(a=NULL, b=mp()), mp(a=NULL), (("b",),)),
    Case("a member's name", mp(a=n("1")), mp(A=n("1")), (("a",), ("A",))),
    Case("an empty map against an empty list", mp(), lst()),
    Case("an empty map against null", mp(), NULL),
    Case("an empty map against nothing", mp(), None),
    Case("a map against a list", {"M": {"0": s("a")}}, lst(s("a"))),
    Case("names with dots and dollars", {"M": {"a.b": n("1"), "$c": n("1")}},
         {"M": {"a.b": n("2"), "$c": n("3")}}, (("a.b",), ("$c",))),
    Case("a dotted name against a path", {"M": {"a.b": n("1")}}, mp(a=mp(b=n("1"))), (("a.b",), ("a",))),
    Case("members called as the types", mp(S=s("x"), N=n("1")), mp(S=s("y"), N=n("2")), (("S",), ("N",))),
    Case("a member called _id", {"M": {"_id": n("1")}}, {"M": {"_id": n("2")}}, (("_id",),)),
    Case("members in another order", mp(a=n("1"), b=s(""), c=mp(x=NULL, y=NULL)),
         mp(c=mp(y=NULL, x=NULL), b=s(""), a=n("1")), SAME),
]  # fmt: skip
WRAPPERS = [
    Case("a number in S", s("5"), Bson(raw={"S": 5})),
    Case("two types", s("5"), Bson(raw={"S": "5", "N": "5"})),
    Case("an unknown type", s("5"), Bson(raw={"X": "5"})),
    Case("no wrapper", s("5"), Bson(raw="5")),
    Case("no number", n("5"), Bson(raw={"N": "five"})),
    Case("another null", NULL, Bson(raw={"NULL": False})),
    Case("a bare null", NULL, Bson(raw=None)),
    Case("a bool that is a number", TRUE, Bson(raw={"BOOL": 1})),
    Case("a number in a set of texts", {"SS": ["a", "b"]}, Bson(raw={"SS": ["a", 5]})),
    Case("a list that is none", lst(s("a")), Bson(raw={"L": {"0": {"S": "a"}}})),
    Case("a map that is none", mp(a=s("a")), Bson(raw={"M": [{"S": "a"}]})),
    Case("a text in B", b(b"a"), Bson(raw={"B": "a"})),
]
CASES = NUMBERS + TEXTS + BINARIES + SINGLES + SETS + LISTS + MAPS + WRAPPERS

# Where a value stands in its item: names and list positions from the top.
DEEP = ("a", *("m", 1) * 9, "x")
PLACES = [("a",), ("a", "l", 1, "x"), DEEP]
# Names at the top, each with one case.
NAMES = ["_id", "a.b", ".", "a..b", "x$y", "\u00fc", "S", "with space", "\U0001f600", "__proto__"]


# --- items and documents ---


def planted(path, value):
    """Attributes of which the one at this path has the value; None: everything but that."""
    name, *below = path
    if not below:
        return {name: value} if value is not None else {}
    return {name: container(below, value)}


def container(path, value):
    step, *below = path
    if isinstance(step, str):
        return {"M": {"beside": s("it"), **planted(path, value)}}
    return {"L": [NULL] * step + [container(below, value)]}


def stored(name, id_prefix="pre"):
    return id_prefix + "_id" if name == "_id" else name


def unwrapped(value, convert_type):
    return next(iter(value.values())) if convert_type == "raw" else value


def damage(document, path, other, convert_type):
    """Puts what the case says at the path of the document."""
    here, (step, *below) = document, (stored(path[0]), *path[1:])
    for following in below:
        here, step = unwrapped(here[step], convert_type), following
    if other is None:
        del here[step]
    elif isinstance(other, Bson):
        here[step] = getattr(other, convert_type)
    else:
        here[step] = oracle.converter(convert_type, "exact")(other)


@dataclass(frozen=True)
class Plant:
    """A case at a place."""

    case: Case
    place: tuple

    @property
    def attributes(self):
        return planted(self.place, self.case.value)

    @property
    def paths(self):
        return [self.place + path for path in self.case.paths]

    def damage(self, document, convert_type):
        damage(document, self.place, self.case.other, convert_type)


def plants(taken=()):
    """Every case at every place, and every name; `taken` are the key's names."""
    found = [Plant(case, place) for case in CASES for place in PLACES]
    named = Case("of this name", s("a"), s("b"))
    found += [Plant(named, (name,)) for name in NAMES if name not in taken]
    return found


def backwards(value):
    """The same value, with its attributes and its sets in the opposite order."""
    kind, content = oracle.type_of(value)
    if kind == "M":
        return {"M": {name: backwards(content[name]) for name in reversed(content)}}
    if kind == "L":
        return {"L": [backwards(element) for element in content]}
    return {kind: content[::-1] if kind in ("SS", "NS", "BS") else content}


# --- what stands where ---

TYPES = {
    "S": "string", "N": "number", "B": "binary", "BOOL": "bool", "NULL": "null",
    "SS": "set", "NS": "set", "BS": "set", "L": "list", "M": "map",
}  # fmt: skip
SHORT = 100  # texts up to this length are told in full


def value_at(item, path):
    """The item's value at a path; None: there is none."""
    here = {"M": item}
    for step in path:
        kind, content = oracle.type_of(here)
        if kind == "M" and isinstance(step, str):
            here = content.get(step)
        else:
            here = content[step] if kind == "L" and step < len(content) else None
        if here is None:
            return None
    return here


def stands_at(document, path, convert_type):
    """Whether the document has anything at a path of its item."""
    here = document
    for number, step in enumerate((stored(path[0]), *path[1:])):
        if number:
            here = unwrapped(here, convert_type)
        try:
            here = here[step]
        except (KeyError, IndexError):
            return False
    return True


def source_value(value, told):
    """What the report must tell of an item's value: its type, and the text of those that have a plain one."""
    if value is None:
        return None
    kind, content = oracle.type_of(value)
    texts = {"S": lambda: content, "N": lambda: oracle.plain_text(content)}
    text = texts[kind]() if kind in texts else None
    whole = text is not None and len(text) <= SHORT
    return {"type": TYPES[kind], "text": text if whole else told and told["text"]}
