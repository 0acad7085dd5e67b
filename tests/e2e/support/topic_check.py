"""Reads the topics and checks what stands there against DynamoDB itself, without MongoDB.

MongoDB would hide duplicates, since applying is idempotent: here every record counts. The stream's truth comes
from reading DynamoDB Streams with boto3. Each check returns a list of problems as text; no problem, empty list.
"""

import base64
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka
from confluent_kafka import TopicPartition
from jsonschema import Draft202012Validator

from . import oracle
from .oracle import canonical_key, show

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"
ROW, CREATE, UPDATE, DELETE, CONTROL = "r", "c", "u", "d", "m"
OP_OF_EVENT = {"INSERT": CREATE, "MODIFY": UPDATE, "REMOVE": DELETE}


# --- reading Kafka ---


def consumer(bootstrap, isolation="read_committed"):
    return confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "dynaferry-topic-check",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # else the end is never seen beside a busy producer
            "auto.offset.reset": "error",
            "fetch.message.max.bytes": 20_000_000,
            "receive.message.max.bytes": 120_000_000,
        }
    )


def partitions_of(bootstrap, topic):
    reader = consumer(bootstrap)
    try:
        found = reader.list_topics(topic, timeout=20).topics.get(topic)
        return 0 if found is None or found.error else len(found.partitions)
    finally:
        reader.close()


def read_messages(bootstrap, topic, isolation="read_committed", timeout=60):
    """All messages of the topic from its begin to the present (stable) end, by partition and offset."""
    reader = consumer(bootstrap, isolation)
    try:
        metadata = reader.list_topics(topic, timeout=20).topics[topic]
        if metadata.error:
            return []
        waiting = set(metadata.partitions)
        start = confluent_kafka.OFFSET_BEGINNING
        reader.assign([TopicPartition(topic, partition, start) for partition in waiting])
        found = []
        while waiting:
            message = reader.poll(timeout)
            if message is None:
                raise TimeoutError(f"{topic}: no end of partitions {sorted(waiting)}")
            if message.error():
                if message.error().code() != confluent_kafka.KafkaError._PARTITION_EOF:
                    raise confluent_kafka.KafkaException(message.error())
                waiting.discard(message.partition())
            elif message.partition() in waiting:
                found.append(message)
        return sorted(found, key=lambda m: (m.partition(), m.offset()))
    finally:
        reader.close()


def end_offsets(bootstrap, topic, isolation):
    """partition -> high watermark, or with read_committed the last stable offset."""
    reader = consumer(bootstrap, isolation)
    try:
        partitions = reader.list_topics(topic, timeout=20).topics[topic].partitions
        return {p: reader.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1] for p in partitions}
    finally:
        reader.close()


def open_ends(bootstrap, topic):
    """partition -> (last stable offset, high watermark), both as of one moment: they differ while a transaction
    is open there."""
    stable, newest = consumer(bootstrap, "read_committed"), consumer(bootstrap, "read_uncommitted")

    def end(reader, partition):
        return reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)[1]

    def both(partition):
        while True:
            before, high = end(stable, partition), end(newest, partition)
            if end(stable, partition) == before:
                return before, high

    try:
        return {p: both(p) for p in stable.list_topics(topic, timeout=20).topics[topic].partitions}
    finally:
        stable.close()
        newest.close()


# --- messages ---


