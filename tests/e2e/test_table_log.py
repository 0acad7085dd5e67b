"""A table's log and its ledger record are what the ledger says they are, or the table is halted by name: a
data topic that was made anew, a table that was made anew while it is copied, a record that can't be read.
"""

import confluent_kafka
import confluent_kafka.admin
import pytest
from support import oracle, topic_check
from support.bridge import complain
from support.delete_records import delete_records
from support.repair_requests import ask, wait_outcome
from support.running import wait_until
from support.scripted_source import (
    asked, ferry, from_producer, ledger_messages, put, settle_log, wait_healthy, wait_phase, write_ledger,
)  # fmt: skip

PARTITIONS = 4  # of a data topic


def put_many(ferry, table, count, name):
    for number in range(count):
        put(ferry, table, 1, f"{name} {number}")


def table_record(ferry, table):
    return ferry.ledger()[0][f"table/{table.name}"]


def pair(ferry, **settings):
    """Two tables that are carried, with changes in every partition of their topics."""
    tables = ferry.add_table(), ferry.add_table()
    for table in tables:
        put_many(ferry, table, 5, "before")
    producer = ferry.producer(settings)
    for table in tables:
        wait_phase(ferry, table, "tail")
        put_many(ferry, table, 40, "first")
    ferry.wait_caught_up()
    return *tables, producer


def goes_on(ferry, table, but="nothing"):
    """A neighbour of a table that is halted; `but` is in problems that are not meant."""
    put_many(ferry, table, 5, "the neighbour's")
    ferry.wait_caught_up(tables=[table])
    complain([problem for problem in ferry.verify_log(table) if but not in str(problem)])


# --- a data topic that was made anew ---


def make_topic_anew(ferry, table, partitions=PARTITIONS):
    """By somebody who does not know what it is for."""
    topic = ferry.topic(table)
    new = confluent_kafka.admin.NewTopic(topic, partitions, 1, config={"max.message.bytes": "8388608"})
    ferry.admin.delete_topics([topic], operation_timeout=20)[topic].result()

    def made():
        try:
            ferry.admin.create_topics([new])[topic].result()
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() != confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            return False  # not deleted everywhere yet
        return True

    wait_until(made, 30, f"{topic} again")


def fill_topic(ferry, table, count):
    """Somebody else's messages, so that the begin's offset has one of them."""
    producer = confluent_kafka.Producer({"bootstrap.servers": ferry.parts.kafka})
    for partition in range(PARTITIONS):
        for number in range(count):
            producer.produce(ferry.topic(table), f"{{}} {number}", partition=partition)
    assert producer.flush(30) == 0


def stands_in_a_gap(ferry, table, seconds=30):
    wait_phase(ferry, table, "gap", seconds)
    reason = table_record(ferry, table)["reason"]
    assert "topic" in reason and "made anew" in reason, reason


@pytest.mark.parametrize("first", [1, 40], ids=["one change", "many changes"])
def test_a_data_topic_made_anew_under_a_running_producer_is_a_lost_log(ferry, first):
    table, other, producer = pair(ferry, on_gap="fail")
    make_topic_anew(ferry, table)
    put_many(ferry, table, first, "second")
    stands_in_a_gap(ferry, table)
    goes_on(ferry, other)
    assert producer.running


@pytest.mark.parametrize("then", ["changes", "nothing"])
def test_a_data_topic_made_anew_is_a_lost_log_where_this_producer_has_written_nothing(ferry, then):
    """By the first change; and where none comes, by a look at the topic's ends now and then."""
    table, other, producer = pair(ferry)
    producer.sigterm()
    producer = ferry.producer({"on_gap": "fail"})
    resumed = lambda: f'event="table resumed" table={table.name} ' in producer.log()
    wait_until(resumed, 60, "the table, resumed", [producer])
    make_topic_anew(ferry, table)
    if then == "changes":
        put_many(ferry, table, 1, "second")
    stands_in_a_gap(ferry, table, 120)
    goes_on(ferry, other)


def test_a_data_topic_made_anew_without_the_partition_of_a_change_is_a_lost_log(ferry):
    """Nothing else comes, and so no offset shows it."""
    table, other, producer = pair(ferry, on_gap="fail")
    behind_the_first = lambda name: oracle.partition_of(f'{{"pk":{{"S":"{name}"}}}}'.encode(), PARTITIONS) > 0
    item = next(name for name in map(str, range(100)) if behind_the_first(name))
    make_topic_anew(ferry, table, partitions=1)
    ferry.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": item}})
    stands_in_a_gap(ferry, table, 60)
    goes_on(ferry, other)
    assert producer.running


