"""A DynamoDB that has one table of N items and M stream records ready in memory, for measuring programs.

It answers faster than any producer asks: pages are patched copies of a few templates, sums are computed
once. Only reading works, and nothing is checked. As a command: `python3 -m fakes.canned --items 1000000`.
POST /_control {"do": "release", "records": M} lets M stream records be read; {"do": "stats"} tells what was
served.
"""
import argparse
import base64
import json
import threading
import time

from .backend import ServiceError, not_found
from .canned_pages import INDEX_DIGITS, Pages, crc, make_item, make_record
from .control import wait_for_interrupt
from .dynamodb import error_answer, request_id
from .http_wire import Answer, HttpServer

RECORDS_A_PAGE = 1000
PAGE_BYTES = 1 << 20
STREAM_NAME = "2026-01-01T00:00:00.001"


class Canned:
    def __init__(self, table="bench", items=1_000_000, records=0, item_bytes=500, shards=4, old=False,
                 port=0, seed=1):
        self.name, self.items, self.shards, self.old = table, items, shards, old
        self.started = int(time.time())
        per_page = min(-(-PAGE_BYTES // item_bytes), max(items, 1))
        self.pages = Pages(lambda rng, n: make_item(rng, item_bytes, n), per_page, seed)
        self.records = Pages(lambda rng, n: make_record(make_item(rng, item_bytes, n), old, self.started),
                             RECORDS_A_PAGE, seed + 1)
        self.page_count = -(-items // per_page)
        self.released = records
        self.lock = threading.Lock()
        self.sums = {}
        self.stats = {"scan_pages": 0, "scan_items": 0, "records": 0, "bytes": 0, "requests": 0}
        self.arn = "arn:aws:dynamodb:us-east-1:000000000000:table/" + table
        self.http = HttpServer(self._handle, port)
        self.url = "http://127.0.0.1:%d" % self.http.port
        self.access_key, self.secret_key = "AKIDFAKE", "fake/secret+key"

    def __enter__(self):
        self.http.start()
        return self

    def __exit__(self, *_):
        self.http.stop()

    def warm(self):
        """Sums every scan page now, not while somebody measures."""
        for page in range(self.page_count):
            self._scan_page(page, 0, self._items_on(page), page + 1 < self.page_count)

    # One request

    def _handle(self, request):
        fields = json.loads(request.body or b"{}")
        if request.target.startswith("/_control"):
            return self._control(fields)
        op = request.headers.get("x-amz-target", "").partition(".")[2]
        method = getattr(self, "op_" + op, None)
        if method is None:
            return error_answer("UnknownOperationException", "not in a canned table: " + op, 400)
        try:
            body, told = method(fields)
        except ServiceError as e:
            return error_answer(e.name, e.message, e.status)
        if told is None:
            told = crc(body)
        with self.lock:
            self.stats["requests"] += 1
            self.stats["bytes"] += len(body)
        return Answer(200, body, {"x-amz-crc32": told, "x-amzn-RequestId": request_id()})

    def _control(self, fields):
        if fields.get("do") == "release":
            self.released = fields["records"]
        elif fields.get("do") != "stats":
            return Answer(400, b'{"error":"release or stats"}')
        return Answer(200, json.dumps({"result": self.stats}).encode())

    def _summed(self, place, make):
        """A body and its sum, computed at its first use."""
        body = make()
        if place not in self.sums:
            self.sums[place] = crc(body)
        return body, self.sums[place]

    def op_ListTables(self, _):
        return json.dumps({"TableNames": [self.name]}).encode(), None

    def op_DescribeTable(self, f):
        if f.get("TableName") != self.name:
            raise not_found("Table: %s not found" % f.get("TableName"))
        view = "NEW_AND_OLD_IMAGES" if self.old else "NEW_IMAGE"
        return json.dumps({"Table": {
            "TableName": self.name, "TableId": "00000000-0000-4000-8000-%012d" % self.items,
            "TableArn": self.arn, "TableStatus": "ACTIVE", "ItemCount": self.items,
            "TableSizeBytes": self.items * 500, "CreationDateTime": self.started,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "LatestStreamArn": self.arn + "/stream/" + STREAM_NAME, "LatestStreamLabel": STREAM_NAME,
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}}}).encode(), None

    # The table

    def _items_on(self, page):
        return min(self.pages.per_page, self.items - page * self.pages.per_page)

    def op_Scan(self, f):
        segment, total = f.get("Segment", 0), f.get("TotalSegments", 1)
        page, end = (s * self.page_count // total for s in (segment, segment + 1))
        first = 0
        if "ExclusiveStartKey" in f:
            mark = f["ExclusiveStartKey"]["pk"]["S"][len("user#"):]
            page, first = int(mark[:6]), int(mark[6:]) + 1
            if first == self._items_on(page):
                page, first = page + 1, 0
        if page >= end:
            return b'{"Count":0,"Items":[],"ScannedCount":0}', None
        left = self._items_on(page) - first
        count = min(left, f.get("Limit", left))
        with self.lock:
            self.stats["scan_pages"] += 1
            self.stats["scan_items"] += count
        return self._scan_page(page, first, count, page + 1 < end or count < left)

    def _scan_page(self, page, first, count, more):
        before = b'{"Count":%d,"Items":[' % count
        key = b""
        if more:
            key = b',"LastEvaluatedKey":{"pk":{"S":"user#%06d%04d"}}' % (page, first + count - 1)
        after = b"]%s,\"ScannedCount\":%d}" % (key, count)
        return self._summed((page, first, count, more),
                            lambda: self.pages.page(page, 0, first, count, before, after))

    def op_BatchGetItem(self, f):
        (name, request), = f["RequestItems"].items()
        bodies = [bytes(self.pages.page(*place)) for place in map(self._place, request["Keys"]) if place]
        return b'{"Responses":{"%s":[%s]},"UnprocessedKeys":{}}' % (name.encode(), b",".join(bodies)), None

    def _place(self, key):
        """The arguments for the page that has this item alone; None: there is no such item."""
        page, index = divmod(int(key["pk"]["S"][len("user#"):]), 10 ** INDEX_DIGITS)
        there = page < self.page_count and index < self._items_on(page)
        return (page, 0, index, 1, b"", b"") if there else None

    # The stream: shard s has the records of pages s, s + shards, ..; an item is always in one shard

    def op_DescribeStream(self, f):
        shards = [{"ShardId": shard_id(n), "SequenceNumberRange": {"StartingSequenceNumber": "1" + "0" * 19}}
                  for n in range(self.shards)]
        if "ExclusiveStartShardId" in f:
            shards = []
        return json.dumps({"StreamDescription": {
            "StreamArn": f["StreamArn"], "StreamLabel": STREAM_NAME, "StreamStatus": "ENABLED",
            "StreamViewType": "NEW_AND_OLD_IMAGES" if self.old else "NEW_IMAGE", "TableName": self.name,
            "CreationRequestDateTime": self.started, "Shards": shards,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}}).encode(), None

    def op_GetShardIterator(self, f):
        shard, at = int(f["ShardId"][len("shardId-"):][:20]), 0
        if f["ShardIteratorType"] == "LATEST":
            at = self._released_in(shard)
        elif f["ShardIteratorType"] != "TRIM_HORIZON":
            mark = f["SequenceNumber"][-10:]
            at = int(mark[:6]) // self.shards * RECORDS_A_PAGE + int(mark[6:])
            at += f["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER"
        return json.dumps({"ShardIterator": iterator(shard, at)}).encode(), None

    def _released_in(self, shard):
        whole, rest = divmod(self.released, RECORDS_A_PAGE)
        count = (whole - shard + self.shards - 1) // self.shards * RECORDS_A_PAGE
        return count + (rest if whole % self.shards == shard else 0)

    def op_GetRecords(self, f):
        shard, at = json.loads(base64.b64decode(f["ShardIterator"]))
        page, first = divmod(at, RECORDS_A_PAGE)
        count = min(RECORDS_A_PAGE - first, self._released_in(shard) - at, f.get("Limit", RECORDS_A_PAGE))
        after = b'],"NextShardIterator":"%s"}' % iterator(shard, at + count).encode()
        if not count:
            return b'{"Records":[' + after, None
        sequence_page = shard + page * self.shards
        key_page = shard + self.shards * (page % max(self.page_count // self.shards, 1))
        with self.lock:
            self.stats["records"] += count
        return self._summed(("r", sequence_page, first, count), lambda: self.records.page(
            key_page, sequence_page, first, count, b'{"Records":[', after))


def shard_id(number):
    return "shardId-%020d-canned%02d" % (number, number)


def iterator(shard, at):
    return base64.b64encode(b"[%d,%d]" % (shard, at)).decode()


def main():
    parser = argparse.ArgumentParser(description="A DynamoDB that answers from memory, for measuring.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--table", default="bench")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--item-bytes", type=int, default=500)
    parser.add_argument("--records", type=int, default=0, help="stream records readable at once")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--old-images", action="store_true")
    args = parser.parse_args()
    with Canned(args.table, args.items, args.records, args.item_bytes, args.shards, args.old_images,
                args.port) as canned:
        canned.warm()
        print(json.dumps({"url": canned.url, "access_key": canned.access_key,
                          "secret_key": canned.secret_key, "items": args.items}), flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
