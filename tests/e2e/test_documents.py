"""Every command in the documents is typed as it stands there."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from support.nimoshake import NimoShake
from support.running import PATIENCE, bin_dir, wait_until

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md"] + [
    f"docs/{name}.md" for name in ("cut-over", "fullcheck", "nimoshake", "operations", "positions", "status")
]


def commands_of(page):
    """In blocks and within lines, each once, in their order."""
    text = (ROOT / page).read_text()
    found = re.findall(r"^ {4,}(dynaferry-\w+ .*?)(?: +#.*)?$|`(dynaferry-\w+ [^`]*)`", text, re.M)
    return list(dict.fromkeys(block or inline for block, inline in found))


ALL = [pytest.param(page, command, id=f"{page}: {command}") for page in PAGES for command in commands_of(page)]


def typed(bridge, table, command):
    """What stands for a name of the reader's is put in; where no file is named, it is the one of the section."""
    for name, value in {
        "[TABLE]": table.name, "TABLE": table.name, "POINT": "beginning", "'orders;users'": table.name,
        "mongodb://mongodb.example:27017": bridge.parts.mongodb, "mongodb://localhost:27017": bridge.parts.mongodb,
        "/etc/nimo-shake.conf": "nimo-shake.conf", "SECONDS": "30", "TIME": "2026-01-31T12:00:00Z",
    }.items():  # fmt: skip
        command = command.replace(name, value)
    words = shlex.split(command)
    if not {"--conf", "-t", "--nimoshake-conf"} & set(words):
        words += ["--conf", "dynaferry.conf"]
    return words


def environment(bridge):
    """Where the reader's file names neither, the default is AWS, and the database dynamo-shake."""
    told = {k: str(v) for k, v in bridge.settings.items() if k.startswith("source.") or k == "id"}
    return {
        "PATH": f"{bin_dir()}:{os.environ['PATH']}",
        **{f"DYNAFERRY_{k.upper().replace('.', '_')}": v for k, v in told.items()},
    }


def is_served(words):
    """It runs until it is ended."""
    alone = {"--conf", "dynaferry.conf", "conf/dynaferry.conf", "--take-over-nimoshake"}
    return words[0] in ("dynaferry-producer", "dynaferry-consumer") and not [
        word for word in words[1:] if word not in alone and "://" not in word
    ]


@pytest.fixture
def reader(bridge):
    """Somebody with a bridge that runs, in a directory with the configuration under the names of the pages."""
    table = bridge.add_table()
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "a"}})
    NimoShake(bridge).stop(table)
    NimoShake(bridge).stage()
    conf = bridge.conf().read_text()
    (bridge.directory / "conf").mkdir(exist_ok=True)
    for name in ("dynaferry.conf", "conf/dynaferry.conf"):
        (bridge.directory / name).write_text(conf)
    (bridge.directory / "nimo-shake.conf").write_text(
        f"id = {bridge.database}\nsource.region = us-east-1\ntarget.address = {bridge.parts.mongodb}\n"
        f"sync_mode = all\nfull.concurrency = 4\nconvert.type = raw\n"
    )
    return table


@pytest.mark.parametrize("page, command", ALL)
def test_a_command_of_the_documents(bridge, reader, page, command):
    words = typed(bridge, reader, command)
    if "-c change" in command:
        bridge.settings["convert.type"] = "change"
    if not is_served(words):
        bridge.producer()
        if "--adopt-restored" not in words:  # that is said before one runs
            bridge.consumer()
            bridge.wait_caught_up()
            bridge.wait_applied()
        done = subprocess.run(
            words, cwd=bridge.directory, env=environment(bridge), capture_output=True, text=True, timeout=120 * PATIENCE
        )
        wanted = 1 if {"--forget", "--adopt-restored"} & set(words) else 0  # of a table that exists; of no dump
        assert done.returncode == wanted, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return
    log = bridge.directory / "typed.log"
    with open(log, "wb") as out:
        program = subprocess.Popen(words, cwd=bridge.directory, env=environment(bridge), stderr=out)
    try:
        wait_until(lambda: "event=started" in log.read_text() or program.poll() is not None, 60, "its work")
        program.terminate()
        assert program.wait(30) == 0, log.read_text()
    finally:
        program.kill()


def type_in(bridge, command):
    return subprocess.run(
        shlex.split(command), cwd=bridge.directory, env=environment(bridge), capture_output=True, text=True,
        timeout=300 * PATIENCE,
    )  # fmt: skip


def test_the_evening_of_the_cut_over(bridge):
    """As docs/cut-over.md tells it: with writes until the last moment, and the way back."""
    compare, look, wait, compare_at_once = commands_of("docs/cut-over.md")
    tables = [bridge.add_table(), bridge.add_table()]
    writers = [bridge.writer(table, seed=number, keys=200, rate=60, refused=0) for number, table in enumerate(tables)]
    for writer in writers:
        writer.fill()
    (bridge.directory / "dynaferry.conf").write_text(bridge.conf().read_text())
    bridge.producer()
    consumer = bridge.consumer()
    bridge.wait_caught_up()
    for writer in writers:
        writer.start()
    # The days before: while writes go on.
    for command in (compare, look, wait):
        done = type_in(bridge, command)
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    # The evening.
    bridge.stop_writers()
    for command in (wait, compare_at_once):
        done = type_in(bridge, command)
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    consumer.sigterm()
    for table in tables:
        assert not bridge.verify_target(table, "raw")
    application = bridge.target()[tables[0].name]
    application.insert_one({"written": "by the application"})
    # The way back: another target is filled from the topics, as of the cut-over.
    bridge.consumer({"id": f"{bridge.database}_back"})
    bridge.wait_applied(database=f"{bridge.database}_back")
    for table in tables:
        assert not bridge.verify_target(table, "raw", database=f"{bridge.database}_back")
    assert application.count_documents({"written": "by the application"}) == 1
