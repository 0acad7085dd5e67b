"""Tables that share a transactional handle do not share their troubles: a topic that takes nothing holds its own
table alone, is named once, and its table comes back by itself.

The faults are a proxy's in front of the broker (a refusal of AddPartitionsToTxn as a broker with access control
lists answers it, a topic whose leader hangs), or the broker's own (a topic that was deleted)."""

import random
import struct
import threading

import confluent_kafka.admin
from fakes.kafka_proxy import PRODUCE, KafkaProxy
from support.bridge import complain
from support.running import wait_until
from support.scripted_source import VERSIONS, ferry, wait_phase

API_VERSIONS, ADD_PARTITIONS = 18, 24
NO_RIGHT, NOT_ATTEMPTED = 29, 55
ONE_HANDLE = {"ledger.partitions": 1, "commit.stall.ms": 2000}
OVERSIZED = 200_000
RELEASE = object()


class TroubledBroker(KafkaProxy):
    """One topic gets no right to be written, or its records no answer."""

    def __init__(self, broker):
        super().__init__(broker)
        self.forbidden = self.hanging = None
        self.troubled = 0  # requests

    def asked(self, frame, refused):
        kind, _, number = struct.unpack(">hhi", frame[:8])
        if kind == PRODUCE and self.hanging and self.hanging in frame[:300]:
            self.troubled += 1
            return None
        if kind == ADD_PARTITIONS and self.forbidden and self.forbidden in frame:
            self.troubled += 1
            refused[number] = forbidding(frame, self.forbidden)
            return struct.pack(">hh", API_VERSIONS, 0) + frame[4 : end_of_text(frame, 8)]
        return super().asked(frame, refused)

    def answered(self, frame, refused):
        number = struct.unpack(">i", frame[:4])[0]
        if isinstance(refused.get(number), bytes):
            return refused.pop(number)
        return super().answered(frame, refused)


class LateBroker(KafkaProxy):
    """The first request with a topic's records comes late, and its connection with it: in the next transaction that
    takes the topic in."""

    def __init__(self, broker):
        super().__init__(broker)
        self.late = None
        self.held, self.released = threading.Event(), threading.Event()

    def asked(self, frame, refused):
        kind, _, number = struct.unpack(">hhi", frame[:8])
        if kind == PRODUCE and self.late and self.late in frame[:300] and not self.held.is_set():
            self.held.set()
            self.released.wait()
        if kind == ADD_PARTITIONS and self.held.is_set() and self.late in frame:
            refused[number] = RELEASE
        return super().asked(frame, refused)

    def answered(self, frame, refused):
        number = struct.unpack(">i", frame[:4])[0]
        if refused.get(number) is RELEASE:
            refused.pop(number)
            self.released.set()
        return super().answered(frame, refused)

    def __exit__(self, *error):
        self.released.set()
        super().__exit__(*error)


def end_of_text(frame, at):
    return at + 2 + struct.unpack(">h", frame[at : at + 2])[0]


def forbidding(frame, forbidden):
    """The answer to this AddPartitionsToTxn request, version 0, of a broker that lets nobody write the topic: it
    takes in none of the partitions.

    Asked: kind, version, number, client, transactional id, producer's id and epoch, topics: name, partitions.
    Answered: number, throttle time, topics: name, partitions: partition and code."""
    at = end_of_text(frame, end_of_text(frame, 8)) + 10
    out = frame[4:8] + bytes(4) + frame[at : at + 4]
    topics, at = struct.unpack(">i", frame[at : at + 4])[0], at + 4
    for _ in range(topics):
        name, at = frame[at : end_of_text(frame, at)], end_of_text(frame, at)
        count = struct.unpack(">i", frame[at : at + 4])[0]
        out, at = out + name + frame[at : at + 4], at + 4
        for _ in range(count):
            out += frame[at : at + 4] + struct.pack(">h", NO_RIGHT if name[2:] == forbidden else NOT_ATTEMPTED)
            at += 4
    return out


def put(ferry, table, key, noise=0):
    item = {"pk": {"S": key}, "v": {"N": str(next(VERSIONS))}, "noise": {"B": random.Random(key).randbytes(noise)}}
    ferry.dynamodb.put_item(TableName=table.name, Item=item)


def pair(ferry, **settings):
    """A table whose topic will be in trouble, its neighbour, and their producer."""
    table, neighbour = ferry.add_table(), ferry.add_table()
    put(ferry, table, "first")
    put(ferry, neighbour, "first")
    producer = ferry.producer(ONE_HANDLE | settings)
    for each in (table, neighbour):
        wait_phase(ferry, each, "tail")
    return table, neighbour, producer


