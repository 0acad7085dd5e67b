"""The operations of DynamoDB and DynamoDB Streams over the models of tables and streams.

`call(operation, fields)` gives the JSON text of the answer or raises ServiceError. One lock makes each call
a single moment. Faults and HTTP are not here.
"""
import base64
import json
import random
import threading
import time
import uuid

from . import expressions, values
from .listing import page_of_shards
from .quota import Bucket, read_units
from .settings import Settings
from .table import Lag, Table
from .values import Invalid, dumps

NO_VIEW = {"StreamEnabled": False}


class ServiceError(Exception):
    """An error answer: `name` as in __type, the text, the HTTP status, more members."""

    def __init__(self, name, message, status=400, **more):
        super().__init__(message)
        self.name, self.message, self.status, self.more = name, message, status, more


def invalid(message):
    return ServiceError("ValidationException", message)


def not_found(what):
    return ServiceError("ResourceNotFoundException", "Requested resource not found: " + what)


class Backend:
    def __init__(self, settings=None, rng=None):
        self.settings = settings or Settings()
        self.random = rng or random.Random(1)
        self.lock = threading.RLock()
        self.tables = {}
        self.described = Bucket()
        self.read = {}           # a Bucket by stream ARN and shard
        self.old_streams = []    # of tables deleted or recreated
        self.iterators = 0       # serial of the newest iterator
        self.expired = 0         # serials up to this one have expired
        self.history = []        # every stream record ever made, for the tests' checks; "made": by our clock

    def call(self, operation, fields, hide_children=False, empty=False):
        method = getattr(self, "op_" + operation, None)
        if method is None:
            raise ServiceError("UnknownOperationException", "")
        extra = {"hide_children": hide_children} if operation == "DescribeStream" else {}
        if operation == "GetRecords":
            extra = {"empty": empty}
        with self.lock:
            try:
                answer = method(fields, **extra)
            except Invalid as e:
                raise invalid(str(e)) from e
            except KeyError as e:
                raise invalid("Value null at %s failed to satisfy constraint: Member must not be "
                              "null" % e) from e
        return answer if isinstance(answer, str) else dumps(answer)

    def now(self):
        """The service's time."""
        return time.time() + self.settings.clock_offset_s

    # Tables

    def table(self, name):
        if name not in self.tables or self.tables[name].status == "DELETING":
            raise not_found("Table: %s not found" % name)
        return self.tables[name]

    def spell_time(self, when):
        """A time in the answer; one of the two spellings that the service uses."""
        if self.settings.quirks:
            digits = "%.3f" % when
            return float(digits)
        return int(when)

    def op_ListTables(self, f):
        names = sorted(n for n in self.tables if n > f.get("ExclusiveStartTableName", ""))
        page = names[:f.get("Limit", 100)]
        answer = {"TableNames": page}
        if len(page) < len(names):
            answer["LastEvaluatedTableName"] = page[-1]
        return answer

    def op_CreateTable(self, f):
        if f["TableName"] in self.tables:
            raise ServiceError("ResourceInUseException", "Table already exists: " + f["TableName"])
        table = Table(f["TableName"], f["KeySchema"], f["AttributeDefinitions"], self.now())
        for name in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            if name in f:
                table.extra[name] = f[name]
        self._set_status(table, "CREATING", self.settings.creating_calls)
        self._set_capacity(table, f)
        table.lag = Lag(None, self.settings.create_lag_calls, self.settings.create_lag_s)
        self.tables[table.name] = table
        self._set_stream(table, f.get("StreamSpecification", NO_VIEW))
        return {"TableDescription": table.describe(self.spell_time)}

    def _set_status(self, table, status, calls):
        table.status, table.status_calls = (status, calls) if calls else ("ACTIVE", 0)

    def _set_stream(self, table, specification):
        if specification.get("StreamEnabled"):
            if table.stream:
                raise invalid("Table already has an enabled stream: TableName: " + table.name)
            table.open_stream(specification["StreamViewType"], self.settings, self.random)
        elif table.stream:
            table.stream.disable(self.now())

    def _set_capacity(self, table, f):
        if f.get("BillingMode") == "PAY_PER_REQUEST":
            table.read_units = 0
        elif "ProvisionedThroughput" in f:
            table.read_units = f["ProvisionedThroughput"]["ReadCapacityUnits"]

    def op_DescribeTable(self, f):
        table = self.tables.get(f["TableName"]) or self.table(f["TableName"])
        if table.lag and table.lag.look():
            if table.lag.before is None:
                raise not_found("Table: %s not found" % table.name)
            return {"Table": table.lag.before}
        answer = {"Table": table.describe(self.spell_time)}
        if table.status_calls > 0:
            table.status_calls -= 1
            if not table.status_calls:
                self._settle(table)
        return answer

    def _settle(self, table):
        """What was asked for is done."""
        if table.status == "DELETING":
            del self.tables[table.name]
        else:
            table.status = "ACTIVE"

    def lag(self, table, gone, calls=0, seconds=0):
        """DescribeTable shows from now what there is now, or (gone) no such table."""
        table.lag = Lag(None if gone else table.describe(self.spell_time), calls, seconds)

    def op_UpdateTable(self, f):
        table = self.table(f["TableName"])
        if table.status != "ACTIVE":
            raise ServiceError("ResourceInUseException", "Attempt to change a resource which is still "
                               "in use: Table is being updated: " + table.name)
        self.lag(table, False, self.settings.update_lag_calls, self.settings.update_lag_s)
        if "StreamSpecification" in f:
            self._set_stream(table, f["StreamSpecification"])
        self._set_capacity(table, f)
        self._set_status(table, "UPDATING", self.settings.updating_calls)
        return {"TableDescription": table.describe(self.spell_time)}

    def op_DeleteTable(self, f):
        table = self.table(f["TableName"])
        if table.stream:
            table.stream.disable(self.now())
        self.old_streams += table.streams
        table.streams = []
        self._set_status(table, "DELETING", self.settings.deleting_calls)
        if not table.status_calls:
            table.status = "DELETING"
            del self.tables[table.name]
        return {"TableDescription": table.describe(self.spell_time)}

    # Items

    def _check(self, f, before):
        condition = f.get("ConditionExpression")
        if condition and not expressions.holds(before or {}, condition, f.get("ExpressionAttributeNames"),
                                               f.get("ExpressionAttributeValues")):
            raise ServiceError("ConditionalCheckFailedException", "The conditional request failed")

    def _old(self, f, before):
        give = f.get("ReturnValues") == "ALL_OLD" and before is not None
        return {"Attributes": before} if give else {}

    def _put(self, table, attributes):
        item = {name: values.canonical(v) for name, v in attributes.items()}
        return table.write(table.key_of(item), item, self._record)

    def op_PutItem(self, f):
        table = self.table(f["TableName"])
        self._check(f, table.get(table.key_of(f["Item"])))
        return self._old(f, self._put(table, f["Item"]))

    def op_DeleteItem(self, f):
        table = self.table(f["TableName"])
        key = table.key_of(f["Key"], exact=True)
        self._check(f, table.get(key))
        return self._old(f, table.write(key, None, self._record))

    def op_UpdateItem(self, f):
        table = self.table(f["TableName"])
        key = table.key_of(f["Key"], exact=True)
        before = table.get(key)
        self._check(f, before)
        start = before or dict(key)
        if "UpdateExpression" in f:
            after = expressions.update(start, f["UpdateExpression"], f.get("ExpressionAttributeNames"),
                                       f.get("ExpressionAttributeValues"))
        else:
            after = expressions.attribute_updates(start, f.get("AttributeUpdates", {}))
        after = {name: values.canonical(v) for name, v in after.items()}
        if table.key_of(after) != key:
            raise invalid("Cannot update attribute. This attribute is part of the key")
        table.write(key, after, self._record)
        return {"Attributes": after} if f.get("ReturnValues") == "ALL_NEW" else self._old(f, before)

    def op_GetItem(self, f):
        table = self.table(f["TableName"])
        self._check_capacity(table)
        item = table.get(table.key_of(f["Key"], exact=True))
        self._consume(table, f, values.item_size(item) if item else 0)
        return {"Item": item} if item is not None else {}

    def op_BatchGetItem(self, f):
        """One table per request. Items come in another order than their keys, as the service may do it."""
        (name, request), = f["RequestItems"].items()
        table, asked = self.table(name), request["Keys"]
        keys = [table.key_of(key, exact=True) for key in asked]
        if not keys:
            raise invalid("The list of keys in RequestItems for BatchGetItem is required")
        if len(keys) > 100:
            raise invalid("Too many items requested for the BatchGetItem call")
        if len({dumps(key) for key in keys}) < len(keys):
            raise invalid("Provided list of item keys contains duplicates")
        looked_for = min(len(keys), self.settings.max_batch_keys)
        found = [table.items[dumps(key)].text for key in keys[:looked_for] if dumps(key) in table.items]
        left = {name: {**request, "Keys": asked[looked_for:]}} if asked[looked_for:] else {}
        return '{"Responses":{%s:[%s]},"UnprocessedKeys":%s}' % (dumps(name), ",".join(reversed(found)),
                                                                 dumps(left))

    def op_BatchWriteItem(self, f):
        for name, requests in f["RequestItems"].items():
            table = self.table(name)
            for request in requests:
                if "PutRequest" in request:
                    self._put(table, request["PutRequest"]["Item"])
                else:
                    key = table.key_of(request["DeleteRequest"]["Key"], exact=True)
                    table.write(key, None, self._record)
        return {"UnprocessedItems": {}}

    def op_Scan(self, f):
        table = self.table(f["TableName"])
        segment, total = f.get("Segment", 0), f.get("TotalSegments", 1)
        if not 0 <= segment < total:
            raise invalid("The Segment parameter is zero-based and must be less than parameter "
                          "TotalSegments: Segment: %d is not less than TotalSegments: %d" % (segment, total))
        if self.settings.ignore_segments:
            segment, total = 0, 1
        start = f.get("ExclusiveStartKey")
        self._check_capacity(table)
        texts, last, size = table.scan(segment, total, table.key_of(start, exact=True) if start else None,
                                       f.get("Limit", 1 << 30))
        head, tail = "", ',"LastEvaluatedKey":' + dumps(last) if last else ""
        used = self._consume(table, f, size)
        if f.get("ReturnConsumedCapacity", "NONE") != "NONE":
            told = '"ConsumedCapacity":' + dumps({"TableName": table.name, "CapacityUnits": used})
            if self.settings.capacity_first:
                head = told + ","
            else:
                tail += "," + told
        return '{%s"Count":%d,"Items":[%s]%s,"ScannedCount":%d}' % (head, len(texts), ",".join(texts), tail,
                                                                    len(texts))

    # Capacity

    def _check_capacity(self, table):
        if table.read_units and not table.capacity.open(table.read_units, self.settings.capacity_burst_s):
            raise ServiceError(
                "ProvisionedThroughputExceededException",
                "The level of configured provisioned throughput for the table was exceeded.",
                ThrottlingReasons=[{"reason": "TableReadProvisionedThroughputExceeded", "resource": table.arn}])

    def _consume(self, table, f, size):
        """Charges a read; its units."""
        units = read_units(size, f.get("ConsistentRead", False))
        if table.read_units:
            table.capacity.take(units)
        return units

    # Stream records

    def _record(self, stream, position, kind, key, before, after, user=None):
        now = self.now()
        size = values.item_size(key)
        told = int(now - self.settings.record_age_s)
        change = {"ApproximateCreationDateTime": self.spell_time(told), "Keys": key}
        if after is not None and stream.view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["NewImage"] = after
            size += values.item_size(after)
        if before is not None and stream.view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["OldImage"] = before
            size += values.item_size(before)
        if self.settings.quirks:
            for image in {"Keys", "NewImage", "OldImage"} & set(change):
                change[image] = values.local_item(change[image])

        def text(seq, shard_id):
            spell = values.dumps_escaped if self.settings.quirks else dumps
            self.history.append({"table": stream.table_name, "arn": stream.arn, "shard": shard_id,
                                 "seq": str(seq), "name": kind, "ttl": user is not None,
                                 "keys": change["Keys"], "new": change.get("NewImage"), "old": before,
                                 "made": time.time()})
            return spell({
                "eventID": uuid.uuid4().hex, "eventName": kind, "eventVersion": "1.1",
                "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
                **({"userIdentity": user} if user else {}),
                "dynamodb": {**change, "SequenceNumber": str(seq), "SizeBytes": size,
                             "StreamViewType": stream.view}})

        stream.append(position, key, kind, size, text, now)

    def ttl_delete(self, table, key):
        """A deletion by DynamoDB's own expiry."""
        names = ("type", "principalId") if self.settings.quirks else ("Type", "PrincipalId")
        user = dict(zip(names, ("Service", "dynamodb.amazonaws.com")))
        with self.lock:
            table = self.table(table)
            key = table.key_of(key, exact=True)
            table.write(key, None, lambda *args: self._record(*args, user=user))

    # Streams

    def streams(self):
        return self.old_streams + [s for t in self.tables.values() for s in t.streams]

    def stream(self, arn):
        """With what is older than the service keeps gone from it."""
        table = self.tables.get(arn.partition(":table/")[2].partition("/")[0])
        for streams in (table.streams if table else [], self.old_streams):
            for found in streams:
                if found.arn == arn:
                    found.trim_older(self.now() - self.settings.retention_s)
                    return found
        raise not_found("Stream: %s not found" % arn)

    def op_ListStreams(self, f):
        rows = [{"StreamArn": s.arn, "TableName": s.table_name, "StreamLabel": s.label}
                for s in self.streams() if f.get("TableName", s.table_name) == s.table_name]
        return page_after(rows, "StreamArn", f.get("ExclusiveStartStreamArn"), f.get("Limit", 100),
                          "Streams", "LastEvaluatedStreamArn")

    def op_DescribeStream(self, f, hide_children):
        self._check_rate(self.described, self.settings.describes_a_second)
        stream = self.stream(f["StreamArn"])
        shards, limit = stream.shards, min(f.get("Limit", 100), 100, self.settings.page_shards)
        if f.get("ShardFilter") and self.settings.shard_filter != "ignored":
            shards = self._children(stream, f["ShardFilter"])
        if "ExclusiveStartShardId" not in f:
            stream.listing.begin(stream.shards)
        hidden = {s.id for s in stream.leaves()} if hide_children else set()
        rows, last = page_of_shards(shards, f.get("ExclusiveStartShardId"), limit, lambda s: not (
            s.vanished or s.id in hidden or stream.listing.lacks(s.id)))
        page = {"Shards": [s.describe() for s in rows]}
        if last:
            page["LastEvaluatedShardId"] = last
        table = self.tables.get(stream.table_name)
        page.update({"StreamArn": stream.arn, "StreamLabel": stream.label, "TableName": stream.table_name,
                     "StreamViewType": stream.view,
                     "StreamStatus": "ENABLED" if stream.enabled else "DISABLED",
                     "CreationRequestDateTime": self.spell_time(stream.created),
                     "KeySchema": table.key_schema if table else []})
        if stream.enabled and table and table.status == "UPDATING":
            page["StreamStatus"] = "ENABLING"
        return {"StreamDescription": page}

    def _children(self, stream, shard_filter):
        if self.settings.shard_filter == "refused" or shard_filter.get("Type") != "CHILD_SHARDS":
            raise invalid("1 validation error detected: Value at 'shardFilter' failed to satisfy constraint")
        if "ShardId" not in shard_filter:
            raise invalid("ShardId is required when ShardFilter Type is CHILD_SHARDS")
        return stream.children(shard_filter["ShardId"])

    def _check_rate(self, bucket, rate):
        if not rate:
            return
        if not bucket.open(rate, need=1):
            raise ServiceError("LimitExceededException", "Subscriber limit exceeded: Rate of requests exceeds "
                               "%g a second" % rate)
        bucket.take(1)

    def op_GetShardIterator(self, f):
        stream = self.stream(f["StreamArn"])
        shard = self._shard(stream, f["ShardId"])
        kind, after = f["ShardIteratorType"], shard.trimmed
        if kind == "LATEST":
            after = shard.newest()
        elif kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
            number = int(f["SequenceNumber"])
            if number < shard.start or (shard.end is not None and number > shard.end):
                raise invalid("Invalid SequenceNumber %d: outside the shard's range" % number)
            if number <= shard.trimmed:
                raise trimmed()
            after = number - (kind == "AT_SEQUENCE_NUMBER")
        elif kind != "TRIM_HORIZON":
            raise invalid("Invalid ShardIteratorType: " + kind)
        return {"ShardIterator": self._iterator(stream, shard, after, 0)}

    def _shard(self, stream, shard_id):
        shard = stream.shard(shard_id)
        if shard is None:
            raise not_found("Shard: %s in Stream: %s not found" % (shard_id, stream.arn))
        return shard

    def _iterator(self, stream, shard, after, uses):
        self.iterators += 1
        state = json.dumps([stream.arn, shard.id, after, self.iterators, uses])
        return stream.arn + "|1|" + base64.b64encode(state.encode()).decode()

    def op_GetRecords(self, f, empty):
        arn, shard_id, after, serial, uses = decode_iterator(f["ShardIterator"])
        stream = self.stream(arn)
        shard = self._shard(stream, shard_id)
        self._check_rate(self.read.setdefault((arn, shard_id), Bucket()), self.settings.records_a_second)
        if serial <= self.expired or 0 < self.settings.iterator_uses <= uses:
            raise ServiceError("ExpiredIteratorException", "Iterator expired. The iterator was created "
                               "more than 15 minutes ago.")
        if after < shard.trimmed:
            raise trimmed()
        limit = min(f.get("Limit", 1000), 1000, self.settings.max_records)
        page, drained = shard.after(after, limit, 1 << 20)
        if empty:
            page, drained = [], False
        if drained and page and self.settings.drained_late:
            drained = False
        after = page[-1].seq if page else after
        following = "" if drained else ',"NextShardIterator":"%s"' % self._iterator(stream, shard, after,
                                                                                uses + 1)
        return '{"Records":[%s]%s}' % (",".join(r.text for r in page), following)

    def expire_iterators(self):
        """Every iterator handed out so far has expired."""
        with self.lock:
            self.expired = self.iterators


def trimmed():
    return ServiceError("TrimmedDataAccessException", "The operation attempted to read past the oldest "
                        "stream record in a shard.")


def decode_iterator(token):
    """[stream ARN, shard id, after which number, serial, uses]"""
    try:
        return json.loads(base64.b64decode(token.rsplit("|", 1)[1], validate=True))
    except (IndexError, ValueError) as e:
        raise invalid("Invalid ShardIterator") from e


def page_after(rows, name, start, limit, rows_name, last_name):
    """One page of a list that is asked for by "the one after"."""
    at = 0
    if start is not None:
        at = next((n + 1 for n, row in enumerate(rows) if row[name] == start), len(rows))
    page = {rows_name: rows[at:at + limit]}
    if at + limit < len(rows):
        page[last_name] = rows[at + limit - 1][name]
    return page
