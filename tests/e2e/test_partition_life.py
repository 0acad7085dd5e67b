"""A partition's life: who may take it, what a lost answer leaves of it, how it is left, and that health and
the end tell of one that is halted.

Faults come from a proxy in front of MongoDB. The rules `stray` and `unacknowledged`, broken on purpose, are
seen to do the damage that their scenes look for.
"""

import itertools
import time

import pytest
from support.bridge import APPLIED, complain
from support.positions import GRACE_S, IDLE_LOOK_S, SESSION_S, Scene, events, moment, statement_that, to
from support.running import stays, wait_until

CONFLICT = {"ok": 0.0, "code": 112, "codeName": "WriteConflict", "errmsg": "."}
LOOK_AGAIN_S = 10  # a table that has failed is looked at again


@pytest.fixture
def proxy(parts):
    from fakes.mongo_proxy import MongoProxy

    with MongoProxy("%s:%d" % parts.mongo.address) as found:
        yield found


@pytest.fixture
def scene(bridge, proxy):
    yield Scene(bridge, proxy)
    proxy.control.clear()


# --- whose it is ---


@pytest.mark.parametrize("broken", [None, "stray"])
def test_a_partition_that_the_group_took_away_is_not_taken_again(scene, broken):
    """Its owner still waits for an answer when it must hand it over, marks it, and then leaves it alone."""
    # Long enough for the writes to be held until the other one has its part.
    scene.bridge.settings.update({"target.socket.timeout.ms": 14000, "target.writers": 16})
    table = scene.table(40, partitions=4)
    scene.produce()
    first = scene.consumer(broken=broken)
    scene.bridge.wait_applied()
    hold = scene.fault_on_writes(table, "hold", times=4)
    scene.put(table, 40, "second")
    wait_until(lambda: scene.held(hold) == 4, 30, "a held write of each partition", [first])
    second = scene.consumer(through=False, broken=broken)
    taken = lambda: {f"{t['topic']}/{t['partition']}" for t in events(second, "partition taken")}
    wait_until(lambda: len(taken()) == 2, 30, "the second one's part", [first, second])
    owners = lambda: {place: scene.positions()[place]["owner"] for place in places}
    places = taken()
    before = owners()
    scene.proxy.control.release(hold)
    if broken:
        wait_until(lambda: owners() != before, 2 * SESSION_S, "the first one to take it back")
        return
    wait_until(lambda: events(first, "late write marked"), 20, "the late writer's mark", [first])
    stays(lambda: owners() == before, SESSION_S + 4)
    scene.bridge.wait_applied()
    assert owners() == before
    assert [c.get("/healthz")[0] for c in (first, second)] == [200, 200]
    complain(scene.wrong(table))


def test_an_owner_of_the_same_epoch_in_a_removed_document_moves_nothing(scene):
    """Whoever removes a position begins its epochs anew, and a command of before may still be under way."""
    table = scene.table(20)
    scene.produce()
    place = scene.place(table)
    first = scene.consumer()
    scene.bridge.wait_applied()
    late = scene.fault_on_positions("hold", statement_that("move", place))
    scene.put(table, "k0", "second")
    assert scene.proxy.control.wait_held(late)
    first.kill9()
    scene.bridge.target()[APPLIED].delete_one({"_id": place})
    scene.bridge.target()[table.name].delete_many({})
    writes = scene.fault_on_writes(table, "hold", times=-1)
    # Of a group of its own, so that it need not wait for the other one's session.
    scene.consumer({"consumer.group": f"{scene.bridge.prefix}-2"})
    assert scene.proxy.control.wait_held(writes)
    before = scene.positions()[place]["offset"]
    since = scene.proxy.control.requests()
    scene.proxy.control.release(late)
    answered = lambda: [e for e in scene.proxy.control.log("update") if e["end"] and "hold" in e["faults"]]
    wait_until(answered, 20, "the late move")
    assert scene.positions()[place]["offset"] == before, f"moved by another owner, after request {since}"
    scene.proxy.control.release(writes)
    scene.bridge.wait_applied()
    complain(scene.wrong(table))


