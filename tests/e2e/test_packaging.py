"""What is installed and packaged: where it goes, the pages of the manual, the units, and what systemd is told."""

import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from support.running import PATIENCE, ROOT, bin_dir, wait_until

PROGRAMS = ["producer", "consumer", "fullcheck", "status"]


def release_build():
    """The build folder that is installed from; another build has none."""
    build = bin_dir().parent
    if not (build / "packaging").is_dir():
        pytest.skip("the programs are not those of the release build")
    return build


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    build, root = release_build(), tmp_path_factory.mktemp("root")
    subprocess.run(["ninja", "-C", build, "man"], check=True, capture_output=True)
    subprocess.run(["cmake", "--install", build], check=True, capture_output=True, env={**os.environ, "DESTDIR": str(root)})
    return root


def test_everything_goes_where_it_belongs(installed):
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    for name in PROGRAMS:
        assert {f"usr/bin/dynaferry-{name}", f"usr/share/man/man1/dynaferry-{name}.1"} <= found
    for name in ("producer", "consumer"):
        assert f"usr/lib/systemd/system/dynaferry-{name}.service" in found
    assert {
        "etc/dynaferry/dynaferry.conf", "etc/logrotate.d/dynaferry", "usr/lib/sysusers.d/dynaferry.conf",
        "usr/share/dynaferry/schemas/status.schema.json", "usr/share/doc/dynaferry/README.md",
    } <= found  # fmt: skip
    assert not [path for path in found if path.split("/")[0] not in ("usr", "etc")]
    assert (installed / "etc/dynaferry/dynaferry.conf").stat().st_mode & 0o007 == 0, "it may hold passwords"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_manual_page_has_what_the_help_has(installed, name):
    page = (installed / f"usr/share/man/man1/dynaferry-{name}.1").read_text().replace("\\-", "-").replace("\\e", "\\")
    told = subprocess.run([bin_dir() / f"dynaferry-{name}", "--help"], check=True, capture_output=True, text=True).stdout
    flags = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", told, re.M))
    keys = set(re.findall(r"^  ([a-z_]+(?:\.[A-Za-z_]+)*)$", told, re.M))
    assert len(flags) > 5 and "topic.prefix" in keys
    missing = [word for word in flags | keys if word not in page]
    assert not missing
    if shutil.which("man"):
        shown = subprocess.run(
            ["man", "--warnings", "-l", installed / f"usr/share/man/man1/dynaferry-{name}.1"],
            check=True, capture_output=True, text=True, env={**os.environ, "MANPAGER": "cat", "MANROFFSEQ": ""},
        )  # fmt: skip
        assert not shown.stderr and "EXIT STATUS" in shown.stdout


@pytest.mark.parametrize("name", ["producer", "consumer"])
def test_a_unit_starts_what_is_installed_and_is_hardened(installed, name):
    path = installed / f"usr/lib/systemd/system/dynaferry-{name}.service"
    unit = path.read_text()
    assert f"ExecStart=/usr/bin/dynaferry-{name} --conf /etc/dynaferry/dynaferry.conf\n" in unit
    assert "Type=notify\n" in unit and "@" not in unit.replace("@system-service", "").replace("@privileged @resources", "")
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", path], capture_output=True, text=True
    )
    level = re.search(r"Overall exposure level for .*: ([\d.]+)", judged.stdout)
    assert level and float(level[1]) < 2.5, judged.stdout + judged.stderr


# --- what systemd is told ---


@pytest.fixture
def told(directory):
    """A socket as systemd's, and what has come there; its path is short, as sockets need."""
    path = f"/tmp/dynaferry-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.setblocking(False)
        found = []

        def look():
            while True:
                try:
                    found.append(listener.recv(100).decode())
                except BlockingIOError:
                    return found

        look.path = path
        yield look
    os.unlink(path)


def started(bridge, told, role, watchdog_ms=1500):
    env = {"NOTIFY_SOCKET": told.path, "WATCHDOG_USEC": str(watchdog_ms * 1000)}
    return bridge.program(role, env=env.items()).start()


@pytest.mark.parametrize("role", ["producer", "consumer"])
def test_systemd_is_told_that_a_program_is_ready_lives_and_ends(bridge, told, role):
    bridge.add_table()
    if role == "consumer":
        bridge.producer()
    program = started(bridge, told, role)
    wait_until(lambda: "READY=1" in told(), 60, "READY=1", [program])
    assert program.get("/readyz")[0] == 200
    wait_until(lambda: told().count("WATCHDOG=1") >= 3, 30, "signs of life", [program])
    program.sigterm()
    assert told()[-1] == "STOPPING=1" and told().count("READY=1") == 1