@pytest.mark.parametrize("foreign", [0, 100], ids=["empty", "with messages of others"])
def test_a_data_topic_made_anew_while_the_producer_is_away_is_a_lost_log(ferry, foreign):
    table, other, producer = pair(ferry)
    producer.sigterm()
    make_topic_anew(ferry, table)
    fill_topic(ferry, table, foreign)
    put_many(ferry, table, 40, "second")
    ferry.producer({"on_gap": "fail"})
    stands_in_a_gap(ferry, table)
    goes_on(ferry, other)
    ours = [m for m in topic_check.read_messages(ferry.parts.kafka, ferry.topic(table)) if m.headers()]
    assert not ours, f"{len(ours)} records without a begin before them"


@pytest.mark.parametrize("partitions", [1, PARTITIONS])
def test_a_begin_that_retention_took_is_no_gap(ferry, partitions):
    """From some of the partitions, or from all of them."""
    table, _, producer = pair(ferry)
    producer.sigterm()
    begins = table_record(ferry, table)["begin_offsets"]
    delete_records(ferry.parts.kafka, ferry.topic(table), partitions)
    producer = ferry.producer()
    put_many(ferry, table, 20, "second")
    ferry.wait_caught_up()
    now = table_record(ferry, table)
    assert (now["phase"], now["begin_offsets"]) == ("tail", begins)
    wait_healthy(producer)


# --- a table that was made anew while it is copied ---

HELD = {
    # The third of many pages comes from the new table.
    "in the middle": ({"when": "before", "skip": 2}, {"qps.full.batch_num": 5}),
    # Every row is the old one's, and it is seen behind the last page only.
    "behind the last page": ({"when": "after"}, {}),
}


@pytest.mark.parametrize("mode", ["full", "all"])
@pytest.mark.parametrize("when", HELD)
def test_a_table_made_anew_while_it_is_scanned_gets_no_end_of_its_snapshot(ferry, when, mode):
    fault, settings = HELD[when]
    table = ferry.add_table(stream=None if mode == "full" else "NEW_IMAGE")
    put_many(ferry, table, 40, "old")
    page = ferry.fake.control.fault("hold", op="Scan", predicate=from_producer, **fault)
    producer = ferry.producer({"sync_mode": mode, "on_gap": "fail", "full.read.concurrency": 1, **settings})
    assert ferry.fake.control.wait_held(page)
    ferry.fake.control.recreate(table.name)
    put_many(ferry, table, 40, "new")
    ferry.fake.control.release(page)
    ended = lambda: any(r.control == "snapshot-end" for r in ferry.log(table))
    over = lambda: ended() or ferry.phase(table) not in (None, "snapshot", "tail")
    wait_until(over, 60, "a gap", [producer] if mode == "all" else ())
    assert not ended(), "rows of two tables, and an end that says that they are all"
    assert ferry.phase(table) == "gap"
    if mode == "full":
        assert producer.wait(60) != 0


DELETING = (
    '{"Table":{"TableName":"%s","TableStatus":"DELETING","ItemCount":0,"TableSizeBytes":0,"TableId":"gone",'
    '"TableArn":"arn:aws:dynamodb:us-east-1:000000000000:table/%s"}}'
)


@pytest.mark.parametrize("mode", ["full", "all", "incr"])
def test_a_table_that_is_being_deleted_is_not_begun(ferry, mode):
    """Its description has no keys any more. When a table of that name is there again it is carried."""
    table, control = ferry.add_table(), ferry.fake.control
    put_many(ferry, table, 10, "first")
    where = {"TableName": table.name}
    text = DELETING % (table.name, table.name)
    control.fault("body", op="DescribeTable", where=where, text=text, times=-1, predicate=from_producer)
    producer = ferry.producer({"sync_mode": mode})

    def looked_at():
        begun = topic_check.partitions_of(ferry.parts.kafka, ferry.topic(table)), ferry.phase(table)
        assert begun == (0, None), "it was begun"
        return len(asked(ferry, "DescribeTable", TableName=table.name)) >= 4

    wait_until(looked_at, 60, "looks at the table", ferry.running())
    control.clear()
    if mode == "full":
        assert producer.wait(60) == 0
    else:
        wait_phase(ferry, table, "tail")
    log = ferry.log(table)
    assert sum(r.control == "snapshot-begin" for r in log) == PARTITIONS
    assert not [r.bad for r in log if r.bad]