def test_a_position_that_somebody_set_back_is_followed(scene):
    """By hand or from a dump, with the owner's name and epoch still in it: the document is the truth."""
    table = scene.table(20)
    scene.produce()
    place = scene.place(table)
    consumer = scene.consumer()
    scene.bridge.wait_applied()
    end = scene.positions()[place]["offset"]
    target = scene.bridge.target()
    target[table.name].delete_many({"pk": {"$in": ["k1", "k2", "k3"]}})

    def followed():
        position = scene.positions()[place]
        if position["offset"] >= end and target[table.name].count_documents({}) == 20:
            return True
        if position["offset"] >= end:  # also when a move that was under way came after
            target[APPLIED].update_one({"_id": place}, {"$set": {"offset": position["begin"]}})
        return False

    wait_until(followed, 30, "all of it once more", [consumer])
    complain(scene.wrong(table))


# --- a command that was executed, and whose answer was lost ---

LOST_ANSWERS = {"not acknowledged": ("write_concern", {}), "lost": ("cut", {"when": "reply"})}


@pytest.mark.parametrize(
    "how,broken",
    [("not acknowledged", None), ("lost", None), ("not acknowledged", "unacknowledged")],
)
def test_going_back_is_not_forgotten_with_its_answer(scene, how, broken):
    """A late writer's damage is repaired all the same."""
    table = scene.table(20)
    scene.produce()
    consumer = scene.consumer(broken=broken)
    scene.bridge.wait_applied()
    kind, more = LOST_ANSWERS[how]
    lost = scene.fault_on_positions(kind, statement_that("back", scene.place(table)), **more)
    target = scene.bridge.target()
    target[table.name].delete_many({"pk": {"$in": ["k1", "k2", "k3"]}})
    target[APPLIED].update_one({"_id": scene.place(table)}, {"$min": {"rewind": 0}})
    assert scene.proxy.control.wait_used(lost, 30), consumer.story()
    scene.put(table, "new", "first")
    scene.wait_mark(table, "new", "first")
    count = lambda: target[table.name].count_documents({})
    if broken:
        stays(lambda: count() == 18, GRACE_S + IDLE_LOOK_S + 1)
        return
    wait_until(lambda: count() == 21, 20, "the repair", [consumer])
    scene.bridge.wait_applied()
    complain(scene.wrong(table))


@pytest.mark.parametrize("how", LOST_ANSWERS)
def test_applying_once_more_is_not_forgotten_with_its_answer(scene, how):
    """A killed owner's write came after its successor's: only that one can tell, when the grace is over."""
    scene.bridge.settings.update({"target.max_time_ms": 3000, "target.socket.timeout.ms": 3000})
    table = scene.table(1)
    scene.produce()
    first = scene.consumer()
    scene.bridge.wait_applied()
    hold = scene.fault_on_writes(table, "hold", contains="old")
    scene.put(table, "k0", "old")
    assert scene.proxy.control.wait_held(hold)
    first.kill9()
    scene.put(table, "k0", "new")
    scene.bridge.wait_caught_up()
    kind, more = LOST_ANSWERS[how]
    lost = scene.fault_on_positions(kind, statement_that("back", scene.place(table)), **more)
    scene.consumer({"consumer.group": f"{scene.bridge.prefix}-2"})
    scene.wait_mark(table, "k0", "new")
    scene.proxy.control.release(hold)
    scene.wait_mark(table, "k0", "old", 3)
    assert scene.proxy.control.wait_used(lost, 30)
    scene.wait_mark(table, "k0", "new")
    scene.bridge.wait_applied()
    complain(scene.wrong(table))


def test_a_position_that_moved_unacknowledged_is_not_gone_back_behind(scene):
    """Else older values would be written over newer ones, and a crash would leave them there: the position
    says that they were passed."""
    scene.bridge.settings["target.batch.ms"] = 0
    table = scene.table(1)
    scene.produce({"kafka.compression.codec": "none"})
    place = scene.place(table)
    first = scene.consumer()
    scene.bridge.wait_applied()
    hold = scene.fault_on_writes(table, "hold", contains="held")
    scene.put(table, "k0", "held")
    assert scene.proxy.control.wait_held(hold, 30)
    # Far apart in the log, so that they come in one batch now and in several when they are read again.
    scene.put(table, "k0", "v2")
    scene.bridge.wait_caught_up()
    for number in range(4):
        scene.put(table, f"between{number}", "first", padding=40_000)
        scene.bridge.wait_caught_up()
    scene.put(table, "k0", "v3")
    scene.bridge.wait_caught_up()
    end = max(record.offset for record in scene.bridge.log(table)) + 1
    lost = scene.fault_on_positions("write_concern", statement_that("move", place, to(end)))
    used = lambda s: scene.proxy.script.find(lost).hits > 0 and not to(end)(s)
    back = scene.fault_on_positions("hold", statement_that("move", place, used))
    scene.proxy.control.release(hold)
    assert scene.proxy.control.wait_used(lost, 30)
    scene.proxy.control.wait_held(back, 6)  # in vain if nothing goes back
    first.kill9()
    scene.consumer({"consumer.group": f"{scene.bridge.prefix}-2"}, through=False)
    scene.bridge.wait_applied()
    assert scene.mark(table, "k0") == "v3"
    complain(scene.wrong(table))


