"""Programs under test as processes, and waiting for what they do.

Promise: every process started here is ended by its own id; no wait is a fixed sleep. DYNAFERRY_TEST_PATIENCE
(default 1) stretches every deadline, for slow machines and sanitizer builds.
"""

import itertools
import os
import random
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = float(os.environ.get("DYNAFERRY_TEST_PATIENCE", "1"))
SANITIZER_REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")


def wait_until(predicate, seconds, what, alive=()):
    """Polls until the predicate gives something true and returns that. A program of `alive` that ends
    meanwhile, or the deadline, is an AssertionError that shows its log's tail."""
    deadline = time.monotonic() + seconds * PATIENCE
    pause = 0.02
    while True:
        found = predicate()
        if found:
            return found
        for program in alive:
            assert program.running, f"waiting for {what}: {program.story()}"
        if time.monotonic() > deadline:
            tails = "\n".join(program.story() for program in alive)
            raise AssertionError(f"{what}: not within {seconds * PATIENCE:.0f} s\n{tails}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def stays(predicate, seconds):
    """True at every look for so long: the time in which the programs would do what they must not, by their own
    intervals. Patience changes nothing of those."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert predicate()
        time.sleep(0.1)


WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # one of several processes that share the tests out
# Below the range from which a system gives ports to whoever asks for any, and each worker has its own, so that
# nobody is given one of them between the look here and the program's start.
FIRST_PORT = 20_000 + 1_500 * (int(WORKER.removeprefix("gw") or 0) % 8)
PORTS = itertools.cycle(random.sample(range(FIRST_PORT, FIRST_PORT + 1_500), 1_500))


def free_port():
    """None of these is handed out a second time soon, though the first program may not have taken it yet."""
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # somebody is there
            return port


def bin_dir(build=None):
    if build:
        return ROOT / "build" / build / "bin"
    return Path(os.environ.get("DYNAFERRY_BIN", ROOT / "build" / "release" / "bin"))


def build_or_skip():
    """For a test that breaks rules."""
    if not (bin_dir("mutation") / "dynaferry-producer").exists():
        pytest.skip("there is no build/mutation: cmake --preset mutation")


class Program:
    """One run of dynaferry-producer or dynaferry-consumer; its log is a file of its own."""

    def __init__(self, role, conf, directory, name, settings=(), arguments=(), env=(), build=None):
        self.role, self.name = role, name
        self.log_path = directory / f"{name}.log"
        self.http_port = free_port()
        settings = {"http.port": self.http_port, **dict(settings)}
        sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        self.command = [bin_dir(build) / f"dynaferry-{role}", "--conf", conf, *sets, *arguments]
        # Nothing of this session's environment may configure the program by accident.
        self.env = {"PATH": os.environ["PATH"], "HOME": str(directory), **dict(env)}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.process = None
        self.killed = False

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, self.command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env
            )
        return self

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def story(self):
        state = "running" if self.running else f"ended with {self.process and self.process.returncode}"
        return f"--- {self.name} {state}, end of its log:\n" + "\n".join(self.log().splitlines()[-25:])

    def signal(self, number):
        self.process.send_signal(number)

    def peak_kb(self):
        """The most memory it has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])

    def wait(self, seconds=60):
        """The exit code; the process must end by itself."""
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {seconds * PATIENCE:.0f} s\n{self.story()}") from None

    def kill9(self):
        self.killed = True
        self.signal(signal.SIGKILL)
        self.process.wait()

    def sigterm(self, seconds=15):
        """Ends it as an operator would: exit 0 within seconds, open work finished."""
        self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        assert code == 0, f"exit {code} after SIGTERM\n{self.story()}"

    def hang(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def end(self):
        """For teardown: ends it whatever state it is in."""
        if self.running:
            self.killed = True
            self.signal(signal.SIGKILL)
            self.signal(signal.SIGCONT)
            self.process.wait()

    def get(self, path):
        """(status, text) of an HTTP endpoint; status 0 when nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name, **labels):
        """The sum of a metric over its label sets that have these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name:
                found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                if all(found.get(k) == v for k, v in labels.items()):
                    total += float(match[3])
        return total

    def sanitizer_reports(self):
        return [line for line in self.log().splitlines() if SANITIZER_REPORT.search(line)]