def same_members(pairs):
    """For json.loads: an object with a doubled name would hide a value."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"a doubled name in {names}")
    return dict(pairs)


def from_wire(value):
    """An attribute value as JSON has it -> as boto3 has it."""
    kind, content = oracle.type_of(value)
    if kind == "B":
        content = base64.b64decode(content, validate=True)
    elif kind == "BS":
        content = [base64.b64decode(b, validate=True) for b in content]
    elif kind == "L":
        content = [from_wire(v) for v in content]
    elif kind == "M":
        content = {k: from_wire(v) for k, v in content.items()}
    return {kind: content}


def settled(value):
    """An attribute value with its sets sorted and every empty map typed, for comparing."""
    kind, content = oracle.type_of(value)
    if kind in ("SS", "NS", "BS"):
        content = sorted(content)
    elif kind == "L":
        content = [settled(v) for v in content]
    elif kind == "M":
        content = {k: settled(v) for k, v in content.items()}
    return {kind: content}


def same_item(one, other):
    if one is None or other is None:
        return one is other
    return {k: settled(v) for k, v in one.items()} == {k: settled(v) for k, v in other.items()}


@dataclass
class Record:
    """One message of a data topic; `bad` says why it is no message of ours."""

    topic: str
    partition: int
    offset: int
    message_key: bytes
    value: bytes
    headers: dict = field(default_factory=dict)
    event: dict = field(default_factory=dict)
    key: bytes = None  # canonical text of the whole primary key
    keys: dict = None
    after: dict = None
    bad: str = ""

    def __str__(self):
        what = self.headers.get("control") or self.event.get("op")
        return f"{self.topic}/{self.partition}/{self.offset} {what} {show(self.key)}"

    @property
    def op(self):
        return self.event.get("op")

    @property
    def generation(self):
        return self.event["source"]["generation"]

    @property
    def control(self):
        return self.headers.get("control")

    @property
    def is_change(self):
        return not self.is_repair and (
            self.op in (CREATE, UPDATE, DELETE) or (self.control == "skipped" and "sequence" in self.headers)
        )

    @property
    def is_row(self):
        return self.op == ROW

    @property
    def is_repair(self):
        """A row or a delete that a request asked for."""
        return "signal" in self.headers

    @property
    def is_page_row(self):
        """A row of a scan page, also one in whose place a `skipped` stands."""
        return "segment" in self.headers

    @property
    def place(self):
        """(shard, sequence) of a change."""
        return self.headers["shard"], int(self.headers["sequence"])


def decode(message, key_schema):
    """A Kafka message -> Record; whatever is wrong with it ends in `bad`."""
    record = Record(message.topic(), message.partition(), message.offset(), message.key(), message.value())
    try:
        headers = message.headers() or []
        if len({name for name, _ in headers}) < len(headers):
            raise ValueError("a doubled header")
        record.headers = {name: value.decode("ascii") for name, value in headers}
        record.event = json.loads(record.value.decode("utf-8"), object_pairs_hook=same_members)
        if record.event.get("keys"):
            record.keys = {k: from_wire(v) for k, v in record.event["keys"].items()}
            record.key = canonical_key(record.keys, key_schema)
        if record.event.get("after"):
            record.after = {k: from_wire(v) for k, v in record.event["after"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        record.bad = f"{type(error).__name__}: {error}"
    return record


def read_log(bootstrap, topic, key_schema, isolation="read_committed"):
    return [decode(message, key_schema) for message in read_messages(bootstrap, topic, isolation)]


# --- the source's truth ---


@dataclass
class Change:
    shard: str
    sequence: int
    op: str
    keys: dict
    image: dict
    ttl: bool

    @property
    def place(self):
        return self.shard, self.sequence


class Source:
    """The stream as DynamoDB gives it, and each change's rank: its place in the history of its item."""

    def __init__(self, changes, key_schema, parents=None):
        depth = {}
        for shard in {c.shard for c in changes}:
            depth[shard], parent = 0, (parents or {}).get(shard)
            while parent:
                depth[shard], parent = depth[shard] + 1, parents.get(parent)
        self.key_schema = key_schema
        self.changes = sorted(changes, key=lambda c: (depth[c.shard], c.sequence))
        self.by_place = {c.place: c for c in self.changes}
        self.rank = {c.place: rank for rank, c in enumerate(self.changes)}
        self.of_key = {}
        for c in self.changes:
            self.of_key.setdefault(self.key_of(c), []).append(c)
        self.rank_of_version = {}
        for c in self.changes:
            if c.image and "v" in c.image:
                self.rank_of_version[self.key_of(c), int(c.image["v"]["N"])] = self.rank[c.place]

    def key_of(self, change):
        return canonical_key(change.keys, self.key_schema)

    def rank_of_item(self, key, item):
        """-1: it was written before the stream begins."""
        return self.rank_of_version.get((key, int(item["v"]["N"])), -1)

    def was_absent(self, key, since):
        """Whether the item did not exist at some moment from the change of this rank on (-1: from the stream's
        begin), as far as the stream shows."""
        changes = self.of_key.get(key, [])
        if since < 0 and (not changes or changes[0].op == CREATE):
            return True
        return any(c.op == DELETE and self.rank[c.place] >= since for c in changes)

    @classmethod
    def read(cls, streams, stream_arn, key_schema, empty_answers=2):
        """Reads every shard from its trim horizon; an open shard until some answers came empty."""
        shards, start = [], {}
        while True:
            answer = streams.describe_stream(StreamArn=stream_arn, **start)["StreamDescription"]
            shards += answer["Shards"]
            if "LastEvaluatedShardId" not in answer:
                break
            start = {"ExclusiveStartShardId": answer["LastEvaluatedShardId"]}
        changes = []
        for shard in shards:
            changes += cls.read_shard(streams, stream_arn, shard["ShardId"], empty_answers)
        parents = {s["ShardId"]: s.get("ParentShardId") for s in shards}
        return cls(changes, key_schema, parents)

    @staticmethod
    def read_shard(streams, stream_arn, shard, empty_answers):
        iterator = streams.get_shard_iterator(
            StreamArn=stream_arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator and empty_answers:
            answer = streams.get_records(ShardIterator=iterator)
            iterator = answer.get("NextShardIterator")
            if not answer["Records"]:
                empty_answers -= 1
            for record in answer["Records"]:
                body = record["dynamodb"]
                yield Change(
                    shard,
                    int(body["SequenceNumber"]),
                    OP_OF_EVENT[record["eventName"]],
                    body["Keys"],
                    body.get("NewImage"),
                    record.get("userIdentity", {}).get("PrincipalId") == "dynamodb.amazonaws.com",
                )


# --- schemas ---


def validator(name):
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))


