"""DynamoDB attribute values: checked, brought into the service's own spelling, measured, compared.

Everything here is pure. A value is the JSON of the protocol, {"S": "x"}, as Python objects.
"""
import base64
import binascii
import decimal
import json
import re

MAX_DEPTH = 32
CONTEXT = decimal.Context(prec=400, Emin=-1000, Emax=1000)
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPE = re.compile(r"\\\\|\\u[0-9a-f]{4}")


class Invalid(Exception):
    """A value that DynamoDB refuses, with its words."""


def number(text):
    """The service's spelling of a number: plain digits, no zeros that say nothing."""
    try:
        value = CONTEXT.create_decimal(text)
    except (decimal.InvalidOperation, TypeError) as e:
        raise Invalid("The parameter cannot be converted to a numeric value: %s" % text) from e
    if not value.is_finite():
        raise Invalid("The parameter cannot be converted to a numeric value: %s" % text)
    if value.is_zero():
        return "0"
    value = value.normalize(CONTEXT)
    if len(value.as_tuple().digits) > 38:
        raise Invalid("Attempting to store more than 38 significant digits in a Number")
    if value.adjusted() > 125:
        raise Invalid("Number overflow. Attempting to store a number with magnitude larger than "
                      "supported range")
    if value.adjusted() < -130:
        raise Invalid("Number underflow. Attempting to store a number with magnitude smaller than "
                      "supported range")
    return format(value, "f")


def binary(text):
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except (binascii.Error, TypeError) as e:
        raise Invalid("Invalid base64 in a binary value") from e


def string(text):
    if not isinstance(text, str):
        raise Invalid("A string value is not a string")
    return text


SCALARS = {"S": string, "N": number, "B": binary, "BOOL": bool, "NULL": lambda v: True}
SETS = {"SS": string, "NS": number, "BS": binary}


def canonical(value, depth=0):
    """The value as the service would store it; raises Invalid for what it would refuse."""
    if not isinstance(value, dict) or len(value) != 1:
        raise Invalid("Supplied AttributeValue has more than one datatypes set, must contain "
                      "exactly one of the supported datatypes")
    (kind, inner), = value.items()
    if depth > MAX_DEPTH:
        raise Invalid("Nesting Levels have exceeded supported limits")
    if kind in SCALARS:
        return {kind: SCALARS[kind](inner)}
    if kind in SETS:
        members = [SETS[kind](m) for m in inner]
        if not members:
            raise Invalid("An %s set may not be empty" % {"S": "string", "N": "number",
                                                          "B": "binary"}[kind[0]])
        if len(set(members)) < len(members):
            raise Invalid("Input collection contains duplicates.")
        return {kind: members}
    if kind == "L":
        return {"L": [canonical(v, depth + 1) for v in inner]}
    if kind == "M":
        return {"M": {name: canonical(v, depth + 1) for name, v in inner.items()}}
    raise Invalid("Supplied AttributeValue is empty, must contain exactly one of the supported "
                  "datatypes")


def comparable(value):
    """A hashable form in which equal values are equal (sets without order)."""
    (kind, inner), = value.items()
    if kind in SETS:
        return kind, frozenset(inner)
    if kind == "L":
        return kind, tuple(comparable(v) for v in inner)
    if kind == "M":
        return kind, frozenset((name, comparable(v)) for name, v in inner.items())
    return kind, inner


def same_item(a, b):
    if a is None or b is None:
        return a is b
    return comparable({"M": a}) == comparable({"M": b})


def text_size(text):
    return len(text.encode("utf-8", "surrogatepass"))


def number_size(text):
    return (len(text.strip("-").replace(".", "").strip("0")) + 1) // 2 + 1 + text.startswith("-")


def size(value):
    """Bytes of a value as DynamoDB counts them."""
    (kind, inner), = value.items()
    if kind == "S":
        return text_size(inner)
    if kind == "N":
        return number_size(inner)
    if kind == "B":
        return len(inner) * 3 // 4 - inner.count("=")
    if kind in SETS:
        return sum(size({kind[0]: m}) for m in inner)
    if kind == "L":
        return 3 + sum(1 + size(v) for v in inner)
    if kind == "M":
        return 3 + sum(1 + text_size(name) + size(v) for name, v in inner.items())
    return 1


def item_size(item):
    return sum(text_size(name) + size(value) for name, value in item.items())


def dumps(thing):
    """JSON as the service writes it: no spaces, UTF-8 unescaped; lone surrogates can only be escaped."""
    text = json.dumps(thing, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        text = LONE_SURROGATE.sub(lambda m: "\\u%04X" % ord(m.group()), text)
    return text


def dumps_escaped(thing):
    """JSON as DynamoDB Local's Streams write it: everything outside ASCII as \\uXXXX, upper case."""
    text = json.dumps(thing, ensure_ascii=True, separators=(",", ":"))
    return ESCAPE.sub(lambda m: m.group()[:2] + m.group()[2:].upper(), text)


def local_spelling(value):
    """The same value in DynamoDB Local's Streams spelling: `{}` for an empty map, numbers with exponents."""
    (kind, inner), = value.items()
    if kind == "N":
        return {"N": str(CONTEXT.create_decimal(inner).normalize(CONTEXT))}
    if kind == "NS":
        return {"NS": [local_spelling({"N": n})["N"] for n in inner]}
    if kind == "L":
        return {"L": [local_spelling(v) for v in inner]}
    if kind == "M":
        return {"M": local_item(inner)} if inner else {}
    return value


def local_item(item):
    """A whole image in that spelling, its attributes in another order than Scan gives."""
    return {name: local_spelling(item[name]) for name in sorted(item, reverse=True)}
