"""dynaferry-fullcheck reports nothing on a right target of random documents.

DYNAFERRY_FULLCHECK_ITEMS sets how many (3,000 by default, 200,000 in the campaign).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.fullcheck_tool import STATIC, Checker, fill_target
from support.oracle import KeySchema

ITEMS = int(os.environ.get("DYNAFERRY_FULLCHECK_ITEMS", "3000"))
COMPOUND = KeySchema(("pk", "sk"), ("S", "N"))


def filler(parts, table, number, count, targets):
    """A process that makes `count` items and their documents."""
    command = [sys.executable, "-m", "support.fullcheck_fill", parts.dynamodb, parts.mongodb]
    schema = ["/".join(table.key_schema.names), "/".join(table.key_schema.types)]
    command += [table.name, *schema, number, count]
    command += ["/".join(target) for target in targets]
    return subprocess.Popen([*map(str, command)], cwd=Path(__file__).parent)


@pytest.mark.campaign
def test_right_documents_of_random_items_are_never_reported(bridge):
    """Two tables, two ways to convert each; several processes make items and documents."""
    tables = [bridge.add_table(stream=None), bridge.add_table(COMPOUND, stream=None)]
    modes = [("raw", "objectid"), ("change", "key")]
    targets = [(f"{bridge.database}_{mode[0]}", *mode) for mode in modes]
    for table in tables:
        fill_target(bridge.target(targets[0][0])[table.name], [], table.key_schema, "raw")
    fillers = [
        filler(bridge.parts, table, number, ITEMS // 4, targets) for number in (0, 1) for table in tables
    ]
    assert [process.wait() for process in fillers] == [0] * 4
    check = Checker(bridge)
    for database, convert_type, target_id in targets:
        settings = {"id": database, "convert.type": convert_type, "target.id": target_id}
        report = check.run(*STATIC, settings=settings, seconds=1800)
        report.complain()
        entries = [report.table(table) for table in tables]
        assert [entry["items"] for entry in entries] == [ITEMS // 4 * 2] * 2
        assert all(entry["checked"] == entry["documents"] == entry["items"] for entry in entries)
