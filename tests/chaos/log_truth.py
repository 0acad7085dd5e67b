"""What must stand in a table's topic, whatever befell the table, its stream and the topic itself.

`Tap` reads a topic on and on, so that what retention removed, or what stood in a topic that was deleted since,
is known too. `problems` judges it generation by generation: within one, each change of the stream stands once,
each item's changes are in the source's order and no row is older than a change before it. Every change of the
present stream that was made after the newest begin is in the newest generation; so is every item.
"""

from collections import defaultdict

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from support import topic_check
from support.oracle import canonical_key, show
from support.spelling import plain_item, plain_value
from support.topic_check import DELETE, OP_OF_EVENT, from_wire

BEGIN, END = "snapshot-begin", "snapshot-end"


# --- the source ---


class Change:
    """One record of the stream. `order` says where it stands among the versions of its item."""

    def __init__(self, entry, rank, key_schema):
        self.rank, self.arn, self.made = rank, entry["arn"], entry["made"]
        self.place = entry["shard"], int(entry["seq"])
        self.op, self.ttl = OP_OF_EVENT[entry["name"]], entry["ttl"]
        self.key = canonical_key({k: from_wire(v) for k, v in entry["keys"].items()}, key_schema)
        self.wire = entry["new"]
        image = entry["new"] or entry["old"]
        self.order = int(plain_value(from_wire(image["v"]))["N"]), self.op == DELETE

    @property
    def image(self):
        return self.wire and {name: from_wire(value) for name, value in self.wire.items()}


class Truth:
    """All that the endpoint ever put into the streams of one table; read on as it grows."""

    def __init__(self, fake, table):
        self.fake, self.table = fake, table
        self.seen, self.changes, self.by_place = 0, [], {}

    def update(self):
        history = self.fake.backend.history
        for entry in history[self.seen : len(history)]:
            self.seen += 1
            if entry["table"] == self.table.name:
                change = Change(entry, len(self.changes), self.table.key_schema)
                self.changes.append(change)
                self.by_place[change.place] = change
        return self


# --- the topic ---


class Tap:
    """Every committed record of a topic and of those of its name before it; read on by `update`."""

    def __init__(self, bridge, table):
        self.bridge, self.table, self.topic = bridge, table, bridge.topic(table)
        self.id, self.logs, self.next, self.checked = None, [], {}, 0
        self.was_cut = False  # then an empty topic may look like another one

    def describe(self):
        found = self.bridge.admin.describe_topics(confluent_kafka.TopicCollection([self.topic]))
        try:
            return found[self.topic].result(20)
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() == confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise

    def update(self):
        """Reads to the present end; whether there is a topic."""
        described = self.describe()
        if not described:
            return False
        if str(described.topic_id) != self.id:
            self.id, self.next = str(described.topic_id), {p.id: OFFSET_BEGINNING for p in described.partitions}
            self.logs.append([])
        self.read()
        return True

    def read(self):
        reader = topic_check.consumer(self.bridge.parts.kafka)
        try:
            starts = [TopicPartition(self.topic, p, self.low(reader, p, at)) for p, at in self.next.items()]
            reader.assign(starts)
            waiting = set(self.next)
            while waiting:
                message = reader.poll(20)
                if message is None:
                    raise TimeoutError(f"{self.topic}: no end of partitions {sorted(waiting)}")
                if not message.error():
                    self.take(message)
                elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    self.next[message.partition()] = message.offset()
                    waiting.discard(message.partition())
                else:
                    raise confluent_kafka.KafkaException(message.error())
        finally:
            reader.close()

    def low(self, reader, partition, at):
        return max(at, reader.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=20)[0])

    def take(self, message):
        record = topic_check.decode(message, self.table.key_schema)
        record.logged_s = message.timestamp()[1] / 1000
        self.logs[-1].append(record)

    @property
    def log(self):
        return self.logs[-1] if self.logs else []

    def last_offsets(self):
        last = {}
        for record in self.log:
            last[record.partition] = record.offset
        return last


# --- the judgment ---


def problems(tap, truth, items, arn):
    out = []
    partitions = len(tap.next)
    for log in tap.logs:
        out += check_controls(log, partitions, log is tap.log)
        out += [] if tap.was_cut else check_log_id(log)
        for records in by_generation(log).values():
            out += check_generation(records, truth)
    if tap.log:
        newest = max(by_generation(tap.log))
        out += check_newest(by_generation(tap.log)[newest], truth, items, arn, tap.table.key_schema)
    return out


