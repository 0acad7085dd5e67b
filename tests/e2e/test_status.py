"""dynaferry-status: where a bridge stands, told with whatever can be reached, and waited for."""

import json
import random
import re
import signal
import subprocess
import threading
import time

import pytest
from support import topic_check
from support.bridge import APPLIED, complain
from support.running import PATIENCE, bin_dir, free_port, wait_until

SO, NOT_SO, COULD_NOT_TELL, USAGE = 0, 1, 2, 64
BIG = 70000  # bytes of an item that the topic's limit, 69,632, refuses


def command(bridge, *arguments, **settings):
    sets = {"log.level": "warn", "start.timeout": 10, **settings}
    flags = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    return [bin_dir() / "dynaferry-status", "--conf", bridge.conf(), *flags, *arguments]


def run(bridge, *arguments, columns=None, seconds=60, **settings):
    env = {"PATH": "/usr/bin:/bin", **({"COLUMNS": str(columns)} if columns else {})}
    return subprocess.run(
        list(map(str, command(bridge, *arguments, **settings))),
        capture_output=True, text=True, env=env, timeout=seconds * PATIENCE,
    )


def story(answer):
    return f"exit {answer.returncode}\n{answer.stdout}\n{answer.stderr}"


def status(bridge, *arguments, code=SO, **settings):
    """What --json says; it fits its schema."""
    answer = run(bridge, "--json", *arguments, **settings)
    assert answer.returncode == code, story(answer)
    complain(topic_check.schema_problems(topic_check.validator("status"), answer.stdout.encode(), "the status"))
    return json.loads(answer.stdout)


def the_table(found, table):
    (one,) = (t for t in found["tables"] if t["table"] == table.name)
    return one


def put(bridge, table, *names, **attributes):
    for name in names:
        item = {"pk": {"S": name}, **{key: {"S": value} for key, value in attributes.items()}}
        bridge.dynamodb.put_item(TableName=table.name, Item=item)


def begin(bridge, rows=20):
    """A table with rows and a change, all of it in the target."""
    table = bridge.add_table()
    put(bridge, table, *(f"row {i}" for i in range(rows)))
    bridge.producer()
    bridge.consumer()
    bridge.wait_caught_up()
    put(bridge, table, "a change")
    bridge.wait_caught_up()
    bridge.wait_applied()
    return table


# --- what it tells ---


@pytest.mark.asan
def test_a_table_that_is_carried(bridge):
    table = begin(bridge)
    found = status(bridge)
    assert found["prefix"] == bridge.prefix and found["unread"] == []
    assert sorted(member["role"] for member in found["members"]) == ["consumer", "producer"]
    one = the_table(found, table)
    assert (one["phase"], one["reason"], one["topic"]) == ("tail", "", bridge.topic(table))
    assert (one["lag"], one["apply_lag_ms"], one["letters"]) == (0, 0, 0)
    assert (one["snapshot"]["rows"], one["snapshot"]["percent"], one["snapshot"]["eta_s"]) == (20, 100, 0)
    assert one["snapshot"]["bytes"] > 0 and one["read_lag_ms"] >= 0 and one["trim_ms"] > 0
    assert one["producer"] and all(p["consumer"] and p["owner"] for p in one["partitions"])
    assert sum(shard["records"] for shard in one["shards"]) == 21  # also those that the rows show


def test_all_of_it_when_nobody_runs(bridge):
    """The ledger, the topics and the target are enough; records that nobody applies are counted."""
    table = begin(bridge)
    producer, consumer = bridge.running()
    consumer.sigterm()
    put(bridge, table, "one more", "and another")
    bridge.wait_caught_up()
    producer.sigterm()
    one = the_table(status(bridge), table)
    assert one["phase"] == "tail" and one["producer"] is None
    assert one["apply_lag_ms"] > 0
    behind = [p for p in one["partitions"] if p["waits_since_ms"]]
    assert sum(p["lag"] for p in behind) == one["lag"] >= 2 and 1 <= len(behind) <= 2
    answer = run(bridge)
    assert "producers: none" in answer.stdout and "nobody" in answer.stdout, story(answer)


def test_what_can_not_be_reached_is_named_and_the_rest_is_told(bridge):
    table = begin(bridge)
    nobody = f"127.0.0.1:{free_port()}"
    found = status(bridge, code=COULD_NOT_TELL, **{"target.address": f"mongodb://{nobody}"})
    assert [part["part"] for part in found["unread"]] == ["MongoDB"]
    one = the_table(found, table)
    assert one["phase"] == "tail" and one["lag"] is None and one["partitions"][0]["end_offset"] > 0
    found = status(bridge, code=COULD_NOT_TELL, **{"kafka.bootstrap.servers": nobody})
    assert [part["part"] for part in found["unread"]] == ["Kafka"] and found["tables"] == []
    found = status(bridge, code=COULD_NOT_TELL, **{"topic.prefix": "nothing-of-it"})
    assert "no topic nothing-of-it-ledger" in found["unread"][0]["reason"]


