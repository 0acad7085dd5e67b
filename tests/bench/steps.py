"""How long a running program's steps keep a thread, seen from outside by uprobes: any build can be measured.

    python3 tests/bench/steps.py PID SECONDS

A step is a function whose name ends with `_step`; what it spends in ddb_call (requests to the source) is told
apart. Needs perf, and root: the probes are made in a mount namespace of their own and taken away again. They
cost some microseconds per step.
"""

import collections
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REQUEST = "ddb_call"
RECORD = """
mount -t tracefs tracefs /sys/kernel/tracing
trap 'perf probe -q --del "$GROUP:*"' EXIT
perf probe -q -x "$BINARY" $PROBES && perf record -q -m 4096 -p "$TARGET" -o "$DATA" $EVENTS -- sleep "$SECONDS_LONG"
"""


def can_be_seen():
    return os.geteuid() == 0 and shutil.which("perf") and shutil.which("unshare")


def functions(binary):
    """Those to look at."""
    text = subprocess.run(["nm", binary], stdout=subprocess.PIPE, text=True, check=True).stdout
    names = {line.split()[2] for line in text.splitlines() if re.match(r"\S+ [tT] \w+$", line)}
    return sorted(name for name in names if name.endswith("_step") or name == REQUEST)


class Steps:
    """From now for so many seconds; result() waits for the end of that."""

    def __init__(self, binary, pid, seconds, data):
        self.data, group = data, f"bench{os.getpid()}"
        names = functions(binary)
        pairs = [word for name in names for word in (f"{group}:{name}={name}", f"{group}:{name}={name}%return")]
        env = {
            **os.environ, "GROUP": group, "BINARY": str(binary), "TARGET": str(pid), "DATA": str(data),
            "SECONDS_LONG": str(seconds), "PROBES": " ".join(f"--add {pair}" for pair in pairs),
            "EVENTS": f"-e {group}:*",
        }  # fmt: skip
        self.process = subprocess.Popen(["unshare", "-m", "sh", "-f", "-c", RECORD], env=env)

    def result(self):
        if self.process.wait():
            return None
        command = ["perf", "script", "-i", self.data, "-F", "tid,time,event", "--ns"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as told:
            found = durations(told.stdout)
        self.data.unlink()
        return found


class Thread:
    def __init__(self):
        self.stack, self.requests = [], 0.0


def durations(lines):
    """{step: [milliseconds outside of requests]}; of nested ones the outermost. A step that had begun before
    is left out."""
    found, threads = collections.defaultdict(list), collections.defaultdict(Thread)
    for line in lines:
        tid, at, event = line.split()[:3]
        name, thread, now = event.strip(":").rpartition(":")[2], threads[tid], float(at.strip(":"))
        ended = name.endswith("__return")
        name = name.removesuffix("__return")
        if not ended:
            thread.stack.append((name, now))
        elif thread.stack and thread.stack[-1][0] == name:
            began = thread.stack.pop()[1]
            if name == REQUEST:
                thread.requests += now - began
            elif not thread.stack:
                found[name].append((now - began - thread.requests) * 1e3)
            if not thread.stack:
                thread.requests = 0.0
    return found


def told(found, limit_ms):
    """For a table, by step: the p99, the most, and how many took longer than the limit."""
    figures = {}
    for name, times in sorted(found.items()):
        times.sort()
        over = sum(ms > limit_ms for ms in times)
        figures[name] = f"{times[int(len(times) * 0.99)]:.2f}/{times[-1]:.1f}/{over}"
    return figures


def main():
    pid, seconds = sys.argv[1:]
    binary = Path(f"/proc/{pid}/exe").resolve()
    found = Steps(binary, pid, seconds, Path(f"/tmp/steps-{pid}")).result()
    for name, figure in told(found or {}, 10).items():
        print(name, "ms p99/most, over 10 ms:", figure)


if __name__ == "__main__":
    main()