def by_generation(log):
    found = defaultdict(list)
    for record in log:
        if not record.bad:
            found[record.generation].append(record)
    return found


def check_form(tap, prefix):
    """Of those records that were not looked at yet."""
    out = []
    checker = topic_check.validator("event")
    records = [record for log in tap.logs for record in log]
    for r in records[tap.checked :]:
        out += [f"{r}: {r.bad}"] if r.bad else topic_check.schema_problems(checker, r.value, r)
        if not r.bad:
            told = topic_check.form_problems(r, tap.table.key_schema, len(tap.next), prefix, tap.table.name)
            out += [f"{r}: {problem}" for problem in told]
    tap.checked = len(records)
    return out


def check_generation(records, truth):
    """Offsets grow within a partition, and all of a key is in one partition."""
    out, seen, newest, shown = [], {}, {}, {}
    for r in records:
        if r.is_change:
            out += check_change(r, truth, seen, newest)
        elif r.is_row and r.after:
            order = int(plain_value(r.after["v"])["N"]), False
            if order < newest.get(r.key, (-1, False)):
                out.append(f"{r}: a row of version {order[0]} after the change {newest[r.key]}")
            if not r.is_repair and r.key in shown:
                out.append(f"{r}: a second row of its generation, the first is {shown[r.key]}")
            if not r.is_repair:
                shown[r.key] = r
    return out


def check_change(r, truth, seen, newest):
    change = truth.by_place.get(r.place)
    if change is None:
        return [f"{r}: {r.place} is not in the stream"]
    out = []
    if r.place in seen:
        out.append(f"{r}: {r.place} a second time in its generation, the first is {seen[r.place]}")
    seen[r.place] = r
    if change.key != r.key:
        out.append(f"{r}: the stream has {show(change.key)} there")
    if change.order < newest.get(r.key, (-1, False)):
        out.append(f"{r}: version {change.order} after {newest[r.key]}")
    newest[r.key] = max(change.order, newest.get(r.key, (-1, False)))
    if r.control == "skipped":
        return out
    if change.op != r.op or plain_item(change.image) != plain_item(r.after):
        out.append(f"{r}: the stream has {change.op} {show(change.image)}, the log {show(r.after)}")
    if bool(r.event["source"].get("ttl")) != change.ttl:
        out.append(f"{r}: ttl is {r.event['source'].get('ttl')}")
    return out


def check_newest(records, truth, items, arn, key_schema):
    """Nothing is missing behind the newest begin, and the last record of each item is the source's value."""
    out, last = [], {}
    begun = min((r.logged_s for r in records if r.control == BEGIN), default=None)
    seen = {r.place for r in records if r.is_change}
    for change in truth.changes:
        wanted = begun is None or change.made > begun
        if change.arn == arn and wanted and change.place not in seen:
            out.append(f"change {change.place} of {show(change.key)} is missing")
    for r in records:
        if r.key is not None:
            last[r.key] = r
    left = {canonical_key(key_schema.key_of(item), key_schema): item for item in items}
    for key, item in left.items():
        r = last.get(key)
        if r is None:
            out.append(f"{show(key)}: no record in the newest generation")
        elif r.control != "skipped" and plain_item(r.after) != plain_item(item):
            out.append(f"{r}: the source has {show(item)}, the last record {show(r.after)}")
    for key in set(last) - set(left):
        if last[key].op != DELETE and last[key].control != "skipped":
            out.append(f"{last[key]}: the source has no such item")
    return out


def check_controls(log, partitions, newest):
    """Each generation begins once in each partition and ends at most once; the newest has ended."""
    out, where = [], defaultdict(int)
    for r in log:
        if r.control in (BEGIN, END):
            where[r.control, r.generation, r.partition] += 1
    generations = sorted({generation for _, generation, _ in where})
    for generation in generations:
        last = newest and generation == generations[-1]
        for p in range(partitions):
            begins, ends = where[BEGIN, generation, p], where[END, generation, p]
            if begins != 1 or ends > 1 or (last and not ends):
                out.append(f"generation {generation}, partition {p}: {begins} begins, {ends} ends")
    return out + topic_check.check_generations(log)


def check_log_id(log):
    ids = {r.event["control"]["log_id"] for r in log if r.control in (BEGIN, END)}
    return [f"log ids {sorted(ids)}"] if len(ids) > 1 else []