def test_it_fits_the_terminal(bridge):
    table = bridge.add_table()
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "a"}})
    bridge.producer()
    bridge.wait_caught_up()
    for columns, shown in (40, "TO APPLY"), (60, "READ TO"), (80, "PRODUCER"), (120, "PRODUCER"):
        answer = run(bridge, columns=columns)
        assert answer.returncode == SO, story(answer)
        block = answer.stdout.split("\n\n")[1].splitlines()
        assert len(block) == 2 and all(len(line) <= columns for line in block), story(answer)
        assert "tail" in block[1] and table.name[:8] in block[1] and shown in block[0], story(answer)
        assert ("PRODUCER" in block[0]) == (columns >= 80)
        assert "\x1b" not in answer.stdout  # a pipe has no colors


def test_each_shard(bridge):
    table = begin(bridge)
    answer = run(bridge, "--shards")
    (shard,) = (s["id"] for s in the_table(status(bridge), table)["shards"])
    assert re.search(rf"{re.escape(shard)} +in processing +21 ", answer.stdout), story(answer)


def test_a_halted_table_says_why(bridge):
    table = begin(bridge)
    program = bridge.run("producer", arguments=("--pause", table.name, "--wait", "--reason", "the source is moved"))
    assert program.process.returncode == SO, program.story()
    one = the_table(status(bridge), table)
    assert one["phase"] == "paused" and "the source is moved" in one["reason"]
    assert "the source is moved" in run(bridge).stdout
    answer = run(bridge, "--wait-for", "now")
    assert answer.returncode == NOT_SO and "the source is moved" in answer.stderr, story(answer)


def test_one_table_alone(bridge):
    table, other = begin(bridge), bridge.add_table()
    assert [t["table"] for t in status(bridge, "--table", table.name)["tables"]] == [table.name]
    answer = run(bridge, "--table", "nobody-knows-it")
    assert answer.returncode == COULD_NOT_TELL and "no table nobody-knows-it" in answer.stderr, story(answer)
    assert other.name not in run(bridge, "--table", table.name).stdout


def test_it_is_looked_at_again_and_again(bridge):
    begin(bridge)
    process = subprocess.Popen(
        list(map(str, command(bridge, "--watch=0.2", "--json"))), stdout=subprocess.PIPE, text=True
    )
    times = [json.loads(process.stdout.readline())["ts_ms"] for _ in range(3)]
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait(20 * PATIENCE) == SO and times == sorted(set(times))


@pytest.mark.parametrize(
    "arguments",
    [("--watch=0",), ("--wait-for", "tomorrow"), ("--wait-for", "now", "--watch"), ("--timeout", "5"), ("--max-lag", "x"),
     ("--max-lag", "5", "--watch")],
)
def test_what_makes_no_sense_is_refused(bridge, arguments):
    answer = run(bridge, *arguments)
    assert answer.returncode == USAGE, story(answer)


# --- is it all there? ---