def keys_in_log(ferry, table):
    return {r.keys["pk"]["S"] for r in ferry.log(table) if not r.bad and r.keys}


def arrives(ferry, table, key, seconds=60):
    put(ferry, table, key)
    wait_until(lambda: key in keys_in_log(ferry, table), seconds, f"{key} in the log", ferry.running())


def lines_of(producer, what, table):
    return [line for line in producer.log().splitlines() if f'event="{what}"' in line and f"table={table.name} " in line]


def wait_held(ferry, producer, table, neighbour):
    """The neighbour's records arrive, before and after the table is found."""
    arrives(ferry, neighbour, "beside the trouble")
    for n in range(100):  # what others commit proves that it is not Kafka
        if lines_of(producer, "table held", table):
            break
        arrives(ferry, neighbour, f"while it is looked for {n}")
    arrives(ferry, neighbour, "while it is held")
    assert ferry.phase(table) == "tail"


def check_comes_back(ferry, producer, table, neighbour, topic):
    """By itself, with all that it had to wait with; told once, and the neighbour never."""
    wait_until(lambda: lines_of(producer, "table no longer held", table), 90, "its end", [producer])
    arrives(ferry, table, "after it")
    arrives(ferry, neighbour, "after it")
    ferry.wait_caught_up(60)
    (line,) = lines_of(producer, "table held", table)
    assert f"topic={topic} " in line
    assert not lines_of(producer, "table held", neighbour)
    for each in (table, neighbour):
        complain(ferry.verify_log(each))


def test_a_topic_without_the_right_to_write_holds_its_own_table_alone(ferry):
    with TroubledBroker(ferry.parts.kafka) as broker:
        table, neighbour, producer = pair(ferry, **{"kafka.bootstrap.servers": broker.address})
        broker.forbidden = ferry.topic(table).encode()
        put(ferry, table, "refused")
        wait_until(lambda: broker.troubled, 30, "a refusal", [producer])
        wait_held(ferry, producer, table, neighbour)
        assert "no right to write to it" in lines_of(producer, "table held", table)[0]
        broker.forbidden = None
        check_comes_back(ferry, producer, table, neighbour, ferry.topic(table))
        assert "refused" in keys_in_log(ferry, table)
        assert producer.log().count("ledger partition opened") <= 2  # each further trial kept the handle
        producer.sigterm()


def test_a_topic_whose_leader_hangs_holds_its_own_table_alone(ferry):
    with TroubledBroker(ferry.parts.kafka) as broker:
        table, neighbour, producer = pair(ferry, **{"kafka.bootstrap.servers": broker.address})
        broker.hanging = ferry.topic(table).encode()
        put(ferry, table, "hanging")
        wait_until(lambda: broker.troubled, 30, "a request without an answer", [producer])
        wait_held(ferry, producer, table, neighbour)
        broker.hanging = None
        check_comes_back(ferry, producer, table, neighbour, ferry.topic(table))
        assert "hanging" in keys_in_log(ferry, table)
        producer.sigterm()


def test_what_was_only_late_is_not_taken_into_a_later_transaction(ferry):
    with LateBroker(ferry.parts.kafka) as broker:
        table, neighbour, producer = pair(ferry, **{"kafka.bootstrap.servers": broker.address})
        broker.late = ferry.topic(table).encode()
        put(ferry, table, "late")
        wait_until(broker.held.is_set, 30, "the request that is late", [producer])
        wait_until(broker.released.is_set, 60, "the next transaction", [producer])
        arrives(ferry, table, "after it")
        arrives(ferry, neighbour, "after it")
        ferry.wait_caught_up(60)
        for each in (table, neighbour):
            complain(ferry.verify_log(each))
        producer.sigterm()


def test_a_deleted_dead_letter_topic_holds_only_who_writes_to_it(ferry):
    table, neighbour, producer = pair(ferry, **{"topic.max.message.bytes": 70_000})
    topic = f"{ferry.prefix}-dead-letter"
    for future in ferry.admin.delete_topics([topic], operation_timeout=20).values():
        future.result()
    put(ferry, table, "too large", OVERSIZED)
    wait_until(lambda: "record goes to the dead letters" in producer.log(), 30, "a dead letter", [producer])
    wait_held(ferry, producer, table, neighbour)
    anew = confluent_kafka.admin.NewTopic(topic, 1, 1, config={"max.message.bytes": "70000"})
    for future in ferry.admin.create_topics([anew]).values():
        future.result()
    check_comes_back(ferry, producer, table, neighbour, topic)
    letters, problems = ferry.dead_letters()
    complain(problems)
    assert [letter["keys"]["pk"]["S"] for letter in letters] == ["too large"]
    producer.sigterm()
