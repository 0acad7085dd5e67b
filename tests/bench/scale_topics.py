"""Data topics and a ledger as a producer leaves them after a snapshot, for measurements without a producer.

As a command it feeds such topics: items at a steady rate, spread evenly over all partitions, until its input
ends; then it prints how many there were.
"""

import argparse
import base64
import json
import os
import selectors
import sys
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

GENERATION = 1_760_000_000_000
LOG_ID = "scale"
KEY_SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH", "AttributeType": "S"}]
MESSAGE_BYTES = {"max.message.bytes": "8388608"}
# What an item of no text takes in its message: keys, source and the names of all members.
MESSAGE_FRAME = 290


def compact(value):
    return json.dumps(value, separators=(",", ":"))


class Topics:
    def __init__(self, kafka, prefix, tables, partitions, codec="lz4", linger_ms=20):
        self.kafka, self.prefix, self.partitions = kafka, prefix, partitions
        self.tables = [f"tab{number:03d}" for number in range(tables)]
        server = {"bootstrap.servers": kafka, "log_level": 0}
        self.admin = AdminClient(server)
        self.producer = Producer({
            **server, "compression.codec": codec, "linger.ms": linger_ms, "batch.size": 1_000_000,
            "message.max.bytes": 8_000_000, "queue.buffering.max.kbytes": 65_536,
        })  # fmt: skip

    @property
    def total(self):
        return len(self.tables) * self.partitions

    def create(self):
        topic = f"{self.prefix}.%s"
        ours = [NewTopic(topic % name, self.partitions, 1, config=MESSAGE_BYTES) for name in self.tables]
        ours.append(NewTopic(f"{self.prefix}-ledger", 1, 1, config={"cleanup.policy": "compact"}))
        ours += [NewTopic(f"{self.prefix}-{name}", 1, 1) for name in ("signal", "dead-letter")]
        for done in self.admin.create_topics(ours, request_timeout=60).values():
            done.result(60)
        for name in self.tables:
            self.write_ledger(name)
            for partition in range(self.partitions):
                self.write_begin(name, partition)
        self.producer.flush()

    def write_ledger(self, name):
        table = {
            "table": name, "topic": f"{self.prefix}.{name}", "phase": "tail", "reason": "",
            "generation": GENERATION, "table_id": "scale", "stream_arn": "", "key_schema": KEY_SCHEMA,
            "item_count": 0, "segments": 1, "partitions": self.partitions, "log_id": LOG_ID, "rows": True,
            "begin_offsets": [0] * self.partitions, "started_ms": GENERATION, "finished_ms": GENERATION,
            "signal_offset": -1,
        }  # fmt: skip
        self.send(f"{self.prefix}-ledger", 0, f"place/{name}", compact({"partition": 0}))
        self.send(f"{self.prefix}-ledger", 0, f"table/{name}", compact(table))

    def source(self, name):
        return {"connector": "dynamodb", "name": self.prefix, "table": name, "snapshot": True,
                "generation": GENERATION, "ts_ms": None}  # fmt: skip

    def write_begin(self, name, partition):
        begin = {"type": "snapshot-begin", "key_schema": KEY_SCHEMA, "log_id": LOG_ID, "rows": True}
        value = {"op": "m", "ts_ms": GENERATION, "source": self.source(name), "keys": None, "after": None,
                 "control": begin}  # fmt: skip
        headers = {"control": "snapshot-begin", "generation": str(GENERATION)}
        key = compact({"control": "snapshot-begin"})
        self.send(f"{self.prefix}.{name}", partition, key, compact(value), headers)

    def write_item(self, name, partition, key, text):
        keys = f'{{"pk":{{"S":"{key}"}}}}'
        value = (f'{{"op":"r","ts_ms":{GENERATION},"source":{compact(self.source(name))},"keys":{keys},'
                 f'"after":{{"pk":{{"S":"{key}"}},"t":{{"S":"{text}"}}}}}}')  # fmt: skip
        headers = {"generation": str(GENERATION), "segment": "0"}
        self.send(f"{self.prefix}.{name}", partition, keys, value, headers)

    def send(self, topic, partition, key, value, headers=None):
        while True:
            try:
                self.producer.produce(topic, value, key, partition, headers=headers)
                return self.producer.poll(0)
            except BufferError:
                self.producer.poll(0.1)

    def write_backlog(self, each, item_bytes, in_a_row, random):
        """So many items in every partition, by turns of `in_a_row` of them."""
        length = max(item_bytes - MESSAGE_FRAME, 1)
        text = "x" * length
        for first in range(0, each, in_a_row):
            for name in self.tables:
                for partition in range(self.partitions):
                    for number in range(first, min(first + in_a_row, each)):
                        if random:
                            text = base64.b64encode(os.urandom(length * 3 // 4)).decode()
                        self.write_item(name, partition, f"{partition}-{number}", text)
        self.producer.flush()

    def drop(self):
        names = [name for name in self.admin.list_topics(timeout=30).topics if name.startswith(self.prefix)]
        for done in self.admin.delete_topics(names, operation_timeout=30).values():
            done.result(60)


def feed(topics, rate, keys, item_bytes):
    """Each item has its number and the time it was sent as a mark in its text (wire.py)."""
    places = [(name, p) for p in range(topics.partitions) for name in topics.tables]
    text = "x" * max(item_bytes - MESSAGE_FRAME, 0)
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        began, count = time.monotonic(), 0
        while not selector.select(0.002):
            for number in range(count, int((time.monotonic() - began) * rate)):
                turn, place = divmod(number, len(places))
                key = f"{places[place][1]}-{turn % keys}"
                topics.write_item(*places[place], key, f"@{number}:{time.time():.6f}@{text}")
                count = number + 1
            topics.producer.poll(0)
    topics.producer.flush()
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("kafka", "prefix"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("tables", "partitions", "keys", "item-bytes"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="items per second, over all partitions")
    options = parser.parse_args()
    topics = Topics(options.kafka, options.prefix, options.tables, options.partitions, linger_ms=0)
    print(feed(topics, options.rate, options.keys, options.item_bytes), flush=True)


if __name__ == "__main__":
    main()
