"""Whole answers of Scan and GetRecords, made once and patched, so that serving costs hardly any CPU.

A few templates hold the items of a page. All items of all templates have the same length, so the page's
number is written into every key of a copy with one strided assignment a digit. Pure.
"""
import base64
import random
import string
import zlib

from . import values
from .values import dumps

PAGE_DIGITS, INDEX_DIGITS = 6, 4
MARK = "P" * PAGE_DIGITS + "I" * INDEX_DIGITS
FIRST_SEQUENCE = "1" + "0" * 10
TEMPLATES = 4


def word(rng, length):
    return "".join(rng.choices(string.ascii_lowercase, k=length))


def digits(rng, length):
    """A number of just so many digits, whose spelling is canonical."""
    return rng.choice("123456789") + "".join(rng.choices("123456789", k=length - 1))


def make_item(rng, item_bytes, index):
    """14 attributes of every common type, `item_bytes` as DynamoDB counts, one length for all."""
    item = {
        "pk": {"S": "user#" + MARK.replace("I" * INDEX_DIGITS, "%0*d" % (INDEX_DIGITS, index))},
        "name": {"S": word(rng, 16)},
        "email": {"S": word(rng, 12) + "@example.org"},
        "created_at": {"N": digits(rng, 13)},
        "score": {"N": digits(rng, 4)},
        "balance": {"N": digits(rng, 6) + "." + digits(rng, 2)},
        "active": {"BOOL": True},
        "nothing": {"NULL": True},
        "tags": {"SS": sorted("%d%s" % (n, word(rng, 7)) for n in range(3))},
        "address": {"M": {"street": {"S": word(rng, 20)}, "city": {"S": word(rng, 10)},
                          "zip": {"N": digits(rng, 5)}}},
        "history": {"L": [{"N": digits(rng, 5)} for _ in range(4)]},
        "token": {"B": base64.b64encode(rng.randbytes(30)).decode()},
        "version": {"N": digits(rng, 3)},
        "note": {"S": ""},
    }
    item["note"]["S"] = word(rng, max(item_bytes - values.item_size(item), 1))
    return item


def make_record(item, old, stamp):
    """A MODIFY record of this item; MARK stands in its sequence number too."""
    mark = item["pk"]["S"][len("user#"):]
    change = {"ApproximateCreationDateTime": stamp, "Keys": {"pk": item["pk"]}, "NewImage": item,
              "SequenceNumber": FIRST_SEQUENCE + mark, "SizeBytes": 520,
              "StreamViewType": "NEW_AND_OLD_IMAGES" if old else "NEW_IMAGE"}
    if old:
        change["OldImage"] = item
    return {"eventID": "0123456789abcdef" * 2, "eventName": "MODIFY", "eventVersion": "1.1",
            "eventSource": "aws:dynamodb", "awsRegion": "us-east-1", "dynamodb": change}


class Pages:
    """Pages of `per_page` elements each; `page(n, first, count, before, after)` gives a body's bytes."""

    def __init__(self, make_element, per_page, seed):
        if per_page > 10 ** INDEX_DIGITS:
            raise ValueError("at most %d elements per page" % 10 ** INDEX_DIGITS)
        self.per_page, self.templates = per_page, []
        for t in range(TEMPLATES):
            rng = random.Random("%s/%d" % (seed, t))
            texts = [dumps(make_element(rng, index)).encode() for index in range(per_page)]
            if len({len(x) for x in texts}) != 1:
                raise ValueError("elements differ in length")
            self.templates.append(b",".join(texts) + b",")
        self.stride = len(self.templates[0]) // per_page
        first = self.templates[0][:self.stride]
        mark = b"P" * PAGE_DIGITS
        self.marks = [at for at in range(self.stride) if first.startswith(mark, at)]

    def page(self, key_page, sequence_page, first, count, before, after):
        """`before`, these elements of the page, `after`; marks in a sequence number get the other number."""
        template = self.templates[key_page % TEMPLATES]
        body = bytearray(before)
        body += memoryview(template)[first * self.stride:(first + count) * self.stride]
        if count:
            del body[-1]  # the comma after the last one
            self._patch(body, len(before), count, key_page, sequence_page)
        body += after
        return body

    def _patch(self, body, start, count, key_page, sequence_page):
        span = self.stride * (count - 1) + 1
        for mark in self.marks:
            before = body[start + mark - 1:start + mark]
            number = key_page if before == b"#" else sequence_page
            for place, digit in enumerate(b"%0*d" % (PAGE_DIGITS, number)):
                at = start + mark + place
                body[at:at + span:self.stride] = bytes((digit,)) * count


def crc(body):
    return str(zlib.crc32(body))