# --- the ways to run it, one after another ---


def run_in(ferry, table, mode, change):
    producer = ferry.producer({"sync_mode": mode})
    wait_phase(ferry, table, "tail")
    put_many(ferry, table, 10, change)
    ferry.wait_caught_up()
    producer.sigterm()


@pytest.mark.parametrize("first", [["incr"], ["incr", "incr"], ["full", "incr"]], ids="-".join)
def test_all_after_a_generation_without_rows_makes_a_snapshot(ferry, first):
    table = ferry.add_table()
    put_many(ferry, table, 20, "before")
    for number, mode in enumerate(first):
        if mode == "full":
            assert ferry.run("producer", {"sync_mode": mode}).process.returncode == 0
        else:
            run_in(ferry, table, mode, f"{mode} {number}")
    ferry.producer({"sync_mode": "all"})
    ends = lambda: [r.generation for r in ferry.log(table) if r.control == "snapshot-end"]
    newest = lambda: max(r.generation for r in ferry.log(table) if r.control == "snapshot-begin")
    carried = lambda: ferry.phase(table) == "tail" and (newest() in ends() or not table_record(ferry, table)["rows"])
    wait_until(carried, 60, "the snapshot's end", ferry.running())
    put_many(ferry, table, 10, "last")
    ferry.wait_caught_up()
    rows = [r.key for r in ferry.log(table) if r.is_row and r.generation == newest()]
    assert len(set(rows)) >= 20 + 10 * first.count("incr"), f"{len(rows)} rows"
    complain(ferry.verify_log(table))


def test_incr_between_two_runs_of_all_goes_on_in_the_generation_that_is_there(ferry):
    table = ferry.add_table()
    put_many(ferry, table, 20, "before")
    for number, mode in enumerate(("all", "incr", "all")):
        run_in(ferry, table, mode, f"{mode} {number}")
    settle_log(ferry)


# --- a record that can't be read ---


def newest_of(ferry, table):
    return ledger_messages(ferry, f"table/{table.name}")[-1]


@pytest.mark.parametrize("how", ["a phase of a later version", "a member that is missing"])
def test_a_table_record_that_can_not_be_read_is_never_written_over(ferry, how):
    """Its table is halted, by name; put right, it goes on where it was."""
    table, other, producer = pair(ferry)
    producer.sigterm()
    right = table_record(ferry, table)
    wrong = {**right, "phase": "archived"} if "phase" in how else {k: v for k, v in right.items() if k != "topic"}
    write_ledger(ferry, f"table/{table.name}", wrong)
    written = newest_of(ferry, table)
    mine = f"{written.topic()}/{written.partition()}/{written.offset()} "  # no record of the schema
    producer = ferry.producer()
    put_many(ferry, table, 10, "second")
    goes_on(ferry, other, but=mine)
    sick = lambda: producer.get("/healthz")[0] == 503 and table.name in producer.get("/healthz")[1]
    wait_until(sick, 60, f"health that names {table.name}", [producer])
    producer.sigterm()
    assert newest_of(ferry, table).offset() == written.offset(), newest_of(ferry, table).value()
    write_ledger(ferry, f"table/{table.name}", right)
    producer = ferry.producer()
    ferry.wait_caught_up()
    goes_on(ferry, table, but=mine)
    wait_healthy(producer)


def test_a_request_waits_for_a_table_whose_record_can_not_be_read(ferry):
    """Another version's word, put right under the running producer. The request was sent before that was started."""
    table, other, producer = pair(ferry)
    producer.sigterm()
    right = table_record(ferry, table)
    write_ledger(ferry, f"table/{table.name}", {**right, "phase": "archived"})
    written = newest_of(ferry, table)
    mine = f"{written.topic()}/{written.partition()}/{written.offset()} "
    offset = ask(ferry, table, "pause")
    producer = ferry.producer()
    wait_until(lambda: "its record in the ledger can't be read" in producer.log(), 60, "the word of it", [producer])
    goes_on(ferry, other, but=mine)
    write_ledger(ferry, f"table/{table.name}", right)
    wait_outcome(ferry, table, offset)
    assert ferry.phase(table) == "paused"
    ask(ferry, table, "resume")
    wait_phase(ferry, table, "tail")
    goes_on(ferry, table, but=mine)
