"""Kafka is away when a program ends, or does not give what its start needs: it does not wait for ever."""

import os
import signal

import pytest
from fakes.kafka_proxy import CREATE_TOPICS, LIST_OFFSETS, KafkaProxy
from support.running import free_port, wait_until

SECONDS = 15  # calls of Kafka's client wait for longer, some for ever


def hang(bridge):
    """Its port takes connections, and nothing more."""
    pid = int((bridge.parts.directory / "kafka" / "pid").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def kill(bridge):
    bridge.parts.script("kill", "kafka")
    return lambda: bridge.parts.script("start", "kafka")


@pytest.mark.parametrize("away", [kill, hang], ids=["killed", "hung"])
@pytest.mark.parametrize("writes", [0, 300], ids=["at once", "after a while"])
def test_sigterm_while_kafka_is_away(bridge, away, writes):
    bridge.parts.need_ours("kafka")
    tables = [bridge.add_table() for _ in range(3)]
    for seed, table in enumerate(tables):
        bridge.writer(table, seed=70 + seed, keys=30, rate=40, refused=0).fill()
    programs = [bridge.producer({"ledger.partitions": 3}), bridge.consumer({"ledger.partitions": 3})]
    bridge.wait_caught_up()
    bridge.wait_applied()
    for writer in bridge.writers:
        writer.start()
    at = bridge.writers[0].written
    wait_until(lambda: bridge.writers[0].written >= at + 20, 60, "writes", programs)
    back = away(bridge)
    try:
        at = bridge.writers[0].written
        wait_until(lambda: bridge.writers[0].written >= at + writes, 120, "writes meanwhile", programs)
        for program in programs:
            program.signal(signal.SIGTERM)
        for program in programs:
            assert program.wait(SECONDS) == 0, program.story()
    finally:
        back()
    bridge.producer({"ledger.partitions": 3})
    bridge.consumer({"ledger.partitions": 3})
    bridge.settle(120)
    bridge.verify()


def test_nobody_is_ready_while_it_ends(bridge):
    """Kafka gives no answer, so that the end takes seconds."""
    bridge.parts.need_ours("kafka")
    bridge.writer(bridge.add_table(), seed=73, keys=5).fill()
    programs = [bridge.producer(), bridge.consumer()]
    bridge.wait_applied()
    for program in programs:
        wait_until(lambda: program.get("/readyz")[0] == 200, 30, "the readiness", [program])
    back = hang(bridge)
    try:
        for program in programs:
            program.signal(signal.SIGTERM)
            wait_until(lambda: program.get("/readyz") == (503, "not ready\n"), 5, "the end of readiness", [program])
    finally:
        back()
    for program in programs:
        assert program.wait(SECONDS) == 0, program.story()


@pytest.mark.parametrize("role", ["producer", "consumer"])
def test_sigterm_while_kafka_is_waited_for_at_the_start(bridge, role):
    bridge.add_table()
    program = bridge.program(role, {"kafka.bootstrap.servers": f"127.0.0.1:{free_port()}"}).start()
    wait_until(lambda: "librdkafka" in program.log(), 30, "the first try", [program])
    program.sigterm(SECONDS)


@pytest.mark.parametrize(
    "role,swallowed",
    [("producer", LIST_OFFSETS), ("producer", CREATE_TOPICS), ("consumer", CREATE_TOPICS)],
    ids=["the ledger's end", "the producer's topics", "the consumer's topics"],
)
def test_a_kafka_that_does_not_give_what_the_start_needs_is_unreachable(bridge, role, swallowed):
    """It tells of itself, so it is not simply away."""
    bridge.add_table()
    with KafkaProxy(bridge.parts.kafka, {swallowed}) as proxy:
        settings = {"kafka.bootstrap.servers": proxy.address, "start.timeout": 2}
        program = bridge.run(role, settings, seconds=90)
        assert proxy.hidden.is_set()
    assert program.process.returncode == 69, program.story()
    assert proxy.address in program.log()
