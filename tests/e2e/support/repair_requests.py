"""Requests to a table's owner: asking it to repair keys, and what became of that."""

import itertools
import json
import re

import confluent_kafka

from . import topic_check
from .bridge import complain
from .oracle import canonical_key
from .running import wait_until

SENDER = "test"
NUMBERS = itertools.count(1)


def signal_topic(bridge):
    return f"{bridge.prefix}-signal"


def produce(bridge, value, key=None):
    """Puts a message into the signal topic; its offset."""
    done = []
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": bridge.parts.kafka, "message.max.bytes": 4_000_000, "allow.auto.create.topics": False}
    )
    producer.produce(
        signal_topic(bridge), value, key, partition=0, on_delivery=lambda error, m: done.append((error, m))
    )
    assert producer.flush(30) == 0
    error, message = done[0]
    assert error is None, error
    return message.offset()


def signal(table, kind="repair", **more):
    return {"id": f"s{next(NUMBERS)}", "type": kind, "table": table.name, "sender": SENDER, "ts_ms": 1, **more}


def ask_repair(bridge, table, keys):
    """Asks for these keys (boto3's form); the request's offset."""
    texts = [canonical_key(key, table.key_schema).decode() for key in keys]
    head = json.dumps(signal(table, keys=[]), separators=(",", ":"))
    text = head.replace('"keys":[]', '"keys":[' + ",".join(texts) + "]")
    complain(topic_check.schema_problems(topic_check.validator("signal"), text, "the request"))
    return produce(bridge, text.encode(), table.name)


def ask(bridge, table, kind, **more):
    """Asks for anything but a repair; the request's offset."""
    text = json.dumps(signal(table, kind, **more))
    complain(topic_check.schema_problems(topic_check.validator("signal"), text, "the request"))
    return produce(bridge, text.encode(), table.name)


def outcome(bridge, table, offset):
    """Why the request was refused; "": it was not. None: it is not handled."""
    record = bridge.ledger()[0].get(f"table/{table.name}", {})
    return {h["offset"]: h["refused"] for h in record.get("handled", ())}.get(offset)


def wait_outcome(bridge, table, offset, seconds=60):
    what = f"request {offset} of {table.name}"
    wait_until(lambda: outcome(bridge, table, offset) is not None, seconds, what, bridge.running())
    return outcome(bridge, table, offset)


def handled(bridge, table):
    """The table's handled offset in the ledger; -2 when there is no record."""
    return bridge.ledger()[0].get(f"table/{table.name}", {}).get("signal_offset", -2)


def wait_handled(bridge, table, offset, seconds=60):
    what = f"request {offset} of {table.name}"
    wait_until(lambda: handled(bridge, table) > offset, seconds, what, bridge.running())


def wait_placed(bridge, table):
    """From here on requests are for this table."""
    wait_until(lambda: handled(bridge, table) >= 0, 60, f"{table.name} takes requests", bridge.running())


def repairs(bridge, table, offset=None):
    return [
        r for r in bridge.log(table) if r.is_repair and offset in (None, int(r.headers["signal"]))
    ]


def refusals(program):
    """Offset and log line of each request that this program refused."""
    lines = [line for line in program.log().splitlines() if 'event="signal is refused"' in line]
    return [(int(re.search(r"offset=(\d+)", line)[1]), line) for line in lines]
