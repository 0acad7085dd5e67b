"""Static analysis: gcc's analyzer over every C file of the programs, shellcheck over every shell script.

A finding is mended; a false one is avoided by saying in the code what the analyzer can't know (CHECK), or by a comment at
the line that names it.
"""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
PROGRAMS = re.compile(r"(common|producer|consumer|fullcheck|status)/")
# It does not follow memory that uthash and lists keep.
ANALYZER = ["-fanalyzer", "-Wno-analyzer-malloc-leak", "-Werror"]


def tracked():
    names = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True, text=True).stdout
    return [name for name in names.splitlines() if (ROOT / name).is_file()]


def rooms():
    """The C files by their folders, each a case."""
    found = {}
    for name in tracked():
        if PROGRAMS.match(name) and name.endswith(".c"):
            found.setdefault(str(Path(name).parent), []).append(name)
    return found


def shell_scripts():
    def begins(name):
        with open(ROOT / name, "rb") as file:
            return re.match(rb"#!.*\b(ba|da)?sh\b", file.readline())

    return [name for name in tracked() if begins(name)]


ROOMS, SCRIPTS = rooms(), shell_scripts()


@pytest.fixture(scope="session")
def commands():
    """How each file is compiled, without what only the build needs."""
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    return {str(Path(e["file"]).relative_to(ROOT)): e for e in entries}


def analyze(command, directory):
    words = shlex.split(command)
    if words[0].endswith("ccache"):
        words = words[1:]
    words[words.index("-o") + 1] = "/dev/null"
    done = subprocess.run([*words, *ANALYZER], cwd=directory, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("room", ROOMS)
def test_c(room, commands):
    found = [analyze(commands[name]["command"], commands[name]["directory"]) for name in ROOMS[room]]
    assert not any(found), "".join(found)


def shellcheck(path):
    return subprocess.run(["shellcheck", path], cwd=ROOT, capture_output=True, text=True).stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell(script):
    assert not shellcheck(script), shellcheck(script)


def test_what_is_wrong_is_found(tmp_path):
    (tmp_path / "wrong.c").write_text("int main(int n, char **v)\n{\n    int *p = 0;\n    return n > 1 ? *p : !v;\n}\n")
    assert "analyzer-null-dereference" in analyze("gcc -O2 -o wrong.o -c wrong.c", tmp_path)
    (tmp_path / "wrong.sh").write_text("#!/bin/sh\nrm -r $1/lib\n")
    assert "SC2086" in shellcheck(tmp_path / "wrong.sh")
    assert len(ROOMS) == len([line for line in (ROOT / "rooms").read_text().splitlines() if re.match("[a-z]", line)])
    assert {"scripts/test", ".ci/run", "packaging/debian/postinst"} <= set(SCRIPTS)
