"""Two or more builds in one run of bench.py each, in turn, several rounds: what a record costs.

    build/venv/bin/python tests/bench/compare.py --bin DIR --bin DIR [--rounds 3] [OPTIONS OF bench.py ...]

Prints, for each program and phase, the median over the rounds for each build: CPU per record, records a
second (also as a part of the floor of the same run, which takes out the machine's other load) and memory, and
the least and most CPU. Floors are rows too: where they differ between builds, the machine was not the same.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict

from bench import ROOT

FIGURES = (("us", "cpu_us_per_item"), ("items/s", "items_per_second"), ("of floor", "floor"), ("MB", "megabytes"))


def measure(directory, more):
    command = [sys.executable, ROOT / "tests/bench/bench.py", "--json", "--bin", directory, *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("compare: bench.py failed")
    return json.loads(done.stdout)


def cell(rows, figure):
    values = [row[figure] for row in rows if row[figure] is not None]
    if not values:
        return ""
    middle = statistics.median(values)
    if figure == "floor":
        return f"{middle:.0%}"
    if figure == "cpu_us_per_item":
        return f"{middle:.2f} ({min(values):.2f}-{max(values):.2f})"
    return f"{middle:,.0f}"


def show(found, directories):
    for number, directory in enumerate(directories, 1):
        print(f"{number}: {directory}")
    print(f"{'':8} {'':14} {'':3}" + "".join(f"{title:>22}" for title, _ in FIGURES))
    for phase, name in dict.fromkeys((phase, name) for _, phase, name in found):
        for number, directory in enumerate(directories, 1):
            rows = found[directory, phase, name]
            print(f"{phase:8} {name:14} {number:<3}" + "".join(f"{cell(rows, figure):>22}" for _, figure in FIGURES))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", action="append", required=True, metavar="DIR", help="programs and floors of a build")
    parser.add_argument("--rounds", type=int, default=3)
    options, more = parser.parse_known_args()
    found = defaultdict(list)
    for number in range(options.rounds):
        for directory in options.bin if number % 2 == 0 else options.bin[::-1]:
            for row in measure(directory, more):
                found[directory, row["phase"], row["name"]].append(row)
            print(f"  round {number + 1}: {directory}", file=sys.stderr)
    show(found, options.bin)


if __name__ == "__main__":
    main()
