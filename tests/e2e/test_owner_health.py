"""What the owner of ledger partitions needs is named by /healthz when it does not work, and nothing else is."""

import pytest
from fakes.kafka_proxy import LIST_OFFSETS, KafkaProxy
from support.running import stays, wait_until

FETCH, JOIN_GROUP, INIT_PRODUCER_ID = 1, 11, 22


@pytest.fixture
def proxied(scripted):
    """Its producer reaches Kafka through a proxy that swallows what a test says."""
    with KafkaProxy(scripted.parts.kafka) as proxy:
        scripted.proxy = proxy
        scripted.settings.update({"kafka.bootstrap.servers": proxy.address, "health.limit.ms": 2000})
        yield scripted


def stuck(producer):
    status, text = producer.get("/healthz")
    return [line for line in text.splitlines() if line.startswith("stuck: ")] if status == 503 else []


def named(producer, part):
    return any(line.startswith(f"stuck: {part}:") for line in stuck(producer))


def test_a_ledger_partition_that_can_not_be_opened_is_named_alone(proxied):
    """Opening it takes longer than the limit, and the thread that waits for it is the group's."""
    proxied.add_table()
    proxied.proxy.swallowed = {INIT_PRODUCER_ID}
    producer = proxied.producer()
    wait_until(lambda: named(producer, "ledger partition 0"), 60, "the partition to be named", [producer])
    stays(lambda: not named(producer, "group") and named(producer, "ledger partition 0"), 5)


def test_a_group_that_takes_nobody_is_named(proxied):
    proxied.add_table()
    proxied.proxy.swallowed = {JOIN_GROUP}
    producer = proxied.producer()
    wait_until(lambda: named(producer, "group"), 60, "the group to be named", [producer])
    assert not named(producer, "ledger")


def test_a_ledger_that_can_not_be_read_is_named(proxied):
    table = proxied.add_table()
    producer = proxied.producer()
    wait_until(lambda: proxied.phase(table) == "tail", 60, "the tail", [producer])
    wait_until(lambda: not stuck(producer), 30, "health", [producer])
    proxied.proxy.swallowed = {FETCH, LIST_OFFSETS}
    wait_until(lambda: named(producer, "ledger"), 60, "the ledger to be named", [producer])
