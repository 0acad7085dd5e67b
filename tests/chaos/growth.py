"""File descriptors, threads and memory of programs at rest, from round to round."""

import os
from pathlib import Path

MEMORY_KB = 256 * 1024
# What a program at rest may have more than when it was first looked at: connections are kept, and partitions of
# the ledger and their handles come and go.
SPARE = {"fds": 40, "threads": 24, "rss_kb": 24 * 1024}


def measure(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {
        "fds": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(fields["Threads"]),
        "rss_kb": int(fields["VmRSS"].split()[0]),
    }


class Growth:
    def __init__(self):
        self.history = {}  # by pid

    def look(self, slots):
        """What has grown since the first look at the same process."""
        out = []
        for slot in slots:
            now = measure(slot.program.process.pid)
            rounds = self.history.setdefault(slot.program.process.pid, [])
            rounds.append(now)
            out += [
                f"{slot.name}: {name} over {len(rounds)} rounds: {[r[name] for r in rounds]}"
                for name, spare in SPARE.items()
                if now[name] > rounds[0][name] + spare
            ]
        return out

    def memory(self, slots):
        """Programs that are too large."""
        return [
            f"{slot.name} has {slot.program.peak_kb()} kB"
            for slot in slots
            if slot.program.running and slot.program.peak_kb() > MEMORY_KB
        ]

    def report(self):
        return "; ".join(
            f"{pid}: " + " ".join(f"{r['fds']}/{r['threads']}/{r['rss_kb'] // 1024}" for r in rounds)
            for pid, rounds in self.history.items()
        )
