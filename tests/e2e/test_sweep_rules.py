"""What keeps a sweep from deleting what its generation holds, and what has another owner by now. Each rule, broken on
purpose, is seen to do the damage.
"""

import pytest
from support.bridge import APPLIED, complain
from support.refusing import (
    ONE_PARTITION,
    about,
    ferry,  # noqa: F401 (a fixture)
    fill,
    find,
    lines,
    proxy,  # noqa: F401 (a fixture)
    refused,
)
from support.running import build_or_skip, wait_until

NOTES = "dynaferry:seen:"
PASSING = 112  # a conflict: the same command is taken a little later


def run(ferry, role, *arguments):
    done = ferry.run(role, arguments=arguments)
    assert done.process.returncode == 0, done.story()


def second_generation(ferry):
    """A table whose second generation is in the topic and not applied; one of the documents is an orphan by then."""
    ferry.settings.update(ONE_PARTITION, sync_mode="full")
    table = ferry.add_table(stream=None)
    fill(ferry, table, 20)
    run(ferry, "producer")
    run(ferry, "consumer", "--until-idle", "1")
    ferry.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "k0"}})
    run(ferry, "producer")
    return table


def start(ferry, broken):
    more = {"build": "mutation", "env": {"DYNAFERRY_MUTATION": broken}} if broken else {}
    if broken:
        build_or_skip()
    return ferry.consumer(**more)


def wait_swept(consumer):
    wait_until(lambda: lines(consumer, "generation's rows ended"), 60, "the sweep", [consumer])


@pytest.mark.parametrize("broken", [None, "note"])
def test_the_position_does_not_move_past_rows_whose_notes_were_refused(ferry, broken):  # noqa: F811
    table = second_generation(ferry)
    answer = refused(PASSING)
    fault = ferry.proxy.control.fault("reply", op="insert", predicate=about(NOTES), document=answer)
    consumer = start(ferry, broken)
    wait_swept(consumer)
    assert find(ferry, fault).hits == 1
    wrong = ferry.verify_target(table, "raw")
    if broken:
        assert len(wrong) == 19, "documents of the generation are deleted"
    else:
        complain(wrong)


@pytest.mark.parametrize("broken", [None, "sweep_order"])
def test_a_position_that_becomes_anothers_while_notes_are_read_keeps_the_sweep_from_deleting(ferry, broken):  # noqa: F811
    table = second_generation(ferry)
    read = lambda m: m.collection.startswith(NOTES) and "$in" in str(m.body["filter"])
    hold = ferry.proxy.control.fault("hold", op="find", predicate=read)
    consumer = start(ferry, broken)
    assert ferry.proxy.control.wait_held(hold)
    position = ferry.target()[APPLIED]
    another = {"$inc": {"epoch": 1}, "$set": {"owner": "another"}}
    position.update_one({"_id": f"{ferry.topic(table)}/0"}, another)
    ferry.proxy.control.release(hold)
    deletes = lambda: [e for e in ferry.proxy.control.log("delete") if e["fields"]["collection"] == table.name]
    if broken:
        wait_until(deletes, 30, "the delete", [consumer])
        return
    wait_until(lambda: lines(consumer, "late write marked"), 30, "the mark", [consumer])
    assert not deletes() and ferry.target()[table.name].count_documents({}) == 20
    wait_swept(consumer)  # nobody else is there, so it takes the partition again
    complain(ferry.verify_target(table, "raw"))
