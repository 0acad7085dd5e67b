"""One writer per table: who lost a table cannot commit a single record of it more.

Each time A stands inside an open transaction when it loses the table: by being removed from the group while
an answer keeps it waiting, by SIGSTOP past its session, by another handle of its transactional id. The
uncommitted log shows that A's records were really there; the committed one must not.
"""

import time

import confluent_kafka
import pytest
from support.bridge import complain
from support.group_kick import kick
from support.running import wait_until

SETTINGS = {
    "ledger.partitions": 1,
    "topic.partitions": 2,
    "full.read.concurrency": 2,
    # Transactions that stay open while pages of one segment flow and the other one's is held.
    "commit.interval.ms": 5000,
    "qps.full": 6,
    "qps.full.batch_num": 10,
}


@pytest.fixture
def table(scripted):
    """400 items: the third page of segment 0 is held, and those of segment 1 come so slowly that rows flow for
    long enough for every scene. The fault is `scripted.page`."""
    scripted.settings.update(SETTINGS)
    made = scripted.add_table()
    scripted.writer(made, seed=1, keys=400, rate=30).fill()
    control = scripted.fake.control
    scripted.page = control.fault("hold", op="Scan", where={"Segment": 0}, skip=2, when="after")
    control.fault("delay", op="Scan", where={"Segment": 1}, seconds=1, times=-1)
    return made


def owners(bridge):
    """{client id: member} of the producers that own ledger partitions."""
    members = bridge.group(f"{bridge.prefix}-producer")[1]
    return {m.client_id: m for m in members if m.assignment.topic_partitions}


def held_in_a_transaction(bridge, producer):
    """Returns once the page is held and rows of segment 1 are uncommitted."""
    wait_until(lambda: bridge.fake.control.wait_held(bridge.page, 0.1), 60, "a held page", [producer])
    wait_until(bridge.transaction_open, 30, "an open transaction", [producer])


def next_commit(producer):
    """Waits for one; a time before it. From then on no other one is begun for the interval."""
    commits = lambda: producer.metric("dynaferry_producer_commits_total")
    before, seen = time.monotonic(), commits()

    def came():
        nonlocal before
        now = time.monotonic()
        if commits() > seen:
            return True
        before = now
        return False

    wait_until(came, 60, "a commit", [producer])
    return before


def stop_in_a_transaction(bridge, producer):
    """Stops it where it has appended rows and has not begun to commit them."""

    def stopped():
        due = next_commit(producer) + SETTINGS["commit.interval.ms"] / 1000
        wait_until(bridge.transaction_open, 30, "rows behind the commit", [producer])
        producer.hang()
        if time.monotonic() < due:
            return True
        producer.go_on()
        return False

    wait_until(stopped, 60, "a stop inside a transaction", [producer])


def committed(bridge, table, isolation="read_committed"):
    return {(r.partition, r.offset) for r in bridge.log(table, isolation)}


def refused_records(bridge, table):
    """Records that are in the log but in no committed transaction."""
    return committed(bridge, table, "read_uncommitted") - committed(bridge, table)


def finish(bridge, table, refused=True):
    """Everything once, in order, in one generation, and (if so) with records that were refused."""
    bridge.stop_writers()
    bridge.wait_caught_up(120)
    complain(bridge.verify_log(table))
    assert not refused or refused_records(bridge, table), "the transaction was not open after all"
    assert {r.generation for r in bridge.log(table)} == {
        bridge.ledger()[0][f"table/{table.name}"]["generation"]
    }


def test_a_member_that_lost_the_table_while_an_answer_kept_it_waiting(scripted, table):
    """A is removed from the group and learns of it late; B takes the table; A gets its page and goes on."""
    # Partitions go to members in the order of their names; a member learns of its loss with its next heartbeat,
    # and without one it would be removed after ten seconds.
    heartbeat = {"A": 6000, "B": 300}
    both = scripted.fake.control.fault("hold", op="Scan", times=-1)  # whoever is the first to own it
    programs = {
        name: scripted.producer({"kafka.client.id": name, "kafka.heartbeat.interval.ms": pause})
        for name, pause in heartbeat.items()
    }
    group = f"{scripted.prefix}-producer"
    wait_until(lambda: len(scripted.group(group)[1]) == 2, 60, "two members", scripted.running())
    wait_until(lambda: "A" in owners(scripted), 60, "A owns the table", scripted.running())
    scripted.fake.control.release(id=both)
    held_in_a_transaction(scripted, programs["A"])
    found = wait_until(lambda: owners(scripted).get("A"), 60, "A to be known", scripted.running())
    before = len(programs["B"].log())
    kick(scripted.group(group)[0], group, found.member_id)
    works = lambda: table.name in programs["B"].log()[before:]
    wait_until(works, 60, "B works", scripted.running())
    scripted.fake.control.clear()
    lost = ("fenced", "ledger partition closed")
    wait_until(lambda: any(w in programs["A"].log() for w in lost), 60, "A to notice", scripted.running())
    for writer in scripted.writers:
        writer.start()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", scripted.running())
    finish(scripted, table, refused=False)
    for program in programs.values():
        assert program.running, program.story()
        program.sigterm(30)


def test_a_process_stopped_past_its_session(scripted, table):
    """A waits for a page, inside an open transaction, and is stopped. B takes over and goes on from A's last
    commit. The page arrives, A goes on: refused."""
    first = scripted.producer()
    held_in_a_transaction(scripted, first)
    stop_in_a_transaction(scripted, first)
    before = committed(scripted, table)
    second = scripted.producer()
    wait_until(lambda: committed(scripted, table) - before, 60, "rows committed by the second", [second])
    scripted.fake.control.clear()
    first.go_on()
    wait_until(lambda: "fenced" in first.log(), 60, "the first to notice", scripted.running())
    for writer in scripted.writers:
        writer.start()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", scripted.running())
    finish(scripted, table)
    for program in first, second:
        assert program.running, program.story()
        program.sigterm(30)


@pytest.mark.asan
def test_a_handle_fenced_by_another_of_its_transactional_id(scripted, table):
    """It drops everything, and takes the table over again, since it is still assigned."""
    producer = scripted.producer()
    held_in_a_transaction(scripted, producer)
    other = confluent_kafka.Producer(
        {"bootstrap.servers": scripted.parts.kafka, "transactional.id": f"{scripted.prefix}-0"}
    )
    stop_in_a_transaction(scripted, producer)
    other.init_transactions(30)
    producer.go_on()
    wait_until(lambda: "fenced" in producer.log(), 60, "it notices", [producer])
    scripted.fake.control.clear()
    for writer in scripted.writers:
        writer.start()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", [producer])
    finish(scripted, table)
    producer.sigterm(30)