# --- leaving ---

HOLDING = {"unknown outcome": ("cut", {"when": "reply"}), "refusal": ("reply", {"document": CONFLICT})}


@pytest.fixture(params=HOLDING)
def holding(request):
    return HOLDING[request.param]


def held_by(scene, holding, partitions):
    """A consumer all of whose partitions are held."""
    table = scene.table(20, partitions)
    scene.produce()
    consumer = scene.consumer()
    scene.bridge.wait_applied()
    kind, more = holding
    scene.fault_on_writes(table, kind, times=-1, **more)
    scene.put(table, 20, "second")
    held = lambda: {e["partition"] for e in events(consumer, "partition held")}
    wait_until(lambda: len(held()) == partitions, 30, "held partitions", [consumer])
    return table, consumer


def test_a_held_partition_is_left_with_a_goodbye_or_a_mark_at_the_end(scene, holding):
    table, consumer = held_by(scene, holding, 1)
    consumer.sigterm(20)
    left = scene.positions()[scene.place(table)]
    assert left["owner"] == "" or "rewind" in left, left
    scene.proxy.control.clear()
    scene.consumer(through=False)
    scene.bridge.wait_applied()
    complain(scene.wrong(table))


def test_a_held_partition_is_left_with_a_goodbye_or_a_mark_in_a_rebalance(scene, holding):
    table, first = held_by(scene, holding, 2)
    second = scene.consumer(through=False)
    wait_until(lambda: events(second, "partition taken"), 30, "the second one's part", [first, second])
    place = scene.place(table, int(events(second, "partition taken")[0]["partition"]))
    said = lambda: scene.sent("goodbye", place) or scene.sent("mark", place)
    wait_until(said, 2 * GRACE_S + 6, "a goodbye or a mark", [first, second])
    scene.proxy.control.clear()
    scene.bridge.wait_applied()
    complain(scene.wrong(table))


# --- health, metrics and the end ---


def stopped_table(scene):
    """A consumer whose only table, of one partition, has another form than it shall write."""
    table = scene.table(5)
    scene.produce()
    first = scene.consumer()
    scene.bridge.wait_applied()
    first.sigterm()
    consumer = scene.consumer({"convert.type": "raw"})
    failed = lambda: consumer.metric("dynaferry_consumer_table_halted") == 1
    wait_until(failed, 30, "the halt", [consumer])
    return table, consumer


def test_a_table_that_stands_still_is_unhealthy_at_once_and_stays_so(scene):
    table, consumer = stopped_table(scene)
    wait_until(lambda: consumer.get("/healthz")[0] == 503, 15, "ill health", [consumer])
    assert table.name in consumer.get("/healthz")[1]
    stays(lambda: consumer.get("/healthz")[0] == 503, LOOK_AGAIN_S + 2)


def test_a_table_that_stands_still_has_its_lag(scene):
    table, consumer = stopped_table(scene)
    scene.put(table, 5, "second")
    scene.bridge.wait_caught_up()
    lag = lambda: consumer.metric("dynaferry_consumer_lag", table=table.name)
    wait_until(lambda: lag() >= 5, 30, "the lag", [consumer])


def test_a_table_whose_writes_are_refused_has_its_lag(scene):
    table, consumer = held_by(scene, HOLDING["refusal"], 1)
    lag = lambda: consumer.metric("dynaferry_consumer_lag", table=table.name)
    wait_until(lambda: lag() >= 20, 30, "the lag", [consumer])
    stays(lambda: lag() >= 20, 3)


