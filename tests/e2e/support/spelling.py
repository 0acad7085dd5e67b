"""Attribute values with every number in one spelling, for comparing what two services spelled."""

from .oracle import plain_text


def plain_value(value):
    """A value in boto3's form; sets are sorted."""
    if not value:
        return {"M": {}}
    ((kind, inner),) = value.items()
    if kind == "N":
        return {"N": plain_text(inner)}
    if kind == "NS":
        return {"NS": sorted(plain_text(n) for n in inner)}
    if kind in ("SS", "BS"):
        return {kind: sorted(inner)}
    if kind == "L":
        return {"L": [plain_value(v) for v in inner]}
    if kind == "M":
        return {"M": plain_item(inner)}
    return value


def plain_item(item):
    return item and {name: plain_value(value) for name, value in item.items()}