@pytest.mark.asan
def test_waiting_ends_when_the_target_holds_all(bridge):
    table = begin(bridge)
    _, consumer = bridge.running()
    assert run(bridge, "--wait-for", "now").returncode == SO
    consumer.hang()
    put(bridge, table, "late")
    answer = run(bridge, "--wait-for", "now", "--timeout", "20")
    assert answer.returncode == NOT_SO and "not applied to the end" in answer.stderr, story(answer)
    waiting = subprocess.Popen(
        list(map(str, command(bridge, "--wait-for", "now"))), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    consumer.go_on()
    out, err = waiting.communicate(timeout=60 * PATIENCE)
    assert waiting.returncode == SO and "holds everything that was written before" in out, out + err
    assert bridge.target()[table.name].find_one({"pk.S": "late"})


def test_waiting_asks_idle_shards(bridge):
    """Their own record comes every 10 minutes; a shard that is asked says at once how far it is read."""
    table = begin(bridge)
    before = the_table(status(bridge), table)["shards"][0]["complete_to_ms"]
    asked = time.time() * 1000
    assert run(bridge, "--wait-for", "now", seconds=30).returncode == SO
    after = the_table(status(bridge), table)["shards"][0]["complete_to_ms"]
    assert after > asked - 1000 and asked > before, (after, asked, before)  # their own clocks


def test_a_shard_that_was_not_listed_yet_is_waited_for(scripted):
    """It has no parent, so no other shard's end speaks of it, and the next routine listing is a minute away."""
    control = scripted.fake.control
    control.set(shards=2)
    table = scripted.add_table()
    hidden = control.shards(table.name)[1]["id"]
    control.hide(table.name, [hidden])
    scripted.producer()
    scripted.consumer()
    scripted.wait_caught_up()
    put(scripted, table, *(f"row {i}" for i in range(20)))
    assert run(scripted, "--wait-for", "now").returncode == SO  # nobody can know of the other one
    assert scripted.target()[table.name].count_documents({}) < 20
    control.show(table.name)
    assert run(scripted, "--wait-for", "now").returncode == SO
    assert scripted.target()[table.name].count_documents({}) == 20


def test_waiting_ends_while_writes_go_on(bridge):
    table = begin(bridge)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            put(bridge, table, f"row {random.randrange(1000)}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        answer = run(bridge, "--wait-for", "now", "--timeout", "60")
    finally:
        stop.set()
        writer.join()
    assert answer.returncode == SO, story(answer)


def test_a_table_that_nobody_knows_is_not_waited_for(bridge):
    begin(bridge)
    answer = run(bridge, "--wait-for", "now", "--table", "misspelled")
    assert answer.returncode == COULD_NOT_TELL and "the ledger knows no table misspelled" in answer.stderr, story(answer)


def test_waiting_for_a_time(bridge):
    begin(bridge)
    assert run(bridge, "--wait-for", "2020-01-01T00:00:00Z").returncode == SO
    answer = run(bridge, "--wait-for", "2999-01-01T00:00:00Z", "--timeout", "3")
    assert answer.returncode == NOT_SO and "not proven to be read so far" in answer.stderr, story(answer)


def test_waiting_without_a_producer(bridge):
    table = begin(bridge)
    producer, _ = bridge.running()
    producer.sigterm()
    answer = run(bridge, "--wait-for", "now", "--timeout", "3")
    assert answer.returncode == NOT_SO and f"{table.name}: no producer carries it" in answer.stderr, story(answer)


def test_a_table_without_a_stream_can_not_be_waited_for(bridge):
    """A copy holds what was there while it was made; nobody reads what was written since."""
    table = bridge.add_table(stream=None)
    put(bridge, table, "a row")
    bridge.settings["sync_mode"] = "full"
    assert bridge.producer().wait(60) == SO
    bridge.consumer()
    bridge.wait_applied()
    one = the_table(status(bridge), table)
    assert (one["phase"], one["lag"], one["shards"]) == ("tail", 0, [])
    answer = run(bridge, "--wait-for", "now", "--timeout", "4")
    assert answer.returncode == NOT_SO and "no producer carries it" in answer.stderr, story(answer)


def test_what_lies_with_the_dead_letters_is_not_held(bridge):
    """It is no use waiting: that is told at once. Once they are replayed, all is there."""
    bridge.settings["topic.max.message.bytes"] = 69632
    table = begin(bridge)
    put(bridge, table, "large", t="x" * BIG)
    bridge.wait_caught_up()
    bridge.wait_applied()
    found = the_table(status(bridge), table)
    assert found["letters"] == 1 and found["dead_letters"][0]["stage"] == "producer"
    answer = run(bridge, "--wait-for", "now")
    assert answer.returncode == NOT_SO and "1 dead letters are not handled" in answer.stderr, story(answer)
    put(bridge, table, "large", t="small now")
    bridge.wait_caught_up()
    program = bridge.run("consumer", {"start.timeout": 30}, ("--replay-dead-letters",))
    assert program.process.returncode == SO, program.story()
    assert run(bridge, "--wait-for", "now").returncode == SO


def test_the_lag_for_scripts(bridge):
    table = begin(bridge)
    _, consumer = bridge.running()
    answer = run(bridge, "--max-lag", "1")
    assert answer.returncode == SO and table.name in answer.stdout, story(answer)
    consumer.hang()
    put(bridge, table, "late")
    bridge.wait_caught_up()
    time.sleep(2)  # it becomes older than is allowed
    answer = run(bridge, "--max-lag", "1")
    assert answer.returncode == NOT_SO and table.name in answer.stdout, story(answer)
    consumer.go_on()
    wait_until(lambda: run(bridge, "--max-lag", "1").returncode == SO, 30, "the lag to go", [consumer])


def test_an_offset_that_is_to_be_applied_again_is_not_held(bridge):
    table = begin(bridge)
    _, consumer = bridge.running()
    consumer.sigterm()
    place = f"{bridge.topic(table)}/0"
    bridge.target()[APPLIED].update_one({"_id": place}, {"$set": {"rewind": 0}})
    partition = the_table(status(bridge), table)["partitions"][0]
    assert partition["applied_offset"] == 0 and partition["lag"] == partition["end_offset"]