def test_health_tells_of_a_kafka_that_is_away(scene):
    """After a minute: no shorter absence is worth a call."""
    scene.bridge.parts.need_ours("kafka")
    table = scene.table(3)
    scene.produce()
    consumer = scene.consumer()
    scene.bridge.wait_applied()
    try:
        scene.bridge.parts.script("kill", "kafka")
        wait_until(lambda: consumer.get("/healthz")[0] == 503, 90, "ill health", [consumer])
    finally:
        scene.bridge.parts.script("start", "kafka")
    wait_until(lambda: consumer.get("/healthz")[0] == 200, 60, "health", [consumer])
    scene.put(table, 3, "second")
    scene.bridge.settle()
    complain(scene.wrong(table))


def test_a_refused_write_is_tried_again_when_the_log_says(scene):
    """Ever more slowly, and not before."""
    table, consumer = held_by(scene, HOLDING["refusal"], 1)
    before, until = scene.proxy.control.requests(), time.monotonic() + 20
    wait_until(lambda: time.monotonic() > until, 25, "a while", [consumer])
    held = events(consumer, "partition held")
    commands = scene.proxy.control.requests() - before
    scene.proxy.control.clear()
    assert len(held) <= 20 and commands <= 80, (len(held), commands)
    updates = scene.proxy.control.log("update")
    writes = [e["start"] for e in updates if e["fields"]["collection"] == table.name]
    for line, write in itertools.product(held, writes):
        early = moment(line) + int(line["for_ms"]) / 1000 - write
        assert not (write > moment(line) + 0.02 and early > 0.1), f"{early:.3f} s before its time: {line}"
    scene.bridge.wait_applied()
    complain(scene.wrong(table))


def test_a_table_whose_writes_hang_does_not_keep_the_others(scene):
    scene.bridge.settings.update({"target.socket.timeout.ms": 120_000, "target.writers": 4})
    hanging, well = scene.table(40, partitions=4), scene.table(40, partitions=4)
    scene.produce()
    consumer = scene.consumer()
    scene.bridge.wait_applied()
    hold = scene.fault_on_writes(hanging, "hold", times=-1)
    scene.put(hanging, 40, "second")
    assert scene.proxy.control.wait_held(hold)
    scene.bridge.wait_caught_up()
    stays(lambda: consumer.running, 2)  # as many as it can get
    scene.put(well, "k7", "second")
    scene.wait_mark(well, "k7", "second", 20)
    assert scene.held(hold) > 0, "the writes hang no more"
    scene.proxy.control.release(hold)
    scene.bridge.wait_applied()
    complain(scene.wrong(hanging) + scene.wrong(well))
    assert consumer.get("/healthz")[0] == 200


def test_the_end_at_idle_waits_for_a_mongodb_that_is_away(scene):
    """Its idle partitions can't be looked at then, so they take nothing more: that is not to have applied
    everything."""
    table, until_idle_s = scene.table(20, partitions=2), 14
    scene.produce()
    consumer = scene.consumer(arguments=("--until-idle", str(until_idle_s)))
    scene.bridge.wait_applied()
    scene.proxy.control.refuse()
    stays(lambda: consumer.running, IDLE_LOOK_S + 0.5)
    scene.put(table, 20, "second")
    stays(lambda: consumer.running, until_idle_s - IDLE_LOOK_S + 2)
    scene.bridge.wait_caught_up()
    scene.proxy.control.accept()
    assert consumer.wait(60) == 0, consumer.story()
    assert not scene.bridge.unapplied(table, scene.bridge.log(table))
    complain(scene.wrong(table))


def test_the_end_at_idle_waits_for_a_kafka_that_is_away(scene):
    scene.bridge.parts.need_ours("kafka")
    table = scene.table(20, partitions=2)
    until_idle_s, leaving_s = 8, 10  # it takes its time to leave a group that does not answer
    scene.produce()
    consumer = scene.consumer(arguments=("--until-idle", str(until_idle_s)))
    scene.bridge.wait_applied()
    told = f'dynaferry_consumer_retention_seconds{{table="{table.name}"}}'
    wait_until(lambda: told in consumer.get("/metrics")[1], 30, "the brokers' word on the log's end", [consumer])
    try:
        scene.bridge.parts.script("kill", "kafka")
        stays(lambda: consumer.running, until_idle_s + leaving_s + 2)
    finally:
        scene.bridge.parts.script("start", "kafka")
    assert consumer.wait(90) == 0, consumer.story()
