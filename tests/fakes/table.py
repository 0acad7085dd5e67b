"""The model of a DynamoDB table: items in hash order, and the streams it has had.

Invariant: `order` is sorted and holds exactly the keys of `items`. Every write goes through `write`, which
adds the stream record. The caller holds the backend's lock.
"""
import bisect
import hashlib
import itertools
import json
import time
import uuid
from collections import namedtuple

from . import values
from .listing import Listing
from .quota import Bucket
from .stream import Stream
from .values import Invalid, dumps

PAGE_BYTES = 1 << 20
MAX_ITEM_BYTES = 400 * 1024
REGION = "us-east-1"
ACCOUNT = "000000000000"
LABELS = itertools.count(1)  # no two streams of a second have one label

Item = namedtuple("Item", "attributes text size")


class Lag:
    """DescribeTable does not know yet: for so many calls or seconds it shows what was before (None: nothing)."""

    def __init__(self, before, calls=0, seconds=0):
        self.before, self.calls, self.until = before, calls, time.monotonic() + seconds

    def look(self):
        """Whether a look that is made now still sees what was before."""
        if self.calls > 0:
            self.calls -= 1
            return True
        return time.monotonic() < self.until


class Table:
    def __init__(self, name, key_schema, definitions, created=None):
        self.name, self.id = name, str(uuid.uuid4())
        self.created = time.time() if created is None else created
        self.arn = "arn:aws:dynamodb:%s:%s:table/%s" % (REGION, ACCOUNT, name)
        self.key_schema, self.definitions = key_schema, definitions
        self.key_names = [k["AttributeName"] for k in
                          sorted(key_schema, key=lambda k: k["KeyType"] != "HASH")]
        self.key_types = {d["AttributeName"]: d["AttributeType"] for d in definitions}
        self.streams = []
        self.items, self.order = {}, []
        self.status, self.status_calls = "ACTIVE", 0
        self.extra = {}
        self.lag = None
        self.read_units = 0  # a second; 0: on demand
        self.capacity = Bucket()

    @property
    def stream(self):
        """The stream that takes records now, or None."""
        return self.streams[-1] if self.streams and self.streams[-1].enabled else None

    def open_stream(self, view, settings, rng):
        now = time.time() + settings.clock_offset_s
        label = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(now)) + "%03d" % (next(LABELS) % 1000)
        self.streams.append(Stream(self.name, self.arn + "/stream/" + label, label, view, settings.shards,
                                   settings.sequence_step, now, Listing(settings, rng)))

    def key_of(self, attributes, exact=False):
        """The canonical primary key of an item, or of exactly a key."""
        key = {}
        for name in self.key_names:
            value = attributes.get(name)
            if value is None or self.key_types[name] not in value:
                raise Invalid("One or more parameter values were invalid: Missing the key %s in the "
                              "item or type mismatch" % name)
            key[name] = values.canonical(value)
            if key[name] in ({"S": ""}, {"B": ""}):
                raise Invalid("One or more parameter values are not valid. The AttributeValue for a "
                              "key attribute cannot contain an empty value. Key: %s" % name)
        if exact and len(attributes) != len(key):
            raise Invalid("The provided key element does not match the schema")
        return key

    def place(self, key):
        """Where a key stands in the scan's order: (hash position, hash key, range key)."""
        hash_text = dumps(key[self.key_names[0]])
        raw = hash_text.encode("utf-8", "surrogatepass")
        position = int.from_bytes(hashlib.md5(raw).digest()[:8], "big")
        return position, hash_text, self._range_place(key)

    def _range_place(self, key):
        if len(self.key_names) < 2:
            return 0
        (kind, inner), = key[self.key_names[1]].items()
        if kind == "N":
            return values.CONTEXT.create_decimal(inner)
        if kind == "B":
            return values.base64.b64decode(inner)
        return inner.encode("utf-8", "surrogatepass")

    def get(self, key):
        item = self.items.get(dumps(key))
        return item.attributes if item else None

    def write(self, key, after, make_record):
        """Puts `after` (None deletes) and adds the stream record if anything changed; gives the old item."""
        place, name = self.place(key), dumps(key)
        old = self.items.get(name)
        before = old.attributes if old else None
        if old is None and after is None or self._same(old, after):
            return before
        if after is None:
            del self.items[name]
            del self.order[bisect.bisect_left(self.order, (place, name))]
        else:
            self._store(place, name, after, before is None)
        if self.stream:
            kind = "REMOVE" if after is None else "INSERT" if before is None else "MODIFY"
            make_record(self.stream, place[0], kind, key, before, after)
        return before

    def _same(self, old, after):
        """Equal values; sizes first, since most writes change them and items may be large."""
        return (old is not None and after is not None and values.item_size(after) == old.size
                and values.same_item(old.attributes, after))

    def _store(self, place, name, attributes, new):
        size = values.item_size(attributes)
        if size > MAX_ITEM_BYTES:
            raise Invalid("Item size has exceeded the maximum allowed size")
        self.items[name] = Item(attributes, dumps(attributes), size)
        if new:
            bisect.insort(self.order, (place, name))

    def scan(self, segment, total, start_key, limit):
        """(texts of the items, last evaluated key or None, bytes read) of one page of one segment."""
        low, high = (n * 2 ** 64 // total for n in (segment, segment + 1))
        at = bisect.bisect_left(self.order, ((low, ""), ""))
        if start_key is not None:
            after = self.place(start_key), dumps(start_key)
            if not low <= after[0][0] < high:
                raise Invalid("The provided Exclusive start key is outside the range of the segment")
            at = bisect.bisect_right(self.order, after)
        texts, total_bytes = [], 0
        for place, name in self.order[at:at + limit]:
            if place[0] >= high:
                break
            item = self.items[name]
            texts.append(item.text)
            total_bytes += item.size
            if len(texts) == limit or total_bytes >= PAGE_BYTES:
                # a key as the service gives it, even if nothing follows
                return texts, json.loads(name), total_bytes
        return texts, None, total_bytes

    def describe(self, spell_time):
        found = {"TableName": self.name, "TableId": self.id, "TableArn": self.arn,
                 "TableStatus": self.status, "ItemCount": len(self.items),
                 "TableSizeBytes": sum(i.size for i in self.items.values()),
                 "CreationDateTime": spell_time(self.created),
                 "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": self.read_units,
                                           "WriteCapacityUnits": self.read_units}}
        if not self.read_units:
            found["BillingModeSummary"] = {"BillingMode": "PAY_PER_REQUEST"}
        if self.status != "DELETING":
            found.update({"KeySchema": self.key_schema, "AttributeDefinitions": self.definitions})
        found.update(self.extra)
        if self.streams:
            found["LatestStreamArn"] = self.streams[-1].arn
            found["LatestStreamLabel"] = self.streams[-1].label
        if self.stream:
            found["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": self.stream.view}
        return found
