"""A chain of rounds with its servers: what `tests/chaos/run` and the test of the campaign have in common."""

import shutil
import sys
import time
import traceback

from .chain import Chain
from .round import Round


def run_chain(options, directory, parts):
    """Rounds of the seeds from options.seed on; a failed one is the last. Prints a line for each."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    deadline = time.monotonic() + options.minutes * 60
    chain = Chain(parts, directory, options.seed, options)
    failed = False
    try:
        for seed in range(options.seed, options.seed + options.rounds):
            if failed or (seed > options.seed and time.monotonic() > deadline):
                break
            failed = not run_round(chain, seed, options)
    finally:
        for line in chain.close():
            failed = True
            print(line, file=sys.stderr)
    if not failed:
        (directory / "story.txt").rename(directory.with_suffix(".txt"))
        shutil.rmtree(directory)
    return 1 if failed else 0


def run_round(chain, seed, options):
    """Whether it went well."""
    began = time.monotonic()
    one = Round(chain, seed)
    try:
        one.run()
        result = "ok"
    except Exception as error:  # whatever it is, the next chain goes on
        chain.evidence(traceback.format_exc())
        first = str(error).splitlines()[:2]
        rounds = seed - options.seed + 1
        result = f"failed: {' '.join(first)[:200]} (--seed {options.seed} --rounds {rounds})"
    faults = " ".join(f"{kind}={count}" for kind, count in sorted(one.met.items()))
    print(f"seed {seed}  {time.monotonic() - began:.0f} s  {faults}  {result}", flush=True)
    return result == "ok"
