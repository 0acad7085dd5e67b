"""File descriptors, threads and memory of programs at rest, from round to round.

A program that gets its first tables, or more of them, opens connections and starts threads, so more than before is no
leak. Clearly more in each of four rounds is, and so is more than any program needs.
"""

import os
from pathlib import Path

LOOKS = 4
# What may be more over these looks, and the ceiling.
SPARE = {"fds": 10, "threads": 6, "rss_kb": 12 * 1024}
CEILING = {"fds": 250, "threads": 120, "rss_kb": 256 * 1024}


def measure(program):
    pid = program.process.pid
    threads = len(os.listdir(f"/proc/{pid}/task"))
    return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": threads, "rss_kb": resident_kb(pid)}


def resident_kb(pid):
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def grows(values, spare):
    last = values[-LOOKS:]
    rising = all(other - one > spare / LOOKS for one, other in zip(last, last[1:]))
    return len(last) == LOOKS and rising and last[-1] > last[0] + spare


class Growth:
    def __init__(self):
        self.rounds = {}  # name of the program -> its measures, a round each

    def look(self, programs, sanitized):
        """What has grown, and what is too large."""
        out = []
        for program in programs:
            rounds = self.rounds.setdefault(program.name, [])
            rounds.append(measure(program))
            for name in ("fds", "threads") if sanitized else SPARE:
                values = [each[name] for each in rounds]
                if grows(values, SPARE[name]):
                    out.append(f"{program.name}: {name} grow from round to round: {values}")
                if values[-1] > CEILING[name]:
                    out.append(f"{program.name}: {name}: {values[-1]}")
            if not sanitized and program.peak_kb() > CEILING["rss_kb"]:
                out.append(f"{program.name} had {program.peak_kb()} kB")
        return out

    def report(self):
        return "; ".join(
            f"{name}: " + " ".join(f"{r['fds']}/{r['threads']}/{r['rss_kb'] // 1024}" for r in rounds)
            for name, rounds in self.rounds.items()
        )