def test_a_program_that_stands_still_gives_no_sign_of_life(bridge, told):
    bridge.add_table()
    program = started(bridge, told, "producer")
    wait_until(lambda: "WATCHDOG=1" in told(), 60, "signs of life", [program])
    program.hang()
    told()
    before = len(told())
    with pytest.raises(subprocess.TimeoutExpired):
        program.process.wait(3)
    assert len(told()) == before
    program.signal(signal.SIGCONT)
    wait_until(lambda: len(told()) > before, 30 * PATIENCE, "signs of life again", [program])


def test_an_outage_is_no_reason_to_be_restarted(bridge, told):
    """MongoDB is away: health says so, and the program lives."""
    bridge.add_table()
    bridge.producer()
    program = started(bridge, told, "consumer")
    wait_until(lambda: "READY=1" in told(), 60, "READY=1", [program])
    bridge.parts.need_ours("mongodb")
    bridge.parts.script("stop", "mongodb")
    try:
        before = len(told())
        wait_until(lambda: len(told()) >= before + 6, 30, "signs of life", [program])
    finally:
        bridge.parts.script("start", "mongodb")


def test_a_command_by_hand_says_nothing_to_systemd(bridge, told):
    program = bridge.run(
        "producer", {"start.timeout": 2}, ("--pause", "nobody-knows-it"), env={"NOTIFY_SOCKET": told.path}.items()
    )
    assert program.process.returncode != 0 and told() == []


def test_the_package_script_knows_no_argument():
    answer = subprocess.run([ROOT / "scripts" / "package", "--help"], capture_output=True, text=True)
    assert answer.returncode == 64 and "scripts/package" in answer.stderr


# --- which version, and how it was compiled ---


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_version_names_the_commit(name):
    told = subprocess.run([bin_dir() / f"dynaferry-{name}", "--version"], check=True, capture_output=True, text=True).stdout
    git = ["git", "-C", ROOT, "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"]
    commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip().removesuffix("-dirty")
    assert re.fullmatch(rf"dynaferry-{name} \d+\.\d+\.\d+ \({commit}(-dirty)?\)\n", told), told


def version_made(folder, source, commit):
    """What scripts/version.cmake makes of a source tree, and of the commit that was given."""
    made = folder / "version_values.h"
    define = {"FILE": made, "VERSION": "1.2.3", "COMMIT": commit, "SOURCE": source}
    script = [f"-D{name}={value}" for name, value in define.items()]
    subprocess.run(["cmake", *script, "-P", ROOT / "scripts/version.cmake"], check=True)
    return re.search(r'VERSION_TEXT "(.*)"', made.read_text())[1]


@pytest.mark.parametrize("commit, told", [("0123abcd", "1.2.3 (0123abcd)"), ("", "1.2.3")])
def test_a_version_without_git(tmp_path, commit, told):
    """Of a package build the commit is given; of a bare source tree nobody knows it."""
    assert version_made(tmp_path, tmp_path, commit) == told


def test_what_git_says_counts_more_than_a_commit_given_once(tmp_path):
    """CMake remembers what was given; the sources have moved on since."""
    git = ["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "moved on"], check=True)
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert version_made(tmp_path, tmp_path, "0123abcd") == f"1.2.3 ({commit.strip()})"


def hardening_problems(program):
    """What the compiler and the linker can do against an attacker, and have not done."""
    read = lambda *flags: subprocess.run(["readelf", "-W", *flags, program], check=True, capture_output=True, text=True).stdout
    segments, dynamic, symbols = read("-lh"), read("-d"), read("--dyn-syms")
    main = subprocess.run(["objdump", "-d", "--disassemble=main", program], check=True, capture_output=True, text=True).stdout
    checks = {
        "position-independent": "Type:                              DYN" in segments,
        "stack not executable": re.search(r"GNU_STACK .* RW +0x", segments),
        "relocations read-only": "GNU_RELRO" in segments and "NOW" in dynamic,
        "stack protector": "__stack_chk_fail" in symbols,
        "checked functions": re.search(r"__\w+_chk@", symbols),
        "indirect branches marked": "endbr64" in main,
        "no search path of libraries": "RPATH" not in dynamic and "RUNPATH" not in dynamic,
    }
    return [name for name, good in checks.items() if not good]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_hardened(name):
    release_build()
    assert hardening_problems(bin_dir() / f"dynaferry-{name}") == []


def test_a_program_that_is_not_hardened_is_seen(tmp_path):
    source, program = tmp_path / "bare.c", tmp_path / "bare"
    source.write_text('#include <stdio.h>\nint main(void) { char t[9]; return sprintf(t, "%d", 7) - 1; }\n')
    weak = ["-O0", "-no-pie", "-fno-stack-protector", "-fcf-protection=none", "-U_FORTIFY_SOURCE"]
    weak += ["-z", "execstack", "-Wl,-z,norelro,-z,lazy,-rpath,/tmp", "-o", program]
    subprocess.run(["cc", source, *weak], check=True, capture_output=True)
    assert len(hardening_problems(program)) == 7