def shortened(value):
    """The same with long lists cut: to look at 400,000 like elements one by one would take minutes."""
    if isinstance(value, dict):
        return {k: shortened(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shortened(v) for v in (value if len(value) <= 1000 else value[:500] + value[-500:])]
    return value


def schema_problems(checker, text, where):
    try:
        instance = shortened(json.loads(text))
    except (ValueError, TypeError) as error:
        return [f"{where}: no JSON: {error}"]
    errors = sorted(checker.iter_errors(instance), key=lambda e: list(map(str, e.path)))
    return [f"{where}: {'/'.join(map(str, e.path))}: {e.message[:200]}" for e in errors[:3]]


# --- checks of one log ---


def check_form(log, source, partitions, prefix, table):
    """Every record by itself: schema, headers, key spelling, partition, and agreement among them."""
    out = []
    checker = validator("event")
    for r in log:
        if r.bad:
            out.append(f"{r}: {r.bad}")
            continue
        out += schema_problems(checker, r.value, r)
        out += [
            f"{r}: {problem}" for problem in form_problems(r, source.key_schema, partitions, prefix, table)
        ]
    return out


def form_problems(r, key_schema, partitions, prefix, table):
    origin = r.event["source"]
    if r.headers.get("generation") != str(origin["generation"]):
        yield f"header generation {r.headers.get('generation')}, source {origin['generation']}"
    if (origin["connector"], origin["name"], origin["table"]) != ("dynamodb", prefix, table):
        yield f"source is {origin}"
    if (r.op == CONTROL) != bool(r.control):
        yield f"op {r.op} with control header {r.control}"
    if r.control in ("snapshot-begin", "snapshot-end"):
        return
    if list(r.keys) != list(key_schema.names):
        yield f"keys are {list(r.keys)}"
    if b'"keys":' + r.key not in r.value:
        yield "keys are not in canonical spelling"
    expected_key = oracle.message_key(r.keys, key_schema)
    if r.message_key != expected_key:
        yield f"message key {show(r.message_key)}, canonical is {show(expected_key)}"
    if r.partition != oracle.partition_of(expected_key, partitions):
        yield f"in the wrong partition, murmur2 says {oracle.partition_of(expected_key, partitions)}"
    if r.after and not same_item(key_schema.key_of(r.after), r.keys):
        spelled = {n: canonical_key({n: r.after[n]}) for n in key_schema.names}
        if spelled != {n: canonical_key({n: r.keys[n]}) for n in key_schema.names}:
            yield "after has another key"
    wanted = {"signal"} if r.is_repair else {"segment"} if r.is_row else {"shard", "sequence"}
    for name in {"shard", "sequence", "segment", "signal"}:
        if r.control != "skipped" and (name in r.headers) != (name in wanted):
            yield f"header {name} is {r.headers.get(name)}"
    if r.is_row and (origin["snapshot"] is r.is_repair or origin["ts_ms"] is not None or r.after is None):
        yield "a row without snapshot, a repair with it, a source time, or no value"
    if r.is_repair and r.control != "skipped" and (r.op not in (ROW, DELETE) or origin["ts_ms"] is not None):
        yield f"a repair with op {r.op} or a source time"
    if r.op in (CREATE, UPDATE) and r.after is None:
        yield "no value"
    if r.op == DELETE and r.after is not None:
        yield "a delete with a value"


def check_exactly_once(log, source, since=frozenset()):
    """Every record of the stream stands in the log once, with its very value. Sequences in `since` were
    before the programs' time and need not be there."""
    out, seen = [], set()
    for r in log:
        if r.bad or not r.is_change:
            continue
        if r.place in seen:
            out.append(f"{r}: {r.place} a second time")
        seen.add(r.place)
        change = source.by_place.get(r.place)
        if change is None:
            out.append(f"{r}: {r.place} is not in the stream")
            continue
        if source.key_of(change) != r.key:
            out.append(f"{r}: the stream has another key there")
        if r.control == "skipped":
            continue
        if change.op != r.op or not same_item(change.image, r.after):
            out.append(f"{r}: the stream has {change.op} {show(change.image)}, the log {show(r.after)}")
        if bool(r.event["source"].get("ttl")) != change.ttl:
            out.append(f"{r}: ttl is {r.event['source'].get('ttl')}")
    missing = [p for p in source.by_place if p not in seen and p not in since]
    out += [
        f"change {place} of {show(source.key_of(source.by_place[place]))} is missing" for place in missing
    ]
    return out


def check_order(log, source):
    """An item's changes stand in the source's order, and so does each shard within a partition."""
    out, newest, last = [], {}, {}
    for r in log:
        if r.bad or not r.is_change or r.place not in source.rank:
            continue
        rank = source.rank[r.place]
        if rank <= newest.get(r.key, -1):
            out.append(f"{r}: {r.place} after a newer change of its item")
        newest[r.key] = max(rank, newest.get(r.key, -1))
        shard, sequence = r.place
        if sequence <= last.get((r.partition, shard), -1):
            out.append(f"{r}: sequence {sequence} after {last[r.partition, shard]} of its shard")
        last[r.partition, shard] = sequence
    return out


def check_rows(log, source):
    """No row is older than a change before it, and each generation's snapshot shows an item once. A repair's
    delete is a row that says "absent"."""
    out, newest, shown = [], {}, set()
    for r in log:
        if r.bad:
            continue
        if r.is_change and r.place in source.rank:
            newest[r.key] = max(source.rank[r.place], newest.get(r.key, -1))
        elif r.is_repair and r.op == DELETE:
            if not source.was_absent(r.key, newest.get(r.key, -1)):
                out.append(f"{r}: a delete after the change {newest.get(r.key)}, and the item was there since")
        elif r.is_row and r.after:
            rank = source.rank_of_item(r.key, r.after)
            if rank < newest.get(r.key, -1):
                out.append(f"{r}: a row as of {rank} after the change {newest[r.key]}")
            if not r.is_repair and (r.generation, r.key) in shown:
                out.append(f"{r}: a second row in generation {r.generation}")
            if not r.is_repair:
                shown.add((r.generation, r.key))
            if rank >= 0 and not same_item(source.changes[rank].image, r.after):
                out.append(f"{r}: the source never had this value")
    return out


def check_controls(log, partitions, finished=True):
    """Each generation begins and ends once in each partition, with its rows in between and its changes behind
    the begin; generations grow; the log id stays."""
    out = []
    where = defaultdict(list)
    for r in log:
        if not r.bad and r.control in ("snapshot-begin", "snapshot-end"):
            where[r.control, r.generation, r.partition].append(r)
    generations = sorted({generation for _, generation, _ in where})
    if not generations:
        return ["no snapshot-begin"]
    for generation in generations:
        last = generation == generations[-1]
        for partition in range(partitions):
            begins = where["snapshot-begin", generation, partition]
            ends = where["snapshot-end", generation, partition]
            if len(begins) != 1:
                out.append(f"generation {generation}, partition {partition}: {len(begins)} begins")
            if len(ends) > 1 or (last and finished and not ends):
                out.append(f"generation {generation}, partition {partition}: {len(ends)} ends")
    ids = {r.event["control"]["log_id"] for records in where.values() for r in records}
    if len(ids) != 1:
        out.append(f"log ids {sorted(ids)}")
    return out + check_generations(log)


def check_generations(log):
    out, current, ended = [], {}, {}
    for r in log:
        if r.bad:
            continue
        if r.control == "snapshot-begin":
            if r.generation <= current.get(r.partition, -1):
                out.append(f"{r}: generation {r.generation} after {current[r.partition]}")
            current[r.partition] = r.generation
            continue
        if r.generation != current.get(r.partition):
            out.append(f"{r}: generation {r.generation} where {current.get(r.partition)} stands")
        if r.is_row and not r.is_repair and ended.get(r.partition) == r.generation:
            out.append(f"{r}: a row after its generation's end")
        if r.control == "snapshot-end":
            ended[r.partition] = r.generation
    return out


def check_last(log, items, source):
    """The last record of an item is the source's value."""
    out, last = [], {}
    for r in log:
        if not r.bad and r.key is not None:
            last[r.key] = r
    left = {canonical_key(source.key_schema.key_of(item), source.key_schema): item for item in items}
    for key, item in left.items():
        r = last.get(key)
        if r is None:
            out.append(f"{show(key)}: no record")
        elif r.control != "skipped" and not same_item(r.after, item):
            out.append(f"{r}: the source has {show(item)}, the last record {show(r.after)}")
    for key in set(last) - set(left):
        if last[key].op != DELETE and last[key].control != "skipped":
            out.append(f"{last[key]}: the source has no such item")
    return out


def unneeded(source, ledger, table):
    """Places in shards that were closed when the generation began: its rows show what they hold."""
    closed = {
        shard
        for shard in {c.shard for c in source.changes}
        if ledger.get(f"shard/{table}/{shard}", {}).get("status") == "no need to process"
    }
    return frozenset(c.place for c in source.changes if c.shard in closed)


def check_log(log, source, items, partitions, prefix, table, finished=True, since=frozenset()):
    """All checks of a data topic whose writers have stopped and whose producer has caught up."""
    return (
        check_form(log, source, partitions, prefix, table)
        + check_exactly_once(log, source, since)
        + check_order(log, source)
        + check_rows(log, source)
        + check_controls(log, partitions, finished)
        + check_last(log, items, source)
    )


# --- ledger and dead letters ---


def read_ledger(bootstrap, topic):
    """(newest value by key, problems): every record is validated, the newest of each key is kept."""
    checker, newest, problems = validator("ledger"), {}, []
    for message in read_messages(bootstrap, topic):
        key = message.key().decode("utf-8")
        where = f"{topic}/{message.partition()}/{message.offset()} {key}"
        if message.value() is None:
            newest.pop(key, None)
            continue
        problems += schema_problems(checker, message.value(), where)
        newest[key] = json.loads(message.value())
    return newest, problems


def check_ledger(ledger, log, source, table):
    """The ledger's positions and counts are those of the log: they were committed together."""
    out = []
    state = ledger.get(f"table/{table}")
    if not state:
        return [f"no table/{table} in the ledger"]
    rows = sum(r.is_page_row and r.generation == state["generation"] for r in log if not r.bad)
    segments = [v for k, v in ledger.items() if k.startswith(f"segment/{table}/")]
    counted = sum(s["rows"] for s in segments if s["generation"] == state["generation"])
    if counted != rows:
        out.append(f"segments count {counted} rows, the log has {rows}")
    for shard in {c.shard for c in source.changes}:
        position = ledger.get(f"shard/{table}/{shard}")
        sequences = [r.place[1] for r in log if not r.bad and r.is_change and r.place[0] == shard]
        if not position:
            out.append(f"no shard/{table}/{shard} in the ledger")
        elif sequences and int(position["sequence"] or -1) != max(sequences):
            out.append(f"{shard}: position {position['sequence']}, the log ends at {max(sequences)}")
        elif position["records"] != len(sequences):
            out.append(f"{shard}: {position['records']} records counted, {len(sequences)} in the log")
    return out


def read_dead_letters(bootstrap, topic):
    """(decoded dead letters, problems). The marks of those that were replayed are not among them."""
    checker, found, problems = validator("dead-letter"), [], []
    for message in read_messages(bootstrap, topic):
        where = f"{topic}/{message.partition()}/{message.offset()}"
        problems += schema_problems(checker, message.value(), where)
        found.append(json.loads(message.value()))
    return [letter for letter in found if letter["stage"] != "handled"], problems


def check_refused(log, dead_letters):
    """Dead letters of the producer: each says where its record came from, as the `skipped` in its place does."""
    places = [
        (r.partition, r.keys, {name: value for name, value in r.headers.items() if name != "control"})
        for r in log if r.control == "skipped"
    ]  # fmt: skip
    return [
        f"a dead letter without a skipped of its origin: {letter['keys']} {letter['headers']}"
        for letter in dead_letters
        if (letter["partition"], letter["keys"], letter["headers"]) not in places
    ]


def check_dead_letters(log, dead_letters, key_schema, convert_type, id_prefix="pre", dots_refused=False):
    """Dead letters of the consumer: one for each item whose last record can't be a document, none for a record
    that can; each names its record and carries it whole."""
    out, last, refused = [], {}, {}
    by_place = {(r.topic, r.partition, r.offset): r for r in log}
    for r in log:
        if r.bad:
            continue
        if r.key is not None:
            last[r.key] = r
        if r.after is not None:
            document = oracle.expected_document(
                r.after, key_schema, convert_type, id_prefix, dots_refused=dots_refused
            )
            if isinstance(document, oracle.DeadLetter):
                refused[r.topic, r.partition, r.offset] = document
    seen = set()
    for letter in dead_letters:
        place = letter["topic"], letter["partition"], letter["offset"]
        if letter["stage"] != "consumer" or place not in by_place:
            continue
        r = by_place[place]
        seen.add(place)
        if place not in refused and not r.bad:
            out.append(f"{r}: a dead letter without a reason: {letter['reason']}")
        if letter["value"] is None or base64.b64decode(letter["value"]) != r.value:
            out.append(f"{r}: its dead letter has other bytes")
    for r in last.values():
        place = r.topic, r.partition, r.offset
        if place in refused and place not in seen:
            out.append(f"{r}: no dead letter for {sorted(refused[place].reasons)}")
    return out
