"""kill -9 at any moment leaves neither a gap nor a duplicate in the log, and MongoDB as the source.

DYNAFERRY_KILLS sets how often each program is killed (2 by default, 50 in the campaign). What each kill met is
written to build/e2e/<test>/kills.json: whether the producer's transaction was open (the broker still held
readers back right after), and what the consumer had been given and had not yet applied.
"""

import json
import os
import random
import time

import pytest
from support import topic_check, workload
from support.running import wait_until

KILLS = int(os.environ.get("DYNAFERRY_KILLS", "2"))
SETTINGS = {
    "ledger.partitions": 1,
    "topic.partitions": 2,
    # Open for most of the time while records flow.
    "commit.interval.ms": 500,
    "qps.full": 20,
    "qps.full.batch_num": 10,
}


def high_watermarks(bridge):
    """Of all data topics, uncommitted records included; {} while there are none."""
    out = {}
    for topic in map(bridge.topic, bridge.tables):
        if topic_check.partitions_of(bridge.parts.kafka, topic):
            ends = topic_check.end_offsets(bridge.parts.kafka, topic, "read_uncommitted")
            out.update({(topic, partition): end for partition, end in ends.items()})
    return out


def kill_producer(bridge, producer, rng):
    """Waits until it has appended something, a random moment more, kills it; what the kill met."""
    before = high_watermarks(bridge)
    wait_until(lambda: high_watermarks(bridge) != before, 60, "records from the producer", [producer])
    time.sleep(rng.uniform(0, 0.6))  # the random moment is the point of the campaign
    phases = [bridge.phase(table) for table in bridge.tables]
    producer.kill9()
    return {"phases": phases, "open": bridge.transaction_open()}


def applied_offsets(bridge):
    return {d["_id"]: d["offset"] for d in bridge.target()["dynaferry:applied"].find() if "offset" in d}


def kill_consumer(bridge, consumer, rng):
    before = applied_offsets(bridge)
    wait_until(lambda: applied_offsets(bridge) != before, 60, "documents from the consumer", [consumer])
    time.sleep(rng.uniform(0, 0.6))  # the random moment is the point of the campaign
    consumer.kill9()
    unapplied = 0
    for table in bridge.tables:
        log = bridge.log(table)
        for partition in {record.partition for record in log}:
            next_offset = bridge.position(table, partition).get("offset", 0)
            unapplied += sum(r.offset >= next_offset for r in log if r.partition == partition)
    return {"open": unapplied > 0, "unapplied": unapplied}


@pytest.mark.campaign
@pytest.mark.tsan
@pytest.mark.parametrize("role", ["producer", "consumer"])
def test_killed_at_any_moment(bridge, role):
    rng = random.Random(role)
    kinds = workload.all_tables("")
    for kind in kinds[1], kinds[3]:
        bridge.add_table(kind.key_schema)
    for seed, table in enumerate(bridge.tables):
        bridge.writer(table, seed=seed, keys=150, rate=60).fill(padding=200)
    bridge.settings.update(SETTINGS)
    programs = {"producer": bridge.producer(), "consumer": bridge.consumer()}
    for writer in bridge.writers:
        writer.start()
    kills = []
    for number in range(KILLS):
        met = (kill_producer if role == "producer" else kill_consumer)(bridge, programs[role], rng)
        kills.append({"number": number, **met})
        (bridge.directory / "kills.json").write_text(json.dumps(kills, indent=1))
        programs[role] = getattr(bridge, role)()
    bridge.settle(120)
    bridge.verify()
    for program in programs.values():
        program.sigterm()
    if KILLS >= 20:
        met = sum(kill["open"] for kill in kills)
        assert met >= 0.6 * KILLS, f"only {met} of {KILLS} kills met open work"


@pytest.mark.campaign
def test_a_killed_snapshot_goes_on_where_it_was(bridge):
    """The same generation, no row a second time."""
    table = bridge.add_table()
    bridge.writer(table, seed=11, keys=200).fill()
    bridge.settings.update(SETTINGS)
    slow = {"full.read.concurrency": 2, "qps.full": 1, "qps.full.batch_num": 5}  # 40 s
    producer = bridge.producer(slow)
    wait_until(lambda: high_watermarks(bridge), 30, "the topic", [producer])
    wait_until(lambda: sum(r.is_row for r in bridge.log(table)) >= 20, 60, "rows", [producer])
    producer.kill9()
    assert bridge.phase(table) == "snapshot"
    generation = bridge.ledger()[0][f"table/{table.name}"]["generation"]
    rows = sum(record.is_row for record in bridge.log(table))
    assert 0 < rows < 200
    bridge.producer({"full.read.concurrency": 2})
    bridge.consumer()
    bridge.settle()
    bridge.verify()
    assert {record.generation for record in bridge.log(table)} == {generation}
